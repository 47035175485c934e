//! Events this context emits.

use jiff::Timestamp;
use kernel::{ApplicationId, Event, EventId, UserId};
use serde_json::{Value, json};

/// An application was made. `{application_id}`
pub const APPLICATION_CREATED: &str = "applications.application_created.v1";
/// Its name, description or granted intents changed. `{application_id, fields}`
pub const APPLICATION_UPDATED: &str = "applications.application_updated.v1";
/// It was deleted. `{application_id}`
pub const APPLICATION_DELETED: &str = "applications.application_deleted.v1";
/// Its token was replaced. `{application_id}`
pub const TOKEN_RESET: &str = "applications.token_reset.v1";
/// It was installed, or its rights changed. `{application_id, community_id, permissions}`
pub const INSTALLED: &str = "applications.installed.v1";
/// It was taken out. `{application_id, community_id}`
pub const UNINSTALLED: &str = "applications.uninstalled.v1";

/// Every event this build emits.
pub const EVENTS: &[&str] = &[
    APPLICATION_CREATED,
    APPLICATION_UPDATED,
    APPLICATION_DELETED,
    TOKEN_RESET,
    INSTALLED,
    UNINSTALLED,
];

/// An event of an application; `more` is added to its data.
pub(crate) fn event(
    id: EventId,
    kind: &str,
    at: Timestamp,
    actor: UserId,
    application: ApplicationId,
    more: Value,
) -> Event {
    let mut data = json!({"application_id": application});
    if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
        data.extend(more);
    }
    Event {
        id,
        kind: kind.to_owned(),
        at,
        actor: Some(actor),
        tenant: None,
        key: application.to_string(),
        data,
    }
}
