//! Statements on `relationships` (bonds) and `privacy`.

use db::{Db, FromRow, Result, Sql, Tx};
use jiff::Timestamp;
use kernel::UserId;

use crate::model::Kind;

/// One of two users whose relation changes.
#[derive(FromRow)]
pub(crate) struct Party {
    pub(crate) id: UserId,
    #[row(via = "String")]
    pub(crate) kind: Kind,
    pub(crate) state: String,
}

// In the order of ids, so that two who act on each other at once do not wait for each other.
const LOCK: Sql = Sql::new(
    "identity.lock_parties",
    "SELECT id, kind, state
       FROM identity.users
      WHERE id = ANY ($1)
        AND state <> 'erased'
      ORDER BY id
        FOR NO KEY UPDATE",
)
.returning::<Party>();

/// Waits until nobody else changes relations of these users; until the end of the transaction.
/// So the two rows of a pair, and the numbers of friends, are read and written as one.
pub(crate) async fn lock(tx: &Tx, users: &[UserId]) -> Result<Vec<Party>> {
    LOCK.bind(&users).all(tx).await
}

/// One side of a relation.
#[derive(FromRow)]
pub(crate) struct Side {
    pub(crate) user_id: UserId,
    pub(crate) kind: String,
}

const FIND_PAIR: Sql = Sql::new(
    "identity.find_relation_pair",
    "SELECT user_id, kind
       FROM identity.relationships
      WHERE (user_id = $1 AND other_id = $2)
         OR (user_id = $2 AND other_id = $1)",
)
.returning::<Side>();

/// Both sides of a relation, as far as they are there.
pub(crate) async fn find_pair(tx: &Tx, one: UserId, other: UserId) -> Result<Vec<Side>> {
    FIND_PAIR.bind(&one).bind(&other).all(tx).await
}

// By the primary key, (user_id, other_id).
const COUNT: Sql = Sql::new(
    "identity.count_relations",
    "SELECT count(*)
       FROM identity.relationships
      WHERE user_id = $1
        AND kind = $2",
);

/// How many relations of a kind a user has.
pub(crate) async fn count(tx: &Tx, user: UserId, kind: &str) -> Result<i64> {
    COUNT.bind(&user).bind(&kind).scalar(tx).await
}

const PUT: Sql = Sql::new(
    "identity.upsert_relation",
    "INSERT INTO identity.relationships (user_id, other_id, kind, since)
     VALUES ($1, $2, $3, $4)
     ON CONFLICT (user_id, other_id) DO UPDATE
        SET kind = excluded.kind, since = excluded.since",
);

/// Sets what a user has with another; the address book stays as it is.
pub(crate) async fn put(
    tx: &Tx,
    user: UserId,
    other: UserId,
    kind: &str,
    at: Timestamp,
) -> Result<()> {
    PUT.bind(&user)
        .bind(&other)
        .bind(&kind)
        .bind(&at)
        .execute(tx)
        .await
        .map(drop)
}

// What is left of the row is the entry in the address book, if there is one.
const CLEAR: Sql = Sql::new(
    "identity.clear_relation",
    "WITH kept AS (
       UPDATE identity.relationships
          SET kind = 'contact', since = contact_since
        WHERE user_id = $1
          AND other_id = $2
          AND contact_since IS NOT NULL)
     DELETE FROM identity.relationships
      WHERE user_id = $1
        AND other_id = $2
        AND contact_since IS NULL",
);

/// Takes back what a user has with another; the address book stays as it is.
pub(crate) async fn clear(tx: &Tx, user: UserId, other: UserId) -> Result<()> {
    CLEAR.bind(&user).bind(&other).execute(tx).await.map(drop)
}

const ACCEPTS_STRANGERS: Sql = Sql::new(
    "identity.accepts_strangers",
    "SELECT NOT EXISTS (SELECT 1
                          FROM identity.privacy
                         WHERE user_id = $1
                           AND who_may_write = 'nobody')",
);

/// Whether people who are no friends may turn to a user at all.
pub(crate) async fn accepts_strangers(tx: &Tx, user: UserId) -> Result<bool> {
    ACCEPTS_STRANGERS.bind(&user).scalar(tx).await
}

/// A relation of a user, for lists.
#[derive(FromRow)]
pub(crate) struct Listed {
    pub(crate) other_id: UserId,
    pub(crate) kind: String,
    pub(crate) since: Timestamp,
}

// By the primary key. The bounds of each kind keep it short.
const LIST: Sql = Sql::new(
    "identity.list_relations",
    "SELECT other_id, kind, since
       FROM identity.relationships
      WHERE user_id = $1
        AND kind = ANY ($2)
      ORDER BY other_id
      LIMIT 5000",
)
.returning::<Listed>();

/// A user's relations of the given kinds, by the other's id.
pub(crate) async fn list(db: &Db, user: UserId, kinds: &[&str]) -> Result<Vec<Listed>> {
    LIST.bind(&user).bind(&kinds).all(db).await
}

// By the primary key.
const LIST_AFTER: Sql = Sql::new(
    "identity.list_relations_after",
    "SELECT other_id, kind, since
       FROM identity.relationships
      WHERE user_id = $1
        AND kind = ANY ($2)
        AND other_id > $3
      ORDER BY other_id
      LIMIT $4",
)
.returning::<Listed>();

/// A page of a user's relations of the given kinds, by the other's id.
pub(crate) async fn list_after(
    db: &Db,
    user: UserId,
    kinds: &[&str],
    after: i64,
    limit: i64,
) -> Result<Vec<Listed>> {
    LIST_AFTER
        .bind(&user)
        .bind(&kinds)
        .bind(&after)
        .bind(&limit)
        .all(db)
        .await
}

/// How two users stand to each other.
#[derive(FromRow)]
pub(crate) struct Between {
    pub(crate) other_id: UserId,
    /// What the user has; none where only the other side has a row.
    pub(crate) kind: Option<String>,
    pub(crate) is_contact: bool,
    pub(crate) is_blocked_by: bool,
}

// Both sides by the primary key.
const BETWEEN: Sql = Sql::new(
    "identity.list_relations_between",
    "SELECT o.id AS other_id, m.kind, m.contact_since IS NOT NULL AS is_contact,
            coalesce(t.kind = 'block', false) AS is_blocked_by
       FROM unnest($2::bigint[]) AS o (id)
       LEFT JOIN identity.relationships m ON m.user_id = $1 AND m.other_id = o.id
       LEFT JOIN identity.relationships t ON t.user_id = o.id AND t.other_id = $1
      WHERE m.kind IS NOT NULL
         OR t.kind = 'block'",
)
.returning::<Between>();

/// How a user stands to others; those with whom there is nothing are left out.
pub(crate) async fn between(db: &Db, user: UserId, others: &[UserId]) -> Result<Vec<Between>> {
    BETWEEN.bind(&user).bind(&others).all(db).await
}

/// Somebody around a user.
#[derive(FromRow)]
pub(crate) struct Near {
    pub(crate) id: UserId,
    pub(crate) is_friend: bool,
    pub(crate) is_contact: bool,
    pub(crate) is_severed: bool,
}

// The primary key for one's own rows, the index on other_id for blocks by others.
const CIRCLE: Sql = Sql::new(
    "identity.list_circle",
    "SELECT id, bool_or(friend) AS is_friend, bool_or(contact) AS is_contact,
            bool_or(severed) AS is_severed
       FROM (SELECT other_id, kind = 'friend', contact_since IS NOT NULL, kind = 'block'
               FROM identity.relationships
              WHERE user_id = $1
              UNION ALL
             SELECT user_id, false, false, true
               FROM identity.relationships
              WHERE other_id = $1
                AND kind = 'block') AS near (id, friend, contact, severed)
      GROUP BY id
      ORDER BY id",
)
.returning::<Near>();

/// The people around a user, by id.
pub(crate) async fn circle(db: &Db, user: UserId) -> Result<Vec<Near>> {
    CIRCLE.bind(&user).all(db).await
}

/// The switches of a user, as stored words.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct Switches {
    pub(crate) who_may_write: String,
    pub(crate) find_by_phone: String,
    pub(crate) last_seen: String,
    pub(crate) receipts: String,
    pub(crate) presence: String,
    pub(crate) phone: String,
}

const FIND_PRIVACY: Sql = Sql::new(
    "identity.find_privacy",
    "SELECT who_may_write, find_by_phone, last_seen, receipts, presence, phone
       FROM identity.privacy
      WHERE user_id = $1",
)
.returning::<Switches>();

/// The switches of a user; none while nothing was ever changed.
pub(crate) async fn find_privacy(db: &Db, user: UserId) -> Result<Option<Switches>> {
    FIND_PRIVACY.bind(&user).optional(db).await
}

/// Switches to be changed; `None` stays.
#[derive(Debug, Default)]
pub(crate) struct SwitchChange {
    pub(crate) who_may_write: Option<&'static str>,
    pub(crate) find_by_phone: Option<&'static str>,
    pub(crate) last_seen: Option<&'static str>,
    pub(crate) receipts: Option<&'static str>,
    pub(crate) presence: Option<&'static str>,
    pub(crate) phone: Option<&'static str>,
}

// The words of a first row are the columns' defaults.
const PUT_PRIVACY: Sql = Sql::new(
    "identity.upsert_privacy",
    "INSERT INTO identity.privacy AS p
            (user_id, who_may_write, find_by_phone, last_seen, receipts, presence, phone, updated_at)
     VALUES ($1, coalesce($2, 'everyone'), coalesce($3, 'contacts'), coalesce($4, 'contacts'),
             coalesce($5, 'everyone'), coalesce($6, 'everyone'), coalesce($7, 'contacts'), $8)
     ON CONFLICT (user_id) DO UPDATE
        SET who_may_write = coalesce($2, p.who_may_write),
            find_by_phone = coalesce($3, p.find_by_phone),
            last_seen = coalesce($4, p.last_seen),
            receipts = coalesce($5, p.receipts),
            presence = coalesce($6, p.presence),
            phone = coalesce($7, p.phone),
            updated_at = $8
     RETURNING who_may_write, find_by_phone, last_seen, receipts, presence, phone",
)
.returning::<Switches>();

/// Changes switches of a user and gives all of them.
pub(crate) async fn put_privacy(
    tx: &Tx,
    user: UserId,
    change: &SwitchChange,
    at: Timestamp,
) -> Result<Switches> {
    PUT_PRIVACY
        .bind(&user)
        .bind(&change.who_may_write)
        .bind(&change.find_by_phone)
        .bind(&change.last_seen)
        .bind(&change.receipts)
        .bind(&change.presence)
        .bind(&change.phone)
        .bind(&at)
        .one(tx)
        .await
}

/// What decides what one user may see of another, or do to them.
#[derive(Debug, FromRow)]
pub(crate) struct Sight {
    pub(crate) id: UserId,
    /// Switches of the one who is looked at.
    pub(crate) who_may_write: Option<String>,
    pub(crate) last_seen: Option<String>,
    pub(crate) receipts: Option<String>,
    pub(crate) presence: Option<String>,
    pub(crate) phone: Option<String>,
    /// The one who is looked at knows the viewer: contact or friend.
    pub(crate) knows: bool,
    pub(crate) is_friend: bool,
    pub(crate) is_severed: bool,
    /// The viewer's own switch, and whether the viewer knows the other one.
    pub(crate) own_last_seen: Option<String>,
    pub(crate) own_presence: Option<String>,
    pub(crate) own_receipts: Option<String>,
    pub(crate) known: bool,
}

// All by primary keys.
const SIGHTS: Sql = Sql::new(
    "identity.list_sights",
    "SELECT u.id, p.who_may_write, p.last_seen, p.receipts, p.presence, p.phone,
            coalesce(t.kind = 'friend' OR t.contact_since IS NOT NULL, false) AS knows,
            coalesce(t.kind = 'friend', false) AS is_friend,
            coalesce(t.kind = 'block', false) OR coalesce(m.kind = 'block', false) AS is_severed,
            v.last_seen AS own_last_seen, v.presence AS own_presence,
            v.receipts AS own_receipts,
            coalesce(m.kind = 'friend' OR m.contact_since IS NOT NULL, false) AS known
       FROM identity.users u
       LEFT JOIN identity.privacy p ON p.user_id = u.id
       LEFT JOIN identity.privacy v ON v.user_id = $1
       LEFT JOIN identity.relationships t ON t.user_id = u.id AND t.other_id = $1
       LEFT JOIN identity.relationships m ON m.user_id = $1 AND m.other_id = u.id
      WHERE u.id = ANY ($2)
        AND u.state <> 'erased'",
)
.returning::<Sight>();

/// What decides what `viewer` may see of others; unknown ones are left out.
pub(crate) async fn sights(db: &Db, viewer: UserId, users: &[UserId]) -> Result<Vec<Sight>> {
    SIGHTS.bind(&viewer).bind(&users).all(db).await
}

/// When somebody was here.
#[derive(FromRow)]
pub(crate) struct Seen {
    pub(crate) user_id: UserId,
    pub(crate) at: Timestamp,
}

// To the minute. A member of staff who acts for somebody was not that somebody. By the index on
// user_id.
const LAST_SEEN: Sql = Sql::new(
    "identity.list_last_seen",
    "SELECT user_id, date_trunc('minute', max(greatest(last_login_at, rotated_at, last_seen_at)))
              AS at
       FROM identity.user_devices
      WHERE user_id = ANY ($1)
        AND kind <> 'support'
      GROUP BY user_id",
)
.returning::<Seen>();

/// When each of the users was here last; those who never logged in are left out.
pub(crate) async fn last_seen(db: &Db, users: &[UserId]) -> Result<Vec<Seen>> {
    LAST_SEEN.bind(&users).all(db).await
}

pub(crate) const ALL: &[&Sql] = &[
    &LOCK,
    &FIND_PAIR,
    &COUNT,
    &PUT,
    &CLEAR,
    &ACCEPTS_STRANGERS,
    &LIST,
    &LIST_AFTER,
    &BETWEEN,
    &CIRCLE,
    &FIND_PRIVACY,
    &PUT_PRIVACY,
    &SIGHTS,
    &LAST_SEEN,
];
