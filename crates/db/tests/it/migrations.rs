use db::{Db, MigrateError, Migrations, Sql, migrate, pending};
use testkit::TestDb;

const FIRST: (&str, &str) = (
    "V0001__things",
    "CREATE TABLE attic.things (id bigint PRIMARY KEY, n int);",
);
const SECOND: (&str, &str) = (
    "V0002__more",
    "ALTER TABLE attic.things ADD COLUMN more text;",
);
const BROKEN: (&str, &str) = (
    "V0003__broken",
    "CREATE TABLE attic.half (id int); SELECT 1 / 0;",
);
const INDEX: (&str, &str) = (
    "V0003__index",
    "-- concurrent\nCREATE INDEX CONCURRENTLY IF NOT EXISTS things_n ON attic.things (n)",
);

fn attic(files: &'static [(&'static str, &'static str)]) -> Migrations {
    Migrations {
        schema: "attic",
        files,
    }
}

async fn count(db: &Db, text: &'static str) -> i64 {
    Sql::new("test.count", text).scalar(db).await.unwrap()
}

#[tokio::test]
async fn files_run_once_and_in_order() {
    let t = TestDb::empty().await.unwrap();
    let plan = pending(&t.settings(), &[attic(&[FIRST, SECOND])])
        .await
        .unwrap();
    assert_eq!(
        plan.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(),
        ["V1__things", "V2__more"]
    );
    let report = migrate(&t.settings(), &[attic(&[FIRST])]).await.unwrap();
    assert_eq!(report.applied.len(), 1);
    let report = migrate(&t.settings(), &[attic(&[FIRST, SECOND])])
        .await
        .unwrap();
    assert_eq!(
        report
            .applied
            .iter()
            .map(|s| s.name.as_str())
            .collect::<Vec<_>>(),
        ["V2__more"]
    );
    let report = migrate(&t.settings(), &[attic(&[FIRST, SECOND])])
        .await
        .unwrap();
    assert!(report.applied.is_empty());
    assert!(
        pending(&t.settings(), &[attic(&[FIRST, SECOND])])
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn two_at_once_apply_each_file_once() {
    let t = TestDb::empty().await.unwrap();
    let settings = t.settings();
    let both = [attic(&[FIRST, SECOND])];
    let (one, two, three) = tokio::join!(
        migrate(&settings, &both),
        migrate(&settings, &both),
        migrate(&settings, &both)
    );
    let applied: usize = [one, two, three]
        .into_iter()
        .map(|report| report.unwrap().applied.len())
        .sum();
    assert_eq!(applied, 2);
    let admin = t.admin().unwrap();
    assert_eq!(
        count(&admin, "SELECT count(*) FROM attic.schema_history").await,
        2
    );
}

#[tokio::test]
async fn an_edited_file_is_refused() {
    let t = TestDb::empty().await.unwrap();
    migrate(&t.settings(), &[attic(&[FIRST])]).await.unwrap();
    let edited = attic(&[("V0001__things", "CREATE TABLE attic.things (id bigint);")]);
    let error = migrate(&t.settings(), &[edited]).await.unwrap_err();
    assert!(
        matches!(&error, MigrateError::Changed { name, .. } if name == "V1__things"),
        "{error}"
    );
    let error = pending(&t.settings(), &[edited]).await.unwrap_err();
    assert!(matches!(error, MigrateError::Changed { .. }), "{error}");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let t = TestDb::empty().await.unwrap();
    migrate(&t.settings(), &[attic(&[FIRST, SECOND])])
        .await
        .unwrap();
    let error = migrate(&t.settings(), &[attic(&[FIRST])])
        .await
        .unwrap_err();
    assert!(
        matches!(&error, MigrateError::Newer { name, .. } if name == "V2__more"),
        "{error}"
    );
}

#[tokio::test]
async fn a_failing_file_keeps_what_was_finished_and_can_be_resumed() {
    let t = TestDb::empty().await.unwrap();
    let error = migrate(&t.settings(), &[attic(&[FIRST, SECOND, BROKEN])])
        .await
        .unwrap_err();
    let MigrateError::Failed {
        problem, report, ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(report.applied.len(), 2, "{problem}");
    assert!(
        problem.contains("V3__broken") && problem.contains("division by zero"),
        "{problem}"
    );
    let admin = t.admin().unwrap();
    let half = "SELECT count(*) FROM pg_tables WHERE schemaname = 'attic' AND tablename = 'half'";
    assert_eq!(count(&admin, half).await, 0);
    let report = migrate(&t.settings(), &[attic(&[FIRST, SECOND, INDEX])])
        .await
        .unwrap();
    assert_eq!(report.applied.len(), 1);
}

#[tokio::test]
async fn a_concurrent_index_runs_outside_of_a_transaction_and_heals_an_invalid_one() {
    let t = TestDb::empty().await.unwrap();
    migrate(&t.settings(), &[attic(&[FIRST, SECOND])])
        .await
        .unwrap();
    // What a killed run leaves behind.
    t.script(
        "CREATE INDEX things_n ON attic.things (n);
        UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'attic.things_n'::regclass",
    )
    .await
    .unwrap();
    migrate(&t.settings(), &[attic(&[FIRST, SECOND, INDEX])])
        .await
        .unwrap();
    let admin = t.admin().unwrap();
    let valid = "SELECT count(*) FROM pg_index WHERE indexrelid = 'attic.things_n'::regclass AND indisvalid";
    assert_eq!(count(&admin, valid).await, 1);
    let unsafe_file = attic(&[
        FIRST,
        SECOND,
        INDEX,
        (
            "V0004__x",
            "-- concurrent\nCREATE INDEX CONCURRENTLY y ON attic.things (n)",
        ),
    ]);
    let error = migrate(&t.settings(), &[unsafe_file]).await.unwrap_err();
    assert!(error.to_string().contains("repeatable"), "{error}");
}

#[tokio::test]
async fn a_busy_table_is_waited_for_in_short_tries() {
    let t = TestDb::empty().await.unwrap();
    migrate(&t.settings(), &[attic(&[FIRST])]).await.unwrap();
    let admin = t.admin().unwrap();
    let reader = admin.begin().await.unwrap();
    Sql::new("test.lock", "LOCK TABLE attic.things IN ACCESS SHARE MODE")
        .execute(&reader)
        .await
        .unwrap();
    let settings = t.settings();
    let both = [attic(&[FIRST, SECOND])];
    let waiting = async {
        let timeouts = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        testkit::servers::eventually("it waits", std::time::Duration::from_secs(10), || async {
            count(&admin, timeouts).await == 1
        })
        .await
        .unwrap();
        reader.commit().await.unwrap();
    };
    let (report, ()) = tokio::join!(migrate(&settings, &both), waiting);
    assert_eq!(report.unwrap().applied.len(), 1);
}

#[tokio::test]
async fn a_login_can_be_made_with_a_password_that_needs_quoting() {
    let t = TestDb::empty().await.unwrap();
    migrate(&t.settings(), &[attic(&[FIRST])]).await.unwrap();
    let password = secrecy::SecretString::from("it's \\ a \"secret\"");
    for _ in 0..2 {
        db::ensure_login(&t.settings(), "node_login", Some(&password), "meydan_app")
            .await
            .unwrap();
    }
    let admin = t.admin().unwrap();
    let inherits = "SELECT count(*) FROM pg_roles WHERE pg_has_role('node_login', oid, 'USAGE') AND rolname IN ('attic_app', 'meydan_node')";
    assert_eq!(count(&admin, inherits).await, 2);
    let evil = db::ensure_login(&t.settings(), "x; DROP", None, "meydan_app").await;
    assert!(matches!(evil, Err(MigrateError::BadSchema(_))));
}
