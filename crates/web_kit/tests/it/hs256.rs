//! The verifier under a shared secret: one algorithm in a process, never two.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::Clock as _;
use serde_json::{Value, json};
use testkit::http::{AUDIENCE, ISSUER, public_key, sign};
use web_kit::{HS256_KID, TokenVerifier, VerifyError};

use crate::app::clock;
use crate::tokens::{claims, header, verifier};

const SECRET: &[u8] = b"a secret that older services have too";

fn signed(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let text = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let text = text.join(".");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
}

#[tokio::test]
async fn s11_a_shared_secret_and_a_key_never_stand_side_by_side() {
    let clock = clock();
    let claims = claims(&clock);
    let ours = json!({ "alg": "HS256", "typ": "at+jwt", "kid": HS256_KID });
    let verifier_of_secret = TokenVerifier::new(ISSUER, AUDIENCE, clock.clone()).hs256(SECRET);
    verifier_of_secret.set_revocations_fresh(clock.now());
    // Keys that somebody feeds change nothing.
    let key = public_key().unwrap();
    verifier_of_secret.set_keys(vec![key.clone()]);
    let good = signed(&ours, &claims, SECRET);
    assert!(verifier_of_secret.verify(&good).await.is_ok());
    let with = |name: &str, value: &str| {
        let mut header = ours.clone();
        header[name] = json!(value);
        header
    };
    for bad in [
        signed(&ours, &claims, b"another secret"),
        signed(&ours, &claims, b""),
        signed(&with("kid", "test-key"), &claims, SECRET),
        signed(&with("typ", "rt+jwt"), &claims, SECRET),
        signed(&with("alg", "HS512"), &claims, SECRET),
        signed(&with("alg", "none"), &claims, SECRET),
        signed(&with("jku", "https://evil.test"), &claims, SECRET),
        sign(&header(), &claims).unwrap(),
        sign(&ours, &claims).unwrap(),
    ] {
        let verdict = verifier_of_secret.verify(&bad).await;
        assert!(matches!(verdict, Err(VerifyError::Invalid)), "{bad}");
    }
    // The other way round, also with the public key as the secret.
    let verifier_of_key = verifier(&clock);
    for secret in [SECRET, &key.ed25519] {
        for header in [&ours, &with("kid", &key.kid)] {
            let verdict = verifier_of_key
                .verify(&signed(header, &claims, secret))
                .await;
            assert!(matches!(verdict, Err(VerifyError::Invalid)));
        }
    }
}
