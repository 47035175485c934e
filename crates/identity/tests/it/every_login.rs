//! S7: every way in ends the same way. A new login path gets a row here.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use testkit::http::Reply;

use crate::authenticator::App;
use crate::harness::{House, PASSWORD, Session, refusal, settings};
use crate::otp::handle;
use crate::post::{PHONE, Post};
use crate::software_key::Key;

/// A login stands in the list as it was proved, and its refresh token works once.
async fn check(house: &House, path: &str, reply: Reply, amr: Value) {
    let login = Session::of(&reply);
    let devices = house.get("/v1/users/@me/devices", &login.access).await;
    let devices = devices.expect(200).unwrap();
    let items = devices.json["items"].as_array().unwrap();
    let device = items
        .iter()
        .find(|item| item["id"] == login.device.as_str());
    let device = device.unwrap_or_else(|| panic!("{path}: not in the list"));
    assert_eq!(device["amr"], amr, "{path}");
    assert_eq!(device["current"], true, "{path}");
    let next = house.refresh(&login.refresh, None).await;
    let next = Session::of(&next.expect(200).unwrap());
    let again = house.refresh(&login.refresh, None).await;
    assert_eq!(refusal(&again), (401, "REFRESH_REUSED"), "{path}");
    // Reuse is theft: the thief's branch and the owner's are dead.
    let dead = house.refresh(&next.refresh, None).await;
    assert_eq!(refusal(&dead), (401, "REFRESH_INVALID"), "{path}");
}

async fn house() -> (House, std::sync::Arc<Post>) {
    let mut strict = settings();
    // Without a grace any second use is theft, at once.
    strict.reuse_grace = Duration::ZERO;
    let post = Post::new();
    (House::sending(strict, post.senders()).await, post)
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
}
