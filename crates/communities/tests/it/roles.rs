use contracts::Communities as _;
use infra::fanout::{Control, Topic};
use kernel::perm::Chat;
use kernel::{CommunityId, RoleId};
use serde_json::{Value, json};

use crate::fixture::{
    ADMIN, FORBIDDEN, Heard, INVALID, MEMBER, MODERATOR, NONE, OWNER, World, id, masked,
};

const MANAGE_ROLES: u64 = 1 << 28;
const KICK: u64 = 1 << 1;

#[tokio::test]
async fn a_role_is_made_below_all_others() {
    let mut world = World::new().await;
    let community = world.community().await;
    world.follow(&[Topic::Community(community)]).await;
    let path = format!("/guilds/{community}/roles");
    let before = world.numbers(community).await;
    let body = json!({"name": "Team", "permissions": "2", "color": 255, "hoist": true, "mentionable": true});
    let role = world.post(OWNER, &path, body).await;
    insta::assert_json_snapshot!(masked(&role), @r#"
    {
      "color": 255,
      "hoist": true,
      "id": "[id]",
      "managed": false,
      "mentionable": true,
      "name": "Team",
      "permissions": "2",
      "position": 1,
      "trade_permissions": "0"
    }
    "#);
    let numbers = world.numbers(community).await;
    assert_eq!(
        (numbers.rev, numbers.perm_epoch),
        (before.rev + 1, before.perm_epoch)
    );
    let payload = json!({"guild_id": community, "role": role});
    assert_eq!(
        world.heard(),
        [Heard::Event(
            "GUILD_ROLE_CREATE".into(),
            numbers.rev,
            None,
            payload
        )]
    );
    let plain = world.post(OWNER, &path, json!({})).await;
    assert_eq!(plain["name"], "new role");
    assert_eq!(plain["permissions"], Chat::DEFAULT.to_string());
    let list = world.get(OWNER, &path).await;
    assert_eq!(list.as_array().unwrap().len(), 3);
    assert_eq!(list[0]["name"], "@everyone");
    world
        .fails(OWNER, "POST", &path, json!({"color": 16777216}), INVALID)
        .await;
    world
        .fails(OWNER, "POST", &path, json!({"permissions": "x"}), INVALID)
        .await;
}

#[tokio::test]
async fn the_number_of_roles_is_bounded_also_at_once() {
    let world = World::with(communities::Limits {
        roles: 4,
        ..Default::default()
    })
    .await;
    let community = world.community().await;
    let caller = testkit::http::caller(OWNER);
    let all = (0..8).map(|_| {
        world.app.create_role(
            &caller,
            community,
            Default::default(),
            communities::Reason::default(),
        )
    });
    let made = futures::future::join_all(all).await;
    assert_eq!(
        made.iter().filter(|made| made.is_ok()).count(),
        3,
        "everyone's is one"
    );
    world
        .fails(
            OWNER,
            "POST",
            &format!("/guilds/{community}/roles"),
            json!({}),
            (400, 30005),
        )
        .await;
}

/// ADMIN at 9, MODERATOR at 5 who manages roles and kicks, MEMBER at 1; their roles, high to low.
async fn ranked(world: &World) -> (CommunityId, [RoleId; 3]) {
    let community = world.community().await;
    for user in [ADMIN, MODERATOR, MEMBER] {
        world.join(community, user).await;
    }
    let low = world.role(community, 0, 1, &[MEMBER]).await;
    let bits = MANAGE_ROLES | KICK;
    let own = world.role(community, bits, 5, &[MODERATOR]).await;
    let top = world.role(community, 1 << 3, 9, &[ADMIN]).await;
    (community, [top, own, low])
}

fn rights(bits: u64) -> Value {
    json!({"name": "x", "permissions": bits.to_string()})
}

#[tokio::test]
async fn nobody_gives_or_takes_rights_they_lack() {
    let world = World::new().await;
    let (community, [_, _, low]) = ranked(&world).await;
    let roles = format!("/guilds/{community}/roles");
    let low = format!("{roles}/{low}");
    world.post(MODERATOR, &roles, rights(KICK)).await;
    world
        .fails(MODERATOR, "POST", &roles, rights(4), FORBIDDEN)
        .await;
    world.patch(MODERATOR, &low, rights(KICK)).await;
    world
        .fails(MODERATOR, "PATCH", &low, rights(8), FORBIDDEN)
        .await;
    // A role with a right the moderator lacks keeps it, and the moderator may change the rest.
    world.patch(OWNER, &low, rights(4)).await;
    world.patch(MODERATOR, &low, rights(4 | KICK)).await;
    world
        .fails(MODERATOR, "PATCH", &low, rights(0), FORBIDDEN)
        .await;
}

#[tokio::test]
async fn nobody_touches_roles_at_or_above_their_height() {
    let world = World::new().await;
    let (community, [top, own, low]) = ranked(&world).await;
    let at = |role: RoleId| format!("/guilds/{community}/roles/{role}");
    let give = |user, role: RoleId| format!("/guilds/{community}/members/{user}/roles/{role}");
    for role in [own, top] {
        let path = at(role);
        world
            .fails(MODERATOR, "PATCH", &path, json!({"name": "x"}), FORBIDDEN)
            .await;
        world
            .fails(MODERATOR, "DELETE", &path, NONE, FORBIDDEN)
            .await;
        world
            .fails(MODERATOR, "PUT", &give(MEMBER, role), NONE, FORBIDDEN)
            .await;
    }
    world
        .fails(ADMIN, "PATCH", &at(top), json!({"name": "x"}), FORBIDDEN)
        .await;
    // A low role may be given also to those above, as applications do.
    world.put(MODERATOR, &give(ADMIN, low), NONE).await;
}

#[tokio::test]
async fn roles_move_neither_from_above_nor_to_above() {
    let world = World::new().await;
    let (community, [top, own, low]) = ranked(&world).await;
    let roles = format!("/guilds/{community}/roles");
    let to = |id: RoleId, position: i32| json!([{"id": id, "position": position}]);
    world.patch(MODERATOR, &roles, to(low, 4)).await;
    for moves in [to(low, 6), to(own, 2), to(top, 1)] {
        world
            .fails(MODERATOR, "PATCH", &roles, moves, FORBIDDEN)
            .await;
    }
    let swap = json!([{"id": own, "position": 20}, {"id": top, "position": 1}]);
    let order = world.patch(OWNER, &roles, swap).await;
    assert_eq!(order[3]["id"], json!(own));
    let path = format!("{roles}/{own}");
    world
        .fails(ADMIN, "PATCH", &path, json!({"name": "y"}), FORBIDDEN)
        .await;
}

#[tokio::test]
async fn everyones_role_changes_its_rights_only() {
    let mut world = World::new().await;
    let community = world.community().await;
    world.follow(&[Topic::Community(community)]).await;
    let everyone = format!("/guilds/{community}/roles/{community}");
    let before = world.numbers(community).await;
    world
        .patch(OWNER, &everyone, json!({"permissions": "1024"}))
        .await;
    assert_eq!(world.heard_names(), ["AccessChanged", "GUILD_ROLE_UPDATE"]);
    assert_eq!(
        world.numbers(community).await.perm_epoch,
        before.perm_epoch + 1
    );
    world
        .fails(
            OWNER,
            "PATCH",
            &everyone,
            json!({"name": "all"}),
            (400, 50028),
        )
        .await;
    world
        .fails(OWNER, "DELETE", &everyone, NONE, (400, 50028))
        .await;
    let give = format!("/guilds/{community}/members/{OWNER}/roles/{community}");
    world.fails(OWNER, "PUT", &give, NONE, (400, 50028)).await;
    let moves = json!([{"id": community, "position": 3}]);
    world
        .fails(
            OWNER,
            "PATCH",
            &format!("/guilds/{community}/roles"),
            moves,
            (400, 50028),
        )
        .await;
    world
        .fails(
            OWNER,
            "PATCH",
            &format!("/guilds/{community}/roles/5"),
            json!({}),
            (404, 10011),
        )
        .await;
}

#[tokio::test]
async fn a_name_changes_no_epoch_and_rights_do() {
    let world = World::new().await;
    let community = world.community().await;
    let role = world.role(community, 0, 2, &[]).await;
    let path = format!("/guilds/{community}/roles/{role}");
    let first = world.numbers(community).await;
    world.patch(OWNER, &path, json!({"name": "other"})).await;
    let second = world.numbers(community).await;
    assert_eq!(
        (second.rev, second.perm_epoch),
        (first.rev + 1, first.perm_epoch)
    );
    world.patch(OWNER, &path, json!({"permissions": "2"})).await;
    let third = world.numbers(community).await;
    assert_eq!(
        (third.rev, third.perm_epoch),
        (second.rev + 1, second.perm_epoch + 1)
    );
    world.patch(OWNER, &path, json!({"permissions": "2"})).await;
    assert_eq!(world.numbers(community).await, third);
}

#[tokio::test]
async fn giving_a_role_changes_one_members_class() {
    let mut world = World::new().await;
    let community = world.community().await;
    world.join(community, MEMBER).await;
    world.join(community, MODERATOR).await;
    let role = world.role(community, KICK, 2, &[]).await;
    world
        .follow(&[Topic::Community(community), Topic::User(MEMBER)])
        .await;
    let before = world.numbers(community).await;
    let give = |user| format!("/guilds/{community}/members/{user}/roles/{role}");
    world.put(OWNER, &give(MEMBER), NONE).await;
    // A set nobody had: nodes must learn of it.
    assert_eq!(
        world.heard_names(),
        [
            "AccessChanged",
            "ClassChanged",
            "GUILD_MEMBER_UPDATE",
            "GUILD_MEMBER_UPDATE"
        ]
    );
    let first = world.numbers(community).await;
    assert_eq!(
        (first.rev, first.perm_epoch),
        (before.rev + 1, before.perm_epoch + 1)
    );
    world.put(OWNER, &give(MODERATOR), NONE).await;
    let heard = world.heard();
    let class = world.app.memberships(MODERATOR).await.unwrap()[0].class;
    let expected = Control::ClassChanged {
        community,
        user: MODERATOR,
        class,
    };
    assert_eq!(heard[0], Heard::Control(expected));
    assert_eq!(world.app.memberships(MEMBER).await.unwrap()[0].class, class);
    let second = world.numbers(community).await;
    assert_eq!(
        (second.rev, second.perm_epoch),
        (first.rev + 1, first.perm_epoch)
    );
    world.put(OWNER, &give(MEMBER), NONE).await;
    assert_eq!(world.numbers(community).await, second, "the member has it");
    // The last one to lose it takes the class along; its number does not come back.
    for user in [MEMBER, MODERATOR] {
        world.delete(OWNER, &give(user)).await;
        assert_eq!(world.app.memberships(user).await.unwrap()[0].class, 0);
    }
    let compiled = world.app.compiled(community).await.unwrap().unwrap();
    assert_eq!(
        compiled
            .classes
            .iter()
            .map(|rights| rights.class)
            .collect::<Vec<_>>(),
        [0]
    );
    world.put(OWNER, &give(MEMBER), NONE).await;
    assert!(world.app.memberships(MEMBER).await.unwrap()[0].class > class);
}

#[tokio::test]
async fn deleting_a_role_merges_classes_and_drops_its_overwrites() {
    let mut world = World::new().await;
    let community = world.community().await;
    for user in [ADMIN, MODERATOR, MEMBER] {
        world.join(community, user).await;
    }
    let kept = world.role(community, 0, 2, &[ADMIN, MODERATOR]).await;
    let gone = world.role(community, KICK, 3, &[MODERATOR, MEMBER]).await;
    let channel = world.first_channel(community).await;
    let overwrite = format!("/channels/{channel}/permissions/{gone}");
    world
        .put(OWNER, &overwrite, json!({"type": 0, "allow": "8192"}))
        .await;
    world.follow(&[Topic::Community(community)]).await;
    let path = format!("/guilds/{community}/roles/{gone}");
    world.delete(OWNER, &path).await;
    let names = world.heard_names();
    assert_eq!(names.first().unwrap(), "AccessChanged");
    assert_eq!(names.last().unwrap(), "GUILD_ROLE_DELETE");
    assert_eq!(
        names.iter().filter(|name| *name == "ClassChanged").count(),
        2
    );
    let class = |user| {
        let app = world.app.clone();
        async move { app.memberships(user).await.unwrap()[0].class }
    };
    assert_eq!(class(ADMIN).await, class(MODERATOR).await);
    assert_eq!(class(MEMBER).await, 0);
    let path = format!("/guilds/{community}/members/{MODERATOR}");
    let member = world.get(OWNER, &path).await;
    assert_eq!(member["roles"], json!([kept]));
    let object = world.get(OWNER, &format!("/channels/{channel}")).await;
    assert_eq!(object["permission_overwrites"], json!([]));
    let compiled = world.app.compiled(community).await.unwrap().unwrap();
    assert_eq!(compiled.classes.len(), 2);
    let _ = id(&object);
}
