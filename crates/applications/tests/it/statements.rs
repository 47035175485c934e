use std::collections::HashSet;

use crate::fixture::World;

#[tokio::test]
async fn every_statement_prepares() {
    let world = World::new().await;
    testkit::prepare_all(&world.database, applications::statements())
        .await
        .unwrap();
}

#[test]
fn error_codes_are_unique_and_speak_both_languages() {
    let codes: HashSet<_> = applications::ERRORS.iter().map(|row| row.code).collect();
    assert_eq!(codes.len(), applications::ERRORS.len());
    for row in applications::ERRORS {
        assert!(
            !row.en.is_empty() && !row.tr.is_empty() && row.en != row.tr,
            "{}",
            row.code
        );
        assert!(row.dialect > 0, "{} can appear under /api/v10", row.code);
    }
}
