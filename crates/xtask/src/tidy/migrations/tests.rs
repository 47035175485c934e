use super::*;

const PATH: &str = "crates/market/migrations/V0001__offers.sql";

fn rules(text: &str) -> Vec<(usize, &'static str)> {
    let findings = check(&File::new(PATH, text));
    findings
        .iter()
        .map(|finding| (finding.line, finding.rule))
        .collect()
}

#[test]
fn a_first_migration_passes() {
    let text = "-- Offers; a comment with DROP TABLE x; in it.
CREATE TABLE market.galleries (id bigint PRIMARY KEY, name text NOT NULL DEFAULT 'a; DROP');
CREATE TABLE IF NOT EXISTS market.offers (
  id bigint PRIMARY KEY,
  gallery_id bigint NOT NULL REFERENCES market.galleries (id)
);
CREATE UNIQUE INDEX offers_by_gallery ON market.offers (gallery_id, id);
CREATE FUNCTION market.f() RETURNS int LANGUAGE sql AS $$ SELECT 1; DROP $$;
";
    assert_eq!(rules(text), []);
    assert_eq!(check(&File::new("docs/x.sql", "DROP TABLE a;")), []);
}

#[test]
fn alter_names_its_lock() {
    let alter = "ALTER TABLE market.offers ADD COLUMN note text;";
    assert_eq!(rules(&format!("\n{alter}")), [(2, "migration-lock")]);
    let comment = "-- lock: access exclusive, catalogue only";
    assert_eq!(rules(&format!("{comment}\n{alter}")), []);
    let second = format!("{comment}\n{alter}\n{alter}");
    assert_eq!(
        rules(&second),
        [(3, "migration-lock")],
        "one comment for two"
    );
}

#[test]
fn indexes_of_existing_tables_are_built_concurrently() {
    let index = "INDEX IF NOT EXISTS a ON market.offers (id);";
    assert_eq!(rules(&format!("CREATE {index}")), [(1, "migration-index")]);
    assert_eq!(
        rules(&format!("CREATE UNIQUE {index}")),
        [(1, "migration-index")]
    );
    let made = format!("CREATE TABLE market.offers (id bigint);\nCREATE {index}");
    assert_eq!(rules(&made), []);

    let concurrently = "CREATE INDEX CONCURRENTLY IF NOT EXISTS a ON market.offers (id);";
    assert_eq!(rules(concurrently), [(1, "migration-index")], "not marked");
    assert_eq!(rules(&format!("-- concurrent\n{concurrently}")), []);
    let two = format!("-- concurrent\n{concurrently}\n{concurrently}");
    assert_eq!(rules(&two), [(3, "migration-index")]);
    let once = "-- concurrent\nCREATE INDEX CONCURRENTLY a ON market.offers (id);";
    assert_eq!(rules(once), [(2, "migration-index")]);
}

#[test]
fn what_is_in_use_is_not_dropped() {
    assert_eq!(rules("DROP TABLE market.offers;"), [(1, "migration-drop")]);
    let alter = |action: &str| rules(&format!("-- lock: short\nALTER TABLE market.a {action};"));
    assert_eq!(alter("DROP COLUMN note"), [(2, "migration-drop")]);
    assert_eq!(alter("DROP note"), [(2, "migration-drop")]);
    assert_eq!(alter("ALTER COLUMN note DROP NOT NULL"), []);
    assert_eq!(alter("DROP CONSTRAINT a_check"), []);
}

#[test]
fn a_new_column_of_an_old_table_may_be_null_or_has_a_default() {
    let alter = |action: &str| rules(&format!("-- lock: short\nALTER TABLE market.a {action};"));
    assert_eq!(
        alter("ADD COLUMN x int NOT NULL"),
        [(2, "migration-not-null")]
    );
    let second = "ADD COLUMN x int NOT NULL DEFAULT 0, ADD COLUMN y int NOT NULL";
    assert_eq!(alter(second), [(2, "migration-not-null")]);
    assert_eq!(
        alter("ALTER COLUMN x SET NOT NULL"),
        [(2, "migration-not-null")]
    );
    assert_eq!(alter("ADD COLUMN x int NOT NULL DEFAULT 0"), []);
    assert_eq!(alter("ADD COLUMN x int"), []);
    let made = "CREATE TABLE market.a (id int);\n\
                ALTER TABLE market.a ADD COLUMN x int NOT NULL;";
    assert_eq!(rules(made), []);
}

#[test]
fn tables_have_a_schema_and_refer_to_their_own() {
    assert_eq!(
        rules("CREATE TABLE offers (id int);"),
        [(1, "migration-schema")]
    );
    let foreign = "CREATE TABLE market.a (id bigint REFERENCES identity.users (id));";
    assert_eq!(rules(foreign), [(1, "migration-schema")]);
}

#[test]
fn names_are_numbered() {
    for (name, count) in [
        ("V0001__offers.sql", 0),
        ("V0001__offers_2.sql", 0),
        ("V1__offers.sql", 1),
        ("V0001_offers.sql", 1),
        ("V0001__Offers.sql", 1),
        ("offers.sql", 1),
    ] {
        let file = File::new(format!("crates/market/migrations/{name}"), "");
        assert_eq!(check(&file).len(), count, "{name}");
    }
}

#[test]
fn every_migration_is_compiled_in_and_none_is_left_out() {
    let list = |names: &[&str], lib: &str| {
        let mut files: Vec<File> = names
            .iter()
            .map(|name| File::new(format!("crates/market/migrations/{name}.sql"), ""))
            .collect();
        files.push(File::new("crates/market/src/lib.rs", lib));
        check_listed(&files)
            .into_iter()
            .map(|finding| finding.rule)
            .collect::<Vec<_>>()
    };
    let one = "(\"V0001__a\", include_str!(\"../migrations/V0001__a.sql\"))";
    assert!(list(&["V0001__a"], one).is_empty());
    assert_eq!(list(&["V0001__a"], ""), ["migration-listed"]);
    assert_eq!(list(&["V0001__a"], "\"V0001__a\""), ["migration-listed"]);
    assert_eq!(list(&["V0001__a", "V0002__b"], one), ["migration-listed"]);
    let three = format!("{one} (\"V0003__b\", include_str!(\"../migrations/V0003__b.sql\"))");
    assert_eq!(list(&["V0001__a", "V0003__b"], &three), ["migration-name"]);
}
