//! What the command line says.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use crate::MAX_SOCKETS;

/// What `--help` prints.
pub const USAGE: &str = "\
usage: bench limits [-o json|table]
       bench realtime idle|fan1k-w1|fan1k-w16 [options]
       bench write durable [options]
       bench read unread200|history [options]
       bench auth verify|refresh|login|otp [options]

  --url URL            server to measure, on this computer (http://127.0.0.1:3000)
  --server PROGRAM     start this program for the run instead: PROGRAM up --data … --port …
  --sockets N          sockets (idle 1000; fan1k-* 1000; at most 19000)
  --seconds S          length of one window (5)
  --rounds R           windows (1)
  --warm S             seconds before the first window (1)
  --drain S            seconds that messages in flight get after a window (10)
  --per-user N         sockets that share one account (50)
  --senders N          fan1k-*: people who take turns to send (w1 200, w16 600), because each may
                       send 5 messages in 5 s to one channel
  --users N            durable: people who send; login: people who log in; history, unread200: people
                       who read, each of whom may ask for read states 20 times in 10 s (24;
                       unread200 240); otp: codes of a window (300)
  --channels N         durable: channels they send to (300)
  --connections K      keep-alive connections (durable, unread200, history 64; verify, otp 8;
                       login 16; refresh 1, then 32)
  --content-bytes N    length of a message (96)
  --src A[,B…]         addresses to connect from, such as 127.0.10.2
  --pid PID            process of the server, for its CPU and memory
  --data DIR           … or its data directory, whose run/node.json names it
  --pin CPU            keep the generator on this core
  --label TEXT, --commit TEXT   copied into every line
  --strict             exit with 4 when a window cannot be judged
  -o, --output json|table       form of the results (json)

example: bench realtime fan1k-w1 --server target/release/meydan --seconds 10 --rounds 3 -o table
";

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Limits(Options),
    Scenario(Scenario, Options),
}

/// A scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Sockets that only wait.
    Idle,
    /// One channel, that many messages in flight.
    Fan { in_flight: usize },
    /// Acknowledged sends over REST.
    Durable,
    /// Reads over REST.
    Read(Reading),
    /// Who calls?
    Verify,
    /// Exchanges of refresh tokens.
    Refresh,
    /// Logins with a password.
    Login,
    /// Logins by a code.
    Otp,
}

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// How a reader stands in 200 channels.
    Unread,
    /// The newest 50 messages of a channel.
    History,
}

impl Scenario {
    /// Its name on the command line and in results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Scenario::Idle => "idle",
            Scenario::Fan { in_flight: 1 } => "fan1k-w1",
            Scenario::Fan { .. } => "fan1k-w16",
            Scenario::Durable => "durable",
            Scenario::Read(Reading::Unread) => "unread200",
            Scenario::Read(Reading::History) => "history",
            Scenario::Verify => "verify",
            Scenario::Refresh => "refresh",
            Scenario::Login => "login",
            Scenario::Otp => "otp",
        }
    }
}

/// The form of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Json,
    Table,
}

/// What to do with a window that cannot be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judging {
    /// Say so in the line.
    Say,
    /// End with code 4.
    Strict,
}

/// The options, with their defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) url: String,
    pub(crate) server: Option<PathBuf>,
    pub(crate) sockets: usize,
    pub(crate) window: Duration,
    pub(crate) rounds: u32,
    pub(crate) warm: Duration,
    pub(crate) drain: Duration,
    pub(crate) per_user: usize,
    pub(crate) senders: Option<usize>,
    pub(crate) users: Option<usize>,
    pub(crate) channels: usize,
    pub(crate) connections: Option<usize>,
    pub(crate) content_bytes: usize,
    pub(crate) sources: Vec<Ipv4Addr>,
    pub(crate) pid: Option<i32>,
    pub(crate) data: Option<PathBuf>,
    pub(crate) pin: Option<usize>,
    pub(crate) label: String,
    pub(crate) commit: String,
    pub(crate) judging: Judging,
    pub(crate) output: Output,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            url: "http://127.0.0.1:3000".to_owned(),
            server: None,
            sockets: 1_000,
            window: Duration::from_secs(5),
            rounds: 1,
            warm: Duration::from_secs(1),
            drain: Duration::from_secs(10),
            per_user: 50,
            senders: None,
            users: None,
            channels: 300,
            connections: None,
            content_bytes: 96,
            sources: Vec::new(),
            pid: None,
            data: None,
            pin: None,
            label: "meydan".to_owned(),
            commit: option_env!("MEYDAN_COMMIT").unwrap_or("unknown").to_owned(),
            judging: Judging::Say,
            output: Output::Json,
        }
    }
}

/// Reads the words after the program's name.
pub(crate) fn parse(args: &[String]) -> Result<Command, String> {
    let (words, options) = split(args)?;
    let Some(options) = options else {
        return Ok(Command::Help);
    };
    match words
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [] => Err("what should be measured?".to_owned()),
        ["limits"] => Ok(Command::Limits(options)),
        ["realtime", "idle"] => Ok(Command::Scenario(Scenario::Idle, options)),
        ["realtime", "fan1k-w1"] => Ok(Command::Scenario(Scenario::Fan { in_flight: 1 }, options)),
        ["realtime", "fan1k-w16"] => {
            Ok(Command::Scenario(Scenario::Fan { in_flight: 16 }, options))
        }
        ["write", "durable"] => Ok(Command::Scenario(Scenario::Durable, options)),
        ["read", "unread200"] => Ok(Command::Scenario(Scenario::Read(Reading::Unread), options)),
        ["read", "history"] => Ok(Command::Scenario(Scenario::Read(Reading::History), options)),
        ["auth", "verify"] => Ok(Command::Scenario(Scenario::Verify, options)),
        ["auth", "refresh"] => Ok(Command::Scenario(Scenario::Refresh, options)),
        ["auth", "login"] => Ok(Command::Scenario(Scenario::Login, options)),
        ["auth", "otp"] => Ok(Command::Scenario(Scenario::Otp, options)),
        _ => Err(format!("unknown scenario: {}", words.join(" "))),
    }
}

/// Words and options; no options when help was asked for.
fn split(args: &[String]) -> Result<(Vec<String>, Option<Options>), String> {
    let mut options = Options::default();
    let mut words = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "-h" | "--help" => return Ok((words, None)),
            "--strict" => options.judging = Judging::Strict,
            flag if flag.starts_with('-') => {
                let (name, value) = match flag.split_once('=') {
                    Some((name, value)) => (name, value.to_owned()),
                    None => {
                        let value = rest.next().ok_or_else(|| format!("{flag} needs a value"))?;
                        (flag, value.clone())
                    }
                };
                set(&mut options, name, &value)?;
            }
            word => words.push(word.to_owned()),
        }
    }
    Ok((words, Some(options)))
}

fn set(options: &mut Options, name: &str, value: &str) -> Result<(), String> {
    let whole = |least, most| whole(name, value, least, most);
    match name {
        "--url" => value.clone_into(&mut options.url),
        "--server" => options.server = Some(value.into()),
        "--sockets" => options.sockets = whole(1, MAX_SOCKETS)?,
        "--seconds" => options.window = seconds(name, value)?,
        "--rounds" => options.rounds = u32::try_from(whole(1, 1_000)?).unwrap_or(1),
        "--warm" => options.warm = seconds(name, value)?,
        "--drain" => options.drain = seconds(name, value)?,
        "--per-user" => options.per_user = whole(1, 50)?,
        "--senders" => options.senders = Some(whole(1, 10_000)?),
        "--users" => options.users = Some(whole(1, 1_000)?),
        "--channels" => options.channels = whole(1, 10_000)?,
        "--connections" => options.connections = Some(whole(1, 4_096)?),
        "--content-bytes" => options.content_bytes = whole(48, 4_000)?,
        "--src" => {
            options.sources = value
                .split(',')
                .map(|text| {
                    text.parse()
                        .ok()
                        .filter(Ipv4Addr::is_loopback)
                        .ok_or_else(|| format!("{name}: {text:?} is not of the form 127.0.x.y"))
                })
                .collect::<Result<_, _>>()?;
        }
        "--pid" => options.pid = i32::try_from(whole(1, 1 << 30)?).ok(),
        "--data" => options.data = Some(value.into()),
        "--pin" => options.pin = Some(whole(0, 1_023)?),
        "--label" => value.clone_into(&mut options.label),
        "--commit" => value.clone_into(&mut options.commit),
        "-o" | "--output" => {
            options.output = match value {
                "json" => Output::Json,
                "table" => Output::Table,
                _ => return Err(format!("{name}: expected json or table, found {value:?}")),
            };
        }
        _ => return Err(format!("unknown option {name}")),
    }
    Ok(())
}

fn whole(name: &str, value: &str, least: usize, most: usize) -> Result<usize, String> {
    value
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("{name}: expected {least} to {most}, found {value:?}"))
}

fn seconds(name: &str, value: &str) -> Result<Duration, String> {
    value
        .parse()
        .ok()
        .filter(|seconds| (0.0..=86_400.0).contains(seconds))
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("{name}: expected seconds from 0 to 86400, found {value:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Command, String> {
        parse(
            &line
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn scenarios_and_options_are_read_in_any_order() {
        let Ok(Command::Scenario(scenario, options)) = read(
            "realtime --sockets 20 fan1k-w16 --seconds=0.5 --src 127.0.1.2,127.0.1.3 --strict -o table",
        ) else {
            panic!("not read");
        };
        assert_eq!(scenario, Scenario::Fan { in_flight: 16 });
        assert_eq!(scenario.name(), "fan1k-w16");
        assert_eq!(options.sockets, 20);
        assert_eq!(options.window, Duration::from_millis(500));
        assert_eq!(options.sources.len(), 2);
        assert_eq!(options.judging, Judging::Strict);
        assert_eq!(options.output, Output::Table);
    }

    #[test]
    fn bounds_hold_at_their_edges() {
        assert!(read("realtime idle --sockets 19000").is_ok());
        assert!(read("realtime idle --sockets 19001").is_err());
        assert!(read("realtime idle --sockets 0").is_err());
        assert!(read("realtime idle --per-user 50").is_ok());
        assert!(read("realtime idle --per-user 51").is_err());
        assert!(read("write durable --content-bytes 47").is_err());
        assert!(read("write durable --seconds -1").is_err());
        assert!(read("write durable --seconds NaN").is_err());
    }

    #[test]
    fn wrong_usage_is_told() {
        for (line, part) in [
            ("", "what"),
            ("realtime", "unknown scenario"),
            ("realtime fan2k", "unknown scenario: realtime fan2k"),
            ("limits --socket 1", "unknown option --socket"),
            ("limits --pid", "needs a value"),
            ("realtime idle --src 10.0.0.1", "127.0.x.y"),
            ("limits -o yaml", "json or table"),
        ] {
            let told = read(line).unwrap_err();
            assert!(told.contains(part), "{line}: {told}");
        }
        assert_eq!(read("realtime --help nonsense"), Ok(Command::Help));
    }
}
