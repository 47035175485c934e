//! S7: every way in ends the same way. A new login path gets a row here.

use std::sync::Arc;
use std::time::Duration;

use contracts::Auth as _;
use identity::{EmailVerification, Settings};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use testkit::http::Reply;

use crate::authenticator::App;
use crate::harness::{House, PASSWORD, Session, cookie, refusal, settings};
use crate::oauth::{Street, VERIFIER};
use crate::otp::handle;
use crate::otp_calls::{send_otp, verify_otp};
use crate::post::{PHONE, Post};
use crate::software_key::{Key, ORIGIN};

/// Every operation that ends in a login, as the document of the API has it. The tests below show
/// each of them to [`check`].
const LOGINS: [&str; 9] = [
    "/v1/auth/login",
    "/v1/auth/login/second-factor",
    "/v1/auth/magic-links/consume",
    "/v1/auth/oauth/exchange",
    "/v1/auth/otp/verify",
    "/v1/auth/passkeys/login",
    "/v1/auth/registrations",
    "/v1/auth/registrations/confirm",
    "/v1/auth/setup",
];

/// A login stands in the list as it was proved, and its refresh token works once.
async fn check(house: &House, path: &str, reply: Reply, amr: Value) {
    check_session(house, path, Session::of(&reply), amr).await;
}

async fn check_session(house: &House, path: &str, login: Session, amr: Value) {
    let devices = house.get("/v1/users/@me/devices", &login.access).await;
    let devices = devices.expect(200).unwrap();
    let items = devices.json["items"].as_array().unwrap();
    let device = items
        .iter()
        .find(|item| item["id"] == login.device.as_str());
    let device = device.unwrap_or_else(|| panic!("{path}: not in the list"));
    assert_eq!(device["amr"], amr, "{path}");
    assert_eq!(device["current"], true, "{path}");
    assert_eq!(device["kind"], "token", "{path}");
    let next = house.refresh(&login.refresh, None).await;
    let next = Session::of(&next.expect(200).unwrap());
    let again = house.refresh(&login.refresh, None).await;
    assert_eq!(refusal(&again), (401, "REFRESH_REUSED"), "{path}");
    // Reuse is theft: the thief's branch and the owner's are dead.
    let dead = house.refresh(&next.refresh, None).await;
    assert_eq!(refusal(&dead), (401, "REFRESH_INVALID"), "{path}");
}

/// The login of a page stands in the list as it was proved; it has a cookie and no token.
async fn check_page(house: &House, path: &str, reply: &Reply, amr: Value) {
    for token in ["access_token", "refresh_token"] {
        assert!(reply.json[token].is_null(), "{path}: {token}");
    }
    let cookie = cookie(reply, "__Host-meydan_sid").unwrap_or_else(|| panic!("{path}: no cookie"));
    let headers = [("cookie", cookie.as_str())];
    let devices = house
        .call_with("GET", "/v1/users/@me/devices", "", &headers, Value::Null)
        .await;
    let devices = devices.expect(200).unwrap();
    let items = devices.json["items"].as_array().unwrap();
    let device = items.iter().find(|item| item["current"] == true).unwrap();
    assert_eq!(device["kind"], "browser", "{path}");
    assert_eq!(device["amr"], amr, "{path}");
}

fn strict() -> Settings {
    Settings {
        // Without a grace any second use is theft, at once.
        reuse_grace: Duration::ZERO,
        ..settings()
    }
}

async fn house() -> (House, Arc<Post>) {
    house_with(strict()).await
}

async fn house_with(settings: Settings) -> (House, Arc<Post>) {
    let post = Post::new();
    (House::sending(settings, post.senders()).await, post)
}

#[tokio::test]
async fn s7_every_login_of_the_document_is_known_here() {
    let house = House::new().await;
    let table = identity::tables(house.identity.clone());
    let document = serde_json::to_value(web_kit::openapi(&[&table])).unwrap();
    let mut logins = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            let answers = operation["responses"].to_string();
            let refreshes = path == "/v1/auth/refresh";
            if !refreshes
                && ["/LoggedIn\"", "/Tokens\""]
                    .iter()
                    .any(|name| answers.contains(name))
            {
                logins.push(path.as_str());
            }
        }
    }
    logins.sort_unstable();
    assert_eq!(logins, LOGINS);
}

async fn by_code(house: &House, post: &Post, asked: Reply) -> Reply {
    let handle = handle(&asked);
    let code = post.next().await.code();
    house.try_code(&handle, &code).await
}

#[tokio::test]
async fn s7_logins_of_one_request_are_listed_and_refresh_once() {
    let (house, post) = house().await;
    let link = house.identity.issue_setup_link().await.unwrap();
    let body = json!({
        "token": link.expose_secret(), "email": "admin@example.com", "username": "admin",
        "display_name": "Admin", "password": PASSWORD,
    });
    let reply = house.post("/v1/auth/setup", body).await;
    check(&house, "set-up", reply.expect(201).unwrap(), json!(["pwd"])).await;

    let body = crate::harness::registration("ayse");
    let reply = house.post("/v1/auth/registrations", body).await;
    let reply = reply.expect(201).unwrap();
    check(&house, "registration", reply, json!(["pwd"])).await;

    let body = json!({"identifier": "ayse", "password": PASSWORD});
    let reply = house.post("/v1/auth/login", body).await;
    check(
        &house,
        "password",
        reply.expect(200).unwrap(),
        json!(["pwd"]),
    )
    .await;

    house.prove_email("ayse").await;
    let asked = house.ask_by_email("ayse@example.com").await;
    let reply = by_code(&house, &post, asked).await;
    check(&house, "e-mail", reply.expect(200).unwrap(), json!(["otp"])).await;

    for path in ["new number", "known number"] {
        house.wait(60);
        let asked = house.ask_by_phone(PHONE).await;
        let reply = by_code(&house, &post, asked).await;
        check(&house, path, reply.expect(200).unwrap(), json!(["otp"])).await;
    }
}

#[tokio::test]
async fn s7_logins_with_second_factors_are_listed_and_refresh_once() {
    let (house, post) = house().await;
    let owner = Session::of(&house.log_in_by_phone(&post, PHONE).await);
    let password = json!({"new_password": PASSWORD});
    let set = house
        .call("PUT", "/v1/users/@me/password", &owner.access, password)
        .await;
    set.expect(204).unwrap();
    let pin = json!({"pin": "135790"});
    let path = "/v1/users/@me/registration-lock";
    let set = house.call("PUT", path, &owner.access, pin).await;
    set.expect(204).unwrap();

    house.wait(60);
    let asked = house.ask_by_phone(PHONE).await;
    let locked = by_code(&house, &post, asked).await;
    let token = locked.json["mfa_token"].as_str().unwrap();
    let reply = house.finish_login(token, "pin", "135790").await;
    let reply = reply.expect(200).unwrap();
    check(&house, "PIN", reply, json!(["otp", "pin"])).await;

    let app: App = house.turn_totp_on(&owner).await;
    let code = app.next_code(&house);
    let reply = house.log_in_with(PHONE, "totp", &code).await;
    let reply = reply.expect(200).unwrap();
    check(&house, "authenticator app", reply, json!(["pwd", "totp"])).await;

    let reply = house.log_in_with(PHONE, "recovery", &app.recovery[0]).await;
    let reply = reply.expect(200).unwrap();
    check(&house, "recovery code", reply, json!(["pwd", "rcv"])).await;

    let mut key = Key::default();
    house.add_passkey(&owner, &mut key).await;
    let reply = house.log_in_with_passkey(&mut key).await;
    let reply = reply.expect(200).unwrap();
    check(&house, "passkey", reply, json!(["pka"])).await;

    let begun = house.begin_login(PHONE).await;
    let options = house.passkey_options().await;
    let body = json!({
        "mfa_token": begun, "method": "passkey", "challenge_id": options["challenge_id"],
        "credential": key.get(ORIGIN, &options["public_key"]).await,
    });
    let reply = house.post("/v1/auth/login/second-factor", body).await;
    let reply = reply.expect(200).unwrap();
    check(
        &house,
        "passkey after a password",
        reply,
        json!(["pwd", "pka"]),
    )
    .await;
}

#[tokio::test]
async fn s7_logins_by_letters_are_listed_and_refresh_once() {
    let (house, post) = house_with(Settings {
        email_verification: EmailVerification::Required,
        ..strict()
    })
    .await;
    house.sign_up("ayse").await.expect(202).unwrap();
    let confirmed = house.confirm(&post.next().await.token("confirm")).await;
    let confirmed = confirmed.expect(201).unwrap();
    check(&house, "confirmed registration", confirmed, json!(["otp"])).await;

    house.ask_magic("ayse@example.com").await;
    let link = post.next().await.token("magic");
    let reply = house.consume_magic(&link).await.expect(200).unwrap();
    check(&house, "magic link", reply, json!(["otp"])).await;
    let again = house.consume_magic(&link).await;
    assert_eq!(refusal(&again), (401, "TOKEN_INVALID"));
}

#[tokio::test]
async fn s7_logins_at_providers_are_listed_and_refresh_once() {
    let street = Street::with(strict()).await;
    for path in ["new at a provider", "known at a provider"] {
        let code = street.app_code().await;
        let reply = street.exchange(&code, VERIFIER).await.expect(200).unwrap();
        check(&street.house, path, reply, json!(["fed"])).await;
    }
    let page = street.log_in("fake").await.expect(303).unwrap();
    check_page(&street.house, "page from a provider", &page, json!(["fed"])).await;
}

#[tokio::test]
async fn s7_logins_over_grpc_are_listed_and_refresh_once() {
    let (house, post) = house().await;
    house.identity.send_otp(send_otp(PHONE)).await.unwrap();
    let code = post.next().await.code();
    let pair = house
        .identity
        .verify_otp(verify_otp(&code, None, None))
        .await;
    let pair = pair.unwrap();
    let read = house.identity.inspect_token(&pair.refresh_token).await;
    let login = Session {
        user: pair.user.to_string(),
        device: read.unwrap().unwrap().device.to_string(),
        access: pair.access_token,
        refresh: pair.refresh_token,
    };
    check_session(&house, "VerifyOTP", login, json!(["otp"])).await;
}

#[tokio::test]
async fn s7_the_login_of_a_page_is_listed_and_has_no_refresh_token() {
    let house = House::with(strict()).await;
    house.register("ayse").await;
    let body = json!({"identifier": "ayse", "password": PASSWORD, "session": "cookie"});
    let own = [("sec-fetch-site", "same-origin")];
    let page = house
        .call_with("POST", "/v1/auth/login", "", &own, body)
        .await;
    check_page(&house, "page", &page.expect(200).unwrap(), json!(["pwd"])).await;
}
