//! Logging in with one-time passwords.

use std::sync::Arc;

use contracts::Auth as _;
use contracts::identity::{From, SendOtp, VerifyOtp};
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

fn from() -> From {
    From {
        ip: "198.51.100.7".parse().unwrap(),
        user_agent: None,
    }
}

fn send_otp(number: &str) -> SendOtp {
    SendOtp {
        phone_number: number.to_owned(),
        locale: None,
        from: from(),
    }
}

fn verify_otp(code: &str, handle: Option<&str>, second: Option<&str>) -> VerifyOtp {
    VerifyOtp {
        phone_number: PHONE.to_owned(),
        handle: handle.map(str::to_owned),
        otp_code: code.to_owned(),
        second_factor: second.map(str::to_owned),
        device_name: Some("Telefon".to_owned()),
        device_type: Some("toaster".to_owned()),
        push_notification_token: Some(String::new()),
        from: from(),
    }
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
    let (house, post) = house().await;
    house.register("ayse").await;
    house.prove_email("ayse").await;
    house.register("squatter").await;
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
async fn the_seeds_calls_work_with_their_first_fields_alone() {
    let (house, post) = house().await;
    let identity = &house.identity;
    let sent = identity.send_otp(send_otp(PHONE)).await.unwrap();
    assert_eq!(sent.resend_after_seconds, 60);
    let text = post.next().await;
    assert!(text.text().contains("kodu"), "{}", text.text());
    let pair = identity
        .verify_otp(verify_otp(&text.code(), None, None))
        .await
        .unwrap();
    assert!(pair.is_new_user);
    let ip = from().ip;
    let valid = async |token: &str| {
        contracts::Auth::validate(&**identity, token, ip)
            .await
            .unwrap()
    };
    assert_eq!(valid(&pair.access_token).await, Some(pair.user));
    assert_eq!(valid(&pair.refresh_token).await, None);
    let next = contracts::Auth::refresh(&*house.identity, &pair.refresh_token, None)
        .await
        .unwrap();
    assert!(!next.is_new_user && next.user == pair.user);
    let wrong_kind = contracts::Auth::refresh(&*house.identity, &pair.access_token, None).await;
    assert_eq!(wrong_kind.unwrap_err().row.code, "REFRESH_INVALID");
    for _ in 0..2 {
        house
            .identity
            .revoke_current_device(&next.refresh_token)
            .await
            .unwrap();
    }
    let gone = contracts::Auth::refresh(&*house.identity, &next.refresh_token, None).await;
    assert_eq!(gone.unwrap_err().row.code, "REFRESH_INVALID");
}

#[tokio::test]
async fn the_newest_code_of_a_number_is_meant_without_a_handle() {
    let (house, post) = house().await;
    let identity = &house.identity;
    let older = identity.send_otp(send_otp(PHONE)).await.unwrap();
    let old_code = post.next().await.code();
    house.wait(60);
    identity.send_otp(send_otp(PHONE)).await.unwrap();
    let new_code = post.next().await.code();
    let reply = identity.verify_otp(verify_otp(&old_code, None, None)).await;
    assert_eq!(reply.unwrap_err().row.code, "OTP_INVALID");
    let mut elsewhere = verify_otp(&old_code, Some(&older.handle), None);
    elsewhere.phone_number = "+905331234567".to_owned();
    let reply = identity.verify_otp(elsewhere).await;
    assert_eq!(reply.unwrap_err().row.code, "OTP_INVALID");
    let by_handle = verify_otp(&old_code, Some(&older.handle), None);
    identity.verify_otp(by_handle).await.unwrap();
    let pair = identity
        .verify_otp(verify_otp(&new_code, Some(""), None))
        .await
        .unwrap();
    assert!(!pair.is_new_user);
    identity
        .log_out_everywhere(&pair.access_token)
        .await
        .unwrap();
    assert_eq!(house.announced().await.len(), 2);
    let dead = identity.log_out_everywhere(&pair.access_token).await;
    assert_eq!(dead.unwrap_err().row.code, "UNAUTHENTICATED");
}

#[tokio::test]
async fn both_factors_come_in_one_call_and_neither_is_used_up_alone() {
    let (house, post) = house().await;
    let me = Session::of(&house.log_in_by_phone(&post, PHONE).await);
    let app = house.turn_totp_on(&me).await;
    house.wait(60);
    let identity = &house.identity;
    identity.send_otp(send_otp(PHONE)).await.unwrap();
    let code = post.next().await.code();
    for _ in 0..2 {
        let reply = identity.verify_otp(verify_otp(&code, None, None)).await;
        let failure = reply.unwrap_err();
        assert_eq!(failure.row.code, "SECOND_FACTOR_REQUIRED");
        assert_eq!(failure.extra["mfa_token"], "");
    }
    let counted =
        "SELECT sum(attempts)::bigint FROM identity.otp_challenges WHERE consumed_at IS NULL";
    assert_eq!(house.count(counted).await, 2);
    let failures = "SELECT sum(failures)::bigint FROM identity.otp_targets";
    assert_eq!(house.count(failures).await, 0);
    let tokens = "SELECT count(*) FROM identity.one_time_tokens";
    assert_eq!(house.count(tokens).await, 0);
    // A wrong second factor leaves the code good too, but counts as a failure.
    let wrong = app.wrong_code(&house);
    let reply = identity
        .verify_otp(verify_otp(&code, None, Some(&wrong)))
        .await;
    assert_eq!(reply.unwrap_err().row.code, "SECOND_FACTOR_INVALID");
    assert_eq!(house.count(failures).await, 1);
    // Many at once make one device.
    let right = app.code(&house);
    let tries = (0..2).map(|_| identity.verify_otp(verify_otp(&code, None, Some(&right))));
    let pairs = futures::future::join_all(tries).await;
    assert_eq!(pairs.iter().filter(|pair| pair.is_ok()).count(), 1);
    // The device that set the app up proved both as well.
    let both = "SELECT count(*) FROM identity.user_devices WHERE amr = '{otp,totp}'";
    assert_eq!(house.count(both).await, 2);
    let again = identity
        .verify_otp(verify_otp(&code, None, Some(&app.next_code(&house))))
        .await;
    assert_eq!(again.unwrap_err().row.code, "OTP_INVALID");

    // Over REST the code is used up, and another request brings the second factor.
    house.wait(60);
    let sent = handle(&house.ask_by_phone(PHONE).await);
    let code = post.next().await.code();
    let waiting = house.try_code(&sent, &code).await;
    assert_eq!(refusal(&waiting), (401, "SECOND_FACTOR_REQUIRED"));
    let again = house.try_code(&sent, &code).await;
    assert_eq!(refusal(&again), (401, "OTP_INVALID"));
    let token = waiting.json["mfa_token"].as_str().unwrap();
    let reply = house
        .finish_login(token, "totp", &app.next_code(&house))
        .await;
    reply.expect(200).unwrap();
}

#[tokio::test]
async fn a_number_with_a_pin_is_locked_in_one_call_too() {
    let (house, post) = house().await;
    let me = Session::of(&house.log_in_by_phone(&post, PHONE).await);
    let path = "/v1/users/@me/registration-lock";
    let pin = json!({"pin": "271828"});
    let set = house.call("PUT", path, &me.access, pin).await;
    set.expect(204).unwrap();
    house.wait(60);
    let identity = &house.identity;
    identity.send_otp(send_otp(PHONE)).await.unwrap();
    let code = post.next().await.code();
    let reply = identity.verify_otp(verify_otp(&code, None, None)).await;
    let failure = reply.unwrap_err();
    assert_eq!(failure.row.code, "REGISTRATION_LOCKED");
    let told = house.events("identity.registration_lock_waiting.v1").await;
    assert_eq!(told.len(), 1, "the wait for a lost PIN began");
    let pair = identity
        .verify_otp(verify_otp(&code, None, Some("271828")))
        .await
        .unwrap();
    assert_eq!(pair.user.to_string(), me.user);
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
