use std::collections::HashSet;

use crate::fixture::World;

#[tokio::test]
async fn every_statement_prepares() {
    let world = World::new().await;
    testkit::prepare_all(&world.database, media::statements())
        .await
        .unwrap();
}

#[test]
fn error_codes_are_unique_and_speak_both_languages() {
    let codes: HashSet<_> = media::ERRORS.iter().map(|row| row.code).collect();
    assert_eq!(codes.len(), media::ERRORS.len());
    for row in media::ERRORS {
        assert!(
            !row.en.is_empty() && !row.tr.is_empty() && row.en != row.tr,
            "{}",
            row.code
        );
    }
}
