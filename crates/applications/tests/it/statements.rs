use anyhow::Result;
use testkit::TestDb;

#[tokio::test]
async fn every_statement_prepares() -> Result<()> {
    let db = TestDb::new(&[applications::MIGRATIONS]).await?;
    testkit::prepare_all(&db, applications::statements()).await
}
