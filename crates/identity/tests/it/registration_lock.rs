//! The PIN that guards logins by number.

use contracts::Auth as _;
use contracts::identity::{From, VerifyOtp};
use identity::events::{FACTOR_CHANGED, REGISTRATION_LOCK_WAITING};
use serde_json::{Value, json};
use testkit::http::Reply;

use crate::harness::{House, Session, names_field, refusal};
use crate::otp::{handle, house};
use crate::post::{PHONE, Post};

const PATH: &str = "/v1/users/@me/registration-lock";
const PIN: &str = "135790";

/// Somebody with a number and a PIN.
async fn guarded(house: &House, post: &Post) -> Session {
    let session = Session::of(&house.log_in_by_phone(post, PHONE).await);
    let body = json!({ "pin": PIN });
    let set = house.call("PUT", PATH, &session.access, body).await;
    set.expect(204).unwrap();
    session
}

/// The first request of a login by number, as whoever holds the number now sends it.
async fn reach(house: &House, post: &Post) -> Reply {
    house.wait(60);
    let handle = handle(&house.ask_by_phone(PHONE).await);
    let code = post.next().await.code();
    house.try_code(&handle, &code).await
}

/// Lets time pass for the wait and for every device; `unused` for how long none was used.
async fn pass(house: &House, waited: &str, unused: &str) {
    let text = format!(
        "UPDATE identity.registration_locks SET began_at = now() - interval '{waited}';
         UPDATE identity.user_devices
            SET created_at = now() - interval '30 days',
                rotated_at = now() - interval '{unused}',
                last_seen_at = now() - interval '30 days'"
    );
    house.script(&text).await;
}

fn token(reply: &Reply) -> &str {
    reply.json["mfa_token"].as_str().unwrap()
}

#[tokio::test]
async fn a_number_with_a_pin_is_locked_and_its_pin_opens_it() {
    let (house, post) = house().await;
    let owner = guarded(&house, &post).await;
    let locked = reach(&house, &post).await;
    assert_eq!(refusal(&locked), (403, "REGISTRATION_LOCKED"));
    assert_eq!(locked.json["methods"], json!(["pin"]));
    let unlocks_at: jiff::Timestamp = locked.json["unlocks_at"].as_str().unwrap().parse().unwrap();
    let told = house.events(REGISTRATION_LOCK_WAITING).await;
    let expected = json!({"user_id": owner.user, "unlocks_at": unlocks_at.to_string()});
    assert_eq!(told, [expected]);
    for wrong in ["246802", "", "13579"] {
        let reply = house.finish_login(token(&locked), "pin", wrong).await;
        assert_eq!(refusal(&reply), (401, "SECOND_FACTOR_INVALID"), "{wrong}");
    }
    let reply = house.finish_login(token(&locked), "pin", PIN).await;
    let login = Session::of(&reply.expect(200).unwrap());
    assert_eq!(login.user, owner.user);
    let devices = house.get("/v1/users/@me/devices", &login.access).await;
    assert_eq!(devices.json["items"][0]["amr"], json!(["otp", "pin"]));
    let waits = "SELECT count(*) FROM identity.registration_locks";
    assert_eq!(house.count(waits).await, 0);
}

#[tokio::test]
async fn s5_a_pin_is_guessed_five_times_and_no_more() {
    let (house, post) = house().await;
    guarded(&house, &post).await;
    let locked = reach(&house, &post).await;
    let guesses = (0..50).map(|_| house.finish_login(token(&locked), "pin", "246802"));
    let replies = futures::future::join_all(guesses).await;
    let judged = replies.iter().map(refusal);
    let judged = judged.filter(|refusal| *refusal == (401, "SECOND_FACTOR_INVALID"));
    assert_eq!(judged.count(), 5);
    let reply = house.finish_login(token(&locked), "pin", PIN).await;
    assert_eq!(refusal(&reply), (401, "MFA_TOKEN_INVALID"));
}

#[tokio::test]
async fn a_pin_that_changed_meanwhile_does_not_fit() {
    let (house, post) = house().await;
    let owner = guarded(&house, &post).await;
    let locked = reach(&house, &post).await;
    let body = json!({"pin": "864209"});
    let set = house.call("PUT", PATH, &owner.access, body).await;
    set.expect(204).unwrap();
    let reply = house.finish_login(token(&locked), "pin", PIN).await;
    assert_eq!(refusal(&reply), (401, "SECOND_FACTOR_INVALID"));
    let reply = house.finish_login(token(&locked), "pin", "864209").await;
    reply.expect(200).unwrap();
}

#[tokio::test]
async fn the_second_factor_opens_a_locked_number_too() {
    let (house, post) = house().await;
    let owner = guarded(&house, &post).await;
    let app = house.turn_totp_on(&owner).await;
    let locked = reach(&house, &post).await;
    assert_eq!(locked.json["methods"], json!(["pin", "totp", "recovery"]));
    let code = app.next_code(&house);
    let reply = house.finish_login(token(&locked), "totp", &code).await;
    reply.expect(200).unwrap();
}

#[tokio::test]
async fn after_seven_days_without_use_a_lost_pin_is_not_asked_for() {
    let (house, post) = house().await;
    let owner = guarded(&house, &post).await;
    assert_eq!(reach(&house, &post).await.status, 403);
    pass(&house, "6 days 23:59", "30 days").await;
    let locked = reach(&house, &post).await;
    assert_eq!(refusal(&locked), (403, "REGISTRATION_LOCKED"));
    // It is the wait that was told of already.
    assert_eq!(house.events(REGISTRATION_LOCK_WAITING).await.len(), 1);
    pass(&house, "7 days", "30 days").await;
    let reply = reach(&house, &post).await;
    let login = Session::of(&reply.expect(200).unwrap());
    assert_eq!(login.user, owner.user);
    let me = house.get("/v1/users/@me", &login.access).await;
    assert_eq!(me.json["factors"]["registration_lock"], false);
    let told = house.events(FACTOR_CHANGED).await;
    assert_eq!(told.len(), 2, "set and removed");
}

#[tokio::test]
async fn any_use_of_the_account_begins_the_wait_anew() {
    let (house, post) = house().await;
    let owner = guarded(&house, &post).await;
    assert_eq!(reach(&house, &post).await.status, 403);
    // The owner's app was there on the second day.
    pass(&house, "8 days", "6 days").await;
    let locked = reach(&house, &post).await;
    assert_eq!(refusal(&locked), (403, "REGISTRATION_LOCKED"));
    assert_eq!(house.events(REGISTRATION_LOCK_WAITING).await.len(), 2);
    pass(&house, "8 days", "30 days").await;
    // Not long unused, but used just now.
    let refreshed = house.refresh(&owner.refresh, None).await;
    refreshed.expect(200).unwrap();
    assert_eq!(reach(&house, &post).await.status, 403);
    assert_eq!(house.events(REGISTRATION_LOCK_WAITING).await.len(), 3);
}

#[tokio::test]
async fn a_second_factor_is_asked_for_after_the_wait_as_well() {
    let (house, post) = house().await;
    let owner = guarded(&house, &post).await;
    house.turn_totp_on(&owner).await;
    assert_eq!(reach(&house, &post).await.status, 403);
    pass(&house, "7 days", "30 days").await;
    let reply = reach(&house, &post).await;
    assert_eq!(refusal(&reply), (401, "SECOND_FACTOR_REQUIRED"));
    assert_eq!(reply.json["methods"], json!(["totp", "recovery"]));
    let reply = house.finish_login(token(&reply), "pin", PIN).await;
    assert_eq!(refusal(&reply), (401, "SECOND_FACTOR_INVALID"));
}

#[tokio::test]
async fn one_call_takes_the_pin_beside_the_code() {
    let (house, post) = house().await;
    let owner = guarded(&house, &post).await;
    house.wait(60);
    let handle = handle(&house.ask_by_phone(PHONE).await);
    let code = post.next().await.code();
    let proof = |second: Option<&str>| VerifyOtp {
        phone_number: PHONE.to_owned(),
        handle: Some(handle.clone()),
        otp_code: code.clone(),
        second_factor: second.map(str::to_owned),
        device_name: None,
        device_type: None,
        push_notification_token: None,
        from: From {
            ip: "198.51.100.7".parse().unwrap(),
            user_agent: None,
        },
    };
    for (second, refused) in [
        (None, "REGISTRATION_LOCKED"),
        (Some("246802"), "SECOND_FACTOR_INVALID"),
    ] {
        let failure = house.identity.verify_otp(proof(second)).await.err();
        assert_eq!(failure.unwrap().row.code, refused);
    }
    let pair = house.identity.verify_otp(proof(Some(PIN))).await.unwrap();
    assert_eq!(pair.user.to_string(), owner.user);
}

#[tokio::test]
async fn a_pin_is_set_changed_and_removed() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    for pin in ["135790", "20202020202020202020"] {
        let body = json!({ "pin": pin });
        let reply = house.call("PUT", PATH, &session.access, body).await;
        reply.expect(204).unwrap();
    }
    let me = house.get("/v1/users/@me", &session.access).await;
    assert_eq!(me.json["factors"]["registration_lock"], true);
    // It guards the number; other logins do not ask for it.
    house.log_in("ayse").await;
    for _ in 0..2 {
        let reply = house.call("DELETE", PATH, &session.access, Value::Null);
        reply.await.expect(204).unwrap();
    }
    let me = house.get("/v1/users/@me", &session.access).await;
    assert_eq!(me.json["factors"]["registration_lock"], false);
    let told = house.events(FACTOR_CHANGED).await;
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|event| event["factor"] == "pin"));
}

#[tokio::test]
async fn pins_that_are_none_or_guessed_first_are_refused() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    for pin in [
        "",
        "13579",
        "135790a",
        "202020202020202020202",
        "111111",
        "123456",
    ] {
        let body = json!({ "pin": pin });
        let reply = house.call("PUT", PATH, &session.access, body).await;
        assert_eq!(refusal(&reply), (400, "INVALID_REQUEST"), "{pin}");
        assert!(names_field(&reply, "/pin"), "{pin}");
    }
}
