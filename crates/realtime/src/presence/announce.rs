//! The node's side of presence: changes in the book are published, leases renewed, the dead buried,
//! and it is noted when people were here last.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use infra::cache::Cache;
use infra::fanout::{Body, Fanout, Presence, Record, Topic, Version};
use jiff::Timestamp;
use kernel::{CommunityId, Failure, UserId};
use tokio::time::{Instant, sleep};

use super::book::{Book, SocketKey, Told};
use super::lease::{self, NODES, RENEW};
use super::{Reach, Shown, Sight, Wish};
use crate::close::Close;
use crate::machine::Ms;
use crate::node::Node;
use crate::session::{PRESENCES, Profile};
use crate::sql;

/// How often the book is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// Users told of in one look, and how many of them at once; the others wait, newest state wins.
const TOLD_PER_LOOK: usize = 200;
const AT_ONCE: usize = 4;
/// How often it is noted who was here, and users in one statement.
const NOTE: Duration = Duration::from_secs(60);
const NOTED_AT_ONCE: usize = 1_000;

/// Who is here, for all workers of a node.
pub(crate) struct Presences {
    book: Mutex<Book>,
    cache: Arc<dyn Cache>,
    fanout: Arc<dyn Fanout>,
    started: Instant,
    /// Who left since it was noted last, and when.
    left: Mutex<HashMap<UserId, Timestamp>>,
    clock: kernel::SharedClock,
}

impl Presences {
    pub(crate) fn new(
        cache: Arc<dyn Cache>,
        fanout: Arc<dyn Fanout>,
        clock: kernel::SharedClock,
    ) -> Self {
        Presences {
            book: Mutex::default(),
            cache,
            fanout,
            started: Instant::now(),
            left: Mutex::default(),
            clock,
        }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Ms {
        Ms::try_from(self.started.elapsed().as_millis()).unwrap_or(Ms::MAX)
    }

    /// A socket came, or wants something else shown.
    pub(crate) fn put(&self, user: UserId, key: SocketKey, client: &'static str, wish: Wish) {
        let now = self.now();
        self.book().put(user, key, client, wish, now);
    }

    /// A socket is gone.
    pub(crate) fn remove(&self, user: UserId, key: SocketKey) {
        let now = self.now();
        if self.book().remove(user, key, now) {
            let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            left.insert(user, self.clock.now());
        }
    }

    /// Who may see the user changed.
    pub(crate) fn doubt(&self, user: UserId) {
        let now = self.now();
        self.book().doubt(user, now);
    }

    /// What `viewer` is shown of those of `users` who are here, as members of `community`.
    pub(crate) fn of_members(
        &self,
        viewer: UserId,
        community: CommunityId,
        users: impl Iterator<Item = UserId>,
    ) -> Vec<serde_json::Value> {
        let book = self.book();
        let seen = |user| Some((user, book.seen_among_members(viewer, user)?));
        users
            .filter_map(seen)
            .map(|(user, shown)| shown.payload(user, Some(community)))
            .collect()
    }

    /// What `viewer` is shown of one user they know or share a community with.
    pub(crate) fn of_user(&self, viewer: UserId, user: UserId) -> Option<Shown> {
        self.book().seen_by(viewer, user).cloned()
    }

    /// How a user is shown to those who may see it.
    pub(crate) fn here(&self, user: UserId) -> Option<Shown> {
        self.book().status(user).map(|told| told.shown.clone())
    }

    /// Everybody to be noted as having been here by now.
    fn take_seen(&self) -> Vec<(UserId, Timestamp)> {
        let now = self.clock.now();
        let mut left = {
            let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *left)
        };
        left.extend(self.book().connected().into_iter().map(|user| (user, now)));
        left.into_iter().collect()
    }
}

impl Node {
    /// Looks at the book until the node stops.
    pub(crate) async fn tell_presence(self: Arc<Self>) {
        let soft = self.lifecycle.soft().clone();
        let (mut renewed, mut noted) = (None::<Instant>, Instant::now());
        loop {
            self.tell_due().await;
            if renewed.is_none_or(|at| at.elapsed() >= RENEW) {
                renewed = Some(Instant::now());
                self.renew_lease().await;
            }
            if noted.elapsed() >= NOTE {
                noted = Instant::now();
                self.note_seen().await;
            }
            tokio::select! {
                () = sleep(LOOK) => {}
                () = soft.cancelled() => return,
            }
        }
    }

    /// The node stops: who was here is noted, and others need not wait for its lease to run out.
    pub(crate) async fn end_presence(&self) {
        self.note_seen().await;
        let cache = &*self.presence.cache;
        if let Err(error) = lease::remove(cache, self.settings.node).await {
            tracing::debug!(%error, "the lease of this node was not given up");
        }
    }

    /// Learns whether a user may see strangers, before they are shown any.
    pub(crate) async fn learn_rule(&self, profile: &Profile) -> Result<(), Close> {
        if profile.intents & PRESENCES == 0 || self.presence.book().knows(profile.user) {
            return Ok(());
        }
        let circle = self.backend.relations.circle(profile.user).await;
        let circle = circle.map_err(crate::backend::try_again)?;
        let reach = if circle.is_open {
            Reach::Everybody
        } else {
            Reach::Some
        };
        self.presence.book().learn(profile.user, reach);
        Ok(())
    }

    async fn tell_due(&self) {
        let now = self.presence.now();
        let due = self.presence.book().take_due(now, TOLD_PER_LOOK);
        // Each to its end before the next look: two states of one user are never on their way at once.
        let telling = due.into_iter().map(|(user, shown)| async move {
            if let Err(error) = self.tell_of(user, shown, None).await {
                tracing::debug!(%error, "a presence could not be told yet");
                let now = self.presence.now();
                self.presence.book().retry(user, now);
            }
        });
        let telling = futures::stream::iter(telling);
        telling.for_each_concurrent(AT_ONCE, |one| one).await;
    }

    /// `elsewhere`: what another node told of the user before.
    async fn tell_of(
        &self,
        user: UserId,
        shown: Shown,
        elsewhere: Option<Told>,
    ) -> Result<(), Failure> {
        let sight = self.backend.sight(user).await?;
        let memberships = self.backend.communities.memberships(user).await?;
        let communities: Vec<_> = memberships.iter().map(|m| m.community).collect();
        let told = Told { shown, sight };
        let before = self.presence.book().told(user, told.clone()).or(elsewhere);
        for (topic, community, shown, hidden_from) in audience(user, &communities, before, told) {
            let record = record(user, community, &shown, hidden_from);
            let published = self.presence.fanout.publish(topic, Arc::new(record));
            if let Err(error) = published.await {
                tracing::debug!(%error, "a presence was not published");
            }
        }
        Ok(())
    }

    /// Says that this node lives, and hears of the others.
    async fn renew_lease(&self) {
        let (own, cache) = (self.settings.node, &*self.presence.cache);
        let users = self.presence.book().lease(self.presence.now());
        if let Err(error) = lease::put(cache, own, users).await {
            tracing::warn!(%error, "the lease of this node was not renewed");
        }
        let (mut orphans, mut is_heir) = (Vec::new(), true);
        for node in (1..=NODES).filter(|node| *node != own) {
            // A cache that is away says nothing of the nodes.
            let Ok(users) = lease::get(cache, node).await else {
                return;
            };
            is_heir &= users.is_none() || node > own;
            let now = self.presence.now();
            orphans.extend(self.presence.book().hear(node, users, now));
        }
        // One of those who are left tells of the dead.
        for (user, before) in orphans.into_iter().filter(|_| is_heir) {
            let told = self.tell_of(user, Shown::default(), Some(before)).await;
            if let Err(error) = told {
                tracing::debug!(%error, "the end of a presence could not be told");
            }
        }
    }

    /// Notes who was here since it was noted last.
    async fn note_seen(&self) {
        let seen = self.presence.take_seen();
        for batch in seen.chunks(NOTED_AT_ONCE) {
            if let Err(error) = sql::put_last_seen(&self.db, batch).await {
                return tracing::warn!(%error, "it was not noted when people were here last");
            }
        }
    }
}

/// Where a state is published, in what place, as what, and from whom it is hidden.
type Publication = (Topic, Option<CommunityId>, Shown, Vec<UserId>);

/// Who is told what, given what they were told before.
fn audience(
    user: UserId,
    communities: &[CommunityId],
    before: Option<Told>,
    now: Told,
) -> Vec<Publication> {
    let mut all: Vec<Publication> = Vec::new();
    let nothing = Shown::default;
    let before = before.filter(|told| told.shown.is_here());
    let was_open = before.as_ref().is_some_and(|told| told.sight.is_open);
    let before = before.map(|told| told.sight).unwrap_or_default();
    let gone = now.shown == nothing();
    for community in communities {
        let topic = Topic::Community(*community);
        if now.sight.is_open && (was_open || !gone) {
            let hidden = now.sight.severed.clone();
            all.push((topic, Some(*community), now.shown.clone(), hidden));
        } else if was_open {
            all.push((topic, Some(*community), nothing(), Vec::new()));
        }
    }
    let known: BTreeSet<UserId> = now.sight.known.iter().copied().collect();
    for viewer in &known {
        if *viewer != user {
            all.push((Topic::User(*viewer), None, now.shown.clone(), Vec::new()));
        }
    }
    for viewer in before.known.iter().filter(|viewer| !known.contains(viewer)) {
        all.push((Topic::User(*viewer), None, nothing(), Vec::new()));
    }
    let parted = now.sight.severed.iter();
    let parted = parted.filter(|viewer| was_open && before.severed.binary_search(viewer).is_err());
    for viewer in parted {
        for community in communities {
            all.push((
                Topic::User(*viewer),
                Some(*community),
                nothing(),
                Vec::new(),
            ));
        }
    }
    all
}

fn record(
    user: UserId,
    community: Option<CommunityId>,
    shown: &Shown,
    hidden_from: Vec<UserId>,
) -> Record {
    Record {
        body: Body::Presence(Presence {
            user,
            hidden_from,
            data: Bytes::from(shown.payload(user, community).to_string()),
        }),
        community,
        channel: None,
        version: Version::None,
        epoch: 0,
        ephemeral: true,
    }
}

/// As many people as a sight names beside the severed.
pub(crate) const MAX_KNOWN: usize = 1_000;

impl crate::backend::Backend {
    /// Who may see a user, as of now.
    pub(crate) async fn sight(&self, user: UserId) -> Result<Sight, Failure> {
        let parts = contracts::messaging::InboxParts::Channels;
        let (circle, inbox) = futures::join!(
            self.relations.circle(user),
            self.messaging.inbox(user, parts)
        );
        let (circle, inbox) = (circle?, inbox?);
        let mut around: BTreeSet<UserId> = circle.friends.into_iter().collect();
        around.extend(circle.contacts);
        let channels = inbox.channels.iter();
        let direct = channels.filter(|c| c.kind == contracts::communities::channel_kind::DM);
        around.extend(direct.flat_map(|channel| channel.recipients.iter().map(|user| user.id)));
        around.retain(|other| *other != user && circle.severed.binary_search(other).is_err());
        let around: Vec<UserId> = around.into_iter().take(MAX_KNOWN).collect();
        let mut known = Vec::new();
        // As many as may be asked for at once.
        for some in around.chunks(500) {
            let visible = self.relations.visible(user, some).await?;
            // Mutual: whom the user may see may see the user.
            known.extend(visible.iter().filter(|v| v.presence).map(|v| v.user));
        }
        known.sort_unstable();
        Ok(Sight {
            is_open: circle.is_open,
            severed: circle.severed,
            known,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::Status;

    fn told(status: Status, reach: Reach, known: &[i64], severed: &[i64]) -> Told {
        let ids = |ids: &[i64]| ids.iter().map(|id| UserId::new(*id)).collect();
        Told {
            shown: Shown {
                status,
                ..Shown::default()
            },
            sight: Sight {
                is_open: reach == Reach::Everybody,
                severed: ids(severed),
                known: ids(known),
            },
        }
    }

    fn publications(before: Option<Told>, now: Told) -> Vec<String> {
        let all = audience(UserId::new(1), &[CommunityId::new(5)], before, now);
        let mut texts: Vec<String> = all
            .iter()
            .map(|(topic, community, shown, hidden)| {
                let place = community.map_or(String::new(), |c| format!(" in {c}"));
                let hidden: Vec<_> = hidden.iter().map(ToString::to_string).collect();
                format!("{topic}{place} {:?} not {}", shown.status, hidden.join(","))
            })
            .collect();
        texts.sort();
        texts
    }

    #[test]
    fn who_is_told_what() {
        use Status::{Offline, Online};
        for (before, now, expected) in [
            (
                None,
                told(Online, Reach::Everybody, &[2], &[3]),
                &["c:5 in 5 Online not 3", "u:2 Online not "][..],
            ),
            (
                None,
                told(Online, Reach::Some, &[2], &[]),
                &["u:2 Online not "],
            ),
            (
                Some(told(Online, Reach::Everybody, &[2], &[])),
                told(Offline, Reach::Everybody, &[2], &[]),
                &["c:5 in 5 Offline not ", "u:2 Offline not "],
            ),
            (
                // The switch was turned: strangers see nobody any more.
                Some(told(Online, Reach::Everybody, &[2, 4], &[])),
                told(Online, Reach::Some, &[2], &[]),
                &[
                    "c:5 in 5 Offline not ",
                    "u:2 Online not ",
                    "u:4 Offline not ",
                ],
            ),
            (
                // A friend was blocked.
                Some(told(Online, Reach::Everybody, &[2], &[])),
                told(Online, Reach::Everybody, &[], &[2]),
                &[
                    "c:5 in 5 Online not 2",
                    "u:2 Offline not ",
                    "u:2 in 5 Offline not ",
                ],
            ),
        ] {
            assert_eq!(publications(before, now), expected);
        }
    }
}
