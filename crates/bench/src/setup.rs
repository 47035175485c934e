//! What a scenario needs on the server, made through the public API as people would make it.

use std::rc::Rc;

use anyhow::{Context, bail};
use kernel::{SystemRng, rng};
use serde_json::{Value, json};

use crate::http::{Client, Response};

/// A person.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    /// The bare token, for IDENTIFY.
    pub(crate) token: Rc<str>,
    /// The whole `Authorization` value.
    pub(crate) authorization: String,
    /// The username.
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) refresh_token: String,
}

/// Makes things.
pub(crate) struct Setup {
    client: Client,
    /// Keeps the names of one run apart from those of another.
    tag: String,
    people: usize,
    said: usize,
}

impl Setup {
    /// Nothing is made yet.
    pub(crate) fn new(client: Client) -> Self {
        let tag: String = rng::bytes::<5>(&SystemRng)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Setup {
            client,
            tag,
            people: 0,
            said: 0,
        }
    }

    /// Signs a person up. Works in development mode only, where no e-mail has to be proved.
    pub(crate) fn sign_up(&mut self) -> anyhow::Result<Account> {
        self.people += 1;
        let name = format!("bench{}{}", self.tag, self.people);
        let password = format!("bench {}", rng::token::<15>(&SystemRng));
        let body = json!({
            "email": format!("{name}@example.com"),
            "password": password,
            "username": name,
            "display_name": format!("Bench {}", self.people),
        });
        let answer = self
            .make("/v1/auth/registrations", None, &body)
            .context("signing up (a server started with --server has a limit wide enough)")?;
        let given = |name: &str| {
            let found = answer.get(name).and_then(Value::as_str);
            found.with_context(|| {
                format!("signing up gave no {name}: is the server in development mode?")
            })
        };
        let token = given("access_token")?;
        Ok(Account {
            token: Rc::from(token),
            authorization: format!("Bearer {token}"),
            refresh_token: given("refresh_token")?.to_owned(),
            name,
            password,
        })
    }

    /// Calls without a credential, and gives whatever is answered.
    pub(crate) fn post(&mut self, path: &str, body: &Value) -> anyhow::Result<Response> {
        self.client.call("POST", path, None, Some(body))
    }

    /// The same without a body.
    pub(crate) fn get(&mut self, path: &str) -> anyhow::Result<Response> {
        self.client.call("GET", path, None, None)
    }

    /// Makes a community and gives its id.
    pub(crate) fn community(&mut self, owner: &Account) -> anyhow::Result<String> {
        let body = json!({"name": format!("bench {}", self.tag)});
        id(&self.make("/api/v10/guilds", Some(&owner.authorization), &body)?)
    }

    /// Makes a text channel and gives its id.
    pub(crate) fn channel(
        &mut self,
        owner: &Account,
        community: &str,
        name: &str,
    ) -> anyhow::Result<String> {
        let path = format!("/api/v10/guilds/{community}/channels");
        let body = json!({"name": name, "type": 0});
        id(&self.make(&path, Some(&owner.authorization), &body)?)
    }

    /// Makes an invite to a channel and gives its code.
    pub(crate) fn invite(&mut self, owner: &Account, channel: &str) -> anyhow::Result<String> {
        let path = format!("/api/v10/channels/{channel}/invites");
        let body = json!({"max_age": 0, "max_uses": 0});
        let made = self.make(&path, Some(&owner.authorization), &body)?;
        made.get("code")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .context("an invite came without its code")
    }

    /// Lets a person join.
    pub(crate) fn join(&mut self, person: &Account, code: &str) -> anyhow::Result<()> {
        let path = format!("/api/v10/invites/{code}");
        self.make(&path, Some(&person.authorization), &json!({}))
            .map(drop)
    }

    /// Sends a message.
    pub(crate) fn say(&mut self, person: &Account, channel: &str) -> anyhow::Result<()> {
        self.said += 1;
        let path = format!("/api/v10/channels/{channel}/messages");
        let body = json!({
            "content": format!("{:.<96}", self.said),
            "nonce": format!("say{}", self.said),
            "enforce_nonce": true,
        });
        self.make(&path, Some(&person.authorization), &body)
            .map(drop)
    }

    /// Messages of a channel: all, oldest first, as `(id, content)`.
    pub(crate) fn messages(
        &mut self,
        reader: &Account,
        channel: &str,
    ) -> anyhow::Result<Vec<(u64, String)>> {
        let mut all = Vec::new();
        let mut before = String::new();
        loop {
            let path = format!("/api/v10/channels/{channel}/messages?limit=100{before}");
            let answer = self
                .client
                .call("GET", &path, Some(&reader.authorization), None)?;
            if answer.status != 200 {
                bail!("GET {path}: {} {}", answer.status, answer.json());
            }
            let page = answer.json();
            let page = page
                .as_array()
                .context("a page of messages is not a list")?;
            for message in page {
                let content = message.get("content").and_then(Value::as_str);
                all.push((
                    id(message)?.parse()?,
                    content.unwrap_or_default().to_owned(),
                ));
            }
            let Some((oldest, _)) = all.last().filter(|_| page.len() == 100) else {
                all.reverse();
                return Ok(all);
            };
            before = format!("&before={oldest}");
        }
    }

    fn make(&mut self, path: &str, who: Option<&str>, body: &Value) -> anyhow::Result<Value> {
        let answer = self.client.call("POST", path, who, Some(body))?;
        if !(200..300).contains(&answer.status) {
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            bail!("POST {path}: {} {text}", answer.status);
        }
        Ok(answer.json())
    }
}

fn id(made: &Value) -> anyhow::Result<String> {
    made.get("id")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .context("what was made has no id")
}
