//! `otp`: logins by a code that went to a telephone number, each the first of its number, so each
//! makes an account. Needs a server whose codes are fixed, as development mode has it. A window ends
//! with the last code; every code logs in once.

use anyhow::Context;
use kernel::{SystemRng, rng};
use serde_json::{Value, json};

use super::Ground;
use super::calls::Rounds;
use crate::calls::{Caller, Judgement};
use crate::http::{self, Response, Target};

/// The code of development mode.
const CODE: &str = "123456";
const LANES: usize = 8;
/// Codes of a window.
const CODES: usize = 300;

pub(super) fn run(ground: &mut Ground<'_>) -> anyhow::Result<()> {
    let lanes = ground.options.connections.unwrap_or(LANES);
    let mut rounds = Rounds::new(ground, lanes)?;
    for _ in 0..ground.options.rounds {
        let mut codes = Codes::sent(ground)?;
        rounds.begin();
        let (mut called, between) = rounds.window(ground, ("right code", lanes), &mut codes)?;
        called.dup = codes.people_twice();
        rounds.report(ground, (called, between))?;
    }
    Ok(())
}

/// Codes that were sent and not used.
#[derive(Debug, Default)]
struct Codes {
    handles: Vec<String>,
    people: Vec<String>,
}

impl Codes {
    /// Asks for a code for each of so many new numbers.
    fn sent(ground: &mut Ground<'_>) -> anyhow::Result<Self> {
        let mut codes = Codes::default();
        let first = 1_000_000 + rng::below(&SystemRng, 8_000_000);
        for number in (first..).take(ground.options.users.unwrap_or(CODES)) {
            let wish = json!({
                "channel": "sms",
                "phone_number": format!("+90532{number}"),
                "purpose": "login",
            });
            let answer = ground.setup.post("/v1/auth/otp", &wish)?;
            let body = answer.json();
            let handle = body.get("handle").and_then(Value::as_str);
            let handle = handle.with_context(|| {
                format!("a code was asked for: {} {}", answer.status, answer.json())
            })?;
            codes.handles.push(handle.to_owned());
        }
        Ok(codes)
    }

    /// How many logins were of somebody whom another code had logged in.
    fn people_twice(&mut self) -> u64 {
        let all = self.people.len();
        self.people.sort_unstable();
        self.people.dedup();
        crate::num::count(all - self.people.len())
    }
}

impl Caller for Codes {
    fn next(&mut self, target: &Target, _lane: usize) -> Option<Vec<u8>> {
        let handle = self.handles.pop()?;
        let body = json!({"handle": handle, "otp_code": CODE}).to_string();
        Some(http::request(
            target,
            "POST",
            "/v1/auth/otp/verify",
            None,
            Some(&body),
        ))
    }

    fn judge(&mut self, _lane: usize, response: &Response) -> anyhow::Result<Judgement> {
        let judgement = Judgement::by_status(response, 200)?;
        if judgement == Judgement::Done {
            let body = response.json();
            let token = body.get("access_token").and_then(Value::as_str);
            let claims = crate::jwt::claims(token.context("a login without its token")?)?;
            let who = claims.get("sub").and_then(Value::as_str);
            self.people
                .push(who.context("a token of nobody")?.to_owned());
        }
        Ok(judgement)
    }
}
