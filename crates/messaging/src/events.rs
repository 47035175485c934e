//! Events this context emits, and those it listens to.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use db::Tx;
use db::inbox::TxHandler;
use kernel::event::{Handler, Handling};
use kernel::{ChannelId, CommunityId, Event, Failure, MessageId, SharedClock, UserId};
use serde::{Deserialize, Serialize};

use crate::Messaging;
use crate::sql;

/// A message was sent. `{channel_id, community_id?, id, author_id, seq, ev}`; the event's id is the
/// message's. Written by the append itself, or by the change that says it.
pub const MESSAGE_CREATED: &str = "messaging.message_created.v1";
/// A message was edited. `{channel_id, community_id?, id, author_id, ev}`
pub const MESSAGE_UPDATED: &str = "messaging.message_updated.v1";
/// An edit took files out of a message. `{message_id, media_ids}`
pub const ATTACHMENTS_REMOVED: &str = "messaging.attachments_removed.v1";
/// A message was deleted. `{channel_id, community_id?, id, author_id, seq, ev}`
pub const MESSAGE_DELETED: &str = "messaging.message_deleted.v1";

/// Somebody deleted another one's message. `{channel_id, community_id?, id, author_id, reason?}`, besides
/// the event of the message. The event's actor did it.
pub const MESSAGE_REMOVED: &str = "messaging.message_removed.v1";
/// Somebody deleted many messages at once. `{channel_id, community_id?, ids, reason?}`; each message
/// has an event of its own besides. The event's actor did it.
pub const MESSAGES_BULK_DELETED: &str = "messaging.messages_bulk_deleted.v1";

/// Nothing is left of a user here but an id. The key is the user.
pub const USER_ERASED: &str = "messaging.user_erased.v1";

/// Every event this build emits.
pub const EVENTS: &[&str] = &[
    MESSAGE_CREATED,
    MESSAGE_UPDATED,
    ATTACHMENTS_REMOVED,
    MESSAGE_DELETED,
    MESSAGE_REMOVED,
    MESSAGES_BULK_DELETED,
    USER_ERASED,
];

/// The data of an event about a message.
#[derive(Debug, Serialize)]
pub(crate) struct MessageEvent {
    pub(crate) channel_id: ChannelId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) community_id: Option<CommunityId>,
    pub(crate) id: MessageId,
    pub(crate) author_id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seq: Option<i64>,
    pub(crate) ev: i64,
}

/// The data of another one's message deleted.
#[derive(Debug, Serialize)]
pub(crate) struct Removal<'a> {
    pub(crate) channel_id: ChannelId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) community_id: Option<CommunityId>,
    pub(crate) id: MessageId,
    pub(crate) author_id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'a str>,
}

/// The data of many messages deleted at once.
#[derive(Debug, Serialize)]
pub(crate) struct BulkDeletion<'a> {
    pub(crate) channel_id: ChannelId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) community_id: Option<CommunityId>,
    pub(crate) ids: Vec<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'a str>,
}

const CHANNEL_CREATED: &str = "communities.channel_created.v1";
const CHANNEL_DELETED: &str = "communities.channel_deleted.v1";

/// The consumer that keeps the counter rows.
pub(crate) const CHANNELS: &str = "messaging.channels";
/// What it listens to.
pub(crate) const CHANNEL_KINDS: &[&str] = &[CHANNEL_CREATED, CHANNEL_DELETED];
/// Kinds after which a cached card may be out of date.
pub(crate) const CARD_KINDS: &[&str] =
    &["identity.user_updated.v1", "identity.user_state_changed.v1"];

/// What we read of a channel's event.
#[derive(Deserialize)]
struct ChannelEvent {
    #[serde(alias = "id")]
    channel_id: ChannelId,
    #[serde(alias = "guild_id")]
    community_id: CommunityId,
    #[serde(default, alias = "type")]
    kind: i16,
}

/// Makes and ends the counter rows of community channels.
struct Channels {
    clock: SharedClock,
    homes: moka::sync::Cache<ChannelId, crate::places::Home>,
}

#[async_trait]
impl TxHandler for Channels {
    async fn handle(&self, tx: &Tx, event: &Event) -> Result<(), Failure> {
        let data = ChannelEvent::deserialize(&event.data)
            .map_err(|error| kernel::failure::INTERNAL.fail().because(error))?;
        if event.kind == CHANNEL_DELETED {
            let now = self.clock.now();
            sql::delete_channel(tx, data.channel_id, data.community_id, now).await?;
            self.homes.invalidate(&data.channel_id);
        } else {
            sql::insert_channel(tx, data.channel_id, data.community_id, data.kind).await?;
        }
        Ok(())
    }
}

/// The consumer of channels' events, idempotent by the inbox.
pub(crate) fn channels(messaging: &Messaging) -> db::inbox::Consumer {
    let handler = Channels {
        clock: Arc::clone(&messaging.clock),
        homes: messaging.homes.clone(),
    };
    db::inbox::Consumer::new(
        messaging.db.clone(),
        crate::SCHEMA,
        CHANNELS,
        Arc::new(handler),
    )
}

/// Drops cached cards; idempotent. Holds the context weakly, because the bus outlives it.
pub(crate) struct CardCache(pub(crate) Weak<Messaging>);

impl Handler for CardCache {
    fn handle<'a>(&'a self, event: &'a Event) -> Handling<'a> {
        Box::pin(async move {
            if let (Some(messaging), Ok(user)) = (self.0.upgrade(), event.key.parse::<UserId>()) {
                messaging.users.invalidate(&user);
            }
            Ok(())
        })
    }
}
