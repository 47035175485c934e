//! `meydan problems`.

use clap::Args;

use super::Context;
use super::exit::{Exit, Fail};

const INTRO: &str = "# Error codes\n\n<!-- Made by `meydan problems`. -->\n\nA code never changes \
    its meaning. `dialect` is the number under `/api/v10`; 0 means that the dialect has none.";

/// Every error code with its class and texts.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  meydan problems -o json")]
pub(crate) struct Problems {}

impl Problems {
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, Fail> {
        let mut rows: Vec<Vec<String>> = crate::compose::errors()
            .iter()
            .map(|row| {
                vec![
                    row.code.to_owned(),
                    web_kit::render::status(row.kind).as_u16().to_string(),
                    row.dialect.to_string(),
                    row.en.to_owned(),
                    row.tr.to_owned(),
                ]
            })
            .collect();
        rows.sort();
        rows.dedup();
        context
            .out
            .page(INTRO, &["code", "status", "dialect", "en", "tr"], &rows)?;
        Ok(Exit::Done)
    }
}
