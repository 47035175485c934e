//! Private channels and positions in maps.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use contracts::Messaging;
use contracts::messaging::{
    Cursor, Inbox, InboxParts, Position, PrivateChannel, ReadState, SyncFrom, Synced,
};
use kernel::failure::{INVALID_REQUEST, UNAVAILABLE};
use kernel::{ChannelId, Failure, UserId};

/// As many as the real one takes.
const MAX_POSITIONS: usize = 500;
/// As many as the real one takes.
const MAX_CURSORS: usize = 100;
/// As many as the real one takes.
const MAX_SYNCED: usize = 200;
/// As many as the real one gives.
const MAX_CHANNELS: usize = 1_000;

/// [`Messaging`] over maps. Knows only what was put in.
#[derive(Debug, Default)]
pub struct FakeMessaging {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    inboxes: BTreeMap<UserId, Vec<PrivateChannel>>,
    positions: BTreeMap<ChannelId, Position>,
    read_states: BTreeMap<UserId, Vec<ReadState>>,
    advanced: Vec<(UserId, Cursor)>,
    missed: BTreeMap<ChannelId, Synced>,
    away: bool,
}

impl FakeMessaging {
    /// Knows no channel.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Puts a private channel on top of a user's inbox, as that user sees it.
    pub fn add(&self, user: UserId, channel: PrivateChannel) {
        let mut state = self.lock();
        let channels = state.inboxes.entry(user).or_default();
        channels.retain(|known| known.id != channel.id);
        channels.insert(0, channel);
    }

    /// Says where a channel stands.
    pub fn place(&self, position: Position) {
        self.lock().positions.insert(position.channel, position);
    }

    /// Says how a user stands in a channel.
    pub fn stand(&self, user: UserId, state: ReadState) {
        self.lock().read_states.entry(user).or_default().push(state);
    }

    /// Says what everybody missed in a channel; of others everybody is told that they are gone.
    pub fn miss(&self, channel: ChannelId, synced: Synced) {
        self.lock().missed.insert(channel, synced);
    }

    /// What was acknowledged so far, in the order in which it came.
    pub fn advanced(&self) -> Vec<(UserId, Cursor)> {
        self.lock().advanced.clone()
    }

    /// From now on every call fails as if messaging were away.
    pub fn leave(&self) {
        self.lock().away = true;
    }

    /// Calls work again.
    pub fn come_back(&self) {
        self.lock().away = false;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn present(&self) -> Result<std::sync::MutexGuard<'_, State>, Failure> {
        let state = self.lock();
        if state.away {
            Err(UNAVAILABLE.fail())
        } else {
            Ok(state)
        }
    }
}

#[async_trait]
impl Messaging for FakeMessaging {
    async fn inbox(&self, user: UserId, parts: InboxParts) -> Result<Inbox, Failure> {
        let state = self.present()?;
        let read_states = match parts {
            InboxParts::Channels => Vec::new(),
            InboxParts::WithReadStates => state.read_states.get(&user).cloned().unwrap_or_default(),
        };
        let mut channels = state.inboxes.get(&user).cloned().unwrap_or_default();
        channels.truncate(MAX_CHANNELS);
        Ok(Inbox {
            channels,
            read_states,
        })
    }

    async fn positions(&self, channels: &[ChannelId]) -> Result<Vec<Position>, Failure> {
        let state = self.present()?;
        if channels.len() > MAX_POSITIONS {
            return Err(INVALID_REQUEST.fail());
        }
        let mut channels = channels.to_vec();
        channels.sort_unstable();
        channels.dedup();
        Ok(channels
            .iter()
            .filter_map(|id| state.positions.get(id).copied())
            .collect())
    }

    async fn advance(&self, user: UserId, cursors: &[Cursor]) -> Result<(), Failure> {
        let mut state = self.present()?;
        if cursors.len() > MAX_CURSORS {
            return Err(INVALID_REQUEST.fail());
        }
        state
            .advanced
            .extend(cursors.iter().map(|cursor| (user, *cursor)));
        Ok(())
    }

    async fn sync(
        &self,
        _user: UserId,
        from: &[SyncFrom],
    ) -> Result<Vec<(ChannelId, Synced)>, Failure> {
        let state = self.present()?;
        if from.len() > MAX_SYNCED {
            return Err(INVALID_REQUEST.fail());
        }
        let missed = |from: &SyncFrom| {
            let known = state.missed.get(&from.channel).cloned();
            (from.channel, known.unwrap_or(Synced::Gone { gone: true }))
        };
        Ok(from.iter().map(missed).collect())
    }
}
