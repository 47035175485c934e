//! Who subscribes to events, and how.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use db::Sql;
use kernel::ApplicationId;
use serde_json::{Value, json};

use crate::fixture::{COMMUNITY, NONE, OTHER, OWNER, masked};
use crate::receiver::{Receiver, deliveries, of_community, shown, subscribe, world, write};

#[tokio::test]
async fn a_subscription_is_made_read_changed_and_deleted() {
    let world = world().await;
    let url = "https://hooks.example/meydan";
    let body =
        json!({"url": url, "events": ["role.created", "message.created"], "description": "CRM"});
    let made = world.ok(OWNER, "POST", &of_community(), body, 201).await;
    let mut seen = masked(&made);
    assert!(seen["secret"].as_str().unwrap().starts_with("whsec_"));
    seen["secret"] = json!("[secret]");
    insta::assert_json_snapshot!(seen, @r#"
    {
      "created_at": "[moment]",
      "creator_id": "1001",
      "description": "CRM",
      "disabled_reason": null,
      "enabled": true,
      "events": [
        "message.created",
        "role.created"
      ],
      "failing_since": null,
      "guild_id": "2001",
      "id": "[id]",
      "old_secret_until": null,
      "secret": "[secret]",
      "url": "https://hooks.example/meydan"
    }
    "#);
    let path = format!("{}/{}", of_community(), made["id"].as_str().unwrap());
    let read = shown(&world, &path).await;
    assert!(read.get("secret").is_none(), "a secret is shown once");
    assert_eq!(
        world.ok(OWNER, "GET", &of_community(), NONE, 200).await,
        json!([read])
    );
    let patch = json!({"events": ["member.left"], "enabled": false});
    let changed = world.ok(OWNER, "PATCH", &path, patch, 200).await;
    assert_eq!(changed["events"], json!(["member.left"]));
    assert_eq!(
        (&changed["enabled"], &changed["disabled_reason"]),
        (&json!(false), &json!("owner"))
    );
    assert_eq!(changed["url"], url);
    let on = world
        .ok(OWNER, "PATCH", &path, json!({"enabled": true}), 200)
        .await;
    assert_eq!(
        (&on["enabled"], &on["disabled_reason"]),
        (&json!(true), &Value::Null)
    );
    world.ok(OWNER, "DELETE", &path, NONE, 204).await;
    world.fails(OWNER, "GET", &path, NONE, (404, 10002)).await;
    assert_eq!(
        world.events().await,
        [
            "subscription_created",
            "subscription_updated",
            "subscription_updated",
            "subscription_deleted"
        ]
    );
}

#[tokio::test]
async fn only_addresses_that_may_be_called_and_known_events_and_ten_in_all() {
    let world = world().await;
    for (url, events) in [
        ("https://10.0.0.1/", json!(["message.created"])),
        (
            "https://169.254.169.254/latest/meta-data",
            json!(["message.created"]),
        ),
        ("https://[::1]/", json!(["message.created"])),
        ("http://hooks.example/", json!(["message.created"])),
        ("https://hooks.example:22/", json!(["message.created"])),
        ("https://user@hooks.example/", json!(["message.created"])),
        ("ftp://hooks.example/", json!(["message.created"])),
        ("https://hooks.example/", json!([])),
        ("https://hooks.example/", json!(["message.born"])),
        ("https://hooks.example/", json!(["application.installed"])),
    ] {
        let body = json!({"url": url, "events": events});
        world
            .fails(OWNER, "POST", &of_community(), body, (400, 50035))
            .await;
    }
    for _ in 0..10 {
        subscribe(&world, "https://hooks.example/", &["role.created"]).await;
    }
    let body = json!({"url": "https://hooks.example/", "events": ["role.created"]});
    world
        .fails(OWNER, "POST", &of_community(), body, (400, 30018))
        .await;
}

#[tokio::test]
async fn two_secrets_sign_for_a_day() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (path, old) = subscribe(&world, &receiver.url("ok"), &["message.created"]).await;
    let rotated = world
        .ok(OWNER, "POST", &format!("{path}/rotate-secret"), NONE, 200)
        .await;
    let new = rotated["secret"].as_str().unwrap().to_owned();
    assert_ne!(new, old);
    assert!(rotated["old_secret_until"].is_string());
    write(&world, 9_001, OTHER, "bir").await;
    world.app.deliver_due().await.unwrap();
    world.clock.advance(Duration::from_secs(24 * 3_600));
    write(&world, 9_002, OTHER, "iki").await;
    world.app.deliver_due().await.unwrap();
    let heard = receiver.heard();
    assert!(heard[0].is_by(&new) && heard[0].is_by(&old) && heard[0].signatures.len() == 2);
    assert!(heard[1].is_by(&new) && !heard[1].is_by(&old) && heard[1].signatures.len() == 1);
    world.app.purge_deliveries().await.unwrap();
    assert_eq!(shown(&world, &path).await["old_secret_until"], Value::Null);
    const STORED: Sql = Sql::new(
        "test.stored",
        "SELECT count(*) FROM applications.subscriptions s WHERE s.secret_enc = $1",
    );
    let plain = STANDARD
        .decode(new.strip_prefix("whsec_").unwrap())
        .unwrap();
    let admin = world.database.admin().unwrap();
    let stored: i64 = STORED.bind(&plain).scalar(&admin).await.unwrap();
    assert_eq!(stored, 0, "no secret is stored as it is");
}

#[tokio::test]
async fn a_test_goes_to_the_address_whatever_it_wants() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (path, secret) = subscribe(&world, &receiver.url("ok"), &["role.created"]).await;
    let made = world
        .ok(OWNER, "POST", &format!("{path}/test"), NONE, 202)
        .await;
    assert_eq!(
        (&made["type"], &made["state"]),
        (&json!("webhook.test"), &json!("waiting"))
    );
    assert_eq!(world.app.deliver_due().await.unwrap(), 1);
    assert!(receiver.heard()[0].is_by(&secret));
    assert_eq!(receiver.types(), ["webhook.test"]);
}

#[tokio::test]
async fn more_than_may_wait_switch_it_off_with_a_notice() {
    let world = world().await;
    let (path, _) = subscribe(&world, "https://hooks.example/", &["message.created"]).await;
    let id = path.rsplit('/').next().unwrap();
    let fill = |from: i64, to: i64| {
        format!(
            "INSERT INTO applications.deliveries (id, subscription_id, event_id, event, data, at, due_at)
             SELECT n, {id}, n, 'message.created', '{{}}', now(), now() + interval '1 year'
             FROM generate_series({from}, {to}) n"
        )
    };
    world.database.script(&fill(1, 9_999)).await.unwrap();
    write(&world, 9_001, OTHER, "the ten thousandth").await;
    assert_eq!(shown(&world, &path).await["enabled"], true);
    write(&world, 9_002, OTHER, "one too many").await;
    let off = shown(&world, &path).await;
    assert_eq!(
        (&off["enabled"], &off["disabled_reason"]),
        (&json!(false), &json!("backlog"))
    );
    assert_eq!(
        world.events().await.last().unwrap(),
        "subscription_disabled"
    );
}

#[tokio::test]
async fn somebody_elses_subscriptions_do_not_exist() {
    let world = world().await;
    let (path, _) = subscribe(&world, "https://hooks.example/", &["role.created"]).await;
    let made = world
        .ok(OWNER, "POST", &format!("{path}/test"), NONE, 202)
        .await;
    let delivery = made["id"].as_str().unwrap();
    let (id, _) = world.application().await;
    let foreign = path.replace(
        &format!("/guilds/{COMMUNITY}"),
        &format!("/applications/{id}"),
    );
    let of_application = |rest: &str| format!("/applications/{id}/deliveries/{delivery}{rest}");
    for (method, path, body) in [
        ("GET", foreign.clone(), NONE),
        ("PATCH", foreign.clone(), json!({"enabled": false})),
        ("DELETE", foreign.clone(), NONE),
        ("POST", format!("{foreign}/rotate-secret"), NONE),
        ("POST", format!("{foreign}/test"), NONE),
        ("GET", format!("{foreign}/deliveries"), NONE),
        ("GET", of_application(""), NONE),
        ("POST", of_application("/replay"), NONE),
    ] {
        world.fails(OWNER, method, &path, body, (404, 10002)).await;
    }
    assert_eq!(shown(&world, &path).await["enabled"], true);
    let limit = format!("{path}/deliveries?limit=101");
    world.fails(OWNER, "GET", &limit, NONE, (400, 50035)).await;
}

#[tokio::test]
async fn subscriptions_go_with_their_owner_and_deliveries_after_a_month() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (path, _) = subscribe(&world, &receiver.url("ok"), &["message.created"]).await;
    let (id, _): (ApplicationId, _) = world.application().await;
    let body = json!({"url": receiver.url("ok"), "events": ["message.created"]});
    world
        .ok(
            OWNER,
            "POST",
            &format!("/applications/{id}/subscriptions"),
            body,
            201,
        )
        .await;
    write(&world, 9_001, OTHER, "merhaba").await;
    world.app.deliver_due().await.unwrap();
    world.clock.advance(Duration::from_secs(29 * 86_400));
    world.app.purge_deliveries().await.unwrap();
    assert_eq!(deliveries(&world, &path).await.len(), 1);
    world.clock.advance(Duration::from_secs(86_400));
    world.app.purge_deliveries().await.unwrap();
    assert!(deliveries(&world, &path).await.is_empty());
    world
        .ok(OWNER, "DELETE", &format!("/applications/{id}"), NONE, 204)
        .await;
    world
        .hear(
            "communities.community_deleted.v1",
            json!({"community_id": COMMUNITY}),
        )
        .await;
    const LEFT: Sql = Sql::new(
        "test.left",
        "SELECT (SELECT count(*) FROM applications.subscriptions)
              + (SELECT count(*) FROM applications.delivery_attempts)",
    );
    let left: i64 = LEFT.scalar(&world.database.admin().unwrap()).await.unwrap();
    assert_eq!(left, 0);
}
