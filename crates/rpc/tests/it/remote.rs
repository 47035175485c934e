//! Asking identity from another process: the same answers, a token that is renewed in time, and
//! what is said while identity is away.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use contracts::Credentials;
use contracts::identity::From;
use jiff::Timestamp;
use kernel::{DeviceId, Failure, UserId};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::issuer::{DEVICE, Issuer, KNOWN, Served, USER, remote};

fn code<T>(answer: Result<T, Failure>) -> &'static str {
    answer.map_or_else(|failure| failure.row.code, |_| "OK")
}

/// Every question, each with what is there and what is not, as text.
async fn answers(credentials: &dyn Credentials) -> Vec<String> {
    let from = |user_agent: Option<&str>| From {
        ip: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)),
        user_agent: user_agent.map(ToOwned::to_owned),
    };
    let since: Timestamp = "2026-11-20T06:59:59.000001Z".parse().unwrap();
    let mut answers = vec![
        format!("{:?}", credentials.keys().await.unwrap()),
        format!("{:?}", credentials.revoked_since(since).await.unwrap()),
        format!("{:?}", credentials.ways_to_step_up(USER).await.unwrap()),
        format!("{:?}", credentials.roles(USER).await.unwrap()),
    ];
    for device in [DEVICE, DeviceId::new(0)] {
        answers.push(format!(
            "{:?}",
            credentials.device_is_live(device).await.unwrap()
        ));
    }
    for sha256 in [KNOWN, [0; 32]] {
        answers.push(format!(
            "{:?}",
            credentials.resolve_api_key(sha256).await.unwrap()
        ));
        answers.push(format!(
            "{:?}",
            credentials.take_ticket(sha256).await.unwrap()
        ));
        for agent in [None, Some(""), Some("Firefox")] {
            let access = credentials.access_for_cookie(sha256, &from(agent)).await;
            answers.push(format!("{:?}", access.unwrap()));
        }
    }
    answers
}

#[tokio::test]
async fn questions_and_answers_are_those_of_identity_itself() {
    let issuer = Issuer::new();
    let here = answers(&*issuer).await;
    let asked_here = std::mem::take(&mut *issuer.asked.lock().unwrap());
    let served = Served::start(&issuer).await;
    let remote = remote(served.address, &issuer.clock);
    assert_eq!(answers(&*remote).await, here);
    assert_eq!(*issuer.asked.lock().unwrap(), asked_here);
    assert_eq!(issuer.given.load(SeqCst), 1, "one token for all");
}

#[tokio::test]
async fn the_token_is_renewed_a_minute_before_it_ends_and_asked_for_once() {
    let issuer = Issuer::new();
    let served = Served::start(&issuer).await;
    let remote = remote(served.address, &issuer.clock);
    let many = (0..20).map(|_| remote.keys());
    for answer in futures::future::join_all(many).await {
        answer.unwrap();
    }
    assert_eq!(issuer.given.load(SeqCst), 1);
    issuer.clock.advance(Duration::from_secs(239));
    remote.keys().await.unwrap();
    assert_eq!(issuer.given.load(SeqCst), 1);
    issuer.clock.advance(Duration::from_secs(1));
    remote.keys().await.unwrap();
    assert_eq!(issuer.given.load(SeqCst), 2);
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_is_used_to_its_end() {
    let issuer = Issuer::new();
    let served = Served::start(&issuer).await;
    let remote = remote(served.address, &issuer.clock);
    remote.keys().await.unwrap();
    issuer.refusing.store(true, SeqCst);
    issuer.clock.advance(Duration::from_secs(299));
    remote.keys().await.unwrap();
    issuer.clock.advance(Duration::from_secs(1));
    let refused = remote.keys().await;
    // Identity's refusal of this process is no verdict about anybody else.
    assert_eq!(code(refused), "UNAVAILABLE");
    issuer.refusing.store(false, SeqCst);
    remote.keys().await.unwrap();
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_at_once() {
    let issuer = Issuer::new();
    let served = Served::start(&issuer).await;
    let remote = remote(served.address, &issuer.clock);
    // Signed by a key that was given up, or ended by another clock.
    issuer.lives.lock().unwrap().push_back(-60);
    assert_eq!(
        remote.take_ticket(KNOWN).await.unwrap().as_deref(),
        Some("behind the ticket")
    );
    assert_eq!((issuer.given.load(SeqCst), issuer.questions()), (2, 1));
    // When all are, somebody has to look; nobody is logged out.
    issuer.lives.lock().unwrap().extend([-60; 3]);
    issuer.clock.advance(Duration::from_secs(240));
    assert_eq!(code(remote.take_ticket(KNOWN).await), "UNAVAILABLE");
}

#[tokio::test]
async fn what_may_be_asked_again_is_asked_three_times() {
    let issuer = Issuer::new();
    let served = Served::start(&issuer).await;
    let remote = remote(served.address, &issuer.clock);
    issuer.failing.store(2, SeqCst);
    remote.roles(USER).await.unwrap();
    assert_eq!(issuer.questions(), 3);
    issuer.failing.store(3, SeqCst);
    assert_eq!(code(remote.roles(USER).await), "UNAVAILABLE");
    assert_eq!(issuer.questions(), 6);
    // A ticket may have been used up although the answer is lost.
    issuer.failing.store(1, SeqCst);
    assert_eq!(code(remote.take_ticket(KNOWN).await), "UNAVAILABLE");
    assert_eq!(issuer.questions(), 7);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_waited_for_two_seconds() {
    let issuer = Issuer::new();
    let served = Served::start(&issuer).await;
    let remote = remote(served.address, &issuer.clock);
    remote.keys().await.unwrap();
    issuer.waiting.store(true, SeqCst);
    let begun = Instant::now();
    assert_eq!(code(remote.roles(UserId::new(1)).await), "UNAVAILABLE");
    let waited = begun.elapsed();
    assert!(
        waited >= Duration::from_secs(2) && waited < Duration::from_secs(10),
        "{waited:?}"
    );
}

#[tokio::test]
async fn while_identity_is_away_nothing_is_said_of_anybody_and_then_all_is_well() {
    let issuer = Issuer::new();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let remote = remote(address, &issuer.clock);
    for _ in 0..8 {
        assert_eq!(code(remote.resolve_api_key(KNOWN).await), "UNAVAILABLE");
    }
    let serve = async || {
        let listener = TcpListener::bind(address).await.unwrap();
        Served::on(listener, &issuer, |verifier| verifier)
    };
    let well = || {
        let remote = Arc::clone(&remote);
        async move { remote.keys().await.is_ok() }
    };
    // It comes, goes, and comes again.
    for _ in 0..2 {
        let served = serve().await;
        testkit::servers::eventually("an answer", Duration::from_secs(10), well)
            .await
            .unwrap();
        served.stop().await;
        assert_eq!(code(remote.keys().await), "UNAVAILABLE");
    }
}
