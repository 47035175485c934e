//! S14: after everything that people do with passwords, codes, links, tokens and keys, none of them
//! stands in what the node wrote. Only the mailbox and the phone may know them.

mod visit;

use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, ensure};
use axum::extract::State;
use serde_json::{Value, json};
use testkit::TestDb;
use testkit::servers::{SmtpRules, SmtpServer};

use crate::leaks::{Place, Secret, dump, files, leaks};
use crate::node::Home;
use visit::Visit;

const PASSWORD: &str = "kirmizi bisiklet yokusu 1907";
const SECOND_PASSWORD: &str = "yeşil bisiklet inişi 1923";
const MISTYPED: &str = "kirmizi bisilket yokusu 1907";
const ADMIN_PASSWORD: &str = "mor bisiklet garajı 1071";
const PIN: &str = "73190284";
const TWILIO_ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
/// Secrets of the operator.
const OURS: [(&str, &str); 4] = [
    (
        "MEYDAN_AUTH__JWT__SECRET",
        "root-secret-of-this-test-and-no-other",
    ),
    (
        "MEYDAN_SMS__TWILIO__AUTH_TOKEN",
        "twilio-token-of-this-test",
    ),
    ("MEYDAN_ADMIN_PASSWORD", ADMIN_PASSWORD),
    (
        "MEYDAN_AUTH__OAUTH__FACEBOOK__CLIENT_SECRET",
        "client-secret-of-this-test",
    ),
];
const SMTP_LOGIN: &str = "meydan:smtp-password-of-this-test";

/// A phone: what Twilio was asked to send.
type Phone = Arc<Mutex<Vec<String>>>;

/// Twilio's interface for texts, as far as it is used here.
async fn twilio() -> Result<(String, Phone)> {
    let phone = Phone::default();
    let path = format!("/2010-04-01/Accounts/{TWILIO_ACCOUNT}/Messages.json");
    let take = async |State(phone): State<Phone>, form: String| {
        phone.lock().unwrap().push(form);
        let sid = "SM0123456789abcdef0123456789abcdef";
        (
            axum::http::StatusCode::CREATED,
            axum::Json(json!({"sid": sid, "status": "queued"})),
        )
    };
    let router = axum::Router::new().route(&path, axum::routing::post(take));
    let router = router.with_state(Arc::clone(&phone));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    #[expect(
        clippy::disallowed_methods,
        reason = "a server beside the one that is tested"
    )]
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok((base, phone))
}

/// A node with real codes, a mail server and a provider of texts.
fn home(database: &TestDb, mailbox: &SmtpServer, twilio: &str) -> Result<Home> {
    let database = database
        .url()
        .replacen("meydan@", "meydan:database-password@", 1);
    let mut home = Home::new("secrets")?
        .with("MEYDAN_DATABASE__URL", database)
        .with("MEYDAN_AUTH__DEV_MODE", "false")
        .with("MEYDAN_AUTH__EMAIL_VERIFICATION", "required")
        .with(
            "MEYDAN_MAIL__SMTP__URL",
            format!("smtp://{SMTP_LOGIN}@127.0.0.1:{}", mailbox.port()),
        )
        .with("MEYDAN_SMS__TWILIO__ACCOUNT_SID", TWILIO_ACCOUNT)
        .with("MEYDAN_SMS__TWILIO__FROM", "+15005550006")
        .with("MEYDAN_SMS__TWILIO__API_URL", twilio)
        .with("MEYDAN_AUTH__OAUTH__FACEBOOK__CLIENT_ID", "a client")
        .with("MEYDAN_ADMIN_EMAIL", "root@example.com")
        .with("MEYDAN_LOG__LEVEL", "debug")
        // One visitor logs in by every way there is, within seconds.
        .with("MEYDAN_AUTH__LIMITS__LOGIN_ADDRESS_PER_MINUTE", "1000")
        .with_grpc()?;
    for (name, secret) in OURS {
        home = home.with(name, secret);
    }
    Ok(home)
}

#[tokio::test(flavor = "multi_thread")]
async fn s14_what_a_node_writes_holds_no_secret() -> Result<()> {
    let database = TestDb::empty().await?;
    let rules = SmtpRules {
        login: Some(SMTP_LOGIN),
        ..SmtpRules::default()
    };
    let mailbox = SmtpServer::start(rules).await?;
    let (twilio, phone) = twilio().await?;
    let home = home(&database, &mailbox, &twilio)?;
    let node = home.start().await?;
    let ours = OURS.into_iter().chain([
        ("the password of the database", "database-password"),
        (
            "the password of the mail server",
            "smtp-password-of-this-test",
        ),
        ("a password", PASSWORD),
        ("a second password", SECOND_PASSWORD),
        ("a mistyped password", MISTYPED),
        ("a PIN", PIN),
    ]);
    let mut visit = Visit {
        node: &node,
        home: &home,
        mailbox: &mailbox,
        phone,
        letters: 0,
        texts: 0,
        secrets: ours
            .map(|(name, secret)| Secret::new(name, secret))
            .collect(),
        refusals: String::new(),
    };
    let me = visit.signs_up_and_in().await.context("signing up and in")?;
    visit.comes_by_phone().await.context("coming by phone")?;
    visit.proves_twice(&me).await.context("two factors")?;
    let me = visit.refreshes(me).await.context("refreshing")?;
    visit
        .holds_other_secrets(&me)
        .await
        .context("other secrets")?;
    visit.misplaces(&me).await.context("misplacing")?;
    visit.exports(&me).await.context("exporting")?;
    visit.resets().await.context("resetting")?;
    let metrics = node
        .client
        .call("GET", "/metrics", (), Value::Null)
        .await?
        .expect(200)?;
    let (secrets, refusals) = (visit.secrets, visit.refusals);
    node.stop()?;

    let mut places = dump(&database.url())?;
    places.extend(files(home.path())?);
    places.push(Place::new("the metrics", &metrics.body));
    places.push(Place::new("the refusals", refusals.as_bytes()));
    for expected in ["node.log", "/objects/", "the database"] {
        let there = places
            .iter()
            .any(|place| place.name.contains(expected) && !place.text.is_empty());
        ensure!(there, "nothing was written to {expected}");
    }
    let log = places.iter().find(|place| place.name.ends_with("node.log"));
    ensure!(
        log.is_some_and(|log| log.text.contains("request done")),
        "the log is not complete"
    );
    ensure!(secrets.len() > 40, "{} secrets", secrets.len());
    let found = leaks(&secrets, &places);
    ensure!(found.is_empty(), "{found:#?}");
    planted(&database, &home, &secrets).await
}

/// The control: what is put there is found.
async fn planted(database: &TestDb, home: &Home, secrets: &[Secret]) -> Result<()> {
    let secret = Secret::new("a password", PASSWORD);
    let spellings = secret.spellings();
    ensure!(secrets.iter().any(|one| one.spellings() == spellings));
    let script = format!(
        "CREATE TABLE public.planted AS SELECT '{PASSWORD}'::text AS plain;
         CREATE TABLE public.sown AS SELECT convert_to('xx{PASSWORD}', 'UTF8') AS bytes;"
    );
    database.script(&script).await?;
    std::fs::write(
        home.path().join("data/objects/planted"),
        format!("x{PASSWORD}"),
    )?;
    let mut places = dump(&database.url())?;
    places.extend(files(home.path())?);
    let found = leaks(&[secret], &places);
    ensure!(found.len() == 3, "{found:?}");
    Ok(())
}
