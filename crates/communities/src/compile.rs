//! Compiles the rights of a whole community: one set per class of roles and channel.
//!
//! Sockets are filtered by class, so a change of rights costs classes × channels and not members ×
//! channels. Time-outs are not compiled: they end by themselves, and they take no sight.

use std::collections::HashMap;

use contracts::communities::{ClassRights, Compiled};
use kernel::perm::{Overwrite, Permissions, Standing, Target, base, evaluate};
use kernel::{ChannelId, CommunityId, RoleId, UserId};

/// How many sets are computed before other tasks of the thread get their turn.
const SETS_PER_TURN: usize = 4_096;

/// All that decides over rights in one community, of one moment.
#[derive(Debug, Clone)]
pub(crate) struct Graph {
    pub(crate) community: CommunityId,
    pub(crate) owner: UserId,
    pub(crate) epoch: i32,
    pub(crate) rev: i64,
    pub(crate) roles: HashMap<RoleId, Permissions>,
    /// Class and its roles.
    pub(crate) classes: Vec<(i32, Vec<RoleId>)>,
    /// Channels with their overwrites.
    pub(crate) channels: Vec<(ChannelId, Vec<Overwrite>)>,
    /// Members whom an overwrite names, with their roles.
    pub(crate) named: Vec<(UserId, Vec<RoleId>)>,
}

impl Graph {
    fn rights(&self, roles: &[RoleId]) -> Vec<(RoleId, Permissions)> {
        roles
            .iter()
            .filter_map(|role| self.roles.get(role).map(|rights| (*role, *rights)))
            .collect()
    }

    fn standing<'a>(&self, user: UserId, roles: &'a [(RoleId, Permissions)]) -> Standing<'a> {
        Standing {
            community: self.community,
            user,
            owner: user == self.owner,
            everyone: self
                .roles
                .get(&self.community.cast())
                .copied()
                .unwrap_or(Permissions::NONE),
            roles,
            timed_out: false,
        }
    }

    /// Rights of a class. No user bears id 0, so no member's overwrite applies.
    fn class(&self, class: i32, roles: &[RoleId]) -> ClassRights {
        let roles = self.rights(roles);
        let standing = self.standing(UserId::new(0), &roles);
        // Most channels have no overwrites; they share one answer.
        let plain = evaluate(&standing, &[]);
        let in_channel = |(channel, overwrites): &(ChannelId, Vec<Overwrite>)| {
            let bits = if overwrites.is_empty() {
                plain
            } else {
                evaluate(&standing, overwrites)
            };
            (*channel, bits)
        };
        ClassRights {
            class,
            base: base(&standing),
            channels: self.channels.iter().map(in_channel).collect(),
        }
    }

    /// Rights of a member in the channels that name them.
    fn member(&self, user: UserId, roles: &[RoleId]) -> Vec<(ChannelId, Permissions)> {
        let roles = self.rights(roles);
        let standing = self.standing(user, &roles);
        self.channels
            .iter()
            .filter(|(_, overwrites)| overwrites.iter().any(|o| o.target == Target::Member(user)))
            .map(|(channel, overwrites)| (*channel, evaluate(&standing, overwrites)))
            .collect()
    }
}

/// Compiles, giving way to other tasks now and then.
pub(crate) async fn compile(graph: Graph) -> Compiled {
    let mut classes = Vec::with_capacity(graph.classes.len());
    let mut sets = 0;
    for (class, roles) in &graph.classes {
        classes.push(graph.class(*class, roles));
        sets += graph.channels.len();
        if sets >= SETS_PER_TURN {
            sets = 0;
            tokio::task::yield_now().await;
        }
    }
    let mut members = Vec::with_capacity(graph.named.len());
    for (user, roles) in &graph.named {
        let channels = graph.member(*user, roles);
        if !channels.is_empty() {
            members.push((*user, channels));
        }
        sets += graph.channels.len();
        if sets >= SETS_PER_TURN {
            sets = 0;
            tokio::task::yield_now().await;
        }
    }
    Compiled {
        community: graph.community,
        owner: graph.owner,
        epoch: graph.epoch,
        rev: graph.rev,
        classes,
        members,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use kernel::perm::{Chat, Place, Trade, evaluate_in};
    use kernel::rng::below;
    use kernel::{Rng, SeededRng};

    const COMMUNITY: CommunityId = CommunityId::new(1);

    fn pick(rng: &dyn Rng, below_this: usize) -> usize {
        usize::try_from(below(rng, u64::try_from(below_this).unwrap())).unwrap()
    }

    const PLAIN: [Chat; 11] = [
        Chat::VIEW_CHANNEL,
        Chat::SEND_MESSAGES,
        Chat::EMBED_LINKS,
        Chat::SEND_TTS,
        Chat::ATTACH_FILES,
        Chat::MENTION_EVERYONE,
        Chat::MANAGE_MESSAGES,
        Chat::READ_HISTORY,
        Chat::CONNECT,
        Chat::SEND_IN_THREADS,
        Chat::MANAGE_THREADS,
    ];
    const TRADE: [Trade; 4] = [
        Trade::VIEW_PRICES,
        Trade::VIEW_ORDERS,
        Trade::BID,
        Trade::EXPORT_DEAL,
    ];

    /// Few bits, so that they meet often, and among them all that have rules of their own.
    fn bits(rng: &dyn Rng) -> Permissions {
        let mut set = PLAIN
            .iter()
            .filter(|_| below(rng, 2) == 0)
            .fold(Chat::NONE, |set, bit| set | *bit);
        if below(rng, 40) == 0 {
            set = set | Chat::ADMINISTRATOR;
        }
        let trade = TRADE
            .iter()
            .filter(|_| below(rng, 2) == 0)
            .fold(Trade::NONE, |set, bit| set | *bit);
        Permissions { chat: set, trade }
    }

    fn graph(rng: &dyn Rng) -> Graph {
        let role_ids: Vec<RoleId> = (0..pick(rng, 6))
            .map(|i| RoleId::new(10 + i64::try_from(i).unwrap()))
            .collect();
        let mut roles: HashMap<RoleId, Permissions> =
            role_ids.iter().map(|id| (*id, bits(rng))).collect();
        roles.insert(COMMUNITY.cast(), bits(rng));
        let some = |rng: &dyn Rng| -> Vec<RoleId> {
            role_ids
                .iter()
                .copied()
                .filter(|_| below(rng, 2) == 0)
                .collect()
        };
        let named: Vec<(UserId, Vec<RoleId>)> =
            (0..3).map(|i| (UserId::new(100 + i), some(rng))).collect();
        let channels = (0..pick(rng, 5))
            .map(|i| {
                let mut targets: Vec<Target> = vec![Target::Role(COMMUNITY.cast())];
                targets.extend(role_ids.iter().map(|id| Target::Role(*id)));
                targets.extend(named.iter().map(|(user, _)| Target::Member(*user)));
                targets.push(Target::Member(UserId::new(999)));
                let mut overwrites: Vec<Overwrite> = targets
                    .into_iter()
                    .filter(|_| below(rng, 2) == 0)
                    .map(|target| {
                        let allow = bits(rng);
                        let deny = bits(rng).without(allow);
                        Overwrite {
                            target,
                            allow,
                            deny,
                        }
                    })
                    .collect();
                if below(rng, 2) == 0 {
                    overwrites.reverse();
                }
                (ChannelId::new(50 + i64::try_from(i).unwrap()), overwrites)
            })
            .collect();
        let classes = (0..4).map(|i| (i, some(rng))).collect();
        Graph {
            community: COMMUNITY,
            owner: UserId::new(100 + i64::try_from(pick(rng, 4)).unwrap()),
            epoch: 7,
            rev: 9,
            roles,
            classes,
            channels,
            named,
        }
    }

    /// One right of either family.
    #[derive(Clone, Copy)]
    struct Bit(Permissions);

    impl Bit {
        fn of(chat: Chat) -> Bit {
            Bit(chat.into())
        }

        /// All that graphs are made of.
        fn all() -> impl Iterator<Item = Bit> {
            let chat = PLAIN.into_iter().chain([Chat::ADMINISTRATOR]).map(Bit::of);
            chat.chain(TRADE.into_iter().map(|trade| {
                Bit(Permissions {
                    chat: Chat::NONE,
                    trade,
                })
            }))
        }

        fn is_in(self, set: Permissions) -> bool {
            self.0.without(set) == Permissions::NONE
        }
    }

    /// Whose rights are asked for, and where.
    #[derive(Clone, Copy)]
    struct Asked<'a> {
        user: Option<UserId>,
        roles: &'a [RoleId],
        channel: usize,
        place: Place,
        timed_out: bool,
    }

    impl Asked<'_> {
        fn is_above_all(&self, graph: &Graph) -> bool {
            let everyone: RoleId = COMMUNITY.cast();
            let mut all = self.roles.iter().chain([&everyone]);
            let admin = Bit::of(Chat::ADMINISTRATOR);
            self.user == Some(graph.owner) || all.any(|id| admin.is_in(graph.roles[id]))
        }

        /// Whether roles and overwrites give one right, whatever else they say.
        fn given(&self, graph: &Graph, bit: Bit) -> bool {
            let overwrites = &graph.channels[self.channel].1;
            let mut held = vec![graph.roles[&COMMUNITY.cast()]];
            held.extend(self.roles.iter().map(|id| graph.roles[id]));
            let mut answer = held.iter().any(|set| bit.is_in(*set));
            let everyone = |o: &&Overwrite| o.target == Target::Role(COMMUNITY.cast());
            if let Some(o) = overwrites.iter().find(everyone) {
                answer = (answer && !bit.is_in(o.deny)) || bit.is_in(o.allow);
            }
            let mine = |o: &&Overwrite| self.roles.iter().any(|id| o.target == Target::Role(*id));
            if overwrites.iter().filter(mine).any(|o| bit.is_in(o.allow)) {
                answer = true;
            } else if overwrites.iter().filter(mine).any(|o| bit.is_in(o.deny)) {
                answer = false;
            }
            let own = |o: &&Overwrite| self.user.is_some_and(|u| o.target == Target::Member(u));
            if let Some(o) = overwrites.iter().find(own) {
                answer = (answer && !bit.is_in(o.deny)) || bit.is_in(o.allow);
            }
            answer
        }
    }

    /// The rules read aloud, one right at a time, by somebody who never saw the other code.
    fn naive(graph: &Graph, asked: Asked<'_>) -> Permissions {
        if asked.is_above_all(graph) {
            return Permissions::ALL;
        }
        let has = |chat: Chat| asked.given(graph, Bit::of(chat));
        let sees = match asked.place {
            Place::Channel | Place::Thread => has(Chat::VIEW_CHANNEL),
            Place::PrivateThread { joined } => {
                has(Chat::VIEW_CHANNEL) && (joined || has(Chat::MANAGE_THREADS))
            }
        };
        let sends = match asked.place {
            Place::Channel => has(Chat::SEND_MESSAGES),
            Place::Thread | Place::PrivateThread { .. } => has(Chat::SEND_IN_THREADS),
        };
        let falls_with_send = [
            Chat::SEND_TTS,
            Chat::EMBED_LINKS,
            Chat::ATTACH_FILES,
            Chat::MENTION_EVERYONE,
        ];
        let mut set = Permissions::NONE;
        for bit in Bit::all() {
            let chat = bit.0.chat;
            let stays = [Chat::VIEW_CHANNEL, Chat::READ_HISTORY].contains(&chat)
                || [Trade::VIEW_PRICES, Trade::VIEW_ORDERS].contains(&bit.0.trade);
            let has = if chat == Chat::SEND_MESSAGES {
                sends
            } else {
                asked.given(graph, bit) && (sends || !falls_with_send.contains(&chat))
            };
            if sees && has && (stays || !asked.timed_out) {
                set = set | bit.0;
            }
        }
        set
    }

    fn naive_base(graph: &Graph, roles: &[RoleId]) -> Permissions {
        let everyone: RoleId = COMMUNITY.cast();
        let held = |bit: Bit| {
            let mut all = roles.iter().chain([&everyone]);
            all.any(|id| bit.is_in(graph.roles[id]))
        };
        if held(Bit::of(Chat::ADMINISTRATOR)) {
            return Permissions::ALL;
        }
        Bit::all()
            .filter(|bit| held(*bit))
            .fold(Permissions::NONE, |set, bit| set | bit.0)
    }

    fn in_channel(user: Option<UserId>, roles: &[RoleId], channel: usize) -> Asked<'_> {
        Asked {
            user,
            roles,
            channel,
            place: Place::Channel,
            timed_out: false,
        }
    }

    #[test]
    fn threads_and_time_outs_equal_a_naive_evaluation() {
        let mut differ = 0;
        for seed in 0..1_000 {
            let rng = SeededRng::new(seed);
            let graph = graph(&*rng);
            for (user, roles) in &graph.named {
                let held = graph.rights(roles);
                for (at, (_, overwrites)) in graph.channels.iter().enumerate() {
                    let plain = naive(&graph, in_channel(Some(*user), roles, at));
                    for place in [
                        Place::Channel,
                        Place::Thread,
                        Place::PrivateThread { joined: true },
                        Place::PrivateThread { joined: false },
                    ] {
                        for timed_out in [false, true] {
                            let asked = Asked {
                                place,
                                timed_out,
                                ..in_channel(Some(*user), roles, at)
                            };
                            let standing = Standing {
                                timed_out,
                                ..graph.standing(*user, &held)
                            };
                            let bits = evaluate_in(&standing, overwrites, place);
                            assert_eq!(
                                bits,
                                naive(&graph, asked),
                                "seed {seed}, user {user}, channel {at}, {place:?}: {graph:?}"
                            );
                            differ += usize::from(bits != plain);
                        }
                    }
                }
            }
        }
        assert!(differ > 5_000, "the graphs were too small to say anything");
    }

    #[test]
    fn m5_compiled_rights_equal_a_naive_evaluation() {
        let mut sets = 0;
        for seed in 0..10_000 {
            let rng = SeededRng::new(seed);
            let graph = graph(&*rng);
            let compiled = compile(graph.clone())
                .now_or_never()
                .expect("small graphs need one turn");
            assert_eq!((compiled.epoch, compiled.rev), (7, 9));
            assert_eq!(compiled.classes.len(), graph.classes.len());
            for (rights, (class, roles)) in compiled.classes.iter().zip(&graph.classes) {
                assert_eq!(rights.class, *class);
                assert_eq!(rights.base, naive_base(&graph, roles), "seed {seed}");
                assert_eq!(rights.channels.len(), graph.channels.len());
                for (at, (channel, bits)) in rights.channels.iter().enumerate() {
                    assert_eq!(*channel, graph.channels[at].0);
                    assert_eq!(
                        *bits,
                        naive(&graph, in_channel(None, roles, at)),
                        "seed {seed}, class {class}, channel {at}: {graph:?}"
                    );
                    sets += 1;
                }
            }
            for (user, roles) in &graph.named {
                let own = compiled.members.iter().find(|(id, _)| id == user);
                for (at, (channel, overwrites)) in graph.channels.iter().enumerate() {
                    let is_named = overwrites.iter().any(|o| o.target == Target::Member(*user));
                    let found = own.and_then(|(_, list)| list.iter().find(|(id, _)| id == channel));
                    assert_eq!(found.is_some(), is_named, "seed {seed}, user {user}");
                    if let Some((_, bits)) = found {
                        assert_eq!(
                            *bits,
                            naive(&graph, in_channel(Some(*user), roles, at)),
                            "seed {seed}, user {user}, channel {at}: {graph:?}"
                        );
                        sets += 1;
                    }
                }
            }
        }
        assert!(sets > 50_000, "the graphs were too small to say anything");
    }

    #[tokio::test]
    async fn large_communities_give_way_to_other_tasks() {
        let roles: HashMap<RoleId, Permissions> = [(COMMUNITY.cast(), Permissions::DEFAULT)].into();
        let graph = Graph {
            community: COMMUNITY,
            owner: UserId::new(1),
            epoch: 1,
            rev: 1,
            roles,
            classes: (0..100).map(|i| (i, Vec::new())).collect(),
            channels: (0..500).map(|i| (ChannelId::new(i), Vec::new())).collect(),
            named: Vec::new(),
        };
        let mut task = Box::pin(compile(graph));
        assert!(task.as_mut().now_or_never().is_none(), "a turn has an end");
        let compiled = task.await;
        assert_eq!(compiled.classes.len(), 100);
        assert!(
            compiled
                .classes
                .iter()
                .flat_map(|class| &class.channels)
                .all(|(_, bits)| *bits == Permissions::DEFAULT)
        );
    }
}
