//! `meydan openapi`.

use clap::Args;

use super::Context;
use super::exit::{Exit, Fail};

/// The OpenAPI document of every route in this binary.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  meydan openapi > openapi.json")]
pub(crate) struct Openapi {}

impl Openapi {
    pub(crate) async fn run(&self, context: &Context) -> Result<Exit, Fail> {
        let document = crate::compose::openapi().map_err(anyhow::Error::from)?;
        context.out.data(&document)?;
        Ok(Exit::Done)
    }
}
