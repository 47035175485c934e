use infra::fanout::{Control, Topic};
use kernel::{Caller, UserId};
use serde_json::{Value, json};

use crate::fixture::{
    BOT, FORBIDDEN, Heard, INVALID, MEMBER, MODERATOR, NONE, OWNER, STRANGER, World, masked,
};

async fn invite(world: &World, community: kernel::CommunityId, body: Value) -> String {
    let channel = world.first_channel(community).await;
    let made = world
        .post(OWNER, &format!("/channels/{channel}/invites"), body)
        .await;
    made["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_invite_shows_where_it_leads() {
    let mut world = World::new().await;
    let community = world.community().await;
    let channel = world.first_channel(community).await;
    world.follow(&[Topic::Community(community)]).await;
    let path = format!("/channels/{channel}/invites");
    let made = world
        .post(OWNER, &path, json!({"max_age": 60, "max_uses": 5}))
        .await;
    insta::assert_json_snapshot!(masked(&made), @r#"
    {
      "approximate_member_count": 1,
      "channel": {
        "id": "[id]",
        "name": "general",
        "type": 0
      },
      "code": "[code]",
      "created_at": "[moment]",
      "expires_at": "[moment]",
      "guild": {
        "description": null,
        "features": [],
        "icon": null,
        "id": "[id]",
        "name": "Square",
        "verification_level": 0
      },
      "guild_id": "[id]",
      "inviter": {
        "avatar": null,
        "bot": false,
        "discriminator": "0",
        "global_name": "owner",
        "id": "1001",
        "public_flags": 0,
        "username": "owner"
      },
      "max_age": 60,
      "max_uses": 5,
      "temporary": false,
      "type": 0,
      "uses": 0
    }
    "#);
    let heard = world.heard();
    let Heard::Event(name, _, at, payload) = &heard[0] else {
        panic!("{heard:?}")
    };
    assert_eq!((name.as_str(), *at), ("INVITE_CREATE", Some(channel)));
    assert_eq!(
        (&payload["code"], &payload["max_uses"]),
        (&made["code"], &json!(5))
    );
}

#[tokio::test]
async fn strangers_see_an_invite_until_it_expires() {
    let world = World::new().await;
    let community = world.community().await;
    let code = invite(&world, community, json!({"max_age": 60})).await;
    let open = format!("/api/v10/invites/{code}");
    let look = || testkit::http::call(&world.router, "GET", &open, (), NONE);
    let shown = look().await.unwrap();
    assert_eq!(shown.status, 200);
    let uses = shown.json.get("uses");
    assert_eq!(uses, None, "how it is used is its keepers' business");
    world.clock.advance(std::time::Duration::from_secs(60));
    let gone = look().await.unwrap();
    let told = (gone.status.as_u16(), gone.json["code"].as_u64());
    assert_eq!(told, (404, Some(10006)));
    let join = format!("/invites/{code}");
    world
        .fails(STRANGER, "POST", &join, NONE, (404, 10006))
        .await;
}

#[tokio::test]
async fn joining_tells_everybody_and_repeats_without_effect() {
    let mut world = World::new().await;
    let community = world.community().await;
    let code = invite(&world, community, json!({"max_uses": 1})).await;
    world
        .follow(&[Topic::Community(community), Topic::User(MEMBER)])
        .await;
    let before = world.numbers(community).await;
    let join = format!("/invites/{code}");
    let joined = world.post(MEMBER, &join, NONE).await;
    assert_eq!(
        (&joined["new_member"], &joined["guild_id"]),
        (&json!(true), &json!(community))
    );
    assert_eq!(joined["approximate_member_count"], 2);
    let heard = world.heard();
    assert_eq!(heard[0], Heard::Control(Control::Joined(community)));
    let Heard::Event(name, rev, _, payload) = &heard[1] else {
        panic!("{heard:?}")
    };
    assert_eq!((name.as_str(), *rev), ("GUILD_MEMBER_ADD", before.rev + 1));
    assert_eq!(payload["user"]["username"], "member");
    let after = world.numbers(community).await;
    assert_eq!(
        (after.rev, after.perm_epoch, after.member_count),
        (before.rev + 1, before.perm_epoch, 2)
    );
    assert_eq!(world.events().await.last().unwrap(), "member_joined");
    // Used up: gone for others; the member it brought has nothing to join.
    world
        .fails(STRANGER, "POST", &join, NONE, (404, 10006))
        .await;
    let open = invite(&world, community, json!({})).await;
    let again = world.post(MEMBER, &format!("/invites/{open}"), NONE).await;
    assert_eq!(again["new_member"], json!(false));
    assert_eq!(world.numbers(community).await.member_count, 2);
    let reply = world
        .call(
            &Caller::bot(BOT),
            "POST",
            &format!("/invites/{open}"),
            Value::Null,
        )
        .await;
    assert_eq!(
        (reply.status.as_u16(), reply.json["code"].as_u64()),
        (403, Some(20001))
    );
}

#[tokio::test]
async fn fifty_at_once_with_ten_uses_are_ten() {
    let mut world = World::new().await;
    let community = world.community().await;
    let code = invite(&world, community, json!({"max_uses": 10})).await;
    world.follow(&[Topic::Community(community)]).await;
    let callers: Vec<Caller> = (0..50)
        .map(|i| {
            let user = UserId::new(5_000 + i);
            world.identity.add(user, &format!("guest{i}"));
            testkit::http::caller(user)
        })
        .collect();
    let before = world.numbers(community).await;
    let joins = callers.iter().map(|caller| world.app.join(caller, &code));
    let results = futures::future::join_all(joins).await;
    let joined = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(joined, 10);
    for result in &results {
        if let Err(error) = result {
            assert!(
                matches!(error, communities::Error::UnknownInvite),
                "{error}"
            );
        }
    }
    let after = world.numbers(community).await;
    assert_eq!((after.member_count, after.rev), (11, before.rev + 10));
    let revs: Vec<i64> = world
        .heard()
        .into_iter()
        .map(|heard| match heard {
            Heard::Event(_, rev, ..) => rev,
            Heard::Control(control) => panic!("{control:?}"),
        })
        .collect();
    assert_eq!(
        revs,
        (before.rev + 1..=before.rev + 10).collect::<Vec<_>>(),
        "in order, no gaps"
    );
}

#[tokio::test]
async fn one_user_joining_twice_at_once_uses_one() {
    let world = World::new().await;
    let community = world.community().await;
    let code = invite(&world, community, json!({"max_uses": 10})).await;
    let caller = testkit::http::caller(MEMBER);
    let all = (0..8).map(|_| world.app.join(&caller, &code));
    let results = futures::future::join_all(all).await;
    let new = results
        .iter()
        .filter(|result| result.as_ref().unwrap().new_member)
        .count();
    assert_eq!(new, 1);
    let list = world
        .get(OWNER, &format!("/guilds/{community}/invites"))
        .await;
    assert_eq!(list[0]["uses"], 1);
}

#[tokio::test]
async fn keepers_list_and_delete() {
    let mut world = World::new().await;
    let community = world.community().await;
    let channel = world.first_channel(community).await;
    for user in [MODERATOR, MEMBER] {
        world.join(community, user).await;
    }
    let own = world
        .post(MEMBER, &format!("/channels/{channel}/invites"), json!({}))
        .await;
    let own = format!("/invites/{}", own["code"].as_str().unwrap());
    let list = format!("/guilds/{community}/invites");
    world.fails(MODERATOR, "GET", &list, NONE, FORBIDDEN).await;
    world
        .fails(MODERATOR, "DELETE", &own, NONE, FORBIDDEN)
        .await;
    world.role(community, 1 << 5, 3, &[MODERATOR]).await;
    assert_eq!(
        world.get(MODERATOR, &list).await.as_array().unwrap().len(),
        3
    );
    let here = format!("/channels/{channel}/invites");
    world.fails(MODERATOR, "GET", &here, NONE, FORBIDDEN).await;
    assert_eq!(world.get(OWNER, &here).await.as_array().unwrap().len(), 3);
    world.follow(&[Topic::Community(community)]).await;
    world.ok(MEMBER, "DELETE", &own, NONE, 200).await;
    assert_eq!(world.heard_names(), ["INVITE_DELETE"]);
    world
        .fails(MEMBER, "DELETE", &own, NONE, (404, 10006))
        .await;
    let other = invite(&world, community, json!({})).await;
    world
        .ok(MODERATOR, "DELETE", &format!("/invites/{other}"), NONE, 200)
        .await;
    for bad in [
        json!({"max_age": 604801}),
        json!({"max_uses": 101}),
        json!({"temporary": true}),
    ] {
        world.fails(OWNER, "POST", &here, bad, INVALID).await;
    }
    let category = json!({"name": "c", "type": 4});
    let category = world
        .make(OWNER, &format!("/guilds/{community}/channels"), category)
        .await;
    let path = format!("/channels/{}/invites", crate::fixture::id(&category));
    world
        .fails(OWNER, "POST", &path, json!({}), (400, 50024))
        .await;
}

#[tokio::test]
async fn the_number_of_invites_is_bounded_and_the_dead_are_swept() {
    let world = World::with(communities::Limits {
        invites: 2,
        ..Default::default()
    })
    .await;
    let community = world.community().await;
    let channel = world.first_channel(community).await;
    let path = format!("/channels/{channel}/invites");
    // Expires while the next call is made: the clock moves 61 s with each.
    world.post(OWNER, &path, json!({"max_age": 30})).await;
    world.post(OWNER, &path, json!({})).await;
    world.post(OWNER, &path, json!({"max_age": 0})).await;
    world
        .fails(OWNER, "POST", &path, json!({}), (400, 30016))
        .await;
    assert_eq!(
        world.app.purge().await.unwrap(),
        "removed 1 invites, 0 channels and 0 rows of statistics"
    );
    world
        .ok(OWNER, "DELETE", &format!("/channels/{channel}"), NONE, 200)
        .await;
    world
        .clock
        .advance(std::time::Duration::from_secs(31 * 86_400));
    assert_eq!(
        world.app.purge().await.unwrap(),
        "removed 0 invites, 1 channels and 0 rows of statistics"
    );
}
