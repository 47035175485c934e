//! From the fanout to the sessions: who gets which record in which form.

use std::collections::HashMap;
use std::rc::Rc;

use contracts::communities::Channel;
use infra::fanout::{Body, Control, Delivery, Dispatch, Topic};
use kernel::{ChannelId, CommunityId, UserId};

use crate::close::Close;
use crate::encoded::Encoded;
use crate::ready;
use crate::ring::Tail;
use crate::session::{Offer, Session, Stage};
use crate::view::View;
use crate::worker::{Rights, Worker};

/// Most records that wait for a community's rights, or for a session's snapshots. Beyond it the
/// sessions concerned begin anew rather than miss something.
const MAX_WAITING: usize = 4_096;

impl Worker {
    /// A record came for a topic of this worker.
    pub(crate) fn on_delivery(self: &Rc<Self>, delivery: Delivery) {
        if let Topic::Community(community) = delivery.topic {
            return self.on_community(community, delivery);
        }
        self.spread(&delivery, None);
    }

    /// Records of a community wait, in order, while newer rights than we know are fetched.
    fn on_community(self: &Rc<Self>, community: CommunityId, delivery: Delivery) {
        let record = &delivery.record;
        let mut rights = self.rights.borrow_mut();
        let view = match rights.get_mut(&community) {
            Some(Rights::Fetching { waiting, .. }) => {
                waiting.push(delivery);
                let full = waiting.len() > MAX_WAITING;
                drop(rights);
                if full {
                    self.on_gap(Topic::Community(community));
                }
                return;
            }
            Some(Rights::Known(view)) => Some(Rc::clone(view)),
            None => None,
        };
        // The channel of a CHANNEL_DELETE is in the old rights only.
        let is_farewell = matches!(&record.body, Body::Dispatch(d) if d.name == "CHANNEL_DELETE");
        let fresh = view
            .as_ref()
            .is_some_and(|view| record.epoch <= view.epoch || is_farewell);
        let changes = matches!(&record.body, Body::Control(Control::AccessChanged { epoch, .. })
            if view.as_ref().is_none_or(|view| *epoch > view.epoch));
        let needs_view = record.channel.is_some() || changes;
        if fresh && !changes || !needs_view {
            drop(rights);
            return self.spread(&delivery, view.as_deref());
        }
        let fetching = Rights::Fetching {
            before: view,
            waiting: vec![delivery],
        };
        rights.insert(community, fetching);
        drop(rights);
        self.fetch_rights(community);
    }

    fn fetch_rights(self: &Rc<Self>, community: CommunityId) {
        let worker = Rc::clone(self);
        runtime::spawn_local(&self.node.lifecycle, "realtime-rights", async move {
            let backend = worker.node.backend.clone();
            let asked = worker
                .node
                .on_main(async move { backend.view(community).await });
            let view = tokio::time::timeout(std::time::Duration::from_secs(2), asked).await;
            let Ok(Ok(view)) = view else {
                worker.rights.borrow_mut().remove(&community);
                return worker.on_gap(Topic::Community(community));
            };
            let view = Rc::new(view);
            let previous = worker
                .rights
                .borrow_mut()
                .insert(community, Rights::Known(Rc::clone(&view)));
            let Some(Rights::Fetching { before, waiting }) = previous else {
                return;
            };
            if let Some(before) = before {
                worker.show_difference(community, &before, &view).await;
            }
            for delivery in waiting {
                // A record may be newer still and start the next round.
                worker.on_delivery(delivery);
            }
        });
    }

    /// Tells sessions of channels that came into sight or went out of it.
    async fn show_difference(self: &Rc<Self>, community: CommunityId, old: &View, new: &View) {
        let topic = Topic::Community(community);
        let followers = self.topics.borrow().followers(topic).to_vec();
        // Members of one class see the same channels, save the few whom overwrites name.
        let mut fetched: HashMap<(i32, Option<UserId>), Vec<Channel>> = HashMap::new();
        for entry in followers {
            let user = entry.session.profile.user;
            self.hide(
                &entry.session,
                community,
                &old.seen_only_here(new, user, entry.class, entry.class),
            );
            let gained = new.seen_only_here(old, user, entry.class, entry.class);
            if !gained.is_empty() {
                let special = new.is_special(user).then_some(user);
                let known = fetched.entry((entry.class, special)).or_default();
                if known.is_empty() {
                    *known = self.channels_seen(&entry.session, community).await;
                }
                self.show(&entry.session, known, &gained);
            }
        }
    }

    async fn channels_seen(&self, session: &Session, community: CommunityId) -> Vec<Channel> {
        let (backend, profile) = (self.node.backend.clone(), session.profile.clone());
        let asked = self
            .node
            .on_main(async move { backend.tell(&profile, &[community]).await });
        let told = asked.await.unwrap_or_default();
        told.into_iter()
            .next()
            .map(|told| told.snapshot.channels)
            .unwrap_or_default()
    }

    fn hide(&self, session: &Session, community: CommunityId, lost: &[ChannelId]) {
        for channel in lost {
            let bytes = ready::channel_delete(community, *channel);
            self.push(
                session,
                Rc::new(Tail {
                    bytes,
                    ephemeral: false,
                }),
            );
        }
    }

    fn show(&self, session: &Session, channels: &[Channel], gained: &[ChannelId]) {
        for channel in channels
            .iter()
            .filter(|channel| gained.contains(&channel.id))
        {
            let bytes = ready::channel_create(channel);
            self.push(
                session,
                Rc::new(Tail {
                    bytes,
                    ephemeral: false,
                }),
            );
        }
    }

    /// Gives a record to every follower of its topic.
    fn spread(self: &Rc<Self>, delivery: &Delivery, view: Option<&View>) {
        let dispatch = match &delivery.record.body {
            Body::Dispatch(dispatch) => dispatch,
            Body::Control(control) => return self.on_control(delivery, control),
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
        if let (Topic::Community(community), "GUILD_DELETE") = (delivery.topic, &*dispatch.name) {
            self.leave_all(community);
        }
    }

    /// A community was deleted: nobody is told one by one.
    fn leave_all(&self, community: CommunityId) {
        let topic = Topic::Community(community);
        let followers = self.topics.borrow().followers(topic).to_vec();
        for entry in followers {
            entry.session.communities.borrow_mut().remove(&community);
            entry.session.joining.borrow_mut().remove(&community);
            self.unfollow(&entry.session, topic);
        }
    }

    /// The same for one session, when it catches up with what it let wait.
    pub(crate) fn deliver_to(self: &Rc<Self>, session: &Rc<Session>, delivery: &Delivery) {
        let dispatch = match &delivery.record.body {
            Body::Dispatch(dispatch) => dispatch,
            Body::Control(control) => return self.obey(session, control),
        };
        let encoded = Encoded::new(&delivery.record, dispatch);
        let class = self
            .topics
            .borrow()
            .class(delivery.topic, session.key)
            .unwrap_or(0);
        let view = match delivery.topic {
            Topic::Community(community) => match self.rights.borrow().get(&community) {
                Some(Rights::Known(view)) => Some(Rc::clone(view)),
                Some(Rights::Fetching { before, .. }) => before.clone(),
                None => None,
            },
            _ => None,
        };
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
        if let (Topic::Community(_), Some(channel)) = (delivery.topic, delivery.record.channel) {
            let sees = view.is_some_and(|view| view.sees(session.profile.user, class, channel));
            if !sees {
                return;
            }
        }
        self.push(session, encoded.tail(form, content));
    }

    fn on_control(self: &Rc<Self>, delivery: &Delivery, control: &Control) {
        match control {
            Control::Joined(_) | Control::Left(_) | Control::Follow(_) | Control::Unfollow(_) => {
                let followers = self.topics.borrow().followers(delivery.topic).to_vec();
                for entry in followers {
                    if !self.waits(&entry.session, delivery) {
                        self.obey(&entry.session, control);
                    }
                }
            }
            // New rights were fetched before it came here.
            Control::AccessChanged { .. } => {}
            Control::ClassChanged {
                community,
                user,
                class,
            } => {
                self.change_class(*community, *user, *class);
            }
            Control::DevicesRevoked(devices) => {
                for device in devices {
                    let sessions = self
                        .devices
                        .borrow()
                        .get(device)
                        .cloned()
                        .unwrap_or_default();
                    for session in sessions.iter().filter_map(std::rc::Weak::upgrade) {
                        self.revoke(&session);
                    }
                }
            }
            Control::BotTokenRevoked(bot) => {
                let followers = self.topics.borrow().followers(Topic::User(*bot)).to_vec();
                for entry in followers {
                    self.revoke(&entry.session);
                }
            }
        }
    }

    /// An order that concerns one session.
    fn obey(self: &Rc<Self>, session: &Rc<Session>, control: &Control) {
        match control {
            Control::Joined(community) if session.profile.carries(*community) => {
                self.join(session, *community);
            }
            Control::Left(community) if session.communities.borrow_mut().remove(community) => {
                session.joining.borrow_mut().remove(community);
                self.unfollow(session, Topic::Community(*community));
                let bytes = ready::guild_delete(*community);
                self.push(
                    session,
                    Rc::new(Tail {
                        bytes,
                        ephemeral: false,
                    }),
                );
            }
            Control::Follow(channel) if session.profile.carries_private() => {
                if session.channels.borrow_mut().insert(*channel) {
                    self.follow_soon(session, Topic::Channel(*channel), 0);
                }
            }
            Control::Unfollow(channel) if session.channels.borrow_mut().remove(channel) => {
                self.unfollow(session, Topic::Channel(*channel));
            }
            Control::ClassChanged {
                community,
                user,
                class,
            } if *user == session.profile.user => {
                self.topics
                    .borrow_mut()
                    .add(Topic::Community(*community), session, *class);
            }
            Control::Joined(_)
            | Control::Left(_)
            | Control::Follow(_)
            | Control::Unfollow(_)
            | Control::ClassChanged { .. }
            | Control::AccessChanged { .. }
            | Control::DevicesRevoked(_)
            | Control::BotTokenRevoked(_) => {}
        }
    }

    /// Follows a community from now on; what happens until its snapshot is here waits.
    fn join(self: &Rc<Self>, session: &Rc<Session>, community: CommunityId) {
        if !session.communities.borrow_mut().insert(community) {
            return;
        }
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
            worker
                .topics
                .borrow_mut()
                .add(topic, &session, told.snapshot.class);
            let bytes = ready::guild_create(&told);
            worker.push(
                &session,
                Rc::new(Tail {
                    bytes,
                    ephemeral: false,
                }),
            );
            for delivery in waiting {
                let old = matches!(delivery.record.version,
                    infra::fanout::Version::Rev(rev) if rev <= told.snapshot.rev);
                if !old {
                    worker.deliver_to(&session, &delivery);
                }
            }
        });
    }

    fn change_class(self: &Rc<Self>, community: CommunityId, user: UserId, class: i32) {
        let topic = Topic::Community(community);
        let sessions: Vec<_> = {
            let topics = self.topics.borrow();
            let of_user = topics
                .followers(topic)
                .iter()
                .filter(|e| e.session.profile.user == user);
            of_user.cloned().collect()
        };
        let view = match self.rights.borrow().get(&community) {
            Some(Rights::Known(view)) => Some(Rc::clone(view)),
            _ => None,
        };
        for entry in sessions {
            self.topics.borrow_mut().add(topic, &entry.session, class);
            let Some(view) = view.clone() else { continue };
            self.hide(
                &entry.session,
                community,
                &view.seen_only_here(&view, user, entry.class, class),
            );
            let gained = view.seen_only_here(&view, user, class, entry.class);
            if gained.is_empty() {
                continue;
            }
            let worker = Rc::clone(self);
            runtime::spawn_local(&self.node.lifecycle, "realtime-show", async move {
                let channels = worker.channels_seen(&entry.session, community).await;
                worker.show(&entry.session, &channels, &gained);
            });
        }
    }

    /// Records of a topic were lost: its sessions cannot be complete and begin anew.
    pub(crate) fn on_gap(&self, topic: Topic) {
        metrics::counter!("meydan_realtime_gaps_total").increment(1);
        let followers = self.topics.borrow().followers(topic).to_vec();
        for entry in followers {
            self.restart(&entry.session);
        }
    }

    /// Closes resumably but forgets the session, so that the client identifies and fetches.
    fn restart(&self, session: &Rc<Session>) {
        if let Some(conn) = session.conn() {
            self.end(&conn, Close::TryAgain);
        }
        self.forget(session);
    }
}

fn count_event(dispatch: &Dispatch) {
    let name = dispatch.name.to_string();
    metrics::counter!("meydan_realtime_events_total", "type" => name, "direction" => "out")
        .increment(1);
}
