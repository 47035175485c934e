//! What is unread: computed from where a channel stands and where its reader does, never counted.
//!
//! unread = the channel's `last_seq` − the marker, and the marker is the highest of: what was read
//! (or, before anything was, the newest message from before the reader joined) and the `seq` at
//! which a member was added. A mention counts while it stands above the marker.

use std::collections::{BTreeSet, HashMap, HashSet};

use contracts::messaging::{NotificationLevel, ReadState};
use jiff::Timestamp;
use kernel::{Caller, ChannelId, Cursor, UserId};
use serde::Serialize;

use crate::Messaging;
use crate::error::Error;
use crate::seats::Seat;
use crate::sql::{self, StandingRow};

/// Most channels whose states are read by one statement.
const STATES_AT_ONCE: usize = 1_000;

/// What the number on an application's icon says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Badge {
    /// Messages that the reader wants to be told of and has not read, over all channels that are
    /// not silent.
    pub count: i64,
}

impl Messaging {
    /// A page of how the caller stands in every channel with messages, in the order of channels.
    pub async fn list_read_states(
        &self,
        caller: &Caller,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<(Vec<ReadState>, Option<Cursor>), Error> {
        let after = cursor.map_or(0, |cursor| cursor.after);
        let mut seats = self.seats(caller.user).await?.all;
        seats.retain(|seat| seat.channel.get() > after);
        seats.sort_unstable_by_key(|seat| seat.channel);
        let is_last = seats.len() <= limit;
        seats.truncate(limit);
        let next = seats.last().filter(|_| !is_last).map(|seat| Cursor {
            after: seat.channel.get(),
        });
        Ok((self.read_states(&seats).await?, next))
    }

    /// The number on the caller's icon.
    pub async fn badge(&self, user: UserId) -> Result<Badge, Error> {
        let seats = self.seats(user).await?;
        let states = self.read_states(&seats.all).await?;
        let now = self.clock.now();
        let counts = states.iter().map(|state| {
            let usual = state
                .guild_id
                .and_then(|community| seats.usual.get(&community));
            told_of(state, usual.copied().unwrap_or_default(), now)
        });
        Ok(Badge {
            count: counts.fold(0, i64::saturating_add),
        })
    }

    /// How readers stand; channels with neither messages nor a setting are left out.
    pub(crate) async fn read_states(&self, seats: &[Seat]) -> Result<Vec<ReadState>, Error> {
        let states = self.standing(seats).await?;
        Ok(states.into_iter().map(|(_, state)| state).collect())
    }

    /// The same, each with its reader.
    pub(crate) async fn standing(&self, seats: &[Seat]) -> Result<Vec<(UserId, ReadState)>, Error> {
        let mut all = Vec::with_capacity(seats.len());
        for part in seats.chunks(STATES_AT_ONCE) {
            let rows = sql::list_standing(&self.db, part).await?;
            let by_place: HashMap<(UserId, ChannelId), &Seat> = part
                .iter()
                .map(|seat| ((seat.user, seat.channel), seat))
                .collect();
            let mut found = Vec::with_capacity(rows.len());
            for row in rows {
                if let Some(seat) = by_place.get(&(row.user_id, row.channel_id)) {
                    found.push((row.user_id, state(seat, row)));
                }
            }
            self.drop_mentions_by_blocked(&mut found).await?;
            all.append(&mut found);
        }
        Ok(all)
    }

    /// Mentions by people whom the reader blocked, or who blocked the reader, do not count. Asked
    /// when states are read, so that a block acts on what was said before it too.
    async fn drop_mentions_by_blocked(
        &self,
        states: &mut [(UserId, ReadState)],
    ) -> Result<(), Error> {
        let called: BTreeSet<UserId> = states
            .iter()
            .filter(|(_, state)| state.mention_count > 0)
            .map(|(user, _)| *user)
            .collect();
        for reader in called {
            let severed = self.relations.circle(reader).await?.severed;
            if severed.is_empty() {
                continue;
            }
            let mut own: Vec<&mut ReadState> = states
                .iter_mut()
                .filter(|(user, state)| *user == reader && state.mention_count > 0)
                .map(|(_, state)| state)
                .collect();
            let asked: Vec<(ChannelId, i64)> = own
                .iter()
                .flat_map(|state| {
                    state
                        .mention_seqs
                        .iter()
                        .map(|seq| (state.channel_id, *seq))
                })
                .collect();
            let unheard: HashSet<(ChannelId, i64)> = sql::list_said_by(&self.db, &asked, &severed)
                .await?
                .into_iter()
                .map(|said| (said.channel_id, said.seq))
                .collect();
            for state in &mut own {
                let channel = state.channel_id;
                state
                    .mention_seqs
                    .retain(|seq| !unheard.contains(&(channel, *seq)));
                state.mention_count = count(state.mention_seqs.len());
            }
        }
        Ok(())
    }
}

/// How a reader stands by what is stored.
fn state(seat: &Seat, row: StandingRow) -> ReadState {
    let read = row.read_seq.or(row.base_seq).unwrap_or(0);
    let marker = read.max(row.joined_seq);
    let of_own_role = row
        .role_mention_ids
        .iter()
        .zip(&row.role_mention_seqs)
        .filter(|(role, _)| seat.roles.contains(role))
        .map(|(_, seq)| seq);
    let mentions: BTreeSet<i64> = row
        .mention_seqs
        .iter()
        .chain(&row.everyone_seqs)
        .chain(of_own_role)
        .copied()
        .filter(|seq| *seq > marker)
        .collect();
    ReadState {
        channel_id: row.channel_id,
        guild_id: seat.community,
        last_seq: row.last_seq,
        last_ev: row.last_ev,
        last_message_id: row.last_message_id,
        read_seq: marker,
        unread_count: row.last_seq.saturating_sub(marker).max(0),
        mention_count: count(mentions.len()),
        mention_seqs: mentions.into_iter().collect(),
        level: level(row.notify),
        muted_until: row.muted_until,
        version: row.version,
    }
}

/// How many messages of a channel its reader wants to be told of.
fn told_of(state: &ReadState, usual: NotificationLevel, now: Timestamp) -> i64 {
    if state.muted_until.is_some_and(|until| until > now) {
        return 0;
    }
    let level = match state.level {
        NotificationLevel::Default => usual,
        level => level,
    };
    match level {
        NotificationLevel::Default | NotificationLevel::All => state.unread_count,
        NotificationLevel::Mentions => state.mention_count,
        NotificationLevel::Nothing => 0,
    }
}

/// A level as it is stored.
pub(crate) fn stored(level: NotificationLevel) -> i16 {
    match level {
        NotificationLevel::Default => 0,
        NotificationLevel::All => 1,
        NotificationLevel::Mentions => 2,
        NotificationLevel::Nothing => 3,
    }
}

fn level(stored: i16) -> NotificationLevel {
    match stored {
        1 => NotificationLevel::All,
        2 => NotificationLevel::Mentions,
        3 => NotificationLevel::Nothing,
        _ => NotificationLevel::Default,
    }
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kernel::{CommunityId, MessageId, RoleId};
    use proptest::prelude::*;

    use super::*;

    fn seat(roles: &[i64]) -> Seat {
        Seat {
            user: UserId::new(1),
            channel: ChannelId::new(2),
            community: Some(CommunityId::new(3)),
            since: MessageId::new(0),
            roles: roles.iter().map(|role| RoleId::new(*role)).collect(),
        }
    }

    fn row(last_seq: i64) -> StandingRow {
        StandingRow {
            user_id: UserId::new(1),
            channel_id: ChannelId::new(2),
            last_seq,
            last_ev: last_seq,
            last_message_id: None,
            read_seq: None,
            base_seq: None,
            joined_seq: 0,
            mention_seqs: Vec::new(),
            everyone_seqs: Vec::new(),
            role_mention_ids: Vec::new(),
            role_mention_seqs: Vec::new(),
            notify: 0,
            muted_until: None,
            version: 0,
        }
    }

    #[test]
    fn the_marker_is_the_highest_of_what_counts() {
        // last, read, base, joined → marker, unread
        for (last, read, base, joined, marker, unread) in [
            (10, None, None, 0, 0, 10),
            (10, None, Some(4), 0, 4, 6),
            (10, Some(2), Some(4), 0, 2, 8),
            (10, Some(2), None, 7, 7, 3),
            (10, Some(10), None, 7, 10, 0),
            // A marker beyond the end, as after messages were lost with a backup.
            (10, Some(12), None, 0, 12, 0),
            (0, None, None, 3, 3, 0),
        ] {
            let row = StandingRow {
                read_seq: read,
                base_seq: base,
                joined_seq: joined,
                ..row(last)
            };
            let name = format!("{row:?}");
            let state = state(&seat(&[]), row);
            assert_eq!(
                (state.read_seq, state.unread_count),
                (marker, unread),
                "{name}"
            );
        }
    }

    #[test]
    fn a_message_that_calls_twice_is_one_mention() {
        let row = StandingRow {
            read_seq: Some(3),
            mention_seqs: vec![2, 4, 6],
            everyone_seqs: vec![3, 4],
            role_mention_ids: vec![RoleId::new(8), RoleId::new(9), RoleId::new(8)],
            role_mention_seqs: vec![5, 6, 7],
            ..row(9)
        };
        let standing = state(&seat(&[8]), row);
        assert_eq!(standing.mention_seqs, [4, 5, 6, 7]);
        assert_eq!(standing.mention_count, 4);
    }

    #[test]
    fn levels_and_silence() {
        use NotificationLevel::{All, Default, Mentions, Nothing};
        let now: Timestamp = "2026-11-20T07:00:00Z".parse().unwrap();
        let base = state(
            &seat(&[]),
            StandingRow {
                mention_seqs: vec![2],
                ..row(5)
            },
        );
        for (own, usual, told) in [
            (Default, All, 5),
            (Default, Mentions, 1),
            (Default, Default, 5),
            (All, Mentions, 5),
            (Mentions, All, 1),
            (Nothing, All, 0),
        ] {
            let state = ReadState {
                level: own,
                ..base.clone()
            };
            assert_eq!(told_of(&state, usual, now), told, "{own:?} {usual:?}");
            assert_eq!(level(stored(own)), own);
        }
        for (until, told) in [(now, 5), (now + Duration::from_nanos(1), 0)] {
            let state = ReadState {
                muted_until: Some(until),
                ..base.clone()
            };
            assert_eq!(told_of(&state, All, now), told, "{until}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_ever_negative(
            last in 0_i64..50,
            read in proptest::option::of(0_i64..60),
            base in proptest::option::of(0_i64..60),
            joined in 0_i64..60,
            mentions in proptest::collection::btree_set(1_i64..50, 0..9),
        ) {
            let row = StandingRow {
                read_seq: read,
                base_seq: base,
                joined_seq: joined,
                mention_seqs: mentions.iter().copied().filter(|seq| *seq <= last).collect(),
                ..row(last)
            };
            let state = state(&seat(&[]), row);
            prop_assert!(state.unread_count >= 0);
            prop_assert!(state.mention_count <= state.unread_count);
            prop_assert_eq!(state.unread_count, count((1..=last).filter(|s| *s > state.read_seq).count()));
        }
    }
}
