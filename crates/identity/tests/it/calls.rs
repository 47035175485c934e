//! What other contexts ask.

use contracts::{Credentials as _, Identity as _};
use kernel::event::Handler;
use kernel::{Clock as _, Event, EventId, UserId};
use serde_json::json;

use crate::harness::House;

#[tokio::test]
async fn users_come_from_the_map_and_unknown_ones_are_left_out() {
    let house = House::new().await;
    let ayse: UserId = house.register("ayse").await.user.parse().unwrap();
    let fatma: UserId = house.register("fatma").await.user.parse().unwrap();
    for _ in 0..2 {
        let mut users = house
            .identity
            .users(&[fatma, UserId::new(7), ayse])
            .await
            .unwrap();
        users.sort_by_key(|user| user.id);
        let names: Vec<&str> = users.iter().map(|user| user.username.as_str()).collect();
        assert_eq!(names, ["ayse", "fatma"]);
    }
    assert!(house.identity.users(&[]).await.unwrap().is_empty());
    let many: Vec<UserId> = (1..=500).map(UserId::new).collect();
    house.identity.users(&many).await.unwrap();
    let more: Vec<UserId> = (1..=501).map(UserId::new).collect();
    assert_eq!(
        house.identity.users(&more).await.unwrap_err().row.code,
        "INVALID_REQUEST"
    );
}

#[tokio::test]
async fn a_cached_user_is_forgotten_by_the_event_of_its_change() {
    let house = House::new().await;
    let ayse: UserId = house.register("ayse").await.user.parse().unwrap();
    let name = async || {
        house.identity.users(&[ayse]).await.unwrap()[0]
            .username
            .clone()
    };
    assert_eq!(name().await, "ayse");
    // Changed by another node: this one hears of it only by the event.
    house
        .script("UPDATE identity.users SET username = 'ayse2'")
        .await;
    assert_eq!(name().await, "ayse", "the cache is used");
    let module = identity::module(house.identity.clone());
    let consumer = &module.consumers[0];
    assert!(consumer.kinds.contains(&"identity.user_updated.v1"));
    let event = Event {
        id: EventId::new(1),
        kind: "identity.user_updated.v1".to_owned(),
        at: jiff::Timestamp::UNIX_EPOCH,
        actor: None,
        tenant: None,
        key: ayse.to_string(),
        data: json!({}),
    };
    let handler: &dyn Handler = &*consumer.handler;
    handler.handle(&event).await.unwrap();
    assert_eq!(name().await, "ayse2");
}

#[tokio::test]
async fn bots_are_made_and_retired() {
    let house = House::new().await;
    let owner: UserId = house.register("ayse").await.user.parse().unwrap();
    let bot = house
        .identity
        .create_bot(owner, "Yardımcı Bot")
        .await
        .unwrap();
    assert!(bot.bot);
    assert_eq!(bot.global_name.as_deref(), Some("Yardımcı Bot"));
    assert_eq!(bot.username, "yardmc_bot");
    let twin = house
        .identity
        .create_bot(owner, "Yardımcı Bot")
        .await
        .unwrap();
    assert_ne!(twin.username, bot.username);
    assert!(house.identity.create_bot(owner, "").await.is_err());
    assert!(
        house
            .identity
            .create_bot(owner, &"x".repeat(65))
            .await
            .is_err()
    );
    for _ in 0..2 {
        house.identity.retire_bot(bot.id).await.unwrap();
    }
    // A person is no bot.
    house.identity.retire_bot(owner).await.unwrap();
    let disabled = house.events("identity.user_state_changed.v1").await;
    assert_eq!(disabled, [json!({"user_id": bot.id, "state": "disabled"})]);
    let state = "SELECT count(*) FROM identity.users WHERE state = 'disabled'";
    assert_eq!(house.count(state).await, 1);
    let gone = house.identity.users(&[bot.id]).await.unwrap();
    assert_eq!(gone[0].username, format!("erased_{:x}", bot.id.get()));
    assert_ne!(gone[0].global_name.as_deref(), Some("Yardımcı Bot"));
}

#[tokio::test]
async fn revocations_and_live_devices_are_told() {
    let house = House::new().await;
    let identity = &house.identity;
    let before = jiff::Timestamp::from_second(0).unwrap();
    let session = house.register("ayse").await;
    let device = session.device.parse().unwrap();
    assert!(identity.device_is_live(device).await.unwrap());
    assert!(identity.revoked_since(before).await.unwrap().is_empty());
    house
        .post("/v1/auth/logout", json!({"refresh_token": session.refresh}))
        .await;
    assert_eq!(identity.revoked_since(before).await.unwrap(), [device]);
    // The database's clock is behind an hour from now.
    let after = house.clock.now() + jiff::SignedDuration::from_hours(1);
    assert!(identity.revoked_since(after).await.unwrap().is_empty());
    assert!(!identity.device_is_live(device).await.unwrap());
    let unknown = kernel::DeviceId::new(7);
    assert!(!identity.device_is_live(unknown).await.unwrap());
}

#[tokio::test]
async fn a_disabled_user_has_no_live_device() {
    let house = House::new().await;
    let device = house.register("ayse").await.device.parse().unwrap();
    house
        .script("UPDATE identity.users SET state = 'disabled'")
        .await;
    assert!(!house.identity.device_is_live(device).await.unwrap());
}
