//! Passkeys, held by a program in a browser's place.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::join_all;
use identity::events::{FACTOR_CHANGED, PASSKEY_COUNT_FELL};
use serde_json::{Value, json};

use crate::harness::{House, PASSWORD, Session, masked, refusal, settings};
use crate::software_key::{Key, ORIGIN};

const PATH: &str = "/v1/users/@me/passkeys";
const INVALID: (u16, &str) = (401, "PASSKEY_INVALID");

#[tokio::test]
async fn a_passkey_logs_in_alone_and_counts_as_two_factors() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let mut key = Key::default();
    house.add_passkey(&session, &mut key).await;
    let reply = house.log_in_with_passkey(&mut key).await;
    let login = Session::of(&reply.expect(200).unwrap());
    assert_eq!(login.user, session.user);
    let claims = login.access.split('.').nth(1).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["amr"], json!(["pka"]));
    assert_eq!(claims["acr"], "aal2");
    let devices = house.get("/v1/users/@me/devices", &login.access).await;
    assert_eq!(devices.json["items"][0]["id"], login.device.as_str());
    // S7: the refresh token of this path is single use, too.
    house
        .refresh(&login.refresh, None)
        .await
        .expect(200)
        .unwrap();
    let again = house.refresh(&login.refresh, None).await;
    assert_eq!(refusal(&again), (401, "REFRESH_ROTATED"));
    let told = house.events(FACTOR_CHANGED).await;
    assert_eq!(
        told,
        [json!({"user_id": session.user, "factor": "passkey"})]
    );
    let used = house.get(PATH, &login.access).await;
    assert!(used.json["items"][0]["last_used_at"].is_string());
}

#[tokio::test]
async fn options_ask_for_a_verified_user_and_name_nobody() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let mut key = Key::default();
    house.add_passkey(&session, &mut key).await;
    let options = house.creation_options(&session).await;
    let options = &options["public_key"];
    let selection = &options["authenticatorSelection"];
    assert_eq!(selection["residentKey"], "required");
    assert_eq!(selection["userVerification"], "required");
    assert_eq!(options["rp"], json!({"name": "Meydan", "id": "localhost"}));
    assert_eq!(options["excludeCredentials"].as_array().unwrap().len(), 1);
    let mut answers = Vec::new();
    for body in [
        json!({"identifier": "ayse"}),
        json!({"identifier": "nobody"}),
        json!({}),
        Value::Null,
    ] {
        let reply = house.post("/v1/auth/passkeys/options", body).await;
        let mut json = reply.expect(200).unwrap().json;
        assert_eq!(json["public_key"]["userVerification"], "required");
        assert_eq!(json["public_key"]["allowCredentials"], json!([]));
        json["challenge_id"] = Value::Null;
        json["public_key"]["challenge"] = Value::Null;
        answers.push(json);
    }
    assert!(answers.iter().all(|answer| answer == &answers[0]));
}

#[tokio::test]
async fn an_account_with_a_passkey_asks_for_it_after_the_password() {
    let house = House::new().await;
    let (ayse, fatma) = (house.register("ayse").await, house.register("fatma").await);
    let (mut ayses, mut fatmas) = (Key::default(), Key::default());
    house.add_passkey(&ayse, &mut ayses).await;
    house.add_passkey(&fatma, &mut fatmas).await;
    let body = json!({"identifier": "ayse", "password": PASSWORD});
    let begun = house.post("/v1/auth/login", body).await;
    assert_eq!(refusal(&begun), (401, "SECOND_FACTOR_REQUIRED"));
    assert_eq!(begun.json["methods"], json!(["passkey"]));
    for (key, right) in [(&mut fatmas, false), (&mut ayses, true)] {
        let options = house.passkey_options().await;
        let body = json!({
            "mfa_token": begun.json["mfa_token"], "method": "passkey",
            "challenge_id": options["challenge_id"],
            "credential": key.get(ORIGIN, &options["public_key"]).await,
        });
        let reply = house.post("/v1/auth/login/second-factor", body).await;
        if right {
            Session::of(&reply.expect(200).unwrap());
        } else {
            assert_eq!(refusal(&reply), (401, "SECOND_FACTOR_INVALID"));
        }
    }
    let body = json!({"mfa_token": "x", "method": "passkey"});
    let reply = house.post("/v1/auth/login/second-factor", body).await;
    assert_eq!(refusal(&reply), (400, "INVALID_REQUEST"));
}

#[tokio::test]
async fn a_passkey_proves_a_login_anew_and_only_its_own_users() {
    let house = House::new().await;
    let (ayse, mehmet) = (house.register("ayse").await, house.register("mehmet").await);
    let (mut hers, mut his) = (Key::default(), Key::default());
    house.add_passkey(&ayse, &mut hers).await;
    house.add_passkey(&mehmet, &mut his).await;
    house.wait(10 * 60);
    for (key, status) in [(&mut his, 401), (&mut hers, 200)] {
        let options = house.passkey_options().await;
        let body = json!({
            "method": "passkey",
            "challenge_id": options["challenge_id"],
            "credential": key.get(ORIGIN, &options["public_key"]).await,
        });
        let path = "/v1/auth/step-up";
        let reply = house.call("POST", path, &ayse.access, body.clone()).await;
        assert_eq!(reply.status, status, "{}", reply.json);
        let again = house.call("POST", path, &ayse.access, body).await;
        assert_eq!(again.status, 401, "a challenge is answered once");
    }
    let body = json!({"method": "passkey"});
    let reply = house
        .call("POST", "/v1/auth/step-up", &ayse.access, body)
        .await;
    assert_eq!(refusal(&reply), (400, "INVALID_REQUEST"));
}

#[tokio::test]
async fn answers_that_do_not_fit_their_challenge_are_refused() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let mut key = Key::default();
    house.add_passkey(&session, &mut key).await;
    let mut answers = Vec::new();
    // Another origin, though of the same domain.
    let options = house.passkey_options().await;
    let answer = key
        .get("http://localhost:9999", &options["public_key"])
        .await;
    answers.push(house.show_passkey(&options, answer).await);
    // The answer to another challenge.
    let (one, two) = (house.passkey_options().await, house.passkey_options().await);
    let answer = key.get(ORIGIN, &one["public_key"]).await;
    answers.push(house.show_passkey(&two, answer.clone()).await);
    // Nobody verified themself.
    let options = house.passkey_options().await;
    let unverified = key.get_unverified(ORIGIN, &options["public_key"]).await;
    answers.push(house.show_passkey(&options, unverified).await);
    // A signature that was changed.
    let options = house.passkey_options().await;
    let mut changed = key.get(ORIGIN, &options["public_key"]).await;
    changed["response"]["signature"] = answer["response"]["signature"].clone();
    answers.push(house.show_passkey(&options, changed).await);
    // A challenge that was made for making a passkey, and texts that are nothing.
    let options = house.creation_options(&session).await;
    answers.push(house.show_passkey(&options, answer.clone()).await);
    answers.push(
        house
            .show_passkey(&json!({"challenge_id": "x"}), answer)
            .await,
    );
    let options = house.passkey_options().await;
    answers.push(house.show_passkey(&options, json!({"id": 1})).await);
    let masked: Vec<_> = answers
        .into_iter()
        .map(|reply| {
            assert_eq!(refusal(&reply), INVALID);
            masked(reply.json)
        })
        .collect();
    assert!(masked.iter().all(|answer| answer == &masked[0]));
    house
        .log_in_with_passkey(&mut key)
        .await
        .expect(200)
        .unwrap();
}

#[tokio::test]
async fn a_challenge_is_answered_once_and_within_five_minutes() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let mut key = Key::default();
    house.add_passkey(&session, &mut key).await;
    let options = house.passkey_options().await;
    let answer = key.get(ORIGIN, &options["public_key"]).await;
    let replies = (0..10).map(|_| house.show_passkey(&options, answer.clone()));
    let replies = join_all(replies).await;
    let logged_in = replies.iter().filter(|reply| reply.status == 200);
    assert_eq!(logged_in.count(), 1);
    let (in_time, late) = (house.passkey_options().await, house.passkey_options().await);
    house.wait(299);
    let answer = key.get(ORIGIN, &in_time["public_key"]).await;
    let reply = house.show_passkey(&in_time, answer).await;
    reply.expect(200).unwrap();
    house.wait(1);
    let answer = key.get(ORIGIN, &late["public_key"]).await;
    let reply = house.show_passkey(&late, answer).await;
    assert_eq!(refusal(&reply), INVALID);
}

#[tokio::test]
async fn the_handle_of_another_user_does_not_make_a_passkey_theirs() {
    let house = House::new().await;
    let (ayse, fatma) = (house.register("ayse").await, house.register("fatma").await);
    let (mut ayses, mut fatmas) = (Key::default(), Key::default());
    house.add_passkey(&ayse, &mut ayses).await;
    house.add_passkey(&fatma, &mut fatmas).await;
    let options = house.passkey_options().await;
    let other = fatmas.get(ORIGIN, &options["public_key"]).await;
    let mut answer = ayses.get(ORIGIN, &options["public_key"]).await;
    answer["response"]["userHandle"] = other["response"]["userHandle"].clone();
    let reply = house.show_passkey(&options, answer).await;
    assert_eq!(refusal(&reply), INVALID);
}

#[tokio::test]
async fn a_count_that_falls_is_told_and_not_refused() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let mut key = Key::counting();
    let id = house.add_passkey(&session, &mut key).await;
    for _ in 0..3 {
        let reply = house.log_in_with_passkey(&mut key).await;
        reply.expect(200).unwrap();
    }
    assert!(house.events(PASSKEY_COUNT_FELL).await.is_empty());
    // A copy that was taken early counts from there.
    let mut copy = key.clone();
    copy.set_count(1);
    let reply = house.log_in_with_passkey(&mut copy).await;
    reply.expect(200).unwrap();
    let told = house.events(PASSKEY_COUNT_FELL).await;
    assert_eq!(told, [json!({"user_id": session.user, "passkey_id": id})]);
    // The highest count stays, so each use of the copy is told.
    let reply = house.log_in_with_passkey(&mut copy).await;
    reply.expect(200).unwrap();
    assert_eq!(house.events(PASSKEY_COUNT_FELL).await.len(), 2);
}

#[tokio::test]
async fn making_a_passkey_checks_whose_challenge_it_was() {
    let house = House::new().await;
    let (ayse, fatma) = (house.register("ayse").await, house.register("fatma").await);
    let mut key = Key::default();
    let options = house.creation_options(&ayse).await;
    let made = key.create(ORIGIN, &options["public_key"]).await;
    let reply = house.store_passkey(&fatma, &options, made.clone()).await;
    assert_eq!(refusal(&reply), INVALID, "somebody else's challenge");
    let reply = house.store_passkey(&ayse, &options, made).await;
    assert_eq!(refusal(&reply), INVALID, "it was taken");
    let options = house.creation_options(&ayse).await;
    let elsewhere = key
        .create("http://localhost:9999", &options["public_key"])
        .await;
    let reply = house.store_passkey(&ayse, &options, elsewhere).await;
    assert_eq!(refusal(&reply), INVALID, "another origin");
    let options = house.creation_options(&ayse).await;
    let made = key.create(ORIGIN, &options["public_key"]).await;
    let path = "/v1/users/@me/passkeys";
    let nameless = json!({"challenge_id": options["challenge_id"], "credential": made, "name": ""});
    let reply = house.call("POST", path, &ayse.access, nameless).await;
    assert_eq!(refusal(&reply), (400, "INVALID_REQUEST"));
    let reply = house.store_passkey(&ayse, &options, made).await;
    reply.expect(201).unwrap();
}

#[tokio::test]
async fn a_passkey_belongs_to_whoever_registered_it_first() {
    let house = House::new().await;
    let (ayse, fatma) = (house.register("ayse").await, house.register("fatma").await);
    let mut key = Key::default();
    let options = house.creation_options(&ayse).await;
    let made = key.create(ORIGIN, &options["public_key"]).await;
    let id = URL_SAFE_NO_PAD.decode(made["rawId"].as_str().unwrap());
    let id: String = id
        .unwrap()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    house
        .script(&format!(
            "INSERT INTO identity.passkeys (id, user_id, cred_id, public_key, name)
             VALUES (1, {}, decode('{id}', 'hex'), '', 'Theirs')",
            fatma.user
        ))
        .await;
    let reply = house.store_passkey(&ayse, &options, made).await;
    assert_eq!(refusal(&reply), INVALID);
    let none = house.get(PATH, &ayse.access).await;
    assert_eq!(none.json["items"], json!([]));
}

#[tokio::test]
async fn a_user_has_at_most_twenty_passkeys() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let mut key = Key::default();
    house.add_passkey(&session, &mut key).await;
    let late = house.creation_options(&session).await;
    house
        .script(
            "INSERT INTO identity.passkeys (id, user_id, cred_id, public_key, name)
             SELECT n, user_id, decode(lpad(n::text, 8, '0'), 'hex'), public_key, 'x'
               FROM identity.passkeys, generate_series(1, 18) AS n",
        )
        .await;
    let options = house.creation_options(&session).await;
    let mut twentieth = Key::default();
    let made = twentieth.create(ORIGIN, &options["public_key"]).await;
    let reply = house.store_passkey(&session, &options, made).await;
    reply.expect(201).unwrap();
    let path = "/v1/users/@me/passkeys/options";
    let reply = house.call("POST", path, &session.access, Value::Null).await;
    assert_eq!(refusal(&reply), (400, "INVALID_REQUEST"));
    // Options from before the twentieth do not help.
    let mut one_more = Key::default();
    let made = one_more.create(ORIGIN, &late["public_key"]).await;
    let reply = house.store_passkey(&session, &late, made).await;
    assert_eq!(refusal(&reply), (400, "INVALID_REQUEST"));
}

#[tokio::test]
async fn passkeys_are_listed_renamed_and_removed_by_their_owner() {
    let house = House::new().await;
    let (ayse, fatma) = (house.register("ayse").await, house.register("fatma").await);
    let mut key = Key::default();
    let id = house.add_passkey(&ayse, &mut key).await;
    let one = format!("{PATH}/{id}");
    let name = json!({"name": "Work"});
    for (method, body) in [("PATCH", name.clone()), ("DELETE", Value::Null)] {
        let reply = house.call(method, &one, &fatma.access, body).await;
        assert_eq!(refusal(&reply), (404, "NOT_FOUND"), "{method}");
    }
    let renamed = house.call("PATCH", &one, &ayse.access, name).await;
    assert_eq!(renamed.expect(200).unwrap().json["name"], "Work");
    let listed = house.get(PATH, &ayse.access).await;
    assert_eq!(listed.json["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed.json["items"][0]["name"], "Work");
    let theirs = house.get(PATH, &fatma.access).await;
    assert_eq!(theirs.json["items"], json!([]));
    // Somebody who knows the password alone cannot.
    let before = house.register("zeynep").await;
    house
        .script(&format!(
            "UPDATE identity.passkeys SET user_id = {}",
            before.user
        ))
        .await;
    let reply = house
        .call("DELETE", &one, &before.access, Value::Null)
        .await;
    assert_eq!(refusal(&reply), (403, "STEP_UP_REQUIRED"));
    assert_eq!(reply.json["methods"], json!(["passkey"]));
    house
        .script(&format!(
            "UPDATE identity.passkeys SET user_id = {}",
            ayse.user
        ))
        .await;
    let removed = house.call("DELETE", &one, &ayse.access, Value::Null).await;
    removed.expect(204).unwrap();
    let reply = house.log_in_with_passkey(&mut key).await;
    assert_eq!(refusal(&reply), INVALID);
    house.log_in("ayse").await;
}

#[tokio::test]
async fn the_last_way_in_is_kept() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let (mut one, mut two) = (Key::default(), Key::default());
    let first = house.add_passkey(&session, &mut one).await;
    let second = house.add_passkey(&session, &mut two).await;
    house.script("DELETE FROM identity.credentials").await;
    let path = |id: &str| format!("{PATH}/{id}");
    let removed = house
        .call("DELETE", &path(&first), &session.access, Value::Null)
        .await;
    removed.expect(204).unwrap();
    let kept = house
        .call("DELETE", &path(&second), &session.access, Value::Null)
        .await;
    assert_eq!(refusal(&kept), (409, "LAST_FACTOR"));
    house
        .log_in_with_passkey(&mut two)
        .await
        .expect(200)
        .unwrap();
    house
        .script("UPDATE identity.users SET email_verified_at = now()")
        .await;
    let removed = house
        .call("DELETE", &path(&second), &session.access, Value::Null)
        .await;
    removed.expect(204).unwrap();
}

#[tokio::test]
async fn two_removals_at_once_leave_one_way_in() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let (mut one, mut two) = (Key::default(), Key::default());
    let ids = [
        house.add_passkey(&session, &mut one).await,
        house.add_passkey(&session, &mut two).await,
    ];
    house.script("DELETE FROM identity.credentials").await;
    let paths = ids.map(|id| format!("{PATH}/{id}"));
    let removals = paths
        .iter()
        .map(|path| house.call("DELETE", path, &session.access, Value::Null));
    let replies = join_all(removals).await;
    let removed = replies.iter().filter(|reply| reply.status == 204);
    assert_eq!(removed.count(), 1);
}

#[tokio::test]
async fn a_disabled_account_is_not_logged_in() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let mut key = Key::default();
    house.add_passkey(&session, &mut key).await;
    house
        .script("UPDATE identity.users SET state = 'disabled'")
        .await;
    let reply = house.log_in_with_passkey(&mut key).await;
    assert_eq!(refusal(&reply), INVALID);
}

#[tokio::test]
async fn a_server_without_a_name_offers_none() {
    let mut nameless = settings();
    nameless.passkeys = identity::PasskeySite::behind("https://203.0.113.7");
    let house = House::with(nameless).await;
    let session = house.register("ayse").await;
    let path = "/v1/users/@me/passkeys/options";
    let reply = house.call("POST", path, &session.access, Value::Null).await;
    assert_eq!(refusal(&reply), (404, "PASSKEYS_OFF"));
    let reply = house.post("/v1/auth/passkeys/options", json!({})).await;
    assert_eq!(refusal(&reply), (404, "PASSKEYS_OFF"));
}
