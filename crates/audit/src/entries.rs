//! Reading the chain.

use kernel::{Caller, Cursor, UserId};

use crate::error::Result;
use crate::model::Entry;
use crate::sql::{Found, Wanted};
use crate::{Audit, sql};

/// What is looked for; what is absent is not asked.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Whom it is about.
    pub subject: Option<UserId>,
    /// Who did it.
    pub actor: Option<UserId>,
    /// What happened.
    pub kind: Option<String>,
}

impl Audit {
    /// Entries of the platform, the newest first, and where the next page begins.
    pub async fn entries(
        &self,
        search: &Search,
        after: Option<Cursor>,
        limit: u16,
    ) -> Result<(Vec<Entry>, Option<Cursor>)> {
        let limit = i64::from(limit.clamp(1, kernel::page::MAX_PAGE));
        let before = after.map_or(i64::MAX, |cursor| cursor.after);
        let wanted = Wanted {
            subject: search.subject,
            actor: search.actor,
            kind: search.kind.as_deref(),
        };
        // One more than asked for tells whether there is another page.
        let rows = sql::list_before(&self.db, before, wanted, limit + 1).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        let entries = rows.into_iter().take(limit).map(shown);
        let entries = entries.collect::<Result<Vec<Entry>>>()?;
        let next = entries
            .last()
            .filter(|_| more)
            .map(|last| Cursor { after: last.seq });
        Ok((entries, next))
    }

    /// What happened to the caller's own account.
    pub async fn activity(
        &self,
        caller: &Caller,
        after: Option<Cursor>,
        limit: u16,
    ) -> Result<(Vec<Entry>, Option<Cursor>)> {
        let search = Search {
            subject: Some(caller.user),
            ..Search::default()
        };
        self.entries(&search, after, limit).await
    }
}

fn shown(found: Found) -> Result<Entry> {
    let entry: Entry = serde_json::from_slice(&found.body)?;
    Ok(Entry {
        seq: found.seq,
        ..entry
    })
}
