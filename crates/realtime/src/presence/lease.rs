//! Who is here on this node, for the other nodes: parts of a value in the cache that is renewed while
//! the node lives. A node whose value is gone is dead, and all its users with it.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use infra::cache::{Cache, CacheError};
use kernel::UserId;
use serde::{Deserialize, Serialize};

use super::book::Told;

/// How long a node is believed alive.
pub(crate) const LEASE: Duration = Duration::from_secs(30);
/// How often a lease is renewed and those of others are read.
pub(crate) const RENEW: Duration = Duration::from_secs(5);
/// Nodes have the numbers from 1 to this one; others are not looked for.
pub(crate) const NODES: u16 = 64;
/// Most bytes of one part, below what a cache takes.
const PART_BYTES: usize = 900 * 1024;

/// The first part says how many follow it.
#[derive(Serialize, Deserialize)]
struct Part {
    more: usize,
    users: Vec<(UserId, Told)>,
}

fn key(node: u16, part: usize) -> String {
    format!("presence:{node}:{part}")
}

/// Writes a node's lease. The first part goes last: who finds it finds the others.
pub(crate) async fn put(
    cache: &dyn Cache,
    node: u16,
    users: Vec<(UserId, Told)>,
) -> Result<(), CacheError> {
    let mut parts: Vec<Vec<(UserId, Told)>> = vec![Vec::new()];
    let mut bytes = 0;
    for user in users {
        let size = serde_json::to_vec(&user).map_or(0, |json| json.len());
        if bytes + size > PART_BYTES {
            parts.push(Vec::new());
            bytes = 0;
        }
        bytes += size + 1;
        if let Some(part) = parts.last_mut() {
            part.push(user);
        }
    }
    let more = parts.len() - 1;
    for (number, users) in parts.into_iter().enumerate().rev() {
        let json = serde_json::to_vec(&Part { more, users }).unwrap_or_default();
        cache
            .put(&key(node, number), Bytes::from(json), LEASE)
            .await?;
    }
    Ok(())
}

/// Reads a node's lease; none when the node is dead or was never there.
pub(crate) async fn get(
    cache: &dyn Cache,
    node: u16,
) -> Result<Option<HashMap<UserId, Told>>, CacheError> {
    let Some(first) = part(cache, node, 0).await? else {
        return Ok(None);
    };
    let mut users: HashMap<_, _> = first.users.into_iter().collect();
    for number in 1..=first.more {
        // A part that ran out just now is whole again with the next renewal.
        if let Some(part) = part(cache, node, number).await? {
            users.extend(part.users);
        }
    }
    Ok(Some(users))
}

/// Gives a lease up: the node stops in order.
pub(crate) async fn remove(cache: &dyn Cache, node: u16) -> Result<(), CacheError> {
    cache.remove(&key(node, 0)).await
}

async fn part(cache: &dyn Cache, node: u16, number: usize) -> Result<Option<Part>, CacheError> {
    let found = cache.get(&key(node, number)).await?;
    // A value of a form we no longer know is as good as none.
    Ok(found.and_then(|json| serde_json::from_slice(&json).ok()))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use kernel::ManualClock;

    use super::*;
    use crate::presence::{Shown, Sight, Status};

    fn told(known: usize) -> Told {
        Told {
            shown: Shown {
                status: Status::Online,
                ..Shown::default()
            },
            sight: Sight {
                is_open: true,
                severed: Vec::new(),
                known: (0..known)
                    .map(|id| UserId::new(1_000_000_000_000_000 + i64::try_from(id).unwrap()))
                    .collect(),
            },
        }
    }

    #[tokio::test]
    async fn lease_of_many_parts_comes_back_whole_and_runs_out() {
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        let cache = infra::cache::LocalCache::new(clock.clone(), 1_000);
        assert_eq!(get(&*cache, 3).await.unwrap(), None);
        let users: Vec<_> = (0..200).map(|id| (UserId::new(id), told(1_000))).collect();
        put(&*cache, 3, users.clone()).await.unwrap();
        assert!(part(&*cache, 3, 0).await.unwrap().unwrap().more >= 3);
        let found = get(&*cache, 3).await.unwrap().unwrap();
        assert_eq!(found, users.into_iter().collect());
        clock.advance(LEASE - Duration::from_millis(1));
        assert!(get(&*cache, 3).await.unwrap().is_some());
        clock.advance(Duration::from_millis(1));
        assert_eq!(get(&*cache, 3).await.unwrap(), None);
        put(&*cache, 3, Vec::new()).await.unwrap();
        assert_eq!(get(&*cache, 3).await.unwrap(), Some(HashMap::new()));
        remove(&*cache, 3).await.unwrap();
        assert_eq!(get(&*cache, 3).await.unwrap(), None);
    }
}
