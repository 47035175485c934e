//! Pins, and the numbers of messages that change with them, under the lock of their channel.

use db::{Db, FromRow, Sql, Tx};
use jiff::Timestamp;
use kernel::{ChannelId, MessageId, UserId};

/// How a message stands that is to be pinned or unpinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct StandingPin {
    pub(crate) author_id: UserId,
    pub(crate) pinned: bool,
    /// Pins of the channel.
    pub(crate) pins: i64,
}

// Primary keys.
pub(super) const FIND_PIN: Sql = Sql::new(
    "messaging.find_pin",
    "SELECT m.author_id,
    EXISTS (
        SELECT FROM messaging.pins p WHERE p.channel_id = $1 AND p.message_id = $2
    ) AS pinned,
    (SELECT count(*) FROM messaging.pins p WHERE p.channel_id = $1) AS pins
FROM messaging.messages m
WHERE m.channel_id = $1 AND m.id = $2 AND m.deleted_at IS NULL
    AND (m.expires_at IS NULL OR m.expires_at > $3)",
)
.returning::<StandingPin>();

/// How a message that is still there stands.
pub(crate) async fn find_pin(
    tx: &Tx,
    channel: ChannelId,
    message: MessageId,
    now: Timestamp,
) -> db::Result<Option<StandingPin>> {
    FIND_PIN
        .bind(&channel)
        .bind(&message)
        .bind(&now)
        .optional(tx)
        .await
}

// No two pins of a channel are of one moment: pages go by it.
pub(super) const INSERT_PIN: Sql = Sql::new(
    "messaging.insert_pin",
    "INSERT INTO messaging.pins (channel_id, message_id, pinned_by, pinned_at)
SELECT $1, $2, $3, greatest($4::timestamptz, max(p.pinned_at) + interval '1 microsecond')
FROM messaging.pins p
WHERE p.channel_id = $1
RETURNING pinned_at",
);

/// Pins a message that is not; the moment of the pin.
pub(crate) async fn insert_pin(
    tx: &Tx,
    channel: ChannelId,
    message: MessageId,
    by: UserId,
    at: Timestamp,
) -> db::Result<Timestamp> {
    INSERT_PIN
        .bind(&channel)
        .bind(&message)
        .bind(&by)
        .bind(&at)
        .scalar(tx)
        .await
}

pub(super) const DELETE_PIN: Sql = Sql::new(
    "messaging.delete_pin",
    "WITH gone AS (
    DELETE FROM messaging.pins p
    WHERE p.channel_id = $1 AND p.message_id = $2
)
SELECT max(p.pinned_at)
FROM messaging.pins p
WHERE p.channel_id = $1 AND p.message_id <> $2",
);

/// Takes a pin away; the moment of the newest one left.
pub(crate) async fn delete_pin(
    tx: &Tx,
    channel: ChannelId,
    message: MessageId,
) -> db::Result<Option<Timestamp>> {
    DELETE_PIN.bind(&channel).bind(&message).scalar(tx).await
}

// Optimistic by `ev`, like an edit: what is told of the message was worked out from that state.
pub(super) const TOUCH_MESSAGE: Sql = Sql::new(
    "messaging.touch_message",
    "UPDATE messaging.messages
SET ev = $4
WHERE channel_id = $1 AND id = $2 AND ev = $3 AND deleted_at IS NULL",
);

/// Numbers a message anew whose row stays as it is; 0 when it is gone or changed meanwhile.
pub(crate) async fn touch_message(
    tx: &Tx,
    channel: ChannelId,
    message: MessageId,
    expected_ev: i64,
    ev: i64,
) -> db::Result<u64> {
    TOUCH_MESSAGE
        .bind(&channel)
        .bind(&message)
        .bind(&expected_ev)
        .bind(&ev)
        .execute(tx)
        .await
}

/// A pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct PinRow {
    pub(crate) message_id: MessageId,
    pub(crate) pinned_at: Timestamp,
}

// Primary keys; a channel has at most 250 pins.
pub(super) const LIST_PINS: Sql = Sql::new(
    "messaging.list_pins",
    "SELECT p.message_id, p.pinned_at
FROM messaging.pins p
JOIN messaging.messages m ON m.channel_id = p.channel_id AND m.id = p.message_id
WHERE p.channel_id = $1 AND ($2::timestamptz IS NULL OR p.pinned_at < $2)
    AND m.deleted_at IS NULL AND (m.expires_at IS NULL OR m.expires_at > $3)
ORDER BY p.pinned_at DESC
LIMIT $4",
)
.returning::<PinRow>();

/// Lists pins of messages that are still there, newest first.
pub(crate) async fn list_pins(
    db: &Db,
    channel: ChannelId,
    before: Option<Timestamp>,
    now: Timestamp,
    limit: i64,
) -> db::Result<Vec<PinRow>> {
    LIST_PINS
        .bind(&channel)
        .bind(&before)
        .bind(&now)
        .bind(&limit)
        .all(db)
        .await
}
