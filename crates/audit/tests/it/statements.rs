//! The statements.

use crate::fixture::World;

#[tokio::test]
async fn every_statement_prepares() {
    let world = World::new().await;
    testkit::prepare_all(&world.database, audit::statements())
        .await
        .unwrap();
}
