use aws_lc_rs::digest::{SHA256, digest};
use contracts::Applications as _;
use contracts::applications::BotIdentity;
use kernel::perm::Chat;
use serde_json::json;

use crate::fixture::{COMMUNITY, NONE, OWNER, World};

async fn resolve(world: &World, token: &str) -> Option<BotIdentity> {
    let hash = digest(&SHA256, token.as_bytes())
        .as_ref()
        .try_into()
        .unwrap();
    world.app.resolve_token(hash).await.unwrap()
}

#[tokio::test]
async fn a_token_stands_for_its_bot_until_it_is_replaced() {
    let mut world = World::new().await;
    let (id, first) = world.application().await;
    let expected = BotIdentity {
        application: id,
        bot: id.cast(),
        granted_intents: (1 << 1) | (1 << 15),
        flags: (1 << 15) | (1 << 19),
    };
    assert_eq!(resolve(&world, &first).await, Some(expected));
    assert_eq!(resolve(&world, "nonsense").await, None);
    let path = format!("/applications/{id}/bot/reset-token");
    let second = world.ok(OWNER, "POST", &path, NONE, 200).await["token"].clone();
    let second = second.as_str().unwrap();
    assert_ne!(second, first);
    assert_eq!(resolve(&world, &first).await, None);
    assert_eq!(resolve(&world, second).await, Some(expected));
    assert_eq!(world.revoked(), [id.cast()]);
    assert_eq!(world.events().await, ["application_created", "token_reset"]);
}

#[tokio::test]
async fn no_table_holds_a_token() {
    let world = World::new().await;
    let (id, token) = world.application().await;
    const DUMP: db::Sql = db::Sql::new(
        "test.dump",
        "SELECT (SELECT jsonb_agg(a) FROM applications.applications a)::text
           || (SELECT jsonb_agg(t) FROM applications.bot_tokens t)::text
           || (SELECT jsonb_agg(o) FROM applications.outbox o)::text",
    );
    let dump: String = DUMP.scalar(&world.database.admin().unwrap()).await.unwrap();
    assert!(
        dump.contains(&id.to_string()),
        "the dump shows what is stored"
    );
    let secret = token.rsplit('.').next().unwrap();
    assert!(!dump.contains(secret));
}

#[tokio::test]
async fn a_deleted_application_is_void_and_its_bot_out() {
    let mut world = World::new().await;
    let (id, token) = world.application().await;
    let install = format!("/applications/{id}/installs/{COMMUNITY}");
    world
        .ok(OWNER, "PUT", &install, json!({"permissions": "1024"}), 200)
        .await;
    assert!(world.is_member(id.cast()).await);
    let path = format!("/applications/{id}");
    world.ok(OWNER, "DELETE", &path, NONE, 204).await;
    assert_eq!(resolve(&world, &token).await, None);
    assert_eq!(world.revoked(), [id.cast()]);
    assert!(!world.is_member(id.cast()).await);
    assert_eq!(world.identity.retired(), [id.cast()]);
    for (method, path) in [("GET", &path), ("DELETE", &path), ("PUT", &install)] {
        world.fails(OWNER, method, path, NONE, (404, 10002)).await;
    }
    assert_eq!(world.events().await.last().unwrap(), "application_deleted");
}

#[tokio::test]
async fn a_deletion_is_finished_when_others_come_back() {
    let world = World::new().await;
    let (id, token) = world.application().await;
    let install = format!("/applications/{id}/installs/{COMMUNITY}");
    world
        .ok(OWNER, "PUT", &install, json!({"permissions": "0"}), 200)
        .await;
    world.communities.leave();
    world
        .ok(OWNER, "DELETE", &format!("/applications/{id}"), NONE, 204)
        .await;
    assert_eq!(resolve(&world, &token).await, None, "void at once");
    let status = world.app.finish_deletions().await.unwrap();
    assert_eq!(status, "finished 0 deletions, 1 are left");
    world.communities.come_back();
    assert!(world.is_member(id.cast()).await);
    let status = world.app.finish_deletions().await.unwrap();
    assert_eq!(status, "finished 1 deletions, 0 are left");
    assert!(!world.is_member(id.cast()).await);
    assert_eq!(world.identity.retired(), [id.cast()]);
    let status = world.app.finish_deletions().await.unwrap();
    assert_eq!(status, "finished 0 deletions, 0 are left");
}

#[tokio::test]
async fn only_privileged_intents_are_granted_with_a_token() {
    let world = World::new().await;
    let (id, token) = world.application().await;
    world
        .communities
        .put_role(COMMUNITY, id.cast(), Chat::ALL, 3);
    let identity = resolve(&world, &token).await.unwrap();
    assert_eq!(
        identity.granted_intents & !0x8102,
        0,
        "only privileged intents are granted"
    );
}
