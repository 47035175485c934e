//! Reactions and their counts, which change together under the lock of their channel. Primary keys
//! throughout.

use db::{Db, FromRow, Sql, Tx};
use jiff::Timestamp;
use kernel::{ChannelId, MessageId, UserId};

/// What decides whether somebody may react with an emoji.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct StandingReaction {
    pub(crate) author_id: UserId,
    /// Whether this user gave this emoji already.
    pub(crate) own: bool,
    /// Whether anybody did.
    pub(crate) known: bool,
    /// Different emoji of the message.
    pub(crate) emoji: i64,
}

pub(super) const FIND_REACTION: Sql = Sql::new(
    "messaging.find_reaction",
    "SELECT m.author_id,
    EXISTS (
        SELECT FROM messaging.reactions r
        WHERE r.channel_id = $1 AND r.message_id = $2 AND r.emoji = $3 AND r.user_id = $4
    ) AS own,
    EXISTS (
        SELECT FROM messaging.reaction_counts c
        WHERE c.channel_id = $1 AND c.message_id = $2 AND c.emoji = $3
    ) AS known,
    (SELECT count(*)
        FROM messaging.reaction_counts c
        WHERE c.channel_id = $1 AND c.message_id = $2) AS emoji
FROM messaging.messages m
WHERE m.channel_id = $1 AND m.id = $2 AND m.deleted_at IS NULL
    AND (m.expires_at IS NULL OR m.expires_at > $5)",
)
.returning::<StandingReaction>();

/// How a user's reaction to a message that is still there stands.
pub(crate) async fn find_reaction(
    tx: &Tx,
    (channel, message): (ChannelId, MessageId),
    emoji: &str,
    user: UserId,
    now: Timestamp,
) -> db::Result<Option<StandingReaction>> {
    FIND_REACTION
        .bind(&channel)
        .bind(&message)
        .bind(&emoji)
        .bind(&user)
        .bind(&now)
        .optional(tx)
        .await
}

pub(super) const INSERT_REACTION: Sql = Sql::new(
    "messaging.insert_reaction",
    "WITH put AS (
    INSERT INTO messaging.reactions (channel_id, message_id, emoji, user_id)
    VALUES ($1, $2, $3, $4)
)
INSERT INTO messaging.reaction_counts AS c (channel_id, message_id, emoji, n, since)
VALUES ($1, $2, $3, 1, $5)
ON CONFLICT (channel_id, message_id, emoji) DO UPDATE
SET n = c.n + 1",
);

/// Adds a reaction that is not there, as the change number `ev`.
pub(crate) async fn insert_reaction(
    tx: &Tx,
    (channel, message): (ChannelId, MessageId),
    emoji: &str,
    user: UserId,
    ev: i64,
) -> db::Result<u64> {
    INSERT_REACTION
        .bind(&channel)
        .bind(&message)
        .bind(&emoji)
        .bind(&user)
        .bind(&ev)
        .execute(tx)
        .await
}

// The last one takes the row of its emoji along; a statement may not change a row twice, so the
// two cases are told apart by the count before.
pub(super) const DELETE_REACTION: Sql = Sql::new(
    "messaging.delete_reaction",
    "WITH gone AS (
    DELETE FROM messaging.reactions r
    WHERE r.channel_id = $1 AND r.message_id = $2 AND r.emoji = $3 AND r.user_id = $4
    RETURNING r.emoji
),
fewer AS (
    UPDATE messaging.reaction_counts c
    SET n = c.n - 1
    FROM gone
    WHERE c.channel_id = $1 AND c.message_id = $2 AND c.emoji = gone.emoji AND c.n > 1
),
none AS (
    DELETE FROM messaging.reaction_counts c
    USING gone
    WHERE c.channel_id = $1 AND c.message_id = $2 AND c.emoji = gone.emoji AND c.n <= 1
)
SELECT count(*) FROM gone",
);

/// Takes a reaction away; whether there was one.
pub(crate) async fn delete_reaction(
    tx: &Tx,
    (channel, message): (ChannelId, MessageId),
    emoji: &str,
    user: UserId,
) -> db::Result<bool> {
    let gone: i64 = DELETE_REACTION
        .bind(&channel)
        .bind(&message)
        .bind(&emoji)
        .bind(&user)
        .scalar(tx)
        .await?;
    Ok(gone > 0)
}

pub(super) const CLEAR_REACTIONS: Sql = Sql::new(
    "messaging.clear_reactions",
    "WITH gone AS (
    DELETE FROM messaging.reactions r
    WHERE r.channel_id = $1 AND r.message_id = $2 AND ($3::text IS NULL OR r.emoji = $3)
)
DELETE FROM messaging.reaction_counts c
WHERE c.channel_id = $1 AND c.message_id = $2 AND ($3::text IS NULL OR c.emoji = $3)",
);

/// Takes all reactions of a message away, or all with one emoji; how many emoji there were.
pub(crate) async fn clear_reactions(
    tx: &Tx,
    (channel, message): (ChannelId, MessageId),
    emoji: Option<&str>,
) -> db::Result<u64> {
    CLEAR_REACTIONS
        .bind(&channel)
        .bind(&message)
        .bind(&emoji)
        .execute(tx)
        .await
}

// `$4` is `:` and the id of a community's emoji: a renamed one is found under its first name.
pub(super) const FIND_EMOJI: Sql = Sql::new(
    "messaging.find_emoji",
    "SELECT c.emoji
FROM messaging.reaction_counts c
WHERE c.channel_id = $1 AND c.message_id = $2
    AND (c.emoji = $3 OR right(c.emoji, length($4::text)) = $4)
ORDER BY c.since
LIMIT 1",
);

/// Under which name a message has an emoji: this one, or one with this ending.
pub(crate) async fn find_emoji(
    db: &Db,
    (channel, message): (ChannelId, MessageId),
    emoji: &str,
    ending: Option<&str>,
) -> db::Result<Option<String>> {
    FIND_EMOJI
        .bind(&channel)
        .bind(&message)
        .bind(&emoji)
        .bind(&ending)
        .optional_scalar(db)
        .await
}

pub(super) const LIST_REACTORS: Sql = Sql::new(
    "messaging.list_reactors",
    "SELECT user_id
FROM messaging.reactions
WHERE channel_id = $1 AND message_id = $2 AND emoji = $3 AND user_id > $4
ORDER BY user_id
LIMIT $5",
);

/// Lists who reacted with an emoji, after a user.
pub(crate) async fn list_reactors(
    db: &Db,
    (channel, message): (ChannelId, MessageId),
    emoji: &str,
    after: UserId,
    limit: i64,
) -> db::Result<Vec<UserId>> {
    LIST_REACTORS
        .bind(&channel)
        .bind(&message)
        .bind(&emoji)
        .bind(&after)
        .bind(&limit)
        .scalars(db)
        .await
}

// Index reactions (user_id) is missing on purpose: an account is erased once.
pub(super) const WITHDRAW_REACTIONS: Sql = Sql::new(
    "messaging.withdraw_reactions",
    "WITH own AS (
    SELECT r.channel_id, r.message_id, r.emoji
    FROM messaging.reactions r
    WHERE r.user_id = $1
),
lk AS (
    SELECT c.channel_id, c.message_id, c.emoji, c.n
    FROM messaging.reaction_counts c
    JOIN own USING (channel_id, message_id, emoji)
    ORDER BY c.channel_id, c.message_id, c.emoji
    FOR UPDATE OF c
),
fewer AS (
    UPDATE messaging.reaction_counts c
    SET n = c.n - 1
    FROM lk
    WHERE c.channel_id = lk.channel_id AND c.message_id = lk.message_id AND c.emoji = lk.emoji
        AND c.n > 1
)
DELETE FROM messaging.reaction_counts c
USING lk
WHERE c.channel_id = lk.channel_id AND c.message_id = lk.message_id AND c.emoji = lk.emoji
    AND c.n <= 1",
);

/// Takes a user's reactions out of the counts, before an erasure takes them away.
pub(crate) async fn withdraw_reactions(tx: &Tx, user: UserId) -> db::Result<u64> {
    WITHDRAW_REACTIONS.bind(&user).execute(tx).await
}
