//! `meydan doctor`: what is wrong, seen from the node's own point of view, and what fixes it.
//!
//! Invariants: an id never changes its meaning; every check has a command or an edit that fixes
//! it; a check that cannot look says so as a warning and never as success.

mod database;
mod host;
mod mail;
mod objects;
mod safety;
mod sql;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::Context;
use super::exit::{Exit, Fail};
use super::local::Local;
use super::output::{Format, Output};
use crate::config::{Loaded, Role};

/// Checks this installation. Exit 0 when nothing is ✖, else 1.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  meydan doctor\n  meydan doctor --only db -o json")]
pub(crate) struct Doctor {
    /// Only these areas.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Area>,
}

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Area {
    Config,
    Host,
    Db,
    Mail,
    Objects,
    Safety,
}

/// One check as documented.
#[derive(Debug)]
pub(crate) struct Row {
    /// Stable.
    pub(crate) id: &'static str,
    pub(crate) area: Area,
    /// What is looked at.
    pub(crate) what: &'static str,
    /// What to do when it is not well.
    pub(crate) fix: &'static str,
}

const fn row(id: &'static str, area: Area, what: &'static str, fix: &'static str) -> Row {
    Row {
        id,
        area,
        what,
        fix,
    }
}

/// Every check.
pub(crate) const CHECKS: &[Row] = &[
    row("CF001", Area::Config, "settings", "meydan config check"),
    row(
        "CF002",
        Area::Config,
        "names of settings",
        "rename the variables as the notice says",
    ),
    row(
        "CF003",
        Area::Config,
        "rights of settings files",
        "chmod o-rwx the file named here",
    ),
    row(
        "HO001",
        Area::Host,
        "open files",
        "ulimit -n 65536, or LimitNOFILE= in the unit",
    ),
    row(
        "HO002",
        Area::Host,
        "free space",
        "make room, or move storage.data_dir",
    ),
    row(
        "HO003",
        Area::Host,
        "free inodes",
        "delete small files, or move storage.data_dir",
    ),
    row(
        "HO004",
        Area::Host,
        "listening ports",
        "meydan up --port N --set grpc.port=N",
    ),
    row(
        "HO005",
        Area::Host,
        "queue of new connections",
        "sysctl -w net.core.somaxconn=4096",
    ),
    row(
        "HO006",
        Area::Host,
        "connection tracking",
        "sysctl -w net.netfilter.nf_conntrack_max=262144",
    ),
    row(
        "HO007",
        Area::Host,
        "memory limit",
        "raise the limit, or lower auth.password.argon2_memory",
    ),
    row(
        "DB001",
        Area::Db,
        "PostgreSQL programs",
        "install postgresql (15 or newer), or set database.pg_bin",
    ),
    row(
        "DB002",
        Area::Db,
        "connection",
        "start the database, or correct database.url",
    ),
    row(
        "DB003",
        Area::Db,
        "version",
        "upgrade PostgreSQL to 15 or newer",
    ),
    row("DB004", Area::Db, "migrations", "meydan migrate"),
    row(
        "DB005",
        Area::Db,
        "transactions through the pooler",
        "set pool_mode = transaction in the pooler",
    ),
    row(
        "DB006",
        Area::Db,
        "rights of the role",
        "use a role without SUPERUSER and BYPASSRLS",
    ),
    row(
        "DB007",
        Area::Db,
        "connections of the server",
        "lower database.max_connections",
    ),
    row(
        "DB008",
        Area::Db,
        "Turkish sorting",
        "install the server's full ICU data",
    ),
    row(
        "DB009",
        Area::Db,
        "clock of the database",
        "start time synchronisation on both computers",
    ),
    row(
        "DB010",
        Area::Db,
        "durability",
        "set fsync and full_page_writes to on in the server",
    ),
    row(
        "MA001",
        Area::Mail,
        "mail server",
        "start the mail server, or correct mail.smtp",
    ),
    row(
        "OB001",
        Area::Objects,
        "store of files",
        "start the server, or correct objects.s3",
    ),
    row(
        "SA001",
        Area::Safety,
        "data directory",
        "chmod -R go-rwx the data directory",
    ),
    row(
        "SA002",
        Area::Safety,
        "root secret",
        "chmod 600 secrets/root.key in the data directory",
    ),
    row(
        "SA003",
        Area::Safety,
        "insecure defaults",
        "set env = \"prod\" when others use this server",
    ),
    row(
        "SA004",
        Area::Safety,
        "public address",
        "set http.public_url to the https address",
    ),
];

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Good,
    Warning,
    Bad,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }

    fn mark(self) -> &'static str {
        match self {
            Self::Good => "✔",
            Self::Warning => "!",
            Self::Bad => "✖",
        }
    }

    fn color(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Warning => "33",
            Self::Bad => "31",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) id: &'static str,
    pub(crate) status: Status,
    pub(crate) evidence: String,
}

impl Finding {
    pub(crate) fn new(id: &'static str, status: Status, evidence: impl Into<String>) -> Self {
        Self {
            id,
            status,
            evidence: evidence.into(),
        }
    }

    pub(crate) fn good(id: &'static str, evidence: impl Into<String>) -> Self {
        Self::new(id, Status::Good, evidence)
    }

    pub(crate) fn warning(id: &'static str, evidence: impl Into<String>) -> Self {
        Self::new(id, Status::Warning, evidence)
    }

    pub(crate) fn bad(id: &'static str, evidence: impl Into<String>) -> Self {
        Self::new(id, Status::Bad, evidence)
    }
}

impl Doctor {
    pub(crate) async fn run(&self, context: &Context) -> Result<Exit, Fail> {
        let wanted = |area: Area| self.only.is_empty() || self.only.contains(&area);
        let request = context.request(Role::Node, Vec::new());
        let mut findings = Vec::new();
        match crate::config::load(&request, &context.sources, &kernel::SystemRng) {
            Err(report) => findings.push(Finding::bad("CF001", report.to_string())),
            Ok(loaded) => {
                if wanted(Area::Config) {
                    findings.extend(settings(&loaded));
                }
                if wanted(Area::Host) {
                    findings.extend(host::look(&loaded.config));
                }
                if wanted(Area::Db) {
                    findings.extend(look_at_database(&loaded).await);
                }
                if wanted(Area::Mail) {
                    findings.push(mail::look(&loaded.config).await);
                }
                if wanted(Area::Objects) {
                    findings.push(objects::look(&loaded.config).await);
                }
                if wanted(Area::Safety) {
                    findings.extend(safety::look(&loaded.config));
                }
            }
        }
        show(&context.out, &findings)?;
        let bad = findings.iter().any(|finding| finding.status == Status::Bad);
        Ok(if bad { Exit::Failure } else { Exit::Done })
    }
}

async fn look_at_database(loaded: &Loaded) -> Vec<Finding> {
    let mut findings = vec![host::programs(&loaded.config)];
    match Local::open(&loaded.config).await {
        Err(fail) => findings.push(Finding::bad("DB002", fail.message)),
        Ok(local) => {
            findings.extend(database::look(&loaded.config, &local).await);
            if let Err(fail) = local.close().await {
                findings.push(Finding::warning("DB002", fail.message));
            }
        }
    }
    findings
}

fn settings(loaded: &Loaded) -> Vec<Finding> {
    let from_files = crate::config::files_of(loaded);
    let open: Vec<String> = from_files
        .iter()
        .filter(|path| host::others_may_read(path))
        .map(|path| path.display().to_string())
        .collect();
    vec![
        Finding::good("CF001", format!("{} settings read", loaded.origins.len())),
        if loaded.notices.is_empty() {
            Finding::good("CF002", "no old or foreign names in use")
        } else {
            Finding::warning("CF002", loaded.notices.join("; "))
        },
        if open.is_empty() {
            Finding::good(
                "CF003",
                format!("{} files, none readable by others", from_files.len()),
            )
        } else {
            Finding::warning("CF003", format!("others can read {}", open.join(", ")))
        },
    ]
}

fn show(out: &Output, findings: &[Finding]) -> Result<(), Fail> {
    let known = |finding: &Finding| CHECKS.iter().find(|row| row.id == finding.id);
    match out.format {
        Format::Json => {
            let list: Vec<_> = findings
                .iter()
                .map(|finding| {
                    let row = known(finding);
                    json!({
                        "id": finding.id,
                        "area": row.map(|row| format!("{:?}", row.area).to_lowercase()),
                        "what": row.map(|row| row.what),
                        "status": finding.status.word(),
                        "evidence": finding.evidence,
                        "fix": row.map(|row| row.fix),
                    })
                })
                .collect();
            out.json(&json!(list))
        }
        Format::Table => {
            let mut text = String::new();
            for finding in findings {
                let what = known(finding).map_or("", |row| row.what);
                let mark = out
                    .color
                    .paint(finding.status.color(), finding.status.mark());
                text.push_str(&format!(
                    "{mark}  {}  {what}: {}",
                    finding.id, finding.evidence
                ));
                if let (true, Some(row)) = (finding.status != Status::Good, known(finding)) {
                    text.push_str(&format!("  → {}", row.fix));
                }
                text.push('\n');
            }
            out.data(&text)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_every_check_has_a_fix() {
        let ids: BTreeSet<&str> = CHECKS.iter().map(|row| row.id).collect();
        assert_eq!(ids.len(), CHECKS.len());
        for row in CHECKS {
            assert!(!row.fix.is_empty() && !row.what.is_empty(), "{}", row.id);
            assert_eq!(row.id.len(), 5, "{}", row.id);
            let area = match row.area {
                Area::Config => "CF",
                Area::Host => "HO",
                Area::Db => "DB",
                Area::Mail => "MA",
                Area::Objects => "OB",
                Area::Safety => "SA",
            };
            assert!(row.id.starts_with(area), "{}", row.id);
        }
    }
}
