//! What is acknowledged is stored, whatever happens to connections; full queues refuse.

use std::sync::Arc;
use std::time::Duration;

use db::{Sql, Tx};
use kernel::UserId;
use messaging::Settings;
use serde_json::{Value, json};
use testkit::servers::eventually;

use crate::world::{ANA, ROOM, World, id_of, message, messages};

const HOLD: Sql = Sql::new(
    "test.hold",
    "SELECT id FROM messaging.channels WHERE id = 800 FOR UPDATE",
);
/// Writers of this database that wait for a lock.
const WAITING: Sql = Sql::new(
    "test.waiting",
    "SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()",
);
const KILL: Sql = Sql::new(
    "test.kill",
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()",
);
const BROKEN: Sql = Sql::new(
    "test.broken",
    "SELECT count(*) FROM (
        SELECT c.id FROM messaging.channels c JOIN messaging.messages m ON m.channel_id = c.id
        GROUP BY c.id
        HAVING count(*) <> c.last_seq OR count(DISTINCT m.seq) <> count(*)
            OR max(m.seq) <> c.last_seq
    ) broken",
);
const MESSAGES: Sql = Sql::new("test.messages", "SELECT count(*) FROM messaging.messages");
const OUTBOX: Sql = Sql::new("test.outbox", "SELECT count(*) FROM messaging.outbox");
const DOUBLE_NONCES: Sql = Sql::new(
    "test.double_nonces",
    "SELECT count(*) FROM (
        SELECT author_id FROM messaging.messages GROUP BY author_id HAVING count(*) > 1
    ) doubles",
);

/// Starts a task of the test itself, outside the life that a test may end.
fn spawn<F>(work: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    runtime::spawn(&runtime::Lifecycle::new(), "test", work)
}

/// Lets users in, one after the other; their ids begin at 100.
fn crowd(w: &World, count: i64) -> Vec<UserId> {
    (100..100 + count)
        .map(|id| {
            let user = w.identity.add(UserId::new(id), &format!("u{id}"));
            w.seat(user.id, ROOM);
            user.id
        })
        .collect()
}

/// Holds the room's row, so that its writer waits.
async fn hold(w: &World) -> Tx {
    let tx = w.admin.begin().await.unwrap();
    HOLD.scalar::<i64>(&tx).await.unwrap();
    tx
}

async fn until_a_writer_waits(w: &World) {
    eventually(
        "a writer waits for the lock",
        Duration::from_secs(5),
        || async { w.number(WAITING).await > 0 },
    )
    .await
    .unwrap();
}

fn post(
    w: &Arc<World>,
    user: UserId,
    body: Value,
) -> tokio::task::JoinHandle<testkit::http::Reply> {
    let w = Arc::clone(w);
    spawn(async move { w.call("POST", &messages(ROOM), user, body).await })
}

#[tokio::test]
async fn r1_a_connection_killed_in_the_middle_loses_and_doubles_nothing() {
    let w = Arc::new(World::new().await);
    let first = w.say(ANA, "zemin").await;
    let crowd = crowd(&w, 60);
    let mut killed = 0;
    for (round, users) in crowd.chunks(20).enumerate() {
        let held = hold(&w).await;
        let sends: Vec<_> = users
            .iter()
            .enumerate()
            .map(|(at, user)| {
                // Half of them without a nonce: those stand on the ids alone.
                let enforce = at % 2 == 0;
                post(
                    &w,
                    *user,
                    json!({"content": "a", "nonce": "n", "enforce_nonce": enforce}),
                )
            })
            .collect();
        until_a_writer_waits(&w).await;
        killed += w.number(KILL).await;
        held.rollback().await.unwrap();
        for send in sends {
            let reply = send.await.unwrap().expect(200).unwrap();
            let seen = w
                .call("GET", &message(id_of(&reply.json)), ANA, Value::Null)
                .await;
            assert_eq!(seen.json["seq"], reply.json["seq"], "round {round}");
        }
    }
    assert!(killed >= 3, "the test hit something");
    assert_eq!(w.number(MESSAGES).await, 61);
    assert_eq!(w.number(OUTBOX).await, 61);
    assert_eq!(w.number(BROKEN).await, 0);
    assert_eq!(w.number(DOUBLE_NONCES).await, 0);
    // Changes too.
    let held = hold(&w).await;
    let edit = {
        let w = Arc::clone(&w);
        spawn(async move {
            w.call("PATCH", &message(first), ANA, json!({"content": "yeni"}))
                .await
        })
    };
    until_a_writer_waits(&w).await;
    w.number(KILL).await;
    held.rollback().await.unwrap();
    let edited = edit.await.unwrap().expect(200).unwrap().json;
    assert_eq!(
        (&edited["content"], &edited["ev"]),
        (&json!("yeni"), &json!(62))
    );
}

#[tokio::test]
async fn while_the_database_stays_away_senders_get_503_and_their_retry_is_one_message() {
    let w = Arc::new(World::new().await);
    w.say(ANA, "zemin").await;
    let user = crowd(&w, 1)[0];
    let body = json!({"content": "a", "nonce": "n", "enforce_nonce": true});
    // Held for longer than the limits of both tries.
    let held = hold(&w).await;
    let sent = post(&w, user, body.clone()).await.unwrap();
    assert_eq!(sent.status, 503, "{}", sent.json);
    assert_eq!(sent.header("retry-after"), Some("1"));
    held.rollback().await.unwrap();
    let again = post(&w, user, body.clone())
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    let third = post(&w, user, body).await.unwrap().expect(200).unwrap();
    assert_eq!(third.json["id"], again.json["id"]);
    assert_eq!((w.number(MESSAGES).await, w.number(BROKEN).await), (2, 0));
}

#[tokio::test]
async fn a_full_queue_refuses_at_its_edge_and_recovers() {
    let settings = Settings {
        writers: 1,
        queue: 3,
        batch: 1,
        ..Settings::default()
    };
    let w = Arc::new(World::with(settings, None).await);
    w.say(ANA, "zemin").await;
    let users = crowd(&w, 7);
    let held = hold(&w).await;
    // One is with the database, three fill the queue, the rest are refused.
    let first = post(&w, users[0], json!({"content": "a"}));
    until_a_writer_waits(&w).await;
    let mut waiting = vec![first];
    waiting.extend(
        users[1..]
            .iter()
            .map(|user| post(&w, *user, json!({"content": "a"}))),
    );
    let refused = |waiting: &[tokio::task::JoinHandle<_>]| {
        waiting.iter().filter(|send| send.is_finished()).count()
    };
    eventually("three are refused", Duration::from_secs(2), || async {
        refused(&waiting) == 3
    })
    .await
    .unwrap();
    held.rollback().await.unwrap();
    let mut statuses = Vec::new();
    for send in waiting {
        let reply = send.await.unwrap();
        if reply.status == 503 {
            assert_eq!(reply.header("retry-after"), Some("1"));
        }
        statuses.push(reply.status.as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 503, 503, 503]);
    assert_eq!((w.number(MESSAGES).await, w.number(BROKEN).await), (5, 0));
}

#[tokio::test]
async fn records_come_in_the_order_of_ev() {
    let w = Arc::new(World::new().await);
    let mut ear = w
        .listen(&[infra::fanout::Topic::Community(crate::world::COMMUNITY)])
        .await;
    let sends: Vec<_> = crowd(&w, 100)
        .into_iter()
        .map(|user| post(&w, user, json!({"content": "a"})))
        .collect();
    for send in sends {
        send.await.unwrap().expect(200).unwrap();
    }
    let evs: Vec<i64> = std::iter::from_fn(|| ear.hear())
        .map(|heard| heard.data["ev"].as_i64().unwrap())
        .collect();
    assert_eq!(evs, (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn draining_finishes_what_was_queued() {
    let w = Arc::new(World::new().await);
    w.say(ANA, "zemin").await;
    let held = hold(&w).await;
    let sends: Vec<_> = crowd(&w, 5)
        .into_iter()
        .map(|user| post(&w, user, json!({"content": "a"})))
        .collect();
    until_a_writer_waits(&w).await;
    let lifecycle = w.lifecycle.clone();
    let shutdown = spawn(async move { lifecycle.shutdown(Duration::from_secs(20)).await });
    held.rollback().await.unwrap();
    for send in sends {
        send.await.unwrap().expect(200).unwrap();
    }
    assert_eq!(shutdown.await.unwrap(), runtime::Drain::Drained);
    let late = w
        .call(
            "POST",
            &messages(ROOM),
            UserId::new(100),
            json!({"content": "b"}),
        )
        .await;
    assert_eq!(late.status, 503);
}
