//! Data on standard output, talk on standard error.

use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;
use serde_json::Value;

use super::exit::{Exit, Fail};

/// How data is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
}

/// Where a command's output goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) quiet: Quiet,
    pub(crate) color: Color,
}

/// Whether talk is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quiet {
    Yes,
    No,
}

/// Whether to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Color {
    Yes,
    No,
}

impl Color {
    /// Colours are for terminals that want them.
    pub(crate) fn choose(global: &super::Global, sources: &crate::config::Sources) -> Self {
        let no_color = sources
            .variable("NO_COLOR")
            .is_some_and(|text| !text.is_empty());
        let dumb = sources.variable("TERM").as_deref() == Some("dumb");
        if global.no_color || no_color || dumb || !std::io::stdout().is_terminal() {
            Self::No
        } else {
            Self::Yes
        }
    }

    pub(crate) fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Yes => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::No => text.to_owned(),
        }
    }
}

impl Output {
    /// Writes data; a reader that went away (`| head`) is no failure.
    pub(crate) fn data(&self, text: &str) -> Result<(), Fail> {
        let mut out = std::io::stdout().lock();
        let ended = if text.ends_with('\n') { "" } else { "\n" };
        match write!(out, "{text}{ended}").and_then(|()| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Fail::caused(Exit::Failure, "writing the output", &error))
            }
            _ => Ok(()),
        }
    }

    /// Writes pretty JSON.
    pub(crate) fn json(&self, value: &Value) -> Result<(), Fail> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Fail::caused(Exit::Failure, "writing JSON", &error))?;
        self.data(&text)
    }

    /// Writes rows under headings, or a list of objects with the headings as keys.
    pub(crate) fn rows(&self, headings: &[&str], rows: &[Vec<String>]) -> Result<(), Fail> {
        match self.format {
            Format::Table => self.data(&table(headings, rows)),
            Format::Json => {
                let objects = rows.iter().map(|row| {
                    let pairs = headings.iter().zip(row);
                    pairs
                        .map(|(heading, cell)| ((*heading).to_owned(), Value::String(cell.clone())))
                        .collect::<serde_json::Map<_, _>>()
                        .into()
                });
                self.json(&Value::Array(objects.collect()))
            }
        }
    }

    /// Writes a documentation page with one Markdown table, or the rows as JSON.
    pub(crate) fn page(
        &self,
        intro: &str,
        headings: &[&str],
        rows: &[Vec<String>],
    ) -> Result<(), Fail> {
        match self.format {
            Format::Table => self.data(&format!("{intro}\n\n{}\n", markdown(headings, rows))),
            Format::Json => self.rows(headings, rows),
        }
    }

    /// Says something to the person, not to the program that reads the data.
    pub(crate) fn say(&self, text: &str) {
        if self.quiet == Quiet::No {
            eprintln!("{text}");
        }
    }
}

fn markdown(headings: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &mut dyn Iterator<Item = String>| {
        let cells: Vec<String> = cells.map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |", cells.join(" | "))
    };
    let mut lines = vec![
        line(&mut headings.iter().map(|heading| (*heading).to_owned())),
        line(&mut headings.iter().map(|_| "---".to_owned())),
    ];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().cloned())));
    lines.join("\n")
}

/// Columns as wide as their widest cell; the last one is free.
fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |text: &str| text.chars().count();
    let widths: Vec<usize> = headings
        .iter()
        .enumerate()
        .map(|(column, heading)| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| width(cell))
                .max()
                .unwrap_or(0)
                .max(width(heading))
        })
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (cell, width) in cells.zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        line.trim_end().to_owned()
    };
    let mut lines = vec![line(&mut headings.iter().copied())];
    lines.extend(
        rows.iter()
            .map(|row| line(&mut row.iter().map(String::as_str))),
    );
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_cells_cannot_break_out() {
        let rows = vec![vec!["a|b".to_owned(), String::new()]];
        assert_eq!(
            markdown(&["x", "y"], &rows),
            "| x | y |\n| --- | --- |\n| a\\|b |  |"
        );
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![
            vec!["çay".to_owned(), "1".to_owned()],
            vec!["a longer cell".to_owned(), "2".to_owned()],
        ];
        assert_eq!(
            table(&["what", "count"], &rows),
            "what           count\nçay            1\na longer cell  2"
        );
    }
}
