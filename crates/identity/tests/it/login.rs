//! Logging in and out.

use identity::{Limits, Scheme};
use serde_json::{Value, json};

use crate::harness::{House, PASSWORD, masked, refusal, settings};

const PATH: &str = "/v1/auth/login";

#[tokio::test]
async fn one_logs_in_by_address_and_by_username() {
    let house = House::new().await;
    let first = house.register("ayse").await;
    for identifier in ["ayse", "AYSE", " Ayse@Example.com "] {
        let session = house.log_in(identifier).await;
        assert_eq!(session.user, first.user);
        assert_ne!(session.device, first.device);
    }
    let reply = house
        .post(PATH, json!({"identifier": "ayse", "password": PASSWORD}))
        .await;
    insta::assert_json_snapshot!(masked(reply.json), @r#"
    {
      "access_token": "[token]",
      "device_id": "[id]",
      "expires_in": 900,
      "is_new_user": false,
      "refresh_token": "[token]",
      "token_type": "Bearer",
      "user_id": "[id]"
    }
    "#);
}

#[tokio::test]
async fn unknown_and_known_get_the_same_answer() {
    let house = House::new().await;
    house.register("ayse").await;
    house.register("disabled").await;
    house.register("nopassword").await;
    house
        .script(
            "UPDATE identity.users SET state = 'disabled' WHERE username = 'disabled';
         DELETE FROM identity.credentials c USING identity.users u
          WHERE u.id = c.user_id AND u.username = 'nopassword';",
        )
        .await;
    let bot =
        contracts::Identity::create_bot(&*house.identity, kernel::UserId::new(1), "helperbot");
    bot.await.unwrap();
    let mut answers = Vec::new();
    for (identifier, password) in [
        ("ayse", "not the password"),
        ("nobody", "not the password"),
        ("nobody@example.com", PASSWORD),
        ("+905320000000", PASSWORD),
        ("disabled", PASSWORD),
        ("nopassword", PASSWORD),
        ("helperbot", PASSWORD),
        ("ayse", ""),
        ("", PASSWORD),
        ("ay\0se", PASSWORD),
        ("ayse\0@example.com", PASSWORD),
    ] {
        let body = json!({"identifier": identifier, "password": password});
        let reply = house.post(PATH, body).await;
        answers.push((reply.status, masked(reply.json)));
    }
    let long = json!({"identifier": "ayse", "password": "x".repeat(100_000)});
    let reply = house.post(PATH, long).await;
    answers.push((reply.status, masked(reply.json)));
    assert_eq!(answers[0].0, 401);
    assert_eq!(answers[0].1["code"], "INVALID_CREDENTIALS");
    assert!(
        answers.iter().all(|answer| answer == &answers[0]),
        "{answers:#?}"
    );
    assert_eq!(
        house
            .count("SELECT count(*) FROM identity.user_devices")
            .await,
        3
    );
}

#[tokio::test]
async fn bad_bodies_are_refused() {
    let house = House::new().await;
    for body in [
        json!({}),
        json!({"identifier": "ayse"}),
        json!({"identifier": 1, "password": "x"}),
        json!({"identifier": "ayse", "password": "x", "extra": 1}),
        json!({"identifier": "ayse", "password": "x", "device": {"device_name": "x".repeat(101)}}),
    ] {
        let reply = house.post(PATH, body.clone()).await;
        assert_eq!(refusal(&reply), (400, "INVALID_REQUEST"), "{body}");
    }
}

#[tokio::test]
async fn one_more_login_than_the_queue_holds_is_told_to_come_back() {
    use futures::StreamExt as _;
    // One at a time, and slow: what is first to answer then did not wait for a hash.
    for (logins, first) in [(65, 401), (66, 503)] {
        let mut settings = settings();
        settings.password_scheme = Scheme::Bcrypt { cost: 15 };
        settings.hashing_permits = 1;
        let house = House::with(settings).await;
        let body = json!({"identifier": "nobody", "password": "something"});
        let mut answers: futures::stream::FuturesUnordered<_> = (0..logins)
            .map(|_| house.post(PATH, body.clone()))
            .collect();
        let reply = answers.next().await.unwrap();
        assert_eq!(
            reply.status.as_u16(),
            first,
            "{logins} at once: {}",
            reply.json
        );
        if first == 503 {
            assert_eq!(refusal(&reply), (503, "BUSY"));
            assert_eq!(reply.header("retry-after"), Some("1"));
        }
    }
}

#[tokio::test]
async fn logins_from_one_neighbourhood_are_limited() {
    let mut settings = settings();
    settings.limits.login_address_per_minute = Limits::default().login_address_per_minute;
    let house = House::with(settings).await;
    house.register("ayse").await;
    let body = |name: &str| json!({"identifier": name, "password": PASSWORD});
    for number in 0..10 {
        let reply = house
            .post_from("203.0.113.9", PATH, body(&format!("n{number}")))
            .await;
        assert_eq!(refusal(&reply), (401, "INVALID_CREDENTIALS"), "{number}");
    }
    let reply = house.post_from("203.0.113.250", PATH, body("ayse")).await;
    assert_eq!(refusal(&reply), (429, "RATE_LIMITED"));
    assert_eq!(reply.header("retry-after"), Some("6"));
    house
        .post_from("198.51.100.1", PATH, body("ayse"))
        .await
        .expect(200)
        .unwrap();
    house.wait(6);
    house
        .post_from("203.0.113.250", PATH, body("ayse"))
        .await
        .expect(200)
        .unwrap();
}

#[tokio::test]
async fn an_account_is_delayed_longer_and_longer_and_never_locked() {
    let mut settings = settings();
    settings.limits.login_account_per_hour = Limits::default().login_account_per_hour;
    let house = House::with(settings).await;
    house.register("ayse").await;
    house.register("fatma").await;
    let wrong = json!({"identifier": "ayse", "password": "not the password"});
    for number in 0..20 {
        let reply = house.post(PATH, wrong.clone()).await;
        assert_eq!(refusal(&reply), (401, "INVALID_CREDENTIALS"), "{number}");
    }
    for wait in [30, 60, 120, 240, 480, 900, 900] {
        let reply = house.post(PATH, wrong.clone()).await;
        assert_eq!(refusal(&reply), (429, "RATE_LIMITED"), "{wait}");
        assert_eq!(reply.header("retry-after").unwrap(), wait.to_string());
        house.wait(wait - 1);
        let early = house.post(PATH, wrong.clone()).await;
        assert_eq!(
            refusal(&early),
            (429, "RATE_LIMITED"),
            "{wait}, a second early"
        );
        house.wait(1);
        let reply = house.post(PATH, wrong.clone()).await;
        assert_eq!(
            refusal(&reply),
            (401, "INVALID_CREDENTIALS"),
            "after {wait}"
        );
    }
    // Somebody else's account is not touched, and the owner gets in after the wait.
    house.log_in("fatma").await;
    house.wait(900);
    house.log_in("ayse").await;
}

#[tokio::test]
async fn logout_by_refresh_token_is_repeatable() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let body = json!({"refresh_token": session.refresh});
    for _ in 0..2 {
        house
            .post("/v1/auth/logout", body.clone())
            .await
            .expect(204)
            .unwrap();
    }
    let announced = house.announced().await;
    assert_eq!(announced.len(), 1);
    assert_eq!(announced[0].to_string(), session.device);
    let reply = house.refresh(&session.refresh, None).await;
    assert_eq!(refusal(&reply), (401, "REFRESH_INVALID"));
    let reply = house.get("/v1/users/@me", &session.access).await;
    assert_eq!(refusal(&reply), (401, "UNAUTHENTICATED"));
    let revoked = house.events("identity.device_revoked.v1").await;
    assert_eq!(
        revoked,
        [json!({"device_id": session.device, "reason": "logout"})]
    );
}

#[tokio::test]
async fn logout_by_access_token_ends_that_device_only() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let other = house.log_in("ayse").await;
    let reply = house
        .call("POST", "/v1/auth/logout", &session.access, json!({}))
        .await;
    reply.expect(204).unwrap();
    assert_eq!(house.refresh(&session.refresh, None).await.status, 401);
    house
        .refresh(&other.refresh, None)
        .await
        .expect(200)
        .unwrap();
    let again = house
        .call("POST", "/v1/auth/logout", &session.access, json!({}))
        .await;
    assert_eq!(refusal(&again), (401, "UNAUTHENTICATED"));
    for body in [json!({}), Value::Null] {
        let nobody = house.post("/v1/auth/logout", body).await;
        assert_eq!(refusal(&nobody), (401, "UNAUTHENTICATED"));
    }
    let garbage = house
        .post("/v1/auth/logout", json!({"refresh_token": "x.y.z"}))
        .await;
    assert_eq!(refusal(&garbage), (401, "REFRESH_INVALID"));
    let bad = house
        .post("/v1/auth/logout", json!({"refresh_token": 7}))
        .await;
    assert_eq!(refusal(&bad), (400, "INVALID_REQUEST"));
}

#[tokio::test]
async fn logging_out_needs_no_body() {
    let house = House::new().await;
    for path in ["/v1/auth/logout", "/v1/auth/logout-all"] {
        let session = match path {
            "/v1/auth/logout" => house.register("ayse").await,
            _ => house.log_in("ayse").await,
        };
        // Null stands for no body and no content type.
        let reply = house.call("POST", path, &session.access, Value::Null).await;
        reply.expect(204).unwrap();
        assert_eq!(house.announced().await.len(), 1, "{path}");
        let after = house.get("/v1/users/@me", &session.access).await;
        assert_eq!(refusal(&after), (401, "UNAUTHENTICATED"), "{path}");
    }
}

#[tokio::test]
async fn logout_all_ends_every_device_or_all_others() {
    let house = House::new().await;
    let sessions = [house.register("ayse").await, house.log_in("ayse").await];
    let third = house.log_in("ayse").await;
    let path = "/v1/auth/logout-all";
    let body = json!({"except_current": true});
    house
        .call("POST", path, &third.access, body)
        .await
        .expect(204)
        .unwrap();
    assert_eq!(house.announced().await.len(), 2);
    for session in &sessions {
        assert_eq!(house.refresh(&session.refresh, None).await.status, 401);
        assert_eq!(
            house.get("/v1/users/@me", &session.access).await.status,
            401
        );
    }
    // A token of a login that is over ends nothing.
    let stale = json!({"refresh_token": sessions[0].refresh});
    assert_eq!(
        refusal(&house.post(path, stale).await),
        (401, "REFRESH_INVALID")
    );
    let third_refresh = json!({"refresh_token": third.refresh});
    house.post(path, third_refresh).await.expect(204).unwrap();
    assert_eq!(house.announced().await.len(), 1);
    assert_eq!(house.get("/v1/users/@me", &third.access).await.status, 401);
    assert_eq!(
        refusal(&house.post(path, json!({})).await),
        (401, "UNAUTHENTICATED")
    );
    assert_eq!(house.post(path, json!({"x": 1})).await.status, 400);
}
