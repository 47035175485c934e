//! The routes of the context.

use std::sync::Arc;

use axum::extract::State;
use kernel::{Cursor, FieldError, Page, PlatformRole, UserId};
use serde::Deserialize;
use utoipa::IntoParams;
use web_kit::{Caller, Doc, Json, Query, Result, Staff, Table};

use crate::entries::Search;
use crate::error::Error;
use crate::{Audit, Entry, SCHEMA};

type Shared = State<Arc<Audit>>;

/// Every route of this context.
pub fn table(audit: Arc<Audit>) -> Table {
    Table::new(SCHEMA, audit)
        .get(
            "/v1/audit/entries",
            list,
            Doc::new("Read what happened on the platform")
                .describe("The newest first. Entries hold ids and names of what changed, never values.")
                .staff(&[PlatformRole::Superadmin])
                .query::<EntriesQuery>()
                .returns_page::<Entry>(200),
        )
        .get(
            "/v1/users/@me/activity",
            activity,
            Doc::new("Read what happened to one's own account")
                .describe("Logins, changed factors, roles and consents, the newest first; up to a few seconds late.")
                .query::<PageQuery>()
                .returns_page::<Entry>(200),
        )
        .build()
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    /// Where the page begins, from the page before.
    #[param(value_type = Option<String>, format = "cursor")]
    cursor: Option<Cursor>,
    /// Rows; 50 when absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct EntriesQuery {
    /// Whom it is about.
    subject: Option<UserId>,
    /// Who did it.
    actor: Option<UserId>,
    /// What happened, such as `identity.device_created.v1`.
    kind: Option<String>,
    /// Where the page begins, from the page before.
    #[param(value_type = Option<String>, format = "cursor")]
    cursor: Option<Cursor>,
    /// Rows; 50 when absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
}

async fn list(
    State(audit): Shared,
    _staff: Staff,
    Query(query): Query<EntriesQuery>,
) -> Result<Json<Page<Entry>>> {
    let search = Search {
        subject: query.subject,
        actor: query.actor,
        // PostgreSQL takes no NUL in text, and no kind has one.
        kind: query.kind.map(|kind| kind.replace('\0', "\u{FFFD}")),
    };
    let limit = checked(query.limit)?;
    let (items, next_cursor) = audit.entries(&search, query.cursor, limit).await?;
    Ok(Json(Page { items, next_cursor }))
}

async fn activity(
    State(audit): Shared,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Entry>>> {
    let limit = checked(query.limit)?;
    let (items, next_cursor) = audit.activity(&caller, query.cursor, limit).await?;
    Ok(Json(Page { items, next_cursor }))
}

fn checked(limit: Option<u16>) -> std::result::Result<u16, Error> {
    let limit = limit.unwrap_or(50);
    if (1..=kernel::page::MAX_PAGE).contains(&limit) {
        Ok(limit)
    } else {
        let error = FieldError::new("?limit", "OUT_OF_RANGE", "1 to 100");
        Err(Error::Invalid(vec![error]))
    }
}
