//! What is stored about people: all of it is known, exported and erased.

use contracts::PersonalData as _;
use kernel::UserId;
use serde_json::json;
use testkit::privacy;

use crate::fixture::World;

const AYSE: UserId = UserId::new(7_777_777_001);

const FILL: &str = "
    INSERT INTO communities.communities (id, owner_id, name, member_count)
    VALUES (1, 7777777001, 'Square', 2), (2, 5, 'Elsewhere', 2);
    INSERT INTO communities.role_classes (community_id, id, role_ids) VALUES (1, 0, '{}'), (2, 0, '{}');
    INSERT INTO communities.channels (id, community_id, kind, name) VALUES (11, 1, 0, 'general');
    INSERT INTO communities.overwrites (channel_id, target_kind, target_id) VALUES (11, 1, 7777777001);
    INSERT INTO communities.members (community_id, user_id, nick, joined_at)
    VALUES (1, 7777777001, 'Ayşe', now()), (2, 7777777001, NULL, now()), (1, 5, NULL, now());
    INSERT INTO communities.bans (community_id, user_id, actor_id, reason, created_at)
    VALUES (2, 7777777001, 5, 'Ayşe was loud', now()), (1, 9, 7777777001, NULL, now());
    INSERT INTO communities.invites (code, community_id, channel_id, inviter_id, created_at)
    VALUES ('c', 1, 11, 7777777001, now());
    INSERT INTO communities.discoverable (community_id, language, words, member_count, listed_at)
    VALUES (1, 'tr', '', 2, now());
    INSERT INTO communities.statistics_days (community_id, day) VALUES (1, '2026-11-20');
    INSERT INTO communities.statistics_weeks (community_id, joined_week, week) VALUES (1, '2026-11-16', 0);
    INSERT INTO communities.image_removals (media_id, due_at) VALUES (5, now());
    INSERT INTO communities.emojis (id, community_id, name, creator_id, media_id) VALUES (1, 1, 'cat', 7777777001, 1);
    INSERT INTO communities.automod_rules (id, community_id, creator_id, name, event_kind, trigger_kind)
    VALUES (1, 1, 7777777001, 'no', 1, 1);
    INSERT INTO communities.reports (id, community_id, reporter_id, reason, created_at) VALUES (1, 1, 7777777001, 'spam', now());
    INSERT INTO communities.templates (code, community_id, creator_id, name, content, created_at, updated_at)
    VALUES ('t', 1, 7777777001, 'x', '{}', now(), now());
    INSERT INTO communities.audit_entries (community_id, id, actor_id, action, target_id, changes, reason)
    VALUES (1, 1, 7777777001, 1, NULL, '[]', 'the fair'),
           (1, 2, 5, 24, 7777777001, '[{\"key\": \"nick\", \"new_value\": \"Ayşe\"}]', 'Ayşe asked');";

#[tokio::test]
async fn every_column_is_declared() {
    let world = World::new().await;
    privacy::every_column_is_declared(&world.database, &communities::PRIVACY)
        .await
        .unwrap();
}

#[tokio::test]
async fn s20_an_erased_user_leaves_nothing_but_an_id() {
    let world = World::new().await;
    world.database.script(FILL).await.unwrap();
    privacy::every_table_is_filled(&world.admin, &communities::PRIVACY)
        .await
        .unwrap();
    let nicks = privacy::exported(&*world.app, AYSE, "members")
        .await
        .unwrap();
    assert_eq!(nicks.len(), 2);
    assert_eq!(nicks[0]["nick"], "Ayşe");
    let module = communities::module(&world.app);
    privacy::erase(&module.consumers, AYSE).await.unwrap();
    let id = AYSE.to_string();
    privacy::nothing_is_left(&world.admin, &communities::PRIVACY, &id, &["Ayşe"])
        .await
        .unwrap();
    const COUNTS: db::Sql = db::Sql::new(
        "test.counts",
        "SELECT member_count FROM communities.communities ORDER BY id",
    );
    let counts: Vec<i32> = COUNTS.scalars(&world.admin).await.unwrap();
    assert_eq!(counts, [1, 1], "once, although the event came twice");
    const REASONS: db::Sql = db::Sql::new(
        "test.reasons",
        "SELECT reason FROM communities.audit_entries ORDER BY id",
    );
    let reasons: Vec<Option<String>> = REASONS.scalars(&world.admin).await.unwrap();
    assert_eq!(reasons, [Some("the fair".to_owned()), None]);
    const ANSWERS: db::Sql = db::Sql::new(
        "test.answers",
        "SELECT data FROM communities.outbox WHERE type = 'communities.user_erased.v1'",
    );
    let answers: Vec<serde_json::Value> = ANSWERS.scalars(&world.admin).await.unwrap();
    assert_eq!(answers, [json!({"user_id": AYSE})]);
}

#[tokio::test]
async fn whoever_owns_a_community_with_others_in_it_hands_it_over_first() {
    let world = World::new().await;
    world.database.script(FILL).await.unwrap();
    let blockers = async || world.app.erasure_blockers(AYSE).await.unwrap();
    assert_eq!(blockers().await, ["owns_community"]);
    let alone = "UPDATE communities.communities SET member_count = 1 WHERE id = 1";
    world.database.script(alone).await.unwrap();
    assert!(blockers().await.is_empty());
    let other =
        "UPDATE communities.communities SET member_count = 2, deleted_at = now() WHERE id = 1";
    world.database.script(other).await.unwrap();
    assert!(blockers().await.is_empty());
}
