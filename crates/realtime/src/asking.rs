//! What a session asks for beside events, each in a task of its own, one after the other: members,
//! what it missed, and that it is noted how far its user has read.

use std::rc::Rc;

use contracts::communities::Member;
use contracts::messaging::{Cursor, SyncFrom};

use crate::close::Close;
use crate::command::RequestMembers;
use crate::conn::Conn;
use crate::ready;
use crate::ring::Tail;
use crate::session::{PRESENCES, Session};
use crate::worker::Worker;

/// Most questions of a session that may wait for their answer.
const MAX_ASKING: usize = 32;

impl Worker {
    /// Op 8.
    pub(crate) fn begin_members(self: &Rc<Self>, conn: &Rc<Conn>, request: Box<RequestMembers>) {
        let Some(session) = conn.session() else {
            return;
        };
        if !session.communities.borrow().contains_key(&request.guild_id) {
            return;
        }
        self.ask(conn, session, |worker, session| async move {
            let Ok(permit) = worker.identifies.acquire().await else {
                return;
            };
            let backend = worker.node.backend.clone();
            let (community, nonce) = (request.guild_id, request.nonce.clone());
            let presences = request.presences;
            let asked = worker
                .node
                .on_main(async move { backend.members(&request).await });
            // A failure was logged; the client asks again after its own time-out.
            let Ok((members, missing)) = asked.await else {
                return;
            };
            drop(permit);
            let (profile, node) = (&session.profile, &worker.node);
            let here = |members: &[Member]| {
                let users = members.iter().filter_map(|m| Some(m.user.as_ref()?.id));
                node.presence.of_members(profile.user, community, users)
            };
            let wants = presences && profile.intents & PRESENCES != 0;
            let here: Option<&ready::Here<'_>> = if wants { Some(&here) } else { None };
            let nonce = nonce.as_deref();
            let chunks = ready::member_chunks(community, &members, &missing, nonce, here);
            for bytes in chunks {
                // They may be more than the queue holds. A client whose socket is gone asks again.
                if !session.has_room().await {
                    return;
                }
                worker.push(&session, Rc::new(Tail::kept(bytes)));
            }
        });
    }

    /// Op 61.
    pub(crate) fn begin_sync(self: &Rc<Self>, conn: &Rc<Conn>, from: Vec<SyncFrom>) {
        let Some(session) = conn.session() else {
            return;
        };
        self.ask(conn, session, |worker, session| async move {
            let Ok(permit) = worker.identifies.acquire().await else {
                return;
            };
            let (backend, user) = (worker.node.backend.clone(), session.profile.user);
            let asked = worker
                .node
                .on_main(async move { backend.sync(user, &from).await });
            let Ok(synced) = asked.await else {
                return;
            };
            drop(permit);
            for bytes in ready::sync_results(synced) {
                if !session.has_room().await {
                    return;
                }
                // Not kept: a client that resumes asks again.
                worker.push(&session, Rc::new(Tail::passing(bytes)));
            }
        });
    }

    /// Op 65. Nothing is answered: what got lost is said again by a later cursor.
    pub(crate) fn begin_receipts(self: &Rc<Self>, conn: &Rc<Conn>, cursors: Vec<Cursor>) {
        let Some(session) = conn.session().filter(|session| !session.profile.bot) else {
            return;
        };
        self.ask(conn, session, |worker, session| async move {
            let (backend, user) = (worker.node.backend.clone(), session.profile.user);
            let noted = worker
                .node
                .on_main(async move { backend.advance(user, &cursors).await });
            if let Err(close) = noted.await {
                tracing::debug!(
                    reason = close.reason(),
                    "cursors of a socket were not noted"
                );
            }
        });
    }

    /// Runs `question` when those before it are answered; too many that wait are too fast.
    fn ask<W: Future<Output = ()> + 'static>(
        self: &Rc<Self>,
        conn: &Rc<Conn>,
        session: Rc<Session>,
        question: impl FnOnce(Rc<Worker>, Rc<Session>) -> W + 'static,
    ) {
        let asking = Rc::clone(&session.asking);
        if Rc::strong_count(&asking) > MAX_ASKING {
            return self.end(conn, Close::RateLimited);
        }
        let worker = Rc::clone(self);
        runtime::spawn_local(&self.node.lifecycle, "realtime-asking", async move {
            let _turn = asking.lock().await;
            question(worker, session).await;
        });
    }
}
