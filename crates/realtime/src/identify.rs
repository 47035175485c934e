//! How sessions begin and go on: IDENTIFY, RESUME, and the look at a device whose token expires.

use std::rc::Rc;

use contracts::communities::Membership;
use contracts::messaging::Inbox;
use infra::fanout::{Topic, Version};
use kernel::CommunityId;

use crate::backend::{Told, Verified};
use crate::close::Close;
use crate::command::{Identify, RequestMembers, Resume};
use crate::conn::Conn;
use crate::ready;
use crate::ring::{Ring, Tail};
use crate::session::{Capabilities, PRIVILEGED, Profile, Session, Stage};
use crate::worker::Worker;

/// Most sockets of a worker that wait for their IDENTIFY or RESUME.
const MAX_JOINING: usize = 4_096;
/// Bounds of `large_threshold`.
const LARGE: std::ops::RangeInclusive<u16> = 50..=250;
/// Op 9. Always `false`: on `true` discord.js resends RESUME on the same socket at once.
const INVALID_SESSION: &str = r#"{"op":9,"d":false}"#;

/// Counts a socket that waits for its session, for as long as it lives.
struct Joining<'a>(&'a Worker);

impl Drop for Joining<'_> {
    fn drop(&mut self) {
        self.0.joining.set(self.0.joining.get() - 1);
    }
}

impl Worker {
    fn start_joining(&self) -> Result<Joining<'_>, Close> {
        if self.joining.get() >= MAX_JOINING {
            return Err(Close::TryAgain);
        }
        self.joining.set(self.joining.get() + 1);
        Ok(Joining(self))
    }

    /// Op 2, in a task of its own.
    pub(crate) fn begin_identify(self: &Rc<Self>, conn: &Rc<Conn>, identify: Box<Identify>) {
        let (worker, conn) = (Rc::clone(self), Rc::clone(conn));
        runtime::spawn_local(&self.node.lifecycle, "realtime-identify", async move {
            // Boxed: this future is large and lives shortly; the socket's own task stays small.
            if let Err(close) = Box::pin(worker.identify(&conn, *identify)).await {
                worker.end(&conn, close);
            }
        });
    }

    async fn identify(self: &Rc<Self>, conn: &Rc<Conn>, identify: Identify) -> Result<(), Close> {
        let cap = Capabilities(identify.cap.unwrap_or(0));
        conn.dialect.set(cap.dialect());
        let _joining = self.start_joining()?;
        let _permit = self.identifies.acquire().await.or(Err(Close::TryAgain))?;
        let backend = self.node.backend.clone();
        let token = identify.token.clone();
        let verified = self
            .node
            .on_main(async move { backend.verify(&token).await })
            .await?;
        let profile = self.profile(&identify, cap, &verified)?;
        if !conn.is_open() {
            return Ok(());
        }
        if !self.node.take_socket(profile.user) {
            return Err(Close::TooManySockets);
        }
        let ring = Ring::new(self.node.settings.bounds(), Vec::new());
        let session = Session::new(self.next_key(), profile, ring, Stage::Loading(Vec::new()));
        self.register(&session);
        let loaded = self.load(conn, &session, &verified).await;
        if loaded.is_err() || !conn.is_open() {
            // Not attached yet, so the count of the user's sockets is given back here.
            self.node.release_socket(session.profile.user);
            self.forget(&session);
            return loaded;
        }
        *session.conn.borrow_mut() = Some(Rc::clone(conn));
        conn.attach(&session);
        conn.machine.borrow_mut().joined();
        self.expire_with_token(&session, &verified);
        self.mark_dirty(conn);
        Ok(())
    }

    fn profile(
        &self,
        identify: &Identify,
        cap: Capabilities,
        verified: &Verified,
    ) -> Result<Profile, Close> {
        if identify.shard.is_some_and(|(number, of)| number >= of) {
            return Err(Close::BadShard);
        }
        // A native client that names no intents gets everything it may have.
        let intents = identify.intents.unwrap_or(u64::MAX);
        let intents = match verified.bot {
            None => intents | crate::session::MESSAGE_CONTENT,
            Some(bot) if identify.intents.is_none() => {
                intents & (!PRIVILEGED | bot.granted_intents)
            }
            Some(bot) if intents & PRIVILEGED & !bot.granted_intents != 0 => {
                return Err(Close::IntentNotGranted);
            }
            Some(_) => intents,
        };
        let large = identify.large_threshold.unwrap_or(*LARGE.start());
        Ok(Profile {
            id: self.node.new_session_id(self.index),
            user: verified.user,
            device: verified.device,
            bot: verified.bot.is_some(),
            intents,
            cap,
            shard: identify.shard,
            large_threshold: large.clamp(*LARGE.start(), *LARGE.end()),
        })
    }

    /// Follows first and fetches after, so that nothing falls between snapshot and events.
    async fn load(
        self: &Rc<Self>,
        conn: &Rc<Conn>,
        session: &Rc<Session>,
        verified: &Verified,
    ) -> Result<(), Close> {
        let profile = &session.profile;
        self.follow(session, &[(Topic::User(profile.user), 0)])
            .await?;
        let (backend, user) = (self.node.backend.clone(), profile.user);
        let world = self
            .node
            .on_main(async move { backend.world(user).await })
            .await?;
        let memberships: Vec<_> = world
            .memberships
            .into_iter()
            .filter(|m| profile.carries(m.community))
            .collect();
        self.follow_world(session, &memberships, &world.inbox)
            .await?;
        let ids: Vec<CommunityId> = memberships.iter().map(|m| m.community).collect();
        let (backend, asked) = (self.node.backend.clone(), profile.clone());
        let (told, user, inbox) = self
            .node
            .on_main(async move {
                let told = backend.tell(&asked, &ids).await?;
                let user = backend.user(asked.user).await?;
                // Once more: a DM may have been opened between the first look and the topics.
                let world = backend.world(asked.user).await?;
                Ok((told, user, world.inbox))
            })
            .await?;
        let url = self.resume_url(conn);
        let private = if profile.bot || !profile.carries_private() {
            &[][..]
        } else {
            &inbox.channels
        };
        let mut prelude = vec![ready::ready(&ready::Ready {
            profile,
            user: &user,
            bot: verified.bot,
            guilds: told.iter().map(|told| told.snapshot.guild.id).collect(),
            private_channels: private,
            resume_gateway_url: &url,
        })];
        prelude.extend(told.iter().map(ready::guild_create));
        *session.ring.borrow_mut() = Ring::new(self.node.settings.bounds(), prelude);
        self.go_live(session, &told);
        Ok(())
    }

    async fn follow_world(
        &self,
        session: &Rc<Session>,
        memberships: &[Membership],
        inbox: &Inbox,
    ) -> Result<(), Close> {
        let communities = memberships
            .iter()
            .map(|m| (Topic::Community(m.community), m.class));
        let mut topics: Vec<_> = communities.collect();
        session
            .communities
            .borrow_mut()
            .extend(memberships.iter().map(|m| m.community));
        if session.profile.carries_private() {
            topics.extend(
                inbox
                    .channels
                    .iter()
                    .map(|channel| (Topic::Channel(channel.id), 0)),
            );
            session
                .channels
                .borrow_mut()
                .extend(inbox.channels.iter().map(|channel| channel.id));
        }
        self.follow(session, &topics).await
    }

    /// What was published while the snapshots were fetched follows them, without what they hold.
    fn go_live(self: &Rc<Self>, session: &Rc<Session>, told: &[Told]) {
        let stage = session.stage.replace(Stage::Live);
        let Stage::Loading(waiting) = stage else {
            return;
        };
        for told in told {
            let topic = Topic::Community(told.snapshot.guild.id);
            self.topics
                .borrow_mut()
                .add(topic, session, told.snapshot.class);
        }
        for delivery in waiting {
            let known = told
                .iter()
                .find(|told| delivery.topic == Topic::Community(told.snapshot.guild.id));
            let old = match (known, delivery.record.version) {
                (Some(told), Version::Rev(rev)) => rev <= told.snapshot.rev,
                _ => false,
            };
            if !old {
                self.deliver_to(session, &delivery);
            }
        }
    }

    fn resume_url(&self, conn: &Conn) -> String {
        self.node
            .settings
            .gateway_url
            .clone()
            .unwrap_or_else(|| format!("ws://{}/gateway", conn.host))
    }

    /// The session outlives its 15-minute token, but its device is looked at when that ends.
    fn expire_with_token(&self, session: &Rc<Session>, verified: &Verified) {
        let Some(expires_at) = verified.expires_at else {
            return;
        };
        let left = expires_at
            .as_millisecond()
            .saturating_sub(self.node.clock.now().as_millisecond());
        let at = self.now() + u64::try_from(left).unwrap_or(0);
        session.recheck_at.set(Some(at));
        self.watch_session(session);
    }

    /// Looks whether the session's device may still act.
    pub(crate) fn recheck(self: &Rc<Self>, session: &Rc<Session>) {
        let Some(device) = session.profile.device else {
            return;
        };
        // Once more in a minute, whether identity answers now or not.
        session.recheck_at.set(Some(self.now() + 60_000));
        let (worker, session) = (Rc::clone(self), Rc::clone(session));
        runtime::spawn_local(&self.node.lifecycle, "realtime-recheck", async move {
            let backend = worker.node.backend.clone();
            let asked = worker
                .node
                .on_main(async move { backend.device_is_live(device).await });
            if matches!(asked.await, Ok(false)) {
                worker.revoke(&session);
            }
        });
    }

    /// Ends a session whose login was taken back.
    pub(crate) fn revoke(&self, session: &Rc<Session>) {
        match session.conn() {
            Some(conn) => self.end(&conn, Close::Revoked),
            None => self.forget(session),
        }
    }

    /// Op 6, in a task of its own.
    pub(crate) fn begin_resume(self: &Rc<Self>, conn: &Rc<Conn>, resume: Resume) {
        let (worker, conn) = (Rc::clone(self), Rc::clone(conn));
        runtime::spawn_local(&self.node.lifecycle, "realtime-resume", async move {
            let result = Box::pin(worker.resume(&conn, resume)).await;
            let label = match result {
                Ok(true) => "resumed",
                Ok(false) => "invalid",
                Err(_) => "refused",
            };
            metrics::counter!("meydan_realtime_resumes_total", "result" => label).increment(1);
            match result {
                Ok(true) => {}
                Ok(false) => {
                    let now = worker.now();
                    conn.machine.borrow_mut().refused(now);
                    conn.say(INVALID_SESSION);
                    worker.mark_dirty(&conn);
                }
                Err(close) => worker.end(&conn, close),
            }
        });
    }

    /// False: the session cannot go on and the client has to identify.
    async fn resume(self: &Rc<Self>, conn: &Rc<Conn>, resume: Resume) -> Result<bool, Close> {
        let _joining = self.start_joining()?;
        let _permit = self.resumes.acquire().await.or(Err(Close::TryAgain))?;
        let backend = self.node.backend.clone();
        let token = resume.token;
        let verified = self
            .node
            .on_main(async move { backend.verify(&token).await })
            .await?;
        let found = self.sessions.borrow().get(&resume.session_id).cloned();
        let Some(session) = found else {
            return Ok(false);
        };
        let profile = &session.profile;
        let same = profile.user == verified.user && profile.device == verified.device;
        if !same || !matches!(*session.stage.borrow(), Stage::Live) || !conn.is_open() {
            return Ok(false);
        }
        conn.dialect.set(profile.cap.dialect());
        if let Some(old) = session.conn() {
            // The client came back before its old socket was seen to be dead.
            self.end(&old, Close::TryAgain);
        }
        match session.ring.borrow_mut().resume(resume.seq) {
            Ok(()) => {}
            Err(crate::ring::ResumeRefused::NeverSent) => return Err(Close::BadSequence),
            Err(crate::ring::ResumeRefused::TooOld) => {
                drop_later(self, &session);
                return Ok(false);
            }
        }
        if !self.node.take_socket(profile.user) {
            return Err(Close::TooManySockets);
        }
        *session.conn.borrow_mut() = Some(Rc::clone(conn));
        conn.attach(&session);
        conn.machine.borrow_mut().joined();
        self.expire_with_token(&session, &verified);
        let bytes = ready::resumed();
        self.push(
            &session,
            Rc::new(Tail {
                bytes,
                ephemeral: false,
            }),
        );
        self.mark_dirty(conn);
        Ok(true)
    }

    /// Op 8, in a task of its own.
    pub(crate) fn begin_members(self: &Rc<Self>, conn: &Rc<Conn>, request: Box<RequestMembers>) {
        let Some(session) = conn.session() else {
            return;
        };
        if !session.communities.borrow().contains(&request.guild_id) {
            return;
        }
        let worker = Rc::clone(self);
        runtime::spawn_local(&self.node.lifecycle, "realtime-members", async move {
            let Ok(_permit) = worker.identifies.acquire().await else {
                return;
            };
            let backend = worker.node.backend.clone();
            let (community, nonce) = (request.guild_id, request.nonce.clone());
            let asked = worker
                .node
                .on_main(async move { backend.members(&request).await });
            // A failure was logged; the client asks again after its own time-out.
            let Ok((members, missing)) = asked.await else {
                return;
            };
            for bytes in ready::member_chunks(community, &members, &missing, nonce.as_deref()) {
                worker.push(
                    &session,
                    Rc::new(Tail {
                        bytes,
                        ephemeral: false,
                    }),
                );
            }
        });
    }
}

/// A session that cannot be resumed from where its client stands is of no use any more.
fn drop_later(worker: &Rc<Worker>, session: &Rc<Session>) {
    let (worker, session) = (Rc::clone(worker), Rc::clone(session));
    let lifecycle = worker.node.lifecycle.clone();
    runtime::spawn_local(&lifecycle, "realtime-forget", async move {
        worker.forget(&session)
    });
}
