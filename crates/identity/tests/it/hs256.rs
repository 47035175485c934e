//! Tokens under a shared secret, for older services that check them by it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity::{Settings, Signing};
use serde_json::{Value, json};

use crate::harness::{House, PASSWORD, ROOT, secret, settings};

pub(crate) fn shared(text: &str) -> Settings {
    Settings {
        signing: Signing::Hs256(secret(text)),
        ..settings()
    }
}

fn head(token: &str) -> Value {
    let head = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).unwrap()).unwrap()
}

#[tokio::test]
async fn a_shared_secret_signs_and_nothing_is_published() {
    let house = House::with(shared(ROOT)).await;
    let ayse = house.register("ayse").await;
    assert_eq!(
        head(&ayse.access),
        json!({ "typ": "at+jwt", "alg": "HS256", "kid": "hs256" })
    );
    assert_eq!(head(&ayse.refresh)["alg"], "HS256");
    let me = house.get("/v1/users/@me", &ayse.access).await;
    assert_eq!(me.expect(200).unwrap().json["username"], "ayse");
    let jwks = house.get("/.well-known/jwks.json", "").await;
    assert_eq!(jwks.json, json!({ "keys": [] }));
    // What anybody holds who has the secret is what the older services compute.
    let (signed, tag) = ayse.access.rsplit_once('.').unwrap();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, ROOT.as_bytes());
    let tag = URL_SAFE_NO_PAD.decode(tag).unwrap();
    aws_lc_rs::hmac::verify(&key, signed.as_bytes(), &tag).unwrap();
}

#[tokio::test]
async fn s6_a_lost_refresh_answer_is_repeated_byte_for_byte_under_a_shared_secret() {
    let house = House::with(shared(ROOT)).await;
    let ayse = house.register("ayse").await;
    let attempt = Some("the-same-attempt-of-16");
    let first = house.refresh(&ayse.refresh, attempt).await;
    house.wait(1);
    let again = house.refresh(&ayse.refresh, attempt).await;
    let (first, again) = (first.expect(200).unwrap(), again.expect(200).unwrap());
    assert_eq!(first.json["refresh_token"], again.json["refresh_token"]);
    assert_ne!(first.json["refresh_token"], json!(ayse.refresh));
}

#[tokio::test]
async fn s11_each_way_of_signing_refuses_the_others_tokens() {
    for (ours, theirs) in [
        (settings(), shared(ROOT)),
        (shared(ROOT), settings()),
        (shared(ROOT), shared("another secret of at least 32 bytes")),
    ] {
        let house = House::with(ours).await;
        house.register("ayse").await;
        let other = house.sibling(theirs);
        other.prepare().await.unwrap();
        let origin = identity::Origin {
            ip: [127, 0, 0, 1].into(),
            user_agent: None,
            device: identity::DeviceInfo::default(),
            session: identity::SessionKind::Token,
            from_own_page: false,
        };
        let login = other.log_in("ayse", secret(PASSWORD), None, &origin).await;
        let tokens = login.unwrap().tokens().unwrap();
        let me = house.get("/v1/users/@me", &tokens.access_token).await;
        assert_eq!(me.status, 401);
        let body = json!({ "access_token": tokens.access_token });
        let valid = house.post("/v1/auth/validate", body).await;
        assert_eq!(valid.json["is_valid"], false);
        let refreshed = house.refresh(&tokens.refresh_token, None).await;
        assert_eq!(refreshed.status, 401);
    }
}

#[tokio::test]
async fn a_shared_secret_is_not_rotated_here() {
    let house = House::with(shared(ROOT)).await;
    let now = identity::Rotation::Compromised;
    house.identity.replace_signing_key(now).await.unwrap_err();
    let ayse = house.register("ayse").await;
    assert_eq!(house.get("/v1/users/@me", &ayse.access).await.status, 200);
}
