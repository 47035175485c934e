//! Access tokens that must be refused, revocation, and the memory for bot tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kernel::failure::UNAVAILABLE;
use kernel::{Caller, CallerKind, Clock, DeviceId, Failure, ManualClock, PlatformRole, UserId};
use serde_json::{Value, json};
use testkit::forgeries::{Forge, Signer, Verdict};
use testkit::http::{AUDIENCE, ISSUER, KID, public_key, sign};
use web_kit::{Meta, Missed, OpaqueTokens, PublicKey, TokenVerifier, VerifyError};

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
        "iat": now, "exp": now + 900, "auth_time": now, "acr": "aal1", "amr": ["pwd"],
    })
}

/// `base` with some members replaced, or removed by null.
pub(crate) fn with(mut base: Value, changes: Value) -> Value {
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

/// Looks at the keys again whenever a token names an unknown one, as the feeder of a node does.
pub(crate) async fn feeding<T>(verifier: &TokenVerifier, work: impl Future<Output = T>) -> T {
    let feed = async {
        loop {
            verifier.unknown_key().await;
            verifier.set_keys(vec![public_key().unwrap()]);
        }
    };
    tokio::select! {
        done = work => done,
        () = feed => unreachable!("it goes on for ever"),
    }
}

#[tokio::test]
async fn s11_forged_tokens_are_refused() {
    let clock = clock();
    let verifier = verifier(&clock);
    let now = clock.now().as_second();
    let forge = Forge::new(Signer::Ed25519([7; 32]), &header(), &claims(&clock), now).unwrap();
    let refresh = with(claims(&clock), json!({ "type": "refresh", "gen": 1 }));
    let refresh = sign(&with(header(), json!({ "typ": "rt+jwt" })), &refresh).unwrap();
    let forgeries = forge.forgeries(&refresh).unwrap();
    let judged = feeding(&verifier, async {
        for forgery in &forgeries {
            let verdict = verifier.verify(&format!("Bearer {}", forgery.token)).await;
            let good = forgery.verdict == Verdict::Good;
            let fits = matches!(
                (good, &verdict),
                (true, Ok(_)) | (false, Err(VerifyError::Invalid))
            );
            assert!(fits, "{}: {verdict:?}", forgery.what);
        }
        forgeries.len()
    });
    let judged = judged.await;
    assert!(judged > 500, "{judged} tokens");
}

#[tokio::test]
async fn a_token_stands_alone_or_behind_its_scheme() {
    let clock = clock();
    let verifier = verifier(&clock);
    let good = sign(&header(), &claims(&clock)).unwrap();
    for text in [
        format!("Bearer {good}"),
        format!("bEARER {good}"),
        good.clone(),
    ] {
        assert!(verifier.verify(&text).await.is_ok());
    }
    for scheme in ["Basic", "Token", "Bearer Bearer", "Bearer\t", "Bot"] {
        let verdict = verifier.verify(&format!("{scheme} {good}")).await;
        assert!(matches!(verdict, Err(VerifyError::Invalid)), "{scheme}");
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

/// A token of a key that this verifier does not have yet.
fn of_the_next_key(clock: &ManualClock) -> String {
    sign(&with(header(), json!({ "kid": "next" })), &claims(clock)).unwrap()
}

#[tokio::test]
async fn s12_a_token_of_a_new_key_waits_for_the_next_look() {
    let clock = clock();
    let verifier = verifier(&clock);
    let bearer = format!("Bearer {}", of_the_next_key(&clock));
    let look = async {
        verifier.unknown_key().await;
        verifier.set_keys(vec![PublicKey {
            kid: "next".to_owned(),
            ..public_key().unwrap()
        }]);
    };
    let waiting = futures::future::join_all((0..20).map(|_| verifier.verify(&bearer)));
    let (verdicts, ()) = tokio::join!(waiting, look);
    assert!(
        verdicts.iter().all(Result::is_ok),
        "one look is enough for all"
    );
}

#[tokio::test]
async fn s12_a_key_that_a_look_did_not_find_is_forged() {
    let clock = clock();
    let verifier = verifier(&clock);
    let token = of_the_next_key(&clock);
    assert!(feeding(&verifier, refused(&verifier, &token)).await);
}

#[tokio::test(start_paused = true)]
async fn s12_while_nobody_can_look_an_unknown_key_is_not_a_bad_one() {
    let clock = clock();
    let verifier = verifier(&clock);
    let bearer = format!("Bearer {}", of_the_next_key(&clock));
    let begun = tokio::time::Instant::now();
    let verdict = verifier.verify(&bearer).await;
    assert!(
        matches!(verdict, Err(VerifyError::Unavailable(_))),
        "{verdict:?}"
    );
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
    verifier.set_keys(Vec::new());
    let verdict = verifier.verify(&bearer).await;
    assert!(
        matches!(verdict, Err(VerifyError::Unavailable(_))),
        "{verdict:?}"
    );
    assert_eq!(
        begun.elapsed(),
        Duration::from_secs(2),
        "nothing to wait for"
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
async fn s10_revocations_are_told_once_to_whoever_listens() {
    let clock = clock();
    let verifier = verifier(&clock);
    let device = DeviceId::new;
    verifier.revoke(&[device(1)], clock.now());
    let mut revoked = verifier.revocations();
    // As when the fanout told of a device that the next two pulls bring again.
    verifier.revoke(&[device(1), device(2), device(3)], clock.now());
    verifier.revoke(&[device(2), device(3)], clock.now());
    verifier.revoke(&[device(4)], clock.now());
    assert_eq!(*revoked.next().await.unwrap(), [device(2), device(3)]);
    assert_eq!(*revoked.next().await.unwrap(), [device(4)]);
    for number in 10..10 + 1_024 {
        verifier.revoke(&[device(number)], clock.now());
    }
    assert_eq!(*revoked.next().await.unwrap(), [device(10)], "so many wait");
    for number in 2_000..2_000 + 1_025 {
        verifier.revoke(&[device(number)], clock.now());
    }
    assert_eq!(revoked.next().await, Err(Missed), "and not one more");
    assert!(verifier.is_revoked(device(1_033)), "but none is forgotten");
    assert!(!verifier.is_revoked(device(5)));
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
