//! Texts that people agree to, and the proof that they did.

use kernel::PlatformRole::{Superadmin, Support};
use serde_json::{Value, json};
use testkit::http::Reply;

use crate::harness::{House, Session, masked, names_field, refusal, registration};

const TEXTS: &str = "/v1/consent-texts";
const TERMS: &str = "/v1/users/@me/consents/terms";

fn text(version: &str) -> Value {
    json!({"purpose": "terms", "version": version, "tr": "Koşullar", "en": "Terms"})
}

async fn publish(house: &House, admin: &Session, version: &str) {
    let reply = house
        .call("POST", TEXTS, &admin.access, text(version))
        .await;
    reply.expect(204).unwrap();
}

async fn agree(house: &House, user: &Session, version: &str) -> Reply {
    let body = json!({"granted": true, "text_version": version});
    house.call("PUT", TERMS, &user.access, body).await
}

#[tokio::test]
async fn the_newest_text_of_a_purpose_is_the_current_one() {
    let house = House::new().await;
    let admin = house.staff("yonetici", Superadmin).await;
    let none = house.get(TEXTS, "").await.expect(200).unwrap();
    assert_eq!(none.json["items"], json!([]));
    // The clock stands still: the order is that of publication.
    for version in ["2026-2", "2026-10"] {
        publish(&house, &admin, version).await;
    }
    let list = house.get(TEXTS, "").await.expect(200).unwrap();
    insta::assert_json_snapshot!(masked(list.json.clone()), @r#"
    {
      "items": [
        {
          "en": "Terms",
          "hash": "7c4dc3d5d22b023ed3ee11adf24bd944ad03fd899c441ebea4b9ce086eabe3cc",
          "published_at": "[time]",
          "purpose": "terms",
          "tr": "Koşullar",
          "version": "2026-10"
        }
      ]
    }
    "#);
    let again = house
        .call("POST", TEXTS, &admin.access, text("2026-2"))
        .await;
    assert_eq!(refusal(&again), (400, "INVALID_REQUEST"));
    assert!(names_field(&again, "/version"));
}

#[tokio::test]
async fn texts_are_published_by_superadmins_with_a_fresh_login_only() {
    let house = House::new().await;
    let admin = house.staff("yonetici", Superadmin).await;
    let support = house.staff("destek", Support).await;
    let ayse = house.register("ayse").await;
    for token in [&support.access, &ayse.access] {
        let reply = house.call("POST", TEXTS, token, text("1")).await;
        assert_eq!(refusal(&reply), (403, "FORBIDDEN"));
    }
    let nobody = house.post(TEXTS, text("1")).await;
    assert_eq!(refusal(&nobody), (401, "UNAUTHENTICATED"));
    let bad = json!({"purpose": "Terms!", "version": "1", "tr": "", "en": "x"});
    let bad = house.call("POST", TEXTS, &admin.access, bad).await;
    assert!(names_field(&bad, "/purpose") && names_field(&bad, "/tr"));
    house.wait(301);
    let stale = house.call("POST", TEXTS, &admin.access, text("1")).await;
    assert_eq!(refusal(&stale), (403, "STEP_UP_REQUIRED"));
}

#[tokio::test]
async fn every_grant_and_withdrawal_stays_as_a_proof() {
    let house = House::new().await;
    let admin = house.staff("yonetici", Superadmin).await;
    let ayse = house.register("ayse").await;
    publish(&house, &admin, "1").await;
    let state = agree(&house, &ayse, "1").await.expect(200).unwrap();
    insta::assert_json_snapshot!(masked(state.json.clone()), @r#"
    {
      "granted": true,
      "granted_at": "[time]",
      "outdated": false,
      "purpose": "terms",
      "text_version": "1",
      "withdrawn_at": null
    }
    "#);
    agree(&house, &ayse, "1").await.expect(200).unwrap();
    let withdraw = json!({"granted": false});
    for _ in 0..2 {
        let state = house
            .call("PUT", TERMS, &ayse.access, withdraw.clone())
            .await
            .expect(200)
            .unwrap();
        assert_eq!(state.json["granted"], false);
    }
    agree(&house, &ayse, "1").await.expect(200).unwrap();
    publish(&house, &admin, "2").await;
    let list = house
        .get("/v1/users/@me/consents", &ayse.access)
        .await
        .expect(200)
        .unwrap();
    assert_eq!(list.json["items"][0]["outdated"], true);
    assert_eq!(list.json["items"][0]["granted"], true);
    agree(&house, &ayse, "2").await.expect(200).unwrap();
    let rows = "SELECT count(*) FROM identity.consents WHERE text_hash IS NOT NULL";
    assert_eq!(house.count(rows).await, 3);
    let standing = "SELECT count(*) FROM identity.consents WHERE withdrawn_at IS NULL";
    assert_eq!(house.count(standing).await, 1);
    let told = house.events("identity.consent_changed.v1").await;
    assert_eq!(told.len(), 4, "repetitions change nothing");
}

#[tokio::test]
async fn only_the_current_text_can_be_agreed_to() {
    let house = House::new().await;
    let admin = house.staff("yonetici", Superadmin).await;
    let ayse = house.register("ayse").await;
    let unknown = agree(&house, &ayse, "1").await;
    assert_eq!(refusal(&unknown), (404, "NOT_FOUND"));
    publish(&house, &admin, "1").await;
    publish(&house, &admin, "2").await;
    for version in ["1", "3", ""] {
        let old = agree(&house, &ayse, version).await;
        assert_eq!(refusal(&old), (409, "TEXT_OUTDATED"), "{version}");
    }
    let unread = house
        .call("PUT", TERMS, &ayse.access, json!({"granted": true}))
        .await;
    assert!(names_field(&unread, "/text_version"));
    let nothing = house
        .call("PUT", TERMS, &ayse.access, json!({"granted": false}))
        .await;
    assert_eq!(refusal(&nothing), (404, "NOT_FOUND"), "nothing to withdraw");
    for (method, path) in [("GET", "/v1/users/@me/consents"), ("PUT", TERMS)] {
        let nobody = house
            .call(method, path, "", json!({"granted": false}))
            .await;
        assert_eq!(refusal(&nobody), (401, "UNAUTHENTICATED"));
    }
    assert_eq!(
        house.count("SELECT count(*) FROM identity.consents").await,
        0
    );
}

#[tokio::test]
async fn who_signs_up_agrees_to_current_texts() {
    let house = House::new().await;
    let admin = house.staff("yonetici", Superadmin).await;
    publish(&house, &admin, "1").await;
    publish(&house, &admin, "2").await;
    let mut wish = registration("ayse");
    wish["consents"] = json!([{"purpose": "terms", "text_version": "1"}]);
    let old = house.post("/v1/auth/registrations", wish.clone()).await;
    assert_eq!(refusal(&old), (409, "TEXT_OUTDATED"));
    wish["consents"] = json!([
        {"purpose": "terms", "text_version": "2"}, {"purpose": "elsewhere", "text_version": "7"},
    ]);
    house
        .post("/v1/auth/registrations", wish)
        .await
        .expect(201)
        .unwrap();
    let proved =
        "SELECT count(*) FROM identity.consents WHERE purpose = 'terms' AND text_hash IS NOT NULL";
    assert_eq!(house.count(proved).await, 1);
    assert_eq!(
        house.count("SELECT count(*) FROM identity.consents").await,
        2
    );
}
