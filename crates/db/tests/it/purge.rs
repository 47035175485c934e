use std::time::Duration;

use db::{Db, PurgeJob, Sql, purge_jobs};
use kernel::ErrorKind;
use testkit::TestDb;

use crate::fixture::{DEPOT, SHOP};

const KEYS: Sql = Sql::new("test.keys", "SELECT count(*) FROM shop.idempotency_keys");
const MARKS: Sql = Sql::new("test.marks", "SELECT count(*) FROM shop.inbox");

fn jobs(db: &Db) -> [PurgeJob; 2] {
    purge_jobs(db, &["depot", "shop"]).try_into().unwrap()
}

#[tokio::test]
async fn old_keys_and_marks_of_every_context_go_and_younger_ones_stay() {
    let t = TestDb::new(&[SHOP, DEPOT]).await.unwrap();
    // More than one step takes, and on either side of each bound.
    t.script(
        "INSERT INTO shop.idempotency_keys (owner_id, key, request_hash, created_at)
        SELECT n, 'k', '', now() - interval '24 hours 1 second' FROM generate_series(1, 5001) AS n;
        INSERT INTO shop.idempotency_keys (owner_id, key, request_hash, created_at)
        VALUES (6000, 'k', '', now() - interval '23 hours 59 minutes');
        INSERT INTO depot.idempotency_keys (owner_id, key, request_hash, created_at)
        VALUES (1, 'k', '', now() - interval '2 days');
        INSERT INTO shop.inbox VALUES
            ('c', 1, now() - interval '7 days 1 second'), ('c', 2, now() - interval '6 days 23 hours');",
    )
    .await
    .unwrap();
    let db = t.admin().unwrap();
    let [keys, marks] = jobs(&db);
    assert_eq!(
        (keys.name, marks.name),
        ("db.forget_keys", "db.forget_marks")
    );
    assert_eq!(
        (keys.every, marks.every),
        (Duration::from_secs(3_600), Duration::from_secs(3_600))
    );
    assert_eq!((keys.run)().await.unwrap(), "removed 5002");
    assert_eq!((marks.run)().await.unwrap(), "removed 1");
    assert_eq!(KEYS.scalar::<i64>(&db).await.unwrap(), 1);
    assert_eq!(MARKS.scalar::<i64>(&db).await.unwrap(), 1);
    assert_eq!((keys.run)().await.unwrap(), "removed 0");
}

#[tokio::test]
async fn a_context_that_fails_is_told_and_does_not_keep_others_from_it() {
    let t = TestDb::new(&[SHOP, DEPOT]).await.unwrap();
    t.script(
        "DROP TABLE depot.inbox;
        INSERT INTO shop.inbox VALUES ('c', 1, now() - interval '8 days');",
    )
    .await
    .unwrap();
    let db = t.admin().unwrap();
    let [_keys, marks] = jobs(&db);
    let failure = (marks.run)().await.unwrap_err();
    assert_eq!(failure.row.kind, ErrorKind::Internal);
    assert_eq!(MARKS.scalar::<i64>(&db).await.unwrap(), 0);
}
