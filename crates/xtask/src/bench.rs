//! How long a start takes: cold with a fresh data folder, warm with the same one again.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Serialize;

use crate::Outcome;
use crate::server::{Contents, Server, TemporaryFolder, now};
use crate::workspace;

#[derive(Debug, PartialEq, Eq)]
struct Options {
    runs: usize,
    profile: &'static str,
    format: Format,
}

#[derive(Debug, PartialEq, Eq)]
enum Format {
    Table,
    Json,
}

#[derive(Serialize)]
struct Report {
    profile: &'static str,
    runs: usize,
    cold_ms: Figures,
    warm_ms: Figures,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Figures {
    median: u64,
    min: u64,
    max: u64,
    all: Vec<u64>,
}

pub(crate) fn startup(arguments: &[&str]) -> anyhow::Result<Outcome> {
    let options = parse(arguments)?;
    let meydan = workspace::build_meydan(options.profile)?;
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for _run in 0..options.runs {
        let folder = TemporaryFolder::new("startup")?;
        cold.push(time_start(&meydan, folder.path()).context("cold start")?);
        warm.push(time_start(&meydan, folder.path()).context("warm start")?);
    }
    let report = Report {
        profile: options.profile,
        runs: options.runs,
        cold_ms: figures(cold),
        warm_ms: figures(warm),
    };
    match options.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Format::Table => {
            for (name, figures) in [("cold", &report.cold_ms), ("warm", &report.warm_ms)] {
                let Figures {
                    median, min, max, ..
                } = figures;
                println!(
                    "{name}  median {median} ms  ({min} to {max})  {} runs",
                    report.runs
                );
            }
        }
    }
    Ok(Outcome::Good)
}

/// From the start of the process to the first 200 of `/readyz`.
fn time_start(meydan: &Path, folder: &Path) -> anyhow::Result<Duration> {
    let started = now();
    let mut server = Server::start(meydan, folder, Contents::Nothing)?;
    server.wait_until_ready()?;
    let took = started.elapsed();
    let status = server.stop()?;
    if !status.success() {
        bail!("after SIGTERM the server ended with {status}");
    }
    Ok(took)
}

fn figures(mut times: Vec<Duration>) -> Figures {
    times.sort_unstable();
    let all: Vec<u64> = times
        .iter()
        .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
        .collect();
    Figures {
        median: all.get(all.len() / 2).copied().unwrap_or_default(),
        min: all.first().copied().unwrap_or_default(),
        max: all.last().copied().unwrap_or_default(),
        all,
    }
}

fn parse(arguments: &[&str]) -> anyhow::Result<Options> {
    let mut options = Options {
        runs: 5,
        profile: "release",
        format: Format::Table,
    };
    let mut rest = arguments;
    while let [name, after @ ..] = rest {
        let [value, after @ ..] = after else {
            bail!("{name} needs a value")
        };
        match (*name, *value) {
            ("--runs", count) => {
                options.runs = count
                    .parse()
                    .ok()
                    .filter(|runs| (1..=100).contains(runs))
                    .context("--runs takes a number from 1 to 100")?;
            }
            ("-o", "json") => options.format = Format::Json,
            ("-o", "table") => options.format = Format::Table,
            ("--profile", "debug") => options.profile = "debug",
            ("--profile", "release") => options.profile = "release",
            _ => bail!("unknown option {name} {value}"),
        }
        rest = after;
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_checked() {
        let usual = Options {
            runs: 5,
            profile: "release",
            format: Format::Table,
        };
        assert_eq!(parse(&[]).unwrap(), usual);
        let all = parse(&["--runs", "100", "-o", "json", "--profile", "debug"]).unwrap();
        assert_eq!(
            all,
            Options {
                runs: 100,
                profile: "debug",
                format: Format::Json
            }
        );
        for wrong in [
            &["--runs", "0"][..],
            &["--runs", "101"],
            &["--runs"],
            &["-o", "yaml"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_median_is_the_middle() {
        let of = |ms: &[u64]| figures(ms.iter().copied().map(Duration::from_millis).collect());
        let three = Figures {
            median: 2,
            min: 1,
            max: 9,
            all: vec![1, 2, 9],
        };
        assert_eq!(of(&[9, 1, 2]), three);
        assert_eq!(of(&[5]).median, 5);
    }
}
