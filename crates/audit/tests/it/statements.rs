//! The statements and the schema.

use std::collections::BTreeSet;

use crate::fixture::World;

#[tokio::test]
async fn every_statement_prepares() {
    let world = World::new().await;
    testkit::prepare_all(&world.database, audit::statements())
        .await
        .unwrap();
}

#[tokio::test]
async fn every_column_has_a_row_in_privacy_toml() {
    let world = World::new().await;
    const COLUMNS: db::Sql = db::Sql::new(
        "audit.test_columns",
        "SELECT table_name || '.' || column_name
           FROM information_schema.columns
          WHERE table_schema = 'audit'
            AND table_name IN ('staged', 'entries', 'finds', 'heads')",
    );
    let admin = world.database.admin().unwrap();
    let stored: Vec<String> = COLUMNS.scalars(&admin).await.unwrap();
    let mut declared = BTreeSet::new();
    let mut table = "";
    for line in include_str!("../../privacy.toml").lines() {
        if let Some(header) = line.strip_prefix('[') {
            table = header
                .trim_end_matches("columns]")
                .trim_end_matches(['.', ']']);
        } else if let Some((name, _)) = line.split_once(" = { class") {
            declared.insert(format!("{table}.{name}"));
        }
    }
    assert_eq!(declared, stored.into_iter().collect());
}
