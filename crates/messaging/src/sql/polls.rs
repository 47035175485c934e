//! Polls: when they end, who chose what, and how many.

use db::{Db, FromRow, Sql, Tx};
use jiff::Timestamp;
use kernel::{ChannelId, MessageId, UserId};

pub(super) const INSERT_POLLS: Sql = Sql::new(
    "messaging.insert_polls",
    "INSERT INTO messaging.polls (channel_id, message_id, ends_at)
SELECT channel_id, message_id, ends_at
FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[]) AS n(channel_id, message_id, ends_at)",
);

/// Notes when the polls of new messages end.
pub(crate) async fn insert_polls(
    tx: &Tx,
    polls: &[(ChannelId, MessageId, Timestamp)],
) -> db::Result<u64> {
    let channels: Vec<ChannelId> = polls.iter().map(|poll| poll.0).collect();
    let messages: Vec<MessageId> = polls.iter().map(|poll| poll.1).collect();
    let ends: Vec<Timestamp> = polls.iter().map(|poll| poll.2).collect();
    INSERT_POLLS
        .bind(&channels)
        .bind(&messages)
        .bind(&ends)
        .execute(tx)
        .await
}

/// A vote that came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct VoteRow {
    pub(crate) answer_id: i16,
    pub(crate) came: bool,
}

// Primary keys. What goes and what comes are different answers, so no count changes twice.
pub(super) const PUT_VOTES: Sql = Sql::new(
    "messaging.put_votes",
    "WITH gone AS (
    DELETE FROM messaging.poll_votes v
    WHERE v.channel_id = $1 AND v.message_id = $2 AND v.user_id = $3
        AND NOT v.answer_id = ANY($4::smallint[])
    RETURNING v.answer_id
),
came AS (
    INSERT INTO messaging.poll_votes (channel_id, message_id, user_id, answer_id)
    SELECT $1, $2, $3, a.answer_id
    FROM unnest($4::smallint[]) AS a(answer_id)
    ON CONFLICT DO NOTHING
    RETURNING answer_id
),
fewer AS (
    UPDATE messaging.poll_counts c
    SET n = c.n - 1
    FROM gone
    WHERE c.channel_id = $1 AND c.message_id = $2 AND c.answer_id = gone.answer_id
),
more AS (
    INSERT INTO messaging.poll_counts AS c (channel_id, message_id, answer_id, n)
    SELECT $1, $2, came.answer_id, 1
    FROM came
    ON CONFLICT (channel_id, message_id, answer_id) DO UPDATE
    SET n = c.n + 1
)
SELECT answer_id, came
FROM (
    SELECT answer_id, false AS came FROM gone
    UNION ALL
    SELECT answer_id, true FROM came
) votes
ORDER BY came, answer_id",
)
.returning::<VoteRow>();

/// Makes `answers` what a user chose, and tells what is different now.
pub(crate) async fn put_votes(
    tx: &Tx,
    (channel, message): (ChannelId, MessageId),
    user: UserId,
    answers: &[i16],
) -> db::Result<Vec<VoteRow>> {
    PUT_VOTES
        .bind(&channel)
        .bind(&message)
        .bind(&user)
        .bind(&answers)
        .all(tx)
        .await
}

// Primary key of messages, optimistic by `ev`; the poll's state stands with it.
pub(super) const CLOSE_POLL: Sql = Sql::new(
    "messaging.close_poll",
    "WITH closed AS (
    UPDATE messaging.messages m
    SET ev = $4,
        body = jsonb_set(jsonb_set(m.body, '{poll,closed}', 'true'), '{poll,ends_at}', to_jsonb($5::text))
    WHERE m.channel_id = $1 AND m.id = $2 AND m.ev = $3 AND m.deleted_at IS NULL
    RETURNING m.id
)
UPDATE messaging.polls p
SET state = 1
FROM closed
WHERE p.channel_id = $1 AND p.message_id = closed.id",
);

/// Takes no more votes, as the change number `ev`; 0 when the message is gone or changed
/// meanwhile.
pub(crate) async fn close_poll(
    tx: &Tx,
    (channel, message): (ChannelId, MessageId),
    expected_ev: i64,
    ev: i64,
    ended_at: Timestamp,
) -> db::Result<u64> {
    let ended_at = ended_at.to_string();
    CLOSE_POLL
        .bind(&channel)
        .bind(&message)
        .bind(&expected_ev)
        .bind(&ev)
        .bind(&ended_at)
        .execute(tx)
        .await
}

/// A poll about which something is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct DuePoll {
    pub(crate) channel_id: ChannelId,
    pub(crate) message_id: MessageId,
}

// Index polls_due: closed ones wait for their result whenever they would have ended.
pub(super) const LIST_DUE_POLLS: Sql = Sql::new(
    "messaging.list_due_polls",
    "SELECT channel_id, message_id
FROM messaging.polls
WHERE state < 2 AND (ends_at <= $1 OR state = 1)
ORDER BY ends_at
LIMIT $2",
)
.returning::<DuePoll>();

/// Lists polls that have ended and whose result was not said.
pub(crate) async fn list_due_polls(
    db: &Db,
    now: Timestamp,
    limit: i64,
) -> db::Result<Vec<DuePoll>> {
    LIST_DUE_POLLS.bind(&now).bind(&limit).all(db).await
}

pub(super) const SETTLE_POLL: Sql = Sql::new(
    "messaging.settle_poll",
    "UPDATE messaging.polls
SET state = 2
WHERE channel_id = $1 AND message_id = $2",
);

/// Notes that nothing is left to be done about a poll.
pub(crate) async fn settle_poll(
    db: &Db,
    channel: ChannelId,
    message: MessageId,
) -> db::Result<u64> {
    SETTLE_POLL.bind(&channel).bind(&message).execute(db).await
}

// Primary key: by channel and message, then by user.
pub(super) const LIST_VOTERS: Sql = Sql::new(
    "messaging.list_voters",
    "SELECT user_id
FROM messaging.poll_votes
WHERE channel_id = $1 AND message_id = $2 AND answer_id = $3 AND user_id > $4
ORDER BY user_id
LIMIT $5",
);

/// Lists who chose an answer, after a user.
pub(crate) async fn list_voters(
    db: &Db,
    (channel, message): (ChannelId, MessageId),
    answer: i16,
    after: UserId,
    limit: i64,
) -> db::Result<Vec<UserId>> {
    LIST_VOTERS
        .bind(&channel)
        .bind(&message)
        .bind(&answer)
        .bind(&after)
        .bind(&limit)
        .scalars(db)
        .await
}

// As with reactions: counts are locked in the order of their keys.
pub(super) const WITHDRAW_VOTES: Sql = Sql::new(
    "messaging.withdraw_votes",
    "WITH lk AS (
    SELECT c.channel_id, c.message_id, c.answer_id
    FROM messaging.poll_counts c
    JOIN messaging.poll_votes v USING (channel_id, message_id, answer_id)
    WHERE v.user_id = $1
    ORDER BY c.channel_id, c.message_id, c.answer_id
    FOR UPDATE OF c
)
UPDATE messaging.poll_counts c
SET n = c.n - 1
FROM lk
WHERE c.channel_id = lk.channel_id AND c.message_id = lk.message_id AND c.answer_id = lk.answer_id",
);

/// Takes a user's votes out of the counts, before an erasure takes them away.
pub(crate) async fn withdraw_votes(tx: &Tx, user: UserId) -> db::Result<u64> {
    WITHDRAW_VOTES.bind(&user).execute(tx).await
}
