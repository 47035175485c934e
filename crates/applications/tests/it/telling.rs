//! What is told to whom, judged at the moment in which it goes out.

use kernel::perm::{Chat, Overwrite, Target};
use serde_json::{Value, json};

use crate::fixture::{COMMUNITY, ELSEWHERE, NONE, OTHER, OWNER, World};
use crate::receiver::{
    GENERAL, Receiver, deliveries, of_community, shown, subscribe, world, write,
};

async fn deliver_all(world: &World) {
    while world.app.deliver_due().await.unwrap() > 0 {}
}

#[tokio::test]
async fn what_is_gone_or_hidden_by_then_is_never_sent() {
    let world = world().await;
    let receiver = Receiver::start().await;
    world.give(OTHER, Chat::MANAGE_GUILD);
    let body = json!({"url": receiver.url("ok"), "events": ["message.created", "message.deleted", "channel.updated", "channel.deleted"]});
    let made = world.ok(OTHER, "POST", &of_community(), body, 201).await;
    let path = format!("{}/{}", of_community(), made["id"].as_str().unwrap());
    // Deleted before it was sent.
    let data =
        json!({"channel_id": GENERAL, "community_id": COMMUNITY, "id": "404", "author_id": "1"});
    world.hear("messaging.message_created.v1", data).await;
    // Hidden before it was sent.
    write(&world, 9_001, OWNER, "secret").await;
    let data =
        json!({"channel_id": GENERAL, "community_id": COMMUNITY, "id": "9001", "author_id": "1"});
    world.hear("messaging.message_deleted.v1", data).await;
    let of_channel = json!({"channel_id": GENERAL, "community_id": COMMUNITY});
    world
        .hear("communities.channel_updated.v1", of_channel.clone())
        .await;
    world
        .hear("communities.channel_deleted.v1", of_channel)
        .await;
    let hidden = Overwrite {
        target: Target::Role(COMMUNITY.cast()),
        allow: Chat::NONE.into(),
        deny: Chat::VIEW_CHANNEL.into(),
    };
    world
        .communities
        .set_overwrites(COMMUNITY, GENERAL, vec![hidden]);
    assert_eq!(world.app.deliver_due().await.unwrap(), 4);
    assert_eq!(world.app.deliver_due().await.unwrap(), 1);
    assert!(receiver.heard().is_empty(), "{:?}", receiver.types());
    let all = deliveries(&world, &path).await;
    assert!(all.iter().all(|one| one["state"] == "dropped"), "{all:?}");
    // Whoever lost the right to manage the community is told nothing at all.
    world.give(OTHER, Chat::NONE);
    write(&world, 9_002, OWNER, "secret").await;
    world.app.deliver_due().await.unwrap();
    assert!(receiver.heard().is_empty());
    let off = shown(&world, &path).await;
    assert_eq!(
        (&off["enabled"], &off["disabled_reason"]),
        (&json!(false), &json!("rights"))
    );
}

/// Every event a community is told of, then one of another community and one of nobody's.
fn all_that_happens() -> [(&'static str, Value); 14] {
    let with = |name: &str, id: String| {
        let mut data = json!({"community_id": COMMUNITY});
        data[name] = json!(id);
        data
    };
    let message =
        json!({"channel_id": GENERAL, "community_id": COMMUNITY, "id": "9001", "author_id": "1"});
    let everyone = COMMUNITY.to_string();
    [
        ("messaging.message_updated.v1", message.clone()),
        ("messaging.message_deleted.v1", message),
        (
            "communities.channel_created.v1",
            with("channel_id", GENERAL.to_string()),
        ),
        (
            "communities.channel_updated.v1",
            with("channel_id", GENERAL.to_string()),
        ),
        (
            "communities.channel_deleted.v1",
            with("channel_id", "77".to_owned()),
        ),
        (
            "communities.role_created.v1",
            with("role_id", everyone.clone()),
        ),
        ("communities.role_updated.v1", with("role_id", everyone)),
        (
            "communities.role_deleted.v1",
            with("role_id", "78".to_owned()),
        ),
        (
            "communities.member_joined.v1",
            with("user_id", OTHER.to_string()),
        ),
        (
            "communities.member_updated.v1",
            with("user_id", OTHER.to_string()),
        ),
        (
            "communities.member_left.v1",
            with("user_id", OTHER.to_string()),
        ),
        (
            "communities.community_updated.v1",
            json!({"community_id": COMMUNITY}),
        ),
        // Of another community, and of a private conversation.
        (
            "communities.community_updated.v1",
            json!({"community_id": ELSEWHERE}),
        ),
        (
            "messaging.message_created.v1",
            json!({"channel_id": "5", "id": "6", "author_id": "1"}),
        ),
    ]
}

#[tokio::test]
async fn a_community_is_told_of_all_that_happens_in_it() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let events = [
        "message.created",
        "message.updated",
        "message.deleted",
        "channel.created",
        "channel.updated",
        "channel.deleted",
        "role.created",
        "role.updated",
        "role.deleted",
        "member.joined",
        "member.updated",
        "member.left",
        "community.updated",
    ];
    subscribe(&world, &receiver.url("ok"), &events).await;
    write(&world, 9_001, OTHER, "merhaba").await;
    for (kind, data) in all_that_happens() {
        world.hear(kind, data).await;
    }
    for _ in 0..4 {
        world.app.deliver_due().await.unwrap();
    }
    let mut told = receiver.types();
    told.sort_unstable();
    let mut wanted = events.to_vec();
    wanted.sort_unstable();
    assert_eq!(told, wanted);
    for heard in receiver.heard() {
        let body = heard.json();
        let guild = if body["type"] == "community.updated" {
            "id"
        } else {
            "guild_id"
        };
        assert_eq!(body["data"][guild], json!(COMMUNITY), "{body}");
    }
}

#[tokio::test]
async fn an_application_is_told_what_its_bot_may_see() {
    let world = world().await;
    let receiver = Receiver::start().await;
    let (id, _) = world.application().await;
    let all = format!("/applications/{id}/subscriptions");
    let events = [
        "message.created",
        "member.joined",
        "application.installed",
        "application.uninstalled",
    ];
    let body = json!({"url": receiver.url("ok"), "events": events});
    world.ok(OWNER, "POST", &all, body, 201).await;
    write(&world, 9_001, OTHER, "before the bot came").await;
    let install = format!("/applications/{id}/installs/{COMMUNITY}");
    world.ok(OWNER, "PUT", &install, json!({}), 200).await;
    let installed = json!({"application_id": id, "community_id": COMMUNITY, "permissions": "0"});
    world
        .hear("applications.installed.v1", installed.clone())
        .await;
    // Somebody else's install is not its business.
    let foreign = json!({"application_id": "1", "community_id": COMMUNITY, "permissions": "0"});
    world.hear("applications.installed.v1", foreign).await;
    write(&world, 9_002, OTHER, "open").await;
    let joined = json!({"community_id": COMMUNITY, "user_id": OTHER});
    world
        .hear("communities.member_joined.v1", joined.clone())
        .await;
    deliver_all(&world).await;
    let mut told = receiver.types();
    told.sort_unstable();
    assert_eq!(
        told,
        ["application.installed", "member.joined", "message.created"]
    );
    let open = receiver
        .heard()
        .into_iter()
        .find(|one| one.json()["type"] == "message.created");
    assert_eq!(open.unwrap().json()["data"]["content"], "open");
    // Without the intents no members and no texts, but its own and what calls it.
    let bare = json!({"intents": 0});
    world
        .ok(OWNER, "PATCH", &format!("/applications/{id}"), bare, 200)
        .await;
    let before = receiver.heard().len();
    write(&world, 9_003, OTHER, "not for it").await;
    write(&world, 9_004, id.cast(), "its own").await;
    world.hear("communities.member_joined.v1", joined).await;
    deliver_all(&world).await;
    let mut texts: Vec<String> = receiver.heard()[before..]
        .iter()
        .map(|heard| {
            let data = &heard.json()["data"];
            assert_eq!(
                data["embeds"].as_array().unwrap().is_empty(),
                data["content"] == ""
            );
            data["content"].as_str().unwrap().to_owned()
        })
        .collect();
    texts.sort_unstable();
    assert_eq!(texts, ["", "its own"]);
    // Out again: nothing more but the news of that.
    world.ok(OWNER, "DELETE", &install, NONE, 204).await;
    world.hear("applications.uninstalled.v1", installed).await;
    write(&world, 9_005, OTHER, "after it left").await;
    deliver_all(&world).await;
    assert_eq!(receiver.types().last().unwrap(), "application.uninstalled");
    assert_eq!(receiver.heard().len(), before + 3);
}
