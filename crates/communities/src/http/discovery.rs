use axum::extract::State;
use kernel::CommunityId;
use serde::Deserialize;
use utoipa::IntoParams;
use web_kit::{Caller, Json, Path, Query, Result};

use super::extract::App;
use crate::{CommunityPreview, Discovered, DiscoveryQuery, DiscoverySort, Error, JoinedPublic};

/// Which public communities.
#[derive(Deserialize, IntoParams)]
pub(super) struct DiscoveryPage {
    /// Words, each the beginning of one in name, tags or description; Turkish letters are folded.
    #[serde(default)]
    #[param(max_length = 100)]
    query: String,
    /// Language tag; `tr` finds `tr-TR`.
    #[serde(default)]
    #[param(max_length = 35)]
    locale: Option<String>,
    /// `members` (largest first) when absent, or `newest`.
    #[serde(default)]
    sort: DiscoverySort,
    /// Where the page before ended.
    #[serde(default)]
    cursor: Option<String>,
    /// Rows; 50 when absent.
    #[serde(default)]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
}

impl DiscoveryPage {
    fn query(self) -> std::result::Result<DiscoveryQuery, Error> {
        let limit = u16::try_from(self.limit.unwrap_or(50)).unwrap_or(0);
        if !(1..=100).contains(&limit) {
            let detail = "must be from 1 to 100";
            return Err(Error::field("?limit", "OUT_OF_RANGE", detail));
        }
        let long = |tag: &String| tag.len() > 35 || tag.contains('\0');
        if self.locale.as_ref().is_some_and(long) {
            return Err(Error::field("?locale", "INVALID", "must be a language tag"));
        }
        Ok(DiscoveryQuery {
            text: self.query,
            locale: self.locale,
            sort: self.sort,
            cursor: self.cursor,
            limit,
        })
    }
}

pub(super) async fn discover(
    State(app): App,
    _caller: Caller,
    Query(page): Query<DiscoveryPage>,
) -> Result<Json<Discovered>> {
    Ok(Json(app.discover(page.query()?).await?))
}

pub(super) async fn get_preview(
    State(app): App,
    caller: Caller,
    Path(id): Path<CommunityId>,
) -> Result<Json<CommunityPreview>> {
    Ok(Json(app.preview(&caller, id).await?))
}

pub(super) async fn join_public(
    State(app): App,
    caller: Caller,
    Path(id): Path<CommunityId>,
) -> Result<Json<JoinedPublic>> {
    Ok(Json(app.join_public(&caller, id).await?))
}
