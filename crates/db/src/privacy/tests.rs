use super::*;

const GOOD: &str = r#"
# A comment.
[users]
subject = "id"
[users.columns]
id = { class = "identity", export = true, erase = "keep", law = "a law, with = and {braces}" }
name = { export = true, erase = "anonymise", to = "'gone_' || id" }
email = { export = true, erase = "delete" }

[bans]
subject = "user_id"
about = "other_id"
page = "id"
row = { retention = "account", erase = "delete" } # why
[bans.columns]
id = { export = true }
user_id = { export = true }
actor_id = { export = false, erase = "anonymise", to = "0", refers = true }

[spent]
subject = "device_id -> devices.user_id"
row = { erase = "delete" }
[spent.columns]
device_id = { export = false }

[entries]
subject = "chain & seq -> finds.actor, owner_id"
row = { erase = "keep", law = "x" }
[entries.columns]
chain = { export = false }
body = { export = true, shown = "body::jsonb" }
reason = { export = true, erase = "delete", of = "target_id", law = "x" }

[roles]
subject = "none"
"#;

fn texts(what: &str) -> Vec<String> {
    let privacy = Privacy::parse("shop", GOOD).unwrap();
    privacy
        .statements()
        .filter(|sql| sql.name().contains(what))
        .map(|sql| sql.text().to_owned())
        .collect()
}

#[test]
fn statements_are_made_of_the_file() {
    assert_eq!(
        texts("export"),
        [
            "SELECT to_jsonb(r) FROM (SELECT id, name, email FROM shop.users WHERE (id = $1)) r",
            "SELECT to_jsonb(r) FROM (SELECT id, user_id FROM shop.bans WHERE (user_id = $1) AND id > $2 ORDER BY id LIMIT $3) r",
            "SELECT to_jsonb(r) FROM (SELECT body::jsonb AS body, reason FROM shop.entries WHERE ((chain, seq) IN (SELECT o.chain, o.seq FROM shop.finds o WHERE o.actor = $1) OR owner_id = $1)) r",
        ]
    );
    assert_eq!(
        texts("erase"),
        [
            "UPDATE shop.users SET name = 'gone_' || id, email = NULL WHERE id = $1",
            "DELETE FROM shop.bans WHERE user_id = $1 OR other_id = $1",
            "DELETE FROM shop.spent WHERE (device_id) IN (SELECT o.id FROM shop.devices o WHERE o.user_id = $1)",
        ]
    );
    assert_eq!(
        texts("unname"),
        [
            "UPDATE shop.bans SET actor_id = 0 WHERE actor_id = $1",
            "UPDATE shop.entries SET reason = NULL WHERE target_id = $1",
        ]
    );
}

#[test]
fn columns_are_known_by_what_becomes_of_them() {
    let privacy = Privacy::parse("shop", GOOD).unwrap();
    assert_eq!(
        privacy.kept().collect::<Vec<_>>(),
        [
            "users.id",
            "entries.chain",
            "entries.body",
            "entries.reason"
        ]
    );
    assert_eq!(privacy.impersonal().collect::<Vec<_>>(), ["roles"]);
    assert_eq!(privacy.columns().count(), 10);
    assert_eq!(privacy.exported().count(), 7);
}

#[test]
fn files_that_leave_something_open_are_refused() {
    for bad in [
        "x = \"1\"",
        "[a]\n[a]",
        "[a.columns]",
        "[a; DROP]",
        "[a]\nsubject = \"id",
        "[a]\nsubject = \"i d\"",
        "[a]\nother = \"x\"",
        "[a]\n[a.columns]\nid = { export = true, erase = \"keep\", law = \"x\" }",
        "[a]\nsubject = \"id\"\n[a.columns]\nid = { export = true }",
        "[a]\nsubject = \"id\"\n[a.columns]\nid = { erase = \"delete\" }",
        "[a]\nsubject = \"id\"\n[a.columns]\nid = { export = true, erase = \"keep\" }",
        "[a]\nsubject = \"id\"\n[a.columns]\nid = { export = true, erase = \"anonymise\" }",
        "[a]\nsubject = \"id\"\n[a.columns]\nid = { export = true, erase = \"burn\" }",
        "[a]\nsubject = \"id\"\n[a.columns]\nid = { export = yes, erase = \"delete\" }",
        "[a]\nsubject = \"id\"\n[a.columns]\nid = { export = true",
        "[a]\nsubject = \"id\"\n[a.columns]\nid = { export = true, export = true }",
        "[a]\nsubject = \"none\"\n[a.columns]\nid = { export = true, erase = \"delete\" }",
        "[a]\nsubject = \"id\"\n[a.columns]\nid = { export = true, erase = \"delete\", of = \"b\" }",
        "[a]\nsubject = \"id\"\n[a.columns]\nid = { export = true, erase = \"keep\", of = \"b\", law = \"x\" }",
        "[a]\nsubject = \"id\"\n[a.columns]\nid = { export = true, refers = true }",
        "[a]\nsubject = \"x -> y\"",
        "[a]\nsubject = \"x & -> y.z\"",
        "[a]\nabout = \"user_id\"",
        "[a]\nsubject = \"none\"\nabout = \"user_id\"",
    ] {
        assert!(Privacy::parse("shop", bad).is_err(), "{bad}");
    }
    let error = Privacy::parse("shop", "[a]\n\nnonsense").unwrap_err();
    assert_eq!((error.line, error.schema.as_str()), (3, "shop"));
}
