//! Events that go out, to a real server on loopback.

use std::time::Duration;

use db::Sql;
use serde_json::{Value, json};

use crate::fixture::{COMMUNITY, NONE, OTHER, OWNER};
use crate::receiver::{Receiver, attempts, deliveries, shown, subscribe, world, write};

#[tokio::test]
async fn an_event_arrives_signed_and_its_attempt_is_a_row() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (path, secret) = subscribe(&world, &receiver.url("ok"), &["message.created"]).await;
    write(&world, 9_001, OTHER, "merhaba").await;
    world
        .hear(
            "communities.role_created.v1",
            json!({"community_id": COMMUNITY, "role_id": "1"}),
        )
        .await;
    assert_eq!(
        world.app.deliver_due().await.unwrap(),
        1,
        "once, and nobody wants the role"
    );
    let heard = receiver.heard();
    let [one] = heard.as_slice() else {
        panic!("{heard:?}");
    };
    assert!(one.is_by(&secret) && one.signatures.len() == 1);
    let body = one.json();
    assert_eq!(body["type"], "message.created");
    assert_eq!(
        (&body["data"]["content"], &body["data"]["guild_id"]),
        (&json!("merhaba"), &json!(COMMUNITY))
    );
    let told: jiff::Timestamp = body["timestamp"].as_str().unwrap().parse().unwrap();
    assert!(told.as_second() <= one.seconds);
    let all = deliveries(&world, &path).await;
    assert_eq!(all.len(), 1);
    assert_eq!(one.id, format!("msg_{}", all[0]["id"].as_str().unwrap()));
    assert_eq!(
        (&all[0]["state"], &all[0]["due_at"]),
        (&json!("delivered"), &Value::Null)
    );
    let tries = attempts(&world, &all[0]).await;
    assert_eq!((tries.len(), &tries[0]["status"]), (1, &json!(200)));
    assert_eq!(
        tries[0]["answer"].as_str().unwrap().len(),
        500,
        "the first bytes of the answer"
    );
    assert_eq!(world.app.deliver_due().await.unwrap(), 0);
}

#[tokio::test]
async fn what_fails_is_tried_again_under_the_same_id() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (path, secret) = subscribe(&world, &receiver.url("flaky"), &["message.created"]).await;
    write(&world, 9_001, OTHER, "merhaba").await;
    world.app.deliver_due().await.unwrap();
    let all = deliveries(&world, &path).await;
    assert_eq!(all[0]["state"], "waiting");
    assert_ne!(shown(&world, &path).await["failing_since"], Value::Null);
    // Each call moved the clock by a minute, more than the first pause of five seconds.
    assert_eq!(world.app.deliver_due().await.unwrap(), 1);
    let heard = receiver.heard();
    assert_eq!((heard.len(), &heard[0].id), (2, &heard[1].id));
    assert!(heard[1].is_by(&secret) && heard[0].seconds < heard[1].seconds);
    let all = deliveries(&world, &path).await;
    assert_eq!(all[0]["state"], "delivered");
    let tries = attempts(&world, &all[0]).await;
    let statuses: Vec<&Value> = tries.iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, [&json!(200), &json!(500)]);
    assert_eq!(tries[1]["answer"], "not yet", "no NUL is stored");
    assert_eq!(shown(&world, &path).await["failing_since"], Value::Null);
}

#[tokio::test]
async fn the_schedule_ends_after_eight_attempts_and_replay_begins_anew() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (path, _) = subscribe(&world, &receiver.url("down"), &["message.created"]).await;
    write(&world, 9_001, OTHER, "merhaba").await;
    for hours in [0, 1, 1, 1, 3, 7, 13, 13] {
        world.clock.advance(Duration::from_secs(hours * 3_600));
        assert_eq!(world.app.deliver_due().await.unwrap(), 1, "{hours}");
    }
    let all = deliveries(&world, &path).await;
    assert_eq!(
        (&all[0]["state"], &all[0]["attempts"]),
        (&json!("failed"), &json!(8))
    );
    world.clock.advance(Duration::from_secs(30 * 3_600));
    assert_eq!(world.app.deliver_due().await.unwrap(), 0);
    assert_eq!(
        shown(&world, &path).await["enabled"],
        true,
        "not yet five days"
    );
    let id = all[0]["id"].as_str().unwrap();
    let replay = format!("/guilds/{COMMUNITY}/deliveries/{id}/replay");
    let again = world.ok(OWNER, "POST", &replay, NONE, 202).await;
    assert_eq!(again["state"], "waiting");
    world
        .fails(OWNER, "POST", &replay, NONE, (409, 40060))
        .await;
    let patch = json!({"url": receiver.url("ok")});
    world.ok(OWNER, "PATCH", &path, patch, 200).await;
    assert_eq!(world.app.deliver_due().await.unwrap(), 1);
    let all = deliveries(&world, &path).await;
    assert_eq!(
        (&all[0]["state"], &all[0]["attempts"]),
        (&json!("delivered"), &json!(9))
    );
    let ids: Vec<String> = receiver.heard().into_iter().map(|heard| heard.id).collect();
    assert!(ids.iter().all(|one| *one == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn who_asks_for_patience_gets_it() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (path, _) = subscribe(&world, &receiver.url("busy"), &["message.created"]).await;
    write(&world, 9_001, OTHER, "merhaba").await;
    let sent = kernel::Clock::now(&*world.clock);
    world.app.deliver_due().await.unwrap();
    let all = deliveries(&world, &path).await;
    let due: jiff::Timestamp = all[0]["due_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(due.duration_since(sent).as_secs(), 3_600);
    assert_eq!(world.app.deliver_due().await.unwrap(), 0);
    world.clock.advance(Duration::from_secs(3_600));
    assert_eq!(world.app.deliver_due().await.unwrap(), 1);
}

#[tokio::test]
async fn s16_redirects_are_failures_and_slow_servers_are_given_up() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (moved, _) = subscribe(&world, &receiver.url("moved"), &["message.created"]).await;
    let (slow, _) = subscribe(&world, &receiver.url("slow"), &["message.created"]).await;
    write(&world, 9_001, OTHER, "merhaba").await;
    assert_eq!(world.app.deliver_due().await.unwrap(), 2);
    let paths: Vec<String> = receiver
        .heard()
        .into_iter()
        .map(|heard| heard.path)
        .collect();
    assert!(
        !paths.contains(&"ok".to_owned()),
        "no redirect is followed: {paths:?}"
    );
    let tries = attempts(&world, &deliveries(&world, &moved).await[0]).await;
    assert_eq!(
        (&tries[0]["status"], &tries[0]["error"]),
        (&json!(307), &Value::Null)
    );
    let tries = attempts(&world, &deliveries(&world, &slow).await[0]).await;
    assert_eq!(
        (&tries[0]["status"], &tries[0]["error"]),
        (&Value::Null, &json!("timeout"))
    );
}

#[tokio::test]
async fn five_days_of_failure_or_a_goodbye_switch_it_off_with_a_notice() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (down, _) = subscribe(&world, &receiver.url("down"), &["message.created"]).await;
    write(&world, 9_001, OTHER, "bir").await;
    world.app.deliver_due().await.unwrap();
    for (id, hours, enabled) in [(9_002, 119, true), (9_003, 1, false)] {
        world.clock.advance(Duration::from_secs(hours * 3_600));
        write(&world, id, OTHER, "iki").await;
        world.app.deliver_due().await.unwrap();
        assert_eq!(shown(&world, &down).await["enabled"], enabled, "{hours}");
    }
    assert_eq!(shown(&world, &down).await["disabled_reason"], "failing");
    let (gone, _) = subscribe(&world, &receiver.url("gone"), &["message.created"]).await;
    write(&world, 9_004, OTHER, "üç").await;
    world.app.deliver_due().await.unwrap();
    assert_eq!(shown(&world, &gone).await["disabled_reason"], "gone");
    let before = receiver.heard().len();
    write(&world, 9_005, OTHER, "dört").await;
    world.app.deliver_due().await.unwrap();
    assert_eq!(
        receiver.heard().len(),
        before,
        "nothing goes to what is off"
    );
    const NOTICES: Sql = Sql::new(
        "test.notices",
        "SELECT data->>'reason' FROM applications.outbox
          WHERE type = 'applications.subscription_disabled.v1' ORDER BY id",
    );
    let told: Vec<String> = NOTICES
        .scalars(&world.database.admin().unwrap())
        .await
        .unwrap();
    assert_eq!(told, ["failing", "gone"]);
    // Switched on again, what waits goes out.
    let on = json!({"enabled": true, "url": receiver.url("ok")});
    world.ok(OWNER, "PATCH", &down, on, 200).await;
    world.clock.advance(Duration::from_secs(24 * 3_600));
    assert!(world.app.deliver_due().await.unwrap() > 0);
}

/// A process that dies after it sent and before it noted it: the next one sends again, under the
/// same id.
#[tokio::test]
async fn nothing_is_lost_when_a_process_dies_while_it_sends() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (path, _) = subscribe(&world, &receiver.url("slow"), &["message.created"]).await;
    write(&world, 9_001, OTHER, "merhaba").await;
    {
        let dying = world.app.deliver_due();
        let heard = async {
            while receiver.heard().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = dying => panic!("the receiver never answers"),
            () = heard => {}
        }
    }
    assert_eq!(world.app.deliver_due().await.unwrap(), 0, "it is claimed");
    world
        .ok(
            OWNER,
            "PATCH",
            &path,
            json!({"url": receiver.url("ok")}),
            200,
        )
        .await;
    assert_eq!(world.app.deliver_due().await.unwrap(), 1);
    let heard = receiver.heard();
    assert_eq!((heard.len(), &heard[0].id), (2, &heard[1].id));
    assert_eq!(deliveries(&world, &path).await[0]["state"], "delivered");
}

#[tokio::test]
async fn nobody_waits_behind_a_slow_server() {
    let world = world().await;
    let receiver = Receiver::start().await;
    subscribe(&world, &receiver.url("slow"), &["message.created"]).await;
    subscribe(&world, &receiver.url("ok"), &["message.created"]).await;
    let lifecycle = runtime::Lifecycle::new();
    applications::begin_delivering(&world.app, &lifecycle);
    for id in 0..20 {
        write(&world, 9_100 + id, OTHER, "x").await;
    }
    let begun = tokio::time::Instant::now();
    let count = |place: &str| {
        receiver
            .heard()
            .iter()
            .filter(|heard| heard.path == place)
            .count()
    };
    while count("ok") < 20 {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{} arrived",
            count("ok")
        );
        tokio::task::yield_now().await;
    }
    assert!(count("slow") <= 8, "four at a time, not {}", count("slow"));
    lifecycle.soft().cancel();
    lifecycle.hard().cancel();
}
