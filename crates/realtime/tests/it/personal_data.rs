//! What is stored about people: all of it is known and erased.

use anyhow::Result;
use kernel::UserId;
use testkit::{TestDb, privacy};

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
    let consumer = realtime::eraser(&database.app("realtime")?);
    privacy::erase(&[consumer], AYSE).await?;
    let id = AYSE.to_string();
    privacy::nothing_is_left(&admin, &realtime::PRIVACY, &id, &["ayse"]).await
}
