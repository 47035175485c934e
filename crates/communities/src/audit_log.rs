//! The audit log: what moderators did, with what was before and after.
//!
//! [`crate::change::Change::audit`] writes it; this reads it.

use contracts::identity::User;
use kernel::perm::Chat;
use kernel::{AnyId, Caller, CommunityId, UserId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::Communities;
use crate::error::Result;
use crate::events::{Told, intent};
use crate::sql::audit::{self, AuditRow, Wanted};

/// Who hears of an entry as it is written: those who may read the log.
pub(crate) const TOLD: Told =
    Told::all("GUILD_AUDIT_LOG_ENTRY_CREATE", intent::MODERATION).needs(Chat::VIEW_AUDIT_LOG);

/// Which part of the log is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditQuery {
    /// Done by this user.
    pub actor: Option<UserId>,
    /// Of this kind, numbered as in the dialect.
    pub action: Option<i16>,
    /// Where to begin.
    pub from: AuditFrom,
    /// 1 to 100.
    pub limit: u8,
}

/// Where a part of the log begins.
#[derive(Debug, Clone, Copy, Default)]
pub enum AuditFrom {
    /// The newest entries, newest first.
    #[default]
    Newest,
    /// Those right below an entry, newest first.
    Before(AnyId),
    /// Those right above an entry, oldest first.
    After(AnyId),
}

/// One entry in the dialect's form.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AuditLogEntry {
    /// The entry; its time is in it.
    pub id: AnyId,
    /// Who did it.
    pub user_id: UserId,
    /// What it was done to.
    pub target_id: Option<AnyId>,
    /// What was done, numbered as in the dialect.
    pub action_type: i16,
    /// `{key, old_value?, new_value?}` for each field that changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub changes: Option<Value>,
    /// More about some actions: whom an overwrite is for, for instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub options: Option<Value>,
    /// Why, in the moderator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl From<AuditRow> for AuditLogEntry {
    fn from(row: AuditRow) -> Self {
        AuditLogEntry {
            id: row.id,
            user_id: row.actor_id,
            target_id: row.target_id,
            action_type: row.action,
            changes: row.changes,
            options: row.options,
            reason: row.reason,
        }
    }
}

/// A part of the log, with the users it names.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = communities::AuditLog)]
pub struct AuditLog {
    /// The entries.
    pub audit_log_entries: Vec<AuditLogEntry>,
    /// Who acted and, where the target is a user, on whom.
    pub users: Vec<User>,
    /// Stock libraries read these lists; entries name nothing of them.
    #[schema(value_type = Vec<Object>)]
    pub webhooks: Vec<Value>,
    /// See `webhooks`.
    #[schema(value_type = Vec<Object>)]
    pub application_commands: Vec<Value>,
    /// See `webhooks`.
    #[schema(value_type = Vec<Object>)]
    pub auto_moderation_rules: Vec<Value>,
    /// See `webhooks`.
    #[schema(value_type = Vec<Object>)]
    pub guild_scheduled_events: Vec<Value>,
    /// See `webhooks`.
    #[schema(value_type = Vec<Object>)]
    pub integrations: Vec<Value>,
    /// See `webhooks`.
    #[schema(value_type = Vec<Object>)]
    pub threads: Vec<Value>,
}

/// An entry as it is told.
#[derive(Serialize)]
pub(crate) struct EntryPayload {
    pub(crate) guild_id: CommunityId,
    #[serde(flatten)]
    pub(crate) entry: AuditLogEntry,
}

impl Communities {
    /// A part of the log: `VIEW_AUDIT_LOG`.
    pub async fn audit_log(
        &self,
        caller: &Caller,
        community: CommunityId,
        query: AuditQuery,
    ) -> Result<AuditLog> {
        self.check_right(caller, community, Chat::VIEW_AUDIT_LOG)
            .await?;
        let wanted = Wanted {
            actor: query.actor,
            action: query.action,
            limit: i64::from(query.limit.clamp(1, 100)),
        };
        let newest = AnyId::new(i64::MAX);
        let rows = match query.from {
            AuditFrom::Newest => audit::list_before(&self.db, community, newest, wanted).await?,
            AuditFrom::Before(id) => audit::list_before(&self.db, community, id, wanted).await?,
            AuditFrom::After(id) => audit::list_after(&self.db, community, id, wanted).await?,
        };
        // Targets that are no users are simply not found among them.
        let mut named: Vec<UserId> = rows
            .iter()
            .flat_map(|row| [Some(row.actor_id), row.target_id.map(AnyId::cast)])
            .flatten()
            .collect();
        named.sort_unstable();
        named.dedup();
        let users = self.identity.users(&named).await?;
        Ok(AuditLog {
            audit_log_entries: rows.into_iter().map(AuditLogEntry::from).collect(),
            users,
            webhooks: Vec::new(),
            application_commands: Vec::new(),
            auto_moderation_rules: Vec::new(),
            guild_scheduled_events: Vec::new(),
            integrations: Vec::new(),
            threads: Vec::new(),
        })
    }
}
