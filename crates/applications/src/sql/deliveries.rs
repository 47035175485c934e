//! Events on their way to addresses.

use db::{FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{ApplicationId, CommunityId, DeliveryId, Event, SubscriptionId, UserId};

use crate::outgoing::delivery::{Attempt, Claim, DeliveryRow, State};
use crate::outgoing::model::Owner;

pub(super) const ALL: &[&Sql] = &[
    &LIST_WANTING,
    &INSERT_DELIVERIES,
    &CLAIM_DELIVERIES,
    &SETTLE_DELIVERY,
    &INSERT_ATTEMPT,
    &LIST_DELIVERIES,
    &FIND_DELIVERY,
    &LIST_ATTEMPTS,
    &REPLAY_DELIVERY,
    &PURGE_DELIVERIES,
];

/// A subscription that wants an event.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct Wanting {
    pub(crate) id: SubscriptionId,
    pub(crate) creator_id: UserId,
    pub(crate) application_id: Option<ApplicationId>,
    pub(crate) community_id: Option<CommunityId>,
    /// How many deliveries wait for it, counted up to the bound.
    pub(crate) waiting: i64,
}

const LIST_WANTING: Sql = Sql::new(
    "applications.list_subscriptions_wanting",
    "SELECT s.id, s.creator_id, s.application_id, s.community_id,
       (SELECT count(*)
        FROM (SELECT FROM applications.deliveries d
              WHERE d.subscription_id = s.id AND d.state = 0
              LIMIT $4) w) AS waiting
     FROM (
       SELECT id FROM applications.subscriptions WHERE community_id = $2
       UNION ALL
       SELECT o.id
       FROM applications.installs i
       JOIN applications.subscriptions o ON o.application_id = i.application_id
       WHERE i.community_id = $2 AND $3::bigint IS NULL
       UNION ALL
       SELECT id FROM applications.subscriptions WHERE application_id = $3
     ) c
     JOIN applications.subscriptions s ON s.id = c.id
     WHERE s.disabled_at IS NULL AND $1 = ANY (s.events)
     ORDER BY s.id",
)
.returning::<Wanting>();

/// Who wants an event of a community; of one that is an application's `own`, that one alone. By the
/// indexes on communities, on installs and on applications.
pub(crate) async fn list_wanting(
    source: impl Source,
    event: &str,
    community: Option<CommunityId>,
    own: Option<ApplicationId>,
    bound: i64,
) -> Result<Vec<Wanting>> {
    LIST_WANTING
        .bind(&event)
        .bind(&community)
        .bind(&own)
        .bind(&bound)
        .all(source)
        .await
}

const INSERT_DELIVERIES: Sql = Sql::new(
    "applications.insert_deliveries",
    "INSERT INTO applications.deliveries (id, subscription_id, event_id, event, data, at, due_at)
     SELECT n.id, n.subscription_id, $3, $4, $5, $6, $7
     FROM unnest($1::bigint[], $2::bigint[]) AS n (id, subscription_id)
     ON CONFLICT (subscription_id, event_id) DO NOTHING",
);

/// Puts an event on its way to some subscriptions; once, however often it is brought.
pub(crate) async fn insert_deliveries(
    tx: &Tx,
    ids: (&[DeliveryId], &[SubscriptionId]),
    name: &str,
    event: &Event,
    now: Timestamp,
) -> Result<u64> {
    let (ids, subscriptions) = (ids.0.to_vec(), ids.1.to_vec());
    INSERT_DELIVERIES
        .bind(&ids)
        .bind(&subscriptions)
        .bind(&event.id)
        .bind(&name)
        .bind(&event.data)
        .bind(&event.at)
        .bind(&now)
        .execute(tx)
        .await
}

// The inner query takes few of each subscription, and one of those that fail, so that nobody's
// backlog takes what all have. A row that another node holds is passed over.
const CLAIM_DELIVERIES: Sql = Sql::new(
    "applications.claim_deliveries",
    "WITH due AS (
       SELECT d.id
       FROM applications.subscriptions s
       CROSS JOIN LATERAL (
         SELECT d.id
         FROM applications.deliveries d
         WHERE d.subscription_id = s.id AND d.state = 0 AND d.due_at <= $1
           AND (s.failing_since IS NULL OR d.due_at = (
             SELECT min(f.due_at)
             FROM applications.deliveries f
             WHERE f.subscription_id = s.id AND f.state = 0))
         ORDER BY d.due_at
         LIMIT $3
         FOR UPDATE OF d SKIP LOCKED
       ) d
       WHERE s.disabled_at IS NULL AND s.id <> ALL ($2::bigint[])
       LIMIT $4
     )
     UPDATE applications.deliveries d
     SET due_at = $5
     FROM due, applications.subscriptions s
     WHERE d.id = due.id AND s.id = d.subscription_id
     RETURNING d.id, d.subscription_id, d.event, d.data, d.at, d.attempts, d.tries,
       s.application_id, s.community_id, s.creator_id, s.url, s.secret_enc, s.secret_kek,
       s.old_secret_enc, s.old_secret_until",
)
.returning::<Claim>();

/// How many are claimed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Take {
    /// Of one subscription.
    pub(crate) each: i64,
    /// In all.
    pub(crate) most: i64,
}

/// Takes what is due, but of `busy` subscriptions nothing. Whoever took them and does not settle
/// them by `until` has lost them to the next. By index deliveries_due.
pub(crate) async fn claim_deliveries(
    source: impl Source,
    now: Timestamp,
    until: Timestamp,
    busy: &[SubscriptionId],
    take: Take,
) -> Result<Vec<Claim>> {
    let busy = busy.to_vec();
    CLAIM_DELIVERIES
        .bind(&now)
        .bind(&busy)
        .bind(&take.each)
        .bind(&take.most)
        .bind(&until)
        .all(source)
        .await
}

const SETTLE_DELIVERY: Sql = Sql::new(
    "applications.settle_delivery",
    "UPDATE applications.deliveries
     SET state = $3, attempts = $4, tries = $5, due_at = $6
     WHERE id = $1 AND state = 0 AND attempts = $2",
);

/// Where a delivery stands after an attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settled {
    pub(crate) state: State,
    pub(crate) attempts: i32,
    pub(crate) tries: i32,
    pub(crate) due_at: Timestamp,
}

/// 0 when somebody else settled it meanwhile, or it is gone.
pub(crate) async fn settle_delivery(tx: &Tx, claim: &Claim, to: Settled) -> Result<u64> {
    SETTLE_DELIVERY
        .bind(&claim.id)
        .bind(&claim.attempts)
        .bind(&to.state.number())
        .bind(&to.attempts)
        .bind(&to.tries)
        .bind(&to.due_at)
        .execute(tx)
        .await
}

const INSERT_ATTEMPT: Sql = Sql::new(
    "applications.insert_delivery_attempt",
    "INSERT INTO applications.delivery_attempts (delivery_id, number, at, duration_ms, status, error, answer)
     VALUES ($1, $2, $3, $4, $5, $6, $7)",
);

pub(crate) async fn insert_attempt(tx: &Tx, id: DeliveryId, attempt: &Attempt) -> Result<()> {
    INSERT_ATTEMPT
        .bind(&id)
        .bind(&attempt.number)
        .bind(&attempt.at)
        .bind(&attempt.duration_ms)
        .bind(&attempt.status)
        .bind(&attempt.error)
        .bind(&attempt.answer)
        .execute(tx)
        .await
        .map(drop)
}

const LIST_DELIVERIES: Sql = Sql::new(
    "applications.list_deliveries",
    "SELECT id, subscription_id, event_id, event, at, state, attempts, due_at
     FROM applications.deliveries
     WHERE subscription_id = $1 AND id < $2
     ORDER BY id DESC
     LIMIT $3",
)
.returning::<DeliveryRow>();

/// Newest first, by index deliveries_subscription.
pub(crate) async fn list_deliveries(
    source: impl Source,
    subscription: SubscriptionId,
    before: DeliveryId,
    limit: i64,
) -> Result<Vec<DeliveryRow>> {
    LIST_DELIVERIES
        .bind(&subscription)
        .bind(&before)
        .bind(&limit)
        .all(source)
        .await
}

const FIND_DELIVERY: Sql = Sql::new(
    "applications.find_delivery",
    "SELECT d.id, d.subscription_id, d.event_id, d.event, d.at, d.state, d.attempts, d.due_at
     FROM applications.deliveries d
     JOIN applications.subscriptions s ON s.id = d.subscription_id
     WHERE d.id = $1 AND (s.application_id = $2 OR s.community_id = $3)",
)
.returning::<DeliveryRow>();

pub(crate) async fn find_delivery(
    source: impl Source,
    owner: Owner,
    id: DeliveryId,
) -> Result<Option<DeliveryRow>> {
    FIND_DELIVERY
        .bind(&id)
        .bind(&owner.application())
        .bind(&owner.community())
        .optional(source)
        .await
}

const LIST_ATTEMPTS: Sql = Sql::new(
    "applications.list_delivery_attempts",
    "SELECT number, at, duration_ms, status, error, answer
     FROM applications.delivery_attempts
     WHERE delivery_id = $1
     ORDER BY number DESC
     LIMIT 100",
)
.returning::<Attempt>();

/// The newest, by the primary key.
pub(crate) async fn list_attempts(source: impl Source, id: DeliveryId) -> Result<Vec<Attempt>> {
    LIST_ATTEMPTS.bind(&id).all(source).await
}

const REPLAY_DELIVERY: Sql = Sql::new(
    "applications.replay_delivery",
    "UPDATE applications.deliveries
     SET state = 0, tries = 0, due_at = $2
     WHERE id = $1 AND state <> 0",
);

/// Begins again; 0 while it waits.
pub(crate) async fn replay_delivery(tx: &Tx, id: DeliveryId, now: Timestamp) -> Result<u64> {
    REPLAY_DELIVERY.bind(&id).bind(&now).execute(tx).await
}

const PURGE_DELIVERIES: Sql = Sql::new(
    "applications.purge_deliveries",
    "DELETE FROM applications.deliveries
     WHERE id IN (SELECT id FROM applications.deliveries WHERE at < $1 ORDER BY at LIMIT $2)",
);

/// With their attempts, by index deliveries_at.
pub(crate) async fn purge_deliveries(
    source: impl Source,
    before: Timestamp,
    limit: i64,
) -> Result<u64> {
    PURGE_DELIVERIES
        .bind(&before)
        .bind(&limit)
        .execute(source)
        .await
}
