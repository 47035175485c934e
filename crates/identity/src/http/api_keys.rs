//! A person's API keys.

use std::sync::Arc;

use axum::extract::State;
use kernel::failure::{FORBIDDEN, NOT_FOUND};
use kernel::{AnyId, Page};
use serde::Deserialize;
use utoipa::ToSchema;
use web_kit::{Caller, Created, Doc, Json, NoContent, Path, Result, Routes};

use super::Shared;
use crate::Identity;
use crate::api_keys::{ApiKey, NewApiKey, NewKey};
use crate::error;

/// How long a key is good when its owner does not say.
const DEFAULT_DAYS: u16 = 90;

/// The routes of keys.
pub(super) fn routes(routes: Routes<Arc<Identity>>) -> Routes<Arc<Identity>> {
    let own = |summary| {
        Doc::new(summary)
            .people_only()
            .not_while_impersonating()
            .errors(&[&FORBIDDEN])
    };
    routes
        .get(
            "/v1/users/@me/api-keys",
            list,
            own("List one's own API keys").returns_page::<ApiKey>(200),
        )
        .post(
            "/v1/users/@me/api-keys",
            create,
            own("Make an API key")
                .step_up()
                .describe("The answer holds the key, which is not shown again.")
                .body::<ApiKeyRequest>()
                .returns::<NewKey>(201)
                .errors(&[&error::SCOPE_UNKNOWN, &error::TOO_MANY_KEYS]),
        )
        .delete(
            "/v1/users/@me/api-keys/{key_id}",
            revoke,
            own("Take an API key back")
                .served_when_full()
                .returns_nothing(204)
                .errors(&[&NOT_FOUND]),
        )
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiKeyRequest {
    /// Tells it from the other keys.
    #[schema(format = "line", min_length = 1, max_length = 64)]
    name: String,
    /// What it may be used for: `profile:read`, `profile:write`, `users:read`.
    #[schema(min_items = 1)]
    scopes: Vec<String>,
    /// 90 when absent.
    #[schema(minimum = 1, maximum = 365)]
    expires_in_days: Option<u16>,
}

async fn list(State(identity): Shared, caller: Caller) -> Result<Json<Page<ApiKey>>> {
    let items = identity.list_api_keys(&caller).await?;
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

async fn create(
    State(identity): Shared,
    caller: Caller,
    Json(request): Json<ApiKeyRequest>,
) -> Result<Created<NewKey>> {
    let wish = NewApiKey {
        name: request.name,
        scopes: request.scopes,
        expires_in_days: request.expires_in_days.unwrap_or(DEFAULT_DAYS),
    };
    Ok(Created(identity.create_api_key(&caller, wish).await?))
}

async fn revoke(
    State(identity): Shared,
    caller: Caller,
    Path(key): Path<AnyId>,
) -> Result<NoContent> {
    identity.revoke_api_key(&caller, key).await?;
    Ok(NoContent)
}
