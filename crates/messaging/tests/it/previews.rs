//! Link previews against a real server: what is shown, what is never asked, and every bound.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::response::IntoResponse;
use axum::routing::get;
use db::Sql;
use futures::StreamExt;
use infra::fanout::Topic;
use infra::outbound::{Bounds, Outbound, Permits};
use kernel::MessageId;
use kernel::perm::Chat;
use messaging::Settings;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::world::{ANA, BORA, COMMUNITY, World, id_of, message};

const WAITING: Sql = Sql::new(
    "test.waiting",
    "SELECT count(*) FROM messaging.link_previews",
);
const PAGE: &str = r#"<html><head><title>düz</title><meta property="og:title" content="Başlık">
    <meta property="og:image" content="/p.png"></head><body>"#;

/// A server that counts what it is asked.
struct Site {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

fn html(body: impl Into<Body>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/html; charset=UTF-8")], body.into())
}

fn moved(to: String) -> impl IntoResponse {
    (StatusCode::FOUND, [(LOCATION, to)])
}

async fn endless() -> impl IntoResponse {
    let rest = futures::stream::repeat_with(|| Bytes::from_static(&[b' '; 1_024]));
    let all = futures::stream::once(async { Bytes::from_static(PAGE.as_bytes()) }).chain(rest);
    html(Body::from_stream(all.map(Ok::<_, std::io::Error>)))
}

impl Site {
    async fn start(elsewhere: Option<SocketAddr>) -> Site {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let outside = elsewhere.map_or_else(String::new, |site| format!("http://{site}/page"));
        let chain = |at: usize| {
            let next = if at == 0 {
                "/page".to_owned()
            } else {
                format!("/hop/{}", at - 1)
            };
            get(move || async move { moved(next) })
        };
        let router = Router::new()
            .route("/page", get(|| async { html(PAGE) }))
            .route("/bare", get(|| async { html("merhaba") }))
            .route(
                "/picture",
                get(|| async { ([(CONTENT_TYPE, "image/png")], PAGE) }),
            )
            .route(
                "/latin",
                get(|| async { ([(CONTENT_TYPE, "text/html; charset=iso-8859-9")], PAGE) }),
            )
            .route("/gone", get(|| async { (StatusCode::GONE, PAGE) }))
            .route("/endless", get(endless))
            .route("/silent", get(std::future::pending::<StatusCode>))
            .route("/outside", get(move || async move { moved(outside) }))
            .route("/hop/0", chain(0))
            .route("/hop/1", chain(1))
            .route("/hop/2", chain(2))
            .route("/hop/3", chain(3))
            .layer(axum::middleware::map_request(
                move |request: axum::extract::Request| {
                    count.fetch_add(1, Ordering::SeqCst);
                    std::future::ready(request)
                },
            ));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a server of the test")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Site { address, asked }
    }

    fn link(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// A world that may call this server and no other place inside.
    async fn world(&self) -> World {
        let bounds = Bounds {
            connect: Duration::from_secs(5),
            total: Duration::from_secs(2),
            body_bytes: 64 * 1_024,
        };
        let permits = Permits::new(vec![self.address.to_string().parse().unwrap()]);
        let previews = Some(Outbound::guarded(bounds, permits).unwrap());
        let settings = Settings {
            previews,
            ..Settings::default()
        };
        World::with(settings, None).await
    }

    fn shown(&self, path: &str) -> Value {
        let image = self.link("/p.png");
        json!({"type": "link", "url": self.link(path), "title": "Başlık",
            "thumbnail": {"url": image}})
    }
}

async fn embeds(w: &World, id: MessageId) -> Value {
    let shown = w.call("GET", &message(id), BORA, Value::Null).await;
    shown.expect(200).unwrap().json["embeds"].clone()
}

async fn look(w: &World) {
    w.messaging.preview_links().await.unwrap();
}

#[tokio::test]
async fn what_a_page_says_of_itself_is_added_without_an_edit() {
    let site = Site::start(None).await;
    let w = site.world().await;
    let text = format!("bak {} ve {}", site.link("/page"), site.link("/bare"));
    let sent = w
        .send(ANA, json!({"content": text, "embeds": [{"title": "a"}]}))
        .await;
    let id = id_of(&sent.expect(200).unwrap().json);
    let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
    look(&w).await;
    let expected = json!([{"title": "a", "type": "rich"}, site.shown("/page")]);
    let told = ear.hear().unwrap();
    assert_eq!(
        (told.name.as_str(), &told.data["embeds"]),
        ("MESSAGE_UPDATE", &expected)
    );
    assert_eq!(told.redacted.unwrap()["embeds"], json!([]));
    let shown = w.call("GET", &message(id), BORA, Value::Null).await.json;
    assert_eq!(
        (&shown["embeds"], &shown["edited_timestamp"], &shown["ev"]),
        (&expected, &Value::Null, &json!(2))
    );
    let revisions = format!("{}/revisions", message(id));
    assert_eq!(
        w.call("GET", &revisions, ANA, Value::Null).await.json,
        json!([])
    );
    assert_eq!((site.asked(), w.number(WAITING).await), (2, 0));
    look(&w).await;
    let again = w.say(ANA, &site.link("/page")).await;
    look(&w).await;
    assert_eq!(embeds(&w, again).await, json!([site.shown("/page")]));
    assert_eq!(site.asked(), 2, "a page is asked once in a while");
}

#[tokio::test]
async fn what_is_not_wanted_or_not_allowed_is_never_asked_for() {
    let site = Site::start(None).await;
    let w = site.world().await;
    let link = site.link("/page");
    w.send(ANA, json!({"content": link, "flags": 4}))
        .await
        .expect(200)
        .unwrap();
    w.say(ANA, &format!("<{link}> `{link}`")).await;
    w.allow(BORA, |access| {
        access.chat = Chat::DEFAULT.without(Chat::EMBED_LINKS)
    });
    w.say(BORA, &link).await;
    assert_eq!(w.number(WAITING).await, 0);
    let deleted = w.say(ANA, &link).await;
    w.call("DELETE", &message(deleted), ANA, Value::Null).await;
    look(&w).await;
    let edited = w.say(ANA, &link).await;
    w.call("PATCH", &message(edited), ANA, json!({"flags": 4}))
        .await;
    look(&w).await;
    assert_eq!(embeds(&w, edited).await, json!([]));
    let inside = [
        "http://127.0.0.1:9/",
        "http://169.254.169.254/",
        "http://[::1]/",
        "http://localhost/",
    ];
    let mut asked = site.asked();
    for link in inside {
        let id = w.say(ANA, link).await;
        look(&w).await;
        assert_eq!(embeds(&w, id).await, json!([]), "{link}");
        assert_eq!(site.asked(), asked, "{link}");
        asked = site.asked();
    }
    assert_eq!(w.number(WAITING).await, 0);

    let off = World::new().await;
    off.say(ANA, &link).await;
    assert_eq!(off.number(WAITING).await, 0);
    assert_eq!(off.messaging.preview_links().await.unwrap(), "off");
}

#[tokio::test]
async fn s16_redirects_are_followed_three_times_and_judged_each_time() {
    let other = Site::start(None).await;
    let site = Site::start(Some(other.address)).await;
    let w = site.world().await;
    let near = w.say(ANA, &site.link("/hop/2")).await;
    let far = w.say(ANA, &site.link("/hop/3")).await;
    let outside = w.say(ANA, &site.link("/outside")).await;
    look(&w).await;
    assert_eq!(embeds(&w, near).await, json!([site.shown("/hop/2")]));
    assert_eq!(embeds(&w, far).await, json!([]));
    assert_eq!(embeds(&w, outside).await, json!([]));
    assert_eq!(other.asked(), 0, "not a single connection");
}

#[tokio::test]
async fn a_bad_page_shows_nothing_and_holds_nothing_up() {
    let site = Site::start(None).await;
    let w = site.world().await;
    for path in ["/bare", "/picture", "/latin", "/gone", "/nowhere"] {
        let id = w.say(ANA, &site.link(path)).await;
        look(&w).await;
        assert_eq!(embeds(&w, id).await, json!([]), "{path}");
    }
    let text = ["/silent", "/endless", "/page"]
        .map(|path| site.link(path))
        .join(" ");
    let id = w.say(ANA, &text).await;
    look(&w).await;
    assert_eq!(
        embeds(&w, id).await,
        json!([site.shown("/endless"), site.shown("/page")]),
        "the beginning of an endless page is enough"
    );
    assert_eq!(w.number(WAITING).await, 0);
}

#[tokio::test]
async fn an_edit_takes_previews_along() {
    let site = Site::start(None).await;
    let w = site.world().await;
    let id = w.say(ANA, &site.link("/page")).await;
    let edit = |body: Value| {
        w.clock.advance(Duration::from_secs(2));
        let (w, path) = (&w, message(id));
        async move {
            w.call("PATCH", &path, ANA, body)
                .await
                .expect(200)
                .unwrap()
                .json
        }
    };
    edit(json!({"content": "yok"})).await;
    look(&w).await;
    assert_eq!(
        embeds(&w, id).await,
        json!([]),
        "the link went before it was looked at"
    );
    let both = format!("{} {}", site.link("/page"), site.link("/hop/0"));
    edit(json!({"content": both})).await;
    look(&w).await;
    assert_eq!(
        embeds(&w, id).await,
        json!([site.shown("/page"), site.shown("/hop/0")])
    );
    let edited = edit(json!({"content": site.link("/hop/0")})).await;
    assert_eq!(edited["embeds"], json!([site.shown("/hop/0")]));
    assert_eq!(w.number(WAITING).await, 0, "nothing is new in it");
    let edited = edit(json!({"flags": 4})).await;
    assert_eq!(edited["embeds"], json!([]));
}

#[tokio::test]
async fn links_of_a_node_that_died_are_taken_up_three_times() {
    let site = Site::start(None).await;
    let w = site.world().await;
    let id = w.say(ANA, &site.link("/page")).await;
    let claimed =
        "UPDATE messaging.link_previews SET tries = 1, due_at = due_at + interval '1 min'";
    w.t.script(claimed).await.unwrap();
    look(&w).await;
    assert_eq!(
        (site.asked(), w.number(WAITING).await),
        (0, 1),
        "somebody else's"
    );
    w.clock.advance(Duration::from_secs(60));
    look(&w).await;
    assert_eq!(embeds(&w, id).await, json!([site.shown("/page")]));
    let never = w.say(ANA, &site.link("/hop/0")).await;
    w.t.script("UPDATE messaging.link_previews SET tries = 3")
        .await
        .unwrap();
    look(&w).await;
    assert_eq!(embeds(&w, never).await, json!([]));
    assert_eq!((site.asked(), w.number(WAITING).await), (1, 0));
}
