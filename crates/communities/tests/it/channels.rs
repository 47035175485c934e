use infra::fanout::Topic;
use kernel::{AnyId, ChannelId, CommunityId, RoleId};
use serde_json::{Value, json};

use crate::fixture::{
    FORBIDDEN, Heard, INVALID, MEMBER, MODERATOR, NONE, NOTHING, OWNER, World, id, masked,
};

const VIEW: u64 = 1 << 10;
const SEND: u64 = 1 << 11;
const MANAGE_CHANNELS: u64 = 1 << 4;
const MANAGE_ROLES: u64 = 1 << 28;

#[tokio::test]
async fn channels_are_made_under_categories_and_told_with_a_new_epoch() {
    let mut world = World::new().await;
    let community = world.community().await;
    let path = format!("/guilds/{community}/channels");
    let category = world
        .make(OWNER, &path, json!({"name": "Talk", "type": 4}))
        .await;
    world.follow(&[Topic::Community(community)]).await;
    let before = world.numbers(community).await;
    let body = json!({"name": "news", "type": 5, "topic": "what is new", "nsfw": true,
        "parent_id": category["id"], "rate_limit_per_user": 30,
        "permission_overwrites": [{"id": community, "type": 0, "deny": "2048"}]});
    let made = world.make(OWNER, &path, body).await;
    insta::assert_json_snapshot!(masked(&made), @r#"
    {
      "guild_id": "[id]",
      "id": "[id]",
      "last_message_id": null,
      "name": "news",
      "nsfw": true,
      "parent_id": "[id]",
      "permission_overwrites": [
        {
          "allow": "0",
          "deny": "2048",
          "id": "[id]",
          "trade_allow": "0",
          "trade_deny": "0",
          "type": 0
        }
      ],
      "position": 2,
      "rate_limit_per_user": 30,
      "topic": "what is new",
      "type": 5
    }
    "#);
    let numbers = world.numbers(community).await;
    assert_eq!(
        (numbers.rev, numbers.perm_epoch),
        (before.rev + 1, before.perm_epoch + 1)
    );
    let channel: ChannelId = id(&made).cast();
    let heard = world.heard();
    assert!(
        matches!(&heard[0], Heard::Control(_)),
        "rights first: {heard:?}"
    );
    assert_eq!(
        heard[1..],
        [Heard::Event(
            "CHANNEL_CREATE".into(),
            numbers.rev,
            Some(channel),
            made.clone()
        )]
    );
    assert_eq!(
        world.get(OWNER, &format!("/channels/{channel}")).await,
        made
    );
    for bad in [
        json!({"name": "x", "parent_id": channel}),
        json!({"name": "x", "parent_id": "5"}),
        json!({"name": "x", "type": 1}),
    ] {
        world.fails(OWNER, "POST", &path, bad, INVALID).await;
    }
}

#[tokio::test]
async fn the_number_of_channels_is_bounded_also_at_once() {
    let world = World::with(communities::Limits {
        channels: 4,
        ..Default::default()
    })
    .await;
    let community = world.community().await;
    let caller = testkit::http::caller(OWNER);
    let all = (0..8).map(|i| {
        let new = serde_json::from_value(json!({"name": format!("c{i}")})).unwrap();
        world
            .app
            .create_channel(&caller, community, new, communities::Reason::default())
    });
    let made = futures::future::join_all(all).await;
    assert_eq!(
        made.iter().filter(|made| made.is_ok()).count(),
        3,
        "one was there"
    );
    let path = format!("/guilds/{community}/channels");
    world
        .fails(OWNER, "POST", &path, json!({"name": "x"}), (400, 30013))
        .await;
}

#[tokio::test]
async fn changes_are_partial_and_what_stays_is_not_told() {
    let mut world = World::new().await;
    let community = world.community().await;
    let channel = world.first_channel(community).await;
    let path = format!("/channels/{channel}");
    world.follow(&[Topic::Community(community)]).await;
    let body = json!({"topic": "t", "rate_limit_per_user": 21600, "position": 7});
    let after = world.patch(OWNER, &path, body).await;
    assert_eq!(
        (after["name"].as_str(), after["topic"].as_str()),
        (Some("general"), Some("t"))
    );
    assert_eq!(world.heard_names(), ["CHANNEL_UPDATE"]);
    world.patch(OWNER, &path, json!({"topic": "t"})).await;
    assert_eq!(world.heard_names(), NOTHING);
    let after = world
        .patch(OWNER, &path, json!({"topic": null, "type": 5}))
        .await;
    assert_eq!(
        (after["topic"].clone(), after["type"].as_i64()),
        (Value::Null, Some(5))
    );
    world
        .fails(OWNER, "PATCH", &path, json!({"type": 2}), (400, 50024))
        .await;
    world
        .fails(
            OWNER,
            "PATCH",
            &path,
            json!({"rate_limit_per_user": 21601}),
            INVALID,
        )
        .await;
    assert_eq!(world.audits().await, [11, 11]);
}

#[tokio::test]
async fn deleting_a_category_frees_its_children() {
    let mut world = World::new().await;
    let community = world.community().await;
    let path = format!("/guilds/{community}/channels");
    let category = world
        .make(OWNER, &path, json!({"name": "Talk", "type": 4}))
        .await;
    let child = json!({"name": "child", "parent_id": category["id"]});
    let child = world.make(OWNER, &path, child).await;
    world.follow(&[Topic::Community(community)]).await;
    let before = world.numbers(community).await;
    let gone = world
        .ok(
            OWNER,
            "DELETE",
            &format!("/channels/{}", id(&category)),
            NONE,
            200,
        )
        .await;
    assert_eq!(gone["id"], category["id"]);
    let heard = world.heard();
    let Heard::Event(name, rev, channel, payload) = &heard[0] else {
        panic!("{heard:?}")
    };
    assert_eq!((name.as_str(), *rev), ("CHANNEL_UPDATE", before.rev + 1));
    assert_eq!(
        (channel.map(|c| c.cast()), &payload["parent_id"]),
        (Some(id(&child)), &Value::Null)
    );
    let Heard::Event(name, rev, ..) = &heard[1] else {
        panic!("{heard:?}")
    };
    assert_eq!((name.as_str(), *rev), ("CHANNEL_DELETE", before.rev + 2));
    let numbers = world.numbers(community).await;
    assert_eq!(
        (numbers.rev, numbers.perm_epoch),
        (before.rev + 2, before.perm_epoch)
    );
    world
        .fails(
            OWNER,
            "GET",
            &format!("/channels/{}", id(&category)),
            NONE,
            (404, 10003),
        )
        .await;
}

#[tokio::test]
async fn a_hidden_channel_does_not_exist_for_members() {
    let mut world = World::new().await;
    let community = world.community().await;
    world.join(community, MEMBER).await;
    let channel = world.first_channel(community).await;
    world.follow(&[Topic::Community(community)]).await;
    let before = world.numbers(community).await;
    let overwrite = format!("/channels/{channel}/permissions/{community}");
    world
        .put(
            OWNER,
            &overwrite,
            json!({"type": 0, "deny": VIEW.to_string()}),
        )
        .await;
    assert_eq!(world.heard_names(), ["AccessChanged", "CHANNEL_UPDATE"]);
    assert_eq!(
        world.numbers(community).await.perm_epoch,
        before.perm_epoch + 1
    );
    let path = format!("/channels/{channel}");
    for (method, path) in [
        ("GET", path.clone()),
        ("DELETE", path.clone()),
        ("POST", format!("{path}/invites")),
        ("PUT", overwrite.clone()),
    ] {
        world
            .fails(MEMBER, method, &path, json!({"type": 0}), (404, 10003))
            .await;
    }
    let list = world
        .get(MEMBER, &format!("/guilds/{community}/channels"))
        .await;
    assert_eq!(list, json!([]));
    let member = format!("/channels/{channel}/permissions/{MEMBER}");
    world
        .put(
            OWNER,
            &member,
            json!({"type": 1, "allow": VIEW.to_string()}),
        )
        .await;
    world.get(MEMBER, &path).await;
    world.delete(OWNER, &member).await;
    world
        .fails(OWNER, "DELETE", &member, NONE, (404, 10009))
        .await;
    world.fails(MEMBER, "GET", &path, NONE, (404, 10003)).await;
    assert_eq!(world.audits().await, [40, 13, 13, 15]);
}

/// A moderator at 2 who manages roles and channels, a role below and a role above, a channel.
async fn moderated(world: &World) -> (CommunityId, RoleId, RoleId, ChannelId) {
    let community = world.community().await;
    world.join(community, MODERATOR).await;
    world.join(community, MEMBER).await;
    let low = world.role(community, 0, 1, &[MEMBER]).await;
    let bits = MANAGE_ROLES | MANAGE_CHANNELS;
    world.role(community, bits, 2, &[MODERATOR]).await;
    let high = world.role(community, 0, 3, &[]).await;
    let channel = world.first_channel(community).await;
    (community, low, high, channel)
}

#[tokio::test]
async fn overwrites_give_and_take_only_rights_that_are_held() {
    let world = World::new().await;
    let (_, low, high, channel) = moderated(&world).await;
    let at = |target: AnyId| format!("/channels/{channel}/permissions/{target}");
    let allow = |kind: i32, bits: u64| json!({"type": kind, "allow": bits.to_string()});
    let deny = |kind: i32, bits: u64| json!({"type": kind, "deny": bits.to_string()});
    // Giving to those above is allowed, so that an application can open a channel for them.
    for (target, body) in [
        (low.cast(), allow(0, SEND)),
        (high.cast(), allow(0, SEND)),
        (MEMBER.cast(), deny(1, SEND)),
    ] {
        world.put(MODERATOR, &at(target), body).await;
    }
    for (target, body) in [
        (low.cast(), allow(0, 1 << 13)),
        (low.cast(), deny(0, 1 << 13)),
        (high.cast(), deny(0, SEND)),
        (OWNER.cast(), deny(1, SEND)),
    ] {
        let path = at(target);
        world.fails(MODERATOR, "PUT", &path, body, FORBIDDEN).await;
    }
    let path = at(AnyId::new(5));
    for (kind, told) in [(0, (404, 10011)), (1, (404, 10007)), (2, INVALID)] {
        world
            .fails(OWNER, "PUT", &path, allow(kind, SEND), told)
            .await;
    }
}

#[tokio::test]
async fn a_whole_list_of_overwrites_is_judged_in_the_same_way() {
    let world = World::new().await;
    let (community, low, high, channel) = moderated(&world).await;
    let list = |id: RoleId, name: &str, bits: u64| {
        json!({"name": "x", "permission_overwrites": [
            {"id": id, "type": 0, name: bits.to_string()}]})
    };
    let (one, all) = (
        format!("/channels/{channel}"),
        format!("/guilds/{community}/channels"),
    );
    world.patch(MODERATOR, &one, list(low, "allow", SEND)).await;
    for body in [list(low, "allow", 1 << 13), list(high, "deny", SEND)] {
        world
            .fails(MODERATOR, "PATCH", &one, body.clone(), FORBIDDEN)
            .await;
        world.fails(MODERATOR, "POST", &all, body, FORBIDDEN).await;
    }
    let after = world.get(OWNER, &one).await;
    assert_eq!(after["permission_overwrites"][0]["allow"], SEND.to_string());
}

#[tokio::test]
async fn rights_in_a_channel_come_from_its_overwrites() {
    let world = World::new().await;
    let community = world.community().await;
    world.join(community, MEMBER).await;
    let channel = world.first_channel(community).await;
    let path = format!("/channels/{channel}");
    world
        .fails(MEMBER, "PATCH", &path, json!({"topic": "t"}), FORBIDDEN)
        .await;
    let member = format!("{path}/permissions/{MEMBER}");
    let allow = json!({"type": 1, "allow": MANAGE_CHANNELS.to_string()});
    world.put(OWNER, &member, allow).await;
    world.patch(MEMBER, &path, json!({"topic": "t"})).await;
    let list = json!({"permission_overwrites": []});
    world.fails(MEMBER, "PATCH", &path, list, FORBIDDEN).await;
    world
        .fails(
            MEMBER,
            "POST",
            &format!("/guilds/{community}/channels"),
            json!({"name": "x"}),
            FORBIDDEN,
        )
        .await;
}

#[tokio::test]
async fn a_reason_is_kept_decoded_and_bounded() {
    let world = World::new().await;
    let community = world.community().await;
    let path = format!("/api/v10/guilds/{community}/channels");
    let long = "a".repeat(513);
    let call = |reason: &str| {
        let headers = [("x-audit-log-reason", reason.to_owned())];
        let (router, path) = (world.router.clone(), path.clone());
        async move {
            let headers = [(headers[0].0, headers[0].1.as_str())];
            testkit::http::call_with(
                &router,
                "POST",
                &path,
                OWNER,
                &headers,
                json!({"name": "x"}),
            )
            .await
            .unwrap()
        }
    };
    assert_eq!(call("g%C3%BCr%C3%BClt%C3%BC").await.status, 201);
    assert_eq!(call(&long).await.status, 400);
    assert_eq!(call(&"a".repeat(512)).await.status, 201);
    const REASONS: db::Sql = db::Sql::new(
        "test.reasons",
        "SELECT reason FROM communities.audit_entries ORDER BY id",
    );
    let reasons: Vec<Option<String>> = REASONS.scalars(&world.admin).await.unwrap();
    assert_eq!(reasons, [Some("gürültü".to_owned()), Some("a".repeat(512))]);
}
