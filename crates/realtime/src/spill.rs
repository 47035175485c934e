//! How sessions survive a restart: a stopping worker says goodbye to its sockets, then leaves its
//! rings in the database; the next process takes them up before it serves.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use infra::fanout::Topic;
use kernel::{ChannelId, CommunityId};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::{Duration, sleep};

use crate::close::Close;
use crate::conn::Conn;
use crate::node::{Intake, Node};
use crate::presence::Wish;
use crate::rights::Rights;
use crate::ring::{Ring, Tail};
use crate::session::{Profile, Session, Stage};
use crate::sql;
use crate::worker::Worker;

/// Sessions stored or taken in one statement.
const BATCH: usize = 100;
/// Pause between two goodbyes when there is time enough.
const PAUSE: Duration = Duration::from_millis(10);
/// How long clients have to answer op 7 by closing.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// A session as it lies in the database.
#[derive(Serialize, Deserialize)]
pub(crate) struct Spilled {
    profile: Profile,
    /// With the class of roles, and the epoch of the channels it was told of.
    communities: Vec<(CommunityId, i32, i32)>,
    channels: Vec<ChannelId>,
    /// Number of the first slot.
    base: u64,
    /// The shared parts of the events; none where one was dropped.
    tails: Vec<Option<String>>,
    #[serde(default)]
    wish: Wish,
}

impl Worker {
    /// Sends op 7 to every socket, spread over the drain time, then closes what is left. New sockets
    /// are refused by then; events go on into the rings.
    pub(crate) async fn drain(self: Rc<Self>) {
        let conns: Vec<Rc<Conn>> = self
            .conns
            .borrow()
            .iter()
            .filter_map(std::rc::Weak::upgrade)
            .collect();
        let count = u32::try_from(conns.len()).unwrap_or(u32::MAX).max(1);
        let pause = (self.node.settings.drain / count).min(PAUSE);
        let hard = self.node.lifecycle.hard().clone();
        for conn in &conns {
            if conn.is_open() && conn.session().is_some() {
                conn.say(r#"{"op":7,"d":null}"#);
                self.mark_dirty(conn);
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = hard.cancelled() => break,
            }
        }
        if !conns.is_empty() {
            tokio::select! {
                () = sleep(ANSWER_WITHIN) => {}
                () = hard.cancelled() => {}
            }
        }
        for conn in &conns {
            self.end(conn, Close::Draining);
        }
    }

    /// Leaves every session to the next process. Nothing may be published any more.
    pub(crate) async fn spill(&self) {
        let sessions: Vec<_> = self.sessions.borrow().values().cloned().collect();
        let spilled: Vec<_> = sessions
            .iter()
            .filter_map(|session| self.pack(session))
            .collect();
        let total = spilled.len();
        for batch in spilled.chunks(BATCH) {
            let ids: Vec<_> = batch.iter().map(|s| s.profile.id.clone()).collect();
            let users: Vec<_> = batch.iter().map(|s| s.profile.user).collect();
            let data: Result<Vec<_>, _> = batch.iter().map(serde_json::to_value).collect();
            let Ok(data) = data else { continue };
            let (db, now) = (self.node.db.clone(), self.node.clock.now());
            let stored =
                self.node.on_main(async move {
                    sql::insert_spilled(&db, &ids, &users, &data, now).await.map_err(|error| {
                    tracing::error!(%error, "sessions could not be left to the next process");
                    Close::TryAgain
                })
                });
            if stored.await.is_err() {
                return;
            }
        }
        tracing::info!(
            sessions = total,
            worker = self.index,
            "sessions were left to the next process"
        );
    }

    /// Whether records wait for something that will not come in time: such a session would miss them.
    fn owes(&self, session: &Session) -> bool {
        let rights = self.rights.borrow();
        let waits = |id: &CommunityId| {
            matches!(rights.get(id),
            Some(Rights::Fetching { waiting, .. }) if !waiting.is_empty())
        };
        !session.joining.borrow().is_empty() || session.communities.borrow().keys().any(waits)
    }

    fn pack(&self, session: &Rc<Session>) -> Option<Spilled> {
        if !matches!(*session.stage.borrow(), Stage::Live) {
            return None;
        }
        if self.owes(session) {
            return None;
        }
        let ring = session.ring.borrow();
        let (base, slots) = ring.spill()?;
        let text = |tail: &Rc<Tail>| String::from_utf8(tail.bytes.to_vec()).ok();
        let topics = self.topics.borrow();
        let class = |id: &CommunityId| {
            topics
                .class(Topic::Community(*id), session.key)
                .unwrap_or(0)
        };
        Some(Spilled {
            profile: session.profile.clone(),
            communities: session
                .communities
                .borrow()
                .iter()
                .map(|(id, epoch)| (*id, class(id), *epoch))
                .collect(),
            channels: session.channels.borrow().iter().copied().collect(),
            base,
            tails: slots.map(|slot| slot.and_then(text)).collect(),
            wish: session.wish.borrow().clone(),
        })
    }

    /// A session of an earlier process lives on, without a socket, until its client comes.
    pub(crate) async fn restore(self: &Rc<Self>, spilled: Spilled) {
        let tail = |text: String| Rc::new(Tail::kept(Bytes::from(text)));
        let tails = spilled
            .tails
            .into_iter()
            .map(|text| text.map(tail))
            .collect();
        let ring = Ring::restored(self.node.settings.bounds(), spilled.base, tails);
        let session = Session::new(self.next_key(), spilled.profile, ring, Stage::Live);
        session.detached_at.set(self.now());
        *session.wish.borrow_mut() = spilled.wish;
        self.register(&session);
        let mut topics = vec![(Topic::User(session.profile.user), 0)];
        topics.extend(
            spilled
                .communities
                .iter()
                .map(|(id, class, _)| (Topic::Community(*id), *class)),
        );
        topics.extend(spilled.channels.iter().map(|id| (Topic::Channel(*id), 0)));
        session.communities.borrow_mut().extend(
            spilled
                .communities
                .iter()
                .map(|(id, _, epoch)| (*id, *epoch)),
        );
        session.channels.borrow_mut().extend(spilled.channels);
        if self.follow(&session, &topics).await.is_err() {
            return self.forget(&session);
        }
        let communities: Vec<_> = spilled.communities.iter().map(|(id, ..)| *id).collect();
        self.know_rights(&communities);
        self.watch_session(&session);
    }
}

/// Takes up what an earlier process left, before anything is served.
pub(crate) async fn restore(node: &Arc<Node>) -> db::Result<usize> {
    let keep = node.settings.keep_spilled;
    let since = node.clock.now() - keep;
    sql::delete_old_spilled(&node.db, since).await?;
    let mut restored = 0;
    loop {
        let rows = sql::take_spilled(&node.db, since, i64::try_from(BATCH).unwrap_or(1)).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            // A session of a form we no longer know is forgotten; its client identifies anew.
            let Ok(spilled) = serde_json::from_value::<Spilled>(row) else {
                continue;
            };
            let Some(worker) = node.worker_of(&spilled.profile.id) else {
                continue;
            };
            let Some(handle) = node.workers.get(worker) else {
                continue;
            };
            let intake = Intake::Restored(Box::new(spilled));
            // Waits for room: nobody else fills the mailboxes yet.
            if handle.mailbox.send(intake).await.is_ok() {
                restored += 1;
            }
        }
    }
    for worker in &node.workers {
        let (reached, wait) = oneshot::channel();
        if worker.mailbox.send(Intake::Fence(reached)).await.is_ok() {
            // A worker that is gone has nothing to restore.
            wait.await.unwrap_or_default();
        }
    }
    Ok(restored)
}
