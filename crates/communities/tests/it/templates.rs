//! Templates: a community's shape, from which others are made.

use communities::Limits;
use contracts::Communities as _;
use kernel::perm::{Chat, Trade};
use kernel::{ChannelId, CommunityId};
use serde_json::{Value, json};

use crate::fixture::{BOT, FORBIDDEN, INVALID, MEMBER, NONE, OWNER, STRANGER, World, id};

const UNKNOWN: (u16, u32) = (404, 10057);

/// Two roles, a category with a hidden channel and a forum, and what belongs to somebody.
async fn shaped(world: &World) -> CommunityId {
    let community = world.community().await;
    world.join(community, MEMBER).await;
    let role = world.role(community, 1 << 13, 2, &[MEMBER]).await;
    let path = format!("/guilds/{community}/roles/{role}");
    let more = json!({"trade_permissions": "128", "hoist": true, "color": 255});
    world.patch(OWNER, &path, more).await;
    let channels = format!("/guilds/{community}/channels");
    let category = world
        .make(OWNER, &channels, json!({"name": "Oto", "type": 4}))
        .await;
    let hidden = json!({"name": "ekip", "parent_id": category["id"], "topic": "iç", "permission_overwrites": [
        {"id": community, "type": 0, "deny": "1024"},
        {"id": role, "type": 0, "allow": "1024", "trade_allow": "512"},
        {"id": MEMBER, "type": 1, "allow": "1024"}]});
    world.make(OWNER, &channels, hidden).await;
    let forum = json!({"name": "ilan", "type": 15, "available_tags": [{"name": "satılık"}]});
    world.make(OWNER, &channels, forum).await;
    let first = world.first_channel(community).await;
    let patch =
        json!({"system_channel_id": first, "preferred_locale": "tr", "verification_level": 2});
    world
        .patch(OWNER, &format!("/guilds/{community}"), patch)
        .await;
    community
}

async fn rights_came_along(world: &World, community: CommunityId, role: &Value, channels: &Value) {
    let invite = format!("/channels/{}/invites", channels[0]["id"].as_str().unwrap());
    let code = world.post(STRANGER, &invite, json!({})).await["code"].clone();
    world
        .post(
            MEMBER,
            &format!("/invites/{}", code.as_str().unwrap()),
            NONE,
        )
        .await;
    let hidden: ChannelId = id(&channels[2]).cast();
    let access = world.app.access(MEMBER, &[hidden]).await.unwrap();
    assert_eq!((access[0].chat, access[0].trade), (Chat::NONE, Trade::NONE));
    let give = format!(
        "/guilds/{community}/members/{MEMBER}/roles/{}",
        role["id"].as_str().unwrap()
    );
    world.put(STRANGER, &give, NONE).await;
    let access = world.app.access(MEMBER, &[hidden]).await.unwrap();
    assert!(
        access[0]
            .chat
            .has(Chat::VIEW_CHANNEL | Chat::MANAGE_MESSAGES)
    );
    assert!(access[0].trade.has(Trade::MAKE_OFFER | Trade::ACCEPT_OFFER));
}

#[tokio::test]
async fn a_community_is_made_from_a_template() {
    let world = World::new().await;
    let source = shaped(&world).await;
    let templates = format!("/guilds/{source}/templates");
    let body = json!({"name": "Galeri", "description": "oto"});
    let made = world.post(OWNER, &templates, body).await;
    assert_eq!(
        (&made["is_dirty"], &made["usage_count"]),
        (&json!(false), &json!(0))
    );
    let shape = &made["serialized_source_guild"];
    assert_eq!(shape["roles"].as_array().unwrap().len(), 2);
    let names = |list: &Value| -> Vec<Value> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].clone())
            .collect()
    };
    assert_eq!(
        names(&shape["channels"]),
        ["general", "Oto", "ekip", "ilan"]
    );
    let team = &shape["channels"][2];
    assert_eq!((&team["parent_id"], &team["id"]), (&json!(2), &json!(3)));
    let overwrites = team["permission_overwrites"].as_array().unwrap();
    assert_eq!(overwrites.len(), 2, "those of members stay behind");
    let code = made["code"].as_str().unwrap();
    let from = format!("/guilds/templates/{code}");
    assert_eq!(world.get(STRANGER, &from).await["name"], "Galeri");
    let before = world.events().await.len();
    let guild = world.make(STRANGER, &from, json!({"name": "Yeni"})).await;
    let community: CommunityId = id(&guild).cast();
    assert_eq!(
        (&guild["owner_id"], &guild["name"]),
        (&json!(STRANGER), &json!("Yeni"))
    );
    assert_eq!(
        (&guild["preferred_locale"], &guild["verification_level"]),
        (&json!("tr"), &json!(2))
    );
    let role = &guild["roles"][1];
    assert_eq!(
        (&role["permissions"], &role["trade_permissions"]),
        (&json!("8192"), &json!("128"))
    );
    assert_eq!(
        (&role["hoist"], &role["color"]),
        (&json!(true), &json!(255))
    );
    let channels = world
        .get(STRANGER, &format!("/guilds/{community}/channels"))
        .await;
    assert_eq!(names(&channels), ["general", "Oto", "ekip", "ilan"]);
    assert_eq!(channels[2]["parent_id"], channels[1]["id"]);
    assert_eq!(guild["system_channel_id"], channels[0]["id"]);
    assert_eq!(channels[3]["available_tags"][0]["name"], "satılık");
    let events = world.events().await.split_off(before);
    let count = |kind: &str| events.iter().filter(|one| *one == kind).count();
    assert_eq!(
        (
            count("community_created"),
            count("channel_created"),
            count("role_created"),
            count("member_joined")
        ),
        (1, 4, 1, 1)
    );
    rights_came_along(&world, community, role, &channels).await;
    assert_eq!(world.get(OWNER, &templates).await[0]["usage_count"], 1);
}

#[tokio::test]
async fn templates_are_kept_by_who_manages_the_community() {
    let world = World::new().await;
    let source = shaped(&world).await;
    let templates = format!("/guilds/{source}/templates");
    let made = world
        .post(OWNER, &templates, json!({"name": "Galeri"}))
        .await;
    let one = format!("{templates}/{}", made["code"].as_str().unwrap());
    for (method, path, body) in [
        ("GET", &templates, NONE),
        ("POST", &templates, json!({"name": "x"})),
        ("PUT", &one, NONE),
        ("PATCH", &one, json!({"name": "x"})),
        ("DELETE", &one, NONE),
    ] {
        world.fails(MEMBER, method, path, body, FORBIDDEN).await;
    }
    let rename = format!("/guilds/{source}");
    assert_eq!(world.get(OWNER, &templates).await[0]["is_dirty"], false);
    world.patch(OWNER, &rename, json!({"name": "Other"})).await;
    assert_eq!(world.get(OWNER, &templates).await[0]["is_dirty"], true);
    let synced = world.ok(OWNER, "PUT", &one, NONE, 200).await;
    assert_eq!(synced["serialized_source_guild"]["name"], "Other");
    assert_eq!(world.get(OWNER, &templates).await[0]["is_dirty"], false);
    let patched = world
        .patch(OWNER, &one, json!({"name": "G2", "description": "d"}))
        .await;
    assert_eq!(
        (&patched["name"], &patched["description"]),
        (&json!("G2"), &json!("d"))
    );
    let bare = world.patch(OWNER, &one, json!({"description": null})).await;
    assert_eq!(bare["description"], json!(null));
    for bad in [json!({"name": ""}), json!({"description": "x".repeat(121)})] {
        world.fails(OWNER, "PATCH", &one, bad, INVALID).await;
    }
    world.ok(OWNER, "DELETE", &one, NONE, 200).await;
    world.fails(OWNER, "DELETE", &one, NONE, UNKNOWN).await;
    let from = format!("/guilds/templates/{}", made["code"].as_str().unwrap());
    world.fails(OWNER, "GET", &from, NONE, UNKNOWN).await;
    world
        .fails(OWNER, "POST", &from, json!({"name": "New"}), UNKNOWN)
        .await;
}

#[tokio::test]
async fn templates_have_bounds_and_bots_use_none() {
    let limits = Limits {
        templates: 1,
        channels: 4,
        ..Limits::default()
    };
    let world = World::with(limits).await;
    let source = shaped(&world).await;
    let templates = format!("/guilds/{source}/templates");
    let made = world
        .post(OWNER, &templates, json!({"name": "Galeri"}))
        .await;
    world
        .fails(
            OWNER,
            "POST",
            &templates,
            json!({"name": "x"}),
            (400, 30031),
        )
        .await;
    let from = format!("/guilds/templates/{}", made["code"].as_str().unwrap());
    world.make(OWNER, &from, json!({"name": "Four"})).await;
    let robot = kernel::Caller::bot(BOT);
    world
        .fails(robot, "POST", &from, json!({"name": "Bot"}), (403, 20001))
        .await;
    world
        .fails(OWNER, "GET", "/guilds/templates/nope", NONE, UNKNOWN)
        .await;
}
