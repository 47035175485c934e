//! Access tokens that must be refused, revocation, and the memory for bot tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::failure::UNAVAILABLE;
use kernel::{Caller, CallerKind, Clock, DeviceId, Failure, ManualClock, PlatformRole, UserId};
use serde_json::{Value, json};
use testkit::http::{AUDIENCE, ISSUER, KID, public_key, sign, sign_text};
use web_kit::{Meta, OpaqueTokens, PublicKey, TokenVerifier, VerifyError};

use crate::app::clock;

pub(crate) fn verifier(clock: &Arc<ManualClock>) -> TokenVerifier {
    let verifier = TokenVerifier::new(ISSUER, AUDIENCE, clock.clone());
    verifier.set_keys(vec![public_key().unwrap()]);
    verifier.set_revocations_fresh(clock.now());
    verifier
}

pub(crate) fn header() -> Value {
    json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": KID })
}

pub(crate) fn claims(clock: &ManualClock) -> Value {
    let now = clock.now().as_second();
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "type": "access", "sub": "42", "sid": "7", "jti": "9",
        "iat": now, "exp": now + 900, "auth_time": now, "amr": ["pwd"],
    })
}

/// `base` with some members replaced, or removed by null.
fn with(mut base: Value, changes: Value) -> Value {
    let members = base.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    base
}

async fn refused(verifier: &TokenVerifier, token: &str) -> bool {
    matches!(
        verifier.verify(&format!("Bearer {token}")).await,
        Err(VerifyError::Invalid)
    )
}

#[tokio::test]
async fn good_token_tells_who_and_until_when() {
    let clock = clock();
    let token = sign(&header(), &claims(&clock)).unwrap();
    let verified = verifier(&clock)
        .verified(&format!("bearer {token}"))
        .await
        .unwrap();
    let caller = verified.caller;
    assert_eq!(
        (caller.user, caller.device),
        (UserId::new(42), Some(DeviceId::new(7)))
    );
    assert_eq!(caller.amr, ["pwd"]);
    let expires_at = verified.expires_at.unwrap();
    assert_eq!(expires_at.as_second(), clock.now().as_second() + 900);
}

#[tokio::test]
async fn s11_forged_headers_are_refused() {
    let clock = clock();
    let verifier = verifier(&clock);
    for changes in [
        json!({ "alg": "none" }),
        json!({ "alg": "HS256" }),
        json!({ "alg": "ES256" }),
        json!({ "alg": "eddsa" }),
        json!({ "alg": null }),
        json!({ "typ": "rt+jwt" }),
        json!({ "typ": "JWT" }),
        json!({ "typ": null }),
        json!({ "kid": "other" }),
        json!({ "kid": null }),
        json!({ "kid": "../../etc/passwd" }),
        json!({ "jku": "https://evil.test/keys" }),
        json!({ "x5u": "https://evil.test/cert" }),
        json!({ "jwk": { "kty": "OKP", "crv": "Ed25519", "x": "AAAA" } }),
        json!({ "crit": ["exp"] }),
    ] {
        let token = sign(&with(header(), changes.clone()), &claims(&clock)).unwrap();
        assert!(refused(&verifier, &token).await, "{changes}");
    }
}

#[tokio::test]
async fn s11_forged_claims_are_refused() {
    let clock = clock();
    let verifier = verifier(&clock);
    for changes in [
        json!({ "type": "refresh" }),
        json!({ "type": null }),
        json!({ "iss": "evil" }),
        json!({ "iss": null }),
        json!({ "aud": "my-auth-service" }),
        json!({ "aud": [AUDIENCE, "other"] }),
        json!({ "aud": null }),
        json!({ "exp": null }),
        json!({ "exp": "soon" }),
        json!({ "exp": 1e300 }),
        json!({ "exp": i64::MAX }),
        json!({ "sub": "-1" }),
        json!({ "sub": 42 }),
        json!({ "sub": null }),
        json!({ "sid": "x" }),
        json!({ "sid": null }),
        json!({ "nbf": clock.now().as_second() + 31 }),
    ] {
        let token = sign(&header(), &with(claims(&clock), changes.clone())).unwrap();
        assert!(refused(&verifier, &token).await, "{changes}");
    }
}

#[tokio::test]
async fn s11_forged_signatures_and_texts_are_refused() {
    let clock = clock();
    let verifier = verifier(&clock);
    let good = sign(&header(), &claims(&clock)).unwrap();
    let (signed, _) = good.rsplit_once('.').unwrap();
    // HS256 with the public key as its secret.
    let hs = URL_SAFE_NO_PAD.encode(with(header(), json!({ "alg": "HS256" })).to_string());
    let text = format!("{hs}.{}", signed.split('.').nth(1).unwrap());
    let key = hmac::Key::new(hmac::HMAC_SHA256, &public_key().unwrap().ed25519);
    let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&key, text.as_bytes()));
    let text_claims = claims(&clock).to_string();
    let double = |member: &str| text_claims.replacen('{', &format!("{{{member},"), 1);
    let mut forged = vec![
        format!("{text}.{tag}"),
        format!("{signed}."),
        signed.to_owned(),
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode([0; 64])),
        format!("{good}.x"),
        format!("{good}="),
        good.replace('.', ".."),
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "\u{0}".to_owned(),
        "🔑.🔑.🔑".to_owned(),
        "a".repeat(1024 * 1024),
        sign(
            &header(),
            &with(claims(&clock), json!({ "pad": "x".repeat(1024 * 1024) })),
        )
        .unwrap(),
        sign_text(&header().to_string(), &double(r#""sub":"1""#)).unwrap(),
        sign_text(&header().to_string(), &double(r#""exp":99999999999"#)).unwrap(),
        sign_text(&header().to_string(), &double(r#""type":"access""#)).unwrap(),
        sign_text(
            r#"{"alg":"EdDSA","alg":"EdDSA","typ":"at+jwt","kid":"test-key"}"#,
            &text_claims,
        )
        .unwrap(),
        sign_text("{}", "{}").unwrap(),
        sign_text("[]", &text_claims).unwrap(),
        sign_text(&header().to_string(), "null").unwrap(),
    ];
    let mut flipped = good.clone().into_bytes();
    let last = flipped.len() - 5;
    flipped[last] = if flipped[last] == b'A' { b'B' } else { b'A' };
    forged.push(String::from_utf8(flipped).unwrap());
    for token in forged {
        assert!(refused(&verifier, &token).await, "{:.60}", token);
    }
    assert!(verifier.verify(&format!("Bearer {good}")).await.is_ok());
    for scheme in ["Basic", "Token", "Bearer Bearer", "Bearer\t"] {
        assert!(
            verifier.verify(&format!("{scheme} {good}")).await.is_err(),
            "{scheme}"
        );
    }
}

#[tokio::test]
async fn expiry_has_thirty_seconds_of_leeway() {
    let clock = clock();
    let verifier = verifier(&clock);
    let token = sign(&header(), &claims(&clock)).unwrap();
    for (at, good) in [(899, true), (929, true), (930, false), (10_000, false)] {
        let clock_at = "2026-11-20T07:00:00Z".parse::<jiff::Timestamp>().unwrap();
        clock.set(clock_at + Duration::from_secs(at));
        verifier.set_revocations_fresh(clock.now());
        assert_eq!(!refused(&verifier, &token).await, good, "{at}");
    }
}

#[tokio::test]
async fn key_sets_are_replaced_and_unknown_keys_are_told() {
    let clock = clock();
    let verifier = verifier(&clock);
    let token = sign(&with(header(), json!({ "kid": "next" })), &claims(&clock)).unwrap();
    assert!(refused(&verifier, &token).await);
    let wait = Duration::from_secs(10);
    tokio::time::timeout(wait, verifier.unknown_key())
        .await
        .expect("nobody was told");
    verifier.set_keys(vec![PublicKey {
        kid: "next".to_owned(),
        ..public_key().unwrap()
    }]);
    assert!(!refused(&verifier, &token).await);
    verifier.set_keys(Vec::new());
    let answer = verifier.verify(&format!("Bearer {token}")).await;
    assert!(
        matches!(answer, Err(VerifyError::Unavailable(_))),
        "no keys is not a bad token"
    );
}

#[tokio::test]
async fn revoked_device_is_refused_for_sixteen_minutes() {
    let clock = clock();
    let verifier = verifier(&clock);
    let far = json!({ "exp": clock.now().as_second() + 100_000 });
    let token = sign(&header(), &with(claims(&clock), far)).unwrap();
    verifier.revoke(&[DeviceId::new(7)], clock.now());
    assert!(refused(&verifier, &token).await);
    clock.advance(Duration::from_secs(16 * 60 - 1));
    verifier.set_revocations_fresh(clock.now());
    assert!(refused(&verifier, &token).await);
    clock.advance(Duration::from_secs(1));
    verifier.set_revocations_fresh(clock.now());
    assert!(!refused(&verifier, &token).await);
}

#[tokio::test]
async fn stale_revocations_are_unavailable_and_never_let_through() {
    let clock = clock();
    let verifier = verifier(&clock);
    let bearer = format!("Bearer {}", sign(&header(), &claims(&clock)).unwrap());
    clock.advance(Duration::from_secs(5));
    assert!(verifier.verify(&bearer).await.is_ok());
    clock.advance(Duration::from_millis(1));
    let answer = verifier.verify(&bearer).await;
    assert!(
        matches!(answer, Err(VerifyError::Unavailable(_))),
        "{answer:?}"
    );
    verifier.revoke(&[DeviceId::new(7)], clock.now());
    let answer = verifier.verify(&bearer).await;
    assert!(
        matches!(answer, Err(VerifyError::Invalid)),
        "what is known to be revoked stays so"
    );
    let never_fed = TokenVerifier::new(ISSUER, AUDIENCE, clock);
    never_fed.set_keys(vec![public_key().unwrap()]);
    assert!(matches!(
        never_fed.verify(&bearer).await,
        Err(VerifyError::Unavailable(_))
    ));
}

#[tokio::test]
async fn more_revocations_than_fit_close_the_door() {
    let clock = clock();
    let verifier = verifier(&clock);
    let bearer = format!("Bearer {}", sign(&header(), &claims(&clock)).unwrap());
    let most: Vec<DeviceId> = (1_000..501_000).map(DeviceId::new).collect();
    verifier.revoke(&most, clock.now());
    assert!(verifier.verify(&bearer).await.is_ok());
    verifier.revoke(&[DeviceId::new(7)], clock.now());
    assert!(matches!(
        verifier.verify(&bearer).await,
        Err(VerifyError::Unavailable(_))
    ));
}

/// Knows one token, counts questions, and can be away.
#[derive(Default)]
struct Bots {
    asked: AtomicUsize,
    known: AtomicBool,
    away: AtomicBool,
}

#[async_trait]
impl OpaqueTokens for Bots {
    async fn resolve_bot(&self, _sha256: [u8; 32]) -> Result<Option<Caller>, Failure> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        if self.away.load(Ordering::SeqCst) {
            return Err(UNAVAILABLE.fail());
        }
        Ok(self
            .known
            .load(Ordering::SeqCst)
            .then(|| Caller::bot(UserId::new(77))))
    }

    async fn resolve_api_key(&self, sha256: [u8; 32]) -> Result<Option<Caller>, Failure> {
        let bot = self.resolve_bot(sha256).await?;
        Ok(bot.map(|bot| Caller::api_key(bot.user, vec!["users:read".to_owned()])))
    }

    async fn access_for_cookie(&self, _: [u8; 32], _: &Meta) -> Result<Option<String>, Failure> {
        Ok(None)
    }

    async fn take_ticket(&self, _: [u8; 32]) -> Result<Option<String>, Failure> {
        Ok(None)
    }

    async fn roles(&self, _: UserId) -> Result<Vec<PlatformRole>, Failure> {
        Ok(Vec::new())
    }

    async fn ways_to_step_up(&self, _: UserId) -> Result<Vec<&'static str>, Failure> {
        Ok(Vec::new())
    }

    async fn device_is_live(&self, _: DeviceId) -> Result<bool, Failure> {
        Ok(true)
    }
}

fn with_bots(clock: &Arc<ManualClock>) -> (TokenVerifier, Arc<Bots>) {
    let bots = Arc::new(Bots::default());
    (verifier(clock).with_opaque(bots.clone()), bots)
}

#[tokio::test]
async fn bot_tokens_are_remembered_for_thirty_seconds() {
    let clock = clock();
    let (verifier, bots) = with_bots(&clock);
    bots.known.store(true, Ordering::SeqCst);
    let many = (0..20).map(|_| verifier.verify("Bot token"));
    assert!(
        futures::future::join_all(many)
            .await
            .iter()
            .all(Result::is_ok)
    );
    assert_eq!(
        bots.asked.load(Ordering::SeqCst),
        1,
        "asked at once, asked once"
    );
    clock.advance(Duration::from_millis(29_999));
    verifier.verify("Bot token").await.unwrap();
    assert_eq!(bots.asked.load(Ordering::SeqCst), 1);
    clock.advance(Duration::from_millis(1));
    verifier.verify("Bot token").await.unwrap();
    assert_eq!(bots.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn unknown_bot_tokens_are_remembered_for_five_seconds() {
    let clock = clock();
    let (verifier, bots) = with_bots(&clock);
    assert!(matches!(
        verifier.verify("Bot token").await,
        Err(VerifyError::Invalid)
    ));
    bots.known.store(true, Ordering::SeqCst);
    clock.advance(Duration::from_millis(4_999));
    assert!(matches!(
        verifier.verify("Bot token").await,
        Err(VerifyError::Invalid)
    ));
    assert_eq!(bots.asked.load(Ordering::SeqCst), 1);
    clock.advance(Duration::from_millis(1));
    assert!(verifier.verify("Bot token").await.is_ok());
}

#[tokio::test]
async fn judge_that_is_away_is_unavailable_and_not_remembered() {
    let clock = clock();
    let (verifier, bots) = with_bots(&clock);
    bots.away.store(true, Ordering::SeqCst);
    assert!(matches!(
        verifier.verify("Bot token").await,
        Err(VerifyError::Unavailable(_))
    ));
    bots.away.store(false, Ordering::SeqCst);
    bots.known.store(true, Ordering::SeqCst);
    assert!(verifier.verify("Bot token").await.is_ok());
}

#[tokio::test]
async fn changed_bot_token_is_forgotten_at_once() {
    let clock = clock();
    let (verifier, bots) = with_bots(&clock);
    bots.known.store(true, Ordering::SeqCst);
    verifier.verify("Bot token").await.unwrap();
    bots.known.store(false, Ordering::SeqCst);
    verifier.forget_secrets(UserId::new(77));
    assert!(matches!(
        verifier.verify("Bot token").await,
        Err(VerifyError::Invalid)
    ));
}

#[tokio::test]
async fn absurd_bot_tokens_are_not_even_asked_about() {
    let clock = clock();
    let (verifier, bots) = with_bots(&clock);
    for token in ["Bot ".to_owned(), format!("Bot {}", "x".repeat(257))] {
        assert!(matches!(
            verifier.verify(&token).await,
            Err(VerifyError::Invalid)
        ));
    }
    assert_eq!(bots.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn keys_with_a_wrong_checksum_are_not_even_asked_about() {
    let clock = clock();
    let (verifier, bots) = with_bots(&clock);
    bots.known.store(true, Ordering::SeqCst);
    let key = kernel::api_key::make(&*kernel::SeededRng::new(1));
    let caller = verifier.verify(&format!("Bearer {key}")).await.unwrap();
    assert_eq!(
        (caller.kind, caller.scopes),
        (CallerKind::ApiKey, vec!["users:read".to_owned()])
    );
    assert_eq!(bots.asked.load(Ordering::SeqCst), 1);
    let last = if key.ends_with('0') { '1' } else { '0' };
    let start = key.chars().take(key.len() - 1);
    let mistyped: String = start.chain([last]).collect();
    for bad in [format!("Bearer {mistyped}"), key.clone()] {
        let verdict = verifier.verify(&bad).await;
        assert!(matches!(verdict, Err(VerifyError::Invalid)), "{bad}");
    }
    assert_eq!(bots.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_remembered_key_is_no_bot_token() {
    let clock = clock();
    let (verifier, bots) = with_bots(&clock);
    bots.known.store(true, Ordering::SeqCst);
    let key = kernel::api_key::make(&*kernel::SeededRng::new(1));
    let as_key = verifier.verify(&format!("Bearer {key}")).await.unwrap();
    let as_bot = verifier.verify(&format!("Bot {key}")).await.unwrap();
    assert_eq!(
        (as_key.kind, as_bot.kind),
        (CallerKind::ApiKey, CallerKind::Bot)
    );
    verifier.forget_secrets(UserId::new(77));
    bots.known.store(false, Ordering::SeqCst);
    let verdict = verifier.verify(&format!("Bearer {key}")).await;
    assert!(matches!(verdict, Err(VerifyError::Invalid)));
}
