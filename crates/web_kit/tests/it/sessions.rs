//! Cookies and tickets: what the verifier remembers of them, and what it must not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::FromRequestParts as _;
use kernel::{Caller, Clock as _, DeviceId, Failure, ManualClock, PlatformRole, UserId};
use testkit::http::sign;
use web_kit::{Meta, OpaqueTokens, TokenVerifier, VerifyError};

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
