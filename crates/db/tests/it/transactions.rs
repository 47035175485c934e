use std::time::Duration;

use db::{Db, Error, Settings, Sql};
use testkit::TestDb;
use testkit::servers::eventually;

use crate::fixture::{ADD_ITEM, COUNT_ITEMS, DEPOT, SHOP, SLEEP};

const OPEN: Sql = Sql::new(
    "test.open_transactions",
    "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = 'test_shop' AND state LIKE 'idle in transaction%'",
);

fn one_connection(t: &TestDb) -> Db {
    let settings = Settings {
        max_connections: 1,
        ..t.app_settings("shop").unwrap()
    };
    Db::connect(&settings).unwrap()
}

#[tokio::test]
async fn a_commit_keeps_and_a_rollback_forgets() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = one_connection(&t);
    let tx = db.begin().await.unwrap();
    ADD_ITEM.bind(&1_i64).bind(&"a").execute(&tx).await.unwrap();
    assert_eq!(COUNT_ITEMS.scalar::<i64>(&tx).await.unwrap(), 1);
    tx.commit().await.unwrap();
    let tx = db.begin().await.unwrap();
    ADD_ITEM.bind(&2_i64).bind(&"b").execute(&tx).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(COUNT_ITEMS.scalar::<i64>(&db).await.unwrap(), 1);
    db.begin().await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn a_dropped_transaction_is_rolled_back_and_its_connection_comes_back() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = one_connection(&t);
    for id in 0..5_i64 {
        let tx = db.begin().await.unwrap();
        ADD_ITEM
            .bind(&id)
            .bind(&format!("{id}"))
            .execute(&tx)
            .await
            .unwrap();
        drop(tx);
        assert_eq!(COUNT_ITEMS.scalar::<i64>(&db).await.unwrap(), 0);
    }
    assert_eq!(db.usage().open, 1);
    assert_eq!(OPEN.scalar::<i64>(&t.admin().unwrap()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_transaction_dropped_in_the_middle_of_a_long_statement_is_closed() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = one_connection(&t);
    let tx = db.begin().await.unwrap();
    ADD_ITEM.bind(&1_i64).bind(&"a").execute(&tx).await.unwrap();
    let given_up = tokio::time::timeout(
        Duration::from_millis(50),
        SLEEP.bind(&600.0_f64).execute(&tx),
    )
    .await;
    assert!(given_up.is_err());
    drop(tx);
    assert_eq!(COUNT_ITEMS.scalar::<i64>(&db).await.unwrap(), 0);
    let admin = t.admin().unwrap();
    eventually(
        "no transaction stays open",
        Duration::from_secs(5),
        || async { OPEN.scalar::<i64>(&admin).await.unwrap() == 0 },
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn a_commit_after_a_failed_statement_is_an_error() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = one_connection(&t);
    let tx = db.begin().await.unwrap();
    ADD_ITEM.bind(&1_i64).bind(&"a").execute(&tx).await.unwrap();
    assert!(ADD_ITEM.bind(&1_i64).bind(&"b").execute(&tx).await.is_err());
    assert!(matches!(tx.commit().await.unwrap_err(), Error::Aborted));
    assert_eq!(COUNT_ITEMS.scalar::<i64>(&db).await.unwrap(), 0);
    // Nobody saw how the abandoned statement ended, so nothing may be called committed.
    let tx = db.begin().await.unwrap();
    let nap = SLEEP.bind(&0.2_f64);
    assert!(
        tokio::time::timeout(Duration::from_millis(20), nap.execute(&tx))
            .await
            .is_err()
    );
    assert!(matches!(tx.commit().await.unwrap_err(), Error::Aborted));
}

#[tokio::test]
async fn the_first_error_of_the_opening_pipeline_is_reported() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = one_connection(&t);
    let tx = db.begin().await.unwrap();
    let error = Sql::new("shop.nothing", "SELECT 1 / 0")
        .execute(&tx)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Database { code, .. } if code == "22012"),
        "{error}"
    );
    let later = COUNT_ITEMS.scalar::<i64>(&tx).await.unwrap_err();
    assert!(
        matches!(&later, Error::Database { code, .. } if code == "25P02"),
        "{later}"
    );
}

#[tokio::test]
async fn statements_of_one_transaction_may_run_at_once() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = one_connection(&t);
    let tx = db.begin().await.unwrap();
    let names: Vec<String> = (0..20).map(|id| format!("item {id}")).collect();
    let ids: Vec<i64> = (0..20).collect();
    let all = ids
        .iter()
        .zip(&names)
        .map(|(id, name)| ADD_ITEM.bind(id).bind(name).execute(&tx));
    assert!(
        futures::future::join_all(all)
            .await
            .iter()
            .all(Result::is_ok)
    );
    tx.commit().await.unwrap();
    assert_eq!(COUNT_ITEMS.scalar::<i64>(&db).await.unwrap(), 20);
}

#[tokio::test]
async fn a_context_cannot_touch_another_schema() {
    let t = TestDb::new(&[SHOP, DEPOT]).await.unwrap();
    let foreign = Sql::new("shop.foreign", "SELECT count(*) FROM depot.shelves");
    let error = foreign
        .scalar::<i64>(&t.app("shop").unwrap())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Database { code, .. } if code == "42501"),
        "{error}"
    );
    assert_eq!(
        foreign
            .scalar::<i64>(&t.app("depot").unwrap())
            .await
            .unwrap(),
        0
    );
    let ddl = Sql::new("shop.ddl", "CREATE TABLE shop.mine (id int)");
    assert!(ddl.execute(&t.app("shop").unwrap()).await.is_err());
}
