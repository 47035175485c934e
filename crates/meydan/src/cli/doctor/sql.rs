//! The statements of the doctor; they look at the server and never at a context's tables.

use db::Sql;

pub(super) const VERSION: Sql = Sql::new(
    "doctor.version",
    "SELECT current_setting('server_version_num')::int",
);
pub(super) const SET_LOCAL: Sql = Sql::new(
    "doctor.set_local",
    "SELECT set_config('app.doctor', 'inside', true)",
);
pub(super) const GET_LOCAL: Sql = Sql::new(
    "doctor.get_local",
    "SELECT coalesce(current_setting('app.doctor', true), '')",
);
pub(super) const STRONG_ROLE: Sql = Sql::new(
    "doctor.strong_role",
    "SELECT rolsuper OR rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = current_user",
);
pub(super) const CONNECTIONS: Sql = Sql::new(
    "doctor.connections",
    "SELECT current_setting('max_connections')::bigint",
);
pub(super) const TURKISH: Sql = Sql::new(
    "doctor.turkish",
    "SELECT count(*) FROM pg_catalog.pg_collation WHERE collprovider = 'i' AND collname LIKE 'tr-%'",
);
pub(super) const CLOCK_MS: Sql = Sql::new(
    "doctor.clock",
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint",
);
pub(super) const DURABLE: Sql = Sql::new(
    "doctor.durable",
    "SELECT current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on'",
);

/// Every statement of this file, for the test that prepares each.
#[cfg(test)]
const ALL: &[&Sql] = &[
    &VERSION,
    &SET_LOCAL,
    &GET_LOCAL,
    &STRONG_ROLE,
    &CONNECTIONS,
    &TURKISH,
    &CLOCK_MS,
    &DURABLE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_statement_is_valid() {
        let database = testkit::TestDb::new(&[]).await.unwrap();
        let problems = db::prepare::check(&database.settings(), ALL).await.unwrap();
        assert!(problems.is_empty(), "{problems:?}");
    }
}
