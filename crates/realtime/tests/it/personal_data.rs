//! What is stored about people: all of it is known, exported and erased.

use anyhow::Result;
use contracts::PersonalData as _;
use db::Sql;
use kernel::UserId;
use serde_json::json;
use testkit::{TestDb, privacy};

use crate::harness::rows;

const AYSE: UserId = UserId::new(7_777_777_001);
const FILL: &str = "
    INSERT INTO realtime.spilled_rings (session_id, user_id, data, spilled_at)
    VALUES ('s', 7777777001, '{\"username\": \"ayse\"}', now());
    INSERT INTO realtime.last_seen (user_id, seen_at) VALUES (7777777001, now());";

#[tokio::test]
async fn every_column_is_declared() -> Result<()> {
    let database = TestDb::new(&[realtime::MIGRATIONS]).await?;
    privacy::every_column_is_declared(&database, &realtime::PRIVACY).await
}

#[tokio::test]
async fn s20_an_erased_user_leaves_nothing() -> Result<()> {
    let database = TestDb::new(&[realtime::MIGRATIONS]).await?;
    let admin = database.admin()?;
    database.script(FILL).await?;
    privacy::every_table_is_filled(&admin, &realtime::PRIVACY).await?;
    let rows = rows(database.app("realtime")?);
    let seen = privacy::exported(&*rows, AYSE, "last_seen").await?;
    assert_eq!(seen[0]["user_id"], json!(AYSE.get()));
    assert!(rows.erasure_blockers(AYSE).await?.is_empty());
    privacy::erase(&[rows.eraser()], AYSE).await?;
    const ANSWERS: Sql = Sql::new("test.answers", "SELECT type FROM realtime.outbox");
    let answers: Vec<String> = ANSWERS.scalars(&admin).await?;
    assert_eq!(answers, ["realtime.user_erased.v1"]);
    let id = AYSE.to_string();
    privacy::nothing_is_left(&admin, &realtime::PRIVACY, &id, &["ayse"]).await
}
