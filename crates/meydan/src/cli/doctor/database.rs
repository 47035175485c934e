//! Checks of the database, through the same pool and roles that a node uses.

use db::Db;

use super::super::exit::chain;
use super::super::local::Local;
use super::Finding;
use super::sql::{
    CLOCK_MS, CONNECTIONS, DURABLE, GET_LOCAL, SET_LOCAL, STRONG_ROLE, TURKISH, VERSION,
};
use crate::config::Config;

/// The oldest supported server.
const OLDEST: i32 = 150_000;
/// Connections that stay free for people and for backups.
const SPARE: i64 = 10;
/// Tokens and codes live minutes; a clock this far off breaks them.
const SKEW_MS: i64 = 2_000;

pub(super) async fn look(config: &Config, local: &Local) -> Vec<Finding> {
    let (migrated, finding) = migrations(local).await;
    // The pool's login is made after the first migration.
    let way = if migrated {
        &local.database
    } else {
        &local.direct
    };
    let db = match Db::connect(way) {
        Ok(db) => db,
        Err(error) => return vec![Finding::bad("DB002", chain(&error))],
    };
    if let Err(error) = db.ping().await {
        return vec![Finding::bad("DB002", chain(&error))];
    }
    let mut findings = vec![Finding::good("DB002", "the database answers")];
    let checks = [
        ("DB003", version(&db).await),
        ("DB005", pooler(&db).await),
        ("DB006", role(&db).await),
        ("DB007", connections(config, &db).await),
        ("DB008", turkish(&db).await),
        ("DB009", clock(&db).await),
        ("DB010", durable(&db).await),
    ];
    for (id, check) in checks {
        findings.push(check.unwrap_or_else(|error| Finding::warning(id, chain(&error))));
    }
    db.close();
    findings.push(finding);
    findings.sort_by_key(|finding| finding.id);
    findings
}

async fn version(db: &Db) -> db::Result<Finding> {
    let number: i32 = VERSION.scalar(db).await?;
    let evidence = format!("PostgreSQL {}.{}", number / 10_000, number % 10_000);
    Ok(if number >= OLDEST {
        Finding::good("DB003", evidence)
    } else {
        Finding::bad("DB003", evidence)
    })
}

/// A value of SET LOCAL holds inside one transaction and is gone in the next.
async fn pooler(db: &Db) -> db::Result<Finding> {
    let tx = db.begin().await?;
    let _set: String = SET_LOCAL.scalar(&tx).await?;
    let inside: String = GET_LOCAL.scalar(&tx).await?;
    tx.commit().await?;
    let tx = db.begin().await?;
    let after: String = GET_LOCAL.scalar(&tx).await?;
    tx.commit().await?;
    Ok(match (inside.as_str(), after.as_str()) {
        ("inside", "") => Finding::good("DB005", "values stay inside their transaction"),
        ("inside", _) => Finding::bad("DB005", "a value leaked into the next transaction"),
        (_, _) => Finding::bad(
            "DB005",
            "one transaction was spread over several connections",
        ),
    })
}

async fn role(db: &Db) -> db::Result<Finding> {
    let strong: bool = STRONG_ROLE.scalar(db).await?;
    Ok(if strong {
        Finding::warning("DB006", "the role passes over row-level security")
    } else {
        Finding::good("DB006", "row-level security holds for the role")
    })
}

async fn connections(config: &Config, db: &Db) -> db::Result<Finding> {
    let most: i64 = CONNECTIONS.scalar(db).await?;
    let ours = i64::try_from(config.database.max_connections).unwrap_or(i64::MAX);
    let evidence = format!("{ours} of {most}, {SPARE} must stay free");
    Ok(if ours <= most - SPARE {
        Finding::good("DB007", evidence)
    } else {
        Finding::warning("DB007", evidence)
    })
}

async fn turkish(db: &Db) -> db::Result<Finding> {
    let count: i64 = TURKISH.scalar(db).await?;
    Ok(if count > 0 {
        Finding::good("DB008", "the ICU collation tr is there")
    } else {
        Finding::bad("DB008", "the server has no ICU collation for tr")
    })
}

async fn clock(db: &Db) -> db::Result<Finding> {
    use kernel::Clock as _;
    let before = kernel::SystemClock.now().as_millisecond();
    let theirs: i64 = CLOCK_MS.scalar(db).await?;
    let after = kernel::SystemClock.now().as_millisecond();
    // The true moment lies between the two: only what is outside counts as skew.
    let skew = (before - theirs).max(theirs - after).max(0);
    let evidence = format!("{skew} ms apart");
    Ok(if skew <= SKEW_MS {
        Finding::good("DB009", evidence)
    } else {
        Finding::bad("DB009", evidence)
    })
}

async fn durable(db: &Db) -> db::Result<Finding> {
    let durable: bool = DURABLE.scalar(db).await?;
    Ok(if durable {
        Finding::good("DB010", "fsync and full_page_writes are on")
    } else {
        Finding::bad("DB010", "a power cut would lose or damage data")
    })
}

/// Whether the schema is up to date, and the finding.
async fn migrations(local: &Local) -> (bool, Finding) {
    match db::pending(&local.direct, &crate::compose::migrations()).await {
        Ok(steps) if steps.is_empty() => (true, Finding::good("DB004", "nothing pending")),
        Ok(steps) => (
            false,
            Finding::warning("DB004", format!("{} pending", steps.len())),
        ),
        Err(error) => (false, Finding::bad("DB004", chain(&error))),
    }
}
