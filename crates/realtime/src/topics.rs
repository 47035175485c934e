//! Which sessions of a worker follow which topic.

use std::collections::HashMap;
use std::rc::Rc;

use infra::fanout::Topic;

use crate::session::{Session, SessionKey};

/// A follower of a topic.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) session: Rc<Session>,
    /// The member's class of roles; only in topics of communities.
    pub(crate) class: i32,
}

/// Followers of one topic: a dense list to walk, and where each stands in it.
#[derive(Default)]
struct Members {
    list: Vec<Entry>,
    at: HashMap<SessionKey, usize>,
}

/// All topics of a worker.
#[derive(Default)]
pub(crate) struct Topics {
    map: HashMap<Topic, Members>,
}

/// What a change means for the node's subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    /// The topic has its first follower.
    First,
    /// The topic has no follower left.
    Last,
}

impl Topics {
    /// Adds a follower, or changes its class.
    pub(crate) fn add(&mut self, topic: Topic, session: &Rc<Session>, class: i32) -> Change {
        let members = self.map.entry(topic).or_default();
        if let Some(entry) = members
            .at
            .get(&session.key)
            .and_then(|at| members.list.get_mut(*at))
        {
            entry.class = class;
            return Change::None;
        }
        members.at.insert(session.key, members.list.len());
        members.list.push(Entry {
            session: Rc::clone(session),
            class,
        });
        if members.list.len() == 1 {
            Change::First
        } else {
            Change::None
        }
    }

    /// Takes a follower out.
    pub(crate) fn remove(&mut self, topic: Topic, key: SessionKey) -> Change {
        let Some(members) = self.map.get_mut(&topic) else {
            return Change::None;
        };
        let Some(at) = members.at.remove(&key) else {
            return Change::None;
        };
        members.list.swap_remove(at);
        if let Some(moved) = members.list.get(at) {
            members.at.insert(moved.session.key, at);
        }
        if !members.list.is_empty() {
            return Change::None;
        }
        self.map.remove(&topic);
        Change::Last
    }

    /// The followers of a topic.
    pub(crate) fn followers(&self, topic: Topic) -> &[Entry] {
        self.map
            .get(&topic)
            .map_or(&[], |members| members.list.as_slice())
    }

    /// The class a session has in a topic.
    pub(crate) fn class(&self, topic: Topic, key: SessionKey) -> Option<i32> {
        let members = self.map.get(&topic)?;
        members
            .at
            .get(&key)
            .and_then(|at| members.list.get(*at))
            .map(|entry| entry.class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::CommunityId;

    #[test]
    fn followers_come_once_and_go() {
        let topic = Topic::Community(CommunityId::new(1));
        let (a, b, c) = (
            Session::for_tests(1),
            Session::for_tests(2),
            Session::for_tests(3),
        );
        let mut topics = Topics::default();
        assert_eq!(topics.add(topic, &a, 0), Change::First);
        assert_eq!(topics.add(topic, &b, 0), Change::None);
        assert_eq!(topics.add(topic, &c, 0), Change::None);
        assert_eq!(topics.add(topic, &b, 4), Change::None);
        assert_eq!(topics.followers(topic).len(), 3);
        assert_eq!(topics.class(topic, b.key), Some(4));
        assert_eq!(topics.remove(topic, a.key), Change::None);
        assert_eq!(
            topics.class(topic, c.key),
            Some(0),
            "the moved one is still found"
        );
        assert_eq!(topics.remove(topic, a.key), Change::None);
        assert_eq!(topics.remove(topic, c.key), Change::None);
        assert_eq!(topics.remove(topic, b.key), Change::Last);
        assert!(topics.followers(topic).is_empty());
    }
}
