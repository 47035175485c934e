//! Statistics, counted from what the bus tells.

use kernel::{CommunityId, UserId};
use serde_json::{Value, json};

use crate::fixture::{FORBIDDEN, INVALID, MEMBER, MODERATOR, NONE, OWNER, STRANGER, World};

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

/// Hands the events of members that were written since the last time to the counter.
async fn relay(world: &World) {
    for event in world.outbox().await {
        world.bring(&event.0, event.1).await;
    }
}

async fn wrote(world: &World, community: CommunityId, user: UserId) {
    let data = json!({"channel_id": "1", "community_id": community, "author_id": user});
    world.bring("messaging.message_created.v1", data).await;
}

fn column(statistics: &Value, name: &str) -> Vec<i64> {
    let days = statistics["days"].as_array().unwrap().iter();
    days.map(|day| day[name].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn days_and_weeks_are_counted_from_events() {
    let world = World::new().await;
    // A Friday.
    let community = world.community().await;
    world.join(community, MEMBER).await;
    world.join(community, MODERATOR).await;
    relay(&world).await;
    wrote(&world, community, MEMBER).await;
    wrote(&world, community, MEMBER).await;
    wrote(&world, community, OWNER).await;
    wrote(&world, community, UserId::new(999)).await;
    world.clock.advance(DAY);
    wrote(&world, community, MEMBER).await;
    world
        .delete(MODERATOR, &format!("/users/@me/guilds/{community}"))
        .await;
    relay(&world).await;
    // Next Monday.
    world.clock.advance(2 * DAY);
    wrote(&world, community, MEMBER).await;
    wrote(&world, community, MEMBER).await;
    let path = format!("/guilds/{community}/statistics");
    let found = world.get(OWNER, &format!("{path}?days=4")).await;
    assert_eq!(found["member_count"], 2);
    assert_eq!(found["days"][0]["day"], "2026-11-20");
    assert_eq!(column(&found, "joins"), [3, 0, 0, 0]);
    assert_eq!(column(&found, "leaves"), [0, 1, 0, 0]);
    assert_eq!(column(&found, "members"), [3, 2, 2, 2]);
    assert_eq!(
        column(&found, "messages"),
        [4, 1, 0, 2],
        "webhooks write too"
    );
    assert_eq!(
        column(&found, "writers"),
        [2, 1, 0, 1],
        "but are no members"
    );
    let weeks = found["weeks"].as_array().unwrap();
    assert_eq!(weeks.len(), 12);
    assert_eq!(
        weeks[10],
        json!({"joined_week": "2026-11-16", "joined": 3, "writers": [2, 1]})
    );
    assert_eq!(weeks[11]["writers"], json!([0]));
}

#[tokio::test]
async fn an_event_counts_once_and_foreign_ones_not_at_all() {
    let world = World::new().await;
    let community = world.community().await;
    for event in world.outbox().await {
        let id = kernel::EventId::new(77);
        world.bring_as(id, &event.0, event.1.clone()).await;
        world.bring_as(id, &event.0, event.1).await;
    }
    wrote(&world, CommunityId::new(5), OWNER).await;
    let direct = json!({"channel_id": "1", "author_id": OWNER});
    world.bring("messaging.message_created.v1", direct).await;
    let path = format!("/guilds/{community}/statistics?days=1");
    let found = world.get(OWNER, &path).await;
    assert_eq!(
        (column(&found, "joins"), column(&found, "messages")),
        (vec![1], vec![0])
    );
}

#[tokio::test]
async fn statistics_are_for_who_manages_and_have_bounds() {
    let world = World::new().await;
    let community = world.community().await;
    world.join(community, MEMBER).await;
    let path = format!("/guilds/{community}/statistics");
    world.fails(MEMBER, "GET", &path, NONE, FORBIDDEN).await;
    world
        .fails(STRANGER, "GET", &path, NONE, (404, 10004))
        .await;
    for bad in ["?days=0", "?days=366", "?days=x"] {
        world
            .fails(OWNER, "GET", &format!("{path}{bad}"), NONE, INVALID)
            .await;
    }
    let year = world.get(OWNER, &format!("{path}?days=365")).await;
    assert_eq!(year["days"].as_array().unwrap().len(), 365);
}

#[tokio::test]
async fn old_numbers_are_removed() {
    let world = World::new().await;
    let community = world.community().await;
    wrote(&world, community, OWNER).await;
    world.clock.advance(401 * DAY);
    let said = world.app.purge().await.unwrap();
    assert!(said.ends_with("and 2 rows of statistics"), "{said}");
}
