//! What staff may do to accounts: find them, disable and enable them, sign them out, give roles.
//!
//! Each act is one transaction: it looks up who asks and whom it is about under the lock that also
//! guards the making of administrators, so that two members of staff cannot act past each other.

use jiff::Timestamp;
use kernel::{Caller, Cursor, DeviceId, FieldError, PlatformRole, UserId};
use serde::Serialize;

use crate::Identity;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::model::{Device, State};
use crate::rules::{Fields, Identifier, key};
use crate::sql;
use crate::sql::staff::PersonRow;

/// Shortest beginning of a name that is looked for.
const MIN_PREFIX_CHARS: usize = 2;
/// Longest text that is looked for: an e-mail address.
const MAX_QUERY_CHARS: usize = 254;
/// Digits from which on a number is an id and no username; ids have had 17 since 2015.
const MIN_ID_DIGITS: usize = 15;
/// Longest reason.
const MAX_REASON_CHARS: usize = 500;

/// An account as staff see it. Addresses and numbers are not shown: who helps somebody was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Person {
    /// The user.
    pub id: UserId,
    /// Unique name.
    pub username: String,
    /// The name people read.
    pub display_name: String,
    /// `active`, `disabled` or `deleting`.
    pub state: &'static str,
    /// Platform roles.
    pub roles: Vec<String>,
    /// Whether there is an e-mail address.
    pub has_email: bool,
    /// Whether there is a phone number.
    pub has_phone: bool,
    /// When the account was made.
    pub created_at: Timestamp,
}

impl From<PersonRow> for Person {
    fn from(row: PersonRow) -> Self {
        Person {
            id: row.id,
            username: row.username,
            display_name: row.display_name,
            state: row.state.word(),
            roles: row.roles,
            has_email: row.has_email,
            has_phone: row.has_phone,
            created_at: row.created_at,
        }
    }
}

/// What staff do about an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Disable, enable, sign out, begin a reset.
    Guard,
    /// Act as its user.
    Impersonate,
    /// Give and take roles.
    SetRoles,
}

/// Whether somebody with the roles `staff` may do this to somebody with the roles `target`.
pub(crate) fn may(staff: &[PlatformRole], act: Act, target: &[PlatformRole]) -> bool {
    let superadmin = staff.contains(&PlatformRole::Superadmin);
    let helper = superadmin || staff.contains(&PlatformRole::Support);
    let theirs = !target.contains(&PlatformRole::Superadmin) || superadmin;
    match act {
        Act::Guard => helper && theirs,
        // Whoever acted as a member of staff would have that one's rights.
        Act::Impersonate => helper && target.is_empty(),
        Act::SetRoles => superadmin,
    }
}

/// The known roles among stored words.
pub(crate) fn roles_of(words: &[String]) -> Vec<PlatformRole> {
    let role = |word: &String| PlatformRole::from_word(word);
    words.iter().filter_map(role).collect()
}

/// What is looked for.
#[derive(Debug, PartialEq, Eq)]
enum Query {
    Email(String),
    Phone(String),
    Id(UserId),
    Prefix(String),
}

impl Query {
    fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let chars = text.chars().count();
        let invalid = |code, detail| {
            Err(Error::Invalid(vec![FieldError::new(
                "?query", code, detail,
            )]))
        };
        if chars < MIN_PREFIX_CHARS {
            return invalid("TOO_SHORT", "at least 2 characters");
        }
        if chars > MAX_QUERY_CHARS || text.contains('\0') {
            return invalid("TOO_LONG", "at most 254 characters, all of them visible");
        }
        let digits = text.len() >= MIN_ID_DIGITS && text.bytes().all(|b| b.is_ascii_digit());
        Ok(match (digits, Identifier::parse(text)) {
            (true, _) => text
                .parse()
                .map_or(Query::Prefix(text.to_owned()), Query::Id),
            (false, Identifier::Email(key)) => Query::Email(key),
            (false, Identifier::Phone(number)) => Query::Phone(number),
            (false, Identifier::Username(_)) => Query::Prefix(text.to_owned()),
        })
    }
}

/// Checks why a member of staff does something.
pub(crate) fn check_reason(reason: &str) -> Result<()> {
    let mut fields = Fields::default();
    fields.line("/reason", reason, MAX_REASON_CHARS);
    fields.done()
}

impl Identity {
    /// People by the beginning of their username or display name, or by exactly their e-mail
    /// address, phone number or id; the newest first, and where the next page begins.
    pub async fn search_people(
        &self,
        query: &str,
        after: Option<Cursor>,
        limit: u16,
    ) -> Result<(Vec<Person>, Option<Cursor>)> {
        let (email, phone, id) = match Query::parse(query)? {
            Query::Prefix(text) => return self.search_names(&text, after, limit).await,
            Query::Email(key) => (Some(key), None, None),
            Query::Phone(number) => (None, Some(number), None),
            Query::Id(id) => (None, None, Some(id)),
        };
        let rows = sql::staff::find(&self.db, email.as_deref(), phone.as_deref(), id).await?;
        Ok((rows.into_iter().map(Person::from).collect(), None))
    }

    async fn search_names(
        &self,
        text: &str,
        after: Option<Cursor>,
        limit: u16,
    ) -> Result<(Vec<Person>, Option<Cursor>)> {
        let limit = i64::from(limit.clamp(1, kernel::page::MAX_PAGE));
        let before = after.map_or(i64::MAX, |cursor| cursor.after);
        // One more than asked for tells whether there is another page.
        let rows = sql::staff::search(&self.db, &key(text), text, before, limit + 1).await?;
        let mut people: Vec<Person> = rows.into_iter().map(Person::from).collect();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = people.len() > limit;
        people.truncate(limit);
        let next = people.last().filter(|_| more).map(|last| Cursor {
            after: last.id.get(),
        });
        Ok((people, next))
    }

    /// The live devices of a person, for whoever helps them.
    pub async fn list_devices_of(
        &self,
        user: UserId,
        after: Option<Cursor>,
        limit: u16,
    ) -> Result<(Vec<Device>, Option<Cursor>)> {
        let found = sql::staff::state(&self.db, user).await?;
        found.ok_or(Error::NotFound)?;
        self.page_of_devices((user, None), after, limit).await
    }

    /// Disables a person: every login ends at once and none begins. Repeatable.
    pub async fn disable_user(&self, staff: &Caller, user: UserId, reason: &str) -> Result<()> {
        check_reason(reason)?;
        if staff.user == user {
            return Err(Error::Forbidden);
        }
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        // A superadmin is disabled by another, so one is always left.
        self.enter_staff(&tx, staff, Act::Guard, user).await?;
        if !sql::staff::disable(&tx, user, now).await? {
            return Ok(());
        }
        let revoked = sql::revocations::revoke_all(&tx, user, None, "disabled").await?;
        let mut events = Events::new(&self.ids, now, Some(staff.user));
        events.user_state_changed(user, "disabled")?;
        events.devices_revoked(user, &revoked, "disabled")?;
        let acted = self.end_acting(&tx, &mut events, user).await?;
        events.append(&tx).await?;
        self.note_action(&tx, staff, user, ("disable", reason))
            .await?;
        tx.commit().await?;
        self.forget_card(user);
        self.publish_revoked([revoked, acted].concat()).await;
        self.publish_keys_revoked(user).await;
        Ok(())
    }

    /// Enables a disabled person again. Repeatable.
    pub async fn enable_user(&self, staff: &Caller, user: UserId, reason: &str) -> Result<()> {
        check_reason(reason)?;
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        self.enter_staff(&tx, staff, Act::Guard, user).await?;
        let Some(state) = sql::staff::enable(&tx, user, now).await? else {
            return Ok(());
        };
        let mut events = Events::new(&self.ids, now, Some(staff.user));
        events.user_state_changed(user, &state)?;
        events.append(&tx).await?;
        self.note_action(&tx, staff, user, ("enable", reason))
            .await?;
        tx.commit().await?;
        self.forget_card(user);
        Ok(())
    }

    /// Signs a person out everywhere.
    pub async fn sign_user_out(&self, staff: &Caller, user: UserId, reason: &str) -> Result<()> {
        check_reason(reason)?;
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        self.enter_staff(&tx, staff, Act::Guard, user).await?;
        let revoked = sql::revocations::revoke_all(&tx, user, None, "staff").await?;
        let mut events = Events::new(&self.ids, now, Some(staff.user));
        events.devices_revoked(user, &revoked, "staff")?;
        events.append(&tx).await?;
        self.note_action(&tx, staff, user, ("sign_out", reason))
            .await?;
        tx.commit().await?;
        self.publish_revoked(revoked).await;
        Ok(())
    }

    /// Gives a person these platform roles and no others. Acts at once: roles are in no token, and
    /// browser sessions, which last as long as the roles of their login allowed, begin anew.
    pub async fn set_roles(
        &self,
        staff: &Caller,
        user: UserId,
        (roles, reason): (&[PlatformRole], &str),
    ) -> Result<()> {
        check_reason(reason)?;
        let now = self.clock.now();
        let words: Vec<&str> = roles.iter().map(|role| role.word()).collect();
        let tx = self.db.begin().await?;
        let state = self.enter_staff(&tx, staff, Act::SetRoles, user).await?;
        // Whoever is disabled may lose roles and gain none.
        if state != State::Active.word() && !roles.is_empty() {
            return Err(Error::NotFound);
        }
        if !sql::staff::set_roles(&tx, user, &words, staff.user, now).await? {
            return Ok(());
        }
        if !sql::people::has_admin(&tx).await? {
            return Err(Error::LastAdmin);
        }
        let mut events = Events::new(&self.ids, now, Some(staff.user));
        let stored = sql::people::list_roles(&tx, user).await?;
        events.roles_changed(user, &stored)?;
        let mut revoked = sql::revocations::revoke_browsers(&tx, user, "roles").await?;
        events.devices_revoked(user, &revoked, "roles")?;
        if !may(roles, Act::Impersonate, &[]) {
            revoked.extend(self.end_acting(&tx, &mut events, user).await?);
        }
        // Whoever acts as this user has no business with the rights of staff.
        if !roles.is_empty() {
            let supported = sql::revocations::revoke_support(&tx, user, "roles").await?;
            events.devices_revoked(user, &supported, "roles")?;
            revoked.extend(supported);
        }
        events.append(&tx).await?;
        self.note_action(&tx, staff, user, ("roles", reason))
            .await?;
        tx.commit().await?;
        self.publish_revoked(revoked).await;
        Ok(())
    }

    /// Makes sure that the caller may do this to a person; the person's state. From here to the end
    /// of the transaction nobody's roles change.
    pub(crate) async fn enter_staff(
        &self,
        tx: &db::Tx,
        staff: &Caller,
        act: Act,
        user: UserId,
    ) -> Result<String> {
        if staff.device.is_none() || staff.act.is_some() {
            return Err(Error::Forbidden);
        }
        sql::people::lock_admins(tx).await?;
        let held = roles_of(&sql::staff::live_roles(tx, staff.user).await?);
        let theirs = roles_of(&sql::people::list_roles(tx, user).await?);
        if !may(&held, act, &theirs) {
            return Err(Error::Forbidden);
        }
        sql::staff::state(tx, user).await?.ok_or(Error::NotFound)
    }

    /// Ends whatever a member of staff does in the names of others.
    async fn end_acting(
        &self,
        tx: &db::Tx,
        events: &mut Events<'_>,
        staff: UserId,
    ) -> Result<Vec<DeviceId>> {
        let acted = sql::revocations::revoke_acting(tx, staff, "staff").await?;
        for device in &acted {
            events.devices_revoked(device.user_id, &[device.id], "staff")?;
        }
        Ok(acted.iter().map(|device| device.id).collect())
    }

    /// Keeps the reason; the event of the act carries no text.
    pub(crate) async fn note_action(
        &self,
        tx: &db::Tx,
        staff: &Caller,
        user: UserId,
        (action, reason): (&'static str, &str),
    ) -> Result<()> {
        let row = sql::staff::NewAction {
            id: self.ids.next()?,
            user,
            staff: staff.user,
            action,
            reason,
            at: self.clock.now(),
        };
        Ok(sql::staff::insert_action(tx, &row).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PlatformRole::{Finance, Moderator, Superadmin, Support};

    #[test]
    fn rights_of_staff() {
        let acts = [Act::Guard, Act::Impersonate, Act::SetRoles];
        for (staff, target, expected) in [
            (&[Superadmin][..], &[][..], [true, true, true]),
            (&[Superadmin], &[Superadmin], [true, false, true]),
            (&[Superadmin], &[Support], [true, false, true]),
            (&[Support], &[], [true, true, false]),
            (&[Support], &[Moderator], [true, false, false]),
            (&[Support], &[Superadmin], [false, false, false]),
            (&[Moderator, Finance], &[], [false; 3]),
            (&[], &[], [false; 3]),
        ] {
            let allowed = acts.map(|act| may(staff, act, target));
            assert_eq!(allowed, expected, "{staff:?} {target:?}");
        }
    }

    #[test]
    fn what_is_looked_for() {
        let prefix = |text: &str| Query::Prefix(text.to_owned());
        for (text, query) in [
            (" Ayse@X.com ", Query::Email("ayse@x.com".to_owned())),
            ("+90 532 1", Query::Phone("+905321".to_owned())),
            (
                "123456789012345",
                Query::Id(UserId::new(123_456_789_012_345)),
            ),
            ("12345678901234", prefix("12345678901234")),
            ("99999999999999999999", prefix("99999999999999999999")),
            ("Şu", prefix("Şu")),
        ] {
            assert_eq!(Query::parse(text).unwrap(), query, "{text}");
        }
        let long = "x".repeat(255);
        for bad in ["", " a ", "a\0b", long.as_str()] {
            assert!(Query::parse(bad).is_err(), "{bad}");
        }
    }
}
