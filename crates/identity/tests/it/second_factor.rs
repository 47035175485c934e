//! Logins of two requests.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::join_all;
use identity::Limits;
use serde_json::{Value, json};
use testkit::http::Reply;

use crate::authenticator::STEP_S;
use crate::harness::{House, PASSWORD, Session, masked, refusal, settings};

const PATH: &str = "/v1/auth/login/second-factor";
const INVALID: (u16, &str) = (401, "SECOND_FACTOR_INVALID");
const TOKEN_INVALID: (u16, &str) = (401, "MFA_TOKEN_INVALID");

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn succeeded(replies: &[Reply]) -> usize {
    replies.iter().filter(|reply| reply.status == 200).count()
}

/// All but the logins: how often each answer came.
fn refused_with(replies: &[Reply], expected: (u16, &str)) -> usize {
    let refusals = replies.iter().map(refusal);
    refusals.filter(|refusal| *refusal == expected).count()
}

#[tokio::test]
async fn the_first_factor_alone_gives_no_device() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    house.turn_totp_on(&session).await;
    let body = json!({"identifier": "ayse", "password": PASSWORD});
    let reply = house.post("/v1/auth/login", body).await;
    assert_eq!(refusal(&reply), (401, "SECOND_FACTOR_REQUIRED"));
    assert_eq!(reply.json["methods"], json!(["totp", "recovery"]));
    assert_eq!(reply.json["mfa_token"].as_str().unwrap().len(), 43);
    let devices = "SELECT count(*) FROM identity.user_devices";
    assert_eq!(house.count(devices).await, 1);
    // A wrong password is not told apart from one of an account without a second factor.
    let wrong = json!({"identifier": "ayse", "password": "not the password"});
    let reply = house.post("/v1/auth/login", wrong).await;
    assert_eq!(refusal(&reply), (401, "INVALID_CREDENTIALS"));
}

#[tokio::test]
async fn both_factors_stand_in_the_token_and_in_the_device_list() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let app = house.turn_totp_on(&session).await;
    let reply = house
        .log_in_with("ayse", "totp", &app.next_code(&house))
        .await;
    let login = Session::of(&reply.expect(200).unwrap());
    let access = claims(&login.access);
    assert_eq!(access["amr"], json!(["pwd", "totp"]));
    assert_eq!(access["acr"], "aal2");
    let devices = house.get("/v1/users/@me/devices", &login.access).await;
    let device = &devices.json["items"][0];
    assert_eq!(device["id"], login.device.as_str());
    assert_eq!(device["amr"], json!(["pwd", "totp"]));
    // S7: the refresh token of this path is single use, too.
    let refreshed = house.refresh(&login.refresh, None).await;
    refreshed.expect(200).unwrap();
    let again = house.refresh(&login.refresh, None).await;
    assert_eq!(refusal(&again), (401, "REFRESH_ROTATED"));
}

#[tokio::test]
async fn a_page_gets_its_cookie_after_the_second_factor_only() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let app = house.turn_totp_on(&session).await;
    let first = json!({"identifier": "ayse", "password": PASSWORD, "session": "cookie"});
    let reply = house.post("/v1/auth/login", first).await;
    assert_eq!(reply.header("set-cookie"), None);
    let body = json!({
        "mfa_token": reply.json["mfa_token"], "method": "totp", "session": "cookie",
        "code": app.next_code(&house),
    });
    let own = [("sec-fetch-site", "same-origin")];
    let reply = house.call_with("POST", PATH, "", &own, body).await;
    let reply = reply.expect(200).unwrap();
    assert!(reply.header("set-cookie").is_some());
    assert_eq!(reply.json["access_token"], Value::Null);
}

#[tokio::test]
async fn s8_a_code_works_once() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let app = house.turn_totp_on(&session).await;
    let code = app.next_code(&house);
    let first = house.log_in_with("ayse", "totp", &code).await;
    first.expect(200).unwrap();
    let second = house.log_in_with("ayse", "totp", &code).await;
    assert_eq!(refusal(&second), INVALID);
    // Nor does one that was shown before it.
    house.wait(STEP_S);
    let older = house.log_in_with("ayse", "totp", &code).await;
    assert_eq!(refusal(&older), INVALID);
    let newer = house.log_in_with("ayse", "totp", &app.code(&house)).await;
    newer.expect(200).unwrap();
}

#[tokio::test]
async fn s8_the_code_of_the_set_up_logs_nobody_in() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let app = house.turn_totp_on(&session).await;
    let reply = house.log_in_with("ayse", "totp", &app.code(&house)).await;
    assert_eq!(refusal(&reply), INVALID);
}

#[tokio::test]
async fn s8_twenty_logins_at_once_with_one_code_give_one() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let app = house.turn_totp_on(&session).await;
    let mut tokens = Vec::new();
    for _ in 0..20 {
        tokens.push(house.begin_login("ayse").await);
    }
    let code = app.next_code(&house);
    let logins = tokens
        .iter()
        .map(|token| house.finish_login(token, "totp", &code));
    let replies = join_all(logins).await;
    assert_eq!(succeeded(&replies), 1);
    assert_eq!(refused_with(&replies, INVALID), 19);
}

#[tokio::test]
async fn one_token_gives_one_login_however_many_factors_are_right() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let app = house.turn_totp_on(&session).await;
    let token = house.begin_login("ayse").await;
    let logins = app.recovery.iter().take(5);
    let logins = logins.map(|code| house.finish_login(&token, "recovery", code));
    let replies = join_all(logins).await;
    assert_eq!(succeeded(&replies), 1);
    assert_eq!(refused_with(&replies, TOKEN_INVALID), 4);
    // The factors of the others were not used up.
    let used = "SELECT count(*) FROM identity.recovery_codes WHERE used_at IS NOT NULL";
    assert_eq!(house.count(used).await, 1);
}

#[tokio::test]
async fn s5_fifty_guesses_at_one_token_judge_five() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let app = house.turn_totp_on(&session).await;
    let token = house.begin_login("ayse").await;
    let wrong = app.wrong_code(&house);
    let guesses = (0..50).map(|_| house.finish_login(&token, "totp", &wrong));
    let replies = join_all(guesses).await;
    assert_eq!(refused_with(&replies, INVALID), 5);
    assert_eq!(refused_with(&replies, TOKEN_INVALID), 45);
    // Not even the right code helps now; a new login does.
    let code = app.next_code(&house);
    let late = house.finish_login(&token, "totp", &code).await;
    assert_eq!(refusal(&late), TOKEN_INVALID);
    let anew = house.log_in_with("ayse", "totp", &code).await;
    anew.expect(200).unwrap();
}

#[tokio::test]
async fn the_fifth_attempt_may_be_the_right_one() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let app = house.turn_totp_on(&session).await;
    let token = house.begin_login("ayse").await;
    for _ in 0..4 {
        let wrong = app.wrong_code(&house);
        let reply = house.finish_login(&token, "totp", &wrong).await;
        assert_eq!(refusal(&reply), INVALID);
    }
    let code = app.next_code(&house);
    let reply = house.finish_login(&token, "totp", &code).await;
    reply.expect(200).unwrap();
}

#[tokio::test]
async fn unknown_used_and_late_tokens_get_one_answer() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let app = house.turn_totp_on(&session).await;
    let used = house.begin_login("ayse").await;
    let code = app.next_code(&house);
    house.finish_login(&used, "totp", &code).await;
    let in_time = house.begin_login("ayse").await;
    let late = house.begin_login("ayse").await;
    let mut answers = Vec::new();
    for token in [used.as_str(), "no such token", "", "\0"] {
        let reply = house.finish_login(token, "totp", "123456").await;
        answers.push((reply.status, masked(reply.json)));
    }
    house.wait(299);
    let code = app.code(&house);
    let reply = house.finish_login(&in_time, "totp", &code).await;
    reply.expect(200).unwrap();
    house.wait(1);
    let reply = house.finish_login(&late, "totp", &code).await;
    assert_eq!(refusal(&reply), TOKEN_INVALID);
    answers.push((reply.status, masked(reply.json)));
    let alike = answers.iter().all(|answer| answer == &answers[0]);
    assert!(alike, "{answers:#?}");
}

#[tokio::test]
async fn factors_of_others_and_of_other_kinds_do_not_fit() {
    let house = House::new().await;
    let (ayse, fatma) = (house.register("ayse").await, house.register("fatma").await);
    let ayses = house.turn_totp_on(&ayse).await;
    let fatmas = house.turn_totp_on(&fatma).await;
    let code = fatmas.next_code(&house);
    let right = ayses.code(&house);
    for (method, code) in [
        ("totp", code.as_str()),
        ("totp", ""),
        ("totp", &ayses.recovery[0]),
        ("recovery", &fatmas.recovery[0]),
        ("recovery", &right),
        ("recovery", ""),
        // A PIN guards logins by number; after a password it proves nothing new.
        ("pin", "135790"),
    ] {
        let reply = house.log_in_with("ayse", method, code).await;
        assert_eq!(refusal(&reply), INVALID, "{method} {code}");
    }
    let reply = house.log_in_with("ayse", "totp", &right).await;
    reply.expect(200).unwrap();
}

#[tokio::test]
async fn bad_bodies_are_refused() {
    let house = House::new().await;
    for body in [
        json!({}),
        json!({"mfa_token": "x", "method": "totp"}),
        json!({"mfa_token": "x", "method": "otp", "code": "123456"}),
        json!({"mfa_token": "x", "method": "totp", "code": 123_456}),
        json!({"mfa_token": "x", "method": "totp", "code": "123456", "extra": 1}),
        json!({"mfa_token": "x", "method": "totp", "code": "123456", "device": {"device_name": "x".repeat(101)}}),
    ] {
        let reply = house.post(PATH, body.clone()).await;
        assert_eq!(refusal(&reply), (400, "INVALID_REQUEST"), "{body}");
    }
}

#[tokio::test]
async fn a_login_that_waits_ends_with_the_account_and_with_the_password() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let app = house.turn_totp_on(&session).await;
    let (one, two) = (
        house.begin_login("ayse").await,
        house.begin_login("ayse").await,
    );
    house
        .script("UPDATE identity.users SET state = 'disabled'")
        .await;
    let code = app.next_code(&house);
    let reply = house.finish_login(&one, "totp", &code).await;
    assert_eq!(refusal(&reply), TOKEN_INVALID);
    house
        .script("UPDATE identity.users SET state = 'active'")
        .await;
    let change = json!({"current_password": PASSWORD, "new_password": "yeşil tren köprüden geçti"});
    let path = "/v1/users/@me/password";
    let changed = house.call("PUT", path, &session.access, change).await;
    changed.expect(204).unwrap();
    let reply = house.finish_login(&two, "totp", &code).await;
    assert_eq!(refusal(&reply), TOKEN_INVALID);
}

#[tokio::test]
async fn second_factors_of_an_account_are_delayed_and_never_locked() {
    let mut settings = settings();
    settings.limits.second_factor_account_per_hour =
        Limits::default().second_factor_account_per_hour;
    let house = House::with(settings).await;
    let (ayse, fatma) = (house.register("ayse").await, house.register("fatma").await);
    // Turning it on takes one of the ten.
    let app = house.turn_totp_on(&ayse).await;
    let fatmas = house.turn_totp_on(&fatma).await;
    for number in 0..9 {
        let wrong = app.wrong_code(&house);
        let reply = house.log_in_with("ayse", "totp", &wrong).await;
        assert_eq!(refusal(&reply), INVALID, "{number}");
    }
    for wait in [30, 60, 120] {
        let code = app.code(&house);
        let reply = house.log_in_with("ayse", "totp", &code).await;
        assert_eq!(refusal(&reply), (429, "RATE_LIMITED"), "{wait}");
        assert_eq!(reply.header("retry-after").unwrap(), wait.to_string());
        house.wait(wait);
        let wrong = app.wrong_code(&house);
        let reply = house.log_in_with("ayse", "totp", &wrong).await;
        assert_eq!(refusal(&reply), INVALID, "after {wait}");
    }
    let code = fatmas.next_code(&house);
    let reply = house.log_in_with("fatma", "totp", &code).await;
    reply.expect(200).unwrap();
    house.wait(240);
    let reply = house.log_in_with("ayse", "totp", &app.code(&house)).await;
    reply.expect(200).unwrap();
}
