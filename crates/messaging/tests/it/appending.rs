//! The append itself: order, nonces, bad items; and every statement of the crate.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use db::Sql;
use kernel::{ChannelId, MessageId, SeededRng, UserId};
use messaging::Settings;
use messaging::log::{Appended, Log, NewRow};
use serde_json::{Value, json};
use testkit::TestDb;
use testkit::servers::PgBouncer;

use crate::world::{ANA, ROOM, World, messages};

const TASKS: usize = 6;
const BATCHES: usize = 10;
const BATCH: usize = 200;
const HOT: i64 = 50;
const REPLAYS_PERCENT: u64 = 37;

const MAKE_CHANNELS: Sql = Sql::new(
    "test.make_channels",
    "INSERT INTO messaging.channels (id, community_id, kind)
     SELECT n, 700, 0 FROM generate_series(1, $1) AS n",
);
const GAPS: Sql = Sql::new(
    "test.gaps",
    "SELECT count(*) FROM (
        SELECT c.id
        FROM messaging.channels c
        JOIN messaging.messages m ON m.channel_id = c.id
        GROUP BY c.id
        HAVING count(*) <> c.last_seq OR max(m.seq) <> c.last_seq OR min(m.seq) <> 1
            OR count(DISTINCT m.seq) <> count(*) OR count(DISTINCT m.ev) <> count(*)
            OR max(m.ev) <> c.last_ev OR max(m.id) <> c.last_message_id
    ) broken",
);
const MESSAGES: Sql = Sql::new("test.messages", "SELECT count(*) FROM messaging.messages");
const NONCES: Sql = Sql::new(
    "test.nonces",
    "SELECT count(*) FROM messaging.message_nonces",
);
const ORPHANS: Sql = Sql::new(
    "test.orphans",
    "SELECT count(*) FROM messaging.message_nonces n
     WHERE NOT EXISTS (SELECT FROM messaging.messages m
        WHERE m.channel_id = n.channel_id AND m.id = n.message_id)",
);
const EVENTS: Sql = Sql::new(
    "test.events",
    "SELECT count(*) FROM messaging.outbox o
     JOIN messaging.messages m ON m.id = o.event_id AND (o.data ->> 'seq')::bigint = m.seq",
);
const DEADLOCKS: Sql = Sql::new(
    "test.deadlocks",
    "SELECT coalesce(sum(deadlocks), 0)::bigint FROM pg_stat_database
     WHERE datname = current_database()",
);

type Key = (UserId, ChannelId, String);

/// A batch in which more than a third repeats what some task has sent, or is sending right now.
fn batch(w: &World, rng: &SeededRng, used: &Mutex<Vec<Key>>) -> Vec<NewRow> {
    let below = |n| kernel::rng::below(rng, n);
    let mut used = used.lock().unwrap();
    (0..BATCH)
        .map(|_| {
            let known = u64::try_from(used.len()).unwrap();
            let (author, channel, nonce) = if known > 0 && below(100) < REPLAYS_PERCENT {
                used[usize::try_from(below(known)).unwrap()].clone()
            } else {
                let author = UserId::new(i64::try_from(below(20)).unwrap() + 1);
                let channel = ChannelId::new(i64::try_from(below(50)).unwrap() + 1);
                let key = (author, channel, format!("n{}", used.len()));
                used.push(key.clone());
                key
            };
            w.row(channel, author, Some(&nonce))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m3_batches_on_hot_channels_leave_no_gap_and_no_double() {
    let w = Arc::new(World::new().await);
    MAKE_CHANNELS.bind(&HOT).execute(&w.admin).await.unwrap();
    let used = Arc::new(Mutex::new(Vec::new()));
    let answers = Arc::new(Mutex::new(HashMap::<Key, Vec<MessageId>>::new()));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        let (w, used, answers) = (w.clone(), used.clone(), answers.clone());
        tasks.spawn(async move {
            let log = Log::new(w.t.app(messaging::SCHEMA).unwrap(), w.clock.clone());
            let rng = SeededRng::new(u64::try_from(task).unwrap() + 42);
            for _ in 0..BATCHES {
                let rows = batch(&w, &rng, &used);
                let done = log.append(&rows).await;
                let mut answers = answers.lock().unwrap();
                for (row, done) in rows.into_iter().zip(done) {
                    let id = match done {
                        Appended::Fresh { .. } => row.id,
                        Appended::Replay(original) => original,
                        other => panic!("{other:?}"),
                    };
                    let key = (row.author, row.channel, row.nonce.unwrap());
                    answers.entry(key).or_default().push(id);
                }
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let answers = answers.lock().unwrap().clone();
    let sent: usize = answers.values().map(Vec::len).sum();
    assert_eq!(sent, TASKS * BATCHES * BATCH);
    for (key, ids) in answers.iter() {
        assert!(
            ids.iter().all(|id| *id == ids[0]),
            "{key:?}: a replay returns the original"
        );
    }
    let distinct = i64::try_from(answers.len()).unwrap();
    assert!(
        sent > answers.len() + sent / 4,
        "enough of them were replays"
    );
    assert_eq!(w.number(MESSAGES).await, distinct);
    assert_eq!(w.number(NONCES).await, distinct);
    assert_eq!(w.number(EVENTS).await, distinct);
    assert_eq!(w.number(GAPS).await, 0);
    assert_eq!(w.number(ORPHANS).await, 0);
    assert_eq!(w.number(DEADLOCKS).await, 0);
}

#[tokio::test]
async fn the_check_for_gaps_finds_a_gap() {
    let w = World::new().await;
    MAKE_CHANNELS.bind(&2_i64).execute(&w.admin).await.unwrap();
    let log = Log::new(w.t.app(messaging::SCHEMA).unwrap(), w.clock.clone());
    log.append(&[
        w.row(ChannelId::new(1), ANA, None),
        w.row(ChannelId::new(1), ANA, None),
    ])
    .await;
    assert_eq!(w.number(GAPS).await, 0);
    w.t.script("DELETE FROM messaging.messages WHERE seq = 1")
        .await
        .unwrap();
    assert_eq!(w.number(GAPS).await, 1);
}

#[tokio::test]
async fn a_nonce_holds_over_midnight_and_no_longer_than_the_next_day() {
    let w = World::new().await;
    MAKE_CHANNELS.bind(&1_i64).execute(&w.admin).await.unwrap();
    let log = Log::new(w.t.app(messaging::SCHEMA).unwrap(), w.clock.clone());
    let channel = ChannelId::new(1);
    w.clock.set("2026-11-20T23:59:59.999Z".parse().unwrap());
    let first = w.row(channel, ANA, Some("n"));
    assert_eq!(
        log.append(std::slice::from_ref(&first)).await,
        [Appended::Fresh {
            seq: 1,
            ev: 1,
            expires_at: None
        }]
    );
    for at in ["2026-11-21T00:00:00.001Z", "2026-11-21T23:59:59.999Z"] {
        w.clock.set(at.parse().unwrap());
        let again = log.append(&[w.row(channel, ANA, Some("n"))]).await;
        assert_eq!(again, [Appended::Replay(first.id)], "{at}");
    }
    w.clock.set("2026-11-22T00:00:00Z".parse().unwrap());
    let later = log.append(&[w.row(channel, ANA, Some("n"))]).await;
    assert_eq!(
        later,
        [Appended::Fresh {
            seq: 2,
            ev: 2,
            expires_at: None
        }]
    );
}

#[tokio::test]
async fn unknown_and_deleted_channels_hurt_nobody_and_leave_no_nonce() {
    let w = World::new().await;
    MAKE_CHANNELS.bind(&3_i64).execute(&w.admin).await.unwrap();
    w.t.script("UPDATE messaging.channels SET deleted_at = now() WHERE id = 3")
        .await
        .unwrap();
    let log = Log::new(w.t.app(messaging::SCHEMA).unwrap(), w.clock.clone());
    let at = ChannelId::new;
    let batch = [
        w.row(at(1), ANA, Some("a")),
        w.row(at(99), ANA, Some("b")),
        w.row(at(2), ANA, None),
        w.row(at(3), ANA, Some("c")),
        w.row(at(98), ANA, None),
        w.row(at(1), ANA, Some("d")),
    ];
    let done = log.append(&batch).await;
    assert_eq!(
        done,
        [
            Appended::Fresh {
                seq: 1,
                ev: 1,
                expires_at: None
            },
            Appended::UnknownChannel,
            Appended::Fresh {
                seq: 1,
                ev: 1,
                expires_at: None
            },
            Appended::UnknownChannel,
            Appended::UnknownChannel,
            Appended::Fresh {
                seq: 2,
                ev: 2,
                expires_at: None
            },
        ]
    );
    assert_eq!((w.number(MESSAGES).await, w.number(NONCES).await), (3, 2));
    assert_eq!(w.number(ORPHANS).await, 0);
    // The channel comes to be: its nonce is free.
    w.t.script("INSERT INTO messaging.channels (id, kind) VALUES (99, 0)")
        .await
        .unwrap();
    let again = log.append(&[w.row(at(99), ANA, Some("b"))]).await;
    assert_eq!(
        again,
        [Appended::Fresh {
            seq: 1,
            ev: 1,
            expires_at: None
        }]
    );
}

#[tokio::test]
async fn a_message_the_database_refuses_falls_alone() {
    let w = World::new().await;
    MAKE_CHANNELS.bind(&1_i64).execute(&w.admin).await.unwrap();
    let log = Log::new(w.t.app(messaging::SCHEMA).unwrap(), w.clock.clone());
    let mut batch: Vec<NewRow> = (0..9)
        .map(|_| w.row(ChannelId::new(1), ANA, None))
        .collect();
    batch[2].body = Some("{no json".to_owned());
    batch[7].content = Some("nul \0".to_owned());
    let done = log.append(&batch).await;
    for (at, done) in done.iter().enumerate() {
        match at {
            2 | 7 => assert_eq!(*done, Appended::Refused, "{at}"),
            _ => assert!(matches!(done, Appended::Fresh { .. }), "{at}: {done:?}"),
        }
    }
    assert_eq!((w.number(MESSAGES).await, w.number(GAPS).await), (7, 0));
}

#[tokio::test]
async fn one_nonce_twice_in_a_batch_is_one_message() {
    let w = World::new().await;
    MAKE_CHANNELS.bind(&1_i64).execute(&w.admin).await.unwrap();
    let log = Log::new(w.t.app(messaging::SCHEMA).unwrap(), w.clock.clone());
    let batch = [
        w.row(ChannelId::new(1), ANA, Some("n")),
        w.row(ChannelId::new(1), ANA, Some("n")),
    ];
    let done = log.append(&batch).await;
    assert_eq!(
        done,
        [
            Appended::Fresh {
                seq: 1,
                ev: 1,
                expires_at: None
            },
            Appended::Replay(batch[0].id)
        ]
    );
}

#[tokio::test]
async fn everything_works_behind_a_pooler_in_transaction_mode() {
    let t = TestDb::new(&[messaging::MIGRATIONS]).await.unwrap();
    let app = t.app(messaging::SCHEMA).unwrap();
    let login: String = Sql::new("test.login", "SELECT current_user::text")
        .scalar(&app)
        .await
        .unwrap();
    let (socket, port) = t.socket();
    let bouncer = PgBouncer::start(socket, port, 2, &[&login]).await.unwrap();
    let mut pooled = db::Settings::new(bouncer.url(&login, t.name()));
    pooled.max_connections = 10;
    let w = World::over(t, Settings::default(), Some(pooled)).await;
    let sends = (0..60_i64).map(|number| {
        let user = UserId::new(100 + number);
        w.identity.add(user, &format!("u{number}"));
        w.seat(user, ROOM);
        let body = json!({"content": "a", "nonce": "n", "enforce_nonce": true});
        let w = &w;
        async move {
            w.call("POST", &messages(ROOM), user, body)
                .await
                .expect(200)
                .unwrap()
                .json
        }
    });
    let sent = futures::future::join_all(sends).await;
    assert_eq!((w.number(MESSAGES).await, w.number(GAPS).await), (60, 0));
    let mut evs: Vec<i64> = sent
        .iter()
        .map(|message| message["ev"].as_i64().unwrap())
        .collect();
    evs.sort_unstable();
    assert_eq!(evs, (1..=60).collect::<Vec<_>>());
    let again = w.send(
        UserId::new(100),
        json!({"content": "a", "nonce": "n", "enforce_nonce": true}),
    );
    assert_eq!(again.await.json["id"], sent[0]["id"]);
    let reads = (0..40).map(|_| w.call("GET", "/api/v10/channels/800/messages", ANA, Value::Null));
    for page in futures::future::join_all(reads).await {
        assert_eq!(
            page.json.as_array().map(Vec::len),
            Some(50),
            "{}",
            page.json
        );
    }
}

#[tokio::test]
async fn the_first_use_of_a_channel_makes_its_row() {
    let w = World::new().await;
    const ROW: Sql = Sql::new(
        "test.row",
        "SELECT count(*) FROM messaging.channels WHERE id = 800 AND community_id = 700 AND kind = 5",
    );
    w.allow(ANA, |access| access.kind = 5);
    w.call("GET", &messages(ROOM), ANA, Value::Null)
        .await
        .expect(200)
        .unwrap();
    assert_eq!(w.number(ROW).await, 0, "reading needs none");
    w.say(ANA, "a").await;
    assert_eq!(w.number(ROW).await, 1);
}

#[tokio::test]
async fn every_statement_prepares() {
    let t = TestDb::new(&[messaging::MIGRATIONS]).await.unwrap();
    testkit::prepare_all(&t, messaging::statements())
        .await
        .unwrap();
}
