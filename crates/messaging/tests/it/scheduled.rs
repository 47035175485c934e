//! Messages to be sent later: when they go, what is asked again, and what becomes of them.

use std::time::Duration;

use db::Sql;
use infra::fanout::Topic;
use kernel::UserId;
use kernel::perm::Chat;
use serde_json::{Value, json};
use testkit::http::Reply;

use crate::world::{ANA, BORA, CEM, COMMUNITY, ROOM, World, messages};

const PATH: &str = "/api/v10/channels/800/scheduled-messages";
const NINE: &str = "2026-11-20T09:00:00.000000+00:00";

async fn schedule(w: &World, who: UserId, send_at: &str, content: &str) -> Reply {
    w.clock.advance(Duration::from_secs(1));
    let message = json!({"content": content, "nonce": "n", "enforce_nonce": true});
    let body = json!({"send_at": send_at, "message": message});
    w.call("POST", PATH, who, body).await
}

async fn list(w: &World, who: UserId) -> Vec<Value> {
    let list = w.call("GET", PATH, who, Value::Null).await.expect(200);
    list.unwrap().json.as_array().unwrap().clone()
}

async fn run(w: &World) -> String {
    w.messaging.send_scheduled().await.unwrap()
}

async fn said(w: &World) -> Vec<String> {
    let list = w.call("GET", &messages(ROOM), BORA, Value::Null).await.json;
    let list = list.as_array().unwrap().iter();
    list.map(|one| one["content"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_message_goes_when_its_time_comes_and_once() {
    let w = World::new().await;
    let made = schedule(&w, ANA, NINE, "günaydın").await;
    let made = made.expect(201).unwrap().json;
    assert_eq!(
        made,
        json!({
            "id": made["id"], "channel_id": "800", "send_at": NINE, "state": "waiting",
            "message": {"content": "günaydın", "nonce": "n", "enforce_nonce": true},
            "message_id": null, "error": null
        })
    );
    w.clock.set("2026-11-20T08:59:59.999Z".parse().unwrap());
    assert_eq!(run(&w).await, "sent 0, failed 0, purged 0");
    w.clock.set("2026-11-20T09:00:00Z".parse().unwrap());
    let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
    assert_eq!(run(&w).await, "sent 1, failed 0, purged 0");
    let told = ear.hear().unwrap().data;
    assert_eq!(
        (&told["content"], &told["author"]["id"]),
        (&json!("günaydın"), &json!("1"))
    );
    let one = &list(&w, ANA).await[0];
    assert_eq!(
        (&one["state"], &one["message_id"]),
        (&json!("sent"), &told["id"])
    );
    // As if the node had died before it noted that, and another one took it up.
    w.t.script("UPDATE messaging.scheduled_messages SET state = 0, message_id = NULL")
        .await
        .unwrap();
    assert_eq!(run(&w).await, "sent 1, failed 0, purged 0");
    assert_eq!(said(&w).await, ["günaydın"]);
    assert_eq!(list(&w, ANA).await[0]["message_id"], told["id"]);
    w.clock.advance(Duration::from_secs(31 * 86_400));
    assert_eq!(run(&w).await, "sent 0, failed 0, purged 1");
}

#[tokio::test]
async fn rights_are_asked_again() {
    let w = World::new().await;
    for content in ["bir", "iki"] {
        schedule(&w, ANA, NINE, content).await.expect(201).unwrap();
    }
    w.allow(ANA, |access| {
        access.chat = Chat::DEFAULT.without(Chat::SEND_MESSAGES)
    });
    w.clock.set("2026-11-20T09:00:00Z".parse().unwrap());
    assert_eq!(run(&w).await, "sent 0, failed 2, purged 0");
    let one = &list(&w, ANA).await[0];
    assert_eq!(
        (&one["state"], &one["error"]),
        (&json!("failed"), &json!("MISSING_PERMISSIONS"))
    );
    assert!(said(&w).await.is_empty());
    w.allow(ANA, |access| access.chat = Chat::DEFAULT);
    assert_eq!(
        run(&w).await,
        "sent 0, failed 0, purged 0",
        "it stays failed"
    );
}

#[tokio::test]
async fn what_passes_is_waited_for_an_hour() {
    let w = World::new().await;
    schedule(&w, ANA, NINE, "bir").await.expect(201).unwrap();
    schedule(&w, ANA, NINE, "iki").await.expect(201).unwrap();
    w.allow(ANA, |access| access.slowmode_s = 21_600);
    w.clock.set("2026-11-20T09:00:00Z".parse().unwrap());
    assert_eq!(run(&w).await, "sent 1, failed 0, purged 0");
    assert_eq!(run(&w).await, "sent 0, failed 0, purged 0", "it is claimed");
    let id = list(&w, ANA).await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("{PATH}/{id}");
    for (method, body) in [
        ("DELETE", Value::Null),
        ("PATCH", json!({"send_at": "2026-11-21T00:00:00Z"})),
    ] {
        let refused = w.call(method, &path, ANA, body).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json["code"]),
            (409, &json!(0)),
            "{method}"
        );
    }
    w.clock.advance(Duration::from_secs(60));
    assert_eq!(run(&w).await, "sent 0, failed 0, purged 0");
    w.clock.advance(Duration::from_secs(3_540));
    assert_eq!(run(&w).await, "sent 0, failed 1, purged 0");
    let failed = list(&w, ANA).await;
    assert!(failed.iter().any(|one| one["error"] == json!("SLOW_MODE")));
}

#[tokio::test]
async fn one_that_waits_can_be_changed_and_taken_back() {
    let w = World::new().await;
    let made = schedule(&w, ANA, NINE, "bir")
        .await
        .expect(201)
        .unwrap()
        .json;
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    let body = json!({"send_at": "2026-11-20T08:00:00Z", "message": {"content": "iki"}});
    let changed = w
        .call("PATCH", &path, ANA, body)
        .await
        .expect(200)
        .unwrap()
        .json;
    assert_eq!(
        (&changed["send_at"], &changed["message"]),
        (
            &json!("2026-11-20T08:00:00.000000+00:00"),
            &json!({"content": "iki"})
        )
    );
    for (method, body) in [("PATCH", json!({})), ("DELETE", Value::Null)] {
        let foreign = w.call(method, &path, BORA, body).await;
        assert_eq!(foreign.status, 404, "{method}");
    }
    assert!(list(&w, BORA).await.is_empty(), "one's own alone");
    assert_eq!(w.call("DELETE", &path, ANA, Value::Null).await.status, 204);
    assert_eq!(w.call("DELETE", &path, ANA, Value::Null).await.status, 404);
    w.clock.set("2026-11-20T09:00:00Z".parse().unwrap());
    assert_eq!(run(&w).await, "sent 0, failed 0, purged 0");
    let late = schedule(&w, ANA, "2026-11-20T10:00:00Z", "üç")
        .await
        .expect(201)
        .unwrap();
    w.clock.set("2026-11-20T10:00:00Z".parse().unwrap());
    run(&w).await;
    let path = format!("{PATH}/{}", late.json["id"].as_str().unwrap());
    let changed = w
        .call("PATCH", &path, ANA, json!({"message": {"content": "x"}}))
        .await;
    assert_eq!(changed.status, 409, "it is said already");
    assert_eq!(
        w.call("DELETE", &path, ANA, Value::Null).await.status,
        204,
        "forgotten"
    );
    assert_eq!(said(&w).await, ["üç"]);
}

#[tokio::test]
async fn bounds_of_what_is_sent_later() {
    let w = World::new().await;
    w.clock.set("2026-11-20T06:59:59Z".parse().unwrap());
    for (at, content, status) in [
        ("2026-11-20T07:00:00Z", "a", 400),
        ("2026-11-20T07:00:01.001Z", "a", 201),
        ("2027-11-21T07:00:02Z", "a", 201),
        ("2027-11-21T07:00:04Z", "a", 400),
        (NINE, "", 400),
        (NINE, "ü".repeat(4_001).as_str(), 400),
    ] {
        assert_eq!(schedule(&w, ANA, at, content).await.status, status, "{at}");
    }
    assert_eq!(schedule(&w, CEM, NINE, "a").await.status, 404);
    w.allow(BORA, |access| {
        access.chat = Chat::DEFAULT.without(Chat::SEND_MESSAGES)
    });
    assert_eq!(schedule(&w, BORA, NINE, "a").await.status, 403);
    w.t.script(
        "INSERT INTO messaging.scheduled_messages (id, channel_id, author_id, send_at, body)
         SELECT n, 800, 1, '2027-01-01', '{}' FROM generate_series(1, 97) AS n",
    )
    .await
    .unwrap();
    assert_eq!(
        schedule(&w, ANA, NINE, "a").await.status,
        201,
        "the hundredth"
    );
    let refused = schedule(&w, ANA, NINE, "a").await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json["code"]),
        (400, &json!(0))
    );
}

#[tokio::test]
async fn two_nodes_at_once_send_each_message_once() {
    let w = World::new().await;
    for n in 0..20 {
        schedule(&w, ANA, NINE, &format!("m{n}"))
            .await
            .expect(201)
            .unwrap();
        w.clock.advance(Duration::from_secs(1));
    }
    w.clock.set("2026-11-20T09:00:00Z".parse().unwrap());
    let runs = Box::pin(futures_of(&w)).await;
    assert_eq!(runs, 20);
    const SENT: Sql = Sql::new("test.sent", "SELECT count(*) FROM messaging.messages");
    assert_eq!(w.number(SENT).await, 20);
}

/// What four runs at once say they have sent.
async fn futures_of(w: &World) -> u32 {
    let (a, b, c, d) = tokio::join!(run(w), run(w), run(w), run(w));
    let sent = |text: String| -> u32 {
        let text = text.strip_prefix("sent ").unwrap();
        text.split(',').next().unwrap().parse().unwrap()
    };
    [a, b, c, d].map(sent).into_iter().sum()
}
