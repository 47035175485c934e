//! The statements and the schema.

use std::collections::BTreeSet;

use testkit::TestDb;

#[tokio::test]
async fn every_statement_prepares_as_the_contexts_own_role() {
    let database = TestDb::new(&[identity::MIGRATIONS]).await.unwrap();
    testkit::prepare_all(&database, identity::statements())
        .await
        .unwrap();
}

#[tokio::test]
async fn every_column_has_a_row_in_privacy_toml() {
    let database = TestDb::new(&[identity::MIGRATIONS]).await.unwrap();
    testkit::privacy::every_column_is_declared(&database, &identity::PRIVACY)
        .await
        .unwrap();
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
