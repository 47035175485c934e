use std::fs;
use std::process::{Command, Stdio};

use db::Sql;
use testkit::TestDb;
use testkit::servers::Scratch;

use crate::fixture::{COUNT_ITEMS, SHOP};

const FOLDER: &str = "MEYDAN_TEST_STATEMENTS";
const PART: &str = "MEYDAN_TEST_PART_NOTES";
const FAILS: Sql = Sql::new("shop.fails", "SELECT 1 / (SELECT count(*) FROM shop.items)");

#[tokio::test]
async fn statements_that_succeed_are_noted_once_per_process() {
    if std::env::var_os(PART).is_some() {
        let t = TestDb::new(&[SHOP]).await.unwrap();
        let db = t.app("shop").unwrap();
        for _ in 0..2 {
            COUNT_ITEMS.scalar::<i64>(&db).await.unwrap();
            let tx = db.begin().await.unwrap();
            COUNT_ITEMS.scalar::<i64>(&tx).await.unwrap();
            FAILS.scalar::<i64>(&tx).await.unwrap_err();
        }
        return;
    }
    let scratch = Scratch::new("notes").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("notes::statements_that_succeed_are_noted_once_per_process")
        .env(FOLDER, scratch.path())
        .env(PART, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 passed"), "{said}");
    let files: Vec<_> = fs::read_dir(scratch.path()).unwrap().flatten().collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let text = fs::read_to_string(files[0].path()).unwrap();
    let count = |name: &str| text.lines().filter(|line| *line == name).count();
    assert_eq!(
        (count("shop.count_items"), count("shop.fails")),
        (1, 0),
        "{text}"
    );
}
