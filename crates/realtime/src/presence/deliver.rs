//! The workers' side of presence: what sockets want shown goes to the node's book, and what is
//! published of others goes out through the worker's outlet.

use std::collections::{BTreeSet, VecDeque};
use std::rc::{Rc, Weak};
use std::time::Duration;

use contracts::communities::channel_kind;
use contracts::messaging::PrivateChannel;
use contracts::relations::Relationship;
use infra::fanout::{Body, Delivery, Topic};
use kernel::UserId;
use serde_json::Value;
use tokio::time::sleep;

use super::outlet::PORTIONS;
use super::{Reach, Wish};
use crate::backend::Told;
use crate::conn::Conn;
use crate::encoded::tail;
use crate::metrics_table::PRESENCE_DROPPED;
use crate::ring::{Subject, Tail};
use crate::session::{PRESENCES, Profile, Session, Stage};
use crate::subscribe::Changed;
use crate::worker::Worker;

/// States a session is owed at most: what changed while it had no socket, or took nothing.
pub(crate) const MAX_OWED: usize = 200;

impl Worker {
    /// Op 3: takes effect now, or when the budget allows.
    pub(crate) fn on_wish(self: &Rc<Self>, conn: &Conn, wish: Wish) {
        let Some(session) = conn.session() else {
            return;
        };
        let mut wishes = session.wishes.borrow_mut();
        let waited = wishes.due().is_some();
        let granted = wishes.ask(wish, self.now());
        drop(wishes);
        // One that waits is looked at already: nobody fills the wheel.
        if granted.is_some() || !waited {
            self.obey_wish(&session, granted);
        }
    }

    /// A wish that waited may take effect.
    pub(crate) fn look_at_wishes(&self, session: &Rc<Session>) {
        let granted = session.wishes.borrow_mut().take(self.now());
        self.obey_wish(session, granted);
    }

    fn obey_wish(&self, session: &Rc<Session>, granted: Option<Wish>) {
        if let Some(wish) = granted {
            *session.wish.borrow_mut() = wish;
            self.show_self(session);
        }
        self.watch_session(session);
    }

    /// The session's socket counts for its user from now on.
    pub(crate) fn show_self(&self, session: &Session) {
        if session.conn.borrow().is_some() {
            let wish = session.wish.borrow().clone();
            let profile = &session.profile;
            let key = (self.index, session.key);
            self.node
                .presence
                .put(profile.user, key, profile.client(), wish);
        }
    }

    /// It does no more.
    pub(crate) fn hide_self(&self, session: &Session) {
        let key = (self.index, session.key);
        self.node.presence.remove(session.profile.user, key);
    }

    /// Who may see the user of a topic changed.
    pub(crate) fn on_sight_changed(&self, topic: Topic) {
        if let Topic::User(user) = topic {
            self.node.presence.doubt(user);
        }
    }

    /// Who is here of those a session is shown as members of a community.
    pub(crate) fn presences_in(&self, profile: &Profile, told: &Told) -> Vec<Value> {
        if profile.intents & PRESENCES == 0 || profile.cap.is_lazy() {
            return Vec::new();
        }
        let users = told
            .members
            .iter()
            .filter_map(|m| Some(m.user.as_ref()?.id));
        let community = told.snapshot.guild.id;
        self.node
            .presence
            .of_members(profile.user, community, users)
    }

    /// Who is here of friends and of those with direct channels.
    pub(crate) fn presences_around(
        &self,
        profile: &Profile,
        relationships: &[Relationship],
        private: &[PrivateChannel],
    ) -> Vec<Value> {
        if profile.intents & PRESENCES == 0 {
            return Vec::new();
        }
        let friends = relationships.iter().filter(|r| r.kind == 1).map(|r| r.id);
        let direct = private
            .iter()
            .filter(|channel| channel.kind == channel_kind::DM);
        let peers = direct.flat_map(|channel| channel.recipients.iter().map(|user| user.id));
        let around: BTreeSet<UserId> = friends.chain(peers).collect();
        let seen = |user| Some((user, self.node.presence.of_user(profile.user, user)?));
        let here = around.into_iter().filter_map(seen);
        here.map(|(user, shown)| shown.payload(user, None))
            .collect()
    }

    /// A state of somebody came.
    pub(crate) fn on_presence(self: &Rc<Self>, user: UserId, delivery: Delivery) {
        if self.topics.borrow().followers(delivery.topic).is_empty() {
            return;
        }
        if let Topic::Community(community) = delivery.topic {
            self.list_changed(community, Changed::Presences);
        }
        let dropped = self.outlet.borrow_mut().offer(user, delivery);
        if dropped > 0 {
            metrics::counter!(PRESENCE_DROPPED).increment(dropped);
        }
        self.wake_outlet.notify_one();
    }

    /// Says who is here, a portion at a time.
    pub(crate) async fn say_presence(self: Rc<Self>) {
        let pause = Duration::from_secs(1) / u32::try_from(PORTIONS).unwrap_or(1);
        loop {
            while self.outlet.borrow().is_empty() {
                self.wake_outlet.notified().await;
            }
            let given = self
                .outlet
                .borrow_mut()
                .portion(|delivery| self.receivers(delivery));
            for (delivery, to) in given {
                self.say_to(&delivery, &to);
            }
            sleep(pause).await;
        }
    }

    fn say_to(&self, delivery: &Delivery, to: &[Weak<Session>]) {
        let Body::Presence(presence) = &delivery.record.body else {
            return;
        };
        let tail = Rc::new(Tail {
            bytes: tail("PRESENCE_UPDATE", "", &presence.data),
            ephemeral: true,
            subject: Some(Subject::Presence(presence.user, delivery.record.community)),
        });
        for session in to.iter().filter_map(Weak::upgrade) {
            self.push(&session, Rc::clone(&tail));
        }
    }

    /// Whose sessions are told.
    fn receivers(&self, delivery: &Delivery) -> VecDeque<Weak<Session>> {
        let Body::Presence(presence) = &delivery.record.body else {
            return VecDeque::new();
        };
        let community = delivery.record.community;
        let topics = self.topics.borrow();
        let book = self.node.presence.book();
        let wants = |session: &Session| {
            let viewer = session.profile.user;
            let may =
                viewer == presence.user || presence.hidden_from.binary_search(&viewer).is_err();
            may && match (delivery.topic, community) {
                // Published for this user alone, who may see it.
                (Topic::User(_), _) | (_, None) => session.profile.intents & PRESENCES != 0,
                (_, Some(community)) => {
                    (viewer == presence.user || book.reach(viewer) == Reach::Everybody)
                        && session.wants_presence(community, presence.user)
                }
            }
        };
        let followers = topics.followers(delivery.topic).iter();
        let wanting = followers.filter(|entry| wants(&entry.session));
        wanting.map(|entry| Rc::downgrade(&entry.session)).collect()
    }

    /// Notes the newest state for a session that cannot take it now.
    pub(crate) fn owe(&self, session: &Session, tail: &Rc<Tail>) {
        let Some(subject) = tail.subject else { return };
        if matches!(*session.stage.borrow(), Stage::Ended) || !tail.ephemeral {
            return;
        }
        let mut owed = session.owed.borrow_mut();
        if owed.len() < MAX_OWED || owed.contains_key(&subject) {
            owed.insert(subject, Rc::clone(tail));
        } else {
            metrics::counter!(PRESENCE_DROPPED).increment(1);
        }
    }

    /// Says what is owed, when there is room again.
    pub(crate) fn pay_owed(&self, session: &Session) {
        loop {
            if session.owed.borrow().is_empty()
                || session.conn.borrow().is_none()
                || session.ring.borrow().is_half_full()
                || !matches!(*session.stage.borrow(), Stage::Live)
            {
                return;
            }
            let Some((_, tail)) = session.owed.borrow_mut().pop_first() else {
                return;
            };
            self.push(session, tail);
        }
    }
}
