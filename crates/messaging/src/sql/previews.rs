//! Links that are still to be looked at, and what was found for them.

use db::{Db, FromRow, Sql, Tx};
use jiff::Timestamp;
use kernel::{ChannelId, MessageId};

// A message that is edited is looked at anew. The links of each message come as JSON.
pub(super) const INSERT_LINKS: Sql = Sql::new(
    "messaging.insert_links",
    "INSERT INTO messaging.link_previews AS p (channel_id, message_id, links, due_at)
SELECT n.channel_id, n.message_id, ARRAY(SELECT jsonb_array_elements_text(n.links::jsonb)), n.due_at
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::timestamptz[])
    AS n(channel_id, message_id, links, due_at)
ON CONFLICT (channel_id, message_id) DO UPDATE
SET links = excluded.links, due_at = excluded.due_at, tries = 0",
);

/// Notes links of messages, as JSON lists, from a moment on.
pub(crate) async fn insert_links(
    tx: &Tx,
    rows: &[(ChannelId, MessageId, String, Timestamp)],
) -> db::Result<u64> {
    let channels: Vec<ChannelId> = rows.iter().map(|row| row.0).collect();
    let messages: Vec<MessageId> = rows.iter().map(|row| row.1).collect();
    let links: Vec<&str> = rows.iter().map(|row| row.2.as_str()).collect();
    let due: Vec<Timestamp> = rows.iter().map(|row| row.3).collect();
    INSERT_LINKS
        .bind(&channels)
        .bind(&messages)
        .bind(&links)
        .bind(&due)
        .execute(tx)
        .await
}

/// A message whose links are to be looked at.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct LinksRow {
    pub(crate) channel_id: ChannelId,
    pub(crate) message_id: MessageId,
    pub(crate) links: Vec<String>,
    /// How often it was taken up, this time included.
    pub(crate) tries: i16,
}

// Index link_previews_due. Nodes that claim at once take different rows.
pub(super) const CLAIM_LINKS: Sql = Sql::new(
    "messaging.claim_links",
    "UPDATE messaging.link_previews p
SET due_at = $2, tries = p.tries + 1
FROM (
    SELECT d.channel_id, d.message_id
    FROM messaging.link_previews d
    WHERE d.due_at <= $1
    ORDER BY d.due_at
    LIMIT $3
    FOR UPDATE SKIP LOCKED
) due
WHERE p.channel_id = due.channel_id AND p.message_id = due.message_id
RETURNING p.channel_id, p.message_id, p.links, p.tries",
)
.returning::<LinksRow>();

/// Takes messages that are due, for nobody else until `until`.
pub(crate) async fn claim_links(
    db: &Db,
    now: Timestamp,
    until: Timestamp,
    limit: i64,
) -> db::Result<Vec<LinksRow>> {
    CLAIM_LINKS
        .bind(&now)
        .bind(&until)
        .bind(&limit)
        .all(db)
        .await
}

// Primary key; with other links the message was edited meanwhile.
pub(super) const DELETE_LINKS: Sql = Sql::new(
    "messaging.delete_links",
    "DELETE FROM messaging.link_previews
WHERE channel_id = $1 AND message_id = $2 AND links = $3::text[]",
);

/// Notes that links were looked at.
pub(crate) async fn delete_links(
    db: &Db,
    channel: ChannelId,
    message: MessageId,
    links: &[String],
) -> db::Result<u64> {
    DELETE_LINKS
        .bind(&channel)
        .bind(&message)
        .bind(&links)
        .execute(db)
        .await
}

// Optimistic by `ev`, like an edit, but no edit: it leaves no revision.
pub(super) const PUT_BODY: Sql = Sql::new(
    "messaging.put_body",
    "UPDATE messaging.messages
SET ev = $4, body = $5::text::jsonb
WHERE channel_id = $1 AND id = $2 AND ev = $3 AND deleted_at IS NULL",
);

/// Writes what a message shows besides its text, as the change number `ev`; 0 when it is gone or
/// changed meanwhile.
pub(crate) async fn put_body(
    tx: &Tx,
    (channel, message): (ChannelId, MessageId),
    expected_ev: i64,
    ev: i64,
    body: Option<&str>,
) -> db::Result<u64> {
    PUT_BODY
        .bind(&channel)
        .bind(&message)
        .bind(&expected_ev)
        .bind(&ev)
        .bind(&body)
        .execute(tx)
        .await
}
