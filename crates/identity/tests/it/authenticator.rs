//! An authenticator app for tests.

use serde_json::{Value, json};
use testkit::http::Reply;
use totp_rs::{Builder, Secret, Totp};

use crate::harness::{House, PASSWORD, Session};
use kernel::Clock as _;

/// Seconds for which a code is shown.
pub(crate) const STEP_S: u64 = 30;

/// An app that is set up with an account.
pub(crate) struct App {
    totp: Totp,
    /// The recovery codes that came with it.
    pub(crate) recovery: Vec<String>,
}

impl App {
    /// An app with the secret that a set-up answered.
    pub(crate) fn of(begun: &Reply) -> Self {
        let secret = Secret::try_from_base32(begun.json["secret"].as_str().unwrap()).unwrap();
        let builder = Builder::new().with_secret(secret).with_account_name("test");
        App {
            totp: builder.build().unwrap(),
            recovery: Vec::new(),
        }
    }

    /// The code it shows now.
    pub(crate) fn code(&self, house: &House) -> String {
        let now = u64::try_from(house.clock.now().as_second()).unwrap();
        self.totp.generate(now).to_string()
    }

    /// The code it shows after the one that was used.
    pub(crate) fn next_code(&self, house: &House) -> String {
        house.wait(STEP_S);
        self.code(house)
    }

    /// A code that fits nothing now.
    pub(crate) fn wrong_code(&self, house: &House) -> String {
        let now = u64::try_from(house.clock.now().as_second()).unwrap();
        let near = [now - STEP_S, now, now + STEP_S].map(|at| self.totp.generate(at).to_string());
        let codes = (0..10).map(|digit| digit.to_string().repeat(6));
        codes.into_iter().find(|code| !near.contains(code)).unwrap()
    }
}

impl House {
    /// Sets an authenticator app up. Its last used code is the one it shows now.
    pub(crate) async fn turn_totp_on(&self, session: &Session) -> App {
        let path = "/v1/users/@me/totp";
        let begun = self.call("POST", path, &session.access, Value::Null).await;
        let mut app = App::of(&begun.expect(201).unwrap());
        let code = json!({"code": app.code(self)});
        let on = self.call("PUT", path, &session.access, code).await;
        app.recovery = recovery_codes(&on.expect(200).unwrap());
        app
    }

    /// The first request of a login that needs two: its token.
    pub(crate) async fn begin_login(&self, name: &str) -> String {
        let body = json!({"identifier": name, "password": PASSWORD});
        let reply = self.post("/v1/auth/login", body).await;
        assert_eq!(reply.json["code"], "SECOND_FACTOR_REQUIRED");
        reply.json["mfa_token"].as_str().unwrap().to_owned()
    }

    /// The second request.
    pub(crate) async fn finish_login(&self, token: &str, method: &str, code: &str) -> Reply {
        let body = json!({"mfa_token": token, "method": method, "code": code});
        self.post("/v1/auth/login/second-factor", body).await
    }

    /// A login of two requests.
    pub(crate) async fn log_in_with(&self, name: &str, method: &str, code: &str) -> Reply {
        let token = self.begin_login(name).await;
        self.finish_login(&token, method, code).await
    }
}

/// The codes of an answer.
pub(crate) fn recovery_codes(reply: &Reply) -> Vec<String> {
    let codes = reply.json["recovery_codes"].as_array().unwrap();
    codes
        .iter()
        .map(|code| code.as_str().unwrap().to_owned())
        .collect()
}
