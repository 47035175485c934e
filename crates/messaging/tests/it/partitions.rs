//! Partitions are made ahead, old ones go, stray rows are reported.

use std::time::Duration;

use db::Sql;
use messaging::log::{Appended, Log};
use testkit::TestDb;

use crate::world::{ANA, World};

const NAMES: Sql = Sql::new(
    "test.names",
    "SELECT c.relname::text
     FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = to_regclass('messaging.' || $1)
     ORDER BY c.relname",
);

async fn names(w: &World, parent: &str) -> Vec<String> {
    let names: Vec<String> = NAMES.bind(&parent).scalars(&w.admin).await.unwrap();
    names
        .iter()
        .map(|name| name.trim_start_matches(&format!("{parent}_")).to_owned())
        .collect()
}

fn contains(names: &[String], wanted: &[&str]) -> bool {
    wanted
        .iter()
        .all(|name| names.iter().any(|known| known == name))
}

#[tokio::test]
async fn migrating_makes_this_month_and_three_more() {
    let t = TestDb::new(&[messaging::MIGRATIONS]).await.unwrap();
    const MISSING: Sql = Sql::new(
        "test.missing",
        "SELECT count(*) FROM generate_series(0, 3) AS ahead
         WHERE to_regclass('messaging.messages_' || to_char(
            date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead),
            'YYYY_MM')) IS NULL",
    );
    assert_eq!(MISSING.scalar::<i64>(&t.admin().unwrap()).await.unwrap(), 0);
}

#[tokio::test]
async fn the_application_itself_makes_them_ahead_and_drops_the_old() {
    let w = World::new().await;
    let months = names(&w, "messages").await;
    assert!(contains(
        &months,
        &["2026_11", "2026_12", "2027_01", "2027_02", "default"]
    ));
    for parent in ["message_nonces", "channel_events"] {
        let days = names(&w, parent).await;
        assert!(
            contains(&days, &["2026_11_19", "2026_11_20", "2026_11_27"]),
            "{days:?}"
        );
    }
    w.clock.set("2027-02-28T12:00:00Z".parse().unwrap());
    let status = w.messaging.keep_partitions().await.unwrap();
    assert!(
        status.starts_with("made ") && !status.starts_with("made 0"),
        "{status}"
    );
    let months = names(&w, "messages").await;
    assert!(
        contains(&months, &["2026_11", "2027_03", "2027_04", "2027_05"]),
        "{months:?}"
    );
    assert!(!contains(&months, &["2027_06"]));
    let nonces = names(&w, "message_nonces").await;
    assert!(!contains(&nonces, &["2027_02_26"]) && !contains(&nonces, &["2026_11_20"]));
    assert!(contains(
        &nonces,
        &["2027_02_27", "2027_02_28", "2027_03_07"]
    ));
    assert!(!contains(
        &names(&w, "channel_events").await,
        &["2026_11_27"]
    ));
    let again = w.messaging.keep_partitions().await.unwrap();
    assert_eq!(again, "made 0, dropped 0 + 0, strays 0");
}

#[tokio::test]
async fn changes_are_kept_for_a_week() {
    let w = World::new().await;
    w.clock.advance(Duration::from_secs(7 * 86_400));
    w.messaging.keep_partitions().await.unwrap();
    let days = names(&w, "channel_events").await;
    assert!(
        contains(&days, &["2026_11_20"]) && !contains(&days, &["2026_11_19"]),
        "{days:?}"
    );
}

#[tokio::test]
async fn two_nodes_do_not_stand_in_each_others_way() {
    let w = World::new().await;
    const LOCK: Sql = Sql::new(
        "test.lock",
        "SELECT pg_try_advisory_xact_lock(hashtext('messaging.partitions'))",
    );
    let other = w.admin.begin().await.unwrap();
    assert!(LOCK.scalar::<bool>(&other).await.unwrap());
    assert_eq!(
        w.messaging.keep_partitions().await.unwrap(),
        "another node is at it"
    );
    other.rollback().await.unwrap();
    assert!(
        w.messaging
            .keep_partitions()
            .await
            .unwrap()
            .starts_with("made 0")
    );
}

#[tokio::test]
async fn a_message_without_a_partition_is_kept_and_reported() {
    let w = World::new().await;
    w.t.script("INSERT INTO messaging.channels (id, kind) VALUES (1, 0)")
        .await
        .unwrap();
    let log = Log::new(w.t.app(messaging::SCHEMA).unwrap(), w.clock.clone());
    w.clock.set("2030-01-01T00:00:00Z".parse().unwrap());
    let done = log
        .append(&[w.row(kernel::ChannelId::new(1), ANA, Some("n"))])
        .await;
    assert_eq!(
        done,
        [Appended::Fresh {
            seq: 1,
            ev: 1,
            expires_at: None
        }]
    );
    w.clock.set("2026-11-20T07:00:00Z".parse().unwrap());
    assert!(
        w.messaging
            .keep_partitions()
            .await
            .unwrap()
            .ends_with("strays 2")
    );
    let module = messaging::module(w.messaging.clone());
    assert_eq!(module.jobs.len(), 6);
    let status = (module.jobs[0].run)().await.unwrap();
    assert!(status.ends_with("strays 2"), "{status}");
}
