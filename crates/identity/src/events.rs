//! Events this context emits, and the one it listens to itself.
//!
//! They carry ids and the names of what changed; never values, tokens or texts.

use std::sync::Weak;

use jiff::Timestamp;
use kernel::event::{Handler, Handling};
use kernel::{AnyId, DeviceId, Event, Ids, UserId};
use serde_json::{Value, json};

use crate::Identity;
use crate::error::Result;

/// An account was made. `{user_id, kind}`
pub const USER_CREATED: &str = "identity.user_created.v1";
/// A profile changed. `{user_id, fields, version}`
pub const USER_UPDATED: &str = "identity.user_updated.v1";
/// An account was disabled, enabled or is being erased. `{user_id, state}`
pub const USER_STATE_CHANGED: &str = "identity.user_state_changed.v1";
/// Platform roles changed. `{user_id, roles}`
pub const ROLES_CHANGED: &str = "identity.roles_changed.v1";
/// Somebody logged in. `{device_id, kind, amr}`
pub const DEVICE_CREATED: &str = "identity.device_created.v1";
/// A device was signed out. `{device_id, reason}`
pub const DEVICE_REVOKED: &str = "identity.device_revoked.v1";
/// A password or another factor changed. `{user_id, factor}`
pub const FACTOR_CHANGED: &str = "identity.factor_changed.v1";
/// Somebody else than the user, staff or the operator, began a reset of the password. `{user_id}`
pub const RESET_STARTED: &str = "identity.reset_started.v1";
/// Somebody reached an account by its number and does not know its PIN; the PIN is not asked for
/// after `unlocks_at` unless the account is used until then. `{user_id, unlocks_at}`
pub const REGISTRATION_LOCK_WAITING: &str = "identity.registration_lock_waiting.v1";
/// A passkey counted backwards: it may have been copied. `{user_id, passkey_id}`
pub const PASSKEY_COUNT_FELL: &str = "identity.passkey_count_fell.v1";
/// A consent was given. `{user_id, purposes}`
pub const CONSENT_CHANGED: &str = "identity.consent_changed.v1";
/// A friend, request, block or contact came or went. `{user_id, other_id, kind}`: what the first
/// has with the second now, `none`; of the address book `contact` or `no_contact`.
pub const RELATIONSHIP_CHANGED: &str = "identity.relationship_changed.v1";
/// A network tries lists of names and passwords, and is refused for an hour. `{sign}`: by its own
/// pairs (`network`), or by a few names while many networks do (`wave`). At most ten in an hour.
pub const STUFFING_NOTICED: &str = "identity.stuffing_noticed.v1";

/// The user, or the operator, asked for a copy of everything stored about the user. `{user_id}`
pub const EXPORT_REQUESTED: &str = "identity.export_requested.v1";
/// The user, or the operator, wishes the account to be erased, or sooner than before.
/// `{user_id, due_at}`
pub const ERASURE_REQUESTED: &str = "identity.erasure_requested.v1";
/// The time of an account is up: every context erases what it stores about the user. `{user_id}`
pub const ERASURE_DUE: &str = contracts::privacy::ERASURE_DUE;
/// A text that people agree to was published by a member of staff. `{purpose, text_version}`
pub const TEXT_PUBLISHED: &str = "identity.text_published.v1";
/// An API key was made. `{key_id, scopes}`
pub const API_KEY_CREATED: &str = "identity.api_key_created.v1";
/// An API key was taken back. `{key_id}`
pub const API_KEY_REVOKED: &str = "identity.api_key_revoked.v1";
/// A member of staff, the actor, wishes to act as the user. `{impersonation_id}`
pub const IMPERSONATION_ASKED: &str = "identity.impersonation_asked.v1";
/// Another member of staff, the actor, agreed to it. `{impersonation_id}`
pub const IMPERSONATION_APPROVED: &str = "identity.impersonation_approved.v1";
/// A member of staff, the actor, acts as the user from now on. `{impersonation_id}`
pub const IMPERSONATION_STARTED: &str = "identity.impersonation_started.v1";

/// Every event this build emits.
pub const EVENTS: &[&str] = &[
    USER_CREATED,
    USER_UPDATED,
    USER_STATE_CHANGED,
    ROLES_CHANGED,
    DEVICE_CREATED,
    DEVICE_REVOKED,
    FACTOR_CHANGED,
    RESET_STARTED,
    REGISTRATION_LOCK_WAITING,
    PASSKEY_COUNT_FELL,
    CONSENT_CHANGED,
    RELATIONSHIP_CHANGED,
    EXPORT_REQUESTED,
    ERASURE_REQUESTED,
    ERASURE_DUE,
    TEXT_PUBLISHED,
    API_KEY_CREATED,
    API_KEY_REVOKED,
    IMPERSONATION_ASKED,
    IMPERSONATION_APPROVED,
    IMPERSONATION_STARTED,
    STUFFING_NOTICED,
];

/// Makes events that one operation appends together.
pub(crate) struct Events<'a> {
    ids: &'a Ids,
    at: Timestamp,
    actor: Option<UserId>,
    list: Vec<Event>,
}

impl<'a> Events<'a> {
    pub(crate) fn new(ids: &'a Ids, at: Timestamp, actor: Option<UserId>) -> Self {
        Events {
            ids,
            at,
            actor,
            list: Vec::new(),
        }
    }

    /// Events of a user are ordered among each other: the user is the key.
    fn push(&mut self, kind: &str, user: UserId, data: Value) -> Result<()> {
        self.push_of(kind, user.to_string(), data)
    }

    fn push_of(&mut self, kind: &str, key: String, data: Value) -> Result<()> {
        self.list.push(Event {
            id: self.ids.next()?,
            kind: kind.to_owned(),
            at: self.at,
            actor: self.actor,
            tenant: None,
            key,
            data,
        });
        Ok(())
    }

    pub(crate) fn user_created(&mut self, user: UserId, kind: &str) -> Result<()> {
        self.push(USER_CREATED, user, json!({"user_id": user, "kind": kind}))
    }

    pub(crate) fn user_updated(
        &mut self,
        user: UserId,
        fields: &[&str],
        version: i32,
    ) -> Result<()> {
        let data = json!({"user_id": user, "fields": fields, "version": version});
        self.push(USER_UPDATED, user, data)
    }

    pub(crate) fn user_state_changed(&mut self, user: UserId, state: &str) -> Result<()> {
        self.push(
            USER_STATE_CHANGED,
            user,
            json!({"user_id": user, "state": state}),
        )
    }

    pub(crate) fn roles_changed(&mut self, user: UserId, roles: &[String]) -> Result<()> {
        self.push(
            ROLES_CHANGED,
            user,
            json!({"user_id": user, "roles": roles}),
        )
    }

    pub(crate) fn device_created(
        &mut self,
        user: UserId,
        device: DeviceId,
        kind: &str,
        amr: &[&str],
    ) -> Result<()> {
        let data = json!({"device_id": device, "kind": kind, "amr": amr});
        self.push(DEVICE_CREATED, user, data)
    }

    pub(crate) fn devices_revoked(
        &mut self,
        user: UserId,
        devices: &[DeviceId],
        reason: &str,
    ) -> Result<()> {
        for device in devices {
            let data = json!({"device_id": device, "reason": reason});
            self.push(DEVICE_REVOKED, user, data)?;
        }
        Ok(())
    }

    pub(crate) fn factor_changed(&mut self, user: UserId, factor: &str) -> Result<()> {
        self.push(
            FACTOR_CHANGED,
            user,
            json!({"user_id": user, "factor": factor}),
        )
    }

    pub(crate) fn reset_started(&mut self, user: UserId) -> Result<()> {
        self.push(RESET_STARTED, user, json!({"user_id": user}))
    }

    pub(crate) fn passkey_count_fell(&mut self, user: UserId, passkey: AnyId) -> Result<()> {
        let data = json!({"user_id": user, "passkey_id": passkey});
        self.push(PASSKEY_COUNT_FELL, user, data)
    }

    pub(crate) fn registration_lock_waiting(
        &mut self,
        user: UserId,
        unlocks_at: Timestamp,
    ) -> Result<()> {
        self.push(
            REGISTRATION_LOCK_WAITING,
            user,
            json!({"user_id": user, "unlocks_at": unlocks_at.to_string()}),
        )
    }

    pub(crate) fn consent_changed(&mut self, user: UserId, purposes: &[&str]) -> Result<()> {
        self.push(
            CONSENT_CHANGED,
            user,
            json!({"user_id": user, "purposes": purposes}),
        )
    }

    pub(crate) fn relationship_changed(
        &mut self,
        user: UserId,
        other: UserId,
        kind: &str,
    ) -> Result<()> {
        let data = json!({"user_id": user, "other_id": other, "kind": kind});
        self.push(RELATIONSHIP_CHANGED, user, data)
    }

    pub(crate) fn export_requested(&mut self, user: UserId) -> Result<()> {
        self.push(EXPORT_REQUESTED, user, json!({"user_id": user}))
    }

    pub(crate) fn erasure_requested(&mut self, user: UserId, due_at: Timestamp) -> Result<()> {
        let data = json!({"user_id": user, "due_at": due_at.to_string()});
        self.push(ERASURE_REQUESTED, user, data)
    }

    pub(crate) fn erasure_due(&mut self, user: UserId) -> Result<()> {
        self.push(ERASURE_DUE, user, json!({"user_id": user}))
    }

    pub(crate) fn text_published(
        &mut self,
        staff: UserId,
        purpose: &str,
        version: &str,
    ) -> Result<()> {
        let data = json!({"purpose": purpose, "text_version": version});
        self.push(TEXT_PUBLISHED, staff, data)
    }

    pub(crate) fn api_key_created(
        &mut self,
        owner: UserId,
        key: AnyId,
        scopes: &[&str],
    ) -> Result<()> {
        let data = json!({"key_id": key, "scopes": scopes});
        self.push(API_KEY_CREATED, owner, data)
    }

    pub(crate) fn api_key_revoked(&mut self, owner: UserId, key: AnyId) -> Result<()> {
        self.push(API_KEY_REVOKED, owner, json!({"key_id": key}))
    }

    /// A step of an impersonation; `kind` is one of the three.
    pub(crate) fn impersonation(
        &mut self,
        kind: &'static str,
        user: UserId,
        id: DeviceId,
    ) -> Result<()> {
        self.push(kind, user, json!({"impersonation_id": id}))
    }

    pub(crate) fn stuffing_noticed(&mut self, sign: &str) -> Result<()> {
        let data = json!({"sign": sign});
        self.push_of(STUFFING_NOTICED, "installation".to_owned(), data)
    }

    /// Appends them to the outbox, in the transaction that caused them.
    pub(crate) async fn append(self, tx: &db::Tx) -> Result<()> {
        if !self.list.is_empty() {
            db::outbox::append(tx, crate::SCHEMA, &self.list).await?;
        }
        Ok(())
    }
}

/// Kinds after which a cached card may be out of date.
pub(crate) const CARD_KINDS: &[&str] = &[USER_UPDATED, USER_STATE_CHANGED];

/// Drops cached cards; idempotent. Holds the context weakly, because the bus outlives it.
pub(crate) struct CardCache(pub(crate) Weak<Identity>);

impl Handler for CardCache {
    fn handle<'a>(&'a self, event: &'a Event) -> Handling<'a> {
        Box::pin(async move {
            if let (Some(identity), Ok(user)) = (self.0.upgrade(), event.key.parse()) {
                identity.forget_card(user);
            }
            Ok(())
        })
    }
}
