//! People, their tokens and their logins, as far as the generator calls for them.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::UserId;
use serde_json::{Value, json};

use crate::server::{Request, header};

/// Mistakes, each at every nth occasion.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AccountFaults {
    /// Makes a successor of which nobody is told, and one of that.
    pub(crate) skip_successor: Option<u64>,
    /// Gives a successor of the same generation as the token it is for.
    pub(crate) repeat_generation: Option<u64>,
    /// Exchanges tokens that were exchanged before.
    pub(crate) second_successor: bool,
    /// Has no room.
    pub(crate) full: Option<u64>,
    pub(crate) throttle: Option<u64>,
    /// Lets everybody in.
    pub(crate) any_password: bool,
    /// Takes every number for the same person's.
    pub(crate) one_person: bool,
}

#[derive(Default)]
pub(crate) struct Accounts {
    last_user: i64,
    passwords: HashMap<String, String>,
    /// Access tokens that were given out.
    given: HashSet<String>,
    /// Generation by refresh token.
    live: HashMap<String, i64>,
    spent: HashMap<String, i64>,
    handles: HashMap<String, i64>,
    calls: u64,
}

impl Accounts {
    /// Status and body.
    pub(crate) fn answer(&mut self, faults: &AccountFaults, request: &Request) -> (u16, Value) {
        self.calls += 1;
        let calls = self.calls;
        let due = |every: Option<u64>| every.is_some_and(|every| calls.is_multiple_of(every));
        let limited = matches!(
            request.path.as_str(),
            "/v1/auth/refresh" | "/v1/auth/login" | "/v1/auth/otp/verify"
        );
        if limited && due(faults.full) {
            return (503, json!({"retry_after": 0.01}));
        }
        if limited && due(faults.throttle) {
            return (429, json!({"retry_after": 0.01}));
        }
        let text = |name: &str| request.body[name].as_str().unwrap_or_default().to_owned();
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/.well-known/jwks.json") => (200, keys()),
            ("GET", "/v1/users/@me") => {
                let authorization = header(request, "authorization");
                let token = authorization.strip_prefix("Bearer ").unwrap_or_default();
                let status = if self.given.contains(token) { 200 } else { 401 };
                (status, json!({}))
            }
            ("POST", "/v1/auth/registrations") => {
                self.passwords.insert(text("username"), text("password"));
                (201, self.logged_in(None))
            }
            ("POST", "/v1/auth/login") => {
                let known = self.passwords.get(&text("identifier"));
                if faults.any_password || known == Some(&text("password")) {
                    (200, self.logged_in(None))
                } else {
                    (401, json!({"code": "INVALID_CREDENTIALS"}))
                }
            }
            ("POST", "/v1/auth/otp") => {
                assert!(text("phone_number").starts_with("+90532"));
                let handle = format!("handle{calls}");
                self.last_user += 1;
                self.handles.insert(handle.clone(), self.last_user);
                (202, json!({ "handle": handle }))
            }
            ("POST", "/v1/auth/otp/verify") => {
                assert_eq!(text("otp_code"), "123456");
                match self.handles.remove(&text("handle")) {
                    Some(_) if faults.one_person => (200, self.logged_in(Some(7))),
                    Some(user) => (200, self.logged_in(Some(user))),
                    None => (401, json!({"code": "OTP_INVALID"})),
                }
            }
            ("POST", "/v1/auth/refresh") => self.refresh(faults, &text("refresh_token"), due),
            other => panic!("unexpected call {other:?}"),
        }
    }

    fn refresh(
        &mut self,
        faults: &AccountFaults,
        token: &str,
        due: impl Fn(Option<u64>) -> bool,
    ) -> (u16, Value) {
        let spent = self.spent.get(token).copied();
        let again = spent.filter(|_| faults.second_successor);
        let Some(generation) = self.live.remove(token).or(again) else {
            return (401, json!({"code": "REFRESH_INVALID"}));
        };
        self.spent.insert(token.to_owned(), generation);
        let next = if due(faults.skip_successor) {
            generation + 2
        } else if due(faults.repeat_generation) {
            generation
        } else {
            generation + 1
        };
        (
            200,
            json!({"access_token": "x.e30.y", "refresh_token": self.refresh_token(next)}),
        )
    }

    fn logged_in(&mut self, user: Option<i64>) -> Value {
        self.last_user += 1;
        let user = user.unwrap_or(self.last_user);
        let access = testkit::http::token(UserId::new(user)).unwrap();
        self.given.insert(access.clone());
        json!({"access_token": access, "refresh_token": self.refresh_token(1)})
    }

    fn refresh_token(&mut self, generation: i64) -> String {
        let unique = self.live.len() + self.spent.len();
        let claims = json!({"gen": generation, "jti": unique, "calls": self.calls});
        let token = format!("x.{}.y", URL_SAFE_NO_PAD.encode(claims.to_string()));
        self.live.insert(token.clone(), generation);
        token
    }
}

fn keys() -> Value {
    let key = testkit::http::public_key().unwrap();
    json!({"keys": [{"kid": key.kid, "x": URL_SAFE_NO_PAD.encode(key.ed25519)}]})
}
