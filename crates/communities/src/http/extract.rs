//! What these routes take besides the extractors of `web_kit`.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use web_kit::{AuditReason, Fail};

use crate::{Communities, Reason};

pub(super) type App = State<Arc<Communities>>;

/// The reason for the audit log.
#[derive(Debug)]
pub(super) struct Why(pub(super) Reason);

impl<S: Send + Sync> FromRequestParts<S> for Why {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fail> {
        let AuditReason(reason) = AuditReason::from_request_parts(parts, state).await?;
        Ok(Why(Reason(reason)))
    }
}
