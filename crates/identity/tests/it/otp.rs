//! Logging in with one-time passwords.

use std::sync::Arc;

use identity::{DevCode, Senders};
use serde_json::{Value, json};
use testkit::http::Reply;

use crate::harness::{House, Session, refusal, settings};
use crate::post::{COMPANY_CODE, Message, PHONE, Post};

pub(crate) async fn house() -> (House, Arc<Post>) {
    let post = Post::new();
    (House::sending(settings(), post.senders()).await, post)
}

impl House {
    pub(crate) async fn ask_by_phone(&self, number: &str) -> Reply {
        let body = json!({"channel": "sms", "phone_number": number, "purpose": "login"});
        self.post("/v1/auth/otp", body).await
    }

    pub(crate) async fn ask_by_email(&self, email: &str) -> Reply {
        let body = json!({"channel": "email", "email": email, "purpose": "login"});
        self.post("/v1/auth/otp", body).await
    }

    pub(crate) async fn try_code(&self, handle: &str, code: &str) -> Reply {
        let body = json!({"handle": handle, "otp_code": code});
        self.post("/v1/auth/otp/verify", body).await
    }

    /// Logs in by phone, from the first request to the tokens.
    pub(crate) async fn log_in_by_phone(&self, post: &Post, number: &str) -> Reply {
        let handle = handle(&self.ask_by_phone(number).await);
        let code = post.next().await.code();
        self.try_code(&handle, &code).await.expect(200).unwrap()
    }

    /// Notes that somebody's address was proved.
    pub(crate) async fn prove_email(&self, name: &str) {
        self.script(&format!(
            "UPDATE identity.users SET email_verified_at = now() WHERE username = '{name}'"
        ))
        .await;
    }
}

/// The handle of a code that was sent.
pub(crate) fn handle(reply: &Reply) -> String {
    assert_eq!(reply.status, 202, "{}", reply.json);
    reply.json["handle"].as_str().unwrap().to_owned()
}

/// A code that is not `code`.
pub(crate) fn wrong(code: &str) -> &'static str {
    if code == "111111" { "222222" } else { "111111" }
}

#[tokio::test]
async fn an_unknown_number_gets_an_account_and_a_known_one_its_own() {
    let (house, post) = house().await;
    let sent = house.ask_by_phone("0532 123 45 67").await;
    assert_eq!(sent.json["resend_after_seconds"], 60);
    assert_eq!(sent.json["expires_in"], 300);
    let text = post.next().await;
    let Message::Text(sms) = &text else {
        panic!("{text:?}");
    };
    assert_eq!(sms.to, PHONE);
    let first = house.try_code(&handle(&sent), &text.code()).await;
    assert_eq!(first.json["is_new_user"], true);
    let me = Session::of(&first);
    let profile = house.get("/v1/users/@me", &me.access).await;
    assert_eq!(profile.json["phone_number"], PHONE);
    assert_eq!(profile.json["phone_verified"], true);
    let username = profile.json["username"].as_str().unwrap();
    assert!(username.starts_with('u') && profile.json["display_name"] == username);

    house.wait(60);
    let second = house.log_in_by_phone(&post, PHONE).await;
    assert_eq!(second.json["is_new_user"], false);
    assert_eq!(Session::of(&second).user, me.user);
    let devices = house.get("/v1/users/@me/devices", &me.access).await;
    assert_eq!(devices.json["items"][0]["amr"], json!(["otp"]));
    let kinds = house.event_kinds().await;
    let device = "identity.device_created.v1";
    assert_eq!(kinds, ["identity.user_created.v1", device, device]);
}

#[tokio::test]
async fn a_code_works_once_and_five_minutes() {
    let (house, post) = house().await;
    let sent = handle(&house.ask_by_phone(PHONE).await);
    let code = post.next().await.code();
    house.wait(299);
    house.try_code(&sent, &code).await.expect(200).unwrap();
    let again = house.try_code(&sent, &code).await;
    assert_eq!(refusal(&again), (401, "OTP_INVALID"));

    let sent = handle(&house.ask_by_phone(PHONE).await);
    let code = post.next().await.code();
    house.wait(300);
    let late = house.try_code(&sent, &code).await;
    assert_eq!(refusal(&late), (401, "OTP_INVALID"));
}

#[tokio::test]
async fn one_code_used_by_many_at_once_logs_one_in() {
    let (house, post) = house().await;
    let sent = handle(&house.ask_by_phone(PHONE).await);
    let code = post.next().await.code();
    let tries = (0..5).map(|_| house.try_code(&sent, &code));
    let replies = futures::future::join_all(tries).await;
    let good = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(good, 1);
    assert_eq!(house.count("SELECT count(*) FROM identity.users").await, 1);
}

#[tokio::test]
async fn codes_of_two_requests_make_one_account() {
    let (house, post) = house().await;
    let first = handle(&house.ask_by_phone(PHONE).await);
    let first_code = post.next().await.code();
    house.wait(60);
    let second = handle(&house.ask_by_phone(PHONE).await);
    let second_code = post.next().await.code();
    let (one, two) = futures::future::join(
        house.try_code(&first, &first_code),
        house.try_code(&second, &second_code),
    )
    .await;
    assert_eq!(Session::of(&one).user, Session::of(&two).user);
    assert_ne!(one.json["is_new_user"], two.json["is_new_user"]);
}

#[tokio::test]
async fn wrong_unknown_foreign_and_malformed_codes_share_one_answer() {
    let (house, post) = house().await;
    let mine = handle(&house.ask_by_phone(PHONE).await);
    let code = post.next().await.code();
    let theirs = handle(&house.ask_by_phone("+905331234567").await);
    let their_code = post.next().await.code();
    for (handle, tried) in [
        (&mine, wrong(&code)),
        (&mine, "12345"),
        (&mine, "1234567"),
        (&mine, "12345x"),
        (&mine, ""),
        (&theirs, &code),
        (&mine, &their_code),
        (&"nobody".to_owned(), &code),
        (&"\0".to_owned(), &code),
    ] {
        if tried == code && handle == &mine || tried == their_code && handle == &theirs {
            continue;
        }
        let reply = house.try_code(handle, tried).await;
        assert_eq!(refusal(&reply), (401, "OTP_INVALID"), "{tried:?}");
    }
    house
        .try_code(&mine, &format!(" {code} "))
        .await
        .expect(200)
        .unwrap();
}

#[tokio::test]
async fn a_code_by_mail_reaches_proved_addresses_only_and_nobody_notices() {
    let (house, post) = crate::links::proving().await;
    house.join(&post, "ayse").await;
    house.join(&post, "squatter").await;
    house.unprove("squatter").await;
    let known = house.ask_by_email("Ayse@Example.com").await;
    let unknown = house.ask_by_email("nobody@example.com").await;
    let unproved = house.ask_by_email("squatter@example.com").await;
    for reply in [&known, &unknown, &unproved] {
        handle(reply);
        assert_eq!(reply.json["resend_after_seconds"], 60);
        assert_eq!(reply.json["expires_in"], 300);
    }
    let Message::Letter(letter) = post.next().await else {
        panic!("no letter");
    };
    assert_eq!(letter.to, "Ayse@Example.com");
    // Messages arrive in order, so nothing was sent between these two.
    house.ask_by_phone(PHONE).await;
    assert!(matches!(post.next().await, Message::Text(_)));
    let code = Message::Letter(letter).code();
    let reply = house.try_code(&handle(&known), &code).await;
    assert_eq!(reply.json["is_new_user"], false);
    for other in [&unknown, &unproved] {
        let reply = house.try_code(&handle(other), &code).await;
        assert_eq!(refusal(&reply), (401, "OTP_INVALID"));
    }
    let stored = "SELECT count(*) FROM identity.otp_challenges WHERE channel = 'email'";
    assert_eq!(house.count(stored).await, 3);
}

#[tokio::test]
async fn s9_known_and_unknown_targets_cost_the_same_statements() {
    let (house, post) = house().await;
    house.register("ayse").await;
    house.prove_email("ayse").await;
    // One row of a budget, one challenge with its code and its sealed address: also for nobody.
    for email in ["ayse@example.com", "nobody@example.com"] {
        house.ask_by_email(email).await;
    }
    let whole = "SELECT count(*) FROM identity.otp_challenges
                  WHERE code_mac IS NOT NULL AND target_enc IS NOT NULL AND user_id IS NULL";
    assert_eq!(house.count(whole).await, 2);
    assert_eq!(
        house
            .count("SELECT count(*) FROM identity.otp_targets")
            .await,
        2
    );
    // And the second wish is refused for both.
    for email in ["ayse@example.com", "nobody@example.com"] {
        let reply = house.ask_by_email(email).await;
        assert_eq!(refusal(&reply), (429, "RATE_LIMITED"));
        assert_eq!(reply.headers["retry-after"], "60");
    }
    drop(post);
}

#[tokio::test]
async fn the_account_chooses_the_language_unless_the_request_does() {
    let (house, post) = house().await;
    house.log_in_by_phone(&post, PHONE).await;
    house
        .script("UPDATE identity.users SET locale = 'tr'")
        .await;
    let asked = |number: &'static str, locale: Value| json!({"channel": "sms", "phone_number": number, "purpose": "login", "locale": locale});
    for (number, locale, word) in [
        (PHONE, Value::Null, "kodu"),
        (PHONE, json!("en"), "code"),
        ("+905331234567", Value::Null, "code"),
        ("+905341234567", json!("tr"), "kodu"),
    ] {
        house.wait(60);
        handle(&house.post("/v1/auth/otp", asked(number, locale)).await);
        assert!(post.next().await.text().contains(word), "{number}");
    }
    let reply = house.post("/v1/auth/otp", asked(PHONE, json!("xx"))).await;
    assert_eq!(refusal(&reply), (400, "INVALID_REQUEST"));
}

#[tokio::test]
async fn numbers_addresses_and_countries_are_checked() {
    let (house, _post) = house().await;
    for number in ["", "abc", "112", "+90 212 251 10 20"] {
        let reply = house.ask_by_phone(number).await;
        assert_eq!(refusal(&reply), (400, "PHONE_INVALID"), "{number}");
    }
    let reply = house.ask_by_phone("+49 1512 3456789").await;
    assert_eq!(refusal(&reply), (400, "COUNTRY_NOT_ALLOWED"));
    let reply = house.ask_by_email("no address").await;
    assert_eq!(refusal(&reply), (400, "EMAIL_INVALID"));
    for (channel, code) in [("sms", "PHONE_INVALID"), ("email", "EMAIL_INVALID")] {
        let body = json!({"channel": channel, "purpose": "login"});
        let reply = house.post("/v1/auth/otp", body).await;
        assert_eq!(refusal(&reply), (400, code));
    }
    for purpose in ["verify_contact", "step_up"] {
        let body = json!({"channel": "sms", "phone_number": PHONE, "purpose": purpose});
        let reply = house.post("/v1/auth/otp", body).await;
        assert_eq!(refusal(&reply), (401, "UNAUTHENTICATED"));
    }
}

#[tokio::test]
async fn without_a_provider_nothing_is_offered_but_the_code_of_development() {
    let none = House::new().await;
    let reply = none.ask_by_phone(PHONE).await;
    assert_eq!(refusal(&reply), (503, "CHANNEL_UNAVAILABLE"));
    assert_eq!(reply.headers["retry-after"], "60");
    let mut settings = settings();
    settings.otp.dev_code = DevCode::Fixed;
    let house = House::with(settings).await;
    let sent = handle(&house.ask_by_phone(PHONE).await);
    house.try_code(&sent, "123456").await.expect(200).unwrap();
    let sent = handle(&house.ask_by_phone("+905331234567").await);
    let reply = house.try_code(&sent, "654321").await;
    assert_eq!(refusal(&reply), (401, "OTP_INVALID"));
}

#[tokio::test]
async fn a_company_that_checks_codes_stands_behind_our_counters() {
    let post = Post::new();
    let senders = Senders {
        verify: Some(post.clone()),
        ..post.senders()
    };
    let house = House::sending(settings(), senders).await;
    let sent = handle(&house.ask_by_phone(PHONE).await);
    let asked = post.next().await;
    assert_eq!(asked, Message::Code(PHONE.to_owned(), "en".to_owned()));
    let stored = "SELECT count(*) FROM identity.otp_challenges WHERE code_mac IS NULL";
    assert_eq!(house.count(stored).await, 1);
    let reply = house.try_code(&sent, "000000").await;
    assert_eq!(refusal(&reply), (503, "CHANNEL_UNAVAILABLE"));
    for _ in 0..3 {
        let reply = house.try_code(&sent, "111111").await;
        assert_eq!(refusal(&reply), (401, "OTP_INVALID"));
    }
    house
        .try_code(&sent, COMPANY_CODE)
        .await
        .expect(200)
        .unwrap();
    house.wait(60);
    let sent = handle(&house.ask_by_phone(PHONE).await);
    for _ in 0..5 {
        house.try_code(&sent, "111111").await;
    }
    let reply = house.try_code(&sent, COMPANY_CODE).await;
    assert_eq!(refusal(&reply), (401, "OTP_INVALID"));
}

#[tokio::test]
async fn a_disabled_account_is_not_told_from_a_wrong_code() {
    let (house, post) = house().await;
    house.log_in_by_phone(&post, PHONE).await;
    house
        .script("UPDATE identity.users SET state = 'disabled'")
        .await;
    house.wait(60);
    let sent = handle(&house.ask_by_phone(PHONE).await);
    let code = post.next().await.code();
    let reply = house.try_code(&sent, &code).await;
    assert_eq!(refusal(&reply), (401, "OTP_INVALID"));
}

#[tokio::test]
async fn codes_and_numbers_are_nowhere_in_clear() {
    let (house, post) = house().await;
    let sent = handle(&house.ask_by_phone(PHONE).await);
    let code = post.next().await.code();
    const ROWS: db::Sql = db::Sql::new(
        "identity.test_otp_rows",
        "SELECT c::text || t::text FROM identity.otp_challenges c, identity.otp_targets t",
    );
    let rows: Vec<String> = ROWS.scalars(&house.admin).await.unwrap();
    for row in rows {
        for secret in [&sent, &code, "5321234567"] {
            assert!(!row.contains(secret), "{secret} in {row}");
        }
    }
}
