//! The rights of followed communities: records that need newer ones wait, in order, and sessions are
//! told which channels came into sight or went out of it.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::rc::Rc;

use contracts::communities::Channel;
use infra::fanout::{Body, Control, Delivery, Record, Topic};
use kernel::perm::Chat;
use kernel::{ChannelId, CommunityId, UserId};
use tokio::time::{Duration, Instant, sleep, timeout};

use crate::close::Close;
use crate::dispatch::MAX_WAITING;
use crate::ready;
use crate::ring::Tail;
use crate::session::Session;
use crate::view::View;
use crate::worker::{RECORDS_PER_TURN, Worker};

/// How long a community's records wait for its rights; then its sessions begin anew.
const FETCH_WITHIN: Duration = Duration::from_secs(2);
/// Pause before rights that were too old are fetched again.
const FETCH_PAUSE: Duration = Duration::from_millis(50);

/// Epoch of what a session was told of a community that it is still being told of.
pub(crate) const NOT_TOLD: i32 = i32::MAX;

/// Rights of a community as this worker knows them.
pub(crate) enum Rights {
    Known(Rc<View>),
    /// Being fetched; the community's records wait, in order.
    Fetching {
        before: Option<Rc<View>>,
        waiting: VecDeque<Delivery>,
    },
}

impl Rights {
    /// The newest that are in force here.
    pub(crate) fn view(&self) -> Option<&Rc<View>> {
        match self {
            Rights::Known(view) => Some(view),
            Rights::Fetching { before, .. } => before.as_ref(),
        }
    }
}

/// Whether a record needs newer rights than these.
fn is_ahead(record: &Record, view: Option<&View>) -> bool {
    let newer = |epoch: i32| view.is_none_or(|view| epoch > view.epoch);
    match &record.body {
        Body::Control(Control::AccessChanged { epoch, .. }) => newer(*epoch),
        // What the new class changes for the member is told by the rights.
        Body::Control(Control::ClassChanged { .. }) => newer(record.epoch),
        // The channel of a CHANNEL_DELETE is in the old rights only.
        Body::Dispatch(dispatch) if dispatch.name == "CHANNEL_DELETE" => view.is_none(),
        Body::Dispatch(dispatch) if dispatch.needs != Chat::NONE => newer(record.epoch),
        Body::Control(_) | Body::Dispatch(_) => record.channel.is_some() && newer(record.epoch),
        Body::Presence(_) => false,
    }
}

impl Worker {
    /// A record of a community came.
    pub(crate) fn on_community(self: &Rc<Self>, community: CommunityId, delivery: Delivery) {
        // A record that was under way when the last follower left.
        if self.topics.borrow().followers(delivery.topic).is_empty() {
            return;
        }
        let mut rights = self.rights.borrow_mut();
        let view = match rights.get_mut(&community) {
            Some(Rights::Fetching { waiting, .. }) => {
                waiting.push_back(delivery);
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
        if !is_ahead(&delivery.record, view.as_deref()) {
            drop(rights);
            return self.spread(&delivery, view.as_deref());
        }
        let fetching = Rights::Fetching {
            before: view,
            waiting: VecDeque::from([delivery]),
        };
        rights.insert(community, fetching);
        drop(rights);
        let worker = Rc::clone(self);
        runtime::spawn_local(&self.node.lifecycle, "realtime-rights", async move {
            worker.fetch_rights(community).await;
        });
    }

    /// Fetches rights before a record needs them: only who knows what was seen before can tell what
    /// a change changes.
    pub(crate) fn know_rights(self: &Rc<Self>, communities: &[CommunityId]) {
        let mut unknown = communities.to_vec();
        unknown.retain(|community| !self.rights.borrow().contains_key(community));
        if unknown.is_empty() {
            return;
        }
        let worker = Rc::clone(self);
        runtime::spawn_local(&self.node.lifecycle, "realtime-rights", async move {
            let Ok(_permit) = worker.foresight.acquire().await else {
                return;
            };
            for community in unknown {
                if worker.begin_foresight(community) {
                    worker.fetch_rights(community).await;
                }
            }
        });
    }

    fn begin_foresight(&self, community: CommunityId) -> bool {
        let topic = Topic::Community(community);
        let mut rights = self.rights.borrow_mut();
        let wanted =
            !rights.contains_key(&community) && !self.topics.borrow().followers(topic).is_empty();
        if wanted {
            let fetching = Rights::Fetching {
                before: None,
                waiting: VecDeque::new(),
            };
            rights.insert(community, fetching);
        }
        wanted
    }

    /// Whether these rights are older than those in force here.
    pub(crate) fn is_behind(&self, community: CommunityId, epoch: i32) -> bool {
        let rights = self.rights.borrow();
        let view = rights.get(&community).and_then(Rights::view);
        view.is_some_and(|view| !view.is_gone() && view.epoch > epoch)
    }

    async fn fetch_rights(self: &Rc<Self>, community: CommunityId) {
        let begun = Instant::now();
        loop {
            let backend = self.node.backend.clone();
            let asked = self
                .node
                .on_main(async move { backend.view(community).await });
            let Ok(Ok(view)) = timeout(FETCH_WITHIN, asked).await else {
                return self.give_up(community);
            };
            let view = Rc::new(view);
            self.show_difference(community, &view).await;
            if self.give_out(community, &view).await {
                return;
            }
            // What we read is older than the record says; a replica may be behind, but not for long.
            if begun.elapsed() >= FETCH_WITHIN {
                return self.give_up(community);
            }
            sleep(FETCH_PAUSE).await;
        }
    }

    fn give_up(&self, community: CommunityId) {
        let mut rights = self.rights.borrow_mut();
        let Some(Rights::Fetching { waiting, .. }) = rights.get(&community) else {
            return;
        };
        let lost = !waiting.is_empty();
        rights.remove(&community);
        drop(rights);
        if lost {
            self.on_gap(Topic::Community(community));
        }
    }

    /// Gives out what waited for the rights, a few records at a time so that sockets are written
    /// between; what comes meanwhile waits behind them. False: a record needs rights newer still.
    async fn give_out(self: &Rc<Self>, community: CommunityId, view: &Rc<View>) -> bool {
        loop {
            for _ in 0..RECORDS_PER_TURN {
                let next = match self.rights.borrow_mut().get_mut(&community) {
                    Some(Rights::Fetching { before, waiting }) => {
                        *before = Some(Rc::clone(view));
                        match waiting.front() {
                            Some(next) if is_ahead(&next.record, Some(view)) => return false,
                            _ => waiting.pop_front(),
                        }
                    }
                    // All followers left, or somebody else was faster.
                    Some(Rights::Known(_)) | None => return true,
                };
                let Some(delivery) = next else {
                    let known = Rights::Known(Rc::clone(view));
                    self.rights.borrow_mut().insert(community, known);
                    return true;
                };
                self.spread(&delivery, Some(view));
            }
            tokio::task::yield_now().await;
        }
    }

    /// Tells sessions of channels that came into sight or went out of it. A session for which this
    /// cannot be told apart begins anew.
    async fn show_difference(self: &Rc<Self>, community: CommunityId, new: &View) {
        if new.is_gone() {
            return;
        }
        let topic = Topic::Community(community);
        let old = self
            .rights
            .borrow()
            .get(&community)
            .and_then(|r| r.view().cloned());
        let followers = self.topics.borrow().followers(topic).to_vec();
        // Members of one class see the same channels, save the few whom overwrites name.
        let mut fetched: HashMap<(i32, Option<UserId>), Vec<Channel>> = HashMap::new();
        for entry in followers {
            let session = &entry.session;
            let Some(old) = old.as_ref().filter(|old| {
                let told = session.told_of(community);
                told == Some(old.epoch) && old.epoch < new.epoch
            }) else {
                continue;
            };
            session.tell_of(community, new.epoch);
            let (user, class) = (session.profile.user, entry.class);
            self.hide(
                session,
                community,
                &old.seen_only_here(new, user, class, class),
            );
            let gained = new.seen_only_here(old, user, class, class);
            if gained.is_empty() {
                continue;
            }
            let known = (class, new.is_special(user).then_some(user));
            let channels = match fetched.entry(known) {
                Entry::Occupied(channels) => channels.into_mut(),
                Entry::Vacant(none) => match self.channels_seen(session, community).await {
                    Ok(channels) => none.insert(channels),
                    Err(_) => {
                        self.restart(session);
                        continue;
                    }
                },
            };
            self.show(session, channels, &gained);
        }
        // Told of rights in between, or while the others were shown theirs.
        let followers = self.topics.borrow().followers(topic).to_vec();
        for entry in followers {
            let told = entry.session.told_of(community);
            if told.is_some_and(|told| told < new.epoch) {
                self.restart(&entry.session);
            }
        }
    }

    async fn channels_seen(
        &self,
        session: &Session,
        community: CommunityId,
    ) -> Result<Vec<Channel>, Close> {
        let (backend, profile) = (self.node.backend.clone(), session.profile.clone());
        let asked = self
            .node
            .on_main(async move { backend.tell(&profile, &[community]).await });
        // Nothing is told to somebody who left meanwhile.
        let told = asked.await?.into_iter().next();
        Ok(told.map(|told| told.snapshot.channels).unwrap_or_default())
    }

    fn hide(&self, session: &Session, community: CommunityId, lost: &[ChannelId]) {
        for channel in lost {
            let bytes = ready::channel_delete(community, *channel);
            self.push(session, Rc::new(Tail::kept(bytes)));
        }
    }

    fn show(&self, session: &Session, channels: &[Channel], gained: &[ChannelId]) {
        for channel in channels
            .iter()
            .filter(|channel| gained.contains(&channel.id))
        {
            let bytes = ready::channel_create(channel);
            self.push(session, Rc::new(Tail::kept(bytes)));
        }
    }

    /// Another class of roles applies to a session's user.
    pub(crate) fn change_class(
        self: &Rc<Self>,
        session: &Rc<Session>,
        community: CommunityId,
        class: i32,
        view: Option<&View>,
    ) {
        let topic = Topic::Community(community);
        let Some(before) = self.topics.borrow().class(topic, session.key) else {
            return;
        };
        self.topics.borrow_mut().add(topic, session, class);
        let Some(view) = view else {
            return self.restart(session);
        };
        let user = session.profile.user;
        self.hide(
            session,
            community,
            &view.seen_only_here(view, user, before, class),
        );
        let gained = view.seen_only_here(view, user, class, before);
        if gained.is_empty() {
            return;
        }
        let (worker, session) = (Rc::clone(self), Rc::clone(session));
        runtime::spawn_local(&self.node.lifecycle, "realtime-show", async move {
            match worker.channels_seen(&session, community).await {
                Ok(channels) => worker.show(&session, &channels, &gained),
                Err(_) => worker.restart(&session),
            }
        });
    }
}
