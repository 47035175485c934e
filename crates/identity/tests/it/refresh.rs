//! Exchanging refresh tokens: races, replays, retries.

use std::time::Duration;

use serde_json::json;

use crate::harness::{House, Session, refusal, settings};

const ATTEMPT: &str = "attempt-0123456789";

/// Exchanges a token that is good.
async fn refreshed(house: &House, token: &str, attempt: Option<&str>) -> Session {
    Session::of(&house.refresh(token, attempt).await.expect(200).unwrap())
}

#[tokio::test]
async fn s6_one_refresh_wins_and_the_login_lives() {
    let house = House::new().await;
    let first = house.register("ayse").await;
    let replies =
        futures::future::join_all((0..50).map(|_| house.refresh(&first.refresh, None))).await;
    let (won, lost): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
    assert_eq!(won.len(), 1);
    for reply in lost {
        assert_eq!(refusal(reply), (401, "REFRESH_ROTATED"));
    }
    let second = Session::of(won[0]);
    assert_eq!((&second.device, &second.user), (&first.device, &first.user));
    house
        .get("/v1/users/@me", &second.access)
        .await
        .expect(200)
        .unwrap();
    refreshed(&house, &second.refresh, None).await;
    assert!(house.announced().await.is_empty());
}

#[tokio::test]
async fn s6_replay_of_a_grandparent_kills_and_the_kill_stays() {
    let house = House::new().await;
    let first = house.register("ayse").await;
    let second = refreshed(&house, &first.refresh, None).await;
    let third = refreshed(&house, &second.refresh, None).await;
    let reply = house.refresh(&first.refresh, None).await;
    assert_eq!(refusal(&reply), (401, "REFRESH_REUSED"));
    let killed = "SELECT count(*) FROM identity.user_devices WHERE revoke_reason = 'refresh_reuse'";
    assert_eq!(house.count(killed).await, 1);
    assert_eq!(house.announced().await.len(), 1);
    assert_eq!(house.get("/v1/users/@me", &third.access).await.status, 401);
    for token in [&first.refresh, &second.refresh, &third.refresh] {
        let reply = house.refresh(token, None).await;
        assert_eq!(refusal(&reply), (401, "REFRESH_INVALID"));
    }
    let revoked = house.events("identity.device_revoked.v1").await;
    assert_eq!(
        revoked,
        [json!({"device_id": first.device, "reason": "refresh_reuse"})]
    );
}

#[tokio::test]
async fn s6_a_retry_with_the_same_attempt_is_byte_identical() {
    let house = House::new().await;
    let first = house.register("ayse").await;
    let won = house
        .refresh(&first.refresh, Some(ATTEMPT))
        .await
        .expect(200)
        .unwrap();
    // Time passes on our clock, also beyond the grace: the successor is made of stored numbers.
    house.wait(300);
    for _ in 0..3 {
        let retried = house
            .refresh(&first.refresh, Some(ATTEMPT))
            .await
            .expect(200)
            .unwrap();
        assert_eq!(retried.json["refresh_token"], won.json["refresh_token"]);
        assert_ne!(retried.json["access_token"], won.json["access_token"]);
    }
    let other = house
        .refresh(&first.refresh, Some("another-attempt-01"))
        .await;
    assert_eq!(refusal(&other), (401, "REFRESH_ROTATED"));
    let second = Session::of(&won);
    refreshed(&house, &second.refresh, None).await;
}

#[tokio::test]
async fn s6_concurrent_retries_share_one_successor() {
    let house = House::new().await;
    let first = house.register("ayse").await;
    let replies =
        futures::future::join_all((0..50).map(|_| house.refresh(&first.refresh, Some(ATTEMPT))))
            .await;
    let tokens: std::collections::BTreeSet<String> = replies
        .into_iter()
        .map(|reply| Session::of(&reply.expect(200).unwrap()).refresh)
        .collect();
    assert_eq!(tokens.len(), 1);
}

#[tokio::test]
async fn s6_without_an_attempt_nothing_is_ever_a_retry() {
    let mut settings = settings();
    settings.reuse_grace = Duration::ZERO;
    let house = House::with(settings).await;
    let first = house.register("ayse").await;
    let second = refreshed(&house, &first.refresh, None).await;
    // With grace 0 every replay kills; two absent attempts are not the same attempt.
    let reply = house.refresh(&first.refresh, None).await;
    assert_eq!(refusal(&reply), (401, "REFRESH_REUSED"));
    assert_eq!(house.refresh(&second.refresh, None).await.status, 401);
}

#[tokio::test]
async fn s6_the_attempt_of_a_grandparent_is_no_retry() {
    let house = House::new().await;
    let first = house.register("ayse").await;
    let second = refreshed(&house, &first.refresh, Some(ATTEMPT)).await;
    refreshed(&house, &second.refresh, Some(ATTEMPT)).await;
    let reply = house.refresh(&first.refresh, Some(ATTEMPT)).await;
    assert_eq!(refusal(&reply), (401, "REFRESH_REUSED"));
}

#[tokio::test]
async fn s6_after_ten_minutes_a_retry_is_reuse() {
    let house = House::new().await;
    let first = house.register("ayse").await;
    refreshed(&house, &first.refresh, Some(ATTEMPT)).await;
    // The classes are judged by the database's clock, so the past is moved there.
    let past = "UPDATE identity.spent_refresh SET spent_at = spent_at - interval '599 seconds'";
    house.script(past).await;
    refreshed(&house, &first.refresh, Some(ATTEMPT)).await;
    let past = "UPDATE identity.spent_refresh SET spent_at = spent_at - interval '2 seconds'";
    house.script(past).await;
    let reply = house.refresh(&first.refresh, Some(ATTEMPT)).await;
    assert_eq!(refusal(&reply), (401, "REFRESH_REUSED"));
}

#[tokio::test]
async fn another_issuer_makes_a_retry_a_race() {
    let house = House::new().await;
    let first = house.register("ayse").await;
    refreshed(&house, &first.refresh, Some(ATTEMPT)).await;
    let changed = "UPDATE identity.user_devices SET cur_iat = cur_iat - 1";
    house.script(changed).await;
    let reply = house.refresh(&first.refresh, Some(ATTEMPT)).await;
    assert_eq!(refusal(&reply), (401, "REFRESH_ROTATED"));
}

#[tokio::test]
async fn expired_and_foreign_tokens_are_invalid() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    for token in ["", "x", "a.b.c", &session.access] {
        let reply = house.refresh(token, None).await;
        assert_eq!(refusal(&reply), (401, "REFRESH_INVALID"), "{token}");
    }
    for attempt in ["fifteen-letters", &"x".repeat(65), "sixteen letters!"] {
        let reply = house.refresh(&session.refresh, Some(attempt)).await;
        assert_eq!(refusal(&reply), (400, "INVALID_REQUEST"), "{attempt}");
    }
    // Seven days and the leeway of half a minute.
    house.wait(7 * 24 * 3600 + 30);
    let reply = house.refresh(&session.refresh, None).await;
    assert_eq!(refusal(&reply), (401, "REFRESH_INVALID"));
    assert_eq!(
        house
            .count("SELECT count(*) FROM identity.spent_refresh")
            .await,
        0
    );
}

#[tokio::test]
async fn a_login_ends_at_its_absolute_age() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    house
        .script("UPDATE identity.user_devices SET absolute_expires_at = now()")
        .await;
    let reply = house.refresh(&session.refresh, None).await;
    assert_eq!(refusal(&reply), (401, "REFRESH_INVALID"));
}

#[tokio::test]
async fn a_disabled_user_refreshes_no_more() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    house
        .script("UPDATE identity.users SET state = 'disabled'")
        .await;
    let reply = house.refresh(&session.refresh, None).await;
    assert_eq!(refusal(&reply), (401, "REFRESH_INVALID"));
}

#[tokio::test]
async fn refreshes_of_one_device_are_limited() {
    let mut settings = settings();
    settings.limits.refresh_device_per_minute = 30;
    let house = House::with(settings).await;
    let mut session = house.register("ayse").await;
    let other = house.register("fatma").await;
    for _ in 0..30 {
        let reply = house.refresh(&session.refresh, None).await;
        session = Session::of(&reply.expect(200).unwrap());
    }
    let reply = house.refresh(&session.refresh, None).await;
    assert_eq!(refusal(&reply), (429, "RATE_LIMITED"));
    assert_eq!(reply.header("retry-after"), Some("2"));
    refreshed(&house, &other.refresh, None).await;
    house.wait(2);
    refreshed(&house, &session.refresh, None).await;
}
