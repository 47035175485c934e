use infra::fanout::{Control, Topic};
use kernel::UserId;
use serde_json::{Value, json};

use crate::fixture::{
    ADMIN, FORBIDDEN, Heard, INVALID, MEMBER, MODERATOR, NONE, NOTHING, OWNER, STRANGER, World,
    masked,
};

const KICK: u64 = 1 << 1;
const BAN: u64 = 1 << 2;
const MANAGE_NICKNAMES: u64 = 1 << 27;
const MODERATE: u64 = 1 << 40;

/// OWNER, ADMIN at 9, MODERATOR at 5 with `bits`, MEMBER at 1.
async fn ranked(world: &World, bits: u64) -> kernel::CommunityId {
    let community = world.community().await;
    for user in [ADMIN, MODERATOR, MEMBER] {
        world.join(community, user).await;
    }
    world.role(community, 1 << 3, 9, &[ADMIN]).await;
    world.role(community, bits, 5, &[MODERATOR]).await;
    world.role(community, 0, 1, &[MEMBER]).await;
    community
}

#[tokio::test]
async fn lists_come_in_pages_by_id_with_users() {
    let world = World::new().await;
    let community = ranked(&world, 0).await;
    let members = format!("/guilds/{community}/members");
    let page = world.get(MEMBER, &format!("{members}?limit=1000")).await;
    let ids: Vec<_> = page
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["user"]["id"].clone())
        .collect();
    assert_eq!(ids, [OWNER, ADMIN, MODERATOR, MEMBER].map(|id| json!(id)));
    insta::assert_json_snapshot!(masked(&page[3]), @r#"
    {
      "communication_disabled_until": null,
      "deaf": false,
      "flags": 0,
      "joined_at": "[moment]",
      "mute": false,
      "nick": null,
      "roles": [
        "[id]"
      ],
      "user": {
        "avatar": null,
        "bot": false,
        "discriminator": "0",
        "global_name": "member",
        "id": "1004",
        "public_flags": 0,
        "username": "member"
      }
    }
    "#);
    let page = world.get(MEMBER, &members).await;
    assert_eq!(
        page.as_array().unwrap().len(),
        1,
        "one by default, as in the dialect"
    );
    let after = format!("{members}?limit=2&after={ADMIN}");
    let page = world.get(MEMBER, &after).await;
    assert_eq!(page[0]["user"]["id"], json!(MODERATOR));
    for bad in ["?limit=0", "?limit=1001", "?limit=x", "?after=x"] {
        world
            .fails(MEMBER, "GET", &format!("{members}{bad}"), NONE, INVALID)
            .await;
    }
    let own = world.get(MEMBER, &format!("{members}/@me")).await;
    assert_eq!(own["user"]["username"], "member");
    world
        .fails(
            MEMBER,
            "GET",
            &format!("{members}/{STRANGER}"),
            NONE,
            (404, 10007),
        )
        .await;
}

#[tokio::test]
async fn a_search_finds_beginnings_of_usernames_and_nicknames() {
    let world = World::new().await;
    let community = ranked(&world, 0).await;
    let path = format!("/guilds/{community}/members");
    world
        .patch(OWNER, &format!("{path}/{ADMIN}"), json!({"nick": "Memo"}))
        .await;
    let find = |query: &str| {
        let (world, path) = (&world, format!("{path}/search?limit=10&query={query}"));
        async move {
            let found = world.get(MEMBER, &path).await;
            found
                .as_array()
                .unwrap()
                .iter()
                .map(|m| m["user"]["username"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(find("mem").await, ["admin", "member"]);
    assert_eq!(find("MO").await, ["moderator"]);
    assert_eq!(find("emo").await, NOTHING);
    assert_eq!(find("").await.len(), 4);
    world
        .fails(MEMBER, "GET", &format!("{path}/search"), NONE, INVALID)
        .await;
    let long = format!("{path}/search?query={}", "a".repeat(33));
    world.fails(MEMBER, "GET", &long, NONE, INVALID).await;
}

#[tokio::test]
async fn kicks_need_the_right_and_a_lower_member() {
    let mut world = World::new().await;
    let community = ranked(&world, KICK).await;
    let at = |user: UserId| format!("/guilds/{community}/members/{user}");
    for above in [OWNER, ADMIN, MODERATOR] {
        world
            .fails(MODERATOR, "DELETE", &at(above), NONE, FORBIDDEN)
            .await;
    }
    world
        .fails(MEMBER, "DELETE", &at(MODERATOR), NONE, FORBIDDEN)
        .await;
    world
        .fails(MODERATOR, "DELETE", &at(STRANGER), NONE, (404, 10007))
        .await;
    world
        .follow(&[Topic::Community(community), Topic::User(MEMBER)])
        .await;
    let before = world.numbers(community).await;
    world.delete(MODERATOR, &at(MEMBER)).await;
    let heard = world.heard();
    assert_eq!(heard[0], Heard::Control(Control::Left(community)));
    let Heard::Event(name, rev, _, payload) = &heard[1] else {
        panic!("{heard:?}")
    };
    assert_eq!(
        (name.as_str(), *rev),
        ("GUILD_MEMBER_REMOVE", before.rev + 1)
    );
    assert_eq!(payload["guild_id"], json!(community));
    let after = world.numbers(community).await;
    assert_eq!(
        (after.rev, after.perm_epoch),
        (before.rev + 1, before.perm_epoch)
    );
    assert_eq!(after.member_count, 3);
    assert_eq!(world.audits().await.last(), Some(&20));
    assert_eq!(world.events().await.last().unwrap(), "member_left");
    world
        .fails(
            MEMBER,
            "GET",
            &format!("/guilds/{community}"),
            NONE,
            (404, 10004),
        )
        .await;
    world.join(community, MEMBER).await;
}

#[tokio::test]
async fn nicknames_are_ones_own_or_a_moderators_business() {
    let mut world = World::new().await;
    let community = ranked(&world, MANAGE_NICKNAMES).await;
    let at = |user: UserId| format!("/guilds/{community}/members/{user}");
    world
        .follow(&[Topic::Community(community), Topic::User(MEMBER)])
        .await;
    let me = format!("/guilds/{community}/members/@me");
    let member = world.patch(MEMBER, &me, json!({"nick": " Ada "})).await;
    assert_eq!(member["nick"], "Ada");
    assert_eq!(
        world.heard_names(),
        ["GUILD_MEMBER_UPDATE", "GUILD_MEMBER_UPDATE"]
    );
    world
        .fails(
            MEMBER,
            "PATCH",
            &at(MODERATOR),
            json!({"nick": "x"}),
            FORBIDDEN,
        )
        .await;
    world
        .patch(MODERATOR, &at(MEMBER), json!({"nick": "ş".repeat(32)}))
        .await;
    world
        .fails(
            MODERATOR,
            "PATCH",
            &at(ADMIN),
            json!({"nick": "x"}),
            FORBIDDEN,
        )
        .await;
    world
        .fails(
            MODERATOR,
            "PATCH",
            &at(MEMBER),
            json!({"nick": "x".repeat(33)}),
            INVALID,
        )
        .await;
    for disguise in ["\u{200b}", "Ada\u{202e}nimda", "a\nb"] {
        let nick = json!({"nick": disguise});
        world.fails(MEMBER, "PATCH", &me, nick, INVALID).await;
    }
    let gone = world
        .patch(MODERATOR, &at(MEMBER), json!({"nick": null}))
        .await;
    assert_eq!(gone["nick"], Value::Null);
    assert_eq!(
        world
            .audits()
            .await
            .iter()
            .filter(|action| **action == 24)
            .count(),
        3
    );
}

#[tokio::test]
async fn time_outs_silence_those_below_until_they_end() {
    let world = World::new().await;
    let community = ranked(&world, MODERATE).await;
    let at = |user: UserId| format!("/guilds/{community}/members/{user}");
    // The clock moves a minute with each call.
    let until = |text: &str| json!({"communication_disabled_until": text});
    let soon = until("2026-11-21T07:00:00+00:00");
    world
        .fails(MODERATOR, "PATCH", &at(ADMIN), soon.clone(), FORBIDDEN)
        .await;
    world
        .fails(MEMBER, "PATCH", &at(MEMBER), soon.clone(), FORBIDDEN)
        .await;
    let member = world.patch(MODERATOR, &at(MEMBER), soon).await;
    assert_eq!(
        member["communication_disabled_until"],
        "2026-11-21T07:00:00.000000+00:00"
    );
    let me = format!("/guilds/{community}/members/@me");
    world
        .fails(MEMBER, "PATCH", &me, json!({"nick": "x"}), FORBIDDEN)
        .await;
    world.clock.advance(std::time::Duration::from_secs(86_400));
    world.patch(MEMBER, &me, json!({"nick": "x"})).await;
    world
        .fails(
            MODERATOR,
            "PATCH",
            &at(MEMBER),
            until("2027-01-01T00:00:00Z"),
            INVALID,
        )
        .await;
    let ended = world
        .patch(
            MODERATOR,
            &at(MEMBER),
            json!({"communication_disabled_until": null}),
        )
        .await;
    assert_eq!(ended["communication_disabled_until"], Value::Null);
}

#[tokio::test]
async fn a_list_of_roles_is_judged_role_by_role() {
    let world = World::new().await;
    let community = ranked(&world, 1 << 28).await;
    let low = world.role(community, 0, 2, &[]).await;
    let high = world.role(community, 0, 6, &[]).await;
    let path = format!("/guilds/{community}/members/{MEMBER}");
    let own = world.get(MEMBER, &path).await["roles"][0].clone();
    let after = world
        .patch(MODERATOR, &path, json!({"roles": [low, own, low]}))
        .await;
    assert_eq!(after["roles"].as_array().unwrap().len(), 2);
    world
        .fails(
            MODERATOR,
            "PATCH",
            &path,
            json!({"roles": [low, high]}),
            FORBIDDEN,
        )
        .await;
    world
        .fails(
            MODERATOR,
            "PATCH",
            &path,
            json!({"roles": ["5"]}),
            (404, 10011),
        )
        .await;
    world
        .fails(MEMBER, "PATCH", &path, json!({"roles": []}), FORBIDDEN)
        .await;
    let after = world.patch(MODERATOR, &path, json!({"roles": []})).await;
    assert_eq!(after["roles"], json!([]));
}

#[tokio::test]
async fn the_banned_are_out_and_stay_out() {
    let mut world = World::new().await;
    let community = ranked(&world, BAN).await;
    let channel = world.first_channel(community).await;
    let invite = world
        .post(OWNER, &format!("/channels/{channel}/invites"), json!({}))
        .await;
    let join = format!("/invites/{}", invite["code"].as_str().unwrap());
    let ban = |user: UserId| format!("/guilds/{community}/bans/{user}");
    world
        .fails(MODERATOR, "PUT", &ban(ADMIN), json!({}), FORBIDDEN)
        .await;
    world
        .fails(
            MODERATOR,
            "PUT",
            &ban(UserId::new(77)),
            json!({}),
            (404, 10013),
        )
        .await;
    world.follow(&[Topic::Community(community)]).await;
    world.put(MODERATOR, &ban(MEMBER), json!({})).await;
    assert_eq!(
        world.heard_names(),
        ["GUILD_MEMBER_REMOVE", "GUILD_BAN_ADD"]
    );
    world.put(MODERATOR, &ban(MEMBER), NONE).await;
    assert_eq!(world.heard_names(), NOTHING, "a second ban changes nothing");
    world.fails(MEMBER, "POST", &join, NONE, (403, 40007)).await;
    // Strangers can be banned before they come.
    world.put(MODERATOR, &ban(STRANGER), NONE).await;
    world
        .fails(STRANGER, "POST", &join, NONE, (403, 40007))
        .await;
    let list = world
        .get(MODERATOR, &format!("/guilds/{community}/bans"))
        .await;
    insta::assert_json_snapshot!(masked(&list[0]), @r#"
    {
      "reason": null,
      "user": {
        "avatar": null,
        "bot": false,
        "discriminator": "0",
        "global_name": "member",
        "id": "1004",
        "public_flags": 0,
        "username": "member"
      }
    }
    "#);
    assert_eq!(list.as_array().unwrap().len(), 2);
    world.get(MODERATOR, &ban(MEMBER)).await;
    world.delete(MODERATOR, &ban(MEMBER)).await;
    assert_eq!(world.audits().await.last(), Some(&23));
    world
        .fails(MODERATOR, "DELETE", &ban(MEMBER), NONE, (404, 10026))
        .await;
    world
        .fails(MODERATOR, "GET", &ban(MEMBER), NONE, (404, 10026))
        .await;
    world.post(MEMBER, &join, NONE).await;
}
