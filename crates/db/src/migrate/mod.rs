//! Migrations: forward only, one owner at a time, resumable.
//!
//! Every context brings its files; `db` adds the roles and the tables of the shared mechanics.
//! The history stands in `<schema>.schema_history` (`mechanics_history` for ours).

mod driver;
mod lease;

use std::time::Duration;

use postgres_protocol::password::scram_sha_256;
use refinery_core::error::Kind;
use refinery_core::{Migration, Runner};

use crate::connect::{Direct, Settings};
use crate::error::Error;
use driver::Driver;
use lease::Lease;

/// The migrations of one context.
#[derive(Debug, Clone, Copy)]
pub struct Migrations {
    /// Its schema, which is also the prefix of its roles.
    pub schema: &'static str,
    /// `("V0001__accounts", include_str!("…"))`, in order.
    pub files: &'static [(&'static str, &'static str)],
}

/// One migration, applied or to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Schema it belongs to.
    pub schema: String,
    /// `V3__name`.
    pub name: String,
}

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Newly applied, in order; the tables of the mechanics are not listed.
    pub applied: Vec<Step>,
}

/// Why a run stopped. What had been applied before stays.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database itself.
    #[error("migrating")]
    Database(#[from] Error),
    /// A schema name that is no plain identifier.
    #[error("{0:?} is not a schema name: lower-case letters, digits and _, at most 40")]
    BadSchema(String),
    /// A file has no proper name, or two have the same number.
    #[error("schema {schema}: {problem}")]
    BadFile {
        /// Schema.
        schema: String,
        /// What is wrong.
        problem: String,
    },
    /// An applied file was edited.
    #[error(
        "schema {schema}: {name} was changed after it had been applied; add a new file instead"
    )]
    Changed {
        /// Schema.
        schema: String,
        /// The file.
        name: String,
    },
    /// The database holds a migration this program does not know, or a file came too late.
    #[error(
        "schema {schema}: {name} is in the database or out of order, and this version does not know it; run a newer version"
    )]
    Newer {
        /// Schema.
        schema: String,
        /// The migration.
        name: String,
    },
    /// A file failed. It was rolled back unless it is marked concurrent.
    #[error("schema {schema}: {problem}; {} applied before it stay", report.applied.len())]
    Failed {
        /// Schema.
        schema: String,
        /// Which file and why.
        problem: String,
        /// What had been applied.
        report: Report,
    },
    /// Another process kept migrating for too long.
    #[error("another process is migrating since more than {0} s")]
    Locked(u64),
}

/// The version of the tables `db` puts into every schema.
const MECHANICS: &[(&str, &str)] = &[("V0001__mechanics", include_str!("mechanics_0001.sql"))];
/// How long to wait for another migrating process.
const LEASE_WAIT: Duration = Duration::from_secs(120);

/// Applies everything that is pending. `settings` must reach the server directly.
pub async fn migrate(settings: &Settings, all: &[Migrations]) -> Result<Report, MigrateError> {
    for migrations in all {
        check_schema(migrations.schema)?;
    }
    let direct = Direct::open(settings).await?;
    driver::run_retrying(direct.client(), "bootstrap", include_str!("bootstrap.sql")).await?;
    let lease = Lease::take(direct.client(), LEASE_WAIT).await?;
    let mut report = Report::default();
    let result = apply_all(settings, direct.client(), &lease, all, &mut report).await;
    let released = lease.release(direct.client()).await;
    result?;
    released?;
    Ok(report)
}

async fn apply_all(
    settings: &Settings,
    client: &tokio_postgres::Client,
    lease: &Lease,
    all: &[Migrations],
    report: &mut Report,
) -> Result<(), MigrateError> {
    for migrations in all {
        let schema = migrations.schema;
        let setup = include_str!("schema.sql").replace("{schema}", schema);
        driver::run_retrying(client, "preparing a schema", &setup).await?;
        let mut driver = Driver::new(settings, client, lease, schema);
        apply(
            &mut driver,
            "mechanics_history",
            schema,
            MECHANICS,
            &mut Report::default(),
        )
        .await?;
        apply(
            &mut driver,
            "schema_history",
            schema,
            migrations.files,
            report,
        )
        .await?;
        let protect = format!(
            "REVOKE INSERT, UPDATE, DELETE ON {schema}.schema_history, {schema}.mechanics_history FROM {schema}_app"
        );
        driver::run_retrying(client, "protecting the history", &protect).await?;
    }
    Ok(())
}

/// What [`migrate`] would apply, without changing anything.
pub async fn pending(settings: &Settings, all: &[Migrations]) -> Result<Vec<Step>, MigrateError> {
    let direct = Direct::open(settings).await?;
    let mut steps = Vec::new();
    for migrations in all {
        check_schema(migrations.schema)?;
        let known = driver::history(direct.client(), migrations.schema, "schema_history").await?;
        for migration in parse(migrations.schema, migrations.files)? {
            let same = known
                .iter()
                .find(|applied| applied.version() == migration.version());
            match same {
                None => steps.push(Step {
                    schema: migrations.schema.to_owned(),
                    name: migration.to_string(),
                }),
                Some(applied) if *applied != migration => {
                    return Err(MigrateError::Changed {
                        schema: migrations.schema.to_owned(),
                        name: migration.to_string(),
                    });
                }
                Some(_) => {}
            }
        }
    }
    Ok(steps)
}

async fn apply(
    driver: &mut Driver<'_>,
    table: &str,
    schema: &str,
    files: &[(&str, &str)],
    report: &mut Report,
) -> Result<(), MigrateError> {
    let migrations = parse(schema, files)?;
    let mut runner = Runner::new(&migrations);
    runner.set_migration_table_name(format!("{schema}.{table}"));
    let step = |migration: &Migration| Step {
        schema: schema.to_owned(),
        name: migration.to_string(),
    };
    match runner.run_async(driver).await {
        Ok(done) => {
            report
                .applied
                .extend(done.applied_migrations().iter().map(step));
            Ok(())
        }
        Err(error) => {
            if let Some(done) = error.report() {
                report
                    .applied
                    .extend(done.applied_migrations().iter().map(step));
            }
            Err(explain(schema, &error, report))
        }
    }
}

fn explain(schema: &str, error: &refinery_core::Error, report: &Report) -> MigrateError {
    let schema = schema.to_owned();
    match error.kind() {
        Kind::DivergentVersion(applied, _) => MigrateError::Changed {
            schema,
            name: applied.to_string(),
        },
        Kind::MissingVersion(migration) => MigrateError::Newer {
            schema,
            name: migration.to_string(),
        },
        Kind::Connection(what, cause) => MigrateError::Failed {
            schema,
            problem: format!("{what}: {}", crate::error::chain(cause.as_ref())),
            report: report.clone(),
        },
        other => MigrateError::BadFile {
            schema,
            problem: other.to_string(),
        },
    }
}

fn parse(schema: &str, files: &[(&str, &str)]) -> Result<Vec<Migration>, MigrateError> {
    files
        .iter()
        .map(|(name, text)| {
            Migration::unapplied(name, &text.replace("{schema}", schema)).map_err(|error| {
                MigrateError::BadFile {
                    schema: schema.to_owned(),
                    problem: format!("{name}: {error}"),
                }
            })
        })
        .collect()
}

/// Schema names go into statements as text, so nothing but a plain identifier will do.
pub(crate) fn check_schema(schema: &str) -> Result<(), MigrateError> {
    let plain = !schema.is_empty()
        && schema.len() <= 40
        && schema
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !schema.starts_with(|first: char| first.is_ascii_digit());
    if plain {
        Ok(())
    } else {
        Err(MigrateError::BadSchema(schema.to_owned()))
    }
}

/// Makes sure that a login role exists, has this password and inherits exactly the given role
/// (`meydan_app` for a process that runs everything, `<context>_app` for one context).
pub async fn ensure_login(
    settings: &Settings,
    login: &str,
    password: Option<&secrecy::SecretString>,
    inherits: &str,
) -> Result<(), MigrateError> {
    use secrecy::ExposeSecret;
    check_schema(login)?;
    check_schema(inherits)?;
    let direct = Direct::open(settings).await?;
    // PostgreSQL logs the text of a statement that fails, so it gets a verifier and never the
    // password. A verifier consists of base64, `$` and `:`; nothing in it needs quoting.
    let password = match password {
        Some(secret) => {
            let verifier = scram_sha_256(secret.expose_secret().as_bytes());
            format!("PASSWORD '{verifier}'")
        }
        None => String::new(),
    };
    let text = format!(
        "DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{login}') THEN
                CREATE ROLE {login} LOGIN;
            END IF;
            IF NOT pg_has_role('{login}', '{inherits}', 'MEMBER') THEN
                GRANT {inherits} TO {login};
            END IF;
        END $$;
        ALTER ROLE {login} LOGIN {password};"
    );
    driver::run_retrying(direct.client(), "making a login role", &text).await?;
    Ok(())
}

/// The texts that [`migrate`] runs besides the contexts' own files, for tests that keep templates.
#[doc(hidden)]
#[must_use]
pub fn migrate_fingerprint() -> [&'static str; 3] {
    [
        include_str!("bootstrap.sql"),
        include_str!("schema.sql"),
        include_str!("mechanics_0001.sql"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_names_are_plain() {
        for good in ["identity", "a", "x_1"] {
            assert!(check_schema(good).is_ok(), "{good}");
        }
        let long = "a".repeat(41);
        for bad in ["", "1a", "A", "a-b", "a;drop", "ü", long.as_str()] {
            assert!(check_schema(bad).is_err(), "{bad}");
        }
        assert!(check_schema(&"a".repeat(40)).is_ok());
    }
}
