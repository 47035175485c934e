//! What requests about roles, members and invites ask for.

use jiff::Timestamp;
use kernel::perm::{Chat, Permissions, Trade};
use kernel::{Check, RoleId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::present;
use crate::error::{Error, Result};

/// Longest life of an invite.
const MAX_INVITE_AGE_S: i64 = 604_800;
/// Most uses of a counted invite.
const MAX_INVITE_USES: i64 = 100;
/// Most users banned at once.
const MAX_BANS: usize = 200;
/// Longest silence a prune can ask for, in days.
const MAX_PRUNE_DAYS: i64 = 30;
/// Longest time-out, in days.
const MAX_TIMEOUT_DAYS: i64 = 28;

/// The colours of a role, as newer libraries send them; the first counts.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = communities::RoleColours)]
pub struct RoleColours {
    /// RGB.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 16777215)]
    pub primary_color: Option<i32>,
}

/// A new role, or changes of one; absent fields stay or get their default.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = communities::RoleRequest)]
pub struct RoleRequest {
    /// Name, 1 to 100 characters; "new role" by default.
    #[schema(format = "line", min_length = 1, max_length = 100)]
    pub name: Option<String>,
    /// Rights; everyone's by default.
    pub permissions: Option<Chat>,
    /// Rights of trade; none by default.
    pub trade_permissions: Option<Trade>,
    /// RGB, 0 = none.
    #[schema(minimum = 0, maximum = 16777215)]
    pub color: Option<i32>,
    /// The same in the newer form.
    pub colors: Option<RoleColours>,
    /// Shown apart in the member list.
    pub hoist: Option<bool>,
    /// Whether everyone may mention it.
    pub mentionable: Option<bool>,
}

impl RoleRequest {
    /// What it asks for, over what is there.
    pub(crate) fn rights(&self, before: Permissions) -> Permissions {
        Permissions {
            chat: self.permissions.unwrap_or(before.chat),
            trade: self.trade_permissions.unwrap_or(before.trade),
        }
    }

    pub(crate) fn checked(mut self) -> Result<Self> {
        let mut check = Check::default();
        if let Some(name) = &self.name {
            self.name = Some(check.text("/name", name, 1, 100));
        }
        if self.color.is_none() {
            self.color = self.colors.and_then(|colours| colours.primary_color);
        }
        if let Some(colour) = self.color {
            check.range("/color", colour, 0, 0xFF_FF_FF);
        }
        check.done().map_err(Error::Invalid).map(|()| self)
    }
}

/// A role's new place.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[schema(as = communities::MoveRole)]
pub struct MoveRole {
    /// The role.
    pub id: RoleId,
    /// Its position.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 9999)]
    pub position: Option<i32>,
}

/// Checks a list of new places.
pub(crate) fn checked_moves(moves: &[MoveRole], most: usize) -> Result<()> {
    let mut check = Check::default();
    if moves.len() > most {
        check.refuse("", "TOO_LONG", format!("at most {most}"));
    }
    let mut ids: Vec<RoleId> = moves.iter().map(|one| one.id).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() != moves.len() {
        check.refuse("", "DUPLICATE", "names a role twice");
    }
    for (at, one) in moves.iter().enumerate() {
        if let Some(position) = one.position {
            check.range(&format!("/{at}/position"), position, 1, 9_999);
        }
    }
    check.done().map_err(Error::Invalid)
}

/// Changes of a member; absent fields stay.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = communities::UpdateMember)]
pub struct UpdateMember {
    /// Name in this community, at most 32 characters; null or empty removes it.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, format = "line", max_length = 32)]
    pub nick: Option<Option<String>>,
    /// All roles besides everyone.
    pub roles: Option<Vec<RoleId>>,
    /// Until when a time-out runs, at most 28 days ahead; null ends it.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub communication_disabled_until: Option<Option<Timestamp>>,
    /// Whether the member is in quarantine: without roles, reading only, until it ends.
    pub quarantined: Option<bool>,
}

impl UpdateMember {
    pub(crate) fn checked(mut self, at: Timestamp, most_roles: usize) -> Result<Self> {
        let mut check = Check::default();
        if let Some(nick) = self.nick.take() {
            let nick = check.name("/nick", nick.as_deref().unwrap_or_default(), 0, 32);
            self.nick = Some((!nick.is_empty()).then_some(nick));
        }
        if let Some(roles) = &mut self.roles {
            if roles.len() > most_roles {
                check.refuse("/roles", "TOO_LONG", format!("at most {most_roles}"));
            }
            roles.sort_unstable();
            roles.dedup();
        }
        if let Some(Some(until)) = self.communication_disabled_until {
            let ahead_s = until.as_second().saturating_sub(at.as_second());
            if ahead_s > MAX_TIMEOUT_DAYS * 86_400 {
                let detail = format!("at most {MAX_TIMEOUT_DAYS} days ahead");
                check.refuse("/communication_disabled_until", "OUT_OF_RANGE", &detail);
            }
        }
        check.done().map_err(Error::Invalid).map(|()| self)
    }
}

/// Users to ban at once.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[schema(as = communities::BulkBanRequest)]
pub struct BulkBanRequest {
    /// Who; 1 to 200.
    #[schema(min_items = 1, max_items = 200)]
    pub user_ids: Vec<UserId>,
}

impl BulkBanRequest {
    pub(crate) fn checked(self) -> Result<Vec<UserId>> {
        let mut check = Check::default();
        let mut users = self.user_ids;
        if users.is_empty() || users.len() > MAX_BANS {
            check.refuse("/user_ids", "OUT_OF_RANGE", format!("1 to {MAX_BANS}"));
        }
        users.sort_unstable();
        users.dedup();
        check.done().map_err(Error::Invalid).map(|()| users)
    }
}

/// Which members a prune removes.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = communities::PruneRequest)]
pub struct PruneRequest {
    /// Days without a message, 1 to 30; 7 when absent.
    #[schema(minimum = 1, maximum = 30)]
    pub days: Option<i32>,
    /// Whether the answer says how many; yes when absent.
    pub compute_prune_count: Option<bool>,
    /// Roles whose members are removed as well.
    #[schema(max_items = 250)]
    pub include_roles: Option<Vec<RoleId>>,
    /// Why, for the audit log; the header of that name goes first.
    #[schema(format = "line", max_length = 512)]
    pub reason: Option<String>,
}

/// A prune that may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PruneRules {
    pub(crate) days: u16,
    pub(crate) counted: bool,
    /// Ascending.
    pub(crate) roles: Vec<RoleId>,
    pub(crate) reason: Option<String>,
}

impl PruneRequest {
    pub(crate) fn checked(self, most_roles: usize) -> Result<PruneRules> {
        let mut check = Check::default();
        let days = self.days.unwrap_or(7);
        check.range("/days", days, 1, MAX_PRUNE_DAYS);
        let mut roles = self.include_roles.unwrap_or_default();
        if roles.len() > most_roles {
            check.refuse(
                "/include_roles",
                "TOO_LONG",
                format!("at most {most_roles}"),
            );
        }
        roles.sort_unstable();
        roles.dedup();
        let reason = self.reason.map(|text| check.text("/reason", &text, 0, 512));
        check.done().map_err(Error::Invalid)?;
        Ok(PruneRules {
            days: u16::try_from(days).unwrap_or(7),
            counted: self.compute_prune_count.unwrap_or(true),
            roles,
            reason: reason.filter(|text| !text.is_empty()),
        })
    }
}

/// A new invite.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = communities::CreateInvite)]
pub struct CreateInvite {
    /// Seconds it lives, 0 = for ever; a day by default.
    #[schema(minimum = 0, maximum = 604800)]
    pub max_age: Option<i32>,
    /// How many may join by it, 0 = any number.
    #[schema(minimum = 0, maximum = 100)]
    pub max_uses: Option<i32>,
    /// Membership that ends with the connection; only false is possible.
    pub temporary: Option<bool>,
}

impl CreateInvite {
    pub(crate) fn checked(self) -> Result<(i32, i32)> {
        let mut check = Check::default();
        let age = self.max_age.unwrap_or(86_400);
        let uses = self.max_uses.unwrap_or(0);
        check.range("/max_age", age, 0, MAX_INVITE_AGE_S);
        check.range("/max_uses", uses, 0, MAX_INVITE_USES);
        if self.temporary == Some(true) {
            let detail = "membership that ends with the connection is not offered";
            check.refuse("/temporary", "NOT_SUPPORTED", detail);
        }
        check.done().map_err(Error::Invalid).map(|()| (age, uses))
    }
}
