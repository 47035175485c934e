use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use db::worker;
use kernel::{IdError, Ids, ManualClock, SharedClock, SystemClock, UserId};
use testkit::TestDb;
use tokio_util::sync::CancellationToken;

use crate::fixture::SHOP;

fn system() -> SharedClock {
    Arc::new(SystemClock)
}

#[tokio::test]
async fn nodes_that_start_at_once_get_different_numbers() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    let leases = (0..30).map(|_| worker::lease(&db, system()));
    let leases = futures::future::join_all(leases).await;
    let numbers: HashSet<u16> = leases
        .iter()
        .map(|lease| lease.as_ref().unwrap().1.number())
        .collect();
    assert_eq!(numbers.len(), 30);
    let (slot, _keeper) = leases.into_iter().next().unwrap().unwrap();
    Ids::new(system(), slot)
        .next::<kernel::id::kind::User>()
        .unwrap();
}

#[tokio::test]
async fn without_renewal_ids_stop_before_the_lease_ends() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    let clock = ManualClock::new(kernel::Clock::now(&SystemClock));
    let (slot, mut keeper) = worker::lease(&db, clock.clone()).await.unwrap();
    let ids = Ids::new(clock.clone(), slot);
    clock.advance(Duration::from_millis(24_999));
    let _last: UserId = ids.next().unwrap();
    clock.advance(Duration::from_millis(1));
    assert_eq!(
        ids.next::<kernel::id::kind::User>(),
        Err(IdError::LeaseLapsed)
    );
    keeper.renew().await.unwrap();
    let _again: UserId = ids.next().unwrap();
}

#[tokio::test]
async fn a_lost_lease_is_fenced_and_another_number_is_taken() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    let (_slot, mut keeper) = worker::lease(&db, system()).await.unwrap();
    let lost = keeper.number();
    // It slept through its lease, and somebody else has the number now.
    t.script("UPDATE meydan.workers SET fence = fence + 1, holder = 'another'")
        .await
        .unwrap();
    keeper.renew().await.unwrap();
    assert_ne!(keeper.number(), lost);
    // An expired lease cannot be renewed either, and its number rests before it is given out.
    t.script("UPDATE meydan.workers SET expires_at = now() - interval '1 second'")
        .await
        .unwrap();
    let expired = keeper.number();
    keeper.renew().await.unwrap();
    assert_ne!(keeper.number(), expired);
}

#[tokio::test]
async fn numbers_are_used_again_after_a_rest_and_never_beyond_1024() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    t.script("INSERT INTO meydan.workers SELECT n, 'x', 1, now() + interval '1 hour' FROM generate_series(0, 1023) AS n").await.unwrap();
    let none = worker::lease(&db, system()).await.map(|_| ()).unwrap_err();
    assert!(none.is_unavailable(), "{none}");
    t.script(
        "UPDATE meydan.workers SET expires_at = now() - interval '5 seconds' WHERE number = 77",
    )
    .await
    .unwrap();
    assert!(worker::lease(&db, system()).await.is_err());
    t.script(
        "UPDATE meydan.workers SET expires_at = now() - interval '11 seconds' WHERE number = 77",
    )
    .await
    .unwrap();
    let (_slot, keeper) = worker::lease(&db, system()).await.unwrap();
    assert_eq!(keeper.number(), 77);
}

#[tokio::test]
async fn the_keeper_gives_the_number_back_at_the_end() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    let (slot, keeper) = worker::lease(&db, system()).await.unwrap();
    let end = CancellationToken::new();
    end.cancel();
    keeper.run(end).await;
    let ids = Ids::new(system(), slot);
    assert_eq!(
        ids.next::<kernel::id::kind::User>(),
        Err(IdError::LeaseLapsed)
    );
    let held = db::Sql::new(
        "test.held",
        "SELECT count(*) FROM meydan.workers WHERE expires_at > now()",
    );
    assert_eq!(held.scalar::<i64>(&t.admin().unwrap()).await.unwrap(), 0);
}

#[tokio::test]
async fn the_statements_of_the_lease_are_right() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let settings = t.app_settings("shop").unwrap();
    let problems = db::prepare::check(&settings, worker::STATEMENTS)
        .await
        .unwrap();
    assert!(problems.is_empty(), "{problems:?}");
}
