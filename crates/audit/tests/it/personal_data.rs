//! What is stored about people: all of it is known and exported, and the chain outlives an erasure.

use contracts::PersonalData as _;
use serde_json::{Value, json};
use testkit::privacy;

use crate::fixture::{AYSE, BOSS, MEHMET, World, event};

#[tokio::test]
async fn every_column_is_declared() {
    let world = World::new().await;
    privacy::every_column_is_declared(&world.database, &audit::PRIVACY)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_export_holds_what_was_done_to_somebody_and_by_them_and_nothing_else() {
    let world = World::new().await;
    world.sealed(1..=1_001).await;
    let mut by_staff = event(2_001, AYSE, "identity.user_state_changed.v1");
    by_staff.actor = Some(BOSS);
    let mut to_mehmet = event(2_002, MEHMET, "identity.roles_changed.v1");
    to_mehmet.actor = Some(AYSE);
    let of_mehmet = event(2_003, MEHMET, "identity.factor_changed.v1");
    let mut of_gallery = event(2_004, AYSE, "identity.factor_changed.v1");
    of_gallery.tenant = Some(77);
    for event in [&by_staff, &to_mehmet, &of_mehmet, &of_gallery] {
        world.bring(event).await;
    }
    world.audit.seal().await.unwrap();
    world
        .bring(&event(3_001, AYSE, "identity.factor_changed.v1"))
        .await;
    let entries = privacy::exported(&*world.audit, AYSE, "entries")
        .await
        .unwrap();
    let ids = |rows: &[Value]| -> Vec<i64> {
        let id = |row: &Value| row["event_id"].as_i64().unwrap();
        rows.iter().map(id).collect()
    };
    let expected: Vec<i64> = (1..=1_001).chain([2_001, 2_002, 2_004]).collect();
    assert_eq!(ids(&entries), expected);
    assert_eq!(entries[1_001]["body"]["actor"], json!(BOSS));
    assert_eq!(entries[1_002]["body"]["data"]["user_id"], json!(MEHMET));
    let staged = privacy::exported(&*world.audit, AYSE, "staged")
        .await
        .unwrap();
    assert_eq!(ids(&staged), [3_001]);
    assert_eq!(
        staged[0]["body"]["type"],
        json!("identity.factor_changed.v1")
    );
}

#[tokio::test]
async fn s20_the_chain_holds_after_an_erasure_and_tells_an_id_only_where_the_law_lets_it() {
    let world = World::new().await;
    let admin = world.database.admin().unwrap();
    world.sealed(1..=3).await;
    world
        .bring(&event(4, AYSE, "identity.factor_changed.v1"))
        .await;
    privacy::every_table_is_filled(&admin, &audit::PRIVACY)
        .await
        .unwrap();
    let blockers = world.audit.erasure_blockers(AYSE).await.unwrap();
    assert!(blockers.is_empty());
    let module = audit::module(&world.audit);
    privacy::erase(&module.consumers, AYSE).await.unwrap();
    let id = AYSE.to_string();
    privacy::nothing_is_left(&admin, &audit::PRIVACY, &id, &["ayse"])
        .await
        .unwrap();
    world.audit.seal().await.unwrap();
    assert_eq!(world.audit.verify().await.unwrap(), []);
    const ANSWERS: db::Sql = db::Sql::new("test.answers", "SELECT type FROM audit.outbox");
    let answers: Vec<String> = ANSWERS.scalars(&admin).await.unwrap();
    assert_eq!(answers, ["audit.user_erased.v1"]);
}
