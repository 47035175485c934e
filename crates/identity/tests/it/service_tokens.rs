//! Tokens of processes: who gets one, once, and what it is no good for.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contracts::ServiceTokens as _;
use contracts::identity::ServiceProof;
use identity::{RootKeys, Settings, Signing};
use kernel::{Clock as _, SystemRng};
use serde_json::{Value, json};
use web_kit::VerifyError;

use crate::harness::{House, ROOT, refusal, secret, settings};

/// What a process with this root secret shows, so many seconds from now.
fn proof(house: &House, root: &str, service: &str, seconds: i64) -> ServiceProof {
    let at = house.clock.now() + jiff::SignedDuration::from_secs(seconds);
    let keys = RootKeys::derive(&secret(root)).unwrap();
    keys.prove_service(service, at, &SystemRng)
}

fn part(token: &str, index: usize) -> Value {
    let raw = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(raw).unwrap()).unwrap()
}

/// The code of a refusal, or none.
async fn code(house: &House, proof: &ServiceProof) -> Option<&'static str> {
    let answer = house.identity.service_token(proof).await;
    answer.err().map(|failure| failure.row.code)
}

const REFUSED: Option<&str> = Some("SERVICE_PROOF_INVALID");

#[tokio::test]
async fn a_process_with_the_root_secret_gets_a_token_for_five_minutes() {
    let house = House::new().await;
    let proof = proof(&house, ROOT, "messaging", 0);
    let answer = house.identity.service_token(&proof).await.unwrap();
    assert_eq!(answer.expires_in, Duration::from_secs(300));
    let (head, claims) = (part(&answer.token, 0), part(&answer.token, 1));
    assert_eq!(
        (&head["typ"], &head["alg"]),
        (&json!("st+jwt"), &json!("EdDSA"))
    );
    assert!(head["kid"].is_string());
    let now = house.clock.now().as_second();
    assert!(claims["jti"].is_string());
    let expected = json!({
        "type": "service", "sub": "messaging", "jti": claims["jti"], "iat": now,
        "exp": now + 300, "iss": "my-auth-service", "aud": "meydan-internal",
    });
    assert_eq!(claims, expected);
    // Every node can tell by itself.
    assert_eq!(
        house.verifier.service(&answer.token).await.unwrap(),
        "messaging"
    );
    house.wait(330);
    let late = house.verifier.service(&answer.token).await;
    assert!(matches!(late, Err(VerifyError::Invalid)));
    assert!(!format!("{answer:?}").contains("eyJ"));
}

#[tokio::test]
async fn a_proof_needs_the_secret_the_time_and_a_known_name() {
    let house = House::new().await;
    for (root, service, seconds, expected) in [
        (ROOT, "messaging", 0, None),
        (ROOT, "identity", 0, None),
        (ROOT, "messaging", -30, None),
        (ROOT, "messaging", 30, None),
        (ROOT, "messaging", -31, REFUSED),
        (ROOT, "messaging", 31, REFUSED),
        (ROOT, "somebody", 0, REFUSED),
        (ROOT, "", 0, REFUSED),
        (
            "another secret of at least 32 bytes",
            "messaging",
            0,
            REFUSED,
        ),
    ] {
        let proof = proof(&house, root, service, seconds);
        assert_eq!(code(&house, &proof).await, expected, "{service} {seconds}");
    }
    for at in [i64::MIN, i64::MAX] {
        let mut absurd = proof(&house, ROOT, "messaging", 0);
        absurd.at = at;
        assert_eq!(code(&house, &absurd).await, REFUSED, "{at}");
    }
}

#[tokio::test]
async fn a_proof_is_good_once_as_long_as_its_time_could_be() {
    let house = House::new().await;
    // Made by a clock that is ahead: good for a minute, from here on.
    let ahead = proof(&house, ROOT, "messaging", 30);
    assert_eq!(code(&house, &ahead).await, None);
    for _ in 0..4 {
        assert_eq!(code(&house, &ahead).await, REFUSED);
        house.wait(20);
    }
    // Of many at once, one.
    let twice = proof(&house, ROOT, "messaging", 0);
    let (one, other) = tokio::join!(code(&house, &twice), code(&house, &twice));
    assert_ne!(one, other);
}

#[tokio::test]
async fn s11_a_service_token_is_no_token_of_a_user_and_the_reverse() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let proof = proof(&house, ROOT, "messaging", 0);
    let token = house.identity.service_token(&proof).await.unwrap().token;
    assert_eq!(house.get("/v1/users/@me", &token).await.status, 401);
    let body = json!({ "access_token": token });
    let valid = house.post("/v1/auth/validate", body).await;
    assert_eq!(valid.json["is_valid"], false);
    let refreshed = house.refresh(&token, None).await;
    assert_eq!(refusal(&refreshed), (401, "REFRESH_INVALID"));
    let body = json!({ "refresh_token": token });
    let out = house.post("/v1/auth/logout", body).await;
    assert_eq!(out.status, 401);
    for token in [&ayse.access, &ayse.refresh] {
        let verdict = house.verifier.service(token).await;
        assert!(matches!(verdict, Err(VerifyError::Invalid)));
    }
    assert_eq!(house.get("/v1/users/@me", &ayse.access).await.status, 200);
}

#[tokio::test]
async fn under_a_shared_secret_nobody_gets_one() {
    let house = House::with(Settings {
        signing: Signing::Hs256(secret(ROOT)),
        ..settings()
    })
    .await;
    let proof = proof(&house, ROOT, "messaging", 0);
    assert_eq!(code(&house, &proof).await, REFUSED);
}
