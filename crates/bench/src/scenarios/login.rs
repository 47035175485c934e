//! `login`: logins with a password, which is a password hash each. First with what does not fit, of
//! a name that exists and of one that does not: both must cost the same. Then those that succeed, and
//! more at once than the server has room for.

use serde_json::json;

use super::Ground;
use super::calls::Rounds;
use crate::call_report::Overload;
use crate::calls::{Caller, Judgement};
use crate::http::{self, Response, Target};
use crate::setup::Account;

/// Logins under way at once, where the server is not to be overloaded.
const LANES: usize = 16;
const USERS: usize = 24;
/// More than hash and wait at once in a server with 64 places and some cores.
const OVERLOAD: usize = 160;

pub(super) fn run(ground: &mut Ground<'_>) -> anyhow::Result<()> {
    let lanes = ground.options.connections.unwrap_or(LANES);
    let people = (0..ground.options.users.unwrap_or(USERS))
        .map(|_| ground.setup.sign_up())
        .collect::<anyhow::Result<Vec<_>>>()?;
    // One name and one password each: many different pairs from one address would be taken for
    // what they look like.
    let known = people.first().map(|person| person.name.clone());
    let mut wrong = Logins::of(known.unwrap_or_default(), "not this one, sorry");
    let mut unknown = Logins::of("nobody.is.called.so".to_owned(), "not this one, sorry");
    let mut right = Logins {
        pairs: people.into_iter().map(Logins::pair).collect(),
        ..Logins::default()
    };
    let mut rounds = Rounds::new(ground, lanes.max(OVERLOAD))?;
    rounds.warm(ground, lanes, &mut right)?;
    for _ in 0..ground.options.rounds {
        rounds.begin();
        for (what, logins) in [
            ("known name, wrong password", &mut wrong),
            ("unknown name", &mut unknown),
            ("right password", &mut right),
        ] {
            let window = rounds.window(ground, (what, lanes), logins)?;
            rounds.report(ground, window)?;
        }
        let what = ("more than there is room for", OVERLOAD);
        let (mut called, between) = rounds.window(ground, what, &mut right)?;
        called.overload = Overload::Wanted;
        rounds.report(ground, (called, between))?;
    }
    Ok(())
}

/// Names and passwords that take turns.
#[derive(Debug, Default)]
struct Logins {
    pairs: Vec<(String, String)>,
    turn: usize,
    answer: Answer,
}

/// What the server has to say to them.
#[derive(Debug, Clone, Copy, Default)]
enum Answer {
    #[default]
    Welcome,
    Refusal,
}

impl Logins {
    fn of(name: String, password: &str) -> Self {
        Logins {
            pairs: vec![(name, password.to_owned())],
            turn: 0,
            answer: Answer::Refusal,
        }
    }

    fn pair(person: Account) -> (String, String) {
        (person.name, person.password)
    }
}

impl Caller for Logins {
    fn next(&mut self, target: &Target, _lane: usize) -> Option<Vec<u8>> {
        let (name, password) = self.pairs.get(self.turn.checked_rem(self.pairs.len())?)?;
        self.turn = self.turn.wrapping_add(1);
        let body = json!({"identifier": name, "password": password}).to_string();
        Some(http::request(
            target,
            "POST",
            "/v1/auth/login",
            None,
            Some(&body),
        ))
    }

    fn judge(&mut self, _lane: usize, response: &Response) -> anyhow::Result<Judgement> {
        let expected = match self.answer {
            Answer::Welcome => 200,
            Answer::Refusal => 401,
        };
        Judgement::by_status(response, expected)
    }
}
