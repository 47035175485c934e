//! What a worker still has to say of who is here: the newest per user and topic, given out in small
//! portions so that messages overtake it and no storm of comings and goings takes a node down.

use std::collections::{HashMap, VecDeque};

use infra::fanout::{Delivery, Topic};
use kernel::{CommunityId, UserId};

/// Portions in a second.
pub(crate) const PORTIONS: usize = 10;

/// A user, as published on a topic for a place.
type Key = (UserId, Topic, Option<CommunityId>);

/// See the module's text. `V` is whom something is said to.
pub(crate) struct Outlet<V> {
    /// Dispatches in one portion, over all receivers.
    portion: usize,
    /// States that may wait; beyond it the oldest is dropped.
    most: usize,
    order: VecDeque<Key>,
    newest: HashMap<Key, Delivery>,
    /// What is being given out, and to whom still.
    current: Option<(Delivery, VecDeque<V>)>,
}

impl<V> Outlet<V> {
    /// An outlet for `per_second` dispatches. What would wait longer than about two seconds if each
    /// had one receiver is dropped.
    pub(crate) fn new(per_second: usize) -> Self {
        Outlet {
            portion: (per_second / PORTIONS).max(1),
            most: per_second.max(1) * 2,
            order: VecDeque::new(),
            newest: HashMap::new(),
            current: None,
        }
    }

    /// Takes a state of `user` in; gives how many older ones are dropped for it.
    pub(crate) fn offer(&mut self, user: UserId, delivery: Delivery) -> u64 {
        let key = (user, delivery.topic, delivery.record.community);
        if self.newest.insert(key, delivery).is_some() {
            return 1;
        }
        self.order.push_back(key);
        if self.order.len() <= self.most {
            return 0;
        }
        let oldest = self.order.pop_front();
        u64::from(oldest.is_some_and(|key| self.newest.remove(&key).is_some()))
    }

    /// Whether nothing is left to say.
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty() && self.current.is_none()
    }

    /// One portion: what is said to whom. `receivers` finds those of a state when its turn comes.
    pub(crate) fn portion(
        &mut self,
        mut receivers: impl FnMut(&Delivery) -> VecDeque<V>,
    ) -> Vec<(Delivery, Vec<V>)> {
        let mut left = self.portion;
        let mut given = Vec::new();
        while left > 0 {
            let (delivery, mut to) = match self.current.take() {
                Some(current) => current,
                None => {
                    let Some(key) = self.order.pop_front() else {
                        break;
                    };
                    let Some(delivery) = self.newest.remove(&key) else {
                        continue;
                    };
                    let to = receivers(&delivery);
                    (delivery, to)
                }
            };
            let now: Vec<V> = to.drain(..left.min(to.len())).collect();
            left -= now.len();
            if !to.is_empty() {
                self.current = Some((delivery.clone(), to));
            }
            if !now.is_empty() {
                given.push((delivery, now));
            }
        }
        given
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use bytes::Bytes;
    use infra::fanout::{Body, Presence, Record, Version};

    fn state(user: i64, data: &'static str) -> Delivery {
        Delivery {
            topic: Topic::Community(CommunityId::new(1)),
            record: Arc::new(Record {
                body: Body::Presence(Presence {
                    user: UserId::new(user),
                    hidden_from: Vec::new(),
                    data: Bytes::from_static(data.as_bytes()),
                }),
                community: None,
                channel: None,
                version: Version::None,
                epoch: 0,
                ephemeral: true,
            }),
        }
    }

    fn text(delivery: &Delivery) -> String {
        let Body::Presence(presence) = &delivery.record.body else {
            panic!("no presence")
        };
        String::from_utf8(presence.data.to_vec()).unwrap()
    }

    #[test]
    fn newest_wins_and_the_oldest_is_dropped_beyond_the_bound() {
        let mut outlet: Outlet<u8> = Outlet::new(10);
        assert_eq!(outlet.offer(UserId::new(0), state(0, "old")), 0);
        assert_eq!(outlet.offer(UserId::new(0), state(0, "new")), 1);
        for user in 1..20 {
            assert_eq!(outlet.offer(UserId::new(user), state(user, "x")), 0);
        }
        assert_eq!(
            outlet.offer(UserId::new(20), state(20, "x")),
            1,
            "twenty wait"
        );
        let given = outlet.portion(|_| VecDeque::from([1]));
        assert_eq!(text(&given[0].0), "x", "user 0 was the oldest");
        let mut outlet: Outlet<u8> = Outlet::new(10);
        outlet.offer(UserId::new(0), state(0, "old"));
        outlet.offer(UserId::new(0), state(0, "new"));
        assert_eq!(text(&outlet.portion(|_| VecDeque::from([1]))[0].0), "new");
        assert!(outlet.is_empty());
    }

    /// Ten thousand members come at once into a community that a thousand sockets look at: a
    /// million things to say, of which each tenth of a second says 200 and no more.
    #[test]
    fn no_portion_is_larger_than_the_cap_in_a_storm() {
        let mut outlet: Outlet<usize> = Outlet::new(2_000);
        let dropped: u64 = (0..10_000)
            .map(|user| outlet.offer(UserId::new(user), state(user, "x")))
            .sum();
        assert_eq!(dropped, 6_000, "two seconds' worth may wait");
        let mut asked = 0;
        let mut said = 0;
        for _ in 0..PORTIONS {
            let given = outlet.portion(|_| {
                asked += 1;
                (0..1_000).collect()
            });
            let now: usize = given.iter().map(|(_, to)| to.len()).sum();
            assert_eq!(now, 200);
            said += now;
        }
        assert_eq!(
            (said, asked),
            (2_000, 2),
            "receivers are looked for once per state"
        );
    }
}
