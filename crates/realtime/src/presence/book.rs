//! Who is here, of all sockets of this node and of other nodes: one state per user, and when it is to
//! be told anew.
//!
//! Knows no socket, no clock and no task. A change is told at once, but not sooner than
//! [`MERGE`] after the last; the end of the last socket only [`LINGER`] later.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use kernel::UserId;

use super::{Reach, Shown, Sight, Status, Wish};
use crate::machine::Ms;

/// Changes of a user within this time are told as one.
pub(crate) const MERGE: Ms = 5_000;
/// How long a user without a socket is still here.
pub(crate) const LINGER: Ms = 15_000;

/// A socket of this node: its worker, and its session there.
pub(crate) type SocketKey = (usize, u64);

/// A user of this node.
#[derive(Debug, Default)]
struct Local {
    /// Kind of client and wish of each socket.
    sockets: BTreeMap<SocketKey, (&'static str, Wish)>,
    /// What the last socket wanted, and until when that stands.
    lingers: Option<(&'static str, Wish, Ms)>,
    /// When the user was told of last.
    told_at: Option<Ms>,
    /// Tell again although nothing changed: who may see it did.
    is_doubted: bool,
}

/// A user as told to others.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Told {
    pub(crate) shown: Shown,
    pub(crate) sight: Sight,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Book {
    locals: HashMap<UserId, Local>,
    /// What was told of users of this node.
    told: HashMap<UserId, Told>,
    /// Users of other nodes, as their leases say.
    nodes: BTreeMap<u16, HashMap<UserId, Told>>,
    due: BTreeSet<(Ms, UserId)>,
    due_at: HashMap<UserId, Ms>,
    /// Rules of users who are here, as far as they are known.
    reach: HashMap<UserId, Reach>,
}

impl Book {
    /// A socket came, or wants something else shown.
    pub(crate) fn put(
        &mut self,
        user: UserId,
        key: SocketKey,
        client: &'static str,
        wish: Wish,
        now: Ms,
    ) {
        let local = self.locals.entry(user).or_default();
        local.sockets.insert(key, (client, wish));
        local.lingers = None;
        self.touch(user, now);
    }

    /// A socket is gone. Whether it was the last of a user whom others may know to have been here.
    pub(crate) fn remove(&mut self, user: UserId, key: SocketKey, now: Ms) -> bool {
        let Some(local) = self.locals.get_mut(&user) else {
            return false;
        };
        let Some((client, wish)) = local.sockets.remove(&key) else {
            return false;
        };
        let is_last = local.sockets.is_empty();
        let was_seen = is_last && wish.status != Status::Offline;
        if is_last {
            local.lingers = Some((client, wish, now + LINGER));
            self.schedule(user, now + LINGER);
        } else {
            self.touch(user, now);
        }
        was_seen
    }

    /// Who may see the user changed: told again as soon as may be.
    pub(crate) fn doubt(&mut self, user: UserId, now: Ms) {
        if let Some(local) = self.locals.get_mut(&user) {
            local.is_doubted = true;
            self.schedule(user, now);
        }
    }

    /// Users to be told anew, at most `most`; the others stay due. Each is to be [`told`](Self::told).
    pub(crate) fn take_due(&mut self, now: Ms, most: usize) -> Vec<(UserId, Shown)> {
        let mut changed = Vec::new();
        while changed.len() < most
            && let Some((at, user)) = self.due.first().copied()
            && at <= now
        {
            self.due.pop_first();
            self.due_at.remove(&user);
            if let Some(sooner) = self.too_soon(user, now) {
                self.schedule(user, sooner);
                continue;
            }
            let shown = self.look(user, now);
            let doubted = self
                .locals
                .get_mut(&user)
                .is_some_and(|local| std::mem::take(&mut local.is_doubted));
            let before = self.told.get(&user).map(|told| &told.shown);
            let nothing = Shown::default();
            if doubted || before.unwrap_or(&nothing) != &shown {
                if let Some(local) = self.locals.get_mut(&user) {
                    local.told_at = Some(now);
                }
                changed.push((user, shown));
            }
            self.clear(user, now);
        }
        changed
    }

    /// The user was told of; what was before.
    pub(crate) fn told(&mut self, user: UserId, told: Told) -> Option<Told> {
        self.learn(user, told.sight.reach());
        if told.shown.is_here() || self.locals.contains_key(&user) {
            self.told.insert(user, told)
        } else {
            self.reach.remove(&user);
            self.told.remove(&user)
        }
    }

    /// Telling failed: once more in a while.
    pub(crate) fn retry(&mut self, user: UserId, now: Ms) {
        let local = self.locals.entry(user).or_default();
        local.is_doubted = true;
        self.schedule(user, now + MERGE);
    }

    /// What another node's lease says; `None`: it is gone. Users who are told of here and changed by
    /// it become due, and so do those who are nowhere any more when `heir`.
    pub(crate) fn hear(
        &mut self,
        node: u16,
        users: Option<HashMap<UserId, Told>>,
        now: Ms,
    ) -> Vec<(UserId, Told)> {
        let dead = users.is_none();
        let before = match users {
            Some(users) => self.nodes.insert(node, users),
            None => self.nodes.remove(&node),
        }
        .unwrap_or_default();
        let mut orphans = Vec::new();
        for (user, told) in before {
            if self.locals.contains_key(&user) {
                self.touch(user, now);
            } else if dead && told.shown.is_here() && self.status(user).is_none() {
                orphans.push((user, told));
            }
        }
        let here: Vec<UserId> = match self.nodes.get(&node) {
            Some(users) => users.keys().copied().collect(),
            None => Vec::new(),
        };
        for user in here {
            if self.locals.contains_key(&user) {
                self.touch(user, now);
            }
        }
        orphans.sort_by_key(|(user, _)| *user);
        orphans
    }

    /// How a user is shown, and to whom; none for who is not here.
    pub(crate) fn status(&self, user: UserId) -> Option<&Told> {
        if let Some(told) = self.told.get(&user) {
            return Some(told).filter(|told| told.shown.is_here());
        }
        let others = self.nodes.values().filter_map(|users| users.get(&user));
        let others: Vec<&Told> = others.collect();
        if others.iter().any(|told| !told.shown.is_here()) {
            return None;
        }
        others.into_iter().max_by_key(|told| told.shown.status)
    }

    /// Notes the reach of a user's rule.
    pub(crate) fn learn(&mut self, user: UserId, reach: Reach) {
        self.reach.insert(user, reach);
    }

    /// Whether that is known.
    pub(crate) fn knows(&self, user: UserId) -> bool {
        self.reach.contains_key(&user)
    }

    /// The reach of a user's rule, as far as is known here.
    pub(crate) fn reach(&self, user: UserId) -> Reach {
        self.reach.get(&user).copied().unwrap_or(Reach::Some)
    }

    /// How `viewer` sees `user` in a community both are in: friends are seen there as by anybody.
    pub(crate) fn seen_among_members(&self, viewer: UserId, user: UserId) -> Option<&Shown> {
        let told = self.status(user)?;
        let may = viewer == user || told.sight.admits_strangers(viewer, self.reach(viewer));
        may.then_some(&told.shown)
    }

    /// How `viewer` sees `user`.
    pub(crate) fn seen_by(&self, viewer: UserId, user: UserId) -> Option<&Shown> {
        let told = self.status(user)?;
        let may = viewer == user || told.sight.admits(viewer, self.reach(viewer));
        may.then_some(&told.shown)
    }

    /// What the lease of this node says: its own sockets only, or two nodes would keep up each
    /// other's memory. Who is offline in it is invisible.
    pub(crate) fn lease(&self, now: Ms) -> Vec<(UserId, Told)> {
        let mut users: Vec<_> = Vec::new();
        for user in self.locals.keys() {
            let own = self.own(*user, now);
            if let Some(told) = self.told.get(user)
                && (own.is_here() || self.is_hidden(*user, &own))
            {
                let sight = told.sight.clone();
                users.push((*user, Told { shown: own, sight }));
            }
        }
        users.sort_unstable_by_key(|(user, _)| *user);
        users
    }

    /// Users with a socket whom others may know to be here.
    pub(crate) fn connected(&self) -> Vec<UserId> {
        let visible = |local: &Local| {
            let mut wishes = local.sockets.values();
            !local.sockets.is_empty() && wishes.all(|(_, wish)| wish.status != Status::Offline)
        };
        let users = self.locals.iter().filter(|(_, local)| visible(local));
        users.map(|(user, _)| *user).collect()
    }

    /// How the user is to be shown, of all nodes.
    fn look(&self, user: UserId, now: Ms) -> Shown {
        let mine = self.own(user, now);
        let others = self.nodes.values().filter_map(|users| users.get(&user));
        let others: Vec<&Shown> = others.map(|told| &told.shown).collect();
        // Invisible is said once for all devices, on whatever node.
        if self.is_hidden(user, &mine) || others.iter().any(|shown| !shown.is_here()) {
            return Shown::default();
        }
        match others.into_iter().max_by_key(|shown| shown.status) {
            Some(other) if other.status > mine.status => other.clone(),
            _ => mine,
        }
    }

    /// Whether a user with sockets here wants to be invisible.
    fn is_hidden(&self, user: UserId, own: &Shown) -> bool {
        let has_sockets = |local: &Local| !local.sockets.is_empty();
        !own.is_here() && self.locals.get(&user).is_some_and(has_sockets)
    }

    /// How the sockets of this node want the user shown.
    fn own(&self, user: UserId, now: Ms) -> Shown {
        let mut clients: BTreeMap<&str, Status> = BTreeMap::new();
        let mut best: Option<&Wish> = None;
        let local = self.locals.get(&user);
        let sockets = local.into_iter().flat_map(|local| {
            let lingers = local.lingers.iter().filter(move |(.., until)| now < *until);
            let lingers = lingers.map(|(client, wish, _)| (*client, wish));
            let sockets = local.sockets.values().map(|(client, wish)| (*client, wish));
            sockets.chain(lingers)
        });
        for (client, wish) in sockets {
            if wish.status == Status::Offline {
                // Invisible is said once for all devices.
                return Shown::default();
            }
            let status = clients.entry(client).or_default();
            *status = wish.status.max(*status);
            if best.is_none_or(|best| best.status < wish.status) {
                best = Some(wish);
            }
        }
        best.map_or_else(Shown::default, |wish| Shown {
            status: wish.status,
            clients: clients
                .iter()
                .map(|(kind, status)| ((*kind).to_owned(), *status))
                .collect(),
            activities: wish.activities.clone(),
        })
    }

    /// When the user may be told of again, if not now.
    fn too_soon(&self, user: UserId, now: Ms) -> Option<Ms> {
        let local = self.locals.get(&user).filter(|local| !local.is_doubted)?;
        local.told_at.map(|at| at + MERGE).filter(|at| *at > now)
    }

    fn touch(&mut self, user: UserId, now: Ms) {
        let told_at = self.locals.get(&user).and_then(|local| local.told_at);
        self.schedule(user, told_at.map_or(now, |at| now.max(at + MERGE)));
    }

    /// The earliest of what is wanted stands.
    fn schedule(&mut self, user: UserId, at: Ms) {
        match self.due_at.entry(user) {
            Entry::Occupied(known) if *known.get() <= at => return,
            Entry::Occupied(mut known) => {
                self.due.remove(&(known.insert(at), user));
            }
            Entry::Vacant(none) => {
                none.insert(at);
            }
        }
        self.due.insert((at, user));
    }

    /// Forgets who has nothing here any more; looks again at who still lingers.
    fn clear(&mut self, user: UserId, now: Ms) {
        let Entry::Occupied(local) = self.locals.entry(user) else {
            return;
        };
        if !local.get().sockets.is_empty() {
            return;
        }
        match local.get().lingers {
            Some((.., until)) if now < until => self.schedule(user, until),
            _ => {
                local.remove();
                if self
                    .told
                    .get(&user)
                    .is_none_or(|told| !told.shown.is_here())
                {
                    self.told.remove(&user);
                    self.reach.remove(&user);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
