use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use db::{Db, Settings, Sql};
use testkit::TestDb;
use testkit::servers::PgBouncer;

use crate::fixture::{ADD_ITEM, COUNT_ITEMS, SHOP};

const ECHO: Sql = Sql::new("test.echo_both", "SELECT ($1::bigint + 1)::bigint");
const SET_TENANT: Sql = Sql::new("test.set", "SELECT set_config('app.gallery_id', $1, true)");
const READ_TENANT: Sql = Sql::new(
    "test.read",
    "SELECT coalesce(nullif(current_setting('app.gallery_id', true), ''), 'none')",
);

async fn through_pooler(t: &TestDb, clients: usize) -> (PgBouncer, Vec<Db>) {
    let (socket, port) = t.socket();
    let pooler = PgBouncer::start(socket, port, 10, &["test_shop"])
        .await
        .unwrap();
    let settings = Settings {
        max_connections: 1,
        ..Settings::new(pooler.url("test_shop", t.name()))
    };
    let clients = (0..clients)
        .map(|_| Db::connect(&settings).unwrap())
        .collect();
    (pooler, clients)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forty_clients_get_only_right_answers() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let (_pooler, clients) = through_pooler(&t, 40).await;
    let right = AtomicUsize::new(0);
    let work = clients.iter().enumerate().map(|(client, db)| {
        let right = &right;
        async move {
            for round in 0..50_i64 {
                let number = i64::try_from(client).unwrap() * 1_000 + round;
                if ECHO.bind(&number).scalar::<i64>(db).await.unwrap() == number + 1 {
                    right.fetch_add(1, SeqCst);
                }
            }
            let id = i64::try_from(client).unwrap();
            ADD_ITEM
                .bind(&id)
                .bind(&format!("client {id}"))
                .execute(db)
                .await
                .unwrap();
        }
    });
    futures::future::join_all(work).await;
    assert_eq!(right.load(SeqCst), 40 * 50);
    assert_eq!(COUNT_ITEMS.scalar::<i64>(&clients[0]).await.unwrap(), 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_of_one_transaction_is_seen_by_no_other() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let (_pooler, clients) = through_pooler(&t, 40).await;
    let work = clients.iter().enumerate().map(|(client, db)| async move {
        let mine = format!("{client}");
        for _ in 0..20 {
            let tx = db.begin().await.unwrap();
            SET_TENANT.bind(&mine).execute(&tx).await.unwrap();
            assert_eq!(READ_TENANT.scalar::<String>(&tx).await.unwrap(), mine);
            tx.commit().await.unwrap();
            assert_eq!(READ_TENANT.scalar::<String>(db).await.unwrap(), "none");
        }
    });
    futures::future::join_all(work).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enum_in_a_result_is_what_breaks_behind_a_pooler() {
    // The negative control of the two tests above and the reason for the check of statements.
    let t = TestDb::new(&[SHOP]).await.unwrap();
    t.script("CREATE TYPE shop.mood AS ENUM ('x'); GRANT USAGE ON TYPE shop.mood TO PUBLIC")
        .await
        .unwrap();
    let (_pooler, clients) = through_pooler(&t, 40).await;
    let failed = AtomicUsize::new(0);
    let work = clients.iter().map(|db| {
        let failed = &failed;
        async move {
            for _ in 0..15 {
                let enumerated = Sql::new("test.enum", "SELECT 'x'::shop.mood AS m");
                if enumerated.execute(db).await.is_err() {
                    failed.fetch_add(1, SeqCst);
                }
                let rows = Sql::new("test.enum_rows", "SELECT 'x'::shop.mood AS m");
                if rows.scalar::<String>(db).await.is_err() {
                    failed.fetch_add(1, SeqCst);
                }
            }
        }
    });
    futures::future::join_all(work).await;
    assert!(failed.load(SeqCst) > 0);
}
