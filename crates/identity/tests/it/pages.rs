//! Browser sessions end to end: who gets a cookie, what it opens, and how it ends.

use identity::RootKeys;
use kernel::UserId;
use serde_json::{Value, json};
use testkit::http::{Reply, call_with};

use crate::harness::{House, PASSWORD, ROOT, secret};

const OWN: [(&str, &str); 1] = [("sec-fetch-site", "same-origin")];

/// A page with its session.
struct Page {
    cookie: String,
    csrf_token: String,
    device: String,
}

async fn ask(house: &House, headers: &[(&str, &str)]) -> Reply {
    let body = json!({ "identifier": "ayse", "password": PASSWORD, "session": "cookie" });
    call_with(&house.router, "POST", "/v1/auth/login", (), headers, body)
        .await
        .unwrap()
}

async fn log_in(house: &House) -> Page {
    let reply = ask(house, &OWN).await.expect(200).unwrap();
    let set = reply.header("set-cookie").unwrap().to_owned();
    for part in [
        "__Host-meydan_sid=",
        "; Path=/",
        "; HttpOnly",
        "; SameSite=Lax",
        "; Secure",
    ] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Domain"), "{set}");
    assert!(reply.json["access_token"].is_null() && reply.json["refresh_token"].is_null());
    let text = |name: &str| reply.json[name].as_str().unwrap().to_owned();
    Page {
        cookie: set.split(';').next().unwrap().to_owned(),
        csrf_token: text("csrf_token"),
        device: text("device_id"),
    }
}

impl Page {
    async fn call(&self, house: &House, method: &str, path: &str, body: Option<Value>) -> Reply {
        let headers = [
            ("cookie", self.cookie.as_str()),
            ("sec-fetch-site", "same-origin"),
            ("x-csrf-token", self.csrf_token.as_str()),
        ];
        call_with(&house.router, method, path, (), &headers, body)
            .await
            .unwrap()
    }

    async fn is_in(&self, house: &House) -> bool {
        self.call(house, "GET", "/v1/users/@me", None).await.status == 200
    }
}

#[tokio::test]
async fn s13_a_foreign_page_cannot_log_its_visitor_in() {
    let house = House::new().await;
    house.register("ayse").await;
    for (headers, expected) in [
        (&[("sec-fetch-site", "same-origin")][..], 200),
        (&[("origin", "https://meydan.test")], 200),
        (&[], 403),
        (&[("sec-fetch-site", "cross-site")], 403),
        (&[("sec-fetch-site", "same-site")], 403),
        (&[("origin", "https://evil.test")], 403),
        (&[("origin", "null")], 403),
        (
            &[
                ("sec-fetch-site", "cross-site"),
                ("origin", "https://meydan.test"),
            ],
            403,
        ),
    ] {
        let reply = ask(&house, headers).await;
        assert_eq!(reply.status.as_u16(), expected, "{headers:?}");
        assert_eq!(reply.header("set-cookie").is_some(), expected == 200);
        if expected == 403 {
            assert_eq!(reply.json["code"], "CSRF_FAILED");
        }
    }
    // Tokens are handed to the page that asks, so nobody is logged in behind anybody's back.
    let body = json!({ "identifier": "ayse", "password": PASSWORD });
    let foreign = [("sec-fetch-site", "cross-site")];
    let reply = call_with(&house.router, "POST", "/v1/auth/login", (), &foreign, body)
        .await
        .unwrap();
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn a_page_acts_by_its_cookie_and_reads_its_csrf_token_again() {
    let house = House::new().await;
    house.register("ayse").await;
    let page = log_in(&house).await;
    assert!(page.is_in(&house).await);
    let again = page.call(&house, "GET", "/v1/auth/csrf", None).await;
    assert_eq!(again.json["csrf_token"], page.csrf_token);
    let keys = RootKeys::derive(&secret(ROOT)).unwrap();
    let value = page.cookie.split_once('=').unwrap().1;
    assert_eq!(keys.csrf_token(value), page.csrf_token);
    let list = page
        .call(&house, "GET", "/v1/users/@me/devices", None)
        .await;
    let own = list.json["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|device| device["current"] == true)
        .unwrap();
    assert_eq!(
        (&own["id"], &own["kind"]),
        (&json!(page.device), &json!("browser"))
    );
}

#[tokio::test]
async fn a_proof_of_who_one_is_voids_the_cookie_before_it_at_once() {
    let house = House::new().await;
    house.register("ayse").await;
    let page = log_in(&house).await;
    // The node knows the cookie, and remembers it.
    assert!(page.is_in(&house).await);
    let body = json!({ "method": "password", "password": PASSWORD });
    let reply = page
        .call(&house, "POST", "/v1/auth/step-up", Some(body))
        .await
        .expect(200)
        .unwrap();
    house.announced().await;
    assert!(!page.is_in(&house).await);
    let set = reply.header("set-cookie").unwrap();
    let renewed = Page {
        cookie: set.split(';').next().unwrap().to_owned(),
        csrf_token: reply.json["csrf_token"].as_str().unwrap().to_owned(),
        device: page.device,
    };
    assert!(renewed.is_in(&house).await);
}

#[tokio::test]
async fn a_page_logs_out_and_its_cookie_is_dropped() {
    let house = House::new().await;
    house.register("ayse").await;
    for path in ["/v1/auth/logout", "/v1/auth/logout-all"] {
        let page = log_in(&house).await;
        assert!(page.is_in(&house).await);
        let reply = page.call(&house, "POST", path, None).await;
        assert_eq!(reply.status, 204, "{path}");
        let set = reply.header("set-cookie").unwrap();
        assert!(
            set.starts_with("__Host-meydan_sid=;") && set.contains("Max-Age=0"),
            "{set}"
        );
        house.announced().await;
        assert!(!page.is_in(&house).await, "{path}");
        let again = page.call(&house, "POST", path, None).await;
        assert_eq!(again.status, 401, "{path}");
    }
}

#[tokio::test]
async fn s13_a_foreign_page_cannot_log_its_visitor_out() {
    let house = House::new().await;
    house.register("ayse").await;
    let page = log_in(&house).await;
    for headers in [
        [
            ("cookie", page.cookie.as_str()),
            ("sec-fetch-site", "cross-site"),
        ],
        [
            ("cookie", page.cookie.as_str()),
            ("sec-fetch-site", "same-origin"),
        ],
    ] {
        let reply = call_with(&house.router, "POST", "/v1/auth/logout", (), &headers, None)
            .await
            .unwrap();
        assert_eq!(
            (reply.status.as_u16(), &reply.json["code"]),
            (403, &json!("CSRF_FAILED"))
        );
    }
    assert!(page.is_in(&house).await);
}

#[tokio::test]
async fn a_ticket_of_a_page_opens_one_socket() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let page = log_in(&house).await;
    let reply = page.call(&house, "POST", "/v1/auth/ws-tickets", None).await;
    let ticket = reply.expect(201).unwrap().json["ticket"]
        .as_str()
        .unwrap()
        .to_owned();
    let many = (0..10).map(|_| house.verifier.ticket(&ticket));
    let verdicts = futures::future::join_all(many).await;
    let opened: Vec<UserId> = verdicts
        .into_iter()
        .filter_map(Result::ok)
        .map(|verified| verified.caller.user)
        .collect();
    assert_eq!(opened, [ayse.user.parse().unwrap()]);
}
