use contracts::Communities as _;
use infra::fanout::Topic;
use kernel::perm::Chat;
use kernel::{Caller, Failure};
use serde_json::json;

use crate::fixture::{BOT, MEMBER, MODERATOR, NONE, OWNER, STRANGER, World};

fn number(failure: Failure) -> u32 {
    failure.row.dialect
}

#[tokio::test]
async fn a_bot_comes_with_a_role_of_its_own_and_goes_with_it() {
    let mut world = World::new().await;
    let community = world.community().await;
    world
        .follow(&[Topic::Community(community), Topic::User(BOT)])
        .await;
    let owner = testkit::http::caller(OWNER);
    let bits = Chat::KICK_MEMBERS | Chat::VIEW_CHANNEL;
    let guild = world
        .app
        .install_bot(&owner, community, BOT, bits)
        .await
        .unwrap();
    let role = guild
        .roles
        .iter()
        .find(|role| role.managed)
        .unwrap()
        .clone();
    assert_eq!((role.name.as_str(), role.permissions), ("robot", bits));
    assert_eq!(
        world.heard_names(),
        [
            "GUILD_ROLE_CREATE",
            "AccessChanged",
            "Joined",
            "GUILD_MEMBER_ADD"
        ]
    );
    assert_eq!(world.audits().await, [30, 28]);
    let path = format!("/guilds/{community}/members/{BOT}");
    let member = world.get(OWNER, &path).await;
    assert_eq!(
        (&member["roles"], &member["user"]["bot"]),
        (&json!([role.id]), &json!(true))
    );
    // Managed: not given, not deleted by hand.
    let give = format!("/guilds/{community}/members/{OWNER}/roles/{}", role.id);
    world.fails(OWNER, "PUT", &give, NONE, (400, 50028)).await;
    world
        .fails(
            OWNER,
            "DELETE",
            &format!("/guilds/{community}/roles/{}", role.id),
            NONE,
            (400, 50028),
        )
        .await;
    // Again: the same role with other rights.
    let guild = world
        .app
        .install_bot(&owner, community, BOT, Chat::VIEW_CHANNEL)
        .await
        .unwrap();
    let again = guild.roles.iter().find(|role| role.managed).unwrap();
    assert_eq!((again.id, again.permissions), (role.id, Chat::VIEW_CHANNEL));
    world
        .app
        .uninstall_bot(&owner, community, BOT)
        .await
        .unwrap();
    world.fails(OWNER, "GET", &path, NONE, (404, 10007)).await;
    let roles = world
        .get(OWNER, &format!("/guilds/{community}/roles"))
        .await;
    assert_eq!(roles.as_array().unwrap().len(), 1);
    assert_eq!(world.numbers(community).await.member_count, 1);
    let gone = world.app.uninstall_bot(&owner, community, BOT).await;
    assert_eq!(number(gone.unwrap_err()), 10007);
}

#[tokio::test]
async fn installing_asks_for_the_right_and_for_every_right_given() {
    let world = World::new().await;
    let community = world.community().await;
    world.join(community, MEMBER).await;
    world.join(community, MODERATOR).await;
    world.role(community, 1 << 5, 4, &[MODERATOR]).await;
    let install = |who, bot, bits| {
        let app = world.app.clone();
        async move {
            let caller = testkit::http::caller(who);
            app.install_bot(&caller, community, bot, bits)
                .await
                .map_err(number)
        }
    };
    assert_eq!(install(STRANGER, BOT, Chat::NONE).await.unwrap_err(), 10004);
    assert_eq!(install(MEMBER, BOT, Chat::NONE).await.unwrap_err(), 50013);
    assert_eq!(
        install(MODERATOR, BOT, Chat::ADMINISTRATOR)
            .await
            .unwrap_err(),
        50013
    );
    assert_eq!(
        install(MODERATOR, STRANGER, Chat::NONE).await.unwrap_err(),
        10013,
        "people join"
    );
    assert!(install(MODERATOR, BOT, Chat::VIEW_CHANNEL).await.is_ok());
    let member = testkit::http::caller(MEMBER);
    assert_eq!(
        number(
            world
                .app
                .uninstall_bot(&member, community, BOT)
                .await
                .unwrap_err()
        ),
        50013
    );
    let owner = testkit::http::caller(OWNER);
    let person = world.app.uninstall_bot(&owner, community, MEMBER).await;
    assert_eq!(number(person.unwrap_err()), 10007, "people are kicked");
    // A bot may go by itself.
    world
        .app
        .uninstall_bot(&Caller::bot(BOT), community, BOT)
        .await
        .unwrap();
    world
        .put(OWNER, &format!("/guilds/{community}/bans/{BOT}"), NONE)
        .await;
    assert_eq!(install(OWNER, BOT, Chat::NONE).await.unwrap_err(), 40007);
}

#[tokio::test]
async fn a_kicked_bot_leaves_no_role_behind() {
    let world = World::new().await;
    let community = world.community().await;
    let owner = testkit::http::caller(OWNER);
    world
        .app
        .install_bot(&owner, community, BOT, Chat::NONE)
        .await
        .unwrap();
    world
        .delete(OWNER, &format!("/guilds/{community}/members/{BOT}"))
        .await;
    let roles = world
        .get(OWNER, &format!("/guilds/{community}/roles"))
        .await;
    assert_eq!(roles.as_array().unwrap().len(), 1);
    let compiled = world.app.compiled(community).await.unwrap().unwrap();
    assert_eq!(compiled.classes.len(), 1);
}
