//! Texts that people agree to, and their consents.

use std::sync::Arc;

use axum::extract::State;
use kernel::failure::NOT_FOUND;
use kernel::{FieldError, Page};
use serde::Deserialize;
use utoipa::ToSchema;
use web_kit::{Caller, Doc, Json, NoContent, Path, Policy, Public, Result, Routes, Staff};

use super::Shared;
use crate::Identity;
use crate::consents::{ConsentState, ConsentText, NewText};
use crate::error::{self, Error};

/// Two languages of a hundred thousand characters, escaped.
const MAX_TEXT_BODY: usize = 1024 * 1024;

/// The routes of consents.
pub(super) fn routes(routes: Routes<Arc<Identity>>) -> Routes<Arc<Identity>> {
    routes
        .get(
            "/v1/consent-texts",
            texts,
            Doc::new("Read the texts people agree to")
                .policy(Policy::Public)
                .describe("The current version for each purpose.")
                .returns_page::<ConsentText>(200),
        )
        .post(
            "/v1/consent-texts",
            publish,
            Doc::new("Publish a text people agree to")
                .staff(&[])
                .step_up()
                .max_body(MAX_TEXT_BODY)
                .describe("Superadmins only. It takes the place of the purpose's present text; a published version never changes.")
                .body::<TextRequest>()
                .returns_nothing(204),
        )
        .get(
            "/v1/users/@me/consents",
            list,
            Doc::new("List one's own consents")
                .describe("What was said last about each purpose.")
                .people_only()
                .returns_page::<ConsentState>(200),
        )
        .put(
            "/v1/users/@me/consents/{purpose}",
            set,
            Doc::new("Give or withdraw a consent")
                .people_only()
                .not_while_impersonating()
                .body::<ConsentRequest>()
                .returns::<ConsentState>(200)
                .errors(&[&NOT_FOUND, &error::TEXT_OUTDATED]),
        )
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TextRequest {
    /// What for, such as `terms`.
    purpose: String,
    /// A new version.
    version: String,
    /// The text in Turkish.
    tr: String,
    /// The text in English.
    en: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsentRequest {
    /// Whether it is given.
    granted: bool,
    /// The version that was read; needed to give it.
    text_version: Option<String>,
}

async fn texts(State(identity): Shared, _: Public) -> Result<Json<Page<ConsentText>>> {
    let items = identity.consent_texts().await?;
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

async fn publish(
    State(identity): Shared,
    staff: Staff,
    Json(request): Json<TextRequest>,
) -> Result<NoContent> {
    let text = NewText {
        purpose: request.purpose,
        version: request.version,
        tr: request.tr,
        en: request.en,
    };
    identity.publish_text(&staff, text).await?;
    Ok(NoContent)
}

async fn list(State(identity): Shared, caller: Caller) -> Result<Json<Page<ConsentState>>> {
    let items = identity.list_consents(&caller).await?;
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

async fn set(
    State(identity): Shared,
    caller: Caller,
    Path(purpose): Path<String>,
    Json(request): Json<ConsentRequest>,
) -> Result<Json<ConsentState>> {
    if request.granted && request.text_version.is_none() {
        let error = FieldError::new("/text_version", "MISSING", "names what was read");
        return Err(Error::Invalid(vec![error]).into());
    }
    let version = request.text_version.filter(|_| request.granted);
    let state = identity.set_consent(&caller, &purpose, version.as_deref());
    Ok(Json(state.await?))
}
