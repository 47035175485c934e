//! Rights of trade beside those of chat: in roles, in overwrites, and in what others ask.

use contracts::Communities as _;
use kernel::perm::{Chat, Trade};
use serde_json::json;

use crate::fixture::{FORBIDDEN, INVALID, MEMBER, MODERATOR, OWNER, World, id};

const MANAGE_ROLES: u64 = 1 << 28;
const BID: &str = "2048";

#[tokio::test]
async fn a_new_community_lets_everyone_see_listings_and_prices() {
    let world = World::new().await;
    let community = world.community().await;
    let roles = world
        .get(OWNER, &format!("/guilds/{community}/roles"))
        .await;
    assert_eq!(roles[0]["trade_permissions"], "3");
    let new = world
        .post(OWNER, &format!("/guilds/{community}/roles"), json!({}))
        .await;
    assert_eq!(new["trade_permissions"], "0", "no more than everyone has");
}

#[tokio::test]
async fn roles_and_overwrites_carry_trade_into_access_and_what_is_compiled() {
    let world = World::new().await;
    let community = world.community().await;
    world.join(community, MEMBER).await;
    let channel = world.first_channel(community).await;
    let role = world.role(community, 0, 3, &[MEMBER]).await;
    let before = world.numbers(community).await.perm_epoch;
    let path = format!("/guilds/{community}/roles/{role}");
    let bid = json!({"trade_permissions": BID});
    let changed = world.patch(OWNER, &path, bid).await;
    assert_eq!(changed["trade_permissions"], BID);
    assert_eq!(changed["permissions"], "0", "chat stays");
    assert_eq!(world.numbers(community).await.perm_epoch, before + 1);
    let trade = async || {
        let access = world.app.access(MEMBER, &[channel]).await.unwrap();
        access[0].trade
    };
    assert_eq!(trade().await, Trade::BID | Trade::DEFAULT);
    let overwrite = format!("/channels/{channel}/permissions/{community}");
    let body = json!({"type": 0, "trade_allow": "512", "trade_deny": "2051"});
    world.put(OWNER, &overwrite, body).await;
    // Everyone's overwrite speaks before any role's, so what only roles give in general falls too.
    assert_eq!(trade().await, Trade::ACCEPT_OFFER);
    let shown = world.get(OWNER, &format!("/channels/{channel}")).await;
    let object = &shown["permission_overwrites"][0];
    assert_eq!(
        (&object["trade_allow"], &object["trade_deny"]),
        (&json!("512"), &json!("2051"))
    );
    let compiled = world.app.compiled(community).await.unwrap().unwrap();
    let class = world.app.memberships(MEMBER).await.unwrap()[0].class;
    let of_class = compiled
        .classes
        .iter()
        .find(|of| of.class == class)
        .unwrap();
    assert_eq!(of_class.base.trade, Trade::BID | Trade::DEFAULT);
    let in_channel = of_class.channels.iter().find(|(id, _)| *id == channel);
    assert_eq!(in_channel.unwrap().1.trade, trade().await);
    // Without sight there is no trade, and the owner has all of it.
    let hide = json!({"type": 0, "deny": "1024", "trade_allow": "512"});
    world.put(OWNER, &overwrite, hide).await;
    assert_eq!(trade().await, Trade::NONE);
    let owner = world.app.access(OWNER, &[channel]).await.unwrap();
    assert_eq!(
        (owner[0].trade, owner[0].thread_chat),
        (Trade::ALL, Chat::ALL)
    );
}

#[tokio::test]
async fn nobody_gives_a_right_of_trade_they_lack() {
    let world = World::new().await;
    let community = world.community().await;
    world.join(community, MODERATOR).await;
    let channel = world.first_channel(community).await;
    world.role(community, MANAGE_ROLES, 5, &[MODERATOR]).await;
    let roles = format!("/guilds/{community}/roles");
    let refused = json!({"permissions": "0", "trade_permissions": BID});
    world
        .fails(MODERATOR, "POST", &roles, refused.clone(), FORBIDDEN)
        .await;
    let held = json!({"permissions": "0", "trade_permissions": "1"});
    let made = world.post(MODERATOR, &roles, held).await;
    let path = format!("{roles}/{}", id(&made));
    world
        .fails(MODERATOR, "PATCH", &path, refused, FORBIDDEN)
        .await;
    let overwrite = format!("/channels/{channel}/permissions/{}", id(&made));
    let bid = json!({"type": 0, "trade_allow": BID});
    world
        .fails(MODERATOR, "PUT", &overwrite, bid, FORBIDDEN)
        .await;
    let see = json!({"type": 0, "trade_deny": "2"});
    world.put(MODERATOR, &overwrite, see).await;
    let bad = json!({"trade_permissions": "-1"});
    world.fails(OWNER, "PATCH", &path, bad, INVALID).await;
}

#[tokio::test]
async fn threads_have_their_own_right_to_send() {
    let world = World::new().await;
    let community = world.community().await;
    world.join(community, MEMBER).await;
    let channel = world.first_channel(community).await;
    let overwrite = format!("/channels/{channel}/permissions/{community}");
    world
        .put(OWNER, &overwrite, json!({"type": 0, "deny": "2048"}))
        .await;
    let access = world.app.access(MEMBER, &[channel]).await.unwrap();
    assert!(!access[0].chat.has(Chat::SEND_MESSAGES));
    assert!(
        access[0]
            .thread_chat
            .has(Chat::SEND_MESSAGES | Chat::EMBED_LINKS)
    );
}
