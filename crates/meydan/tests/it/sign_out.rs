//! S10: whoever logs out everywhere, is disabled or chooses a new password is out on every surface.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rpc::messages::LogoutAllDevicesRequest;
use serde_json::{Value, json};
use testkit::TestDb;
use testkit::http::Credential;
use testkit::servers::Postgres;

use crate::everywhere::{Everywhere, password};
use crate::node::{Home, Node, Person, text, within};

/// How soon a login is dead on a node that hears of it from the fanout, and on one that does not.
const AT_ONCE: Duration = Duration::from_secs(1);
const BY_PULL: Duration = Duration::from_secs(5);

/// How a login ends.
#[derive(Clone, Copy, Debug)]
enum Way {
    LogOutAll,
    FromPage,
    OverGrpc,
    Disabled,
    Reset,
}

impl Way {
    /// Ends every login of somebody at `node`.
    async fn go(self, node: &Node, root: &Person, who: &mut Everywhere) -> Result<()> {
        let (client, path) = (&node.client, "/v1/auth/logout-all");
        let reply = match self {
            Way::LogOutAll => {
                client
                    .call("POST", path, who.person.credential(), json!({}))
                    .await?
            }
            Way::FromPage => who.page.call(node, "POST", path, json!({})).await?,
            Way::OverGrpc => {
                let access_token = who.person.token.clone();
                let request = LogoutAllDevicesRequest { access_token };
                let done = who.grpc.logout_all_devices(request).await?.into_inner();
                ensure!(done.success);
                return Ok(());
            }
            Way::Disabled => {
                let path = format!("/v1/users/{}/disable", who.person.id);
                let body = json!({"reason": "a test of what follows"});
                client.call("POST", &path, root.credential(), body).await?
            }
            Way::Reset => return reset(node, &who.name).await,
        };
        reply.expect(204).map(drop)
    }
}

/// Chooses a new password by the link of a letter.
async fn reset(node: &Node, name: &str) -> Result<()> {
    let (client, path) = (&node.client, "/v1/auth/password-resets");
    let body = json!({"identifier": name});
    client.call("POST", path, (), body).await?.expect(202)?;
    let to = format!("{name}@example.com");
    let letter = async {
        loop {
            let sent = client
                .call("GET", "/dev/outbox.json", (), Value::Null)
                .await?;
            let letters = sent.json.as_array().cloned().unwrap_or_default();
            if let Some(letter) = letters.iter().find(|letter| letter["to"] == to) {
                return Ok(letter["text"].as_str().unwrap_or_default().to_owned());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let letter = within("the letter is sent", Duration::from_secs(10), letter).await?;
    let (_, token) = letter.split_once("/auth/reset#").context("a link")?;
    let token = token.split_whitespace().next().unwrap_or_default();
    let body = json!({"token": token, "new_password": "yeşil bisiklet inişi"});
    let path = format!("{path}/confirm");
    client.call("POST", &path, (), body).await?.expect(204)?;
    Ok(())
}

async fn superadmin(home: &Home, node: &Node) -> Result<Person> {
    let root = node.sign_up("root").await?;
    let output = home.run(&["admin", "promote", "root"])?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    Ok(root)
}

#[tokio::test(flavor = "multi_thread")]
async fn s10_every_surface_is_dead_within_a_second() -> Result<()> {
    let home = Home::new("out")?.with_grpc()?;
    let node = home.start().await?;
    let root = superadmin(&home, &node).await?;
    let mut bystander = Everywhere::of("bystander", &node, (&home, &node)).await?;
    for (number, way) in [
        Way::LogOutAll,
        Way::FromPage,
        Way::OverGrpc,
        Way::Disabled,
        Way::Reset,
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("person{number}");
        let mut who = Everywhere::of(&name, &node, (&home, &node)).await?;
        who.is_alive(&node).await?;
        way.go(&node, &root, &mut who)
            .await
            .with_context(|| format!("{way:?}"))?;
        who.dies(&node, AT_ONCE)
            .await
            .with_context(|| format!("{way:?}"))?;
    }
    bystander.is_alive(&node).await?;
    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn s10_without_the_fanout_every_surface_of_another_node_is_dead_within_five_seconds()
-> Result<()> {
    let database = TestDb::empty().await?;
    let [here, there] = Home::pair(&database.url())?;
    let (node, other) = (here.start().await?, there.start().await?);
    let root = superadmin(&here, &node).await?;
    let mut bystander = Everywhere::of("bystander", &node, (&there, &other)).await?;
    for (number, way) in [Way::LogOutAll, Way::Disabled, Way::Reset]
        .into_iter()
        .enumerate()
    {
        let name = format!("person{number}");
        let mut who = Everywhere::of(&name, &node, (&there, &other)).await?;
        who.is_alive(&other).await?;
        way.go(&node, &root, &mut who)
            .await
            .with_context(|| format!("{way:?}"))?;
        who.dies(&other, BY_PULL)
            .await
            .with_context(|| format!("{way:?}"))?;
    }
    // The operator's command is a process of its own.
    let mut who = Everywhere::of("signed_out", &node, (&there, &other)).await?;
    who.is_alive(&other).await?;
    let output = here.run(&["admin", "sign-out", "signed_out"])?;
    ensure!(output.status.success());
    who.dies(&other, BY_PULL).await.context("admin sign-out")?;
    bystander.is_alive(&other).await?;
    node.stop()?;
    other.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn s10_while_the_database_of_identity_is_away_nobody_is_logged_out() -> Result<()> {
    let mut postgres = Postgres::start(&[]).await?;
    let home = Home::new("away")?
        .on(&postgres.url("postgres"))
        .with_grpc()?;
    let node = home.start().await?;
    let mut ayse = Everywhere::of("ayse", &node, (&home, &node)).await?;
    ayse.is_alive(&node).await?;
    let body = json!({"name": "a program", "scopes": ["users:read"], "expires_in_days": 1});
    let path = "/v1/users/@me/api-keys";
    let made = node
        .client
        .call("POST", path, ayse.person.credential(), body)
        .await?;
    let key = format!("Bearer {}", text(&made.expect(201)?.json["key"]));
    postgres.stop()?;
    // For five seconds what was known of revocations is believed; then nobody is let in.
    let refused = ayse.resumes_until_refused(&node);
    within("nobody is let in", BY_PULL, refused).await?;
    ayse.waits(&node).await?;
    for credential in [key, "Bot anything".to_owned()] {
        let credential = Credential::Header(credential);
        let reply = node
            .client
            .call("GET", "/api/v10/users/@me", credential, Value::Null)
            .await?;
        ensure!(reply.status == 503, "{}", reply.status);
    }
    postgres.start_again().await?;
    let back = async {
        while ayse.is_alive(&node).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    };
    within("everything works again", Duration::from_secs(20), back).await?;
    let body = json!({"identifier": "ayse", "password": password("ayse")});
    node.client
        .call("POST", "/v1/auth/login", (), body)
        .await?
        .expect(200)?;
    node.stop()
}
