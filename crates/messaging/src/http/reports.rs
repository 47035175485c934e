//! The route by which people complain about messages.

use std::time::Duration;

use axum::extract::State;
use kernel::{ChannelId, MessageId, ReportId, Rule};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use web_kit::{Caller, Created, Json, Path, Result};

use super::{App, Build, in_channel};
use crate::error::UNKNOWN_MESSAGE;

const REPORT: Rule = Rule::new("report_message", 10, Duration::from_secs(60));

/// Why somebody complains.
#[derive(Deserialize, ToSchema)]
#[schema(as = messaging::ReportMessage)]
pub(super) struct ReportMessage {
    /// 1 to 1,000 characters.
    #[schema(format = "lines", min_length = 1, max_length = 1000)]
    reason: String,
}

/// A complaint was noted.
#[derive(Serialize, ToSchema)]
#[schema(as = messaging::Reported)]
pub(super) struct Reported {
    /// The report.
    id: ReportId,
}

/// Adds it to the table.
pub(super) fn rows(routes: Build) -> Build {
    routes.post(
        "/api/v10/channels/{channel_id}/messages/{message_id}/report",
        report,
        in_channel("Report a message to the moderators of its community")
            .people_only()
            .limit(REPORT)
            .body::<ReportMessage>()
            .example(json!({"reason": "spam"}))
            .returns::<Reported>(201)
            .errors(&[&UNKNOWN_MESSAGE]),
    )
}

async fn report(
    State(messaging): App,
    caller: Caller,
    Path((channel, message)): Path<(ChannelId, MessageId)>,
    Json(body): Json<ReportMessage>,
) -> Result<Created<Reported>> {
    let id = messaging
        .report_message(&caller, channel, message, body.reason)
        .await?;
    Ok(Created(Reported { id }))
}
