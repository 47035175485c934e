//! What moderators do to many at once: prunes, bans of many, counts.

use infra::fanout::{Control, Topic};
use kernel::{CommunityId, UserId};
use serde_json::{Value, json};

use crate::fixture::{
    ADMIN, BOT, FORBIDDEN, Heard, INVALID, MEMBER, MODERATOR, NONE, OWNER, STRANGER, World,
};

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
const KICK: u64 = 1 << 1;
const BAN: u64 = 1 << 2;
const MANAGE: u64 = 1 << 5;

async fn peopled(world: &World) -> CommunityId {
    let community = world.community().await;
    for user in [ADMIN, MODERATOR, MEMBER, STRANGER] {
        world.join(community, user).await;
    }
    community
}

async fn wrote(world: &World, community: CommunityId, user: UserId) {
    let data = json!({"channel_id": "1", "community_id": community, "author_id": user});
    world.bring("messaging.message_created.v1", data).await;
}

fn ids(members: &Value) -> Vec<Value> {
    let list = members.as_array().unwrap().iter();
    list.map(|member| member["user"]["id"].clone()).collect()
}

#[tokio::test]
async fn a_prune_removes_who_neither_joined_nor_wrote_lately_and_has_no_role() {
    let mut world = World::new().await;
    let community = peopled(&world).await;
    let staff = world.role(community, KICK | MANAGE, 5, &[MODERATOR]).await;
    world.clock.advance(8 * DAY);
    wrote(&world, community, MEMBER).await;
    let path = format!("/guilds/{community}/prune");
    let count = |path: String| world.get(MODERATOR, path.leak());
    assert_eq!(
        count(format!("{path}?days=7")).await["pruned"],
        2,
        "ADMIN and STRANGER"
    );
    assert_eq!(count(format!("{path}?days=9")).await["pruned"], 0);
    world.clock.advance(8 * DAY);
    assert_eq!(count(format!("{path}?days=7")).await["pruned"], 3);
    wrote(&world, community, MEMBER).await;
    let before = world.numbers(community).await;
    world
        .follow(&[Topic::Community(community), Topic::User(STRANGER)])
        .await;
    let body = json!({"days": 7, "reason": "asleep"});
    let done = world.post(MODERATOR, &path, body).await;
    assert_eq!(done["pruned"], 2);
    let members = world
        .get(OWNER, &format!("/guilds/{community}/members?limit=9"))
        .await;
    assert_eq!(
        ids(&members),
        [OWNER, MODERATOR, MEMBER].map(|id| json!(id))
    );
    let after = world.numbers(community).await;
    assert_eq!(after.member_count, before.member_count - 2);
    let heard = world.heard();
    let left = Heard::Control(Control::Left(community));
    assert!(heard.contains(&left), "the sockets of who is gone are told");
    let removed =
        |heard: &&Heard| matches!(heard, Heard::Event(name, ..) if name == "GUILD_MEMBER_REMOVE");
    assert_eq!(heard.iter().filter(removed).count(), 2);
    let log = world
        .get(
            OWNER,
            &format!("/guilds/{community}/audit-logs?action_type=21"),
        )
        .await;
    let entry = &log["audit_log_entries"][0];
    assert_eq!(
        entry["options"],
        json!({"delete_member_days": "7", "members_removed": "2"})
    );
    assert_eq!(entry["reason"], "asleep");
    let quiet = world
        .post(MODERATOR, &path, json!({"compute_prune_count": false}))
        .await;
    assert_eq!(quiet, json!({"pruned": null}));
    assert_eq!(
        world.numbers(community).await.rev,
        after.rev,
        "nobody was left to remove"
    );
    // With the role named, those below may be removed too, but not by themselves.
    world.clock.advance(40 * DAY);
    let own = json!({"include_roles": [staff]});
    world
        .fails(MODERATOR, "POST", &path, own.clone(), FORBIDDEN)
        .await;
    assert_eq!(world.post(OWNER, &path, own).await["pruned"], 2);
}

#[tokio::test]
async fn prunes_ask_for_two_rights_and_known_roles() {
    let world = World::new().await;
    let community = peopled(&world).await;
    world.role(community, KICK, 5, &[MODERATOR]).await;
    let path = format!("/guilds/{community}/prune");
    for method in ["GET", "POST"] {
        world.fails(MODERATOR, method, &path, NONE, FORBIDDEN).await;
    }
    for bad in ["?days=0", "?days=31", "?days=x", "?include_roles=x"] {
        world
            .fails(OWNER, "GET", &format!("{path}{bad}"), NONE, INVALID)
            .await;
    }
    let unknown = format!("{path}?include_roles=1,5");
    world
        .fails(OWNER, "GET", &unknown, NONE, (404, 10011))
        .await;
    world.post(OWNER, &path, NONE).await;
}

#[tokio::test]
async fn a_ban_of_many_leaves_those_it_may_not_touch() {
    let world = World::new().await;
    let community = peopled(&world).await;
    world.role(community, 1 << 3, 9, &[ADMIN]).await;
    world.role(community, BAN | MANAGE, 5, &[MODERATOR]).await;
    let path = format!("/guilds/{community}/bulk-ban");
    let nobody = UserId::new(77);
    let users =
        json!({"user_ids": [OWNER, ADMIN, MODERATOR, MEMBER, STRANGER, BOT, nobody, MEMBER]});
    let done = world.post(MODERATOR, &path, users.clone()).await;
    let list = |ids: &[UserId]| json!(ids.iter().map(|id| json!(id)).collect::<Vec<_>>());
    assert_eq!(done["banned_users"], list(&[MEMBER, STRANGER, BOT]));
    assert_eq!(
        done["failed_users"],
        list(&[nobody, OWNER, ADMIN, MODERATOR])
    );
    let members = world
        .get(OWNER, &format!("/guilds/{community}/members?limit=9"))
        .await;
    assert_eq!(ids(&members), [OWNER, ADMIN, MODERATOR].map(|id| json!(id)));
    let audits = world.audits().await;
    assert_eq!(audits.iter().filter(|action| **action == 22).count(), 3);
    world
        .fails(MODERATOR, "POST", &path, users, (400, 500_000))
        .await;
    world
        .fails(OWNER, "POST", &path, json!({"user_ids": []}), INVALID)
        .await;
    // Pages of the list, from both ends.
    let bans = format!("/guilds/{community}/bans");
    let all = world.get(OWNER, &bans).await;
    assert_eq!(ids(&all), [MEMBER, STRANGER, BOT].map(|id| json!(id)));
    let page = |query: String| world.get(OWNER, query.leak());
    let after = page(format!("{bans}?after={MEMBER}&limit=1")).await;
    assert_eq!(ids(&after), [json!(STRANGER)]);
    let before = page(format!("{bans}?before={BOT}&limit=1")).await;
    assert_eq!(ids(&before), [json!(STRANGER)]);
    let before = page(format!("{bans}?before={BOT}&after={STRANGER}")).await;
    assert_eq!(ids(&before), [MEMBER, STRANGER].map(|id| json!(id)));
}

#[tokio::test]
async fn bans_of_many_ask_for_two_rights() {
    let world = World::new().await;
    let community = peopled(&world).await;
    world.role(community, BAN, 5, &[MODERATOR]).await;
    let path = format!("/guilds/{community}/bulk-ban");
    let users = json!({"user_ids": [MEMBER]});
    world
        .fails(MODERATOR, "POST", &path, users, FORBIDDEN)
        .await;
}

#[tokio::test]
async fn members_are_counted_by_role() {
    let world = World::new().await;
    let community = peopled(&world).await;
    let one = world.role(community, 0, 1, &[ADMIN, MEMBER]).await;
    let two = world.role(community, 0, 2, &[ADMIN]).await;
    let none = world.role(community, 0, 3, &[]).await;
    let counts = world
        .get(MEMBER, &format!("/guilds/{community}/roles/member-counts"))
        .await;
    assert_eq!(
        counts,
        json!({one.to_string(): 2, two.to_string(): 1, none.to_string(): 0})
    );
}
