//! Browser sessions: which cookies count, and what a foreign page can do with them (nothing).

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use kernel::{Caller, UserId};
use serde_json::{Value, json};
use testkit::http::{PAGES, call_with, caller, cookie, csrf_token, page_headers, send, token};
use web_kit::{Doc, Json, Path, Table};

use crate::app::{clock, router};

const USER: UserId = UserId::new(42);

/// One operation that takes any method and looks at nothing but who calls.
fn anything() -> Router {
    let doc = || Doc::new("Anything");
    let table = Table::new("anything", ())
        .get("/v1/anything/{id}", look, doc())
        .post("/v1/anything/{id}", look, doc())
        .put("/v1/anything/{id}", look, doc())
        .patch("/v1/anything/{id}", look, doc())
        .delete("/v1/anything/{id}", look, doc())
        .build();
    testkit::http::app(table.router(), clock()).unwrap()
}

async fn look(caller: web_kit::Caller, Path(_): Path<u8>) -> Json<Value> {
    Json(json!({ "id": caller.user }))
}

type Values = &'static [&'static str];

/// What one cell of the matrix sends, and whether each part is good by itself.
const SITES: [(Values, bool); 7] = [
    (&[], false),
    (&["same-origin"], true),
    (&["same-site"], false),
    (&["cross-site"], false),
    (&["none"], false),
    (&["Same-Origin"], false),
    (&["same-origin", "same-origin"], false),
];
const ORIGINS: [(Values, bool); 6] = [
    (&[], false),
    (&[PAGES], true),
    (&["https://evil.test"], false),
    (&["http://meydan.test"], false),
    (&["null"], false),
    (&[PAGES, PAGES], false),
];
const KINDS: [(Values, bool); 7] = [
    (&[], false),
    (&["application/json"], true),
    (&["application/json; charset=utf-8"], true),
    (&["multipart/form-data; boundary=x"], true),
    (&["text/plain"], false),
    (&["application/x-www-form-urlencoded"], false),
    (&["application/json", "text/plain"], false),
];

#[tokio::test]
async fn s13_only_pages_of_ours_change_anything_by_cookie() {
    let router = anything();
    let own = cookie(&caller(USER)).unwrap();
    let other = cookie(&caller(UserId::new(43))).unwrap();
    let right = csrf_token(&own);
    let tokens: [(Vec<String>, bool); 5] = [
        (vec![], false),
        (vec![right.clone()], true),
        (vec![csrf_token(&other)], false),
        (vec![right.to_lowercase() + "A"], false),
        (vec![right.clone(), right], false),
    ];
    let mut passed = 0;
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
        for (sites, good_site) in SITES {
            for (origins, good_origin) in ORIGINS {
                for (kinds, good_kind) in KINDS {
                    for (tokens, good_token) in &tokens {
                        let mut request = Request::builder()
                            .method(method)
                            .uri("/v1/anything/1")
                            .header("content-length", "2")
                            .header("cookie", format!("a=b; __Host-meydan_sid={own}"));
                        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
                        for (name, values) in [
                            ("sec-fetch-site", sites),
                            ("origin", origins),
                            ("content-type", kinds),
                            ("x-csrf-token", &tokens),
                        ] {
                            for value in values {
                                request = request.header(name, *value);
                            }
                        }
                        let request = request.body(Body::from("{}")).unwrap();
                        let cell = format!("{method} {sites:?} {origins:?} {kinds:?} {tokens:?}");
                        let reads = matches!(method, "GET" | "HEAD");
                        let ours = good_site || (sites.is_empty() && good_origin);
                        let passes = reads || (ours && good_kind && *good_token);
                        let reply = send(&router, request).await.unwrap();
                        let expected = if passes { 200 } else { 403 };
                        assert_eq!(reply.status.as_u16(), expected, "{cell}");
                        if !passes {
                            assert_eq!(reply.json["code"], "CSRF_FAILED", "{cell}");
                        }
                        passed += usize::from(passes && !reads);
                    }
                }
            }
        }
    }
    // 4 methods, (1 site with 6 origins, or no site with 1 origin), 3 kinds, 1 token.
    assert_eq!(passed, 4 * 7 * 3);
}

#[tokio::test]
async fn s13_a_request_without_a_body_needs_no_content_type() {
    let router = anything();
    let headers = page_headers(&caller(USER)).unwrap();
    let with = |more: &[(&'static str, &str)]| {
        let mut request = Request::builder().method("DELETE").uri("/v1/anything/1");
        for (name, value) in &headers {
            request = request.header(*name, value);
        }
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    };
    for (more, expected) in [
        (&[][..], 200),
        (&[("content-length", "0")], 200),
        (&[("content-length", "1")], 403),
        (&[("transfer-encoding", "chunked")], 403),
    ] {
        let reply = send(&router, with(more)).await.unwrap();
        assert_eq!(reply.status.as_u16(), expected, "{more:?}");
    }
}

#[tokio::test]
async fn s13_cookie_is_ignored_beside_an_authorization_header() {
    let router = router();
    let own = cookie(&caller(USER)).unwrap();
    let cookie = format!("__Host-meydan_sid={own}");
    let headers = [("cookie", cookie.as_str())];
    // A token of somebody else wins, and needs no CSRF token.
    let other = UserId::new(43);
    let reply = call_with(&router, "GET", "/v1/me", other, &headers, None)
        .await
        .unwrap();
    assert_eq!(reply.json["id"], "43");
    let body = json!({ "name": "x" });
    let reply = call_with(&router, "POST", "/v1/items", other, &headers, body)
        .await
        .unwrap();
    assert_eq!(reply.status, 201);
    // A bad one is not made good by the cookie.
    let reply = call_with(&router, "GET", "/v1/me", "Bearer x", &headers, None)
        .await
        .unwrap();
    assert_eq!(reply.status, 401);
}

#[tokio::test]
async fn only_the_cookie_that_is_bound_to_this_host_counts_over_tls() {
    let own = cookie(&caller(USER)).unwrap();
    for (sent, expected) in [
        (format!("__Host-meydan_sid={own}"), 200),
        (format!("meydan_sid={own}"), 401),
        (
            format!("__Host-meydan_sid={own}; __Host-meydan_sid={own}"),
            401,
        ),
        ("__Host-meydan_sid=rubbish".to_owned(), 401),
        (format!("__Host-meydan_sid={}", "x".repeat(257)), 401),
        // What is behind the cookie is no credential of its own.
        (format!("__Host-meydan_sid={}", token(USER).unwrap()), 401),
    ] {
        let headers = [("cookie", sent.as_str())];
        let reply = call_with(&router(), "GET", "/v1/me", (), &headers, None)
            .await
            .unwrap();
        assert_eq!(reply.status.as_u16(), expected, "{sent}");
    }
}

#[tokio::test]
async fn without_pages_cookies_mean_nothing() {
    let mut options = testkit::http::options(clock()).unwrap();
    options.pages = None;
    let router = web_kit::stack(crate::app::table().router(), options);
    let own = cookie(&caller(USER)).unwrap();
    for name in [web_kit::HOST_COOKIE, web_kit::LOOPBACK_COOKIE] {
        let cookie = format!("{name}={own}");
        let headers = [("cookie", cookie.as_str())];
        let reply = call_with(&router, "GET", "/v1/me", (), &headers, None)
            .await
            .unwrap();
        assert_eq!(reply.status, 401);
    }
}

#[tokio::test]
async fn sessions_of_pages_obey_the_demands_of_operations() {
    let acting = Caller {
        act: Some(UserId::new(900)),
        ..caller(USER)
    };
    for (path, who, expected) in [
        ("/v1/me", caller(USER), 200),
        ("/v1/fresh", caller(USER), 403),
        ("/v1/themselves", acting, 403),
        ("/v1/staff", caller(USER), 403),
        ("/api/v10/users/@me", caller(USER), 200),
    ] {
        let own = format!("__Host-meydan_sid={}", cookie(&who).unwrap());
        let headers = [("cookie", own.as_str())];
        let reply = call_with(&router(), "GET", path, (), &headers, None)
            .await
            .unwrap();
        assert_eq!(reply.status.as_u16(), expected, "{path}");
    }
}
