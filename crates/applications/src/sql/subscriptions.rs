//! Subscriptions on events.

use db::{Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{ApplicationId, CommunityId, SubscriptionId};

use crate::outgoing::model::{Owner, SubscriptionRow, Wanted};

pub(super) const ALL: &[&Sql] = &[
    &LOCK_OWNER,
    &COUNT_SUBSCRIPTIONS,
    &INSERT_SUBSCRIPTION,
    &FIND_SUBSCRIPTION,
    &LIST_SUBSCRIPTIONS,
    &UPDATE_SUBSCRIPTION,
    &ENABLE_SUBSCRIPTION,
    &DISABLE_SUBSCRIPTION,
    &ROTATE_SECRET,
    &DELETE_SUBSCRIPTION,
    &DELETE_OF_APPLICATION,
    &DELETE_OF_COMMUNITY,
    &NOTE_SUCCESS,
    &NOTE_FAILURE,
    &FORGET_OLD_SECRETS,
];

const LOCK_OWNER: Sql = Sql::new(
    "applications.lock_subscriptions_of_owner",
    "SELECT pg_advisory_xact_lock(hashtextextended('applications.subscriptions:' || $1::bigint::text, 0))",
);

/// Makes two who subscribe for one owner wait for each other, so that the limit holds exactly.
pub(crate) async fn lock_owner(tx: &Tx, owner: Owner) -> Result<()> {
    LOCK_OWNER.bind(&owner.number()).execute(tx).await.map(drop)
}

const COUNT_SUBSCRIPTIONS: Sql = Sql::new(
    "applications.count_subscriptions",
    "SELECT count(*)
     FROM applications.subscriptions
     WHERE application_id = $1 OR community_id = $2",
);

pub(crate) async fn count_subscriptions(tx: &Tx, owner: Owner) -> Result<i64> {
    COUNT_SUBSCRIPTIONS
        .bind(&owner.application())
        .bind(&owner.community())
        .scalar(tx)
        .await
}

const INSERT_SUBSCRIPTION: Sql = Sql::new(
    "applications.insert_subscription",
    "INSERT INTO applications.subscriptions
       (id, application_id, community_id, creator_id, url, description, events, secret_enc, secret_kek,
        created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
);

pub(crate) async fn insert_subscription(
    tx: &Tx,
    row: &SubscriptionRow,
    secret_enc: &[u8],
    kek: &str,
) -> Result<()> {
    INSERT_SUBSCRIPTION
        .bind(&row.id)
        .bind(&row.application_id)
        .bind(&row.community_id)
        .bind(&row.creator_id)
        .bind(&row.url)
        .bind(&row.description)
        .bind(&row.events)
        .bind(&secret_enc)
        .bind(&kek)
        .bind(&row.created_at)
        .execute(tx)
        .await
        .map(drop)
}

const FIND_SUBSCRIPTION: Sql = Sql::new(
    "applications.find_subscription",
    "SELECT id, application_id, community_id, creator_id, url, description, events, old_secret_until,
       failing_since, disabled_at, disabled_reason, created_at
     FROM applications.subscriptions
     WHERE id = $1 AND (application_id = $2 OR community_id = $3)",
)
.returning::<SubscriptionRow>();

pub(crate) async fn find_subscription(
    source: impl Source,
    owner: Owner,
    id: SubscriptionId,
) -> Result<Option<SubscriptionRow>> {
    FIND_SUBSCRIPTION
        .bind(&id)
        .bind(&owner.application())
        .bind(&owner.community())
        .optional(source)
        .await
}

const LIST_SUBSCRIPTIONS: Sql = Sql::new(
    "applications.list_subscriptions",
    "SELECT id, application_id, community_id, creator_id, url, description, events, old_secret_until,
       failing_since, disabled_at, disabled_reason, created_at
     FROM applications.subscriptions
     WHERE application_id = $1 OR community_id = $2
     ORDER BY id",
)
.returning::<SubscriptionRow>();

/// By index subscriptions_application or subscriptions_community; a setting bounds them.
pub(crate) async fn list_subscriptions(
    source: impl Source,
    owner: Owner,
) -> Result<Vec<SubscriptionRow>> {
    LIST_SUBSCRIPTIONS
        .bind(&owner.application())
        .bind(&owner.community())
        .all(source)
        .await
}

const UPDATE_SUBSCRIPTION: Sql = Sql::new(
    "applications.update_subscription",
    "UPDATE applications.subscriptions
     SET url = $4, events = $5, description = $6, version = version + 1
     WHERE id = $1 AND (application_id = $2 OR community_id = $3)",
);

pub(crate) async fn update_subscription(
    tx: &Tx,
    owner: Owner,
    id: SubscriptionId,
    wanted: &Wanted,
) -> Result<u64> {
    UPDATE_SUBSCRIPTION
        .bind(&id)
        .bind(&owner.application())
        .bind(&owner.community())
        .bind(&wanted.url)
        .bind(&wanted.events)
        .bind(&wanted.description)
        .execute(tx)
        .await
}

const ENABLE_SUBSCRIPTION: Sql = Sql::new(
    "applications.enable_subscription",
    "UPDATE applications.subscriptions
     SET disabled_at = NULL, disabled_reason = NULL, failing_since = NULL, version = version + 1
     WHERE id = $1 AND disabled_at IS NOT NULL",
);

/// On again, with as much patience as a new one.
pub(crate) async fn enable_subscription(tx: &Tx, id: SubscriptionId) -> Result<u64> {
    ENABLE_SUBSCRIPTION.bind(&id).execute(tx).await
}

const DISABLE_SUBSCRIPTION: Sql = Sql::new(
    "applications.disable_subscription",
    "UPDATE applications.subscriptions
     SET disabled_at = $2, disabled_reason = $3, version = version + 1
     WHERE id = $1 AND disabled_at IS NULL",
);

/// 0 when it was off already.
pub(crate) async fn disable_subscription(
    tx: &Tx,
    id: SubscriptionId,
    at: Timestamp,
    reason: &str,
) -> Result<u64> {
    DISABLE_SUBSCRIPTION
        .bind(&id)
        .bind(&at)
        .bind(&reason)
        .execute(tx)
        .await
}

const ROTATE_SECRET: Sql = Sql::new(
    "applications.rotate_subscription_secret",
    "UPDATE applications.subscriptions
     SET old_secret_enc = secret_enc, old_secret_until = $4, secret_enc = $5, secret_kek = $6,
       version = version + 1
     WHERE id = $1 AND (application_id = $2 OR community_id = $3)",
);

pub(crate) async fn rotate_secret(
    tx: &Tx,
    owner: Owner,
    id: SubscriptionId,
    old_until: Timestamp,
    (secret_enc, kek): (&[u8], &str),
) -> Result<u64> {
    ROTATE_SECRET
        .bind(&id)
        .bind(&owner.application())
        .bind(&owner.community())
        .bind(&old_until)
        .bind(&secret_enc)
        .bind(&kek)
        .execute(tx)
        .await
}

const DELETE_SUBSCRIPTION: Sql = Sql::new(
    "applications.delete_subscription",
    "DELETE FROM applications.subscriptions
     WHERE id = $1 AND (application_id = $2 OR community_id = $3)",
);

/// With its deliveries.
pub(crate) async fn delete_subscription(tx: &Tx, owner: Owner, id: SubscriptionId) -> Result<u64> {
    DELETE_SUBSCRIPTION
        .bind(&id)
        .bind(&owner.application())
        .bind(&owner.community())
        .execute(tx)
        .await
}

const DELETE_OF_APPLICATION: Sql = Sql::new(
    "applications.delete_subscriptions_of_application",
    "DELETE FROM applications.subscriptions WHERE application_id = $1",
);

pub(crate) async fn delete_subscriptions_of_application(
    tx: &Tx,
    application: ApplicationId,
) -> Result<u64> {
    DELETE_OF_APPLICATION.bind(&application).execute(tx).await
}

const DELETE_OF_COMMUNITY: Sql = Sql::new(
    "applications.delete_subscriptions_of_community",
    "DELETE FROM applications.subscriptions WHERE community_id = $1",
);

pub(crate) async fn delete_subscriptions_of_community(
    tx: &Tx,
    community: CommunityId,
) -> Result<u64> {
    DELETE_OF_COMMUNITY.bind(&community).execute(tx).await
}

const NOTE_SUCCESS: Sql = Sql::new(
    "applications.note_subscription_success",
    "UPDATE applications.subscriptions
     SET failing_since = NULL
     WHERE id = $1 AND failing_since IS NOT NULL",
);

pub(crate) async fn note_success(tx: &Tx, id: SubscriptionId) -> Result<u64> {
    NOTE_SUCCESS.bind(&id).execute(tx).await
}

const NOTE_FAILURE: Sql = Sql::new(
    "applications.note_subscription_failure",
    "UPDATE applications.subscriptions
     SET failing_since = coalesce(failing_since, $2)
     WHERE id = $1
     RETURNING failing_since",
);

/// Since when it fails; none when it was deleted.
pub(crate) async fn note_failure(
    tx: &Tx,
    id: SubscriptionId,
    at: Timestamp,
) -> Result<Option<Timestamp>> {
    NOTE_FAILURE.bind(&id).bind(&at).optional_scalar(tx).await
}

const FORGET_OLD_SECRETS: Sql = Sql::new(
    "applications.forget_old_subscription_secrets",
    "UPDATE applications.subscriptions
     SET old_secret_enc = NULL, old_secret_until = NULL
     WHERE old_secret_until <= $1",
);

pub(crate) async fn forget_old_secrets(source: impl Source, now: Timestamp) -> Result<u64> {
    FORGET_OLD_SECRETS.bind(&now).execute(source).await
}
