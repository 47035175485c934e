//! Emoji: made of small images, told, served, and gone with their image.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use communities::Limits;
use infra::fanout::Topic;
use infra::objects::Objects as _;
use kernel::CommunityId;
use serde_json::{Value, json};

use crate::fixture::{
    FORBIDDEN, Heard, INVALID, MEMBER, MODERATOR, NONE, OWNER, STRANGER, World, id, masked,
};

const MANAGE_EXPRESSIONS: u64 = 1 << 30;
const UNKNOWN: (u16, u32) = (404, 10014);

fn image(bytes: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(bytes))
}

fn png() -> String {
    image(b"\x89PNG\r\n\x1a\nrest")
}

async fn keeper(world: &World) -> CommunityId {
    let community = world.community().await;
    for user in [MODERATOR, MEMBER] {
        world.join(community, user).await;
    }
    world
        .role(community, MANAGE_EXPRESSIONS, 5, &[MODERATOR])
        .await;
    community
}

async fn picture(world: &World, file: &str) -> testkit::http::Reply {
    let path = format!("/emojis/{file}");
    testkit::http::call(&world.router, "GET", &path, (), NONE)
        .await
        .unwrap()
}

async fn is_served(world: &World, file: &str) {
    let shown = picture(world, file).await;
    assert_eq!(shown.status, 200);
    for (name, value) in [
        ("content-type", "image/png"),
        ("cache-control", "public, max-age=31536000, immutable"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("content-length", "12"),
    ] {
        assert_eq!(shown.headers[name], value, "{name}");
    }
}

#[tokio::test]
async fn an_emoji_is_made_told_shown_renamed_and_deleted() {
    let mut world = World::new().await;
    let community = keeper(&world).await;
    world.follow(&[Topic::Community(community)]).await;
    let path = format!("/guilds/{community}/emojis");
    let made = world
        .make(MODERATOR, &path, json!({"name": "cay", "image": png()}))
        .await;
    insta::assert_json_snapshot!(masked(&made), @r#"
    {
      "animated": false,
      "available": true,
      "id": "[id]",
      "managed": false,
      "name": "cay",
      "require_colons": true,
      "roles": [],
      "user": {
        "avatar": null,
        "bot": false,
        "discriminator": "0",
        "global_name": "moderator",
        "id": "1003",
        "public_flags": 0,
        "username": "moderator"
      }
    }
    "#);
    let told = |heard: Vec<Heard>| match heard.as_slice() {
        [Heard::Event(name, _, None, payload)] if name == "GUILD_EMOJIS_UPDATE" => {
            payload["emojis"]
                .as_array()
                .unwrap()
                .iter()
                .map(|e| e["name"].clone())
                .collect()
        }
        other => panic!("{other:?}"),
    };
    let names: Vec<Value> = told(world.heard());
    assert_eq!(names, ["cay"]);
    let guild = world.get(MEMBER, &format!("/guilds/{community}")).await;
    assert_eq!(guild["emojis"][0]["name"], "cay");
    assert_eq!(world.get(MEMBER, &path).await[0], made);
    let one = format!("{path}/{}", id(&made));
    assert_eq!(world.get(MEMBER, &one).await, made);
    is_served(&world, &format!("{}.webp", id(&made))).await;
    let renamed = world.patch(MODERATOR, &one, json!({"name": "kahve"})).await;
    assert_eq!(renamed["name"], "kahve");
    let names: Vec<Value> = told(world.heard());
    assert_eq!(names, ["kahve"]);
    world.patch(MODERATOR, &one, json!({"name": "kahve"})).await;
    assert!(world.heard().is_empty(), "nothing changed");
    world.delete(MODERATOR, &one).await;
    let names: Vec<Value> = told(world.heard());
    assert!(names.is_empty());
    world.fails(MEMBER, "GET", &one, NONE, UNKNOWN).await;
    assert_eq!(
        picture(&world, &format!("{}.png", id(&made))).await.status,
        404
    );
    assert_eq!(world.objects.list("emojis").await.unwrap().len(), 1);
    world.app.remove_images().await.unwrap();
    assert!(world.objects.list("emojis").await.unwrap().is_empty());
    assert_eq!(
        world
            .audits()
            .await
            .split_off(world.audits().await.len() - 3),
        [60, 61, 62]
    );
}

#[tokio::test]
async fn who_lacks_the_right_makes_none_and_stores_nothing() {
    let world = World::new().await;
    let community = keeper(&world).await;
    let path = format!("/guilds/{community}/emojis");
    let body = json!({"name": "cay", "image": png()});
    world
        .fails(MEMBER, "POST", &path, body.clone(), FORBIDDEN)
        .await;
    world
        .fails(STRANGER, "POST", &path, body.clone(), (404, 10004))
        .await;
    assert!(world.objects.list("emojis").await.unwrap().is_empty());
    let made = world.make(OWNER, &path, body).await;
    let one = format!("{path}/{}", id(&made));
    world
        .fails(MEMBER, "PATCH", &one, json!({"name": "xx"}), FORBIDDEN)
        .await;
    world.fails(MEMBER, "DELETE", &one, NONE, FORBIDDEN).await;
}

#[tokio::test]
async fn names_images_and_roles_have_rules() {
    let world = World::new().await;
    let community = keeper(&world).await;
    let path = format!("/guilds/{community}/emojis");
    let long = "a".repeat(33);
    for name in ["a", long.as_str(), "ç1", "a b", "a-b", ""] {
        let body = json!({"name": name, "image": png()});
        world.fails(OWNER, "POST", &path, body, INVALID).await;
    }
    let large = vec![0; 256 * 1024 + 1];
    for bad in [
        image(b"<svg/>"),
        image(&large),
        "https://a.test/a.png".to_owned(),
    ] {
        let body = json!({"name": "cay", "image": bad});
        world.fails(OWNER, "POST", &path, body, INVALID).await;
    }
    let body = json!({"name": "cay", "image": png(), "roles": ["5"]});
    world.fails(OWNER, "POST", &path, body, (404, 10011)).await;
    let mut full = b"GIF89a".to_vec();
    full.resize(256 * 1024, 0);
    let role = world.role(community, 0, 1, &[]).await;
    let body = json!({"name": "a".repeat(32), "image": image(&full), "roles": [role]});
    let made = world.make(OWNER, &path, body).await;
    assert_eq!(
        (&made["animated"], &made["roles"]),
        (&json!(true), &json!([role]))
    );
    // An emoji of a role that goes is everybody's.
    world
        .delete(OWNER, &format!("/guilds/{community}/roles/{role}"))
        .await;
    let one = world.get(OWNER, &format!("{path}/{}", id(&made))).await;
    assert_eq!(one["roles"], json!([]));
}

#[tokio::test]
async fn there_is_a_most_and_what_nobody_took_is_removed() {
    let limits = Limits {
        emojis: 1,
        ..Limits::default()
    };
    let world = World::with(limits).await;
    let community = keeper(&world).await;
    let path = format!("/guilds/{community}/emojis");
    let body = json!({"name": "cay", "image": png()});
    world.make(OWNER, &path, body.clone()).await;
    world.fails(OWNER, "POST", &path, body, (400, 30008)).await;
    assert_eq!(world.objects.list("emojis").await.unwrap().len(), 2);
    world.app.remove_images().await.unwrap();
    assert_eq!(
        world.objects.list("emojis").await.unwrap().len(),
        2,
        "not yet"
    );
    world.clock.advance(std::time::Duration::from_secs(3601));
    world.app.remove_images().await.unwrap();
    assert_eq!(world.objects.list("emojis").await.unwrap().len(), 1);
}

#[tokio::test]
async fn pictures_of_no_emoji_are_not_there() {
    let world = World::new().await;
    for file in ["5.png", "x", "..%2f", "99999999999999999999.png"] {
        let reply = picture(&world, file).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json["code"]),
            (404, &json!("EMOJI_UNKNOWN")),
            "{file}"
        );
    }
}
