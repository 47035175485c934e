//! Events that go out, to a real server on loopback.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use db::Sql;
use kernel::perm::{Chat, Overwrite, Target};
use kernel::{ApplicationId, ChannelId, MessageId, UserId};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::fixture::{COMMUNITY, ELSEWHERE, NONE, OTHER, OWNER, World, masked};

const GENERAL: ChannelId = ChannelId::new(5_001);

/// What came to the server.
#[derive(Debug, Clone)]
struct Heard {
    path: String,
    id: String,
    seconds: i64,
    signatures: Vec<String>,
    body: Bytes,
}

impl Heard {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Whether one of the signatures is by this secret.
    fn is_by(&self, secret: &str) -> bool {
        let secret = STANDARD
            .decode(secret.strip_prefix("whsec_").unwrap())
            .unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let mut signed = format!("{}.{}.", self.id, self.seconds).into_bytes();
        signed.extend_from_slice(&self.body);
        let expected = format!("v1,{}", STANDARD.encode(hmac::sign(&key, &signed)));
        self.signatures.contains(&expected)
    }
}

/// A receiver: `/ok` takes all, `/slow` never answers, `/moved` sends elsewhere, `/flaky` fails the
/// first time, `/busy` wants patience, `/gone` wants nothing, `/down` fails.
struct Receiver {
    address: SocketAddr,
    state: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    heard: Mutex<Vec<Heard>>,
    asked: AtomicUsize,
}

impl Receiver {
    async fn start() -> Receiver {
        let state = Arc::new(Seen::default());
        let router = Router::new()
            .route("/{place}", axum::routing::post(receive))
            .with_state(Arc::clone(&state));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a server of the test")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Receiver { address, state }
    }

    fn url(&self, place: &str) -> String {
        format!("http://{}/{place}", self.address)
    }

    fn heard(&self) -> Vec<Heard> {
        self.state.heard.lock().unwrap().clone()
    }

    fn types(&self) -> Vec<String> {
        let types = self.heard().into_iter();
        types
            .map(|heard| heard.json()["type"].as_str().unwrap().to_owned())
            .collect()
    }
}

async fn receive(
    State(seen): State<Arc<Seen>>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/json");
    let heard = Heard {
        path: path.clone(),
        id: header("webhook-id"),
        seconds: header("webhook-timestamp").parse().unwrap(),
        signatures: header("webhook-signature")
            .split(' ')
            .map(str::to_owned)
            .collect(),
        body,
    };
    seen.heard.lock().unwrap().push(heard);
    let first = seen.asked.fetch_add(1, Ordering::SeqCst) == 0;
    match path.as_str() {
        "slow" => std::future::pending().await,
        "moved" => axum::response::Redirect::temporary("/ok").into_response(),
        "flaky" if first => (StatusCode::INTERNAL_SERVER_ERROR, "not\0 yet").into_response(),
        "busy" => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "3600")]).into_response(),
        "gone" => StatusCode::GONE.into_response(),
        "down" => StatusCode::BAD_GATEWAY.into_response(),
        _ => "x".repeat(3_000).into_response(),
    }
}

async fn world() -> World {
    let world = World::new().await;
    world.communities.add_channel(COMMUNITY, GENERAL, "general");
    world
}

fn of_community() -> String {
    format!("/guilds/{COMMUNITY}/subscriptions")
}

/// Subscribes for COMMUNITY as its owner; gives path and secret.
async fn subscribe(world: &World, url: &str, events: &[&str]) -> (String, String) {
    let body = json!({"url": url, "events": events});
    let made = world.ok(OWNER, "POST", &of_community(), body, 201).await;
    let path = format!("{}/{}", of_community(), made["id"].as_str().unwrap());
    (path, made["secret"].as_str().unwrap().to_owned())
}

/// Somebody writes in GENERAL, and messaging tells.
async fn write(world: &World, id: i64, author: UserId, text: &str) {
    use contracts::Identity as _;
    let users = world.identity.users(&[author]).await.unwrap();
    let author_card = users.into_iter().next();
    let author_card = author_card.unwrap_or_else(|| contracts::identity::User::unknown(author));
    let mut message = testkit::fakes::message(MessageId::new(id), GENERAL, author_card);
    message.content = text.to_owned();
    message.embeds = vec![json!({"title": text})];
    world.messaging.put_message(message);
    let data = json!({"channel_id": GENERAL, "community_id": COMMUNITY, "id": id.to_string(),
        "author_id": author, "seq": 1, "ev": 1});
    world.hear("messaging.message_created.v1", data).await;
}

async fn deliveries(world: &World, path: &str) -> Vec<Value> {
    let list = world
        .ok(OWNER, "GET", &format!("{path}/deliveries"), NONE, 200)
        .await;
    list.as_array().unwrap().clone()
}

async fn attempts(world: &World, delivery: &Value) -> Vec<Value> {
    let id = delivery["id"].as_str().unwrap();
    let path = format!("/guilds/{COMMUNITY}/deliveries/{id}");
    let read = world.ok(OWNER, "GET", &path, NONE, 200).await;
    read["attempt_list"].as_array().unwrap().clone()
}

async fn shown(world: &World, path: &str) -> Value {
    world.ok(OWNER, "GET", path, NONE, 200).await
}

#[tokio::test]
async fn a_subscription_is_made_read_changed_and_deleted() {
    let world = world().await;
    let url = "https://hooks.example/meydan";
    let body =
        json!({"url": url, "events": ["role.created", "message.created"], "description": "CRM"});
    let made = world.ok(OWNER, "POST", &of_community(), body, 201).await;
    let mut seen = masked(&made);
    assert!(seen["secret"].as_str().unwrap().starts_with("whsec_"));
    seen["secret"] = json!("[secret]");
    insta::assert_json_snapshot!(seen, @r#"
    {
      "created_at": "[moment]",
      "creator_id": "1001",
      "description": "CRM",
      "disabled_reason": null,
      "enabled": true,
      "events": [
        "message.created",
        "role.created"
      ],
      "failing_since": null,
      "guild_id": "2001",
      "id": "[id]",
      "old_secret_until": null,
      "secret": "[secret]",
      "url": "https://hooks.example/meydan"
    }
    "#);
    let path = format!("{}/{}", of_community(), made["id"].as_str().unwrap());
    let read = shown(&world, &path).await;
    assert!(read.get("secret").is_none(), "a secret is shown once");
    assert_eq!(
        world.ok(OWNER, "GET", &of_community(), NONE, 200).await,
        json!([read])
    );
    let patch = json!({"events": ["member.left"], "enabled": false});
    let changed = world.ok(OWNER, "PATCH", &path, patch, 200).await;
    assert_eq!(changed["events"], json!(["member.left"]));
    assert_eq!(
        (&changed["enabled"], &changed["disabled_reason"]),
        (&json!(false), &json!("owner"))
    );
    assert_eq!(changed["url"], url);
    let on = world
        .ok(OWNER, "PATCH", &path, json!({"enabled": true}), 200)
        .await;
    assert_eq!(
        (&on["enabled"], &on["disabled_reason"]),
        (&json!(true), &Value::Null)
    );
    world.ok(OWNER, "DELETE", &path, NONE, 204).await;
    world.fails(OWNER, "GET", &path, NONE, (404, 10002)).await;
    assert_eq!(
        world.events().await,
        [
            "subscription_created",
            "subscription_updated",
            "subscription_updated",
            "subscription_deleted"
        ]
    );
}

#[tokio::test]
async fn only_addresses_that_may_be_called_and_known_events_and_ten_in_all() {
    let world = world().await;
    for (url, events) in [
        ("https://10.0.0.1/", json!(["message.created"])),
        (
            "https://169.254.169.254/latest/meta-data",
            json!(["message.created"]),
        ),
        ("https://[::1]/", json!(["message.created"])),
        ("http://hooks.example/", json!(["message.created"])),
        ("https://hooks.example:22/", json!(["message.created"])),
        ("https://user@hooks.example/", json!(["message.created"])),
        ("ftp://hooks.example/", json!(["message.created"])),
        ("https://hooks.example/", json!([])),
        ("https://hooks.example/", json!(["message.born"])),
        ("https://hooks.example/", json!(["application.installed"])),
    ] {
        let body = json!({"url": url, "events": events});
        world
            .fails(OWNER, "POST", &of_community(), body, (400, 50035))
            .await;
    }
    for _ in 0..10 {
        subscribe(&world, "https://hooks.example/", &["role.created"]).await;
    }
    let body = json!({"url": "https://hooks.example/", "events": ["role.created"]});
    world
        .fails(OWNER, "POST", &of_community(), body, (400, 30018))
        .await;
}

#[tokio::test]
async fn an_event_arrives_signed_and_its_attempt_is_a_row() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (path, secret) = subscribe(&world, &receiver.url("ok"), &["message.created"]).await;
    write(&world, 9_001, OTHER, "merhaba").await;
    world
        .hear(
            "communities.role_created.v1",
            json!({"community_id": COMMUNITY, "role_id": "1"}),
        )
        .await;
    assert_eq!(
        world.app.deliver_due().await.unwrap(),
        1,
        "once, and nobody wants the role"
    );
    let heard = receiver.heard();
    let [one] = heard.as_slice() else {
        panic!("{heard:?}");
    };
    assert!(one.is_by(&secret) && one.signatures.len() == 1);
    let body = one.json();
    assert_eq!(body["type"], "message.created");
    assert_eq!(
        (&body["data"]["content"], &body["data"]["guild_id"]),
        (&json!("merhaba"), &json!(COMMUNITY))
    );
    let told: jiff::Timestamp = body["timestamp"].as_str().unwrap().parse().unwrap();
    assert!(told.as_second() <= one.seconds);
    let all = deliveries(&world, &path).await;
    assert_eq!(all.len(), 1);
    assert_eq!(one.id, format!("msg_{}", all[0]["id"].as_str().unwrap()));
    assert_eq!(
        (&all[0]["state"], &all[0]["due_at"]),
        (&json!("delivered"), &Value::Null)
    );
    let tries = attempts(&world, &all[0]).await;
    assert_eq!((tries.len(), &tries[0]["status"]), (1, &json!(200)));
    assert_eq!(
        tries[0]["answer"].as_str().unwrap().len(),
        500,
        "the first bytes of the answer"
    );
    assert_eq!(world.app.deliver_due().await.unwrap(), 0);
}

#[tokio::test]
async fn what_fails_is_tried_again_under_the_same_id() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (path, secret) = subscribe(&world, &receiver.url("flaky"), &["message.created"]).await;
    write(&world, 9_001, OTHER, "merhaba").await;
    world.app.deliver_due().await.unwrap();
    let all = deliveries(&world, &path).await;
    assert_eq!(all[0]["state"], "waiting");
    assert_ne!(shown(&world, &path).await["failing_since"], Value::Null);
    // Each call moved the clock by a minute, more than the first pause of five seconds.
    assert_eq!(world.app.deliver_due().await.unwrap(), 1);
    let heard = receiver.heard();
    assert_eq!((heard.len(), &heard[0].id), (2, &heard[1].id));
    assert!(heard[1].is_by(&secret) && heard[0].seconds < heard[1].seconds);
    let all = deliveries(&world, &path).await;
    assert_eq!(all[0]["state"], "delivered");
    let tries = attempts(&world, &all[0]).await;
    let statuses: Vec<&Value> = tries.iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, [&json!(200), &json!(500)]);
    assert_eq!(tries[1]["answer"], "not yet", "no NUL is stored");
    assert_eq!(shown(&world, &path).await["failing_since"], Value::Null);
}

#[tokio::test]
async fn the_schedule_ends_after_eight_attempts_and_replay_begins_anew() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (path, _) = subscribe(&world, &receiver.url("down"), &["message.created"]).await;
    write(&world, 9_001, OTHER, "merhaba").await;
    for hours in [0, 1, 1, 1, 3, 7, 13, 13] {
        world.clock.advance(Duration::from_secs(hours * 3_600));
        assert_eq!(world.app.deliver_due().await.unwrap(), 1, "{hours}");
    }
    let all = deliveries(&world, &path).await;
    assert_eq!(
        (&all[0]["state"], &all[0]["attempts"]),
        (&json!("failed"), &json!(8))
    );
    world.clock.advance(Duration::from_secs(30 * 3_600));
    assert_eq!(world.app.deliver_due().await.unwrap(), 0);
    assert_eq!(
        shown(&world, &path).await["enabled"],
        true,
        "not yet five days"
    );
    let id = all[0]["id"].as_str().unwrap();
    let replay = format!("/guilds/{COMMUNITY}/deliveries/{id}/replay");
    let again = world.ok(OWNER, "POST", &replay, NONE, 202).await;
    assert_eq!(again["state"], "waiting");
    world
        .fails(OWNER, "POST", &replay, NONE, (409, 40060))
        .await;
    let patch = json!({"url": receiver.url("ok")});
    world.ok(OWNER, "PATCH", &path, patch, 200).await;
    assert_eq!(world.app.deliver_due().await.unwrap(), 1);
    let all = deliveries(&world, &path).await;
    assert_eq!(
        (&all[0]["state"], &all[0]["attempts"]),
        (&json!("delivered"), &json!(9))
    );
    let ids: Vec<String> = receiver.heard().into_iter().map(|heard| heard.id).collect();
    assert!(ids.iter().all(|one| *one == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn who_asks_for_patience_gets_it() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (path, _) = subscribe(&world, &receiver.url("busy"), &["message.created"]).await;
    write(&world, 9_001, OTHER, "merhaba").await;
    let sent = kernel::Clock::now(&*world.clock);
    world.app.deliver_due().await.unwrap();
    let all = deliveries(&world, &path).await;
    let due: jiff::Timestamp = all[0]["due_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(due.duration_since(sent).as_secs(), 3_600);
    assert_eq!(world.app.deliver_due().await.unwrap(), 0);
    world.clock.advance(Duration::from_secs(3_600));
    assert_eq!(world.app.deliver_due().await.unwrap(), 1);
}

#[tokio::test]
async fn s16_redirects_are_failures_and_slow_servers_are_given_up() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (moved, _) = subscribe(&world, &receiver.url("moved"), &["message.created"]).await;
    let (slow, _) = subscribe(&world, &receiver.url("slow"), &["message.created"]).await;
    write(&world, 9_001, OTHER, "merhaba").await;
    assert_eq!(world.app.deliver_due().await.unwrap(), 2);
    let paths: Vec<String> = receiver
        .heard()
        .into_iter()
        .map(|heard| heard.path)
        .collect();
    assert!(
        !paths.contains(&"ok".to_owned()),
        "no redirect is followed: {paths:?}"
    );
    let tries = attempts(&world, &deliveries(&world, &moved).await[0]).await;
    assert_eq!(
        (&tries[0]["status"], &tries[0]["error"]),
        (&json!(307), &Value::Null)
    );
    let tries = attempts(&world, &deliveries(&world, &slow).await[0]).await;
    assert_eq!(
        (&tries[0]["status"], &tries[0]["error"]),
        (&Value::Null, &json!("timeout"))
    );
}

#[tokio::test]
async fn five_days_of_failure_or_a_goodbye_switch_it_off_with_a_notice() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (down, _) = subscribe(&world, &receiver.url("down"), &["message.created"]).await;
    write(&world, 9_001, OTHER, "bir").await;
    world.app.deliver_due().await.unwrap();
    for (id, hours, enabled) in [(9_002, 119, true), (9_003, 1, false)] {
        world.clock.advance(Duration::from_secs(hours * 3_600));
        write(&world, id, OTHER, "iki").await;
        world.app.deliver_due().await.unwrap();
        assert_eq!(shown(&world, &down).await["enabled"], enabled, "{hours}");
    }
    assert_eq!(shown(&world, &down).await["disabled_reason"], "failing");
    let (gone, _) = subscribe(&world, &receiver.url("gone"), &["message.created"]).await;
    write(&world, 9_004, OTHER, "üç").await;
    world.app.deliver_due().await.unwrap();
    assert_eq!(shown(&world, &gone).await["disabled_reason"], "gone");
    let before = receiver.heard().len();
    write(&world, 9_005, OTHER, "dört").await;
    world.app.deliver_due().await.unwrap();
    assert_eq!(
        receiver.heard().len(),
        before,
        "nothing goes to what is off"
    );
    const NOTICES: Sql = Sql::new(
        "test.notices",
        "SELECT data->>'reason' FROM applications.outbox
          WHERE type = 'applications.subscription_disabled.v1' ORDER BY id",
    );
    let told: Vec<String> = NOTICES
        .scalars(&world.database.admin().unwrap())
        .await
        .unwrap();
    assert_eq!(told, ["failing", "gone"]);
    // Switched on again, what waits goes out.
    let on = json!({"enabled": true, "url": receiver.url("ok")});
    world.ok(OWNER, "PATCH", &down, on, 200).await;
    world.clock.advance(Duration::from_secs(24 * 3_600));
    assert!(world.app.deliver_due().await.unwrap() > 0);
}

#[tokio::test]
async fn two_secrets_sign_for_a_day() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (path, old) = subscribe(&world, &receiver.url("ok"), &["message.created"]).await;
    let rotated = world
        .ok(OWNER, "POST", &format!("{path}/rotate-secret"), NONE, 200)
        .await;
    let new = rotated["secret"].as_str().unwrap().to_owned();
    assert_ne!(new, old);
    assert!(rotated["old_secret_until"].is_string());
    write(&world, 9_001, OTHER, "bir").await;
    world.app.deliver_due().await.unwrap();
    world.clock.advance(Duration::from_secs(24 * 3_600));
    write(&world, 9_002, OTHER, "iki").await;
    world.app.deliver_due().await.unwrap();
    let heard = receiver.heard();
    assert!(heard[0].is_by(&new) && heard[0].is_by(&old) && heard[0].signatures.len() == 2);
    assert!(heard[1].is_by(&new) && !heard[1].is_by(&old) && heard[1].signatures.len() == 1);
    world.app.purge_deliveries().await.unwrap();
    assert_eq!(shown(&world, &path).await["old_secret_until"], Value::Null);
    const STORED: Sql = Sql::new(
        "test.stored",
        "SELECT count(*) FROM applications.subscriptions s WHERE s.secret_enc = $1",
    );
    let plain = STANDARD
        .decode(new.strip_prefix("whsec_").unwrap())
        .unwrap();
    let admin = world.database.admin().unwrap();
    let stored: i64 = STORED.bind(&plain).scalar(&admin).await.unwrap();
    assert_eq!(stored, 0, "no secret is stored as it is");
}

#[tokio::test]
async fn a_test_goes_to_the_address_whatever_it_wants() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (path, secret) = subscribe(&world, &receiver.url("ok"), &["role.created"]).await;
    let made = world
        .ok(OWNER, "POST", &format!("{path}/test"), NONE, 202)
        .await;
    assert_eq!(
        (&made["type"], &made["state"]),
        (&json!("webhook.test"), &json!("waiting"))
    );
    assert_eq!(world.app.deliver_due().await.unwrap(), 1);
    assert!(receiver.heard()[0].is_by(&secret));
    assert_eq!(receiver.types(), ["webhook.test"]);
}

/// A process that dies after it sent and before it noted it: the next one sends again, under the
/// same id.
#[tokio::test]
async fn nothing_is_lost_when_a_process_dies_while_it_sends() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (path, _) = subscribe(&world, &receiver.url("slow"), &["message.created"]).await;
    write(&world, 9_001, OTHER, "merhaba").await;
    {
        let dying = world.app.deliver_due();
        let heard = async {
            while receiver.heard().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = dying => panic!("the receiver never answers"),
            () = heard => {}
        }
    }
    assert_eq!(world.app.deliver_due().await.unwrap(), 0, "it is claimed");
    world
        .ok(
            OWNER,
            "PATCH",
            &path,
            json!({"url": receiver.url("ok")}),
            200,
        )
        .await;
    assert_eq!(world.app.deliver_due().await.unwrap(), 1);
    let heard = receiver.heard();
    assert_eq!((heard.len(), &heard[0].id), (2, &heard[1].id));
    assert_eq!(deliveries(&world, &path).await[0]["state"], "delivered");
}

#[tokio::test]
async fn nobody_waits_behind_a_slow_server() {
    let world = world().await;
    let receiver = Receiver::start().await;
    subscribe(&world, &receiver.url("slow"), &["message.created"]).await;
    subscribe(&world, &receiver.url("ok"), &["message.created"]).await;
    let lifecycle = runtime::Lifecycle::new();
    applications::begin_delivering(&world.app, &lifecycle);
    for id in 0..20 {
        write(&world, 9_100 + id, OTHER, "x").await;
    }
    let begun = tokio::time::Instant::now();
    let count = |place: &str| {
        receiver
            .heard()
            .iter()
            .filter(|heard| heard.path == place)
            .count()
    };
    while count("ok") < 20 {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{} arrived",
            count("ok")
        );
        tokio::task::yield_now().await;
    }
    assert!(count("slow") <= 8, "four at a time, not {}", count("slow"));
    lifecycle.soft().cancel();
    lifecycle.hard().cancel();
}

#[tokio::test]
async fn more_than_may_wait_switch_it_off_with_a_notice() {
    let world = world().await;
    let (path, _) = subscribe(&world, "https://hooks.example/", &["message.created"]).await;
    let id = path.rsplit('/').next().unwrap();
    let fill = |from: i64, to: i64| {
        format!(
            "INSERT INTO applications.deliveries (id, subscription_id, event_id, event, data, at, due_at)
             SELECT n, {id}, n, 'message.created', '{{}}', now(), now() + interval '1 year'
             FROM generate_series({from}, {to}) n"
        )
    };
    world.database.script(&fill(1, 9_999)).await.unwrap();
    write(&world, 9_001, OTHER, "the ten thousandth").await;
    assert_eq!(shown(&world, &path).await["enabled"], true);
    write(&world, 9_002, OTHER, "one too many").await;
    let off = shown(&world, &path).await;
    assert_eq!(
        (&off["enabled"], &off["disabled_reason"]),
        (&json!(false), &json!("backlog"))
    );
    assert_eq!(
        world.events().await.last().unwrap(),
        "subscription_disabled"
    );
}

#[tokio::test]
async fn what_is_gone_or_hidden_by_then_is_never_sent() {
    let world = world().await;
    let receiver = Receiver::start().await;
    world.give(OTHER, Chat::MANAGE_GUILD);
    let body = json!({"url": receiver.url("ok"), "events": ["message.created", "message.deleted", "channel.updated", "channel.deleted"]});
    let made = world.ok(OTHER, "POST", &of_community(), body, 201).await;
    let path = format!("{}/{}", of_community(), made["id"].as_str().unwrap());
    // Deleted before it was sent.
    let data =
        json!({"channel_id": GENERAL, "community_id": COMMUNITY, "id": "404", "author_id": "1"});
    world.hear("messaging.message_created.v1", data).await;
    // Hidden before it was sent.
    write(&world, 9_001, OWNER, "secret").await;
    let data =
        json!({"channel_id": GENERAL, "community_id": COMMUNITY, "id": "9001", "author_id": "1"});
    world.hear("messaging.message_deleted.v1", data).await;
    let of_channel = json!({"channel_id": GENERAL, "community_id": COMMUNITY});
    world
        .hear("communities.channel_updated.v1", of_channel.clone())
        .await;
    world
        .hear("communities.channel_deleted.v1", of_channel)
        .await;
    let hidden = Overwrite {
        target: Target::Role(COMMUNITY.cast()),
        allow: Chat::NONE.into(),
        deny: Chat::VIEW_CHANNEL.into(),
    };
    world
        .communities
        .set_overwrites(COMMUNITY, GENERAL, vec![hidden]);
    assert_eq!(world.app.deliver_due().await.unwrap(), 4);
    assert_eq!(world.app.deliver_due().await.unwrap(), 1);
    assert!(receiver.heard().is_empty(), "{:?}", receiver.types());
    let all = deliveries(&world, &path).await;
    assert!(all.iter().all(|one| one["state"] == "dropped"), "{all:?}");
    // Whoever lost the right to manage the community is told nothing at all.
    world.give(OTHER, Chat::NONE);
    write(&world, 9_002, OWNER, "secret").await;
    world.app.deliver_due().await.unwrap();
    assert!(receiver.heard().is_empty());
    let off = shown(&world, &path).await;
    assert_eq!(
        (&off["enabled"], &off["disabled_reason"]),
        (&json!(false), &json!("rights"))
    );
}

#[tokio::test]
async fn a_community_is_told_of_all_that_happens_in_it() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let events = [
        "message.created",
        "message.updated",
        "message.deleted",
        "channel.created",
        "channel.updated",
        "channel.deleted",
        "role.created",
        "role.updated",
        "role.deleted",
        "member.joined",
        "member.updated",
        "member.left",
        "community.updated",
    ];
    subscribe(&world, &receiver.url("ok"), &events).await;
    write(&world, 9_001, OTHER, "merhaba").await;
    let with = |name: &str, id: String| {
        let mut data = json!({"community_id": COMMUNITY});
        data[name] = json!(id);
        data
    };
    let message =
        json!({"channel_id": GENERAL, "community_id": COMMUNITY, "id": "9001", "author_id": "1"});
    let everyone = COMMUNITY.to_string();
    for (kind, data) in [
        ("messaging.message_updated.v1", message.clone()),
        ("messaging.message_deleted.v1", message),
        (
            "communities.channel_created.v1",
            with("channel_id", GENERAL.to_string()),
        ),
        (
            "communities.channel_updated.v1",
            with("channel_id", GENERAL.to_string()),
        ),
        (
            "communities.channel_deleted.v1",
            with("channel_id", "77".to_owned()),
        ),
        (
            "communities.role_created.v1",
            with("role_id", everyone.clone()),
        ),
        ("communities.role_updated.v1", with("role_id", everyone)),
        (
            "communities.role_deleted.v1",
            with("role_id", "78".to_owned()),
        ),
        (
            "communities.member_joined.v1",
            with("user_id", OTHER.to_string()),
        ),
        (
            "communities.member_updated.v1",
            with("user_id", OTHER.to_string()),
        ),
        (
            "communities.member_left.v1",
            with("user_id", OTHER.to_string()),
        ),
        (
            "communities.community_updated.v1",
            json!({"community_id": COMMUNITY}),
        ),
        // Of another community, and of a private conversation.
        (
            "communities.community_updated.v1",
            json!({"community_id": ELSEWHERE}),
        ),
        (
            "messaging.message_created.v1",
            json!({"channel_id": "5", "id": "6", "author_id": "1"}),
        ),
    ] {
        world.hear(kind, data).await;
    }
    for _ in 0..4 {
        world.app.deliver_due().await.unwrap();
    }
    let mut told = receiver.types();
    told.sort_unstable();
    let mut wanted = events.to_vec();
    wanted.sort_unstable();
    assert_eq!(told, wanted);
    for heard in receiver.heard() {
        let body = heard.json();
        let guild = if body["type"] == "community.updated" {
            "id"
        } else {
            "guild_id"
        };
        assert_eq!(body["data"][guild], json!(COMMUNITY), "{body}");
    }
}

#[tokio::test]
async fn an_application_is_told_what_its_bot_may_see() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (id, _) = world.application().await;
    let all = format!("/applications/{id}/subscriptions");
    let events = [
        "message.created",
        "member.joined",
        "application.installed",
        "application.uninstalled",
    ];
    let body = json!({"url": receiver.url("ok"), "events": events});
    world.ok(OWNER, "POST", &all, body, 201).await;
    write(&world, 9_001, OTHER, "before the bot came").await;
    let install = format!("/applications/{id}/installs/{COMMUNITY}");
    world.ok(OWNER, "PUT", &install, json!({}), 200).await;
    let installed = json!({"application_id": id, "community_id": COMMUNITY, "permissions": "0"});
    world
        .hear("applications.installed.v1", installed.clone())
        .await;
    // Somebody else's install is not its business.
    let foreign = json!({"application_id": "1", "community_id": COMMUNITY, "permissions": "0"});
    world.hear("applications.installed.v1", foreign).await;
    write(&world, 9_002, OTHER, "open").await;
    let joined = json!({"community_id": COMMUNITY, "user_id": OTHER});
    world
        .hear("communities.member_joined.v1", joined.clone())
        .await;
    deliver_all(&world).await;
    let mut told = receiver.types();
    told.sort_unstable();
    assert_eq!(
        told,
        ["application.installed", "member.joined", "message.created"]
    );
    let open = receiver
        .heard()
        .into_iter()
        .find(|one| one.json()["type"] == "message.created");
    assert_eq!(open.unwrap().json()["data"]["content"], "open");
    // Without the intents no members and no texts, but its own and what calls it.
    let bare = json!({"intents": 0});
    world
        .ok(OWNER, "PATCH", &format!("/applications/{id}"), bare, 200)
        .await;
    let before = receiver.heard().len();
    write(&world, 9_003, OTHER, "not for it").await;
    write(&world, 9_004, id.cast(), "its own").await;
    world.hear("communities.member_joined.v1", joined).await;
    deliver_all(&world).await;
    let mut texts: Vec<String> = receiver.heard()[before..]
        .iter()
        .map(|heard| {
            let data = &heard.json()["data"];
            assert_eq!(
                data["embeds"].as_array().unwrap().is_empty(),
                data["content"] == ""
            );
            data["content"].as_str().unwrap().to_owned()
        })
        .collect();
    texts.sort_unstable();
    assert_eq!(texts, ["", "its own"]);
    // Out again: nothing more but the news of that.
    world.ok(OWNER, "DELETE", &install, NONE, 204).await;
    world.hear("applications.uninstalled.v1", installed).await;
    write(&world, 9_005, OTHER, "after it left").await;
    deliver_all(&world).await;
    assert_eq!(receiver.types().last().unwrap(), "application.uninstalled");
    assert_eq!(receiver.heard().len(), before + 3);
}

async fn deliver_all(world: &World) {
    while world.app.deliver_due().await.unwrap() > 0 {}
}

#[tokio::test]
async fn somebody_elses_subscriptions_do_not_exist() {
    let world = world().await;
    let (path, _) = subscribe(&world, "https://hooks.example/", &["role.created"]).await;
    let made = world
        .ok(OWNER, "POST", &format!("{path}/test"), NONE, 202)
        .await;
    let delivery = made["id"].as_str().unwrap();
    let (id, _) = world.application().await;
    let foreign = path.replace(
        &format!("/guilds/{COMMUNITY}"),
        &format!("/applications/{id}"),
    );
    let of_application = |rest: &str| format!("/applications/{id}/deliveries/{delivery}{rest}");
    for (method, path, body) in [
        ("GET", foreign.clone(), NONE),
        ("PATCH", foreign.clone(), json!({"enabled": false})),
        ("DELETE", foreign.clone(), NONE),
        ("POST", format!("{foreign}/rotate-secret"), NONE),
        ("POST", format!("{foreign}/test"), NONE),
        ("GET", format!("{foreign}/deliveries"), NONE),
        ("GET", of_application(""), NONE),
        ("POST", of_application("/replay"), NONE),
    ] {
        world.fails(OWNER, method, &path, body, (404, 10002)).await;
    }
    assert_eq!(shown(&world, &path).await["enabled"], true);
    let limit = format!("{path}/deliveries?limit=101");
    world.fails(OWNER, "GET", &limit, NONE, (400, 50035)).await;
}

#[tokio::test]
async fn subscriptions_go_with_their_owner_and_deliveries_after_a_month() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (path, _) = subscribe(&world, &receiver.url("ok"), &["message.created"]).await;
    let (id, _): (ApplicationId, _) = world.application().await;
    let body = json!({"url": receiver.url("ok"), "events": ["message.created"]});
    world
        .ok(
            OWNER,
            "POST",
            &format!("/applications/{id}/subscriptions"),
            body,
            201,
        )
        .await;
    write(&world, 9_001, OTHER, "merhaba").await;
    world.app.deliver_due().await.unwrap();
    world.clock.advance(Duration::from_secs(29 * 86_400));
    world.app.purge_deliveries().await.unwrap();
    assert_eq!(deliveries(&world, &path).await.len(), 1);
    world.clock.advance(Duration::from_secs(86_400));
    world.app.purge_deliveries().await.unwrap();
    assert!(deliveries(&world, &path).await.is_empty());
    world
        .ok(OWNER, "DELETE", &format!("/applications/{id}"), NONE, 204)
        .await;
    world
        .hear(
            "communities.community_deleted.v1",
            json!({"community_id": COMMUNITY}),
        )
        .await;
    const LEFT: Sql = Sql::new(
        "test.left",
        "SELECT (SELECT count(*) FROM applications.subscriptions)
              + (SELECT count(*) FROM applications.delivery_attempts)",
    );
    let left: i64 = LEFT.scalar(&world.database.admin().unwrap()).await.unwrap();
    assert_eq!(left, 0);
}
