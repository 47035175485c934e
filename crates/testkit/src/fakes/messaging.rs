//! Private channels and positions in maps.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use contracts::Messaging;
use contracts::identity::User;
use contracts::messaging::{
    Cursor, Inbox, InboxParts, Message, Position, PrivateChannel, ReadState, SyncFrom, Synced,
    Voice, WebhookAct, WebhookPlace,
};
use kernel::failure::{INVALID_REQUEST, NOT_FOUND, UNAVAILABLE};
use kernel::{ChannelId, ErrorKind, ErrorRow, Failure, MessageId, UserId};
use serde_json::Value;

/// As many as the real one takes.
const MAX_POSITIONS: usize = 500;
/// As many as the real one takes.
const MAX_CURSORS: usize = 100;
/// As many as the real one takes.
const MAX_SYNCED: usize = 200;
/// As many as the real one gives.
const MAX_MESSAGES: usize = 100;
/// What the real one says of a channel that is gone.
static CHANNEL_GONE: ErrorRow = ErrorRow {
    code: "FAKE_CHANNEL_GONE",
    kind: ErrorKind::NotFound,
    dialect: 10003,
    en: "gone",
    tr: "gitti",
};
/// Messages that are made here get ids from here on.
const FIRST_MESSAGE: i64 = 9_000_000_000_000_000;
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
    messages: BTreeMap<MessageId, Message>,
    keys: BTreeMap<(UserId, String), MessageId>,
    closed: Vec<ChannelId>,
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

    /// Puts a message in.
    pub fn put_message(&self, message: Message) {
        self.lock().messages.insert(message.id, message);
    }

    /// From now on nothing can be said in a channel: it is gone.
    pub fn close(&self, channel: ChannelId) {
        self.lock().closed.push(channel);
    }

    /// All messages, oldest first.
    pub fn all_messages(&self) -> Vec<Message> {
        self.lock().messages.values().cloned().collect()
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

/// A message with nothing in it.
pub fn message(id: MessageId, channel: ChannelId, author: User) -> Message {
    Message {
        id,
        channel_id: channel,
        guild_id: None,
        author,
        webhook_id: None,
        avatar_url: None,
        member: None,
        content: String::new(),
        timestamp: id.made_at(),
        edited_timestamp: None,
        tts: false,
        mention_everyone: false,
        mentions: Vec::new(),
        mention_roles: Vec::new(),
        attachments: Vec::new(),
        embeds: Vec::new(),
        components: Vec::new(),
        reactions: Some(Vec::new()),
        expires_at: None,
        poll: None,
        message_snapshots: None,
        pinned: false,
        kind: 0,
        flags: 0,
        nonce: None,
        message_reference: None,
        referenced_message: None,
        seq: 0,
        ev: 0,
    }
}

impl State {
    fn send(&mut self, place: WebhookPlace, voice: Voice, body: &Value) -> Message {
        let count = i64::try_from(self.messages.len()).unwrap_or(0);
        let author = User {
            username: voice.name,
            avatar: voice.avatar,
            bot: true,
            ..User::unknown(place.webhook.cast())
        };
        let id = MessageId::new(FIRST_MESSAGE.saturating_add(count));
        let mut made = message(id, place.thread.unwrap_or(place.channel), author);
        made.webhook_id = Some(place.webhook);
        made.avatar_url = voice.avatar_url;
        fill(&mut made, body);
        self.messages.insert(id, made.clone());
        made
    }

    fn own(&mut self, place: WebhookPlace, id: MessageId) -> Result<&mut Message, Failure> {
        let here = place.thread.unwrap_or(place.channel);
        let found = self.messages.get_mut(&id).filter(|message| {
            message.webhook_id == Some(place.webhook) && message.channel_id == here
        });
        found.ok_or_else(|| NOT_FOUND.fail())
    }
}

fn fill(message: &mut Message, body: &Value) {
    if let Some(content) = body.get("content").and_then(Value::as_str) {
        message.content = content.to_owned();
    }
    if let Some(embeds) = body.get("embeds").and_then(Value::as_array) {
        message.embeds.clone_from(embeds);
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
            drafts: Vec::new(),
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

    async fn speak(
        &self,
        place: WebhookPlace,
        act: WebhookAct,
    ) -> Result<Option<Message>, Failure> {
        let mut state = self.present()?;
        if state.closed.contains(&place.channel) {
            return Err(CHANNEL_GONE.fail());
        }
        match act {
            WebhookAct::Send { voice, body, key } => {
                let author: UserId = place.webhook.cast();
                let key = key.map(|key| (author, key));
                let known = key.as_ref().and_then(|key| state.keys.get(key).copied());
                if let Some(known) = known {
                    return Ok(state.messages.get(&known).cloned());
                }
                let made = state.send(place, voice, &body);
                if let Some(key) = key {
                    state.keys.insert(key, made.id);
                }
                Ok(Some(made))
            }
            WebhookAct::Edit(id, body) => {
                let message = state.own(place, id)?;
                fill(message, &body);
                Ok(Some(message.clone()))
            }
            WebhookAct::Delete(id) => {
                state.own(place, id)?;
                state.messages.remove(&id);
                Ok(None)
            }
        }
    }

    async fn messages(&self, wanted: &[(ChannelId, MessageId)]) -> Result<Vec<Message>, Failure> {
        let state = self.present()?;
        if wanted.len() > MAX_MESSAGES {
            return Err(INVALID_REQUEST.fail());
        }
        let named = wanted.iter().filter_map(|(channel, id)| {
            let found = state.messages.get(id)?;
            (found.channel_id == *channel).then(|| found.clone())
        });
        Ok(named.collect())
    }
}
