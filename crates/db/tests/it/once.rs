use std::time::Duration;

use db::once::{Claim, claim, purge, settle};
use db::{Db, Sql};
use kernel::{ErrorKind, Failure, Once, UserId};
use testkit::TestDb;
use testkit::servers::eventually;

use crate::fixture::SHOP;

const EFFECT: Sql = Sql::new(
    "shop.effect",
    "INSERT INTO shop.effects (what) VALUES ('paid')",
);
const EFFECTS: Sql = Sql::new("shop.count_effects", "SELECT count(*) FROM shop.effects");

fn key(key: &str, hash: u8) -> Once {
    Once {
        key: key.into(),
        request_hash: [hash; 32],
    }
}

async fn pay(db: &Db, owner: i64, once: &Once) -> Result<(u16, serde_json::Value, bool), Failure> {
    let owner = UserId::new(owner);
    let tx = db.begin().await?;
    match claim(&tx, "shop", owner, once).await? {
        Claim::Replay { status, body } => {
            tx.rollback().await?;
            Ok((status, body, true))
        }
        Claim::Fresh => {
            EFFECT.execute(&tx).await?;
            let body = serde_json::json!({"receipt": 42});
            settle(&tx, "shop", owner, once, 201, &body).await?;
            tx.commit().await?;
            Ok((201, body, false))
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_equal_requests_at_once_have_one_effect_and_one_answer() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    let once = key("k1", 1);
    let answers = futures::future::join_all((0..100).map(|_| pay(&db, 7, &once))).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        answers.iter().filter(|(_, _, replayed)| !replayed).count(),
        1
    );
    assert!(
        answers
            .iter()
            .all(|(status, body, _)| *status == 201 && body["receipt"] == 42)
    );
    assert_eq!(EFFECTS.scalar::<i64>(&db).await.unwrap(), 1);
}

#[tokio::test]
async fn another_request_under_the_same_key_is_refused() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    pay(&db, 7, &key("k1", 1)).await.unwrap();
    let refused = pay(&db, 7, &key("k1", 2)).await.unwrap_err();
    assert_eq!(
        (refused.row.code, refused.row.kind),
        ("IDEMPOTENCY_MISMATCH", ErrorKind::Unprocessable)
    );
    // Another owner's key is another key.
    pay(&db, 8, &key("k1", 2)).await.unwrap();
    assert_eq!(EFFECTS.scalar::<i64>(&db).await.unwrap(), 2);
}

#[tokio::test]
async fn a_request_that_was_rolled_back_may_be_made_again() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    let once = key("k1", 1);
    let tx = db.begin().await.unwrap();
    assert_eq!(
        claim(&tx, "shop", UserId::new(7), &once).await.unwrap(),
        Claim::Fresh
    );
    EFFECT.execute(&tx).await.unwrap();
    drop(tx);
    assert!(!pay(&db, 7, &once).await.unwrap().2);
    assert!(pay(&db, 7, &once).await.unwrap().2);
    assert_eq!(EFFECTS.scalar::<i64>(&db).await.unwrap(), 1);
}

#[tokio::test]
async fn a_twin_waits_two_seconds_and_is_told_to_come_back() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    let once = key("k1", 1);
    let tx = db.begin().await.unwrap();
    claim(&tx, "shop", UserId::new(7), &once).await.unwrap();
    let began = tokio::time::Instant::now();
    let busy = pay(&db, 7, &once).await.unwrap_err();
    let waited = began.elapsed();
    assert_eq!(
        (busy.row.code, busy.row.kind),
        ("IDEMPOTENCY_BUSY", ErrorKind::Conflict)
    );
    assert!(busy.retry_after.is_some());
    assert!(
        waited >= Duration::from_millis(1_900) && waited < Duration::from_secs(6),
        "{waited:?}"
    );
    drop(tx);
    eventually("the key is free", Duration::from_secs(5), || async {
        pay(&db, 7, &once)
            .await
            .is_ok_and(|(_, _, replayed)| !replayed)
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn keys_are_kept_for_a_day_and_an_answer_is_recorded_once() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    pay(&db, 1, &key("young", 1)).await.unwrap();
    pay(&db, 1, &key("old", 1)).await.unwrap();
    t.script("UPDATE shop.idempotency_keys SET created_at = now() - interval '24 hours 1 second' WHERE key = 'old'").await.unwrap();
    assert_eq!(purge(&db, "shop").await.unwrap(), 1);
    assert!(pay(&db, 1, &key("young", 1)).await.unwrap().2);
    assert!(!pay(&db, 1, &key("old", 1)).await.unwrap().2);
    let tx = db.begin().await.unwrap();
    let twice = settle(
        &tx,
        "shop",
        UserId::new(1),
        &key("young", 1),
        200,
        &serde_json::json!(null),
    )
    .await;
    assert!(matches!(twice, Err(db::Error::NotOne { .. })));
}
