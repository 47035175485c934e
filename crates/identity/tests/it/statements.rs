//! The statements and the schema.

use std::collections::BTreeSet;

use testkit::TestDb;

use crate::harness::House;

#[tokio::test]
async fn every_statement_prepares_as_the_contexts_own_role() {
    let database = TestDb::new(&[identity::MIGRATIONS]).await.unwrap();
    testkit::prepare_all(&database, identity::statements())
        .await
        .unwrap();
}

/// Columns as `table.column`, as `privacy.toml` lists them.
fn declared() -> BTreeSet<String> {
    let mut columns = BTreeSet::new();
    let mut table = None;
    for line in include_str!("../../privacy.toml").lines() {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            table = header.strip_suffix(".columns").map(str::to_owned);
        } else if let (Some(table), Some((name, _))) = (&table, line.split_once(" = ")) {
            columns.insert(format!("{table}.{name}"));
        }
    }
    columns
}

#[tokio::test]
async fn every_column_has_a_row_in_privacy_toml() {
    let house = House::new().await;
    const COLUMNS: db::Sql = db::Sql::new(
        "identity.test_columns",
        "SELECT table_name || '.' || column_name
           FROM information_schema.columns
          WHERE table_schema = 'identity'",
    );
    let stored: Vec<String> = COLUMNS.scalars(&house.admin).await.unwrap();
    let mechanics = [
        "outbox",
        "inbox",
        "dead_letters",
        "idempotency_keys",
        "jobs",
        "schema_history",
        "mechanics_history",
        "signing_keys",
    ];
    let stored: BTreeSet<String> = stored
        .into_iter()
        .filter(|column| !mechanics.contains(&column.split('.').next().unwrap()))
        .collect();
    assert!(stored.contains("users.email"));
    let declared = declared();
    let missing: Vec<&String> = stored.difference(&declared).collect();
    assert!(missing.is_empty(), "without a row: {missing:?}");
    let gone: Vec<&String> = declared.difference(&stored).collect();
    assert!(gone.is_empty(), "rows of nothing: {gone:?}");
}

#[tokio::test]
async fn error_codes_are_unique_and_have_both_languages() {
    let codes: BTreeSet<&str> = identity::ERRORS.iter().map(|row| row.code).collect();
    assert_eq!(codes.len(), identity::ERRORS.len());
    for row in identity::ERRORS {
        assert!(
            !row.en.is_empty() && !row.tr.is_empty() && row.en != row.tr,
            "{}",
            row.code
        );
        assert!(
            kernel::failure::ERRORS
                .iter()
                .all(|shared| shared.code != row.code)
        );
    }
}
