//! Exports: everything stored about a user, as a zip of JSON, for seven days.
//!
//! A job makes them: each context puts its rows into one bundle, as its `privacy.toml` says.

use std::io::{Cursor, Write as _};
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use contracts::PersonalData;
use contracts::privacy::{Bundle, MAX_EXPORT_BYTES};
use infra::objects::Object;
use jiff::{SignedDuration, Timestamp};
use kernel::{AnyId, Caller, Failure, UserId};
use serde::Serialize;
use zip::write::SimpleFileOptions;

use crate::error::{Error, Result};
use crate::events::Events;
use crate::sql::exports::{Claimed, Row};
use crate::{Identity, PRIVACY, SCHEMA, sql};

/// How long the link is good.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// After how long another node takes over what one began.
const LEASE: SignedDuration = SignedDuration::from_hours(1);
/// How long the row of an export stays.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Most exports of one list.
const MAX_LISTED: i64 = 100;
/// Exports made or removed by one run of the job; the next run goes on.
const MAX_STEPS: usize = 100;

/// How far an export is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Export {
    /// Names it.
    pub id: AnyId,
    /// `waiting`, `running`, `ready`, `failed` or `expired`.
    pub state: String,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// Where its owner, logged in, reads it; once it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_expires_at: Option<Timestamp>,
}

impl Identity {
    /// Says who else stores something about people. Once, by the composition; weakly, because they
    /// hold this context.
    pub fn take_part(&self, contexts: Vec<Weak<dyn PersonalData>>) {
        // A second call would be a mistake of the composition; the first one stands.
        let _ = self.contexts.set(contexts);
    }

    /// The other contexts that store something about people.
    pub(crate) fn contexts(&self) -> Vec<Arc<dyn PersonalData>> {
        let contexts = self.contexts.get().into_iter().flatten();
        contexts.filter_map(Weak::upgrade).collect()
    }

    /// Asks for an export of everything stored about the caller.
    pub async fn request_export(&self, caller: &Caller) -> Result<Export> {
        let id = self.ids.next()?;
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        if !sql::exports::insert(&tx, id, caller.user, now).await? {
            return Err(Error::ExportRunning);
        }
        self.note_export(&tx, caller.user, Some(caller.user))
            .await?;
        tx.commit().await?;
        Ok(Export {
            id,
            state: "waiting".to_owned(),
            requested_at: now,
            url: None,
            url_expires_at: None,
        })
    }

    /// The zip of everything stored about a user, for the operator.
    pub async fn export_for_operator(&self, user: UserId) -> Result<Vec<u8>> {
        let tx = self.db.begin().await?;
        self.note_export(&tx, user, None).await?;
        tx.commit().await?;
        self.packed(user).await.map_err(Error::Context)
    }

    async fn note_export(&self, tx: &db::Tx, user: UserId, actor: Option<UserId>) -> Result<()> {
        let mut events = Events::new(&self.ids, self.clock.now(), actor);
        events.export_requested(user)?;
        events.append(tx).await
    }

    /// How far an export of the caller is.
    pub async fn find_export(&self, caller: &Caller, id: AnyId) -> Result<Export> {
        Ok(self.shown(self.export_row(caller.user, id).await?))
    }

    /// The caller's exports of the last month, the newest first.
    pub async fn list_exports(&self, caller: &Caller) -> Result<Vec<Export>> {
        let rows = sql::exports::list(&self.db, caller.user, MAX_LISTED).await?;
        let rows = rows.into_iter().map(|row| self.shown(self.as_of_now(row)));
        Ok(rows.collect())
    }

    fn shown(&self, row: Row) -> Export {
        let ready = row.state == "ready";
        let path = format!("/v1/users/@me/exports/{}/download", row.id);
        Export {
            id: row.id,
            state: row.state,
            requested_at: row.created_at,
            url: ready.then(|| format!("{}{path}", self.settings.public_url)),
            url_expires_at: row.expires_at.filter(|_| ready),
        }
    }

    /// The zip of an export of the caller.
    pub async fn open_export(&self, caller: &Caller, id: AnyId) -> Result<Object> {
        let row = self.export_row(caller.user, id).await?;
        let key = row.object_key.filter(|_| row.state == "ready");
        let object = self.objects.open(&key.ok_or(Error::NotFound)?).await?;
        object.ok_or(Error::NotFound)
    }

    async fn export_row(&self, user: UserId, id: AnyId) -> Result<Row> {
        let row = sql::exports::find(&self.db, user, id).await?;
        Ok(self.as_of_now(row.ok_or(Error::NotFound)?))
    }

    /// The job removes what is over soon; until then it is over all the same.
    fn as_of_now(&self, mut row: Row) -> Row {
        if row.expires_at.is_some_and(|at| at <= self.clock.now()) && row.state == "ready" {
            "expired".clone_into(&mut row.state);
        }
        row
    }

    /// Makes the exports that wait and removes those that are over.
    pub async fn run_exports(&self) -> Result<String> {
        let (mut made, mut failed, mut removed) = (0, 0, 0);
        for _ in 0..MAX_STEPS {
            let now = self.clock.now();
            let Some(claimed) = sql::exports::claim(&self.db, now, now + LEASE).await? else {
                break;
            };
            match self.make_export(&claimed).await {
                Ok(()) => made += 1,
                Err(error) => {
                    tracing::error!(export.id = %claimed.id, %error, "an export could not be made");
                    sql::exports::fail(&self.db, claimed.id).await?;
                    failed += 1;
                }
            }
        }
        for _ in 0..MAX_STEPS {
            let Some(key) = sql::exports::expire(&self.db, self.clock.now()).await? else {
                break;
            };
            self.objects.remove(&key).await?;
            removed += 1;
        }
        sql::exports::purge(&self.db, self.clock.now() - REMEMBERED).await?;
        Ok(format!(
            "made {made} exports, {failed} failed, removed {removed}"
        ))
    }

    /// What every context stores about a user, packed.
    async fn packed(&self, user: UserId) -> std::result::Result<Vec<u8>, Failure> {
        let mut bundle = Bundle::new(MAX_EXPORT_BYTES);
        self.export(user, &mut bundle).await?;
        for context in self.contexts() {
            context.export(user, &mut bundle).await?;
        }
        let packed = self.hashing.run(move || pack(bundle)).await;
        Ok(packed.map_err(|_busy| Failure::from(Error::Busy))??)
    }

    async fn make_export(&self, claimed: &Claimed) -> std::result::Result<(), Failure> {
        let packed = self.packed(claimed.user_id).await?;
        let key = format!("exports/{}.zip", claimed.id);
        let stored = self.objects.put(&key, packed.into()).await;
        stored.map_err(Error::from)?;
        let ends = self.clock.now() + KEPT;
        if !sql::exports::finish(&self.db, claimed.id, &key, ends).await? {
            // The user was erased meanwhile.
            self.objects.remove(&key).await.map_err(Error::from)?;
        }
        Ok(())
    }
}

#[async_trait]
impl PersonalData for Identity {
    fn context(&self) -> &'static str {
        SCHEMA
    }

    async fn export(&self, user: UserId, to: &mut Bundle) -> std::result::Result<(), Failure> {
        let mut take = |table, rows: Vec<serde_json::Value>| to.add(SCHEMA, table, &rows);
        PRIVACY.get()?.export(&self.db, user, &mut take).await
    }

    async fn erasure_blockers(
        &self,
        user: UserId,
    ) -> std::result::Result<Vec<&'static str>, Failure> {
        let last = sql::erasures::is_last_admin(&self.db, user).await?;
        Ok(last.then_some("last_superadmin").into_iter().collect())
    }
}

/// Packs the files of a bundle.
fn pack(bundle: Bundle) -> Result<Vec<u8>> {
    let broken = |_| Error::Broken("an export that cannot be packed");
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in bundle.into_files() {
        zip.start_file(name, SimpleFileOptions::default())
            .map_err(broken)?;
        zip.write_all(&bytes)
            .or(Err(Error::Broken("an export that cannot be written")))?;
    }
    Ok(zip.finish().map_err(broken)?.into_inner())
}
