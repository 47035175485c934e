//! Who may do what to whom. Pure: a set of roles and an owner, judged by [`kernel::perm`].

use std::cmp::Reverse;

use jiff::Timestamp;
use kernel::perm::{self, Permissions, Standing};
use kernel::{CommunityId, RoleId, UserId};

use crate::error::{Error, Result};
use crate::model::{MemberRow, OverwriteRow, RoleRow};

/// How high somebody stands. Higher acts on lower; of two roles at one position the older is higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// No role but everyone's.
    Everyone,
    /// The highest role.
    Role(i32, Reverse<RoleId>),
    /// Above all roles.
    Owner,
}

/// The roles of a community and its owner: what decides over members, apart from channels.
#[derive(Debug, Clone)]
pub(crate) struct Rights {
    pub(crate) community: CommunityId,
    pub(crate) owner: UserId,
    /// Everyone's role first.
    pub(crate) roles: Vec<RoleRow>,
}

impl Rights {
    /// A role of the community.
    pub(crate) fn role(&self, id: RoleId) -> Result<&RoleRow> {
        self.roles
            .iter()
            .find(|role| role.id == id)
            .ok_or(Error::UnknownRole)
    }

    /// The role that belongs to a bot.
    pub(crate) fn role_of_bot(&self, bot: UserId) -> Option<&RoleRow> {
        self.roles.iter().find(|role| role.bot_id == Some(bot))
    }

    fn everyone(&self) -> Permissions {
        self.roles
            .iter()
            .find(|role| role.is_everyone())
            .map_or(Permissions::NONE, RoleRow::rights)
    }

    fn of(&self, ids: &[RoleId]) -> Vec<(RoleId, Permissions)> {
        self.roles
            .iter()
            .filter(|role| ids.contains(&role.id))
            .map(|role| (role.id, role.rights()))
            .collect()
    }

    /// Rights apart from any channel; a time-out leaves seeing and reading.
    pub(crate) fn base(&self, member: &MemberRow, at: Timestamp) -> Permissions {
        let roles = self.of(&member.role_ids);
        let bits = perm::base(&self.standing(member, &roles, at));
        if bits != Permissions::ALL && member.is_timed_out(at) {
            bits & Permissions::TIMED_OUT
        } else {
            bits
        }
    }

    /// Rights in a channel with these overwrites.
    pub(crate) fn in_channel(
        &self,
        member: &MemberRow,
        overwrites: &[OverwriteRow],
        at: Timestamp,
    ) -> Permissions {
        let roles = self.of(&member.role_ids);
        let overwrites: Vec<_> = overwrites.iter().map(OverwriteRow::overwrite).collect();
        perm::evaluate(&self.standing(member, &roles, at), &overwrites)
    }

    fn standing<'a>(
        &self,
        member: &MemberRow,
        roles: &'a [(RoleId, Permissions)],
        at: Timestamp,
    ) -> Standing<'a> {
        Standing {
            community: self.community,
            user: member.user_id,
            owner: member.user_id == self.owner,
            everyone: self.everyone(),
            roles,
            timed_out: member.is_timed_out(at),
        }
    }

    /// How high a member stands.
    pub(crate) fn rank(&self, member: &MemberRow) -> Rank {
        if member.user_id == self.owner {
            return Rank::Owner;
        }
        self.roles
            .iter()
            .filter(|role| member.role_ids.contains(&role.id))
            .map(rank_of_role)
            .max()
            .unwrap_or(Rank::Everyone)
    }

    /// Whether `by` may act on `on`: everybody else who stands lower.
    pub(crate) fn check_above(&self, by: &MemberRow, on: &MemberRow) -> Result<()> {
        if self.rank(by) > self.rank(on) {
            Ok(())
        } else {
            Err(Error::NotBelow)
        }
    }

    /// Whether `by` may change or give `role`. Everyone's role is below nobody without a role, so
    /// that the right to manage roles suffices for it.
    pub(crate) fn check_role_below(&self, by: &MemberRow, role: &RoleRow) -> Result<()> {
        if role.is_everyone() || self.rank(by) > rank_of_role(role) {
            Ok(())
        } else {
            Err(Error::NotBelow)
        }
    }
}

/// Where a role stands.
pub(crate) fn rank_of_role(role: &RoleRow) -> Rank {
    if role.is_everyone() {
        Rank::Everyone
    } else {
        Rank::Role(role.position, Reverse(role.id))
    }
}

/// Nobody gives or takes a right they lack; `held` decides over every bit that differs.
pub(crate) fn check_held(held: Permissions, before: Permissions, after: Permissions) -> Result<()> {
    let changed = before.without(after) | after.without(before);
    let lacking = changed.without(held);
    if lacking == Permissions::NONE {
        Ok(())
    } else {
        Err(Error::LacksGranted(lacking))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::perm::{Chat, Trade};

    const COMMUNITY: CommunityId = CommunityId::new(1);

    fn role(id: i64, position: i32, chat: Chat) -> RoleRow {
        RoleRow {
            id: RoleId::new(id),
            community_id: COMMUNITY,
            name: "r".into(),
            position,
            colour: 0,
            flags: 0,
            chat: chat.to_stored(),
            trade: 0,
            bot_id: None,
        }
    }

    fn member(user: i64, roles: &[i64]) -> MemberRow {
        MemberRow {
            community_id: COMMUNITY,
            user_id: UserId::new(user),
            nick: None,
            class: 0,
            flags: 0,
            timeout_until: None,
            quarantined_roles: None,
            joined_at: Timestamp::UNIX_EPOCH,
            role_ids: roles.iter().map(|id| RoleId::new(*id)).collect(),
        }
    }

    fn rights() -> Rights {
        Rights {
            community: COMMUNITY,
            owner: UserId::new(100),
            roles: vec![
                role(1, 0, Chat::DEFAULT),
                role(10, 1, Chat::KICK_MEMBERS),
                role(11, 1, Chat::NONE),
                role(12, 2, Chat::ADMINISTRATOR),
            ],
        }
    }

    #[test]
    fn ranks_order_by_owner_position_and_age() {
        let rights = rights();
        let order = [
            member(1, &[]),
            member(2, &[11]),
            member(3, &[10]),
            member(4, &[10, 11, 12]),
            member(100, &[]),
        ];
        for (low, lower) in order.iter().enumerate() {
            for (high, higher) in order.iter().enumerate() {
                assert_eq!(
                    rights.check_above(higher, lower).is_ok(),
                    high > low,
                    "{high} on {low}"
                );
            }
        }
    }

    #[test]
    fn nobody_touches_roles_at_or_above_their_highest() {
        let rights = rights();
        let roles = &rights.roles;
        let below = |user: &MemberRow, at: usize| rights.check_role_below(user, &roles[at]).is_ok();
        let older = member(3, &[10]);
        assert!(below(&older, 0) && !below(&older, 1) && below(&older, 2) && !below(&older, 3));
        let plain = member(1, &[]);
        assert!(below(&plain, 0) && !below(&plain, 2));
        assert!(below(&member(100, &[]), 3));
        assert!(!below(&member(4, &[12]), 3));
    }

    #[test]
    fn rights_that_differ_must_be_held() {
        const NONE: Permissions = Permissions::NONE;
        let (view, send) = (Chat::VIEW_CHANNEL.into(), Chat::SEND_MESSAGES.into());
        let bid = Permissions {
            chat: Chat::NONE,
            trade: Trade::BID,
        };
        for (held, before, after, good) in [
            (view, NONE, view, true),
            (view, view, NONE, true),
            (view, NONE, send, false),
            (view, send, NONE, false),
            (view, send, send | view, true),
            (NONE, send, send, true),
            (view, view, view | bid, false),
            (view, view | bid, view, false),
            (view | bid, view, view | bid, true),
        ] {
            assert_eq!(
                check_held(held, before, after).is_ok(),
                good,
                "{held:?} {before:?} {after:?}"
            );
        }
    }

    #[test]
    fn a_time_out_takes_the_rights_to_manage_but_not_from_administrators() {
        let rights = rights();
        let at: Timestamp = "2026-11-20T07:00:00Z".parse().unwrap();
        let mut kicker = member(3, &[10]);
        kicker.timeout_until = Some(at);
        assert!(rights.base(&kicker, at).has(Chat::KICK_MEMBERS));
        let before = at - std::time::Duration::from_micros(1);
        assert_eq!(
            rights.base(&kicker, before),
            (Chat::VIEW_CHANNEL | Chat::READ_HISTORY).into()
        );
        let mut admin = member(4, &[12]);
        admin.timeout_until = Some(at);
        assert_eq!(rights.base(&admin, before), Permissions::ALL);
    }
}
