//! What somebody leaves behind who used everything there is: first a copy for her, then nothing.

mod life;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use db::Db;
use db::privacy::PrivacyFile;
use serde_json::{Value, json};
use testkit::http::Credential;
use testkit::privacy;
use testkit::servers::eventually;

use self::life::{BOT, EMAIL, Life, MARKS, PASSWORD, PHONE, USERNAME, done};
use crate::node::{Export, Home, Node, Person, text, unpacked};

/// What every context says about people.
const FILES: &[&PrivacyFile] = &[
    &identity::PRIVACY,
    &communities::PRIVACY,
    &media::PRIVACY,
    &messaging::PRIVACY,
    &applications::PRIVACY,
    &audit::PRIVACY,
    &realtime::PRIVACY,
];

/// Tables that a whole life fills; the others have tests in their contexts.
const FILLED: &[&str] = &[
    "applications.applications",
    "applications.bot_tokens",
    "applications.installs",
    "audit.entries",
    "communities.audit_entries",
    "communities.bans",
    "communities.communities",
    "communities.invites",
    "communities.members",
    "communities.overwrites",
    "identity.api_keys",
    "identity.consents",
    "identity.credentials",
    "identity.exports",
    "identity.impersonations",
    "identity.oidc_identities",
    "identity.passkeys",
    "identity.phone_lookups",
    "identity.privacy",
    "identity.recovery_codes",
    "identity.relationships",
    "identity.staff_actions",
    "identity.totp",
    "identity.user_devices",
    "identity.users",
    "messaging.channel_members",
    "messaging.dm_pairs",
    "messaging.message_nonces",
    "messaging.messages",
    "messaging.revisions",
    "realtime.last_seen",
];

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn s20_a_whole_life_is_exported_and_then_erased() -> Result<()> {
    let home = Home::new("erasure")?;
    let node = home.start().await?;
    let admin = home.database()?;
    let life = Life::lead(&home, &node).await?;
    plant(&admin, &life).await?;
    ask(&node, &life.fatma).await?;
    let export = ask(&node, &life.zeynep).await?;
    let export = read(&node, &life.zeynep, &export).await?;
    holds_everything(&admin, &life, &export).await?;
    let before = seen_by_fatma(&node, &life).await?;

    begin(&home, &node, &life).await?;
    carry_out(&home, &admin, &life).await?;
    assert_eq!(node.log_in(USERNAME, PASSWORD).await?.status, 401);
    log_is_silent(&home)?;
    // The bot leaves by a job, whose first run comes soon after a start.
    node.stop()?;
    let node = home.start().await?;
    let bots = "SELECT count(*) FROM applications.applications WHERE retired_at IS NULL";
    eventually("the bot retires", PATIENCE, || none(&admin, bots)).await?;
    nothing_is_left(&home, &admin, &life).await?;
    assert_eq!(seen_by_fatma(&node, &life).await?, before);
    nobody_gets_in(&node, &life).await?;
    let verified = home.run(&["audit", "verify", "-o", "json"])?;
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    log_is_silent(&home)?;
    what_was_planted_is_found(&admin, &life).await?;
    node.stop()
}

async fn run(admin: &Db, script: &str) -> Result<()> {
    let tx = admin.begin().await?;
    let sql = db::Sql::new("test.run", String::leak(script.to_owned()));
    sql.execute(&tx).await?;
    Ok(tx.commit().await?)
}

/// Whether a question for a number of rows is answered with none.
async fn none(admin: &Db, question: &'static str) -> bool {
    let count = db::Sql::new("test.count", question).scalar::<i64>(admin);
    count.await.is_ok_and(|count| count == 0)
}

/// What has no route yet, or needs a browser.
async fn plant(admin: &Db, life: &Life) -> Result<()> {
    let id = &life.zeynep.id;
    for script in [
        format!(
            "INSERT INTO identity.passkeys (id, user_id, cred_id, public_key, name)
             VALUES (1, {id}, '\\x01', '\\x02', 'Silinecek''s key')"
        ),
        format!(
            "INSERT INTO identity.oidc_identities (provider, subject, user_id, email_at_link)
             VALUES ('google', 'silinecek-7', {id}, '{EMAIL}')"
        ),
        format!("INSERT INTO realtime.last_seen (user_id, seen_at) VALUES ({id}, now())"),
    ] {
        run(admin, &script).await?;
    }
    Ok(())
}

/// Asks for an export; where it is told how far it is.
async fn ask(node: &Node, who: &Person) -> Result<String> {
    let path = "/v1/users/@me/exports";
    let asked = done(node, who.credential(), ("POST", path), Value::Null).await?;
    Ok(format!("{path}/{}", text(&asked["id"])))
}

/// Waits for an export and reads it by its link.
async fn read(node: &Node, who: &Person, path: &str) -> Result<Export> {
    let ready = || async {
        let found = done(node, who.credential(), ("GET", path), Value::Null).await;
        found.is_ok_and(|found| found["state"] == "ready")
    };
    eventually("the export is ready", PATIENCE, ready).await?;
    let found = done(node, who.credential(), ("GET", path), Value::Null).await?;
    let url = text(&found["url"]);
    let base = format!("http://{}", node.address);
    let path = url.strip_prefix(&base).context("a link of this node")?;
    let reply = node
        .client
        .call("GET", path, who.credential(), Value::Null)
        .await?;
    unpacked(&reply.expect(200)?.body)
}

/// Every row of hers with every exported column, table by table; and what she would look for.
async fn holds_everything(admin: &Db, life: &Life, export: &Export) -> Result<()> {
    let zeynep = life.zeynep.id.parse()?;
    let mut filled = BTreeSet::new();
    for file in FILES {
        let tagged: BTreeSet<String> = file.get()?.exported().collect();
        let mut stored: Vec<(String, Vec<Value>)> = Vec::new();
        let mut take = |table: &str, rows: Vec<Value>| -> db::Result<()> {
            stored.push((table.to_owned(), rows));
            Ok(())
        };
        file.get()?.export(admin, zeynep, &mut take).await?;
        for (table, rows) in stored.into_iter().filter(|(_, rows)| !rows.is_empty()) {
            let name = format!("{}.{table}", file.schema());
            let told = export.get(&name).with_context(|| format!("no {name}"))?;
            // The export itself is an act that is recorded meanwhile.
            let grows = ["audit.entries", "audit.staged"].contains(&&*name);
            assert!(grows || told.len() == rows.len(), "{name}: {told:?}");
            let columns = told.first().and_then(Value::as_object);
            let columns = columns.with_context(|| format!("{name} is empty"))?;
            let told: BTreeSet<String> = columns
                .keys()
                .map(|column| format!("{table}.{column}"))
                .collect();
            let of_table = |column: &&String| column.starts_with(&format!("{table}."));
            let wanted: BTreeSet<String> = tagged.iter().filter(of_table).cloned().collect();
            assert_eq!(told, wanted, "{name}");
            filled.insert(name);
        }
    }
    let missing: Vec<&&str> = FILLED
        .iter()
        .filter(|name| !filled.contains(**name))
        .collect();
    assert!(missing.is_empty(), "a life without {missing:?}");
    let text = serde_json::to_string(export)?;
    for fact in [
        EMAIL,
        PHONE,
        "Ben Zeynep Silinecek",
        "Zeynep Silinecek'in telefonu",
        "Silinecek's backup",
        "Fatma abla",
        "Zeyno Silinecek",
        "Zeynep Silinecek was loud",
        "merhabalar <@",
        "aramızda",
        BOT,
        "Zeynep Silinecek called",
        "identity.impersonation_asked.v1",
        "identity.export_requested.v1",
    ] {
        assert!(text.contains(fact), "{fact}");
    }
    for secret in [
        "argon2",
        "hoş geldin",
        "silinecek-push-token",
        "Silinecek Zeynep, iş",
    ] {
        assert!(!text.contains(secret), "{secret} is not hers to read");
    }
    Ok(())
}

/// The conversations as the other reads them: order, ids and texts.
async fn seen_by_fatma(node: &Node, life: &Life) -> Result<Vec<Value>> {
    let mut seen = Vec::new();
    for channel in [&life.channel, &life.dm] {
        let path = format!("/channels/{channel}/messages");
        let messages = node.done(&life.fatma, "GET", &path, Value::Null).await?;
        let messages = messages.as_array().cloned().unwrap_or_default();
        ensure!(messages.len() == 3, "{messages:?}");
        let shown = |message: &Value| {
            json!([
                message["id"],
                message["content"],
                message["author"]["id"],
                message["timestamp"]
            ])
        };
        seen.extend(messages.iter().map(shown));
    }
    Ok(seen)
}

/// She settles what has to be settled, wishes to go, and the operator does not let her wait.
async fn begin(home: &Home, node: &Node, life: &Life) -> Result<()> {
    let wish = async || {
        let (path, body) = ("/v1/users/@me/erasure", json!({"confirm": USERNAME}));
        node.client
            .call("POST", path, life.zeynep.credential(), body)
            .await
    };
    let blocked = wish().await?.expect(409)?;
    assert_eq!(blocked.json["reasons"], json!(["owns_community"]));
    let path = format!("/guilds/{}", life.owned);
    node.done(&life.zeynep, "DELETE", &path, Value::Null)
        .await?;
    wish().await?.expect(202)?;
    let erase = ["privacy", "erase", USERNAME, "--now"];
    let refused = home.run(&erase)?;
    assert_eq!(refused.status.code(), Some(2), "asks first");
    assert_eq!(erasing(home)?["state"], "running");
    eventually("she is signed out", PATIENCE, || async {
        let (path, who) = ("/v1/users/@me", life.zeynep.credential());
        let me = node.client.call("GET", path, who, Value::Null).await;
        me.is_ok_and(|me| me.status == 401)
    })
    .await
}

/// What the operator is told about her erasure.
fn erasing(home: &Home) -> Result<Value> {
    let output = home.run(&["privacy", "erase", USERNAME, "--now", "--yes", "-o", "json"])?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{:?}: {said}", output.status);
    let rows: Value = serde_json::from_slice(&output.stdout)?;
    Ok(rows[0].clone())
}

/// The twenty minutes pass, and every context answers.
async fn carry_out(home: &Home, admin: &Db, life: &Life) -> Result<()> {
    let id = &life.zeynep.id;
    let passed = format!(
        "UPDATE identity.erasures SET due_at = due_at - interval '20 minutes' WHERE user_id = {id}"
    );
    run(admin, &passed).await?;
    assert_eq!(erasing(home)?["state"], "erased");
    let open = "SELECT count(*) FROM identity.erasures WHERE state <> 'done'";
    eventually("every context answers", PATIENCE, || none(admin, open)).await
}

/// Neither in any column of any table nor in an object.
async fn nothing_is_left(home: &Home, admin: &Db, life: &Life) -> Result<()> {
    let waiting = "SELECT (SELECT count(*) FROM identity.outbox)
                        + (SELECT count(*) FROM communities.outbox)
                        + (SELECT count(*) FROM messaging.outbox)
                        + (SELECT count(*) FROM applications.outbox)";
    eventually("events arrived", PATIENCE, || none(admin, waiting)).await?;
    privacy::nothing_is_left_anywhere(admin, FILES, &life.zeynep.id, MARKS).await?;
    for file in [&identity::PRIVACY, &applications::PRIVACY] {
        privacy::nothing_is_left(admin, file, &life.zeynep.id, &[BOT]).await?;
    }
    let objects = home.data().join("objects").join("exports");
    let exports = std::fs::read_dir(objects)?.count();
    assert_eq!(exports, 1, "Fatma's stays");
    Ok(())
}

/// The log of the running node names nobody.
fn log_is_silent(home: &Home) -> Result<()> {
    let log = std::fs::read_to_string(home.path().join("node.log"))?;
    for mark in MARKS {
        assert!(!log.contains(mark), "{mark} is in the log");
    }
    Ok(())
}

/// Others keep what is theirs, and nothing opens the erased account.
async fn nobody_gets_in(node: &Node, life: &Life) -> Result<()> {
    for path in ["/v1/users/@me/contacts", "/v1/users/@me/friends"] {
        let list = done(node, life.fatma.credential(), ("GET", path), Value::Null).await?;
        assert_eq!(list["items"], json!([]), "{path}");
    }
    let path = format!("/guilds/{}/members?limit=100", life.guild);
    let members = node.done(&life.fatma, "GET", &path, Value::Null).await?;
    assert_eq!(members.as_array().map(Vec::len), Some(1), "{members}");
    let path = format!("/channels/{}/messages", life.channel);
    let messages = node.done(&life.fatma, "GET", &path, Value::Null).await?;
    let authors = messages.as_array().into_iter().flatten();
    let names = authors.map(|message| message["author"].to_string());
    for name in names {
        assert!(!MARKS.iter().any(|mark| name.contains(mark)), "{name}");
    }
    for (scheme, secret) in [("Bearer", &life.api_key), ("Bot", &life.bot_token)] {
        let who = Credential::Header(format!("{scheme} {secret}"));
        let path = "/api/v10/users/@me";
        let reply = node.client.call("GET", path, who, Value::Null).await?;
        assert_eq!(reply.status, 401, "{scheme}");
    }
    Ok(())
}

/// The search finds what is there, in a table of ours and in the mechanics.
async fn what_was_planted_is_found(admin: &Db, life: &Life) -> Result<()> {
    let (guild, id) = (&life.guild, &life.zeynep.id);
    let name =
        format!("UPDATE communities.communities SET name = 'Zeynep Silinecek' WHERE id = {guild}");
    let key = format!(
        "INSERT INTO messaging.drafts (user_id, channel_id, content, updated_at) VALUES ({id}, 1, 'x', now())"
    );
    let event = "INSERT INTO identity.dead_letters (consumer, event_id, type, key, data, at, attempts, error)
                 VALUES ('c', 1, 't', 'k', '{\"email\": \"zeynep@silinecek.example\"}', now(), 20, 'e')";
    for script in [&*name, &*key, event] {
        run(admin, script).await?;
    }
    let found = privacy::nothing_is_left_anywhere(admin, FILES, id, MARKS).await;
    let found = found.err().context("nothing was found")?.to_string();
    for column in [
        "communities.communities.name",
        "messaging.drafts.user_id",
        "identity.dead_letters.data",
    ] {
        assert!(found.contains(column), "{column} is not in {found}");
    }
    run(
        admin,
        "CREATE SCHEMA forgotten CREATE TABLE rows (name text)",
    )
    .await?;
    let found = privacy::nothing_is_left_anywhere(admin, FILES, id, MARKS).await;
    let found = found.err().context("nothing was found")?.to_string();
    assert!(found.contains("forgotten"), "{found}");
    Ok(())
}
