use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use futures::StreamExt as _;
use infra::outbound::{Bounds, Call, Outbound, OutboundError, Permits};
use tokio::net::TcpListener;

const BODY: usize = 4_096;

fn bounds() -> Bounds {
    Bounds {
        connect: Duration::from_millis(500),
        total: Duration::from_millis(500),
        body_bytes: BODY,
    }
}

/// For tests in which nothing may be late.
fn patient() -> Bounds {
    Bounds {
        connect: Duration::from_secs(10),
        total: Duration::from_secs(10),
        body_bytes: BODY,
    }
}

struct Site {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Site {
    async fn start() -> Site {
        let asked = Arc::new(AtomicUsize::new(0));
        let router = Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/moved", get(|| async { Redirect::temporary("/") }))
            .route("/exact", get(|| async { "x".repeat(BODY) }))
            .route("/long", get(|| async { "x".repeat(BODY + 1) }))
            .route("/endless", get(endless))
            .route("/silent", get(std::future::pending::<StatusCode>))
            .route("/stuck", get(stuck))
            .route("/echo", axum::routing::post(echo))
            .layer(axum::middleware::from_fn_with_state(
                Arc::clone(&asked),
                count,
            ));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a server of the test")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Site { address, asked }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn count(
    State(asked): State<Arc<AtomicUsize>>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> impl IntoResponse {
    asked.fetch_add(1, Ordering::SeqCst);
    next.run(request).await
}

/// Says what came, and asks for patience.
async fn echo(headers: axum::http::HeaderMap, body: String) -> impl IntoResponse {
    let named = |name: &str| headers[name].to_str().unwrap().to_owned();
    let text = format!("{} {} {body}", named("content-type"), named("webhook-id"));
    (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")], text)
}

async fn endless() -> Body {
    let chunk = Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 512]));
    Body::from_stream(futures::stream::repeat_with(move || {
        chunk.as_ref().map_or(Ok(Bytes::new()), |chunk| {
            Ok::<_, std::io::Error>(chunk.clone())
        })
    }))
}

async fn stuck() -> Body {
    let first = Ok::<_, std::io::Error>(Bytes::from_static(b"begin"));
    Body::from_stream(futures::stream::iter([first]).chain(futures::stream::pending()))
}

fn guarded(allowed: &[String]) -> Outbound {
    let permits = allowed.iter().map(|text| text.parse().unwrap()).collect();
    Outbound::guarded(patient(), Permits::new(permits)).unwrap()
}

#[tokio::test]
async fn s16_loopback_is_called_only_where_it_is_permitted() {
    let site = Site::start().await;
    let port = site.address.port();
    let by_name = format!("http://localhost:{port}/");
    for allowed in [
        vec![],
        vec!["10.0.0.0/8".to_owned()],
        vec![format!("127.0.0.1:{}", port.wrapping_add(1).max(1))],
        vec![format!("other.example:{port}")],
    ] {
        for url in [site.url("/"), by_name.clone()] {
            let outcome = guarded(&allowed).send(Call::get(&url)).await;
            assert!(
                matches!(outcome, Err(OutboundError::Refused)),
                "{outcome:?}"
            );
        }
    }
    assert_eq!(site.asked(), 0);
    for allowed in [site.address.to_string(), "127.0.0.0/8".to_owned()] {
        let answer = guarded(&[allowed])
            .send(Call::get(&site.url("/")))
            .await
            .unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"hello"[..]));
    }
    let answer = guarded(&[format!("localhost:{port}")])
        .send(Call::get(&by_name))
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn s16_a_redirect_is_an_answer_and_is_not_followed() {
    let site = Site::start().await;
    for outbound in [
        guarded(&[site.address.to_string()]),
        Outbound::trusted(patient()).unwrap(),
    ] {
        let before = site.asked();
        let answer = outbound.send(Call::get(&site.url("/moved"))).await.unwrap();
        assert_eq!(answer.status, 307);
        assert_eq!(site.asked(), before + 1);
    }
}

#[tokio::test]
async fn s16_an_answer_is_bounded() {
    let site = Site::start().await;
    let outbound = Outbound::trusted(patient()).unwrap();
    let answer = outbound.send(Call::get(&site.url("/exact"))).await.unwrap();
    assert_eq!(answer.body.len(), BODY);
    for path in ["/long", "/endless"] {
        let outcome = outbound.send(Call::get(&site.url(path))).await;
        assert!(
            matches!(outcome, Err(OutboundError::TooLong(BODY))),
            "{path}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn the_beginning_of_a_long_answer_is_enough_for_who_asks_for_it() {
    let site = Site::start().await;
    let outbound = Outbound::trusted(patient()).unwrap();
    for path in ["/exact", "/long", "/endless"] {
        let call = Call::get(&site.url(path)).beginning();
        let answer = outbound.send(call).await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, BODY), "{path}");
    }
}

#[tokio::test]
async fn json_goes_out_with_its_headers_and_the_wish_to_wait_comes_back() {
    let site = Site::start().await;
    let outbound = Outbound::trusted(patient()).unwrap();
    let call = Call::json(&site.url("/echo"), Bytes::from_static(b"{\"a\":1}"))
        .header("webhook-id", "msg_1".to_owned());
    let answer = outbound.send(call).await.unwrap();
    assert_eq!(answer.status, 429);
    assert_eq!(answer.retry_after.as_deref(), Some("7"));
    assert_eq!(&answer.body[..], b"application/json msg_1 {\"a\":1}");
}

#[tokio::test]
async fn an_address_is_judged_before_anybody_is_called() {
    let none: [String; 0] = [];
    let outbound = guarded(&none);
    for (url, good) in [
        ("https://example.com/hook", true),
        ("http://example.com/hook", false),
        ("https://127.0.0.1/", false),
        ("https://user@example.com/", false),
        ("no address", false),
    ] {
        assert_eq!(outbound.check(url).is_ok(), good, "{url}");
    }
}

#[tokio::test]
async fn a_slow_server_is_given_up_at_the_deadline() {
    let site = Site::start().await;
    let outbound = Outbound::trusted(bounds()).unwrap();
    for path in ["/silent", "/stuck"] {
        let outcome = outbound.send(Call::get(&site.url(path))).await;
        assert!(
            matches!(outcome, Err(OutboundError::TimedOut)),
            "{path}: {outcome:?}"
        );
    }
    // Somebody who listens and never speaks.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let outcome = outbound.send(Call::get(&url)).await;
    assert!(
        matches!(outcome, Err(OutboundError::TimedOut)),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_server_that_is_away_is_told_without_its_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let outbound = Outbound::trusted(patient()).unwrap();
    let url = format!("http://{address}/secret-path");
    let error = outbound.send(Call::get(&url)).await.unwrap_err();
    assert!(matches!(error, OutboundError::Unreachable(_)), "{error:?}");
    assert!(!format!("{error:?}").contains("secret-path"), "{error:?}");
}

#[tokio::test]
async fn addresses_that_are_none_are_refused() {
    let outbound = Outbound::trusted(patient()).unwrap();
    for url in ["", "example.com", "file:///etc/passwd", "data:text/plain,x"] {
        let outcome = outbound.send(Call::get(url)).await;
        assert!(matches!(outcome, Err(OutboundError::Malformed)), "{url}");
    }
}
