//! Changing one's number and address, and proving again who one is.

use serde_json::{Value, json};
use testkit::http::Reply;

use crate::harness::{House, PASSWORD, Session, refusal};
use crate::otp::{handle, house, wrong};
use crate::post::{Message, PHONE, Post};

impl House {
    /// Asks for a code that shows that a contact is the caller's.
    async fn ask_for(&self, access: &str, purpose: &str, to: &str) -> Reply {
        let (channel, name) = if to.contains('@') {
            ("email", "email")
        } else {
            ("sms", "phone_number")
        };
        let body = json!({"channel": channel, name: to, "purpose": purpose});
        self.call("POST", "/v1/auth/otp", access, body).await
    }

    async fn replace(&self, access: &str, what: &str, handle: &str, code: &str) -> Reply {
        let body = json!({"handle": handle, "otp_code": code});
        let path = format!("/v1/users/@me/{what}");
        self.call("PUT", &path, access, body).await
    }

    /// Replaces a number or address, from the code to the answer.
    async fn change(&self, post: &Post, access: &str, what: &str, to: &str) -> Reply {
        let sent = handle(&self.ask_for(access, "verify_contact", to).await);
        let code = post.next().await.code();
        self.replace(access, what, &sent, &code).await
    }

    async fn step_up(&self, access: &str, body: Value) -> Reply {
        self.call("POST", "/v1/auth/step-up", access, body).await
    }
}

#[tokio::test]
async fn a_contact_is_replaced_by_one_that_was_proved_and_the_old_one_is_told() {
    let (house, post) = house().await;
    let me = house.register("ayse").await;
    let reply = house
        .change(&post, &me.access, "phone", "0532 123 45 67")
        .await;
    assert_eq!(reply.status, 204, "{}", reply.json);
    let told = post.next().await;
    assert_eq!(told.to(), "ayse@example.com");
    let other = "+905331234567";
    house.change(&post, &me.access, "phone", other).await;
    let told = [post.next().await, post.next().await];
    let to: Vec<&str> = told.iter().map(Message::to).collect();
    assert!(
        to.contains(&"ayse@example.com") && to.contains(&PHONE),
        "{to:?}"
    );
    let reply = house
        .change(&post, &me.access, "email", "Yeni@Example.com")
        .await;
    assert_eq!(reply.status, 204);
    assert_eq!(post.next().await.to(), "ayse@example.com");
    let now = house.get("/v1/users/@me", &me.access).await;
    assert_eq!(now.json["phone_number"], other);
    assert_eq!(now.json["email"], "Yeni@Example.com");
    assert_eq!(now.json["email_verified"], true);
    assert_eq!(now.json["version"], 4);
    let fields = house.events("identity.user_updated.v1").await;
    assert_eq!(fields[0]["fields"], json!(["phone_number"]));
    assert_eq!(fields[2]["fields"], json!(["email"]));
    let body = json!({"identifier": "yeni@example.com", "password": PASSWORD});
    house
        .post("/v1/auth/login", body)
        .await
        .expect(200)
        .unwrap();
}

#[tokio::test]
async fn a_code_counts_for_its_caller_purpose_and_channel_only() {
    let (house, post) = house().await;
    let me = house.register("ayse").await;
    let other = house.register("fatma").await;
    let sent = handle(&house.ask_for(&me.access, "verify_contact", PHONE).await);
    let code = post.next().await.code();
    for (access, what, tried) in [
        (&other.access, "phone", code.as_str()),
        (&me.access, "email", &code),
        (&me.access, "phone", wrong(&code)),
    ] {
        let reply = house.replace(access, what, &sent, tried).await;
        assert_eq!(refusal(&reply), (401, "OTP_INVALID"), "{what}");
    }
    let login = house.try_code(&sent, &code).await;
    assert_eq!(refusal(&login), (401, "OTP_INVALID"));
    let step_up = json!({"method": "otp", "handle": sent, "code": code});
    let reply = house.step_up(&me.access, step_up).await;
    assert_eq!(refusal(&reply), (401, "OTP_INVALID"));
    let reply = house.replace(&me.access, "phone", &sent, &code).await;
    assert_eq!(reply.status, 204);
}

#[tokio::test]
async fn a_contact_of_somebody_is_told_only_to_who_proved_it() {
    let (house, post) = house().await;
    house.log_in_by_phone(&post, PHONE).await;
    house.register("fatma").await;
    let me = house.register("ayse").await;
    house.wait(60);
    let reply = house.change(&post, &me.access, "phone", PHONE).await;
    assert_eq!(refusal(&reply), (409, "CONTACT_TAKEN"));
    let reply = house
        .change(&post, &me.access, "email", "FATMA@example.com")
        .await;
    assert_eq!(refusal(&reply), (409, "CONTACT_TAKEN"));
    let unchanged = house.get("/v1/users/@me", &me.access).await;
    assert_eq!(unchanged.json["version"], 1);
}

#[tokio::test]
async fn an_old_login_must_be_proved_again_first() {
    let (house, post) = house().await;
    let me = Session::of(&house.log_in_by_phone(&post, PHONE).await);
    house.wait(301);
    let sent = handle(
        &house
            .ask_for(&me.access, "verify_contact", "+905331234567")
            .await,
    );
    let code = post.next().await.code();
    let reply = house.replace(&me.access, "phone", &sent, &code).await;
    assert_eq!(refusal(&reply), (403, "STEP_UP_REQUIRED"));
    assert_eq!(reply.json["methods"], json!(["otp"]));
    // Only to the caller's own number.
    let foreign = house.ask_for(&me.access, "step_up", "+905341234567").await;
    assert_eq!(refusal(&foreign), (400, "PHONE_INVALID"));
    let mine = handle(&house.ask_for(&me.access, "step_up", PHONE).await);
    let my_code = post.next().await.code();
    let again = json!({"method": "otp", "handle": mine, "code": my_code});
    let fresh = house.step_up(&me.access, again.clone()).await;
    let fresh = fresh.expect(200).unwrap();
    assert_eq!(fresh.json["expires_in"], 900);
    let access = fresh.json["access_token"].as_str().unwrap();
    let reply = house.replace(access, "phone", &sent, &code).await;
    assert_eq!(reply.status, 204, "{}", reply.json);
    let twice = house.step_up(&me.access, again).await;
    assert_eq!(refusal(&twice), (401, "OTP_INVALID"));
}

#[tokio::test]
async fn a_login_is_proved_again_by_whatever_the_account_has() {
    let (house, post) = house().await;
    let me = house.register("ayse").await;
    let app = house.turn_totp_on(&me).await;
    house.wait(301);
    for (body, expected) in [
        (json!({"method": "password", "password": PASSWORD}), 200),
        (json!({"method": "password", "password": "no"}), 401),
        (json!({"method": "password"}), 400),
        (json!({"method": "otp", "code": "123456"}), 400),
        (
            json!({"method": "otp", "handle": "x", "code": "123456"}),
            401,
        ),
        (json!({"method": "totp"}), 400),
        (
            json!({"method": "totp", "code": app.wrong_code(&house)}),
            401,
        ),
        (json!({"method": "totp", "code": app.code(&house)}), 200),
        (json!({"method": "totp", "code": app.code(&house)}), 401),
        (json!({"method": "recovery", "code": app.recovery[0]}), 200),
        (json!({"method": "recovery", "code": app.recovery[0]}), 401),
    ] {
        let reply = house.step_up(&me.access, body.clone()).await;
        assert_eq!(reply.status, expected, "{body} {}", reply.json);
    }
    let devices = house.get("/v1/users/@me/devices", &me.access).await;
    assert_eq!(
        devices.json["items"][0]["amr"],
        json!(["pwd", "rcv", "totp"])
    );
    let nobody = house.step_up("", json!({"method": "password"})).await;
    assert_eq!(nobody.status, 401);
    drop(post);
}

#[tokio::test]
async fn a_browser_session_gets_a_new_cookie_when_it_is_proved_again() {
    let (house, _post) = house().await;
    house.register("ayse").await;
    let body = json!({"identifier": "ayse", "password": PASSWORD, "session": "cookie"});
    let own = [("sec-fetch-site", "same-origin")];
    let login = testkit::http::call_with(&house.router, "POST", "/v1/auth/login", (), &own, body)
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    let first = login.headers["set-cookie"].to_str().unwrap().to_owned();
    let cookie = first.split(['=', ';']).nth(1).unwrap();
    let hash = sha256(cookie);
    let from = contracts::identity::From {
        ip: "198.51.100.7".parse().unwrap(),
        user_agent: None,
    };
    let access = contracts::Credentials::access_for_cookie(&*house.identity, hash, &from)
        .await
        .unwrap()
        .unwrap();
    let reply = house
        .step_up(&access, json!({"method": "password", "password": PASSWORD}))
        .await;
    let reply = reply.expect(200).unwrap();
    let second = reply.headers["set-cookie"].to_str().unwrap();
    assert_ne!(first, second);
    assert!(reply.json["csrf_token"].as_str().unwrap().len() > 20);
    let old = contracts::Credentials::access_for_cookie(&*house.identity, hash, &from).await;
    assert_eq!(old.unwrap(), None);
}

fn sha256(text: &str) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().try_into().unwrap()
}
