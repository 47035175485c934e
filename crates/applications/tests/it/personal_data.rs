//! What is stored about people: all of it is known, exported and erased.

use contracts::PersonalData as _;
use kernel::UserId;
use testkit::privacy;

use crate::fixture::World;

const AYSE: UserId = UserId::new(7_777_777_001);

const FILL: &str = "
    INSERT INTO applications.applications (id, owner_id, name, description, verify_key, signing_key_enc, signing_kek, created_at)
    VALUES (30, 7777777001, 'Ayşe''s bot', 'By Ayşe', '\\x00', '\\x01', 'k', now());
    INSERT INTO applications.bot_tokens (application_id, token_sha256, created_at) VALUES (30, sha256('a'), now());
    INSERT INTO applications.installs (application_id, community_id, permissions, installer_id, installed_at)
    VALUES (30, 1, 0, 7777777001, now());
    INSERT INTO applications.webhooks (id, community_id, channel_id, creator_id, name, token_sha256, token_enc, token_kek, created_at)
    VALUES (40, 1, 2, 7777777001, 'CI', sha256('b'), '\\x00', 'k', now());
    INSERT INTO applications.subscriptions (id, community_id, creator_id, url, description, events, secret_enc, secret_kek, created_at)
    VALUES (50, 1, 7777777001, 'https://ayse.example/Ayşe', 'Ayşe', '{message.created}', '\\x00', 'k', now());
    INSERT INTO applications.deliveries (id, subscription_id, event_id, event, data, at, due_at)
    VALUES (60, 50, 61, 'message.created', '{\"author_id\": \"7777777001\"}', now(), now());
    INSERT INTO applications.delivery_attempts (delivery_id, number, at, duration_ms, answer)
    VALUES (60, 1, now(), 5, 'hello Ayşe');";

#[tokio::test]
async fn every_column_is_declared() {
    let world = World::new().await;
    privacy::every_column_is_declared(&world.database, &applications::PRIVACY)
        .await
        .unwrap();
}

#[tokio::test]
async fn s20_an_erased_user_leaves_nothing_but_an_id() {
    let world = World::new().await;
    let admin = world.database.admin().unwrap();
    world.database.script(FILL).await.unwrap();
    privacy::every_table_is_filled(&admin, &applications::PRIVACY)
        .await
        .unwrap();
    let own = privacy::exported(&*world.app, AYSE, "applications")
        .await
        .unwrap();
    assert_eq!(own[0]["name"], "Ayşe's bot");
    assert!(world.app.erasure_blockers(AYSE).await.unwrap().is_empty());
    let module = applications::module(&world.app);
    privacy::erase(&module.consumers, AYSE).await.unwrap();
    let id = AYSE.to_string();
    privacy::nothing_is_left(&admin, &applications::PRIVACY, &id, &["Ayşe"])
        .await
        .unwrap();
    const VOID: db::Sql = db::Sql::new(
        "test.void",
        "SELECT count(*)
           FROM applications.applications a
          WHERE a.deleted_at IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM applications.bot_tokens)",
    );
    let void: i64 = VOID.scalar(&admin).await.unwrap();
    assert_eq!(void, 1, "the bot is retired and its token is gone");
}
