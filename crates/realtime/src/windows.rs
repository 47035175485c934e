//! The list of a community's members as clients show it, and the windows of it they look at. Pure.
//!
//! Rows are headings and members: hoisted roles from the highest on with their members who are here,
//! then who is here without such a role, then everybody else.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use contracts::communities::{Guild, Member};
use kernel::perm::{Chat, Overwrite, Permissions, Place, Standing, evaluate_in};
use kernel::{ChannelId, CommunityId, RoleId, UserId};
use serde_json::{Value, json};

use crate::presence::Shown;

/// First and last row of a window, both in it.
pub(crate) type Range = (u32, u32);

/// Members of a community, as its lists need them.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) guild: Guild,
    pub(crate) members: Vec<Member>,
    /// Of the channels that whoever fetched it sees.
    pub(crate) overwrites: HashMap<ChannelId, Vec<Overwrite>>,
    /// How many there are; `members` may hold fewer.
    pub(crate) member_count: i64,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
enum Row {
    Heading(usize),
    /// Which of the base's members, and how they are shown.
    Member(usize, Option<Arc<Shown>>),
}

/// By what a member is sorted in its group, which one it is, and how it is shown.
type Placed = (String, usize, Option<Arc<Shown>>);

/// A list as a viewer sees it.
#[derive(Debug)]
pub(crate) struct List<'a> {
    base: &'a Base,
    /// Name of the group (a role's id, `online`, `offline`) and its members.
    groups: Vec<(String, usize)>,
    rows: Vec<Row>,
    online: usize,
}

impl Base {
    /// Which members see a channel with these overwrites, in the order of `members`.
    pub(crate) fn seeing(&self, overwrites: &[Overwrite], now: jiff::Timestamp) -> Vec<bool> {
        let everyone: RoleId = self.guild.id.cast();
        let rights: HashMap<RoleId, Permissions> = self
            .guild
            .roles
            .iter()
            .map(|r| (r.id, r.rights()))
            .collect();
        let sees = |member: &Member| {
            let Some(user) = &member.user else {
                return false;
            };
            let held = member.roles.iter();
            let roles: Vec<_> = held
                .filter_map(|id| Some((*id, *rights.get(id)?)))
                .collect();
            let standing = Standing {
                community: self.guild.id,
                user: user.id,
                owner: user.id == self.guild.owner_id,
                everyone: rights.get(&everyone).copied().unwrap_or(Permissions::NONE),
                roles: &roles,
                timed_out: member
                    .communication_disabled_until
                    .is_some_and(|until| until > now),
            };
            let bits = evaluate_in(&standing, overwrites, Place::Channel);
            bits.chat.has(Chat::VIEW_CHANNEL)
        };
        self.members.iter().map(sees).collect()
    }
}

impl<'a> List<'a> {
    /// The list of those who see the channel. `shown` tells who is here; others are listed only with
    /// `offline`.
    pub(crate) fn new(
        base: &'a Base,
        seeing: &[bool],
        offline: Offline,
        shown: impl Fn(UserId) -> Option<Shown>,
    ) -> Self {
        let mut hoisted: Vec<_> = base.guild.roles.iter().filter(|role| role.hoist).collect();
        hoisted.sort_by_key(|role| (std::cmp::Reverse(role.position), role.id));
        let (online_group, offline_group) = (hoisted.len(), hoisted.len() + 1);
        let mut of_group: BTreeMap<usize, Vec<Placed>> = BTreeMap::new();
        for (at, member) in base.members.iter().enumerate() {
            let Some(user) = member
                .user
                .as_ref()
                .filter(|_| seeing.get(at) == Some(&true))
            else {
                continue;
            };
            let shown = shown(user.id).map(Arc::new);
            let group = match &shown {
                Some(_) => hoisted
                    .iter()
                    .position(|role| member.roles.contains(&role.id))
                    .unwrap_or(online_group),
                None if offline == Offline::Listed => offline_group,
                None => continue,
            };
            let name = member.nick.as_ref().or(user.global_name.as_ref());
            let name = kernel::tr::fold(name.unwrap_or(&user.username));
            of_group.entry(group).or_default().push((name, at, shown));
        }
        let mut list = List {
            base,
            groups: Vec::new(),
            rows: Vec::new(),
            online: 0,
        };
        for (group, mut members) in of_group {
            members.sort_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
            let name = match hoisted.get(group) {
                Some(role) => role.id.to_string(),
                None if group == online_group => "online".to_owned(),
                None => "offline".to_owned(),
            };
            if group != offline_group {
                list.online += members.len();
            }
            list.rows.push(Row::Heading(list.groups.len()));
            list.groups.push((name, members.len()));
            let rows = members.into_iter();
            list.rows
                .extend(rows.map(|(_, at, shown)| Row::Member(at, shown)));
        }
        list
    }

    /// The rows of a window, as they are sent.
    fn items(&self, (first, last): Range) -> Vec<Value> {
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        let count = usize::try_from(last).unwrap_or(0).saturating_sub(first) + 1;
        let rows = self.rows.iter().skip(first).take(count);
        rows.filter_map(|row| self.item(row)).collect()
    }

    fn item(&self, row: &Row) -> Option<Value> {
        match row {
            Row::Heading(group) => {
                let (id, count) = self.groups.get(*group)?;
                Some(json!({"group": {"id": id, "count": count}}))
            }
            Row::Member(at, shown) => {
                let member = self.base.members.get(*at)?;
                let user = member.user.as_ref()?.id;
                let mut item = json!(member);
                let shown = shown.as_deref().cloned().unwrap_or_default();
                let item_fields = item.as_object_mut()?;
                item_fields.insert("presence".to_owned(), shown.payload(user, None));
                Some(json!({"member": item}))
            }
        }
    }

    /// Members in a window.
    fn users(&self, (first, last): Range) -> impl Iterator<Item = UserId> + '_ {
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        let count = usize::try_from(last).unwrap_or(0).saturating_sub(first) + 1;
        let rows = self.rows.iter().skip(first).take(count);
        rows.filter_map(|row| match row {
            Row::Heading(_) => None,
            Row::Member(at, _) => Some(self.base.members.get(*at)?.user.as_ref()?.id),
        })
    }

    /// The `d` of MEMBER_LIST_UPDATE with the windows that are not as they were `sent`; none when all
    /// are. Notes what is sent now.
    pub(crate) fn update(&self, channel: ChannelId, window: &mut Window) -> Option<Value> {
        let groups: Vec<_> = self
            .groups
            .iter()
            .map(|(id, count)| json!({"id": id, "count": count}))
            .collect();
        let mut ops = Vec::new();
        let mut sent = Vec::new();
        window.shown.clear();
        for range in &window.ranges {
            let items = json!(self.items(*range));
            window.shown.extend(self.users(*range));
            let hash = hash(&items);
            if !window.sent.contains(&(*range, hash)) {
                ops.push(json!({"op": "SYNC", "range": [range.0, range.1], "items": items}));
            }
            sent.push((*range, hash));
        }
        let counts = hash(&json!([groups, self.base.member_count]));
        let is_new = !ops.is_empty() || window.counts != Some(counts);
        window.sent = sent;
        window.counts = Some(counts);
        is_new.then(|| {
            json!({
                "guild_id": self.base.guild.id,
                "id": channel,
                "channel_id": channel,
                "member_count": self.base.member_count,
                "online_count": self.online,
                "groups": groups,
                "ops": ops,
            })
        })
    }
}

fn hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}

/// Whether those who are not here are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offline {
    Listed,
    LeftOut,
}

/// What a session looks at in a channel's list, and what it was sent.
#[derive(Debug, Default)]
pub(crate) struct Window {
    pub(crate) ranges: Vec<Range>,
    sent: Vec<(Range, u64)>,
    counts: Option<u64>,
    shown: HashSet<UserId>,
}

impl Window {
    pub(crate) fn new(ranges: Vec<Range>) -> Self {
        Window {
            ranges,
            ..Window::default()
        }
    }
}

/// What a session looks at in a community.
#[derive(Debug, Default)]
pub(crate) struct Subscription {
    pub(crate) windows: BTreeMap<ChannelId, Window>,
    pub(crate) typing: bool,
    pub(crate) presence: bool,
    pub(crate) threads: bool,
}

/// What a session looks at, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    of: Vec<(CommunityId, Subscription)>,
}

/// Communities a session looks at; a further one takes the place of the one named longest ago.
pub(crate) const MAX_COMMUNITIES: usize = 20;

impl Subscriptions {
    /// Looks at a community so from now on.
    pub(crate) fn put(&mut self, community: CommunityId, subscription: Subscription) {
        self.remove(community);
        let Subscription {
            windows,
            typing,
            presence,
            threads,
        } = &subscription;
        if windows.is_empty() && !typing && !presence && !threads {
            return;
        }
        if self.of.len() >= MAX_COMMUNITIES {
            self.of.remove(0);
        }
        self.of.push((community, subscription));
    }

    pub(crate) fn remove(&mut self, community: CommunityId) {
        self.of.retain(|(other, _)| *other != community);
    }

    /// Forgets what was sent; gives the communities with windows.
    pub(crate) fn forget_sent(&mut self) -> Vec<CommunityId> {
        let mut communities = Vec::new();
        for (community, subscription) in &mut self.of {
            for window in subscription.windows.values_mut() {
                window.sent.clear();
                window.counts = None;
            }
            if !subscription.windows.is_empty() {
                communities.push(*community);
            }
        }
        communities
    }

    pub(crate) fn get(&self, community: CommunityId) -> Option<&Subscription> {
        let found = self.of.iter().find(|(other, _)| *other == community);
        found.map(|(_, subscription)| subscription)
    }

    pub(crate) fn get_mut(&mut self, community: CommunityId) -> Option<&mut Subscription> {
        let found = self.of.iter_mut().find(|(other, _)| *other == community);
        found.map(|(_, subscription)| subscription)
    }

    /// Whether presences are wanted of a member who stands in a window.
    pub(crate) fn shows(&self, community: CommunityId, member: UserId) -> bool {
        self.get(community).is_some_and(|subscription| {
            let mut windows = subscription.windows.values();
            subscription.presence && windows.any(|window| window.shown.contains(&member))
        })
    }
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
