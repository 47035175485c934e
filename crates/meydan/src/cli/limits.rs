//! `meydan limits`.

use clap::Args;

use super::Context;
use super::exit::{Exit, Fail};

const INTRO: &str = "# Limits on attempts\n\n<!-- Made by `meydan limits`. -->\n\n\
    Whoever is over a limit gets 429 with `Retry-After`. No limit locks an account: a stranger can \
    only make others wait, and the owner's known devices do not even wait (they show a refresh token \
    or cookie that they once had, as `known_device`).\n\n\
    *limiter* is the seam `kernel::Limiter`: one act takes its cost from the bucket of a rule and a \
    key, and one answer says whether it may go on, how many are left, and until when to wait. It \
    holds one number for each bucket (GCRA), so that an adapter over a shared store needs one atomic \
    call, such as one script in Redis; the one in use counts in the process and keeps 100,000 \
    buckets. A store that is away means counting in the process, never letting everything through. \
    What must be exact over nodes and restarts is counted in PostgreSQL, in the statement that acts.";

/// Every limit on attempts: what is counted, for whom, how much, and what then.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  meydan limits -o json")]
pub(crate) struct Limits {}

impl Limits {
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, Fail> {
        let rows: Vec<Vec<String>> = identity::LIMITS.iter().map(identity::Limit::row).collect();
        context.out.page(INTRO, identity::LIMIT_COLUMNS, &rows)?;
        Ok(Exit::Done)
    }
}
