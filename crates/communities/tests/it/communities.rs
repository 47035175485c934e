use infra::fanout::{Control, Topic};
use kernel::{Caller, UserId};
use serde_json::{Value, json};

use crate::fixture::{
    BOT, FORBIDDEN, Heard, INVALID, MEMBER, NONE, OWNER, STRANGER, World, id, masked,
};

#[tokio::test]
async fn a_new_community_has_everyone_general_and_its_owner() {
    let mut world = World::new().await;
    world.follow(&[Topic::User(OWNER)]).await;
    let made = world
        .make(OWNER, "/guilds", json!({"name": " Square "}))
        .await;
    insta::assert_json_snapshot!(masked(&made), @r#"
    {
      "afk_channel_id": null,
      "afk_timeout": 300,
      "default_message_notifications": 0,
      "description": null,
      "emojis": [],
      "explicit_content_filter": 0,
      "features": [],
      "icon": null,
      "id": "[id]",
      "incidents_data": null,
      "mfa_level": 0,
      "name": "Square",
      "nsfw_level": 0,
      "owner_id": "1001",
      "preferred_locale": "en-US",
      "premium_tier": 0,
      "roles": [
        {
          "color": 0,
          "hoist": false,
          "id": "[id]",
          "managed": false,
          "mentionable": false,
          "name": "@everyone",
          "permissions": "274948279361",
          "position": 0,
          "trade_permissions": "3"
        }
      ],
      "rules_channel_id": null,
      "stickers": [],
      "system_channel_flags": 0,
      "system_channel_id": null,
      "tags": [],
      "verification_level": 0
    }
    "#);
    let community: kernel::CommunityId = id(&made).cast();
    assert_eq!(
        made["roles"][0]["id"], made["id"],
        "everyone's role bears the community's id"
    );
    assert_eq!(world.heard(), [Heard::Control(Control::Joined(community))]);
    assert_eq!(
        world.events().await,
        ["community_created", "channel_created", "member_joined"]
    );
    let numbers = world.numbers(community).await;
    assert_eq!(
        (numbers.rev, numbers.perm_epoch, numbers.member_count),
        (1, 1, 1)
    );
    let counted = world
        .get(OWNER, &format!("/guilds/{community}?with_counts=true"))
        .await;
    assert_eq!(counted["approximate_member_count"], 1);
}

#[tokio::test]
async fn a_new_community_has_one_channel() {
    let world = World::new().await;
    let community = world.community().await;
    let channels = world
        .get(OWNER, &format!("/guilds/{community}/channels"))
        .await;
    insta::assert_json_snapshot!(masked(&channels), @r#"
    [
      {
        "guild_id": "[id]",
        "id": "[id]",
        "last_message_id": null,
        "name": "general",
        "nsfw": false,
        "parent_id": null,
        "permission_overwrites": [],
        "position": 0,
        "rate_limit_per_user": 0,
        "topic": null,
        "type": 0
      }
    ]
    "#);
}

#[tokio::test]
async fn creating_twice_with_one_key_makes_one_community() {
    let world = World::new().await;
    let key = [("idempotency-key", "k-1")];
    let post = |name: &'static str| {
        testkit::http::call_with(
            &world.router,
            "POST",
            "/api/v10/guilds",
            OWNER,
            &key,
            json!({"name": name}),
        )
    };
    let first = post("Square").await.unwrap();
    let again = post("Square").await.unwrap();
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!(first.json, again.json);
    assert_eq!(first.header("idempotent-replayed"), None);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(post("Other").await.unwrap().status, 422);
    let mine = world.get(OWNER, "/users/@me/guilds").await;
    assert_eq!(mine.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn many_at_once_with_one_key_make_one_community() {
    let world = World::new().await;
    let key = [("idempotency-key", "k-2")];
    let all = (0..10).map(|_| {
        testkit::http::call_with(
            &world.router,
            "POST",
            "/api/v10/guilds",
            OWNER,
            &key,
            json!({"name": "Square"}),
        )
    });
    let replies = futures::future::join_all(all).await;
    let ids: std::collections::HashSet<String> = replies
        .into_iter()
        .map(|reply| reply.unwrap())
        .filter(|reply| reply.status == 201)
        .map(|reply| reply.json["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 1);
    let mine = world.get(OWNER, "/users/@me/guilds").await;
    assert_eq!(mine.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn names_have_two_to_a_hundred_characters() {
    let world = World::new().await;
    let refused = world
        .fails(OWNER, "POST", "/guilds", json!({"name": "a"}), INVALID)
        .await;
    insta::assert_json_snapshot!(refused["errors"], @r#"
    {
      "name": {
        "_errors": [
          {
            "code": "TOO_SHORT",
            "message": "must have at least 2 characters"
          }
        ]
      }
    }
    "#);
    world
        .fails(
            OWNER,
            "POST",
            "/guilds",
            json!({"name": "a".repeat(101)}),
            INVALID,
        )
        .await;
    world
        .fails(OWNER, "POST", "/guilds", json!({}), INVALID)
        .await;
    world
        .make(OWNER, "/guilds", json!({"name": "ğ".repeat(100)}))
        .await;
}

#[tokio::test]
async fn nobody_is_in_more_communities_than_allowed_also_at_once() {
    let world = World::with(communities::Limits {
        communities_per_user: 3,
        ..Default::default()
    })
    .await;
    let caller = testkit::http::caller(OWNER);
    let all = (0..10).map(|i| {
        let new = communities::CreateCommunity {
            name: format!("Square {i}"),
        };
        world.app.create_community(&caller, new, None)
    });
    let made = futures::future::join_all(all).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 3);
    world
        .fails(
            OWNER,
            "POST",
            "/guilds",
            json!({"name": "Four"}),
            (400, 30001),
        )
        .await;
    let theirs = world
        .make(STRANGER, "/guilds", json!({"name": "Theirs"}))
        .await;
    let theirs: kernel::CommunityId = id(&theirs).cast();
    let channel = {
        let list = world
            .get(STRANGER, &format!("/guilds/{theirs}/channels"))
            .await;
        id(&list[0])
    };
    let invite = world
        .post(STRANGER, &format!("/channels/{channel}/invites"), json!({}))
        .await;
    let join = format!("/invites/{}", invite["code"].as_str().unwrap());
    world.fails(OWNER, "POST", &join, NONE, (400, 30001)).await;
    let mine = world.get(OWNER, "/users/@me/guilds").await;
    let path = format!("/guilds/{}", mine[0]["id"].as_str().unwrap());
    world.delete(OWNER, &path).await;
    world.post(OWNER, &join, NONE).await;
}

#[tokio::test]
async fn bots_make_no_communities() {
    let world = World::new().await;
    let reply = world
        .call(
            &Caller::bot(BOT),
            "POST",
            "/guilds",
            json!({"name": "Bots"}),
        )
        .await;
    assert_eq!(
        (reply.status.as_u16(), reply.json["code"].as_u64()),
        (403, Some(20001))
    );
}

#[tokio::test]
async fn settings_change_with_one_revision_an_audit_entry_and_an_event() {
    let mut world = World::new().await;
    let community = world.community().await;
    let path = format!("/guilds/{community}");
    let before = world.numbers(community).await;
    world.follow(&[Topic::Community(community)]).await;
    let channel = world.first_channel(community).await;
    let body = json!({"name": "Meydan", "description": "a square", "system_channel_id": channel,
        "verification_level": 2, "communicationDisabledUntil": null});
    let after = world.patch(OWNER, &path, body).await;
    assert_eq!(
        (after["name"].as_str(), after["description"].as_str()),
        (Some("Meydan"), Some("a square"))
    );
    let numbers = world.numbers(community).await;
    assert_eq!(
        (numbers.rev, numbers.perm_epoch),
        (before.rev + 1, before.perm_epoch)
    );
    let heard = world.heard();
    assert_eq!(
        heard,
        [Heard::Event(
            "GUILD_UPDATE".into(),
            numbers.rev,
            None,
            after.clone()
        )]
    );
    assert_eq!(world.events().await.last().unwrap(), "community_updated");
    assert_eq!(world.audits().await, [1]);
    assert_eq!(world.get(OWNER, &path).await, after);

    let null = world
        .patch(OWNER, &path, json!({"description": null}))
        .await;
    assert_eq!(null["description"], Value::Null);
    let numbers = world.numbers(community).await;
    world.patch(OWNER, &path, json!({"name": "Meydan"})).await;
    assert_eq!(
        world.numbers(community).await,
        numbers,
        "nothing changed, nothing is told"
    );
    for bad in [
        json!({"verification_level": 5}),
        json!({"afk_timeout": 61}),
        json!({"system_channel_id": "5"}),
        json!({"description": "x".repeat(301)}),
    ] {
        world.fails(OWNER, "PATCH", &path, bad, INVALID).await;
    }
}

#[tokio::test]
async fn only_the_owner_hands_over_and_then_is_a_member_like_others() {
    let world = World::new().await;
    let community = world.community().await;
    world.join(community, MEMBER).await;
    world.role(community, 1 << 3, 5, &[MEMBER]).await;
    let path = format!("/guilds/{community}");
    world
        .fails(
            MEMBER,
            "PATCH",
            &path,
            json!({"owner_id": MEMBER}),
            FORBIDDEN,
        )
        .await;
    let stale = world.call(OWNER, "PATCH", &path, json!({"owner_id": MEMBER}));
    assert_eq!(stale.await.status, 403, "the login must be fresh");
    let handed = format!("{path}/owner");
    let stale = world.call(OWNER, "PUT", &handed, json!({"owner_id": MEMBER}));
    assert_eq!(stale.await.status, 403, "here too");
    world
        .fails(
            world.fresh(OWNER),
            "PATCH",
            &path,
            json!({"owner_id": STRANGER}),
            (404, 10007),
        )
        .await;
    world
        .fails(
            world.fresh(OWNER),
            "PATCH",
            &path,
            json!({"owner_id": UserId::new(77)}),
            (404, 10013),
        )
        .await;
    world
        .fails(
            world.fresh(OWNER),
            "PUT",
            &handed,
            json!({"owner_id": BOT}),
            INVALID,
        )
        .await;
    let before = world.numbers(community).await;
    let owner = world.fresh(OWNER);
    let after = world
        .ok(owner, "PUT", &handed, json!({"owner_id": MEMBER}), 200)
        .await;
    assert_eq!(after["owner_id"], json!(MEMBER));
    assert_eq!(
        world.numbers(community).await.perm_epoch,
        before.perm_epoch + 1
    );
    world
        .fails(OWNER, "PATCH", &path, json!({"name": "Mine"}), FORBIDDEN)
        .await;
    world
        .delete(OWNER, &format!("/users/@me/guilds/{community}"))
        .await;
}

#[tokio::test]
async fn a_deleted_community_is_told_once_and_gone_for_all() {
    let mut world = World::new().await;
    let community = world.community().await;
    world.join(community, MEMBER).await;
    world.role(community, 1 << 3, 5, &[MEMBER]).await;
    world.follow(&[Topic::Community(community)]).await;
    let path = format!("/guilds/{community}");
    world.fails(MEMBER, "DELETE", &path, NONE, FORBIDDEN).await;
    world.delete(OWNER, &path).await;
    assert_eq!(world.heard_names(), ["GUILD_DELETE", "AccessChanged"]);
    for who in [OWNER, MEMBER] {
        world.fails(who, "GET", &path, NONE, (404, 10004)).await;
        assert_eq!(world.get(who, "/users/@me/guilds").await, json!([]));
    }
    world
        .fails(OWNER, "DELETE", &path, NONE, (404, 10004))
        .await;
    assert!(
        world
            .events()
            .await
            .contains(&"community_deleted".to_owned())
    );
}

#[tokio::test]
async fn members_leave_and_owners_do_not() {
    let mut world = World::new().await;
    let community = world.community().await;
    world.join(community, MEMBER).await;
    world
        .follow(&[Topic::Community(community), Topic::User(MEMBER)])
        .await;
    let path = format!("/users/@me/guilds/{community}");
    world
        .fails(OWNER, "DELETE", &path, NONE, (400, 50055))
        .await;
    world.delete(MEMBER, &path).await;
    let heard = world.heard();
    assert_eq!(heard[0], Heard::Control(Control::Left(community)));
    let Heard::Event(name, _, _, payload) = &heard[1] else {
        panic!("{heard:?}")
    };
    assert_eq!(name, "GUILD_MEMBER_REMOVE");
    assert_eq!(payload["user"]["username"], "member");
    assert_eq!(world.numbers(community).await.member_count, 1);
    world
        .fails(MEMBER, "DELETE", &path, NONE, (404, 10004))
        .await;
}

#[tokio::test]
async fn own_communities_come_in_pages_with_own_rights() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for i in 0..3 {
        let made = world
            .make(OWNER, "/guilds", json!({"name": format!("Square {i}")}))
            .await;
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    let list = |query: String| {
        let world = &world;
        async move {
            let path = format!("/users/@me/guilds{query}");
            let page = world.get(OWNER, &path).await;
            page.as_array()
                .unwrap()
                .iter()
                .map(|g| g["id"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(list(String::new()).await, ids);
    assert_eq!(list("?limit=2".into()).await, ids[..2]);
    assert_eq!(list(format!("?after={}", ids[0])).await, ids[1..]);
    assert_eq!(list(format!("?before={}", ids[2])).await, ids[..2]);
    let community: kernel::CommunityId = ids[0].parse().unwrap();
    world.join(community, MEMBER).await;
    let mine = world.get(MEMBER, "/users/@me/guilds").await;
    insta::assert_json_snapshot!(masked(&mine), @r#"
    [
      {
        "features": [],
        "icon": null,
        "id": "[id]",
        "name": "Square 0",
        "owner": false,
        "permissions": "274948279361"
      }
    ]
    "#);
}
