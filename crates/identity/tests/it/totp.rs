//! Setting authenticator apps up, and recovery codes.

use futures::future::join_all;
use identity::{Skew, events::FACTOR_CHANGED};
use serde_json::{Value, json};

use crate::authenticator::{App, recovery_codes};
use crate::harness::{House, Session, refusal, settings};

const PATH: &str = "/v1/users/@me/totp";
const CODES: &str = "/v1/users/@me/recovery-codes";
const NO_CODES: &str = "SELECT count(*) FROM identity.recovery_codes";

async fn begin(house: &House, session: &Session) -> App {
    let begun = house.call("POST", PATH, &session.access, Value::Null).await;
    App::of(&begun.expect(201).unwrap())
}

async fn confirm(house: &House, session: &Session, code: &str) -> testkit::http::Reply {
    let body = json!({"code": code});
    house.call("PUT", PATH, &session.access, body).await
}

#[tokio::test]
async fn a_secret_counts_once_a_code_of_it_was_seen() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let begun = house.call("POST", PATH, &session.access, Value::Null).await;
    let begun = begun.expect(201).unwrap();
    let secret = begun.json["secret"].as_str().unwrap();
    assert_eq!(
        begun.json["otpauth_uri"],
        format!("otpauth://totp/Meydan%20127.0.0.1:ayse?secret={secret}&issuer=Meydan%20127.0.0.1")
    );
    let picture = begun.json["qr_svg"].as_str().unwrap();
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>"));
    // An abandoned set-up asks nobody for anything.
    house.log_in("ayse").await;
    let app = App::of(&begun);
    let wrong = app.wrong_code(&house);
    let reply = confirm(&house, &session, &wrong).await;
    assert_eq!(refusal(&reply), (400, "TOTP_INVALID"));
    house.log_in("ayse").await;
    let on = confirm(&house, &session, &app.code(&house)).await;
    let codes = recovery_codes(&on.expect(200).unwrap());
    assert_eq!(codes.len(), 10);
    let me = house.get("/v1/users/@me", &session.access).await;
    let factors = &me.json["factors"];
    assert_eq!(factors["totp"], true);
    assert_eq!(factors["recovery_codes_left"], 10);
    let told = house.events(FACTOR_CHANGED).await;
    assert_eq!(told, [json!({"user_id": session.user, "factor": "totp"})]);
}

#[tokio::test]
async fn the_seed_is_not_stored_in_clear() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let begun = house.call("POST", PATH, &session.access, Value::Null).await;
    let secret = begun.json["secret"].as_str().unwrap();
    let seed = totp_rs::Secret::try_from_base32(secret).unwrap();
    const STORED: db::Sql =
        db::Sql::new("identity.test_seed", "SELECT seed_enc FROM identity.totp");
    let stored: Vec<u8> = STORED.scalar(&house.admin).await.unwrap();
    let seed: &[u8] = seed.as_ref();
    assert!(!stored.windows(seed.len()).any(|window| window == seed));
    // Sealed for its user: moved to another row it opens nothing.
    let other = house.register("fatma").await;
    let moved = format!("UPDATE identity.totp SET user_id = {}", other.user);
    house.script(&moved).await;
    let reply = confirm(&house, &other, &App::of(&begun).code(&house)).await;
    assert_eq!(refusal(&reply), (500, "INTERNAL"));
}

#[tokio::test]
async fn a_new_secret_takes_the_place_of_one_that_was_not_confirmed() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let reply = confirm(&house, &session, "123456").await;
    assert_eq!(refusal(&reply), (400, "TOTP_INVALID"), "nothing was begun");
    let first = begin(&house, &session).await;
    let second = begin(&house, &session).await;
    let reply = confirm(&house, &session, &first.code(&house)).await;
    assert_eq!(refusal(&reply), (400, "TOTP_INVALID"));
    let reply = confirm(&house, &session, &second.code(&house)).await;
    reply.expect(200).unwrap();
    let again = house.call("POST", PATH, &session.access, Value::Null).await;
    assert_eq!(refusal(&again), (409, "TOTP_ALREADY_ON"));
    let reply = confirm(&house, &session, &second.next_code(&house)).await;
    assert_eq!(refusal(&reply), (409, "TOTP_ALREADY_ON"));
}

#[tokio::test]
async fn one_of_many_confirmations_at_once_counts() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let app = begin(&house, &session).await;
    let code = app.code(&house);
    let replies = join_all((0..10).map(|_| confirm(&house, &session, &code))).await;
    let on = replies.iter().filter(|reply| reply.status == 200);
    assert_eq!(on.count(), 1);
    assert_eq!(house.count(NO_CODES).await, 10);
}

#[tokio::test]
async fn without_skew_only_the_present_code_fits() {
    let mut strict = settings();
    strict.totp_skew = Skew::None;
    let house = House::with(strict).await;
    let session = house.register("ayse").await;
    let app = house.turn_totp_on(&session).await;
    let code = app.next_code(&house);
    house.wait(30);
    let late = house.log_in_with("ayse", "totp", &code).await;
    assert_eq!(refusal(&late), (401, "SECOND_FACTOR_INVALID"));
    let now = app.code(&house);
    let reply = house.log_in_with("ayse", "totp", &now).await;
    reply.expect(200).unwrap();
}

#[tokio::test]
async fn changes_need_a_proof_of_the_last_five_minutes() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    house.wait(300);
    begin(&house, &session).await;
    house.wait(1);
    let pin = json!({"pin": "135790"});
    for (method, path, body) in [
        ("POST", PATH, Value::Null),
        ("PUT", PATH, json!({"code": "123456"})),
        ("DELETE", PATH, Value::Null),
        ("POST", CODES, Value::Null),
        ("PUT", "/v1/users/@me/registration-lock", pin),
        ("DELETE", "/v1/users/@me/registration-lock", Value::Null),
    ] {
        let reply = house
            .call(method, path, &session.access, body.clone())
            .await;
        assert_eq!(
            refusal(&reply),
            (403, "STEP_UP_REQUIRED"),
            "{method} {path}"
        );
        assert_eq!(reply.json["methods"], json!(["password"]));
        let reply = house.call(method, path, "", body).await;
        assert_eq!(refusal(&reply), (401, "UNAUTHENTICATED"), "{method} {path}");
    }
}

#[tokio::test]
async fn a_device_that_proved_the_password_alone_cannot_remove_the_second_factor() {
    let house = House::new().await;
    let before = house.register("ayse").await;
    let with_both = house.log_in("ayse").await;
    let app = house.turn_totp_on(&with_both).await;
    // Fresh, but its holder may know the password only.
    for (method, path) in [("DELETE", PATH), ("POST", CODES)] {
        let reply = house.call(method, path, &before.access, Value::Null).await;
        assert_eq!(refusal(&reply), (403, "STEP_UP_REQUIRED"), "{path}");
        assert_eq!(reply.json["methods"], json!(["totp", "recovery"]));
    }
    // The device that showed a code when it was set up may.
    let codes = house
        .call("POST", CODES, &with_both.access, Value::Null)
        .await;
    codes.expect(201).unwrap();
    let off = house
        .call("DELETE", PATH, &with_both.access, Value::Null)
        .await;
    off.expect(204).unwrap();
    let again = house
        .call("DELETE", PATH, &with_both.access, Value::Null)
        .await;
    again.expect(204).unwrap();
    // Nothing is left to recover, and a password is enough again.
    assert_eq!(house.count(NO_CODES).await, 0);
    house.log_in("ayse").await;
    let reply = confirm(&house, &with_both, &app.next_code(&house)).await;
    assert_eq!(refusal(&reply), (400, "TOTP_INVALID"));
    let told = house.events(FACTOR_CHANGED).await;
    let told: Vec<&Value> = told.iter().map(|event| &event["factor"]).collect();
    assert_eq!(told, ["totp", "recovery_codes", "totp"]);
}

#[tokio::test]
async fn a_recovery_code_works_once_however_it_is_typed() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let app = house.turn_totp_on(&session).await;
    let typed = app.recovery[3].replace('-', " ").to_lowercase();
    let reply = house.log_in_with("ayse", "recovery", &typed).await;
    let login = Session::of(&reply.expect(200).unwrap());
    let reply = house
        .log_in_with("ayse", "recovery", &app.recovery[3])
        .await;
    assert_eq!(refusal(&reply), (401, "SECOND_FACTOR_INVALID"));
    let me = house.get("/v1/users/@me", &login.access).await;
    assert_eq!(me.json["factors"]["recovery_codes_left"], 9);
    let told = house.events(FACTOR_CHANGED).await;
    assert_eq!(told[1]["factor"], "recovery_code");
    // Whoever lost the app gets rid of it with a code.
    let off = house.call("DELETE", PATH, &login.access, Value::Null).await;
    off.expect(204).unwrap();
    house.log_in("ayse").await;
}

#[tokio::test]
async fn one_of_many_uses_of_a_recovery_code_at_once_counts() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let app = house.turn_totp_on(&session).await;
    let mut tokens = Vec::new();
    for _ in 0..10 {
        tokens.push(house.begin_login("ayse").await);
    }
    let code = &app.recovery[0];
    let logins = tokens.iter();
    let logins = logins.map(|token| house.finish_login(token, "recovery", code));
    let replies = join_all(logins).await;
    let logged_in = replies.iter().filter(|reply| reply.status == 200);
    assert_eq!(logged_in.count(), 1);
}

#[tokio::test]
async fn a_new_set_of_codes_kills_the_old() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let none = house
        .call("POST", CODES, &session.access, Value::Null)
        .await;
    assert_eq!(refusal(&none), (404, "NOT_FOUND"), "nothing to recover");
    let app = house.turn_totp_on(&session).await;
    let new = house
        .call("POST", CODES, &session.access, Value::Null)
        .await;
    let new = recovery_codes(&new.expect(201).unwrap());
    assert!(new.iter().all(|code| !app.recovery.contains(code)));
    let reply = house
        .log_in_with("ayse", "recovery", &app.recovery[0])
        .await;
    assert_eq!(refusal(&reply), (401, "SECOND_FACTOR_INVALID"));
    let reply = house.log_in_with("ayse", "recovery", &new[0]).await;
    reply.expect(200).unwrap();
}
