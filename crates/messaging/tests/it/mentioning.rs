//! Whom a message calls: marks are written with it, by its batch, and read as they stand.

use std::sync::Arc;

use contracts::identity::{AccountKind, User};
use db::Sql;
use kernel::{ChannelId, RoleId, UserId};
use messaging::log::{Appended, Log, Marks, NewRow, Reads};
use serde_json::{Value, json};

use crate::world::{ANA, BORA, CEM, ROOM, World, message};

const STATES: Sql = Sql::new(
    "test.states",
    "SELECT coalesce(jsonb_agg(jsonb_build_object('user', user_id, 'read', read_seq,
        'mentions', to_jsonb(mention_seqs)) ORDER BY user_id, channel_id), '[]')
     FROM messaging.read_states",
);
const CALLED: Sql = Sql::new(
    "test.called",
    "SELECT jsonb_build_object('everyone', to_jsonb(everyone_seqs),
        'roles', to_jsonb(role_mention_ids), 'at', to_jsonb(role_mention_seqs))
     FROM messaging.channels WHERE id = 800",
);

async fn json_of(w: &World, sql: Sql) -> Value {
    sql.scalar(&w.admin).await.unwrap()
}

/// A message of somebody else that calls whom a test says.
fn calling(w: &World, marks: Marks) -> NewRow {
    NewRow {
        marks,
        ..w.row(ROOM, UserId::new(99), None)
    }
}

fn log(w: &World) -> Log {
    Log::new(w.t.app(messaging::SCHEMA).unwrap(), w.clock.clone())
}

async fn all_stored(w: &World, rows: &[NewRow]) {
    let stored = log(w).append(rows).await;
    assert!(
        stored
            .iter()
            .all(|one| matches!(one, Appended::Fresh { .. })),
        "{stored:?}"
    );
}

#[tokio::test]
async fn members_are_called_and_nobody_else() {
    let w = World::new().await;
    w.identity.put(User::new(
        UserId::new(4),
        "robot".to_owned(),
        "robot".to_owned(),
        AccountKind::Bot,
    ));
    w.seat(UserId::new(4), ROOM);
    // Herself, a member, somebody from outside, a bot.
    w.say(ANA, "<@1> <@2> <@3> <@4>").await;
    assert_eq!(
        json_of(&w, STATES).await,
        json!([
            {"user": 1, "read": 1, "mentions": []},
            {"user": 2, "read": null, "mentions": [1]},
        ])
    );
    assert_eq!(w.unread(BORA, ROOM).await, (1, 1));
    assert_eq!(w.unread(ANA, ROOM).await, (0, 0), "sending acknowledges");
}

#[tokio::test]
async fn in_private_channels_only_their_members_are_called() {
    let w = World::new().await;
    let dm = w.dm(ANA, BORA).await;
    w.say_in(dm, ANA, "<@2> <@3>").await;
    assert_eq!(
        json_of(&w, STATES).await,
        json!([
            {"user": 1, "read": 1, "mentions": []},
            {"user": 2, "read": null, "mentions": [1]},
        ])
    );
}

#[tokio::test]
async fn a_bot_acknowledges_nothing_by_sending() {
    let w = World::new().await;
    let robot = UserId::new(4);
    w.identity.put(User::new(
        robot,
        "robot".to_owned(),
        "robot".to_owned(),
        AccountKind::Bot,
    ));
    w.seat(robot, ROOM);
    w.say(robot, "a").await;
    assert_eq!(json_of(&w, STATES).await, json!([]));
}

#[tokio::test]
async fn everyone_is_called_by_one_row() {
    let w = World::new().await;
    for member in 1_000..1_400 {
        w.seat(UserId::new(member), ROOM);
    }
    w.allow(ANA, |access| access.chat = kernel::perm::Chat::ALL);
    w.rights.add_role(30);
    w.say(ANA, "@everyone <@&30>").await;
    w.say(BORA, "@everyone").await;
    assert_eq!(
        json_of(&w, STATES).await,
        json!([
            {"user": 1, "read": 1, "mentions": []},
            {"user": 2, "read": 2, "mentions": []},
        ]),
        "the authors' own markers"
    );
    assert_eq!(
        json_of(&w, CALLED).await,
        json!({"everyone": [1], "roles": [30], "at": [1]}),
        "who may not call everyone calls nobody"
    );
    assert_eq!(w.unread(UserId::new(1_399), ROOM).await, (2, 1));
}

#[tokio::test]
async fn a_role_calls_those_who_have_it() {
    let w = World::new().await;
    w.rights.add_open_role(30);
    w.seat(CEM, ROOM);
    w.rights
        .change(BORA, ROOM, |access| access.roles = vec![RoleId::new(30)]);
    w.say(ANA, "<@&30> <@2>").await;
    assert_eq!(
        w.unread(BORA, ROOM).await,
        (1, 1),
        "called twice, by one message"
    );
    assert_eq!(w.unread(CEM, ROOM).await, (1, 0));
}

#[tokio::test]
async fn the_newest_hundred_mentions_and_fifty_calls_stay() {
    let w = World::new().await;
    w.say(ANA, "a").await;
    let one = |_| {
        calling(
            &w,
            Marks {
                users: vec![BORA],
                roles: vec![RoleId::new(30)],
                everyone: true,
                reads: Reads::Nothing,
            },
        )
    };
    // As many as fit, in one batch; one more pushes the oldest out.
    let first: Vec<NewRow> = (0..100).map(one).collect();
    all_stored(&w, &first).await;
    let mentions = |states: Value| states[1]["mentions"].as_array().unwrap().clone();
    let kept = mentions(json_of(&w, STATES).await);
    assert_eq!((kept.len(), &kept[0]), (100, &json!(2)));
    all_stored(&w, &[one(0)]).await;
    let kept = mentions(json_of(&w, STATES).await);
    assert_eq!(
        (kept.len(), &kept[0], &kept[99]),
        (100, &json!(3), &json!(102))
    );
    let called = json_of(&w, CALLED).await;
    for list in ["everyone", "roles", "at"] {
        assert_eq!(called[list].as_array().unwrap().len(), 50, "{list}");
    }
    assert_eq!(
        (&called["everyone"][0], &called["at"][49]),
        (&json!(53), &json!(102))
    );
    // A batch that is too large by itself keeps its newest.
    let more: Vec<NewRow> = (0..101)
        .map(|_| {
            calling(
                &w,
                Marks {
                    users: vec![CEM],
                    ..Marks::default()
                },
            )
        })
        .collect();
    all_stored(&w, &more).await;
    let of_cem = json_of(&w, STATES).await[2]["mentions"].clone();
    let of_cem = of_cem.as_array().unwrap();
    assert_eq!((of_cem.len(), &of_cem[0]), (100, &json!(104)));
}

#[tokio::test]
async fn a_replay_calls_nobody_again() {
    let w = World::new().await;
    let body = json!({"content": "<@2>", "nonce": "n", "enforce_nonce": true});
    w.send(ANA, body.clone()).await.expect(200).unwrap();
    w.ack(BORA, ROOM, w.say(ANA, "b").await, Value::Null).await;
    let again = w.send(ANA, body).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(w.unread(BORA, ROOM).await, (0, 0));
    assert_eq!(json_of(&w, STATES).await[1]["mentions"], json!([1]));
}

#[tokio::test]
async fn batches_that_meet_call_everybody_once_and_never_deadlock() {
    let w = World::new().await;
    let rooms: Vec<ChannelId> = (0..4).map(|n| ChannelId::new(900 + n)).collect();
    for room in &rooms {
        w.seat(ANA, *room);
        w.say_in(*room, ANA, "a").await;
    }
    let log = Arc::new(log(&w));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..6_usize {
        let rows: Vec<Vec<NewRow>> = (0..10)
            .map(|batch| {
                (0..20)
                    .map(|n| {
                        // Each batch takes people and rooms in another order.
                        let room = rooms[(n * 7 + task + batch) % rooms.len()];
                        NewRow {
                            marks: Marks {
                                users: (0..5)
                                    .map(|u| {
                                        UserId::new(
                                            5_000 + (u * 3 + i64::try_from(task).unwrap()) % 5,
                                        )
                                    })
                                    .collect(),
                                roles: Vec::new(),
                                everyone: n % 5 == 0,
                                reads: Reads::Receipt,
                            },
                            ..w.row(
                                room,
                                UserId::new(i64::try_from(6_000 + task).unwrap()),
                                None,
                            )
                        }
                    })
                    .collect()
            })
            .collect();
        let log = Arc::clone(&log);
        tasks.spawn(async move {
            for batch in rows {
                for one in log.append(&batch).await {
                    assert!(matches!(one, Appended::Fresh { .. }), "{one:?}");
                }
            }
        });
    }
    tasks.join_all().await;
    const WRONG: Sql = Sql::new(
        "test.wrong",
        "SELECT count(*) FROM messaging.read_states r JOIN messaging.channels c ON c.id = r.channel_id
         WHERE r.user_id BETWEEN 5000 AND 5004 AND r.mention_seqs IS DISTINCT FROM
            ARRAY(SELECT s FROM generate_series(c.last_seq - 99, c.last_seq) s)",
    );
    assert_eq!(
        w.number(WRONG).await,
        0,
        "the newest hundred, in order, each once"
    );
    const DEADLOCKS: Sql = Sql::new(
        "test.deadlocks",
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
    );
    assert_eq!(w.number(DEADLOCKS).await, 0);
}

#[tokio::test]
async fn deleting_takes_every_mention_back() {
    let w = World::new().await;
    w.allow(ANA, |access| access.chat = kernel::perm::Chat::ALL);
    w.rights.add_role(30);
    w.rights.add_role(31);
    w.seat(CEM, ROOM);
    w.rights
        .change(CEM, ROOM, |access| access.roles = vec![RoleId::new(31)]);
    let text = "<@2> <@&30> <@&31> @everyone";
    let first = w.say(ANA, text).await;
    w.say(ANA, text).await;
    assert_eq!(w.unread(BORA, ROOM).await, (2, 2));
    assert_eq!(w.unread(CEM, ROOM).await, (2, 2));
    w.call("DELETE", &message(first), ANA, Value::Null).await;
    // The message counts until it is passed; its mention is gone at once.
    assert_eq!(w.unread(BORA, ROOM).await, (2, 1));
    assert_eq!(w.unread(CEM, ROOM).await, (2, 1));
    assert_eq!(json_of(&w, STATES).await[1]["mentions"], json!([2]));
    assert_eq!(
        json_of(&w, CALLED).await,
        json!({"everyone": [2], "roles": [30, 31], "at": [2, 2]})
    );
    w.ack(BORA, ROOM, first, json!({"manual": true})).await;
    assert_eq!(w.unread(BORA, ROOM).await, (1, 1));
}

#[tokio::test]
async fn an_edit_takes_back_what_it_removes_and_calls_nobody_anew() {
    let w = World::new().await;
    w.allow(ANA, |access| access.chat = kernel::perm::Chat::ALL);
    w.rights.add_role(30);
    w.rights.add_role(31);
    w.seat(CEM, ROOM);
    let id = w.say(ANA, "<@2> <@&30> <@&31> @everyone").await;
    let edit = |text: &'static str| {
        let w = &w;
        async move {
            let body = json!({"content": text});
            w.call("PATCH", &message(id), ANA, body)
                .await
                .expect(200)
                .unwrap();
        }
    };
    edit("<@2> <@3> <@&30>").await;
    assert_eq!(
        json_of(&w, CALLED).await,
        json!({"everyone": [], "roles": [30], "at": [1]})
    );
    assert_eq!(w.unread(BORA, ROOM).await, (1, 1));
    assert_eq!(w.unread(CEM, ROOM).await, (1, 0), "an edit is no news");
    edit("<@3>").await;
    assert_eq!(w.unread(BORA, ROOM).await, (1, 0));
    assert_eq!(w.unread(CEM, ROOM).await, (1, 0));
    edit("<@2>").await;
    assert_eq!(w.unread(BORA, ROOM).await, (1, 0));
}
