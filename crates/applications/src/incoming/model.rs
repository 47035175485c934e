//! Webhooks as they are stored and shown, and the rules of requests about them. Pure.

use contracts::identity::User;
use db::FromRow;
use kernel::{ApplicationId, ChannelId, Check, CommunityId, UserId, WebhookId};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::embed::is_web_address;
use crate::error::{Error, Result};

/// The dialect's type of a webhook that programs write to.
const INCOMING: i16 = 1;
/// Longest name, in characters.
const MAX_NAME: usize = 80;

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct WebhookRow {
    pub(crate) id: WebhookId,
    pub(crate) community_id: CommunityId,
    pub(crate) channel_id: ChannelId,
    pub(crate) creator_id: UserId,
    pub(crate) name: String,
    pub(crate) avatar: Option<String>,
    pub(crate) token_sha256: Vec<u8>,
    pub(crate) token_enc: Vec<u8>,
    pub(crate) token_kek: String,
}

/// A webhook in the dialect's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = applications::Webhook)]
pub struct Webhook {
    /// The webhook.
    pub id: WebhookId,
    /// Always 1: programs write to it.
    #[serde(rename = "type")]
    pub kind: i16,
    /// The community.
    pub guild_id: CommunityId,
    /// Where it writes.
    pub channel_id: ChannelId,
    /// Who made it; absent for whoever shows only the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// Under which name it writes unless a message says otherwise.
    pub name: String,
    /// Picture hash; none yet.
    pub avatar: Option<String>,
    /// Whoever has it may write.
    pub token: String,
    /// Always null: no application made it.
    pub application_id: Option<ApplicationId>,
    /// Where to write to.
    pub url: String,
}

/// A new webhook.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = applications::CreateWebhook)]
pub struct CreateWebhook {
    /// Name, 1 to 80 characters.
    #[schema(format = "line", min_length = 1, max_length = 80)]
    pub name: String,
    /// Pictures come later: only null.
    #[serde(default)]
    pub avatar: Option<String>,
}

/// Changes of a webhook; absent fields stay.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = applications::UpdateWebhook)]
pub struct UpdateWebhook {
    /// Name, 1 to 80 characters.
    #[schema(format = "line", min_length = 1, max_length = 80)]
    pub name: Option<String>,
    /// Pictures come later: only null.
    pub avatar: Option<String>,
    /// Another channel of the same community.
    pub channel_id: Option<ChannelId>,
}

/// A message that a program writes.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
#[schema(as = applications::ExecuteWebhook)]
pub struct ExecuteWebhook {
    /// As whom, 1 to 80 characters; the webhook's name when absent.
    #[serde(skip_serializing)]
    #[schema(format = "line", min_length = 1, max_length = 80)]
    pub username: Option<String>,
    /// The address of a picture. It is told to clients and never fetched here.
    #[serde(skip_serializing)]
    #[schema(max_length = 2048)]
    pub avatar_url: Option<String>,
    /// The text, at most 4,000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Read aloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tts: Option<bool>,
    /// At most 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub embeds: Option<Vec<Value>>,
    /// Buttons and the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub components: Option<Vec<Value>>,
    /// Who may be called; everybody when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub allowed_mentions: Option<Value>,
    /// Dialect's flags; 4 and 4096 are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<i64>,
    /// Files: none yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub attachments: Option<Vec<Value>>,
}

/// An edit of a webhook's own message. An absent field stays as it is, null empties it.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
#[schema(as = applications::EditWebhookMessage)]
pub struct EditWebhookMessage {
    /// The text.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub content: Option<Option<String>>,
    /// Embeds.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub embeds: Option<Option<Vec<Value>>>,
    /// Components.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub components: Option<Option<Vec<Value>>>,
    /// Who may be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub allowed_mentions: Option<Value>,
    /// Dialect's flags; of them 4 is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<i64>,
    /// Files: none yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub attachments: Option<Vec<Value>>,
}

/// Tells null (`Some(None)`) from absent (`None`).
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl WebhookRow {
    /// In the dialect's form, under the address of this installation.
    pub(crate) fn object(self, token: String, user: Option<User>, base: &str) -> Webhook {
        let url = format!("{base}/api/v10/webhooks/{}/{token}", self.id);
        Webhook {
            id: self.id,
            kind: INCOMING,
            guild_id: self.community_id,
            channel_id: self.channel_id,
            user,
            name: self.name,
            avatar: self.avatar,
            token,
            application_id: None,
            url,
        }
    }

    /// What encryption binds the token to.
    pub(crate) fn bound(id: WebhookId) -> Vec<u8> {
        [b"webhook".as_slice(), &id.get().to_be_bytes()].concat()
    }
}

impl CreateWebhook {
    pub(crate) fn checked(self) -> Result<String> {
        let mut check = Check::default();
        let name = check.name("/name", &self.name, 1, MAX_NAME);
        no_picture(&mut check, self.avatar.as_deref());
        check.done().map_err(Error::Invalid).map(|()| name)
    }
}

impl UpdateWebhook {
    /// The row after the change, its channel apart.
    pub(crate) fn apply(&self, mut row: WebhookRow) -> Result<WebhookRow> {
        let mut check = Check::default();
        if let Some(name) = &self.name {
            row.name = check.name("/name", name, 1, MAX_NAME);
        }
        no_picture(&mut check, self.avatar.as_deref());
        check.done().map_err(Error::Invalid).map(|()| row)
    }
}

fn no_picture(check: &mut Check, avatar: Option<&str>) {
    if avatar.is_some() {
        check.refuse(
            "/avatar",
            "UPLOADS_COME_LATER",
            "pictures cannot be set yet",
        );
    }
}

impl ExecuteWebhook {
    /// Its name and picture, checked.
    pub(crate) fn voice(&self) -> Result<(Option<String>, Option<String>)> {
        let mut check = Check::default();
        let name = self.username.as_deref();
        let name = name.map(|name| check.name("/username", name, 1, MAX_NAME));
        let picture = self.avatar_url.as_deref().filter(|url| !url.is_empty());
        if picture.is_some_and(|url| !is_web_address(url)) {
            let detail = "an address of the web of at most 2048 characters";
            check.refuse("/avatar_url", "INVALID", detail);
        }
        let picture = picture.map(str::to_owned);
        check
            .done()
            .map_err(Error::Invalid)
            .map(|()| (name, picture))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_and_pictures_are_bounded() {
        for (name, picture, good) in [
            (None, None, true),
            (Some("ş".repeat(80)), None, true),
            (Some("ş".repeat(81)), None, false),
            (Some(" ".to_owned()), None, false),
            (Some("a\u{202e}b".to_owned()), None, false),
            (None, Some("https://example.com/a.png"), true),
            (None, Some(""), true),
            (None, Some("javascript:x"), false),
        ] {
            let sent = ExecuteWebhook {
                username: name.clone(),
                avatar_url: picture.map(str::to_owned),
                ..ExecuteWebhook::default()
            };
            assert_eq!(sent.voice().is_ok(), good, "{name:?} {picture:?}");
        }
    }

    #[test]
    fn only_what_a_message_has_goes_on() {
        let sent = json!({"username": "ci", "avatar_url": "https://e.example/", "content": "x", "thread_name": "t"});
        let read: ExecuteWebhook = serde_json::from_value(sent).unwrap();
        assert_eq!(
            serde_json::to_value(&read).unwrap(),
            json!({"content": "x"})
        );
        let edit: EditWebhookMessage =
            serde_json::from_value(json!({"content": null, "flags": 4})).unwrap();
        assert_eq!(
            serde_json::to_value(&edit).unwrap(),
            json!({"content": null, "flags": 4})
        );
    }
}
