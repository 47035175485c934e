//! Somebody who does everything that has to do with a secret.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use rpc::messages::{RefreshTokenRequest, ValidateTokenRequest, VerifyOtpRequest};
use serde_json::{Value, json};
use testkit::gateway::Gateway;
use testkit::http::{Credential, Reply};
use testkit::servers::SmtpServer;
use totp_rs::{Builder, Totp};

use super::{ADMIN_PASSWORD, MISTYPED, PASSWORD, PIN, Phone, SECOND_PASSWORD};
use crate::everywhere::{Page, grpc};
use crate::leaks::Secret;
use crate::node::{Home, Node, Person, person, text, within};

const PHONE: &str = "+905321234567";
const SOON: Duration = Duration::from_secs(30);

/// Somebody who does everything, and remembers what nobody may read.
pub(super) struct Visit<'a> {
    pub(super) node: &'a Node,
    pub(super) home: &'a Home,
    pub(super) mailbox: &'a SmtpServer,
    pub(super) phone: Phone,
    pub(super) letters: usize,
    pub(super) texts: usize,
    pub(super) secrets: Vec<Secret>,
    /// What was answered to what went wrong.
    pub(super) refusals: String,
}

impl Visit<'_> {
    fn keep(&mut self, name: &str, secret: &str) -> String {
        assert!(secret.len() >= 6, "{name} is no secret: {secret:?}");
        self.secrets.push(Secret::new(name, secret));
        secret.to_owned()
    }

    fn keep_pair(&mut self, name: &str, reply: &Reply) -> Result<Person> {
        let pair = person(reply)?;
        for token in [&pair.token, &pair.refresh] {
            // Any two of its three parts are harmless without the last.
            let signature = token.rsplit('.').next().unwrap_or_default();
            self.keep(&format!("a token of {name}"), token);
            self.keep(&format!("the signature of a token of {name}"), signature);
        }
        Ok(pair)
    }

    async fn call(
        &mut self,
        method: &str,
        path: &str,
        who: impl Into<Credential>,
        body: Value,
    ) -> Result<Reply> {
        let reply = self.node.client.call(method, path, who, body).await?;
        if !reply.status.is_success() {
            let body = String::from_utf8_lossy(&reply.body);
            self.refusals
                .push_str(&format!("{method} {path}: {body}\n"));
        }
        Ok(reply)
    }

    async fn post(&mut self, path: &str, body: Value) -> Result<Reply> {
        self.call("POST", path, (), body).await
    }

    /// The next letter.
    async fn letter(&mut self) -> Result<String> {
        let (mailbox, number) = (self.mailbox, self.letters);
        self.letters += 1;
        let arrives = async {
            loop {
                if let Some(letter) = mailbox.arrived()?.get(number) {
                    return Ok(letter.text.clone());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        within("a letter arrives", SOON, arrives).await
    }

    /// The code in the next text.
    async fn text_code(&mut self) -> Result<String> {
        let (phone, number) = (Arc::clone(&self.phone), self.texts);
        self.texts += 1;
        let arrives = async {
            loop {
                if let Some(text) = phone.lock().unwrap().get(number) {
                    return code(text);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        within("a text arrives", SOON, arrives).await
    }

    /// The part of the link in the next letter that is a secret.
    async fn link(&mut self, name: &str) -> Result<String> {
        let letter = self.letter().await?;
        let (_, token) = letter.split_once("/auth/").context("a link")?;
        let (_, token) = token.split_once('#').context("a token in the link")?;
        let token = token.split_whitespace().next().unwrap_or_default();
        Ok(self.keep(name, token))
    }

    pub(super) async fn signs_up_and_in(&mut self) -> Result<Person> {
        let body = json!({
            "email": "ayse@example.com", "password": PASSWORD, "username": "ayse",
            "display_name": "Ayşe", "consents": [],
        });
        self.post("/v1/auth/registrations", body)
            .await?
            .expect(202)?;
        let token = self.link("the link of a sign-up").await?;
        let path = "/v1/auth/registrations/confirm";
        let confirmed = self
            .post(path, json!({"token": token}))
            .await?
            .expect(201)?;
        self.keep_pair("a sign-up", &confirmed)?;
        self.post(path, json!({"token": token}))
            .await?
            .expect(401)?;

        for password in [MISTYPED, PASSWORD] {
            let body = json!({"identifier": "ayse", "password": password});
            let reply = self.post("/v1/auth/login", body).await?;
            if password == PASSWORD {
                self.keep_pair("a login", &reply.expect(200)?)?;
            }
        }
        let sent = json!({"channel": "email", "email": "ayse@example.com", "purpose": "login"});
        let asked = self.post("/v1/auth/otp", sent).await?.expect(202)?;
        let handle = self.keep("the handle of a code", &text(&asked.json["handle"]));
        let code = code(&self.letter().await?)?;
        self.keep("a code by e-mail", &code);
        let wrong = if code == "111111" { "222222" } else { "111111" };
        for tried in [wrong, &code] {
            let body = json!({"handle": handle, "otp_code": tried});
            let reply = self.post("/v1/auth/otp/verify", body).await?;
            if tried == code {
                self.keep_pair("a login by code", &reply.expect(200)?)?;
            }
        }
        let email = json!({"email": "ayse@example.com"});
        self.post("/v1/auth/magic-links", email)
            .await?
            .expect(202)?;
        let token = self.link("a magic link").await?;
        let path = "/v1/auth/magic-links/consume";
        let reply = self
            .post(path, json!({"token": token}))
            .await?
            .expect(200)?;
        self.keep_pair("a login by link", &reply)
    }

    pub(super) async fn comes_by_phone(&mut self) -> Result<()> {
        let sent = json!({"channel": "sms", "phone_number": PHONE, "purpose": "login"});
        let asked = self.post("/v1/auth/otp", sent).await?.expect(202)?;
        let handle = self.keep("the handle of a text", &text(&asked.json["handle"]));
        let code = self.text_code().await?;
        self.keep("a code by text", &code);
        let mut grpc = grpc(self.home).await?;
        let request = VerifyOtpRequest {
            phone_number: PHONE.to_owned(),
            otp_code: code,
            handle,
            ..VerifyOtpRequest::default()
        };
        let pair = grpc.verify_otp(request).await?.into_inner();
        let access = self.keep("an access token over gRPC", &pair.access_token);
        let refresh_token = self.keep("a refresh token over gRPC", &pair.refresh_token);
        let bearer = Credential::Header(format!("Bearer {access}"));
        let lock = "/v1/users/@me/registration-lock";
        self.call("PUT", lock, bearer, json!({"pin": PIN}))
            .await?
            .expect(204)?;
        for access_token in [access, "no token at all".to_owned()] {
            grpc.validate_token(ValidateTokenRequest { access_token })
                .await?;
        }
        for _ in 0..2 {
            let refresh_token = refresh_token.clone();
            let request = RefreshTokenRequest {
                refresh_token,
                attempt_id: String::new(),
            };
            if let Ok(pair) = grpc.refresh_token(request).await {
                let pair = pair.into_inner();
                self.keep("a next refresh token over gRPC", &pair.refresh_token);
            }
        }
        Ok(())
    }

    /// An authenticator app, recovery codes, and a login with each.
    pub(super) async fn proves_twice(&mut self, me: &Person) -> Result<()> {
        let path = "/v1/users/@me/totp";
        let begun = self
            .call("POST", path, me.credential(), Value::Null)
            .await?
            .expect(201)?;
        let seed = self.keep("the seed of an app", &text(&begun.json["secret"]));
        let secret = totp_rs::Secret::try_from_base32(&seed)
            .ok()
            .context("a seed")?;
        self.keep(
            "the raw seed of an app",
            &String::from_utf8_lossy(secret.as_ref()),
        );
        let app = Builder::new()
            .with_secret(secret)
            .with_account_name("test")
            .build()?;
        let code = self.keep("a code of an app", &shown(&app, 0)?);
        let on = self
            .call("PUT", path, me.credential(), json!({"code": code}))
            .await?;
        let recovery = on.expect(200)?.json["recovery_codes"][0].clone();
        let recovery = self.keep("a recovery code", &text(&recovery));
        // The next one is good already, as clocks differ.
        let code = self.keep("the next code of an app", &shown(&app, 30)?);
        for (method, code) in [("totp", "000000"), ("totp", &code), ("recovery", &recovery)] {
            let body = json!({"identifier": "ayse", "password": PASSWORD});
            let begun = self.post("/v1/auth/login", body).await?.expect(401)?;
            let token = self.keep("the token of half a login", &text(&begun.json["mfa_token"]));
            // That answer has to hold it.
            self.refusals = self.refusals.replace(&token, "");
            let body = json!({"mfa_token": token, "method": method, "code": code});
            let reply = self.post("/v1/auth/login/second-factor", body).await?;
            if code != "000000" {
                self.keep_pair("a login with two factors", &reply.expect(200)?)?;
            }
        }
        Ok(())
    }

    pub(super) async fn refreshes(&mut self, me: Person) -> Result<Person> {
        let path = "/v1/auth/refresh";
        let attempt = "attempt-of-this-test-0123456789";
        let body = json!({"refresh_token": me.refresh, "attempt_id": attempt});
        let next = self.post(path, body).await?.expect(200)?;
        let next = self.keep_pair("a refresh", &next)?;
        self.post(path, json!({"refresh_token": me.refresh}))
            .await?
            .expect(401)?;
        self.post(path, json!({"refresh_token": me.token}))
            .await?
            .expect(401)?;
        Ok(next)
    }

    /// Keys of programs, the session of a page, tickets, sockets, bots.
    pub(super) async fn holds_other_secrets(&mut self, me: &Person) -> Result<()> {
        let body = json!({"name": "a program", "scopes": ["users:read"], "expires_in_days": 1});
        let made = self
            .call("POST", "/v1/users/@me/api-keys", me.credential(), body)
            .await?;
        let key = self.keep("an API key", &text(&made.expect(201)?.json["key"]));
        for credential in [format!("Bearer {key}"), format!("Bearer {key}x"), key] {
            let credential = Credential::Header(credential);
            self.call("GET", "/v1/users/@me", credential, Value::Null)
                .await?;
        }
        let made = self.call(
            "POST",
            "/api/v10/applications",
            me.credential(),
            json!({"name": "Bot"}),
        );
        let bot = text(&made.await?.expect(201)?.json["token"]);
        let bot = self.keep("the token of a bot", &bot);
        for credential in [format!("Bot {bot}"), format!("Bot {bot}x")] {
            let credential = Credential::Header(credential);
            self.call("GET", "/api/v10/users/@me", credential, Value::Null)
                .await?;
        }
        let address = self.node.address;
        for token in [&me.token, &bot] {
            let d = json!({"token": token, "intents": 1});
            Gateway::identify(address, d).await?;
            let mut wrong = Gateway::connect(address).await?;
            wrong
                .send(2, json!({"token": format!("{token}x"), "intents": 1}))
                .await?;
            wrong.closed().await?;
        }
        let root = Page::log_in(self.node, "root@example.com", ADMIN_PASSWORD).await?;
        let (_, cookie) = root.cookie.split_once('=').context("a cookie")?;
        self.keep("a cookie", cookie);
        self.keep("a CSRF token", &root.csrf);
        let ticket = root.ticket(self.node).await?;
        self.keep("a ticket", &ticket);
        let d = json!({"token": ticket, "intents": 1});
        Gateway::identify(address, d.clone()).await?;
        let mut again = Gateway::connect(address).await?;
        again.send(2, d).await?;
        again.closed().await?;
        Ok(())
    }

    /// Secrets where none belong.
    pub(super) async fn misplaces(&mut self, me: &Person) -> Result<()> {
        let query = format!("/v1/users/@me?access_token={}", me.token);
        let reply = self
            .node
            .client
            .call("GET", &query, (), Value::Null)
            .await?
            .expect(401)?;
        self.refusals
            .push_str(&String::from_utf8_lossy(&reply.body));
        for body in [
            json!({"identifier": ["ayse"], "password": PASSWORD}),
            json!({"identifier": "ayse", "passwort": PASSWORD}),
            json!([PASSWORD]),
            json!(PASSWORD),
        ] {
            self.post("/v1/auth/login", body).await?.expect(400)?;
        }
        self.post("/v1/auth/validate", json!({"access_token": me.token}))
            .await?
            .expect(200)?;
        let credential = Credential::Header(format!("Basic {}", me.token));
        self.call("GET", "/v1/users/@me", credential, Value::Null)
            .await?
            .expect(401)?;
        Ok(())
    }

    pub(super) async fn resets(&mut self) -> Result<Person> {
        let identifier = json!({"identifier": "ayse"});
        self.post("/v1/auth/password-resets", identifier)
            .await?
            .expect(202)?;
        // Letters about what happened to the account come between.
        let token = loop {
            let letter = self.letter().await?;
            if let Some((_, token)) = letter.split_once("/auth/reset#") {
                break token
                    .split_whitespace()
                    .next()
                    .unwrap_or_default()
                    .to_owned();
            }
        };
        self.keep("the link of a reset", &token);
        let path = "/v1/auth/password-resets/confirm";
        for password in [SECOND_PASSWORD, SECOND_PASSWORD] {
            let body = json!({"token": token, "new_password": password});
            self.post(path, body).await?;
        }
        let body = json!({"identifier": "ayse", "password": SECOND_PASSWORD});
        let begun = self.post("/v1/auth/login", body).await?.expect(401)?;
        let token = text(&begun.json["mfa_token"]);
        self.refusals = self.refusals.replace(&token, "");
        self.keep("the token of half a login", &token);
        let body = json!({"identifier": "root@example.com", "password": ADMIN_PASSWORD});
        let root = self.post("/v1/auth/login", body).await?.expect(200)?;
        self.keep_pair("the administrator", &root)
    }

    /// A copy of everything, which ends in the object store.
    pub(super) async fn exports(&mut self, me: &Person) -> Result<()> {
        let path = "/v1/users/@me/exports";
        let asked = self
            .call("POST", path, me.credential(), Value::Null)
            .await?
            .expect(202)?;
        let path = format!("{path}/{}", text(&asked.json["id"]));
        let (client, who) = (self.node.client.clone(), me.credential());
        let ready = async {
            loop {
                let found = client.call("GET", &path, who.clone(), Value::Null).await?;
                if found.expect(200)?.json["state"] == "ready" {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        within("the export is ready", Duration::from_secs(60), ready).await
    }
}

/// The first six digits in a row.
fn code(text: &str) -> Result<String> {
    let mut parts = text.split(|c: char| !c.is_ascii_digit());
    let found = parts.find(|part| part.len() == 6);
    Ok(found
        .with_context(|| format!("a code in {text}"))?
        .to_owned())
}

/// What the app shows so many seconds from now.
fn shown(app: &Totp, later: u64) -> Result<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the node beside us has the system's clock, too"
    )]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(app.generate(now.as_secs() + later).to_string())
}
