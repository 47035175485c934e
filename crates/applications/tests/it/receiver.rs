//! A server of somebody else on loopback, and short words for what goes to it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kernel::{ChannelId, MessageId, UserId};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::fixture::{COMMUNITY, NONE, OWNER, World};

pub(crate) const GENERAL: ChannelId = ChannelId::new(5_001);

/// What came to the server.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) seconds: i64,
    pub(crate) signatures: Vec<String>,
    pub(crate) body: Bytes,
}

impl Heard {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Whether one of the signatures is by this secret.
    pub(crate) fn is_by(&self, secret: &str) -> bool {
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
pub(crate) struct Receiver {
    address: SocketAddr,
    state: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    heard: Mutex<Vec<Heard>>,
    asked: AtomicUsize,
}

impl Receiver {
    pub(crate) async fn start() -> Receiver {
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

    pub(crate) fn url(&self, place: &str) -> String {
        format!("http://{}/{place}", self.address)
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.state.heard.lock().unwrap().clone()
    }

    pub(crate) fn types(&self) -> Vec<String> {
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

pub(crate) async fn world() -> World {
    let world = World::new().await;
    world.communities.add_channel(COMMUNITY, GENERAL, "general");
    world
}

pub(crate) fn of_community() -> String {
    format!("/guilds/{COMMUNITY}/subscriptions")
}

/// Subscribes for COMMUNITY as its owner; gives path and secret.
pub(crate) async fn subscribe(world: &World, url: &str, events: &[&str]) -> (String, String) {
    let body = json!({"url": url, "events": events});
    let made = world.ok(OWNER, "POST", &of_community(), body, 201).await;
    let path = format!("{}/{}", of_community(), made["id"].as_str().unwrap());
    (path, made["secret"].as_str().unwrap().to_owned())
}

/// Somebody writes in GENERAL, and messaging tells.
pub(crate) async fn write(world: &World, id: i64, author: UserId, text: &str) {
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

pub(crate) async fn deliveries(world: &World, path: &str) -> Vec<Value> {
    let list = world
        .ok(OWNER, "GET", &format!("{path}/deliveries"), NONE, 200)
        .await;
    list.as_array().unwrap().clone()
}

pub(crate) async fn attempts(world: &World, delivery: &Value) -> Vec<Value> {
    let id = delivery["id"].as_str().unwrap();
    let path = format!("/guilds/{COMMUNITY}/deliveries/{id}");
    let read = world.ok(OWNER, "GET", &path, NONE, 200).await;
    read["attempt_list"].as_array().unwrap().clone()
}

pub(crate) async fn shown(world: &World, path: &str) -> Value {
    world.ok(OWNER, "GET", path, NONE, 200).await
}
