//! Lists of names and passwords from elsewhere; and that nobody is locked out by them.

use identity::Limits;
use serde_json::json;
use testkit::http::Reply;

use crate::harness::{House, PASSWORD, refusal, settings};

const PATH: &str = "/v1/auth/login";

/// A house with the limits as they are shipped, where they matter here.
async fn guarded() -> House {
    let mut settings = settings();
    settings.limits = Limits {
        refresh_device_per_minute: 100_000,
        validate_address_per_minute: 100_000,
        registration_address_per_hour: 100_000,
        ..Limits::default()
    };
    House::with(settings).await
}

/// With limits on addresses that only stuffing meets.
async fn wide() -> House {
    House::with(settings()).await
}

async fn try_from(house: &House, ip: &str, name: &str, password: &str) -> Reply {
    let body = json!({"identifier": name, "password": password});
    house.post_from(ip, PATH, body).await
}

async fn by_device(house: &House, ip: &str, name: &str, password: &str, token: &str) -> Reply {
    let body = json!({"identifier": name, "password": password, "known_device": token});
    house.post_from(ip, PATH, body).await
}

#[tokio::test]
async fn s15_five_thousand_pairs_from_fifty_networks_are_refused_and_nobody_is_locked() {
    let house = guarded().await;
    let mut victims = Vec::new();
    for number in 0..10 {
        victims.push(house.register(&format!("victim{number}")).await);
    }
    let mut judged = 0;
    for round in 0..100 {
        for network in 0..50 {
            // Every tenth pair names somebody who is there; the networks take turns.
            let number = round * 50 + network;
            let name = if (number + round) % 10 == 0 {
                format!("victim{}", number / 10 % 10)
            } else {
                format!("nobody{number}")
            };
            let ip = format!("198.51.{network}.7");
            let reply = try_from(&house, &ip, &name, &format!("leaked {number}")).await;
            match reply.status.as_u16() {
                401 => judged += 1,
                429 => assert!(reply.header("retry-after").is_some()),
                other => panic!("{other}: {}", reply.json),
            }
        }
        house.wait(6);
    }
    assert!(judged <= 250, "{judged} of 5000 pairs were tried");
    // From their own devices all get in at once, even from a network of the attack.
    for (number, victim) in victims.iter().enumerate() {
        let name = format!("victim{number}");
        let reply = by_device(&house, "198.51.7.9", &name, PASSWORD, &victim.refresh).await;
        reply.expect(200).unwrap();
    }
    // From elsewhere too, within the longest delay of an account.
    house.wait(900);
    for number in 0..10 {
        let name = format!("victim{number}");
        let ip = format!("192.0.{number}.1");
        let reply = try_from(&house, &ip, &name, PASSWORD).await;
        reply.expect(200).unwrap();
    }
    let events = house.events("identity.stuffing_noticed.v1").await;
    assert!((1..=11).contains(&events.len()), "{}", events.len());
    assert_eq!(events[0], json!({"sign": "wave"}));
}

#[tokio::test]
async fn s15_a_network_with_twenty_different_pairs_is_refused_for_an_hour() {
    let house = wide().await;
    let ayse = house.register("ayse").await;
    for number in 0..20 {
        // Right ones between leave no trace.
        try_from(&house, "203.0.113.8", "ayse", PASSWORD)
            .await
            .expect(200)
            .unwrap();
        let ip = format!("203.0.113.{number}");
        let reply = try_from(&house, &ip, &format!("n{number}"), "leaked").await;
        assert_eq!(refusal(&reply), (401, "INVALID_CREDENTIALS"), "{number}");
    }
    let refused = try_from(&house, "203.0.113.8", "ayse", PASSWORD).await;
    assert_eq!(refusal(&refused), (429, "RATE_LIMITED"));
    assert_eq!(refused.header("retry-after"), Some("3600"));
    try_from(&house, "203.0.114.8", "ayse", PASSWORD)
        .await
        .expect(200)
        .unwrap();
    by_device(&house, "203.0.113.8", "ayse", PASSWORD, &ayse.refresh)
        .await
        .expect(200)
        .unwrap();
    // What is no password goes on.
    let reply = house.refresh(&ayse.refresh, None).await;
    reply.expect(200).unwrap();
    house.wait(3_600);
    try_from(&house, "203.0.113.8", "ayse", PASSWORD)
        .await
        .expect(200)
        .unwrap();
    let events = house.events("identity.stuffing_noticed.v1").await;
    assert_eq!(events, [json!({"sign": "network"})]);
}

#[tokio::test]
async fn a_program_that_repeats_an_old_password_is_one_pair() {
    let house = wide().await;
    house.register("ayse").await;
    for _ in 0..60 {
        let reply = try_from(&house, "203.0.113.8", "ayse", "the old one").await;
        assert_eq!(refusal(&reply), (401, "INVALID_CREDENTIALS"));
    }
}

#[tokio::test]
async fn the_owner_gets_in_from_a_known_device_while_strangers_storm_the_account() {
    let house = guarded().await;
    let ayse = house.register("ayse").await;
    for number in 0..60 {
        try_from(
            &house,
            &format!("198.51.{number}.7"),
            "ayse",
            &format!("guess {number}"),
        )
        .await;
    }
    let stranger = try_from(&house, "192.0.2.1", "ayse", PASSWORD).await;
    assert_eq!(refusal(&stranger), (429, "RATE_LIMITED"));
    let wait: u64 = stranger.header("retry-after").unwrap().parse().unwrap();
    assert!(wait <= 900, "delayed, not locked: {wait}");
    by_device(&house, "192.0.2.1", "ayse", PASSWORD, &ayse.refresh)
        .await
        .expect(200)
        .unwrap();
    // Also by a token that was exchanged since, and by one that was logged out.
    let next = house
        .refresh(&ayse.refresh, None)
        .await
        .expect(200)
        .unwrap();
    let spent = by_device(&house, "192.0.2.1", "ayse", PASSWORD, &ayse.refresh).await;
    spent.expect(200).unwrap();
    let live = next.json["refresh_token"].as_str().unwrap();
    let out = json!({"refresh_token": live});
    house
        .post("/v1/auth/logout", out)
        .await
        .expect(204)
        .unwrap();
    by_device(&house, "192.0.2.1", "ayse", PASSWORD, live)
        .await
        .expect(200)
        .unwrap();
    house.wait(wait);
    try_from(&house, "192.0.2.1", "ayse", PASSWORD)
        .await
        .expect(200)
        .unwrap();
}

#[tokio::test]
async fn a_browser_is_known_by_its_cookie() {
    let house = guarded().await;
    house.register("ayse").await;
    let body = json!({"identifier": "ayse", "password": PASSWORD, "session": "cookie"});
    let own = ("sec-fetch-site", "same-origin");
    let login = house
        .call_with("POST", PATH, "", &[own], body.clone())
        .await;
    let login = login.expect(200).unwrap();
    let cookie = login.header("set-cookie").unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    for number in 0..30 {
        let ip = format!("198.51.{number}.7");
        try_from(&house, &ip, "ayse", "guess").await;
    }
    let stranger = house
        .call_with("POST", PATH, "", &[own], body.clone())
        .await;
    assert_eq!(refusal(&stranger), (429, "RATE_LIMITED"));
    let headers = [("cookie", cookie.as_str()), own];
    house
        .call_with("POST", PATH, "", &headers, body)
        .await
        .expect(200)
        .unwrap();
}

#[tokio::test]
async fn a_device_speaks_for_its_own_account_only_and_is_delayed_too() {
    let house = guarded().await;
    let ayse = house.register("ayse").await;
    let mallory = house.register("mallory").await;
    for number in 0..30 {
        let ip = format!("198.51.{number}.7");
        try_from(&house, &ip, "ayse", "guess").await;
    }
    for token in [&mallory.refresh, "no token", &ayse.access] {
        let reply = by_device(&house, "192.0.2.1", "ayse", PASSWORD, token).await;
        assert_eq!(refusal(&reply), (429, "RATE_LIMITED"), "{token}");
    }
    // A stolen token that was noticed speaks for nobody.
    house
        .script(&format!(
            "UPDATE identity.user_devices SET revoked_at = now(), revoke_reason = 'refresh_reuse'
              WHERE id = {}",
            ayse.device
        ))
        .await;
    let reply = by_device(&house, "192.0.2.1", "ayse", PASSWORD, &ayse.refresh).await;
    assert_eq!(refusal(&reply), (429, "RATE_LIMITED"));
    // One that was not noticed guesses no faster than anybody.
    let mut judged = 0;
    for number in 0..40 {
        let guess = format!("guess {number}");
        let reply = by_device(&house, "192.0.2.9", "mallory", &guess, &mallory.refresh).await;
        judged += u32::from(reply.status == 401);
    }
    assert_eq!(judged, 20);
    try_from(&house, "192.0.2.77", "mallory", PASSWORD)
        .await
        .expect(200)
        .unwrap();
}
