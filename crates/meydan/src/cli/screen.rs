//! The first screen of `meydan up`: true facts only, at most 24 lines of 100 columns.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::output::Color;
use crate::demo::PASSWORD;
use crate::parts::Demo;

/// What a terminal shows at once, on the smallest terminals in use.
pub(crate) const COLUMNS: usize = 100;
pub(crate) const LINES: usize = 24;

/// More addresses than this say nothing new (containers make dozens).
const MAX_ADDRESSES: usize = 4;

const DEMO_LEFT_OUT: &str = "no demo data was added: others have accounts here already";

/// What is true of the node that just started.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) version: String,
    pub(crate) ready_after: Duration,
    pub(crate) data_dir: String,
    pub(crate) database: Database,
    /// The address clients use.
    pub(crate) public_url: String,
    /// Where it listens.
    pub(crate) listen: IpAddr,
    pub(crate) port: u16,
    /// Addresses of this computer, for a listener that is open to others.
    pub(crate) addresses: Vec<IpAddr>,
    /// Where gRPC is, if it is served.
    pub(crate) grpc: Option<SocketAddr>,
    pub(crate) ops_listen: Option<String>,
    /// The surfaces that are served, such as `/v1`.
    pub(crate) surfaces: Vec<&'static str>,
    /// Conveniences in use.
    pub(crate) insecure: Vec<&'static str>,
    /// Whether somebody can administer the node, where that is known.
    pub(crate) has_admin: Option<bool>,
    /// The part behind `#` of the set-up link, while there is no administrator. Never logged.
    pub(crate) setup_token: Option<SecretString>,
    /// Whether letters or texts stay here and are shown on a page.
    pub(crate) outbox: bool,
    /// The people to try it with.
    pub(crate) demo: Demo,
    pub(crate) notices: Vec<String>,
}

/// Which database serves the node.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    Private {
        version: String,
        pid: u32,
    },
    /// The one of `database.url`.
    Yours,
}

impl Facts {
    /// The screen, line by line.
    pub(crate) fn lines(&self, color: Color) -> Vec<String> {
        let mut lines = vec![self.headline()];
        lines.extend(self.web());
        lines.push(row("API", &self.url("/docs"), &self.surfaces.join("  ")));
        if let Some(address) = self.grpc {
            lines.push(row("gRPC", &address.to_string(), "auth.AuthService"));
        }
        if let Some(token) = &self.setup_token {
            let url = self.url(&format!("/setup#{}", token.expose_secret()));
            lines.push(row("Admin", "set-up link, once, 30 min:", ""));
            lines.push(row("", &url, ""));
        }
        let metrics = match &self.ops_listen {
            Some(address) => format!("metrics http://{address}/metrics"),
            None => "/metrics (from this computer only)".to_owned(),
        };
        lines.push(row("Health", &self.url("/readyz"), &metrics));
        if self.insecure.contains(&"auth.dev_mode") {
            lines.push(row(
                "Dev mode",
                "calls from any local web page are allowed",
                "",
            ));
        }
        if self.outbox {
            let url = self.url(crate::outbox::PATH);
            lines.push(row("Outbox", &url, "mail and texts stay here"));
        }
        if let Demo::Here(emails) = &self.demo {
            let who = emails.join("  ");
            lines.push(row("Demo", &who, &format!("password \"{PASSWORD}\"")));
        }
        lines.push(row(
            "Next",
            "meydan doctor    meydan --help",
            "Ctrl+C stops, data stays",
        ));
        let mut marks = self.marks();
        let room = LINES.saturating_sub(lines.len());
        if marks.len() > room {
            let left_out = marks.len() - room.saturating_sub(1);
            marks.truncate(room.saturating_sub(1));
            marks.push(format!("! and {left_out} more: run  meydan config check"));
        }
        lines.extend(marks);
        let fitted = lines.into_iter().map(|line| fit(&line));
        fitted
            .enumerate()
            .map(|(index, line)| match (index, line.starts_with('!')) {
                (0, _) => color.paint("1", &line),
                (_, true) => color.paint("33", &line),
                (_, false) => line,
            })
            .collect()
    }

    /// What is worth a look.
    fn marks(&self) -> Vec<String> {
        let mut marks = Vec::new();
        if !self.insecure.is_empty() {
            marks.push(format!(
                "! insecure defaults in use: {} (refused in production)",
                self.insecure.join(", ")
            ));
        }
        if self.has_admin == Some(false) {
            marks.push(
                "! no admin yet: open the set-up link, or run  meydan admin create you@example.com"
                    .to_owned(),
            );
        }
        if self.demo == Demo::LeftOut {
            marks.push(format!("! {DEMO_LEFT_OUT}"));
        }
        marks.extend(self.notices.iter().map(|notice| format!("! {notice}")));
        marks
    }

    /// The same facts as one log line.
    pub(crate) fn log(&self, postgres_pid: Option<u32>) {
        for notice in &self.notices {
            tracing::warn!("{notice}");
        }
        if !self.insecure.is_empty() {
            tracing::warn!(
                settings = self.insecure.join(","),
                "insecure defaults in use"
            );
        }
        if self.has_admin == Some(false) {
            tracing::warn!("no admin yet: run meydan admin create EMAIL");
        }
        match &self.demo {
            Demo::Here(people) => tracing::info!(
                people = people.len(),
                "demo people can be logged in as; `meydan up` in a terminal shows how"
            ),
            Demo::LeftOut => tracing::warn!("{DEMO_LEFT_OUT}"),
            Demo::Absent => {}
        }
        tracing::info!(
            version = self.version,
            duration_ms = u64::try_from(self.ready_after.as_millis()).unwrap_or(u64::MAX),
            data_dir = self.data_dir,
            postgres.pid = postgres_pid,
            url = self.public_url,
            listen = %SocketAddr::from((self.listen, self.port)),
            grpc.listen = self.grpc.map(tracing::field::display),
            surfaces = self.surfaces.join(","),
            "ready"
        );
    }

    fn headline(&self) -> String {
        let seconds = self.ready_after.as_secs_f64();
        let database = match &self.database {
            Database::Private { version, pid } => {
                format!("PostgreSQL {version} (private, pid {pid})")
            }
            Database::Yours => "PostgreSQL (yours)".to_owned(),
        };
        let fixed = format!("Meydan {}   ready in {seconds:.1} s   data ", self.version);
        let room = COLUMNS.saturating_sub(width(&fixed) + width(&database) + 3);
        format!("{fixed}{}   {database}", shorten_path(&self.data_dir, room))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public_url)
    }

    fn web(&self) -> Vec<String> {
        if self.listen.is_loopback() {
            let note = "only this computer; --listen 0.0.0.0 opens it";
            return vec![row("Address", &self.public_url, note)];
        }
        let mut lines = vec![row("Address", &self.public_url, "open to others")];
        let shown: Vec<String> = self
            .addresses
            .iter()
            .take(MAX_ADDRESSES)
            .map(|address| match address {
                IpAddr::V4(address) => format!("http://{address}:{}", self.port),
                IpAddr::V6(address) => format!("http://[{address}]:{}", self.port),
            })
            .filter(|url| *url != self.public_url)
            .collect();
        lines.extend(shown.iter().map(|url| row("", url, "")));
        let hidden = self.addresses.len().saturating_sub(MAX_ADDRESSES);
        if hidden > 0 {
            lines.push(row(
                "",
                &format!("and {hidden} more addresses of this computer"),
                "",
            ));
        }
        lines
    }
}

fn row(label: &str, what: &str, note: &str) -> String {
    format!("  {label:9}  {what:34}  {note}")
        .trim_end()
        .to_owned()
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// Cuts what does not fit; wide facts have been shortened sensibly before.
fn fit(line: &str) -> String {
    if width(line) <= COLUMNS {
        return line.to_owned();
    }
    line.chars().take(COLUMNS - 1).chain("…".chars()).collect()
}

/// Keeps the end of a path, which tells more than its beginning.
fn shorten_path(path: &str, room: usize) -> String {
    let count = width(path);
    if count <= room {
        return path.to_owned();
    }
    let skip = (count + 1).saturating_sub(room);
    "…".chars().chain(path.chars().skip(skip)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            version: "0.1.0".to_owned(),
            ready_after: Duration::from_millis(1940),
            data_dir: "./meydan-data".to_owned(),
            database: Database::Private {
                version: "15.20".to_owned(),
                pid: 4121,
            },
            public_url: "http://127.0.0.1:3000".to_owned(),
            listen: IpAddr::from([127, 0, 0, 1]),
            port: 3000,
            addresses: Vec::new(),
            grpc: Some(SocketAddr::from(([127, 0, 0, 1], 50_051))),
            ops_listen: None,
            surfaces: vec!["/v1", "/api/v10", "/gateway"],
            insecure: vec!["auth.dev_mode", "auth.email_verification"],
            has_admin: Some(false),
            setup_token: Some(SecretString::from("k3fX9")),
            outbox: true,
            demo: Demo::Here(vec!["ayse@example.com".into(), "mehmet@example.com".into()]),
            notices: Vec::new(),
        }
    }

    #[test]
    fn the_first_screen_of_a_laptop() {
        insta::assert_snapshot!(facts().lines(Color::No).join("\n"), @r#"
        Meydan 0.1.0   ready in 1.9 s   data ./meydan-data   PostgreSQL 15.20 (private, pid 4121)
          Address    http://127.0.0.1:3000               only this computer; --listen 0.0.0.0 opens it
          API        http://127.0.0.1:3000/docs          /v1  /api/v10  /gateway
          gRPC       127.0.0.1:50051                     auth.AuthService
          Admin      set-up link, once, 30 min:
                     http://127.0.0.1:3000/setup#k3fX9
          Health     http://127.0.0.1:3000/readyz        /metrics (from this computer only)
          Dev mode   calls from any local web page are allowed
          Outbox     http://127.0.0.1:3000/dev/outbox    mail and texts stay here
          Demo       ayse@example.com  mehmet@example.com  password "meydan-demo"
          Next       meydan doctor    meydan --help      Ctrl+C stops, data stays
        ! insecure defaults in use: auth.dev_mode, auth.email_verification (refused in production)
        ! no admin yet: open the set-up link, or run  meydan admin create you@example.com
        "#);
    }

    #[test]
    fn the_demo_line_is_there_only_when_it_is_true() {
        let shown = |demo| {
            let facts = Facts { demo, ..facts() };
            facts.lines(Color::No).join("\n")
        };
        let absent = shown(Demo::Absent);
        assert!(!absent.contains("demo"), "{absent}");
        let left_out = shown(Demo::LeftOut);
        assert!(left_out.contains("! no demo data was added"), "{left_out}");
        assert!(!left_out.contains(PASSWORD), "{left_out}");
    }

    #[test]
    fn an_open_listener_shows_real_addresses_and_never_the_wildcard() {
        let facts = Facts {
            listen: IpAddr::from([0, 0, 0, 0]),
            addresses: vec![
                IpAddr::from([192, 168, 1, 20]),
                IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1]),
            ],
            insecure: Vec::new(),
            has_admin: Some(true),
            demo: Demo::Absent,
            ..facts()
        };
        let screen = facts.lines(Color::No).join("\n");
        assert!(screen.contains("http://192.168.1.20:3000"), "{screen}");
        assert!(screen.contains("http://[fd00::1]:3000"), "{screen}");
        assert!(!screen.contains("0.0.0.0"), "{screen}");
        assert!(!screen.contains('!'), "nothing to warn about: {screen}");
    }

    #[test]
    fn the_worst_case_still_fits_24_lines_of_100_columns() {
        let facts = Facts {
            version: "0.1.0-nightly.20261120".to_owned(),
            ready_after: Duration::from_secs(1234),
            data_dir: "/a/very/long/path/".repeat(20),
            database: Database::Private {
                version: "17.10".to_owned(),
                pid: 4_194_304,
            },
            public_url: format!("https://{}.example.com", "long".repeat(40)),
            listen: IpAddr::from([0, 0, 0, 0]),
            addresses: (0..40).map(|n| IpAddr::from([10, 0, 0, n])).collect(),
            ops_listen: Some("127.0.0.1:9464".to_owned()),
            insecure: vec!["auth.dev_mode", "auth.email_verification", "http.cors"],
            notices: (0..40)
                .map(|n| format!("notice {n} {}", "x".repeat(200)))
                .collect(),
            ..facts()
        };
        let lines = facts.lines(Color::No);
        assert_eq!(lines.len(), LINES);
        for line in &lines {
            assert!(width(line) <= COLUMNS, "{}: {line}", width(line));
        }
        assert!(
            lines[LINES - 1].starts_with("! and "),
            "{}",
            lines[LINES - 1]
        );
    }

    #[test]
    fn colours_are_paint_only() {
        let plain = facts().lines(Color::No).join("\n");
        let colored = facts().lines(Color::Yes).join("\n");
        let stripped = ["1", "33", "0"].iter().fold(colored, |text, code| {
            text.replace(&format!("\u{1b}[{code}m"), "")
        });
        assert_eq!(stripped, plain);
    }
}
