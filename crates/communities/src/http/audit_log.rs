use axum::extract::State;
use kernel::{AnyId, CommunityId, UserId};
use serde::Deserialize;
use utoipa::IntoParams;
use web_kit::{Caller, Json, Path, Query, Result};

use super::extract::App;
use crate::{AuditFrom, AuditLog, AuditQuery, Error};

/// Which entries.
#[derive(Deserialize, IntoParams)]
pub(super) struct AuditPage {
    /// Done by this user.
    #[serde(default)]
    user_id: Option<UserId>,
    /// Of this kind, numbered as in the dialect.
    #[serde(default)]
    #[param(minimum = -32768, maximum = 32767)]
    action_type: Option<i16>,
    /// Those right below this entry, newest first.
    #[serde(default)]
    before: Option<AnyId>,
    /// Those right above this entry, oldest first.
    #[serde(default)]
    after: Option<AnyId>,
    /// Rows; 50 when absent.
    #[serde(default)]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
}

impl AuditPage {
    fn query(&self) -> std::result::Result<AuditQuery, Error> {
        let limit = u8::try_from(self.limit.unwrap_or(50)).unwrap_or(0);
        if !(1..=100).contains(&limit) {
            let detail = "must be from 1 to 100";
            return Err(Error::field("?limit", "OUT_OF_RANGE", detail));
        }
        let from = match (self.before, self.after) {
            (None, None) => AuditFrom::Newest,
            (Some(id), None) => AuditFrom::Before(id),
            (None, Some(id)) => AuditFrom::After(id),
            (Some(_), Some(_)) => {
                let detail = "goes with before or after, not both";
                return Err(Error::field("?after", "ONE_OF", detail));
            }
        };
        Ok(AuditQuery {
            actor: self.user_id,
            action: self.action_type,
            from,
            limit,
        })
    }
}

pub(super) async fn get_audit_log(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
    Query(page): Query<AuditPage>,
) -> Result<Json<AuditLog>> {
    let log = app.audit_log(&caller, community, page.query()?).await?;
    Ok(Json(log))
}
