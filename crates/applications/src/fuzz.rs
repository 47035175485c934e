//! Doors to what reads strangers' JSON, for the fuzz targets and the replay of their corpus. Nothing
//! here touches a database, and nobody else calls it.

use serde_json::Value;

use crate::incoming::embed::Foreign;
use crate::incoming::github::Told;
use crate::incoming::{form, github, slack};

/// A body in Slack's form, as the fields of a message.
pub fn slack(body: &[u8]) -> Option<Value> {
    slack::read(&form::read(body).ok()?).as_ref().map(shown)
}

/// An event of GitHub: none when it cannot be read, `Some(None)` when it says nothing.
pub fn github(event: &str, body: &[u8]) -> Option<Option<Value>> {
    match github::read(event, &form::read(body).ok()?)? {
        Told::Nothing => Some(None),
        Told::Message(message) => Some(Some(shown(&message))),
    }
}

fn shown(message: &Foreign) -> Value {
    let mut body = message.body();
    if let Some(map) = body.as_object_mut() {
        map.insert("username".to_owned(), message.username.clone().into());
        map.insert("avatar_url".to_owned(), message.avatar_url.clone().into());
    }
    body
}
