//! How sessions begin and go on: IDENTIFY, RESUME, and the look at a device whose token expires.

use std::rc::{Rc, Weak};

use contracts::communities::Membership;
use contracts::identity::User;
use contracts::messaging::{Inbox, InboxParts};
use contracts::relations::Relationship;
use infra::fanout::{Topic, Version};
use kernel::{CommunityId, DeviceId};
use web_kit::{Missed, Revoked};

use crate::backend::{Told, Verified};
use crate::close::Close;
use crate::command::{Identify, Resume};
use crate::conn::Conn;
use crate::presence::Wish;
use crate::ready;
use crate::rights::NOT_TOLD;
use crate::ring::{Ring, Tail};
use crate::session::{Capabilities, PRIVILEGED, Profile, Session, Stage};
use crate::worker::Worker;

/// Most sockets of a worker that wait for their IDENTIFY or RESUME.
const MAX_JOINING: usize = 4_096;
/// How often snapshots are taken anew because rights changed meanwhile.
const LOOKS: usize = 3;
/// Bounds of `large_threshold`.
const LARGE: std::ops::RangeInclusive<u16> = 50..=250;
/// Op 9. Always `false`: on `true` discord.js resends RESUME on the same socket at once.
const INVALID_SESSION: &str = r#"{"op":9,"d":false}"#;

/// What a new session is shown.
struct Shown {
    told: Vec<Told>,
    user: User,
    inbox: Inbox,
    relationships: Vec<Relationship>,
}

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
        let wish = match &identify.presence {
            Some(d) => Wish::parse(d.get())?,
            None => Wish::default(),
        };
        if !conn.is_open() {
            return Ok(());
        }
        if !self.node.take_socket(profile.user) {
            return Err(Close::TooManySockets);
        }
        let ring = Ring::new(self.node.settings.bounds(), Vec::new());
        let session = Session::new(self.next_key(), profile, ring, Stage::Loading(Vec::new()));
        *session.wish.borrow_mut() = wish;
        self.register(&session);
        let mut loaded = self.load(conn, &session, &verified).await;
        if self.is_revoked(&session) {
            // Between the look at its token and its registration nobody could end it.
            loaded = Err(Close::Revoked);
        }
        if loaded.is_err() || !conn.is_open() {
            // Not attached yet, so the count of the user's sockets is given back here.
            self.node.release_socket(session.profile.user);
            self.forget(&session);
            return loaded;
        }
        *session.conn.borrow_mut() = Some(Rc::clone(conn));
        conn.attach(&session);
        conn.machine.borrow_mut().joined();
        self.show_self(&session);
        self.pay_owed(&session);
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
        let intents = identify.intents.unwrap_or(u64::MAX) | cap.intents();
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
            is_mobile: identify.is_mobile(),
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
            .on_main(async move { backend.world(user, InboxParts::Channels).await })
            .await?;
        let memberships: Vec<_> = world
            .memberships
            .into_iter()
            .filter(|m| profile.carries(m.community))
            .collect();
        self.follow_world(session, &memberships, &world.inbox)
            .await?;
        let ids: Vec<CommunityId> = memberships.iter().map(|m| m.community).collect();
        let mut view = self.look(profile, &ids).await?;
        for _ in 1..LOOKS {
            if !self.is_out_of_date(&view.told) {
                break;
            }
            view = self.look(profile, &ids).await?;
        }
        if self.is_out_of_date(&view.told) {
            return Err(Close::TryAgain);
        }
        let url = self.resume_url(conn);
        let private = if profile.bot || !profile.carries_private() {
            &[][..]
        } else {
            &view.inbox.channels
        };
        let mut prelude = vec![ready::ready(&ready::Ready {
            profile,
            user: &view.user,
            bot: verified.bot,
            guilds: view
                .told
                .iter()
                .map(|told| told.snapshot.guild.id)
                .collect(),
            private_channels: private,
            read_states: &view.inbox.read_states,
            drafts: &view.inbox.drafts,
            relationships: &view.relationships,
            presences: self.presences_around(profile, &view.relationships, private),
            resume_gateway_url: &url,
        })];
        let create = |told| ready::guild_create(told, self.presences_in(profile, told));
        prelude.extend(view.told.iter().map(create));
        *session.ring.borrow_mut() = Ring::new(self.node.settings.bounds(), prelude);
        self.go_live(session, &view.told)
    }

    /// Everything READY and GUILD_CREATE show.
    async fn look(&self, profile: &Profile, ids: &[CommunityId]) -> Result<Shown, Close> {
        let (backend, asked, ids) = (self.node.backend.clone(), profile.clone(), ids.to_vec());
        let node = std::sync::Arc::clone(&self.node);
        let shown = self.node.on_main(async move {
            let told = backend.tell(&asked, &ids).await?;
            let user = backend.user(asked.user).await?;
            // Once more: a DM may have been opened between the first look and the topics.
            let world = backend.world(asked.user, asked.inbox_parts()).await?;
            let relationships = backend.relationships(&asked).await?;
            node.learn_rule(&asked).await?;
            Ok(Shown {
                told,
                user,
                inbox: world.inbox,
                relationships,
            })
        });
        shown.await
    }

    /// Whether rights changed between the snapshots and now: the sessions that follow were told of
    /// it already, so these have to be taken anew.
    fn is_out_of_date(&self, told: &[Told]) -> bool {
        let behind = |told: &Told| self.is_behind(told.snapshot.guild.id, told.snapshot.epoch);
        told.iter().any(behind)
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
            .extend(memberships.iter().map(|m| (m.community, NOT_TOLD)));
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
    fn go_live(self: &Rc<Self>, session: &Rc<Session>, told: &[Told]) -> Result<(), Close> {
        let waiting = match &mut *session.stage.borrow_mut() {
            Stage::Loading(waiting) => std::mem::take(waiting),
            // Revoked, or records of it were lost.
            Stage::Live | Stage::Ended => return Err(Close::TryAgain),
        };
        *session.stage.borrow_mut() = Stage::Live;
        for told in told {
            let community = told.snapshot.guild.id;
            // Deleted meanwhile: its end is among what waits.
            if session.told_of(community).is_some() {
                session.tell_of(community, told.snapshot.epoch);
                let topic = Topic::Community(community);
                self.topics
                    .borrow_mut()
                    .add(topic, session, told.snapshot.class);
            }
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
        if !session.ring.borrow().is_whole() {
            return Err(Close::TryAgain);
        }
        let communities: Vec<_> = session.communities.borrow().keys().copied().collect();
        self.know_rights(&communities);
        Ok(())
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

    fn is_revoked(&self, session: &Session) -> bool {
        let verifier = &self.node.backend.verifier;
        let device = session.profile.device;
        device.is_some_and(|device| verifier.is_revoked(device))
    }

    /// Ends a session whose login was taken back.
    pub(crate) fn revoke(&self, session: &Rc<Session>) {
        if let Some(conn) = session.conn() {
            self.end(&conn, Close::Revoked);
        }
        self.forget(session);
    }

    /// Ends the sessions of devices as they are revoked, by whatever way this node is told.
    pub(crate) async fn obey_revocations(self: Rc<Self>, mut revoked: Revoked) {
        loop {
            let devices = match revoked.next().await {
                Ok(devices) => devices.to_vec(),
                Err(Missed) => self.all_revoked(),
            };
            for device in devices {
                let sessions = self.devices.borrow().get(&device).cloned();
                for session in sessions.iter().flatten().filter_map(Weak::upgrade) {
                    self.revoke(&session);
                }
            }
        }
    }

    fn all_revoked(&self) -> Vec<DeviceId> {
        let verifier = &self.node.backend.verifier;
        let devices = self.devices.borrow();
        let revoked = devices
            .keys()
            .filter(|device| verifier.is_revoked(**device));
        revoked.copied().collect()
    }

    /// Records of revoked tokens were lost: bots have to come again.
    pub(crate) fn doubt_bots(&self) {
        let sessions: Vec<_> = self.sessions.borrow().values().cloned().collect();
        for session in sessions.iter().filter(|s| s.profile.device.is_none()) {
            self.restart(session);
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
        // Belongs to this socket: another RESUME must not bring it again. Nothing drops it, because
        // a queue that was just taken up counts as empty.
        self.push(&session, Rc::new(Tail::passing(ready::resumed())));
        self.pay_owed(&session);
        self.show_self(&session);
        self.show_lists_again(&session);
        self.mark_dirty(conn);
        Ok(true)
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
