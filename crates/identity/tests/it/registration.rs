//! Signing up.

use identity::{EmailVerification, Limits};
use serde_json::json;

use crate::harness::{House, masked, names_field, refusal, registration, settings};

const PATH: &str = "/v1/auth/registrations";

#[tokio::test]
async fn sign_up_logs_in_at_once_and_says_so_in_events() {
    let house = House::new().await;
    let mut body = registration("ayse");
    body["consents"] = json!([{"purpose": "terms", "text_version": "2026-01"}]);
    body["device"] = json!({"device_name": "Ayşe's phone", "device_type": "android"});
    let reply = house.post(PATH, body).await.expect(201).unwrap();
    insta::assert_json_snapshot!(masked(reply.json.clone()), @r#"
    {
      "access_token": "[token]",
      "device_id": "[id]",
      "expires_in": 900,
      "is_new_user": true,
      "refresh_token": "[token]",
      "token_type": "Bearer",
      "user_id": "[id]"
    }
    "#);
    let kinds = house.event_kinds().await;
    assert_eq!(
        kinds,
        [
            "identity.user_created.v1",
            "identity.consent_changed.v1",
            "identity.device_created.v1"
        ]
    );
    let consents = "SELECT count(*) FROM identity.consents WHERE purpose = 'terms'";
    assert_eq!(house.count(consents).await, 1);
    let token = reply.json["access_token"].as_str().unwrap();
    assert_eq!(house.get("/v1/users/@me", token).await.status, 200);
}

#[tokio::test]
async fn taken_names_are_refused_also_in_other_capitals() {
    let house = House::new().await;
    house.register("ayse").await;
    let mut other = registration("fatma");
    other["email"] = json!("AYSE@Example.COM");
    assert_eq!(
        refusal(&house.post(PATH, other.clone()).await),
        (409, "EMAIL_TAKEN")
    );
    other["email"] = json!("fatma@example.com");
    other["username"] = json!("ayse");
    assert_eq!(
        refusal(&house.post(PATH, other.clone()).await),
        (409, "USERNAME_TAKEN")
    );
    other["username"] = json!("everyone");
    assert_eq!(
        refusal(&house.post(PATH, other).await),
        (409, "USERNAME_TAKEN")
    );
    // Nothing of a refused sign-up stays.
    assert_eq!(house.count("SELECT count(*) FROM identity.users").await, 1);
}

#[tokio::test]
async fn two_sign_ups_at_once_make_one_account() {
    let house = House::new().await;
    let both =
        futures::future::join_all((0..8).map(|_| house.post(PATH, registration("ayse")))).await;
    let made = both.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(made, 1);
    assert!(
        both.iter()
            .filter(|reply| reply.status != 201)
            .all(|reply| reply.status == 409)
    );
}

#[tokio::test]
async fn bad_fields_are_named() {
    let house = House::new().await;
    for (field, value, pointer) in [
        ("username", json!("Ayşe"), "/username"),
        ("username", json!("a"), "/username"),
        ("display_name", json!(""), "/display_name"),
        ("display_name", json!("x".repeat(65)), "/display_name"),
        ("display_name", json!("a\u{7}b"), "/display_name"),
        ("locale", json!("de"), "/locale"),
        ("surprise", json!(1), "/surprise"),
        (
            "device",
            json!({"device_type": "toaster"}),
            "/device/device_type",
        ),
    ] {
        let mut body = registration("ayse");
        body[field] = value.clone();
        let reply = house.post(PATH, body).await;
        assert_eq!(refusal(&reply), (400, "INVALID_REQUEST"), "{field} {value}");
        assert!(
            names_field(&reply, pointer),
            "{field} {value}: {}",
            reply.json
        );
    }
    let mut body = registration("ayse");
    body["email"] = json!("not an address");
    assert_eq!(
        refusal(&house.post(PATH, body).await),
        (400, "EMAIL_INVALID")
    );
}

#[tokio::test]
async fn weak_passwords_are_refused_with_reasons() {
    let house = House::new().await;
    for (password, reason) in [
        ("short", "TOO_SHORT"),
        ("password123", "EASY_TO_GUESS"),
        ("ayse@example.com", "EASY_TO_GUESS"),
    ] {
        let mut body = registration("ayse");
        body["password"] = json!(password);
        let reply = house.post(PATH, body).await;
        assert_eq!(refusal(&reply), (400, "PASSWORD_TOO_WEAK"), "{password}");
        assert_eq!(reply.json["reasons"][0], reason, "{password}");
    }
}

#[tokio::test]
async fn with_verification_an_administrator_creates_accounts() {
    let mut settings = settings();
    settings.email_verification = EmailVerification::Required;
    let house = House::with(settings).await;
    let reply = house.post(PATH, registration("ayse")).await;
    assert_eq!(refusal(&reply), (403, "REGISTRATION_CLOSED"));
    assert!(
        reply.json["detail"]
            .as_str()
            .unwrap()
            .contains("meydan admin create")
    );
}

#[tokio::test]
async fn sign_ups_from_one_neighbourhood_are_limited() {
    let mut settings = settings();
    settings.limits = Limits::default();
    let house = House::with(settings).await;
    for number in 0..5 {
        let body = registration(&format!("user{number}"));
        house
            .post_from(&format!("203.0.113.{number}"), PATH, body)
            .await
            .expect(201)
            .unwrap();
    }
    let reply = house
        .post_from("203.0.113.99", PATH, registration("late"))
        .await;
    assert_eq!(refusal(&reply), (429, "RATE_LIMITED"));
    assert!(reply.header("retry-after").is_some());
    let other = house
        .post_from("203.0.114.1", PATH, registration("other"))
        .await;
    other.expect(201).unwrap();
    house.wait(12 * 60);
    let reply = house
        .post_from("203.0.113.99", PATH, registration("late"))
        .await;
    reply.expect(201).unwrap();
}
