//! Messages as they are sent: requests, their rules, and what of them is stored. Pure.

mod embeds;

use contracts::messaging::Voice;
use jiff::{SignedDuration, Timestamp};
use kernel::{ChannelId, CommunityId, FieldError, MessageId, RoleId, UserId};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::attachments::{self, SentAttachment, SentFile, Uploaded};
use crate::error::Error;
use crate::expiry::SECONDS;
use crate::forwards::Forwarded;
use crate::mentions::AllowedMentions;
use crate::polls::{NewPoll, SentPoll, StoredPoll};
use embeds::{check_components, check_embeds};

/// Most characters of a text.
pub(crate) const MAX_CONTENT_CHARS: usize = 4_000;
/// Most embeds of a message.
pub(crate) const MAX_EMBEDS: usize = 10;
/// Longest nonce.
pub(crate) const MAX_NONCE_BYTES: usize = 64;
/// Dialect's flag of a message that shows nothing of what it links to.
pub(crate) const NO_EMBEDS: i32 = 1 << 2;
/// Dialect's flags a sender may set: no embeds, no notification.
const SENDER_FLAGS: i64 = (1 << 2) | (1 << 12);

/// The dialect's type of a plain message.
pub(crate) const PLAIN: i16 = 0;
/// The dialect's type of the message that tells of a pin.
pub(crate) const PINNED: i16 = 6;
/// The dialect's type of the message that tells how a poll ended.
pub(crate) const POLL_RESULT: i16 = 46;
/// Ours: how long later messages stay.
pub(crate) const TTL_SET: i16 = 102;
/// The dialect's type of a reply.
pub(crate) const REPLY: i16 = 19;

/// Whether people write messages of this type; the system writes all others.
pub(crate) fn is_from_people(kind: i16) -> bool {
    matches!(kind, PLAIN | REPLY)
}

/// The message a reply answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
pub struct SentReference {
    /// 0 = reply (default), 1 = forward: the message is shown as it is now.
    #[serde(rename = "type")]
    pub kind: Option<i32>,
    /// The answered message.
    pub message_id: MessageId,
    /// Its channel: of a reply this one, of a forward any that the caller can read.
    pub channel_id: Option<ChannelId>,
    /// Its community; not looked at.
    pub guild_id: Option<CommunityId>,
    /// Whether a missing message fails the request (default) or makes it a plain message.
    pub fail_if_not_exists: Option<bool>,
}

impl SentReference {
    /// Whether the message is to be shown, not answered.
    pub(crate) fn is_forward(&self) -> bool {
        self.kind == Some(1)
    }
}

/// A request to send. Fields we do not know are ignored: stock clients send more.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
pub struct SendMessage {
    /// The text, at most 4,000 characters.
    pub content: Option<String>,
    /// Read aloud.
    pub tts: Option<bool>,
    /// What the sender calls the message: text or number, at most 64 bytes.
    #[schema(value_type = Option<Object>)]
    pub nonce: Option<Value>,
    /// Whether a second message of the same nonce is the first one again.
    pub enforce_nonce: Option<bool>,
    /// The message it answers.
    pub message_reference: Option<SentReference>,
    /// At most 10.
    #[schema(value_type = Option<Vec<Object>>)]
    pub embeds: Option<Vec<Value>>,
    /// Buttons and the like.
    #[schema(value_type = Option<Vec<Object>>)]
    pub components: Option<Vec<Value>>,
    /// What may be mentioned.
    pub allowed_mentions: Option<AllowedMentions>,
    /// Dialect's flags; 4 and 4096 are taken.
    pub flags: Option<i64>,
    /// Files, at most 10: parts of the form, or uploads.
    #[schema(max_items = 10)]
    pub attachments: Option<Vec<SentAttachment>>,
    /// Files that came with the request.
    #[serde(skip)]
    pub uploaded: Vec<Uploaded>,
    /// A question to vote on.
    pub poll: Option<SentPoll>,
    /// Seconds after which it disappears: 60 to 7,776,000. The channel may set less.
    #[schema(minimum = 60, maximum = 7_776_000)]
    pub expires_in: Option<i32>,
}

/// A request to edit. An absent field stays as it is, null empties it.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
pub struct EditMessage {
    /// The text.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub content: Option<Option<String>>,
    /// Embeds.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub embeds: Option<Option<Vec<Value>>>,
    /// Components.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub components: Option<Option<Vec<Value>>>,
    /// What may be mentioned.
    pub allowed_mentions: Option<AllowedMentions>,
    /// Dialect's flags; of them 4 is taken.
    pub flags: Option<i64>,
    /// The files that stay; the others go.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<SentAttachment>>)]
    pub attachments: Option<Option<Vec<SentAttachment>>>,
}

/// Tells null (`Some(None)`) from absent (`None`).
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What a sender calls a message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Nonce {
    /// As it was sent, to be shown again.
    pub(crate) shown: Value,
    /// As text.
    pub(crate) text: String,
}

/// A checked message.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    pub(crate) content: String,
    pub(crate) tts: bool,
    pub(crate) flags: i32,
    pub(crate) embeds: Vec<Value>,
    pub(crate) components: Vec<Value>,
    pub(crate) reference: Option<SentReference>,
    pub(crate) allowed: Option<AllowedMentions>,
    pub(crate) nonce: Option<Nonce>,
    /// The text by which a second message is the first one again.
    pub(crate) once: Option<String>,
    /// Whether that text is an `Idempotency-Key`, which promises the same request; a nonce does not.
    pub(crate) by_key: bool,
    /// As whom a webhook speaks.
    pub(crate) voice: Option<Voice>,
    /// The message it shows, as far as it was looked up.
    pub(crate) forwarded: Option<Forwarded>,
    pub(crate) files: Vec<SentFile>,
    pub(crate) poll: Option<NewPoll>,
    pub(crate) expires_in_s: Option<i32>,
}

impl NewMessage {
    /// When it disappears, if it says so itself.
    pub(crate) fn expires_at(&self, now: Timestamp) -> Option<Timestamp> {
        let stays = SignedDuration::from_secs(i64::from(self.expires_in_s?));
        now.checked_add(stays).ok()
    }
}

/// A checked edit.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    pub(crate) content: Option<String>,
    pub(crate) embeds: Option<Vec<Value>>,
    pub(crate) components: Option<Vec<Value>>,
    pub(crate) allowed: Option<AllowedMentions>,
    pub(crate) flags: Option<i32>,
    /// The files that stay.
    pub(crate) files: Option<Vec<SentFile>>,
}

/// What a message shows besides its text, as it is stored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Body {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) embeds: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) components: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) mentions: Vec<UserId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) mention_roles: Vec<RoleId>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) mention_everyone: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) tts: bool,
    /// As whom a webhook speaks; its messages alone have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) voice: Option<Voice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) forwarded: Option<Forwarded>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<SentFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) poll: Option<StoredPoll>,
    /// What the pages say that it links to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) previews: Vec<Value>,
}

impl Body {
    /// Reads the stored form; NULL is the plain message.
    pub(crate) fn read(stored: Option<Value>) -> Result<Self, serde_json::Error> {
        stored.map_or_else(|| Ok(Body::default()), serde_json::from_value)
    }

    /// Whether there is nothing to see beside the text.
    pub(crate) fn shows_nothing(&self) -> bool {
        self.embeds.is_empty() && self.components.is_empty() && self.files.is_empty()
    }

    /// The stored form: a plain message has none.
    pub(crate) fn stored(&self) -> Result<Option<String>, serde_json::Error> {
        if *self == Body::default() {
            return Ok(None);
        }
        serde_json::to_string(self).map(Some)
    }
}

impl SendMessage {
    /// Checks the request. `key` is the caller's `Idempotency-Key`; it works as an enforced nonce,
    /// which goes before it when both are there.
    pub fn check(self, key: Option<String>) -> Result<NewMessage, Error> {
        let mut errors = Vec::new();
        let nonce = check_nonce(self.nonce, &mut errors);
        let content = self.content.unwrap_or_default();
        check_content(&content, &mut errors);
        let embeds = self.embeds.unwrap_or_default();
        check_embeds(&embeds, &mut errors);
        let components = self.components.unwrap_or_default();
        check_components(&components, &mut errors);
        check_allowed(self.allowed_mentions.as_ref(), &mut errors);
        let named = self.attachments.unwrap_or_default();
        let files = attachments::check_sent(named, &self.uploaded, &mut errors);
        check_reference(self.message_reference.as_ref(), &mut errors);
        let reference = self.message_reference.as_ref();
        let is_forward = reference.is_some_and(SentReference::is_forward);
        check_expiry(self.expires_in, &mut errors);
        let asks = self.poll.is_some();
        let poll = self.poll.and_then(|poll| poll.check(&mut errors));
        let is_empty = content.trim().is_empty()
            && embeds.is_empty()
            && components.is_empty()
            && files.is_empty()
            && !asks;
        if is_forward && !is_empty {
            let detail = "a forward has no content of its own";
            errors.push(FieldError::new("/content", "FORWARD_HAS_NONE", detail));
        }
        if !errors.is_empty() {
            return Err(Error::Invalid(errors));
        }
        if is_empty && !is_forward {
            return Err(Error::EmptyMessage);
        }
        let enforced = self.enforce_nonce == Some(true);
        let enforced_nonce = nonce
            .as_ref()
            .filter(|_| enforced)
            .map(|nonce| nonce.text.clone());
        let by_key = enforced_nonce.is_none() && key.is_some();
        let once = enforced_nonce.or(key);
        Ok(NewMessage {
            content,
            tts: self.tts == Some(true),
            flags: sender_flags(self.flags),
            embeds,
            components,
            reference: self.message_reference,
            allowed: self.allowed_mentions,
            nonce,
            once,
            by_key,
            voice: None,
            forwarded: None,
            files,
            poll,
            expires_in_s: self.expires_in,
        })
    }
}

fn check_reference(to: Option<&SentReference>, errors: &mut Vec<FieldError>) {
    if to.is_some_and(|to| !matches!(to.kind, None | Some(0 | 1))) {
        let detail = "0 = reply, 1 = forward";
        errors.push(FieldError::new(
            "/message_reference/type",
            "UNSUPPORTED",
            detail,
        ));
    }
}

fn check_expiry(seconds: Option<i32>, errors: &mut Vec<FieldError>) {
    if seconds.is_some_and(|stays| !SECONDS.contains(&stays)) {
        let detail = "60 to 7776000 seconds";
        errors.push(FieldError::new("/expires_in", "NUMBER_TYPE_RANGE", detail));
    }
}

impl EditMessage {
    /// Checks the request.
    pub fn check(self) -> Result<Edit, Error> {
        let mut errors = Vec::new();
        let content = self.content.map(Option::unwrap_or_default);
        check_content(content.as_deref().unwrap_or_default(), &mut errors);
        let embeds = self.embeds.map(Option::unwrap_or_default);
        check_embeds(embeds.as_deref().unwrap_or_default(), &mut errors);
        let components = self.components.map(Option::unwrap_or_default);
        check_components(components.as_deref().unwrap_or_default(), &mut errors);
        check_allowed(self.allowed_mentions.as_ref(), &mut errors);
        let named = self.attachments.map(Option::unwrap_or_default);
        let files = named.map(|named| attachments::check_kept(named, &mut errors));
        if !errors.is_empty() {
            return Err(Error::Invalid(errors));
        }
        let flags = self.flags.map(|flags| sender_flags(Some(flags)));
        Ok(Edit {
            content,
            embeds,
            components,
            allowed: self.allowed_mentions,
            flags,
            files,
        })
    }
}

/// Drops the flags that are not the sender's to set.
fn sender_flags(flags: Option<i64>) -> i32 {
    i32::try_from(flags.unwrap_or(0) & SENDER_FLAGS).unwrap_or(0)
}

fn check_nonce(nonce: Option<Value>, errors: &mut Vec<FieldError>) -> Option<Nonce> {
    let text = match &nonce {
        None | Some(Value::Null) => return None,
        Some(Value::String(text)) => text.clone(),
        // Up to twenty digits, beyond a signed 64-bit number: kept as text.
        Some(Value::Number(number)) if number.is_u64() || number.is_i64() => number.to_string(),
        Some(_) => {
            let detail = "a text or a whole number of at most 64 bytes";
            errors.push(FieldError::new("/nonce", "NONCE_TYPE_INVALID", detail));
            return None;
        }
    };
    if text.is_empty() {
        return None;
    }
    if text.len() > MAX_NONCE_BYTES || text.contains('\0') {
        errors.push(FieldError::new(
            "/nonce",
            "NONCE_TOO_LONG",
            "at most 64 bytes, no NUL",
        ));
        return None;
    }
    nonce.map(|shown| Nonce { shown, text })
}

fn check_content(content: &str, errors: &mut Vec<FieldError>) {
    if content.chars().count() > MAX_CONTENT_CHARS {
        let detail = "Must be 4000 or fewer in length.";
        errors.push(FieldError::new("/content", "BASE_TYPE_MAX_LENGTH", detail));
    }
    if content.contains('\0') {
        errors.push(FieldError::new("/content", "INVALID", "no NUL characters"));
    }
}

fn check_allowed(allowed: Option<&AllowedMentions>, errors: &mut Vec<FieldError>) {
    if let Some((field, detail)) = allowed.and_then(AllowedMentions::contradiction) {
        let pointer = format!("/allowed_mentions/{field}");
        errors.push(FieldError::new(pointer, "INVALID", detail));
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
