//! Public communities: found by Turkish words, in pages, looked at and joined without an invite.

use kernel::{CommunityId, UserId};
use serde_json::{Value, json};

use crate::fixture::{BOT, INVALID, MEMBER, MODERATOR, NONE, OWNER, STRANGER, World, id};

const UNKNOWN: (u16, u32) = (404, 10004);

/// A public community of OWNER's.
async fn public(world: &World, name: &str, more: Value) -> CommunityId {
    let made = world.make(OWNER, "/guilds", json!({ "name": name })).await;
    let community: CommunityId = id(&made).cast();
    let mut patch = json!({"discoverable": true, "description": "Açıklama"});
    patch
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    world
        .patch(OWNER, &format!("/guilds/{community}"), patch)
        .await;
    community
}

async fn found(world: &World, query: &str) -> Vec<String> {
    let path = format!("/discoverable-guilds{query}");
    let page = world.get(STRANGER, &path).await;
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn words_are_found_however_turkish_is_typed() {
    let world = World::new().await;
    public(
        &world,
        "IĞDIR Oto Pazarı",
        json!({"tags": ["ikinci el", "şase"]}),
    )
    .await;
    public(
        &world,
        "Çay Bahçesi",
        json!({"description": "İstanbul'un ışıkları"}),
    )
    .await;
    world.community().await;
    for (query, names) in [
        ("", vec!["Çay Bahçesi", "IĞDIR Oto Pazarı"]),
        ("?query=ığdır", vec!["IĞDIR Oto Pazarı"]),
        ("?query=igdir%20PAZ", vec!["IĞDIR Oto Pazarı"]),
        ("?query=SASE", vec!["IĞDIR Oto Pazarı"]),
        ("?query=cay", vec!["Çay Bahçesi"]),
        ("?query=ISIK", vec!["Çay Bahçesi"]),
        ("?query=istanbul", vec!["Çay Bahçesi"]),
        ("?query=cay%20oto", vec![]),
        ("?query=azar", vec![]),
        ("?query=%27%29%20OR%201", vec![]),
    ] {
        assert_eq!(found(&world, query).await, names, "{query}");
    }
    let long = "a".repeat(101);
    for bad in [
        format!("?query={long}"),
        "?query=a+b+c+d+e+f+g+h+i+j+k".to_owned(),
        "?limit=0".to_owned(),
        "?limit=101".to_owned(),
        "?cursor=x".to_owned(),
        "?sort=name".to_owned(),
        format!("?locale={long}"),
    ] {
        let path = format!("/discoverable-guilds{bad}");
        world.fails(STRANGER, "GET", &path, NONE, INVALID).await;
    }
}

#[tokio::test]
async fn pages_follow_the_order_and_the_language() {
    let world = World::new().await;
    let one = public(&world, "one", json!({"preferred_locale": "tr-TR"})).await;
    let two = public(&world, "two", json!({"preferred_locale": "tr"})).await;
    public(&world, "three", json!({"preferred_locale": "de"})).await;
    for user in [MEMBER, MODERATOR] {
        world
            .ok(
                user,
                "PUT",
                &format!("/guilds/{one}/members/@me"),
                NONE,
                200,
            )
            .await;
    }
    world
        .ok(
            MEMBER,
            "PUT",
            &format!("/guilds/{two}/members/@me"),
            NONE,
            200,
        )
        .await;
    world.app.recount_public().await.unwrap();
    assert_eq!(found(&world, "").await, ["one", "two", "three"]);
    assert_eq!(found(&world, "?sort=newest").await, ["three", "two", "one"]);
    assert_eq!(found(&world, "?locale=tr").await, ["one", "two"]);
    assert_eq!(found(&world, "?locale=de-AT").await, ["three"]);
    for sort in ["members", "newest"] {
        let all = found(&world, &format!("?sort={sort}")).await;
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/discoverable-guilds?limit=1&sort={sort}{cursor}");
            let page = world.get(STRANGER, &path).await;
            seen.push(page["items"][0]["name"].as_str().unwrap().to_owned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, all, "{sort}");
    }
    let page = world.get(STRANGER, "/discoverable-guilds?limit=1").await;
    assert_eq!(page["items"][0]["approximate_member_count"], 3);
    assert_eq!(page["items"][0]["features"], json!(["DISCOVERABLE"]));
}

#[tokio::test]
async fn only_what_is_public_is_seen_and_joined_from_outside() {
    let world = World::new().await;
    let community = world.community().await;
    let path = format!("/guilds/{community}");
    let (preview, door) = (format!("{path}/preview"), format!("{path}/members/@me"));
    world.fails(STRANGER, "GET", &preview, NONE, UNKNOWN).await;
    world.fails(STRANGER, "PUT", &door, NONE, UNKNOWN).await;
    assert_eq!(world.get(OWNER, &preview).await["name"], "Square");
    let open = json!({"discoverable": true});
    world.fails(OWNER, "PATCH", &path, open, INVALID).await;
    let open = json!({"discoverable": true, "description": "Gel"});
    let guild = world.patch(OWNER, &path, open).await;
    assert_eq!(guild["features"], json!(["DISCOVERABLE"]));
    let silent = json!({"description": null});
    world.fails(OWNER, "PATCH", &path, silent, INVALID).await;
    assert_eq!(world.get(STRANGER, &preview).await["description"], "Gel");
    let joined = world.ok(STRANGER, "PUT", &door, NONE, 200).await;
    assert_eq!(
        (&joined["new_member"], &joined["approximate_member_count"]),
        (&json!(true), &json!(2))
    );
    let again = world.ok(STRANGER, "PUT", &door, NONE, 200).await;
    assert_eq!(again["new_member"], false);
    let robot = kernel::Caller::bot(BOT);
    world.fails(robot, "PUT", &door, NONE, (403, 20001)).await;
    world
        .put(OWNER, &format!("{path}/bans/{MEMBER}"), NONE)
        .await;
    world.fails(MEMBER, "PUT", &door, NONE, (403, 40007)).await;
    // Private again: off the list, shut, but members stay.
    world
        .patch(OWNER, &path, json!({"discoverable": false}))
        .await;
    assert!(found(&world, "").await.is_empty());
    world.fails(MODERATOR, "PUT", &door, NONE, UNKNOWN).await;
    assert_eq!(world.numbers(community).await.member_count, 2);
}

#[tokio::test]
async fn a_deleted_community_is_found_no_more() {
    let world = World::new().await;
    let community = public(&world, "Gone", json!({})).await;
    world.delete(OWNER, &format!("/guilds/{community}")).await;
    assert!(found(&world, "").await.is_empty());
    let door = format!("/guilds/{community}/members/@me");
    world
        .fails(UserId::new(1_002), "PUT", &door, NONE, UNKNOWN)
        .await;
}
