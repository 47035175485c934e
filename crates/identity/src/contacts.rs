//! Address books: people one keeps under an own name, and finding people by their number.
//!
//! No address book is uploaded or kept: a look-up carries up to a hundred numbers, answers with the
//! people who may be found by them, and is forgotten. Numbers are compared by HMAC. Because all
//! numbers of a country could be tried that way, a user has a budget for each day; who is not there
//! and who does not want to be found are the same answer.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use kernel::{Caller, Cursor, FieldError, UserId};

use crate::Identity;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::model::{Card, Kind, State};
use crate::phones::Phone;
use crate::relations::{cut, person};
use crate::rules::{Fields, MAX_DISPLAY_NAME_CHARS, is_username, key};
use crate::sql;

/// Most people in one address book.
pub const MAX_CONTACTS: i64 = 10_000;
/// Most numbers in one look-up.
pub const MAX_NUMBERS: usize = 100;
/// Most numbers a user looks up in a day (UTC).
pub const LOOKUPS_PER_DAY: i32 = 500;
/// Keys brought up to date by one run of the job.
const KEYS_PER_RUN: i64 = 1_000;

/// How a contact is named when it is put into the address book.
#[derive(Debug, Clone)]
pub enum Named {
    /// By id.
    User(UserId),
    /// By unique name.
    Username(String),
    /// By a telephone number.
    Phone(String),
}

/// An entry of an address book.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Contact {
    /// Who it is.
    pub user: Card,
    /// What the owner of the address book calls them.
    pub name: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// A number, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Match {
    /// As it was sent.
    pub phone_number: String,
    /// Whose it is.
    pub user: Card,
}

impl Identity {
    /// Puts somebody into the caller's address book, or renames the entry.
    pub async fn add_contact(
        &self,
        caller: &Caller,
        named: Named,
        name: Option<String>,
    ) -> Result<Contact> {
        person(caller)?;
        let mut fields = Fields::default();
        if let Some(name) = &name {
            fields.line("/name", name, MAX_DISPLAY_NAME_CHARS);
        }
        fields.done()?;
        let other = self.named(caller.user, named).await?;
        if other == caller.user {
            return Err(Error::Yourself);
        }
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        // The bound counts under the lock on the owner.
        sql::relations::lock(&tx, &[caller.user]).await?;
        let put =
            sql::address_book::put(&tx, caller.user, other, name.as_deref(), now, MAX_CONTACTS)
                .await?;
        let since = put.ok_or(Error::RelationsMax)?;
        let mut events = Events::new(&self.ids, now, Some(caller.user));
        events.relationship_changed(caller.user, other, "contact")?;
        events.append(&tx).await?;
        tx.commit().await?;
        let card = self.card(caller.user, other).await?;
        let user = card.ok_or(Error::NotFound)?;
        Ok(Contact { user, name, since })
    }

    /// Takes somebody out of the caller's address book; they may not have been in it.
    pub async fn remove_contact(&self, caller: &Caller, other: UserId) -> Result<()> {
        person(caller)?;
        let tx = self.db.begin().await?;
        if sql::address_book::remove(&tx, caller.user, other).await? {
            let mut events = Events::new(&self.ids, self.clock.now(), Some(caller.user));
            events.relationship_changed(caller.user, other, "no_contact")?;
            events.append(&tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// A page of the caller's address book.
    pub async fn contacts(
        &self,
        caller: &Caller,
        after: Option<Cursor>,
        limit: u16,
    ) -> Result<(Vec<Contact>, Option<Cursor>)> {
        person(caller)?;
        let after = after.map_or(0, |cursor| cursor.after);
        let most = i64::from(limit.clamp(1, kernel::page::MAX_PAGE));
        // One more than asked for tells whether there is another page.
        let mut rows =
            sql::address_book::list_after(&self.db, caller.user, after, most + 1).await?;
        let next = cut(&mut rows, limit).map(|last| Cursor {
            after: last.other_id.get(),
        });
        let ids: Vec<UserId> = rows.iter().map(|row| row.other_id).collect();
        let cards = self.cards(caller.user, &ids).await?;
        let contact = |row: sql::address_book::Entry| {
            let user = cards.iter().find(|card| card.id == row.other_id)?.clone();
            Some(Contact {
                user,
                name: row.name,
                since: row.contact_since,
            })
        };
        Ok((rows.into_iter().filter_map(contact).collect(), next))
    }

    /// Finds people by their numbers; each number counts against the day's budget, known or not.
    pub async fn match_numbers(&self, caller: &Caller, numbers: &[String]) -> Result<Vec<Match>> {
        person(caller)?;
        if numbers.len() > MAX_NUMBERS {
            let detail = format!("at most {MAX_NUMBERS}");
            let field = FieldError::new("/phone_numbers", "TOO_MANY", detail);
            return Err(Error::Invalid(vec![field]));
        }
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        self.spend_lookups(caller.user, numbers.len()).await?;
        let wanted: BTreeMap<String, &String> = numbers
            .iter()
            .filter_map(|text| Some((self.number(text)?, text)))
            .collect();
        let found = self.find_numbers(caller.user, wanted.keys()).await?;
        let ids: Vec<UserId> = found.iter().map(|(id, _)| *id).collect();
        let cards = self.cards(caller.user, &ids).await?;
        let matched = |(id, number): (UserId, String)| {
            Some(Match {
                phone_number: (*wanted.get(&number)?).clone(),
                user: cards.iter().find(|card| card.id == id)?.clone(),
            })
        };
        Ok(found.into_iter().filter_map(matched).collect())
    }

    /// The user a contact is named by.
    async fn named(&self, user: UserId, named: Named) -> Result<UserId> {
        let found = match named {
            Named::User(id) => sql::users::find(&self.db, id)
                .await?
                .filter(|account| account.state == State::Active && account.kind != Kind::System)
                .map(|account| account.id),
            Named::Username(name) => {
                let name = key(name.trim());
                if is_username(&name) {
                    sql::address_book::find_username(&self.db, &name).await?
                } else {
                    None
                }
            }
            Named::Phone(text) => {
                self.spend_lookups(user, 1).await?;
                let number = self.number(&text).ok_or(Error::NotFound)?;
                let found = self.find_numbers(user, [&number]).await?;
                found.first().map(|(id, _)| *id)
            }
        };
        found.ok_or(Error::NotFound)
    }

    /// A number as it is stored; without a country code it is taken for one of the installation's
    /// country.
    fn number(&self, text: &str) -> Option<String> {
        let region = self.settings.otp.default_region;
        Phone::parse(text, region).map(|phone| phone.number)
    }

    /// People with these numbers whom `viewer` may find, with the number of each.
    async fn find_numbers(
        &self,
        viewer: UserId,
        numbers: impl IntoIterator<Item = &String>,
    ) -> Result<Vec<(UserId, String)>> {
        let numbers: Vec<&String> = numbers.into_iter().collect();
        let keys = numbers
            .iter()
            .map(|number| self.settings.keys.target_mac(number))
            .collect::<Vec<_>>();
        let found = sql::address_book::find(&self.db, viewer, &keys).await?;
        // A key that lags behind its account does not give away whose number it was.
        Ok(found
            .into_iter()
            .filter(|row| numbers.contains(&&row.phone_number))
            .map(|row| (row.id, row.phone_number))
            .collect())
    }

    async fn spend_lookups(&self, user: UserId, numbers: usize) -> Result<()> {
        let now = self.clock.now();
        let count = i32::try_from(numbers).unwrap_or(i32::MAX);
        let day = utc_day(now);
        if sql::address_book::spend_lookups(&self.db, user, day, count, LOOKUPS_PER_DAY).await? {
            return Ok(());
        }
        Err(Error::RateLimited {
            limit: "phone_lookups",
            retry_after: until_tomorrow(now, day),
        })
    }

    /// Brings the keys by which numbers are found up to date.
    pub async fn keep_phone_keys(&self) -> Result<String> {
        let behind = sql::address_book::list_behind(&self.db, KEYS_PER_RUN).await?;
        for account in &behind {
            let (number, at) = (&account.phone_number, account.updated_at);
            self.keep_phone_key(&self.db, account.id, number, at)
                .await?;
        }
        let dropped = sql::address_book::drop_keys(&self.db).await?;
        Ok(format!("kept {} keys, dropped {dropped}", behind.len()))
    }

    /// Makes an account findable by its new number; in the transaction that sets the number.
    /// `at` is the account's new `updated_at`.
    pub(crate) async fn keep_phone_key(
        &self,
        source: impl db::Source,
        user: UserId,
        number: &str,
        at: Timestamp,
    ) -> Result<()> {
        let key = self.settings.keys.target_mac(number);
        Ok(sql::address_book::keep_key(source, user, &key, at).await?)
    }
}

/// The day of a moment, in UTC.
fn utc_day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// From a moment to the end of its day.
fn until_tomorrow(now: Timestamp, day: Date) -> Duration {
    let next = day
        .tomorrow()
        .and_then(|next| next.to_zoned(TimeZone::UTC))
        .map_or(now, |next| next.timestamp());
    let wait = next.duration_since(now).max(SignedDuration::from_secs(1));
    wait.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight_utc() {
        let now: Timestamp = "2026-11-20T23:59:00Z".parse().unwrap();
        let day = utc_day(now);
        assert_eq!(day, "2026-11-20".parse().unwrap());
        assert_eq!(until_tomorrow(now, day), Duration::from_secs(60));
    }
}
