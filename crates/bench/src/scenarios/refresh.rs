//! `refresh`: rotations of refresh tokens, one under way and then many. Each connection is a device
//! with a chain of tokens. A token's generation tells how often its chain was exchanged, so each
//! exchange must raise it by one: more is a successor that nobody got, less is one given twice.

use anyhow::Context;
use serde_json::{Value, json};

use super::Ground;
use super::calls::Rounds;
use crate::calls::{Caller, Judgement};
use crate::http::{self, Response, Target};
use crate::jwt;

/// Chains exchanged at the same time, in two windows.
const LANES: [(&str, usize); 2] = [("one at a time", 1), ("32 at a time", 32)];
const PATH: &str = "/v1/auth/refresh";

pub(super) fn run(ground: &mut Ground<'_>) -> anyhow::Result<()> {
    let chosen = ground.options.connections.map(|lanes| ("as chosen", lanes));
    let windows = chosen.map_or_else(|| LANES.to_vec(), |window| vec![window]);
    let most = windows.iter().map(|(_, lanes)| *lanes).max().unwrap_or(1);
    let mut chains = Chains::default();
    for _ in 0..most {
        let person = ground.setup.sign_up()?;
        chains.all.push(Chain::new(person.refresh_token)?);
    }
    let mut rounds = Rounds::new(ground, most)?;
    rounds.warm(ground, most, &mut chains)?;
    chains.settle(ground)?;
    let count = windows.len() * usize::try_from(ground.options.rounds)?;
    for (number, window) in windows.iter().cycle().take(count).enumerate() {
        if number % windows.len() == 0 {
            rounds.begin();
        }
        let (mut called, between) = rounds.window(ground, *window, &mut chains)?;
        (called.lost, called.dup) = chains.settle(ground)?;
        if number + 1 == count {
            called.dup += chains.end(ground)?;
        }
        rounds.report(ground, (called, between))?;
    }
    Ok(())
}

/// The tokens of one device.
#[derive(Debug)]
struct Chain {
    live: String,
    /// The one that was exchanged for the live one.
    spent: Option<String>,
    generation: i64,
}

impl Chain {
    fn new(live: String) -> anyhow::Result<Self> {
        let generation = generation(&live)?;
        Ok(Chain {
            live,
            spent: None,
            generation,
        })
    }
}

#[derive(Debug, Default)]
struct Chains {
    all: Vec<Chain>,
    exchanges: u64,
    lost: u64,
    dup: u64,
}

impl Caller for Chains {
    fn next(&mut self, target: &Target, lane: usize) -> Option<Vec<u8>> {
        let chain = self.all.get(lane)?;
        self.exchanges += 1;
        // A call that has to be sent again over a new connection gets the same successor.
        let attempt = format!("bench-{:020}", self.exchanges);
        let body = json!({"refresh_token": chain.live, "attempt_id": attempt}).to_string();
        Some(http::request(target, "POST", PATH, None, Some(&body)))
    }

    fn judge(&mut self, lane: usize, response: &Response) -> anyhow::Result<Judgement> {
        let judgement = Judgement::by_status(response, 200)?;
        if judgement == Judgement::Done {
            self.advance(lane, &response.json())?;
        }
        Ok(judgement)
    }
}

impl Chains {
    fn advance(&mut self, lane: usize, answer: &Value) -> anyhow::Result<()> {
        let token = answer.get("refresh_token").and_then(Value::as_str);
        let token = token.context("an exchange without a successor")?;
        let chain = self.all.get_mut(lane).context("no such chain")?;
        let generation = generation(token)?;
        let raised = generation.saturating_sub(chain.generation);
        self.lost += u64::try_from(raised.saturating_sub(1)).unwrap_or(0);
        self.dup += u64::from(raised < 1);
        chain.generation = generation;
        chain.spent = Some(std::mem::replace(&mut chain.live, token.to_owned()));
        Ok(())
    }

    /// Exchanges every live token once more, because only that shows that it is the live one. Gives
    /// what was lost and doubled since the last time.
    fn settle(&mut self, ground: &mut Ground<'_>) -> anyhow::Result<(u64, u64)> {
        for lane in 0..self.all.len() {
            let Some(chain) = self.all.get(lane) else {
                continue;
            };
            let answer = ground
                .setup
                .post(PATH, &json!({"refresh_token": chain.live}))?;
            if answer.status == 200 {
                self.advance(lane, &answer.json())?;
            } else {
                self.lost += 1;
            }
        }
        Ok((
            std::mem::take(&mut self.lost),
            std::mem::take(&mut self.dup),
        ))
    }

    /// Shows every chain's spent token, which ends the chain: a successor would be a second one.
    fn end(&mut self, ground: &mut Ground<'_>) -> anyhow::Result<u64> {
        let mut second = 0;
        for chain in self.all.drain(..) {
            let Some(spent) = chain.spent else { continue };
            let answer = ground.setup.post(PATH, &json!({"refresh_token": spent}))?;
            second += u64::from(answer.status == 200);
        }
        Ok(second)
    }
}

/// How often the chain of a refresh token was exchanged.
fn generation(token: &str) -> anyhow::Result<i64> {
    let claims = jwt::claims(token)?;
    let generation = claims.get("gen").and_then(Value::as_i64);
    generation.context("a refresh token without its generation")
}
