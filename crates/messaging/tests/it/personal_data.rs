//! What is stored about people: all of it is known, exported and erased.

use contracts::PersonalData as _;
use kernel::UserId;
use testkit::privacy;

use crate::world::World;

const AYSE: UserId = UserId::new(7_777_777_001);

const FILL: &str = "
    INSERT INTO messaging.channels (id, kind, owner_id) VALUES (20, 3, 7777777001);
    INSERT INTO messaging.channel_members (channel_id, user_id) VALUES (20, 7777777001);
    INSERT INTO messaging.read_states (user_id, channel_id) VALUES (7777777001, 20);
    INSERT INTO messaging.dm_pairs (lo, hi, channel_id) VALUES (5, 7777777001, 20);
    INSERT INTO messaging.messages (channel_id, id, seq, ev, author_id, content)
    SELECT 20, n, n, n, 7777777001, 'hello' FROM generate_series(1, 1001) AS n;
    INSERT INTO messaging.message_nonces (author_id, channel_id, nonce, day, message_id)
    VALUES (7777777001, 20, 'n', '2001-01-01', 5);
    INSERT INTO messaging.revisions (channel_id, message_id, ev, content, replaced_at) VALUES (20, 5, 1, 'Ayşe said', now());
    INSERT INTO messaging.link_previews (channel_id, message_id, links, due_at) VALUES (20, 5, '{https://ayse.example/Ayşe}', now());
    INSERT INTO messaging.reactions (channel_id, message_id, emoji, user_id) VALUES (20, 5, 'x', 7777777001);
    INSERT INTO messaging.pins (channel_id, message_id, pinned_by, pinned_at) VALUES (20, 5, 7777777001, now());
    INSERT INTO messaging.drafts (user_id, channel_id, content, updated_at) VALUES (7777777001, 20, 'I am Ayşe', now());
    INSERT INTO messaging.poll_votes (channel_id, message_id, user_id, answer_id) VALUES (20, 5, 7777777001, 1);
    INSERT INTO messaging.scheduled_messages (id, channel_id, author_id, send_at, body)
    VALUES (1, 20, 7777777001, now(), '{\"content\": \"Ayşe was here\"}');";

#[tokio::test]
async fn every_column_is_declared() {
    let world = World::new().await;
    privacy::every_column_is_declared(&world.t, &messaging::PRIVACY)
        .await
        .unwrap();
}

#[tokio::test]
async fn s20_an_erased_user_leaves_nothing_but_an_id() {
    let world = World::new().await;
    world.t.script(FILL).await.unwrap();
    privacy::every_table_is_filled(&world.admin, &messaging::PRIVACY)
        .await
        .unwrap();
    assert!(
        world
            .messaging
            .erasure_blockers(AYSE)
            .await
            .unwrap()
            .is_empty()
    );
    let module = messaging::module(world.messaging.clone());
    privacy::erase(&module.consumers, AYSE).await.unwrap();
    let id = AYSE.to_string();
    privacy::nothing_is_left(&world.admin, &messaging::PRIVACY, &id, &["Ayşe"])
        .await
        .unwrap();
    const LEFT: db::Sql = db::Sql::new(
        "test.left",
        "SELECT count(*) FROM messaging.messages WHERE content = 'hello'",
    );
    let left: i64 = LEFT.scalar(&world.admin).await.unwrap();
    assert_eq!(left, 1_001, "others go on reading what was said");
}

#[tokio::test]
async fn an_export_holds_every_message_however_many_there_are() {
    let world = World::new().await;
    world.t.script(FILL).await.unwrap();
    let messages = privacy::exported(&*world.messaging, AYSE, "messages")
        .await
        .unwrap();
    let ids: Vec<i64> = messages
        .iter()
        .map(|row| row["id"].as_i64().unwrap())
        .collect();
    assert_eq!(ids, (1..=1_001).collect::<Vec<i64>>());
    let pairs = privacy::exported(&*world.messaging, AYSE, "dm_pairs")
        .await
        .unwrap();
    assert_eq!(pairs.len(), 1, "whichever of the two has the smaller id");
}
