use std::time::Duration;

use db::{Db, Error, Settings, Sql};
use kernel::{ErrorKind, Failure};
use testkit::TestDb;
use testkit::servers::{Postgres, eventually};

use crate::fixture::{COUNT_ITEMS, SHOP, SLEEP};

fn small(t: &TestDb, connections: usize) -> Settings {
    Settings {
        max_connections: connections,
        wait_timeout: Duration::from_millis(200),
        ..t.app_settings("shop").unwrap()
    }
}

#[tokio::test]
async fn the_pool_never_opens_more_than_its_bound_and_waiting_ends() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = Db::connect(&small(&t, 2)).unwrap();
    let (first, second) = (db.begin().await.unwrap(), db.begin().await.unwrap());
    let began = tokio::time::Instant::now();
    let refused = COUNT_ITEMS.scalar::<i64>(&db).await.unwrap_err();
    assert!(matches!(refused, Error::Busy), "{refused}");
    let waited = began.elapsed();
    assert!(
        waited >= Duration::from_millis(190) && waited < Duration::from_secs(3),
        "{waited:?}"
    );
    let failure = Failure::from(refused);
    assert_eq!(failure.row.kind, ErrorKind::Unavailable);
    assert!(failure.retry_after.is_some());
    drop(first);
    assert_eq!(COUNT_ITEMS.scalar::<i64>(&db).await.unwrap(), 0);
    drop(second);
    let many = (0..50).map(|_| COUNT_ITEMS.scalar::<i64>(&db));
    let results = futures::future::join_all(many).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert!(db.usage().open <= 2, "{:?}", db.usage());
}

#[tokio::test]
async fn a_statement_over_its_limit_is_cancelled_and_frees_its_connection() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let settings = Settings {
        statement_timeout: Duration::from_millis(150),
        ..small(&t, 1)
    };
    let db = Db::connect(&settings).unwrap();
    let slow = SLEEP.bind(&600.0_f64).execute(&db).await.unwrap_err();
    assert!(
        matches!(slow, Error::Timeout { limit_ms: 150, .. }),
        "{slow}"
    );
    let admin = t.admin().unwrap();
    let sleeping = Sql::new(
        "test.sleeping",
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid() AND state = 'active' AND datname = current_database()",
    );
    eventually(
        "the server forgets the statement",
        Duration::from_secs(5),
        || async { sleeping.scalar::<i64>(&admin).await.unwrap() == 0 },
    )
    .await
    .unwrap();
    eventually(
        "the connection is free again",
        Duration::from_secs(5),
        || async { COUNT_ITEMS.scalar::<i64>(&db).await.is_ok() },
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn a_cancelled_caller_leaves_a_usable_connection() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = Db::connect(&Settings {
        wait_timeout: Duration::from_secs(5),
        ..small(&t, 1)
    })
    .unwrap();
    let given_up = tokio::time::timeout(
        Duration::from_millis(50),
        SLEEP.bind(&600.0_f64).execute(&db),
    )
    .await;
    assert!(given_up.is_err());
    // Waits for the clean-up: at most a second, then the connection is closed and replaced.
    assert_eq!(COUNT_ITEMS.scalar::<i64>(&db).await.unwrap(), 0);
    assert_eq!(db.usage().open, 1);
}

#[tokio::test]
async fn a_restarted_server_is_found_again_without_restarting_us() {
    let mut server = Postgres::start(&[]).await.unwrap();
    let settings = Settings {
        max_connections: 4,
        wait_timeout: Duration::from_secs(2),
        connect_timeout: Duration::from_secs(1),
        ..Settings::new(server.url("postgres"))
    };
    let db = Db::connect(&settings).unwrap();
    db.ping().await.unwrap();
    server.kill().unwrap();
    let gone = db.ping().await.unwrap_err();
    assert!(gone.is_unavailable(), "{gone}");
    assert_eq!(Failure::from(gone).row.kind, ErrorKind::Unavailable);
    server.start_again().await.unwrap();
    let began = tokio::time::Instant::now();
    eventually("the pool works", Duration::from_secs(5), || async {
        db.ping().await.is_ok()
    })
    .await
    .unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(db.usage().open <= 4);
}

#[tokio::test]
async fn a_read_survives_a_connection_that_was_cut_while_idle() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = Db::connect(&small(&t, 1)).unwrap();
    let admin = t.admin().unwrap();
    for _ in 0..20 {
        db.ping().await.unwrap();
        let cut = Sql::new(
            "test.cut",
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE usename = 'test_shop' AND datname = current_database()",
        );
        // One that was cut a round ago may still be on its way out.
        assert!(cut.scalar::<i64>(&admin).await.unwrap() >= 1);
        assert_eq!(COUNT_ITEMS.scalar::<i64>(&db).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_without_showing_the_password() {
    let no_host = Db::connect(&Settings::new("postgres:///x")).unwrap_err();
    assert!(matches!(no_host, Error::Settings(_)), "{no_host}");
    let bad = Db::connect(&Settings::new("postgres://u:geheim@h:port/x")).unwrap_err();
    assert!(!format!("{bad} {bad:?}").contains("geheim"), "{bad:?}");
    let settings = Settings::new("postgres://u:geheim@h/x");
    assert!(!format!("{settings:?}").contains("geheim"));
}

#[tokio::test]
async fn a_server_without_tls_is_refused_when_tls_is_asked_for() {
    let server = Postgres::start(&[]).await.unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider().install_default();
    assert!(provider.is_ok());
    let url = server
        .url("postgres")
        .replace("sslmode=disable", "sslmode=verify-full");
    let refused = Db::connect(&Settings::new(url))
        .unwrap()
        .ping()
        .await
        .unwrap_err();
    assert!(refused.is_unavailable(), "{refused}");
    let plain = server.url("postgres").replace("?sslmode=disable", "");
    Db::connect(&Settings::new(plain))
        .unwrap()
        .ping()
        .await
        .unwrap();
}
