//! Cookies, tickets and devices: what the verifier asks, what it remembers, and what it must not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::FromRequestParts as _;
use kernel::{Caller, Clock as _, DeviceId, Failure, ManualClock, PlatformRole, UserId};
use testkit::http::sign;
use web_kit::{Meta, OnStale, OpaqueTokens, TokenVerifier, VerifyError};

use crate::app::clock;
use crate::tokens::{claims, header, verifier};

/// Gives an access token for any cookie and any ticket, and counts questions.
struct Sessions {
    asked: AtomicUsize,
    token: Mutex<Option<String>>,
}

#[async_trait]
impl OpaqueTokens for Sessions {
    async fn resolve_bot(&self, _: [u8; 32]) -> Result<Option<Caller>, Failure> {
        Ok(None)
    }

    async fn resolve_api_key(&self, _: [u8; 32]) -> Result<Option<Caller>, Failure> {
        Ok(None)
    }

    async fn access_for_cookie(&self, _: [u8; 32], _: &Meta) -> Result<Option<String>, Failure> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(self.token.lock().unwrap().clone())
    }

    async fn take_ticket(&self, _: [u8; 32]) -> Result<Option<String>, Failure> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(self.token.lock().unwrap().clone())
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

fn with_sessions(clock: &Arc<ManualClock>) -> (TokenVerifier, Arc<Sessions>) {
    let sessions = Arc::new(Sessions {
        asked: AtomicUsize::new(0),
        token: Mutex::new(Some(sign(&header(), &claims(clock)).unwrap())),
    });
    (verifier(clock).with_opaque(sessions.clone()), sessions)
}

/// What is known of a request that nobody looked at.
async fn meta() -> Meta {
    let (mut parts, ()) = axum::http::Request::new(()).into_parts();
    Meta::from_request_parts(&mut parts, &()).await.unwrap()
}

#[tokio::test]
async fn the_token_behind_a_cookie_is_used_for_a_minute() {
    let (clock, meta) = (clock(), meta().await);
    let (verifier, sessions) = with_sessions(&clock);
    let asked = || sessions.asked.load(Ordering::SeqCst);
    for (step_ms, expected) in [(0, 1), (59_999, 1), (1, 2), (1, 2)] {
        clock.advance(Duration::from_millis(step_ms));
        verifier.set_revocations_fresh(clock.now());
        let verified = verifier.cookie("cookie", &meta).await.unwrap();
        assert_eq!(verified.caller.user, UserId::new(42));
        assert_eq!(asked(), expected, "{step_ms}");
    }
    verifier.cookie("another", &meta).await.unwrap();
    assert_eq!(asked(), 3);
}

#[tokio::test]
async fn a_remembered_cookie_ends_with_its_device() {
    let (clock, meta) = (clock(), meta().await);
    let (verifier, sessions) = with_sessions(&clock);
    verifier.cookie("cookie", &meta).await.unwrap();
    verifier.revoke(&[DeviceId::new(7)], clock.now());
    let verdict = verifier.cookie("cookie", &meta).await;
    assert!(matches!(verdict, Err(VerifyError::Invalid)));
    assert_eq!(sessions.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn tickets_are_never_remembered() {
    let clock = clock();
    let (verifier, sessions) = with_sessions(&clock);
    verifier.ticket("myd_wt_x").await.unwrap();
    *sessions.token.lock().unwrap() = None;
    let verdict = verifier.ticket("myd_wt_x").await;
    assert!(matches!(verdict, Err(VerifyError::Invalid)));
    assert_eq!(sessions.asked.load(Ordering::SeqCst), 2);
}

/// Says whether a device is alive, slowly if asked to, and counts questions.
struct Registry {
    asked: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    answer: Mutex<Answer>,
}

#[derive(Clone, Copy)]
enum Answer {
    Alive,
    Dead,
    Failing,
    Never,
}

#[async_trait]
impl OpaqueTokens for Registry {
    async fn resolve_bot(&self, _: [u8; 32]) -> Result<Option<Caller>, Failure> {
        Ok(None)
    }

    async fn resolve_api_key(&self, _: [u8; 32]) -> Result<Option<Caller>, Failure> {
        Ok(None)
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
        self.asked.fetch_add(1, Ordering::SeqCst);
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let answer = *self.answer.lock().unwrap();
        let verdict = match answer {
            Answer::Alive => Ok(true),
            Answer::Dead => Ok(false),
            Answer::Failing => Err(kernel::failure::UNAVAILABLE.fail()),
            Answer::Never => std::future::pending().await,
        };
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        verdict
    }
}

fn looking_up(clock: &Arc<ManualClock>, on_stale: OnStale) -> (Arc<TokenVerifier>, Arc<Registry>) {
    let registry = Arc::new(Registry {
        asked: AtomicUsize::new(0),
        at_once: AtomicUsize::new(0),
        most_at_once: AtomicUsize::new(0),
        answer: Mutex::new(Answer::Alive),
    });
    let verifier = verifier(clock)
        .on_stale(on_stale)
        .with_opaque(registry.clone());
    (Arc::new(verifier), registry)
}

fn code(verdict: &Result<Caller, VerifyError>) -> u16 {
    match verdict {
        Ok(_) => 200,
        Err(VerifyError::Invalid) => 401,
        Err(VerifyError::Unavailable(_)) => 503,
    }
}

#[tokio::test(start_paused = true)]
async fn s10_while_nobody_tells_of_revocations_each_request_asks() {
    let clock = clock();
    let (verifier, registry) = looking_up(&clock, OnStale::default());
    let token = sign(&header(), &claims(&clock)).unwrap();
    clock.advance(Duration::from_secs(5));
    assert_eq!(code(&verifier.verify(&token).await), 200);
    assert_eq!(registry.asked.load(Ordering::SeqCst), 0, "still fresh");
    clock.advance(Duration::from_millis(1));
    for (asked, (answer, expected)) in [
        (Answer::Alive, 200),
        (Answer::Dead, 401),
        (Answer::Failing, 503),
        (Answer::Never, 503),
        (Answer::Alive, 200),
    ]
    .into_iter()
    .enumerate()
    {
        *registry.answer.lock().unwrap() = answer;
        let begun = tokio::time::Instant::now();
        assert_eq!(code(&verifier.verify(&token).await), expected);
        assert!(begun.elapsed() <= Duration::from_millis(1_010));
        assert_eq!(registry.asked.load(Ordering::SeqCst), asked + 1);
    }
    // What is known to be revoked is not asked about.
    verifier.revoke(&[DeviceId::new(7)], clock.now());
    assert_eq!(code(&verifier.verify(&token).await), 401);
    assert_eq!(registry.asked.load(Ordering::SeqCst), 5);
    verifier.set_revocations_fresh(clock.now());
    assert_eq!(registry.asked.load(Ordering::SeqCst), 5);
}

#[tokio::test(start_paused = true)]
async fn at_most_sixty_four_ask_at_once_and_the_others_wait() {
    let clock = clock();
    let (verifier, registry) = looking_up(&clock, OnStale::Lookup);
    let token = sign(&header(), &claims(&clock)).unwrap();
    clock.advance(Duration::from_secs(6));
    let many = (0..200).map(|_| verifier.verify(&token));
    let verdicts = futures::future::join_all(many).await;
    assert!(verdicts.iter().all(|verdict| code(verdict) == 200));
    assert_eq!(registry.most_at_once.load(Ordering::SeqCst), 64);
    *registry.answer.lock().unwrap() = Answer::Never;
    let many = (0..200).map(|_| verifier.verify(&token));
    let verdicts = futures::future::join_all(many).await;
    assert!(verdicts.iter().all(|verdict| code(verdict) == 503));
    *registry.answer.lock().unwrap() = Answer::Alive;
    assert_eq!(code(&verifier.verify(&token).await), 200, "turns come back");
}

#[tokio::test]
async fn whoever_runs_it_chooses_what_stale_means() {
    for (on_stale, expected) in [
        (OnStale::Lookup, 401),
        (OnStale::Deny, 503),
        (OnStale::Allow, 200),
    ] {
        let clock = clock();
        let (verifier, registry) = looking_up(&clock, on_stale);
        *registry.answer.lock().unwrap() = Answer::Dead;
        let token = sign(&header(), &claims(&clock)).unwrap();
        clock.advance(Duration::from_secs(6));
        assert_eq!(
            code(&verifier.verify(&token).await),
            expected,
            "{on_stale:?}"
        );
    }
}
