//! Op 60: windows of member lists, kept up to date with bounded work.
//!
//! A list is made anew at most every [`PAUSE`] per community, and only while somebody looks; members
//! are fetched only when one of them changed, or after [`STALE`].

use std::collections::hash_map::{Entry, HashMap};
use std::rc::Rc;

use contracts::communities::{Channel, Member, MemberQuery};
use infra::fanout::Topic;
use kernel::perm::Overwrite;
use kernel::{ChannelId, CommunityId, UserId};
use tokio::time::{Duration, sleep};

use crate::backend::{Backend, try_again};
use crate::close::Close;
use crate::conn::Conn;
use crate::encoded::tail;
use crate::machine::Ms;
use crate::ring::Tail;
use crate::session::Session;
use crate::windows::{Base, List, Offline, Subscription};
use crate::worker::Worker;

/// Between two lists of a community.
const PAUSE: Duration = Duration::from_secs(2);
/// How long members are believed when nothing was said of a change.
const STALE: Ms = 60_000;
/// Members of a community that are listed at most; the others are counted.
const MAX_LISTED: usize = 10_000;
/// Members in one question.
const PAGE: u16 = 1_000;

/// A community whose lists somebody looks at.
#[derive(Default)]
pub(crate) struct Watched {
    base: Option<Rc<Base>>,
    fetched_at: Ms,
    /// Members or roles changed since.
    is_old: bool,
    /// Something changed since lists were made, and whether a task sees to it.
    is_dirty: bool,
    is_tended: bool,
}

impl Worker {
    /// Op 60. A community the session is not in is not answered.
    pub(crate) fn on_subscribe(
        self: &Rc<Self>,
        conn: &Rc<Conn>,
        community: CommunityId,
        subscription: Subscription,
    ) {
        let Some(session) = conn.session() else {
            return;
        };
        if session.told_of(community).is_none() {
            return;
        }
        let looks = !subscription.windows.is_empty();
        session
            .subscriptions
            .borrow_mut()
            .put(community, subscription);
        if looks {
            self.watched.borrow_mut().entry(community).or_default();
            self.list_changed(community, Changed::Presences);
        }
    }

    /// What was sent to a socket that is gone may not have arrived: windows are shown whole again.
    pub(crate) fn show_lists_again(self: &Rc<Self>, session: &Session) {
        let communities = session.subscriptions.borrow_mut().forget_sent();
        for community in communities {
            self.watched.borrow_mut().entry(community).or_default();
            self.list_changed(community, Changed::Presences);
        }
    }

    /// Something of a community changed that its lists show.
    pub(crate) fn list_changed(self: &Rc<Self>, community: CommunityId, what: Changed) {
        let mut watched = self.watched.borrow_mut();
        let Some(known) = watched.get_mut(&community) else {
            return;
        };
        known.is_dirty = true;
        known.is_old |= what == Changed::Members;
        if std::mem::replace(&mut known.is_tended, true) {
            return;
        }
        drop(watched);
        let worker = Rc::clone(self);
        runtime::spawn_local(&self.node.lifecycle, "realtime-lists", async move {
            worker.tend_lists(community).await;
        });
    }

    /// The same for an event of the community, by its name.
    pub(crate) fn list_changed_by(self: &Rc<Self>, community: CommunityId, event: &str) {
        let concerns = [
            "GUILD_MEMBER",
            "GUILD_ROLE_",
            "GUILD_UPDATE",
            "CHANNEL_UPDATE",
        ];
        if concerns.iter().any(|name| event.starts_with(name)) {
            self.list_changed(community, Changed::Members);
        }
    }

    /// Makes lists until nothing changes any more, with pauses.
    async fn tend_lists(self: &Rc<Self>, community: CommunityId) {
        loop {
            let lookers = self.lookers(community);
            {
                let mut watched = self.watched.borrow_mut();
                let Some(known) = watched.get_mut(&community) else {
                    return;
                };
                if lookers.is_empty() {
                    watched.remove(&community);
                    return;
                }
                if !std::mem::take(&mut known.is_dirty) {
                    known.is_tended = false;
                    return;
                }
            }
            // A failure was logged; lists come with the next change.
            if let Ok(base) = self.base(community, &lookers).await {
                self.make_lists(community, &base, &lookers).await;
            }
            sleep(PAUSE).await;
        }
    }

    /// Sessions with a socket that look at windows of the community.
    fn lookers(&self, community: CommunityId) -> Vec<Rc<Session>> {
        let topics = self.topics.borrow();
        let followers = topics.followers(Topic::Community(community)).iter();
        let looks = |session: &Rc<Session>| {
            let subscriptions = session.subscriptions.borrow();
            let windows = subscriptions.get(community).map(|s| !s.windows.is_empty());
            session.conn.borrow().is_some() && windows == Some(true)
        };
        let sessions = followers.map(|entry| &entry.session);
        sessions.filter(|session| looks(session)).cloned().collect()
    }

    async fn base(
        &self,
        community: CommunityId,
        lookers: &[Rc<Session>],
    ) -> Result<Rc<Base>, Close> {
        let now = self.now();
        if let Some(known) = self.watched.borrow_mut().get_mut(&community) {
            let fresh = !known.is_old && now < known.fetched_at + STALE;
            if let Some(base) = known.base.clone().filter(|_| fresh) {
                return Ok(base);
            }
            known.is_old = false;
        }
        let viewer = lookers.first().map(|session| session.profile.user);
        let viewer = viewer.ok_or(Close::TryAgain)?;
        let backend = self.node.backend.clone();
        let fetched = self
            .node
            .on_main(async move { fetch_base(&backend, community, viewer).await });
        let base = Rc::new(fetched.await?);
        if let Some(known) = self.watched.borrow_mut().get_mut(&community) {
            known.base = Some(Rc::clone(&base));
            known.fetched_at = now;
        }
        Ok(base)
    }

    async fn make_lists(
        self: &Rc<Self>,
        community: CommunityId,
        base: &Base,
        lookers: &[Rc<Session>],
    ) {
        let mut seeing: HashMap<ChannelId, Option<Vec<bool>>> = HashMap::new();
        for session in lookers {
            let channels: Vec<ChannelId> = {
                let subscriptions = session.subscriptions.borrow();
                let windows = subscriptions
                    .get(community)
                    .map(|s| s.windows.keys().copied());
                windows.into_iter().flatten().collect()
            };
            for channel in channels {
                if !self.may_look(session, community, channel) {
                    continue;
                }
                let members = match seeing.entry(channel) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(none) => {
                        let overwrites = match base.overwrites.get(&channel) {
                            Some(known) => Some(known.clone()),
                            None => self.overwrites(session, community, channel).await,
                        };
                        let now = self.node.clock.now();
                        none.insert(overwrites.map(|overwrites| base.seeing(&overwrites, now)))
                    }
                };
                if let Some(members) = members {
                    self.show_list(session, base, members, channel);
                }
            }
            // Thousands of rows were sorted: others get their turn.
            tokio::task::yield_now().await;
        }
    }

    /// Whether the session may see a channel by the rights this worker knows.
    fn may_look(&self, session: &Session, community: CommunityId, channel: ChannelId) -> bool {
        let class = self
            .topics
            .borrow()
            .class(Topic::Community(community), session.key);
        let rights = self.rights.borrow();
        let view = rights.get(&community).and_then(|rights| rights.view());
        let (Some(class), Some(view)) = (class, view) else {
            return false;
        };
        view.sees(session.profile.user, class, channel)
    }

    async fn overwrites(
        &self,
        session: &Session,
        community: CommunityId,
        channel: ChannelId,
    ) -> Option<Vec<Overwrite>> {
        let (backend, viewer) = (self.node.backend.clone(), session.profile.user);
        let asked = self.node.on_main(async move {
            let found = backend.communities.snapshots(&[community], viewer).await;
            found.map_err(try_again)
        });
        let snapshot = asked.await.ok()?.into_iter().next()?;
        let channel = snapshot.channels.into_iter().find(|c| c.id == channel)?;
        Some(overwrites_of(&channel))
    }

    fn show_list(
        self: &Rc<Self>,
        session: &Session,
        base: &Base,
        seeing: &[bool],
        channel: ChannelId,
    ) {
        if session.ring.borrow().is_half_full() {
            // It is shown the next one.
            return self.list_changed(base.guild.id, Changed::Presences);
        }
        let viewer = session.profile.user;
        let large = base.member_count > i64::from(session.profile.large_threshold);
        let offline = if large {
            Offline::LeftOut
        } else {
            Offline::Listed
        };
        let list = {
            let book = self.node.presence.book();
            let shown = |user| book.seen_among_members(viewer, user).cloned();
            List::new(base, seeing, offline, shown)
        };
        let update = {
            let mut subscriptions = session.subscriptions.borrow_mut();
            let subscription = subscriptions.get_mut(base.guild.id);
            let window = subscription.and_then(|s| s.windows.get_mut(&channel));
            window.and_then(|window| list.update(channel, window))
        };
        let Some(update) = update else { return };
        let bytes = tail("MEMBER_LIST_UPDATE", "", update.to_string().as_bytes());
        self.push(session, Rc::new(Tail::passing(bytes)));
    }
}

/// What of a community changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changed {
    /// Who is here.
    Presences,
    /// Members, roles or channels.
    Members,
}

fn overwrites_of(channel: &Channel) -> Vec<Overwrite> {
    let overwrites = channel.permission_overwrites.iter();
    overwrites.map(Overwrite::from).collect()
}

async fn fetch_base(
    backend: &Backend,
    community: CommunityId,
    viewer: UserId,
) -> Result<Base, Close> {
    let communities = &backend.communities;
    let snapshots = communities.snapshots(&[community], viewer).await;
    let snapshot = snapshots.map_err(try_again)?.into_iter().next();
    let snapshot = snapshot.ok_or(Close::TryAgain)?;
    let mut members: Vec<Member> = Vec::new();
    let mut after = UserId::new(0);
    while members.len() < MAX_LISTED {
        let query = MemberQuery::After { after, limit: PAGE };
        let page = communities
            .members(community, query)
            .await
            .map_err(try_again)?;
        let is_last = page.len() < usize::from(PAGE);
        members.extend(page);
        match members.last().and_then(|member| member.user.as_ref()) {
            Some(user) if !is_last => after = user.id,
            _ => break,
        }
    }
    members.truncate(MAX_LISTED);
    let channels = snapshot.channels.iter();
    let overwrites = channels.map(|channel| (channel.id, overwrites_of(channel)));
    Ok(Base {
        overwrites: overwrites.collect(),
        guild: snapshot.guild,
        members,
        member_count: snapshot.member_count,
    })
}
