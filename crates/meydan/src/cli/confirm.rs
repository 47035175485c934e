//! Asking before what cannot be undone.

use std::io::IsTerminal as _;

use super::Context;
use super::exit::{Exit, Fail};

/// Asks whoever types to repeat a word; a program has to say yes beforehand.
pub(super) fn confirm(
    context: &Context,
    consequence: &str,
    word: &str,
    command: &str,
) -> Result<(), Fail> {
    if context.global.yes {
        return Ok(());
    }
    let refused = || {
        Fail::new(Exit::Usage, format!("not confirmed: {consequence}"))
            .hint(format!("{command} --yes"))
    };
    if !std::io::stdin().is_terminal() {
        return Err(refused());
    }
    context
        .out
        .say(&format!("{consequence}; type {word} to go on:"));
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .map_err(|error| Fail::caused(Exit::Failure, "reading the answer", &error))?;
    if line.trim() == word {
        Ok(())
    } else {
        Err(refused())
    }
}
