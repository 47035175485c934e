use std::time::Duration;

use db::wakeup::{self, Listener, Notifier};
use db::{Db, Sql, outbox};
use kernel::{Event, EventId};
use testkit::TestDb;
use testkit::servers::eventually;
use tokio_util::sync::CancellationToken;

use crate::fixture::SHOP;

const LISTENING: Sql = Sql::new(
    "test.listening",
    "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND query = 'LISTEN meydan_outbox' AND state = 'idle'",
);
const CUT: Sql = Sql::new(
    "test.cut",
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND query = 'LISTEN meydan_outbox'",
);

async fn listening(admin: &Db) {
    eventually("somebody listens", Duration::from_secs(10), || async {
        LISTENING.scalar::<i64>(admin).await.unwrap() == 1
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_commit_in_one_process_wakes_the_relay_of_another() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let (here, there, admin) = (
        t.app("shop").unwrap(),
        t.app("shop").unwrap(),
        t.admin().unwrap(),
    );
    let wake = there.outbox_wake("shop");
    let end = CancellationToken::new();
    let listener = Listener::new(t.app_settings("shop").unwrap(), there.clone());
    let notifier = Notifier::new(here.clone());
    let using = async {
        listening(&admin).await;
        // The start of listening wakes everybody once.
        wake.notified().await;
        for round in 0..2_i64 {
            let tx = here.begin().await.unwrap();
            outbox::append(&tx, "shop", &[event(round)]).await.unwrap();
            tx.commit().await.unwrap();
            tokio::time::timeout(Duration::from_secs(10), wake.notified())
                .await
                .unwrap();
            // A cut connection is opened again.
            assert_eq!(CUT.scalar::<i64>(&admin).await.unwrap(), 1);
            tokio::time::timeout(Duration::from_secs(10), wake.notified())
                .await
                .unwrap();
            listening(&admin).await;
        }
        end.cancel();
    };
    tokio::join!(listener.run(end.clone()), notifier.run(end.clone()), using);
}

#[tokio::test]
async fn a_process_notifies_at_most_ten_times_a_second() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let (here, there, admin) = (
        t.app("shop").unwrap(),
        t.app("shop").unwrap(),
        t.admin().unwrap(),
    );
    let wake = there.outbox_wake("shop");
    let end = CancellationToken::new();
    let listener = Listener::new(t.app_settings("shop").unwrap(), there.clone());
    let using = async {
        listening(&admin).await;
        wake.notified().await;
        let until = tokio::time::Instant::now() + Duration::from_millis(1_000);
        let mut woken = 0;
        let announcing = async {
            while tokio::time::Instant::now() < until {
                here.announce("shop");
                tokio::task::yield_now().await;
            }
        };
        let counting = async {
            while tokio::time::timeout_at(until, wake.notified())
                .await
                .is_ok()
            {
                woken += 1;
            }
        };
        tokio::join!(announcing, counting);
        assert!((1..=11).contains(&woken), "{woken}");
        end.cancel();
    };
    tokio::join!(
        listener.run(end.clone()),
        Notifier::new(here.clone()).run(end.clone()),
        using
    );
}

fn event(id: i64) -> Event {
    Event {
        id: EventId::new(id + 1),
        kind: "shop.item_sold.v1".into(),
        at: "2026-11-20T07:00:00Z".parse().unwrap(),
        actor: None,
        tenant: None,
        key: "a".into(),
        data: serde_json::Value::Null,
    }
}

#[tokio::test]
async fn the_statement_of_the_wake_up_is_right() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let settings = t.app_settings("shop").unwrap();
    let problems = db::prepare::check(&settings, wakeup::STATEMENTS)
        .await
        .unwrap();
    assert!(problems.is_empty(), "{problems:?}");
}
