//! Headers of every response, request ids, other origins, proxies.

use axum::Router;
use kernel::UserId;
use testkit::http::{Credential, Reply, call, call_with, options, request, send};
use web_kit::{Cors, Peer, docs, openapi, stack};

use crate::app::{clock, router, table};

const EVERY: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
];

#[tokio::test]
async fn s24_security_headers_are_on_every_response() {
    let mut with_hsts = options(clock()).unwrap();
    with_hsts.hsts = true;
    let router = stack(table().router(), with_hsts);
    for (method, path) in [
        ("GET", "/v1/public"),
        ("GET", "/v1/me"),
        ("GET", "/nowhere"),
        ("PATCH", "/v1/items"),
        ("GET", "/v1/panics"),
        ("GET", "/v1//x"),
        ("OPTIONS", "/v1/items"),
        ("GET", "/api/v10/fields"),
    ] {
        let reply = call(&router, method, path, (), None).await.unwrap();
        for (name, value) in EVERY {
            assert_eq!(reply.header(name), Some(value), "{method} {path} {name}");
        }
        let hsts = reply.header("strict-transport-security");
        assert_eq!(hsts, Some("max-age=31536000; includeSubDomains"), "{path}");
        assert!(reply.header("x-request-id").is_some(), "{path}");
    }
    let reply = call(&crate::app::router(), "GET", "/v1/public", (), None)
        .await
        .unwrap();
    assert_eq!(
        reply.header("strict-transport-security"),
        None,
        "plain loopback"
    );
}

#[tokio::test]
async fn request_id_is_repeated_when_sane_and_made_otherwise() {
    let router = router();
    let with = async |id: &str| {
        let headers = [("x-request-id", id)];
        let reply = call_with(&router, "GET", "/v1/meta", (), &headers, None)
            .await
            .unwrap();
        let header = reply.header("x-request-id").unwrap().to_owned();
        assert_eq!(reply.json["id"], header.as_str());
        header
    };
    assert_eq!(with("abc-123_DEF.4").await, "abc-123_DEF.4");
    for bad in [
        "short",
        "has a space in it",
        "<script>alert(1)</script>",
        &"x".repeat(65),
    ] {
        let made = with(bad).await;
        assert_eq!(made.len(), 20, "{made}");
    }
    assert_ne!(with("bad").await, with("bad").await);
}

fn with_cors(cors: Cors) -> Router {
    let mut options = options(clock()).unwrap();
    options.cors = cors;
    stack(table().router(), options)
}

async fn preflight(router: &Router, origin: &str) -> Reply {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "authorization,idempotency-key",
        ),
    ];
    call_with(router, "OPTIONS", "/v1/items", (), &headers, None)
        .await
        .unwrap()
}

#[tokio::test]
async fn listed_origins_may_call_and_others_may_not() {
    let cors = Cors {
        origins: vec!["https://app.example.com".to_owned()],
        any_loopback: false,
    };
    let router = with_cors(cors);
    let allowed = preflight(&router, "https://app.example.com").await;
    assert_eq!(allowed.status, 200);
    let origin = "access-control-allow-origin";
    assert_eq!(allowed.header(origin), Some("https://app.example.com"));
    // Cookies are for our own pages.
    assert_eq!(allowed.header("access-control-allow-credentials"), None);
    let names = allowed.header("access-control-allow-headers").unwrap();
    assert!(
        names.contains("idempotency-key") && names.contains("authorization"),
        "{names}"
    );
    for foreign in ["https://evil.test", "null", "http://localhost:5173"] {
        assert_eq!(
            preflight(&router, foreign).await.header(origin),
            None,
            "{foreign}"
        );
        let headers = [("origin", foreign)];
        let reply = call_with(&router, "GET", "/v1/public", (), &headers, None)
            .await
            .unwrap();
        assert_eq!(reply.header(origin), None, "{foreign}");
    }
    // An error is readable for the page as well, or it could not show it.
    let headers = [("origin", "https://app.example.com")];
    let reply = call_with(&router, "GET", "/v1/me", (), &headers, None)
        .await
        .unwrap();
    assert_eq!(
        (reply.status.as_u16(), reply.header(origin)),
        (401, Some("https://app.example.com"))
    );
    assert!(reply.header("vary").unwrap().contains("origin"));
}

#[tokio::test]
async fn development_takes_any_port_of_this_machine() {
    let router = with_cors(Cors {
        origins: Vec::new(),
        any_loopback: true,
    });
    let origin = "access-control-allow-origin";
    let reply = preflight(&router, "http://localhost:5173").await;
    assert_eq!(reply.header(origin), Some("http://localhost:5173"));
    let reply = preflight(&router, "http://localhost.evil.test").await;
    assert_eq!(reply.header(origin), None);
}

#[tokio::test]
async fn forwarding_headers_count_only_from_configured_proxies() {
    let mut options = options(clock()).unwrap();
    options.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    let router = stack(table().router(), options);
    let seen = async |peer: &str| {
        let headers = [
            ("x-forwarded-for", "198.51.100.7"),
            ("user-agent", "test/1"),
        ];
        let mut request = request("GET", "/v1/meta", &Credential::Nobody, &headers, None).unwrap();
        request.extensions_mut().insert(Peer(peer.parse().unwrap()));
        send(&router, request).await.unwrap().json
    };
    assert_eq!(seen("10.1.2.3:9").await["ip"], "198.51.100.7");
    let direct = seen("203.0.113.9:9").await;
    assert_eq!(
        (&direct["ip"], &direct["agent"]),
        (&"203.0.113.9".into(), &"test/1".into())
    );
}

#[tokio::test]
async fn docs_come_from_the_binary_and_load_nothing_from_outside() {
    let pages = docs(&openapi(&[&table()])).unwrap();
    let router = stack(table().router().merge(pages), options(clock()).unwrap());
    let get = async |path: &str| call(&router, "GET", path, (), None).await.unwrap();
    assert_eq!(get("/docs").await.header("location"), Some("/docs/"));
    let page = get("/docs/").await;
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    assert_eq!(page.status, 200);
    assert!(html.contains("swagger-ui-bundle.js"), "{html}");
    for source in html.split("src=\"").chain(html.split("href=\"")).skip(1) {
        assert!(
            !source.starts_with("http") && !source.starts_with("//"),
            "{source:.60}"
        );
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'self'") && !policy.contains("http"),
        "{policy}"
    );
    let script = get("/docs/swagger-initializer.js").await;
    let text = String::from_utf8(script.body.to_vec()).unwrap();
    assert!(
        text.contains("/openapi.json") && text.contains("\"validatorUrl\": \"none\""),
        "{text}"
    );
    assert_eq!(get("/docs/swagger-ui-bundle.js").await.status, 200);
    assert_eq!(get("/docs/nothing.js").await.status, 404);
    assert_eq!(get("/openapi.json").await.json["openapi"], "3.1.0");
    let user = UserId::new(1);
    assert_eq!(
        call(&router, "POST", "/docs/", user, None)
            .await
            .unwrap()
            .status,
        405
    );
}
