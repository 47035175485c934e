use kernel::perm::Chat;
use kernel::{Caller, Event, EventId, UserId};
use serde_json::{Value, json};

use crate::fixture::{COMMUNITY, ELSEWHERE, NONE, OTHER, OWNER, World, masked};

#[tokio::test]
async fn an_install_brings_the_bot_in_and_its_removal_takes_it_out() {
    let world = World::new().await;
    let (id, _) = world.application().await;
    let path = format!("/applications/{id}/installs/{COMMUNITY}");
    world.fails(OWNER, "GET", &path, NONE, (404, 10002)).await;
    let install = world
        .ok(OWNER, "PUT", &path, json!({"permissions": "2048"}), 200)
        .await;
    insta::assert_json_snapshot!(masked(&install), @r#"
    {
      "application_id": "[id]",
      "guild_id": "2001",
      "installed_at": "[moment]",
      "installer_id": "1001",
      "permissions": "2048"
    }
    "#);
    assert!(world.is_member(id.cast()).await);
    assert_eq!(world.ok(OWNER, "GET", &path, NONE, 200).await, install);
    let again = world
        .ok(OWNER, "PUT", &path, json!({"permissions": "1024"}), 200)
        .await;
    assert_eq!(
        (&again["permissions"], &again["installed_at"]),
        (&json!("1024"), &install["installed_at"])
    );
    let read = world
        .ok(OWNER, "GET", &format!("/applications/{id}"), NONE, 200)
        .await;
    assert_eq!(read["approximate_guild_count"], 1);
    world.ok(OWNER, "DELETE", &path, NONE, 204).await;
    assert!(!world.is_member(id.cast()).await);
    assert_eq!(
        world.events().await,
        [
            "application_created",
            "installed",
            "installed",
            "uninstalled"
        ]
    );
}

#[tokio::test]
async fn a_public_application_is_everybodys_to_install_and_a_private_one_is_not() {
    let world = World::new().await;
    let (id, _) = world.application().await;
    let there = format!("/applications/{id}/installs/{ELSEWHERE}");
    world.ok(OTHER, "PUT", &there, json!({}), 200).await;
    let read = format!("/applications/{id}");
    world.fails(OTHER, "GET", &read, NONE, (404, 10002)).await;
    world
        .ok(OWNER, "PATCH", &read, json!({"bot_public": false}), 200)
        .await;
    world
        .fails(OTHER, "PUT", &there, json!({}), (404, 10002))
        .await;
    // Who manages the community still sees it there and takes it out.
    world.ok(OTHER, "GET", &there, NONE, 200).await;
    world.ok(OTHER, "DELETE", &there, NONE, 204).await;
    world
        .fails(OTHER, "DELETE", &there, NONE, (404, 10002))
        .await;
}

#[tokio::test]
async fn rights_in_the_community_decide() {
    let world = World::new().await;
    let (id, _) = world.application().await;
    let here = format!("/applications/{id}/installs/{COMMUNITY}");
    let there = format!("/applications/{id}/installs/{ELSEWHERE}");
    for method in ["PUT", "DELETE", "GET"] {
        let reply = world.call(OTHER, method, &here, NONE).await;
        assert_eq!(reply.status, 403, "{method}: {:?}", reply.json);
        let reply = world.call(OWNER, method, &there, NONE).await;
        assert_eq!(reply.status, 404, "{method}: {:?}", reply.json);
    }
    world.manager(OTHER);
    world
        .ok(
            OTHER,
            "PUT",
            &here,
            json!({"permissions": Chat::MANAGE_GUILD}),
            200,
        )
        .await;
    let all = json!({"permissions": Chat::ADMINISTRATOR});
    let reply = world.call(OTHER, "PUT", &here, all).await;
    assert_eq!(reply.status, 403, "nobody gives what they lack");
    let install = world.ok(OTHER, "GET", &here, NONE, 200).await;
    assert_eq!(install["permissions"], Chat::MANAGE_GUILD.to_string());
}

#[tokio::test]
async fn nothing_is_written_while_communities_are_away() {
    let world = World::new().await;
    let (id, _) = world.application().await;
    let path = format!("/applications/{id}/installs/{COMMUNITY}");
    world.communities.leave();
    let reply = world.call(OWNER, "PUT", &path, json!({})).await;
    assert_eq!(reply.status, 503);
    world.communities.come_back();
    world.fails(OWNER, "GET", &path, NONE, (404, 10002)).await;
}

fn event(id: i64, kind: &str, data: Value) -> Event {
    Event {
        id: EventId::new(id),
        kind: kind.to_owned(),
        at: jiff::Timestamp::UNIX_EPOCH,
        actor: None,
        tenant: None,
        key: COMMUNITY.to_string(),
        data,
    }
}

#[tokio::test]
async fn installs_follow_what_happens_in_communities() {
    let world = World::new().await;
    let (id, _) = world.application().await;
    let module = applications::module(&world.app);
    let consumer = &module.consumers[0];
    let here = format!("/applications/{id}/installs/{COMMUNITY}");
    world.ok(OWNER, "PUT", &here, json!({}), 200).await;
    let left = |number, user: UserId, community| {
        let data = json!({"community_id": community, "user_id": user});
        event(number, "communities.member_left.v1", data)
    };
    for other in [left(1, OTHER, COMMUNITY), left(2, id.cast(), ELSEWHERE)] {
        consumer.handler.handle(&other).await.unwrap();
    }
    world.ok(OWNER, "GET", &here, NONE, 200).await;
    let kicked = left(3, id.cast(), COMMUNITY);
    consumer.handler.handle(&kicked).await.unwrap();
    world.fails(OWNER, "GET", &here, NONE, (404, 10002)).await;
    world.ok(OWNER, "PUT", &here, json!({}), 200).await;
    consumer.handler.handle(&kicked).await.unwrap();
    world.ok(OWNER, "GET", &here, NONE, 200).await;
    let data = json!({"community_id": COMMUNITY});
    let gone = event(4, "communities.community_deleted.v1", data);
    consumer.handler.handle(&gone).await.unwrap();
    world.fails(OWNER, "GET", &here, NONE, (404, 10002)).await;
    for kind in [&kicked.kind, &gone.kind] {
        assert!(
            consumer.kinds.contains(&kind.as_str()),
            "{kind} is not subscribed to"
        );
    }
}

#[tokio::test]
async fn bots_neither_own_nor_install() {
    let world = World::new().await;
    let (id, _) = world.application().await;
    let bot = Caller::bot(id.cast());
    let install = format!("/applications/{id}/installs/{COMMUNITY}");
    let own = format!("/applications/{id}");
    let reset = format!("/applications/{id}/bot/reset-token");
    for (method, path) in [
        ("POST", "/applications"),
        ("GET", "/applications"),
        ("GET", own.as_str()),
        ("PATCH", own.as_str()),
        ("DELETE", own.as_str()),
        ("POST", reset.as_str()),
        ("PUT", install.as_str()),
        ("GET", install.as_str()),
        ("DELETE", install.as_str()),
    ] {
        world
            .fails(&bot, method, path, json!({"name": "x"}), (403, 20001))
            .await;
    }
}
