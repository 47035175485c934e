//! From the fanout to the sessions: who gets which record in which form.

use std::rc::Rc;

use infra::fanout::{Body, Control, Delivery, Dispatch, Topic};
use kernel::perm::Chat;
use kernel::{ChannelId, CommunityId};

use crate::close::Close;
use crate::encoded::Encoded;
use crate::ready;
use crate::rights::NOT_TOLD;
use crate::ring::Tail;
use crate::session::{Offer, Session, Stage};
use crate::topics::Entry;
use crate::view::View;
use crate::worker::Worker;

/// Most records that wait for a community's rights, or for a session's snapshots. Beyond it the
/// sessions concerned begin anew rather than miss something.
pub(crate) const MAX_WAITING: usize = 4_096;

impl Worker {
    /// A record came for a topic of this worker.
    pub(crate) fn on_delivery(self: &Rc<Self>, delivery: Delivery) {
        if let Body::Presence(presence) = &delivery.record.body {
            // Behind everything else, and in no order with it.
            return self.on_presence(presence.user, delivery.clone());
        }
        if let Topic::Community(community) = delivery.topic {
            return self.on_community(community, delivery);
        }
        self.spread(&delivery, None);
    }

    /// Gives a record to every follower of its topic.
    pub(crate) fn spread(self: &Rc<Self>, delivery: &Delivery, view: Option<&View>) {
        let dispatch = match &delivery.record.body {
            Body::Dispatch(dispatch) => dispatch,
            Body::Control(control) => return self.on_control(delivery, control, view),
            Body::Presence(_) => return,
        };
        count_event(dispatch);
        let encoded = Encoded::new(&delivery.record, dispatch);
        // Copied, because a slow socket that is closed on the way changes the index. The copy is
        // one reference per follower.
        let followers = self.topics.borrow().followers(delivery.topic).to_vec();
        for entry in followers {
            if !self.waits(&entry.session, delivery) {
                self.offer(&entry.session, entry.class, &encoded, delivery, view);
            }
        }
        if let Topic::Community(community) = delivery.topic {
            self.list_changed_by(community, &dispatch.name);
        }
        if let (Topic::Community(community), "GUILD_DELETE") = (delivery.topic, &*dispatch.name) {
            self.leave_all(community);
        }
    }

    /// A community was deleted: nobody is told one by one.
    fn leave_all(&self, community: CommunityId) {
        let topic = Topic::Community(community);
        let followers = self.topics.borrow().followers(topic).to_vec();
        for entry in followers {
            entry.session.leave(community);
            self.unfollow(&entry.session, topic);
        }
    }

    /// The same for one session, when it catches up with what it let wait.
    pub(crate) fn deliver_to(self: &Rc<Self>, session: &Rc<Session>, delivery: &Delivery) {
        let view = match delivery.topic {
            Topic::Community(community) => {
                let rights = self.rights.borrow();
                rights.get(&community).and_then(|r| r.view().cloned())
            }
            Topic::Channel(_) | Topic::User(_) | Topic::Revoked => None,
        };
        let dispatch = match &delivery.record.body {
            Body::Dispatch(dispatch) => dispatch,
            Body::Control(control) => return self.obey(session, control, view.as_deref()),
            Body::Presence(_) => return,
        };
        let encoded = Encoded::new(&delivery.record, dispatch);
        let class = self
            .topics
            .borrow()
            .class(delivery.topic, session.key)
            .unwrap_or(0);
        self.offer(session, class, &encoded, delivery, view.as_deref());
    }

    /// Whether the session is not ready for the record, which then waits with it.
    fn waits(&self, session: &Rc<Session>, delivery: &Delivery) -> bool {
        let mut overflow = false;
        let mut keep = |waiting: &mut Vec<Delivery>| {
            overflow = waiting.len() >= MAX_WAITING;
            if !overflow {
                waiting.push(delivery.clone());
            }
        };
        let waits = match &mut *session.stage.borrow_mut() {
            Stage::Loading(waiting) => {
                keep(waiting);
                true
            }
            Stage::Ended => true,
            Stage::Live => match delivery.topic {
                Topic::Community(community) => session
                    .joining
                    .borrow_mut()
                    .get_mut(&community)
                    .map(&mut keep)
                    .is_some(),
                _ => false,
            },
        };
        if overflow {
            self.restart(session);
        }
        waits
    }

    fn offer(
        &self,
        session: &Session,
        class: i32,
        encoded: &Encoded<'_>,
        delivery: &Delivery,
        view: Option<&View>,
    ) {
        let Offer::Send(form, content) = session.judge(encoded) else {
            return;
        };
        if let Topic::Community(community) = delivery.topic
            && !session.looks_at(community, &encoded.dispatch.name)
        {
            return;
        }
        if let Topic::Community(_) = delivery.topic
            && !may_have(session, class, encoded, delivery.record.channel, view)
        {
            return;
        }
        self.push(session, encoded.tail(form, content));
    }

    fn on_control(self: &Rc<Self>, delivery: &Delivery, control: &Control, view: Option<&View>) {
        match control {
            Control::Joined(_)
            | Control::Left(_)
            | Control::Follow(_)
            | Control::Unfollow(_)
            | Control::ClassChanged { .. } => {
                let concerned = |entry: &&Entry| {
                    !matches!(control, Control::ClassChanged { user, .. }
                        if *user != entry.session.profile.user)
                };
                let followers: Vec<_> = {
                    let topics = self.topics.borrow();
                    let all = topics.followers(delivery.topic).iter();
                    all.filter(concerned).cloned().collect()
                };
                for entry in followers {
                    if let Control::Follow(channel) = control {
                        // At once, also while snapshots are fetched: what is said there waits too.
                        self.follow_private(&entry.session, *channel);
                    }
                    if !self.waits(&entry.session, delivery) {
                        self.obey(&entry.session, control, view);
                    }
                }
            }
            // New rights were fetched before it came here, keys and cookies open no sockets, and of
            // devices the verifier tells.
            Control::AccessChanged { .. }
            | Control::ApiKeyRevoked(_)
            | Control::CookieReplaced(_)
            | Control::DevicesRevoked(_) => {}
            Control::SightChanged => self.on_sight_changed(delivery.topic),
            Control::BotTokenRevoked(bot) => {
                let followers = self.topics.borrow().followers(Topic::User(*bot)).to_vec();
                for entry in followers {
                    self.revoke(&entry.session);
                }
            }
        }
    }

    /// An order that concerns one session.
    fn obey(self: &Rc<Self>, session: &Rc<Session>, control: &Control, view: Option<&View>) {
        match control {
            Control::Joined(community) if session.profile.carries(*community) => {
                self.join(session, *community);
            }
            Control::Left(community) if session.leave(*community) => {
                self.unfollow(session, Topic::Community(*community));
                let bytes = ready::guild_delete(*community);
                self.push(session, Rc::new(Tail::kept(bytes)));
            }
            Control::Unfollow(channel) if session.channels.borrow_mut().remove(channel) => {
                self.unfollow(session, Topic::Channel(*channel));
            }
            Control::ClassChanged {
                community,
                user,
                class,
            } if *user == session.profile.user => {
                self.change_class(session, *community, *class, view);
            }
            Control::Joined(_)
            | Control::Left(_)
            | Control::Follow(_)
            | Control::Unfollow(_)
            | Control::ClassChanged { .. }
            | Control::AccessChanged { .. }
            | Control::DevicesRevoked(_)
            | Control::BotTokenRevoked(_)
            | Control::ApiKeyRevoked(_)
            | Control::CookieReplaced(_)
            | Control::SightChanged => {}
        }
    }

    fn follow_private(&self, session: &Rc<Session>, channel: ChannelId) {
        if session.profile.carries_private() && session.channels.borrow_mut().insert(channel) {
            self.follow_soon(session, Topic::Channel(channel), 0);
        }
    }

    /// Follows a community from now on; what happens until its snapshot is here waits.
    fn join(self: &Rc<Self>, session: &Rc<Session>, community: CommunityId) {
        if session.told_of(community).is_some() {
            return;
        }
        session.tell_of(community, NOT_TOLD);
        session.joining.borrow_mut().insert(community, Vec::new());
        let (worker, session) = (Rc::clone(self), Rc::clone(session));
        runtime::spawn_local(&self.node.lifecycle, "realtime-join", async move {
            let topic = Topic::Community(community);
            let followed = worker.follow(&session, &[(topic, 0)]).await;
            let (backend, profile) = (worker.node.backend.clone(), session.profile.clone());
            let asked = worker
                .node
                .on_main(async move { backend.tell(&profile, &[community]).await });
            let told = match (followed, asked.await) {
                (Ok(()), Ok(told)) => told,
                _ => return worker.restart(&session),
            };
            let Some(waiting) = session.joining.borrow_mut().remove(&community) else {
                return;
            };
            // Not a member any more: the order to leave is on its way.
            let Some(told) = told.into_iter().next() else {
                return;
            };
            if worker.is_behind(community, told.snapshot.epoch) {
                return worker.restart(&session);
            }
            session.tell_of(community, told.snapshot.epoch);
            worker.know_rights(&[community]);
            worker
                .topics
                .borrow_mut()
                .add(topic, &session, told.snapshot.class);
            let presences = worker.presences_in(&session.profile, &told);
            let bytes = ready::guild_create(&told, presences);
            worker.push(&session, Rc::new(Tail::kept(bytes)));
            for delivery in waiting {
                let old = matches!(delivery.record.version,
                    infra::fanout::Version::Rev(rev) if rev <= told.snapshot.rev);
                if !old {
                    worker.deliver_to(&session, &delivery);
                }
            }
        });
    }

    /// Records of a topic were lost: its sessions cannot be complete and begin anew.
    pub(crate) fn on_gap(&self, topic: Topic) {
        metrics::counter!("meydan_realtime_gaps_total").increment(1);
        if topic == Topic::Revoked {
            return self.doubt_bots();
        }
        let followers = self.topics.borrow().followers(topic).to_vec();
        for entry in followers {
            self.restart(&entry.session);
        }
    }

    /// Closes resumably but forgets the session, so that the client identifies and fetches.
    pub(crate) fn restart(&self, session: &Rc<Session>) {
        if let Some(conn) = session.conn() {
            self.end(&conn, Close::TryAgain);
        }
        self.forget(session);
    }
}

/// Whether a member's rights let an event of a community through: those that REST asks of whoever
/// wants to read the same.
fn may_have(
    session: &Session,
    class: i32,
    encoded: &Encoded<'_>,
    channel: Option<ChannelId>,
    view: Option<&View>,
) -> bool {
    let (user, needs) = (session.profile.user, encoded.dispatch.needs);
    if channel.is_none() && needs == Chat::NONE {
        return true;
    }
    view.is_some_and(|view| view.may(user, class, channel, needs))
}

fn count_event(dispatch: &Dispatch) {
    let name = dispatch.name.to_string();
    metrics::counter!("meydan_realtime_events_total", "type" => name, "direction" => "out")
        .increment(1);
}
