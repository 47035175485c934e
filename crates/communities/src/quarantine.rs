//! Quarantine: a member without roles who can only read, until a moderator ends it.

use kernel::perm::Chat;

use crate::change::Change;
use crate::error::{Error, Result};
use crate::model::MemberRow;

/// Takes the roles away and keeps them for later.
pub(crate) fn put_in(member: &mut MemberRow) {
    member.quarantined_roles = Some(std::mem::take(&mut member.role_ids));
}

/// Gives the roles back that are still there.
fn let_out(change: &Change<'_>, member: &mut MemberRow) {
    let held = member.quarantined_roles.take().unwrap_or_default();
    member.role_ids = held
        .into_iter()
        .filter(|role| change.rights.role(*role).is_ok())
        .collect();
}

/// Puts a member in quarantine: `MODERATE_MEMBERS`, and the member must be below. Bots keep their
/// role and are removed instead.
pub(crate) fn begin(change: &Change<'_>, member: &mut MemberRow) -> Result<()> {
    if member.quarantined_roles.is_some() {
        return Ok(());
    }
    check(change, member)?;
    let managed = |role: &&crate::model::RoleRow| role.is_managed();
    let mut held = change.rights.roles.iter().filter(managed);
    if held.any(|role| member.role_ids.contains(&role.id)) {
        return Err(Error::FixedRole);
    }
    put_in(member);
    Ok(())
}

/// Ends the quarantine of a member; the same rights.
pub(crate) fn end(change: &Change<'_>, member: &mut MemberRow) -> Result<()> {
    if member.quarantined_roles.is_none() {
        return Ok(());
    }
    check(change, member)?;
    let_out(change, member);
    Ok(())
}

fn check(change: &Change<'_>, member: &MemberRow) -> Result<()> {
    change.require(Chat::MODERATE_MEMBERS)?;
    change.rights.check_above(change.me()?, member)
}
