//! Erasing an account: fourteen days in which the user may think again, then for good.
//!
//! When the time is up the account is signed out everywhere. Twenty minutes later, when every
//! access token has ended by itself and the list of revoked devices is not needed any more, the
//! rows go, as `privacy.toml` says, and `identity.erasure_due.v1` tells the other contexts to do
//! the same. Each answers with `<context>.user_erased.v1`; the erasure is done when all have.

use std::sync::Weak;

use contracts::PersonalData as _;
use jiff::{SignedDuration, Timestamp};
use kernel::event::{Handler, Handling};
use kernel::{AnyId, Caller, Event, Failure, FieldError, UserId};

use crate::error::{Error, Result};
use crate::events::Events;
use crate::sql::erasures::Open;
use crate::{Identity, PRIVACY, SCHEMA, sql};

/// How long the user may think again.
const GRACE: SignedDuration = SignedDuration::from_hours(14 * 24);
/// From the sign-out to the erasure: longer than an access token may live with the clock's leeway
/// in the default settings.
const SETTLE: SignedDuration = SignedDuration::from_mins(20);
/// After how long an answer that is missing is an incident.
const ANSWER_WITHIN: SignedDuration = SignedDuration::from_hours(24);
/// Accounts of one run of the job.
const BATCH: i64 = 100;

/// What the contexts answer, for the subscription.
pub(crate) const ANSWERS: &[&str] = &[
    "communities.user_erased.v1",
    "media.user_erased.v1",
    "messaging.user_erased.v1",
    "applications.user_erased.v1",
    "audit.user_erased.v1",
    "realtime.user_erased.v1",
];

/// How long the user may think again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grace {
    /// Fourteen days, as after a wish of the user.
    Fortnight,
    /// Not at all.
    None,
}

/// How far an erasure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erasing {
    /// Until then the user may think again.
    Waiting(Timestamp),
    /// The user is signed out for good; what is stored goes then.
    Running(Timestamp),
    /// What is stored here is gone, and the other contexts are told.
    Erased,
}

impl Identity {
    /// Begins the erasure of the caller's account, who confirms it with their username; when it
    /// will be carried out. Repeatable.
    pub async fn request_erasure(&self, caller: &Caller, confirm: &str) -> Result<Timestamp> {
        let account = self.account(caller.user).await?;
        if account.username != confirm {
            let detail = "your username, to show that you mean it";
            let error = FieldError::new("/confirm", "MISMATCH", detail);
            return Err(Error::Invalid(vec![error]));
        }
        let wish = self
            .wish_erasure(caller.user, Some(caller.user), GRACE)
            .await?;
        Ok(wish.due_at)
    }

    /// Erases an account on the operator's word. Without a grace the user is signed out at once;
    /// what is stored goes when the last access token has ended, by the job or the next such word.
    pub async fn erase_for_operator(&self, user: UserId, grace: Grace) -> Result<Erasing> {
        let wait = match grace {
            Grace::Fortnight => GRACE,
            Grace::None => SignedDuration::ZERO,
        };
        let wish = self.wish_erasure(user, None, wait).await?;
        let now = self.clock.now();
        if wish.due_at > now {
            return Ok(match wish.state.as_str() {
                "running" => Erasing::Running(wish.due_at),
                _ => Erasing::Waiting(wish.due_at),
            });
        }
        if wish.state == "running" {
            self.erase(wish.id, user).await?;
            return Ok(Erasing::Erased);
        }
        // Another node may be faster; it is running all the same.
        self.begin_erasure(wish.id, user).await?;
        Ok(Erasing::Running(now + SETTLE))
    }

    /// Stores the wish, or finds it; the sooner one counts.
    async fn wish_erasure(
        &self,
        user: UserId,
        actor: Option<UserId>,
        wait: SignedDuration,
    ) -> Result<Open> {
        let reasons = self.blockers(user).await?;
        if !reasons.is_empty() {
            return Err(Error::ErasureBlocked { reasons });
        }
        let now = self.clock.now();
        let due = now + wait;
        let mut events = Events::new(&self.ids, now, actor);
        let tx = self.db.begin().await?;
        if sql::erasures::insert(&tx, self.ids.next()?, user, due, now).await? {
            events.erasure_requested(user, due)?;
        }
        if sql::erasures::mark_deleting(&tx, user, now).await? {
            events.user_state_changed(user, "deleting")?;
        }
        events.append(&tx).await?;
        let wish = sql::erasures::find_open(&tx, user).await?;
        tx.commit().await?;
        // Keys of programs rest until the user thinks again.
        self.publish_keys_revoked(user).await;
        wish.ok_or(Error::Broken("an erasure that is not there"))
    }

    /// Thinks again: the account stays.
    pub async fn cancel_erasure(&self, caller: &Caller) -> Result<()> {
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        if !sql::erasures::cancel(&tx, caller.user, now).await? {
            return Err(Error::NotFound);
        }
        let mut events = Events::new(&self.ids, now, Some(caller.user));
        events.user_state_changed(caller.user, "active")?;
        events.append(&tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// What has to be settled before somebody can be erased, in every context.
    async fn blockers(&self, user: UserId) -> Result<Vec<&'static str>> {
        let mut reasons = self.erasure_blockers(user).await.map_err(Error::Context)?;
        for context in self.contexts() {
            let more = context.erasure_blockers(user).await;
            reasons.extend(more.map_err(Error::Context)?);
        }
        Ok(reasons)
    }

    /// Carries out what is due, and complains about answers that are missing.
    pub async fn run_erasures(&self) -> Result<String> {
        let now = self.clock.now();
        let mut begun = 0;
        for (id, user) in sql::erasures::list_due(&self.db, now, BATCH).await? {
            let reasons = self.blockers(user).await?;
            if reasons.is_empty() {
                begun += usize::from(self.begin_erasure(id, user).await?);
            } else {
                tracing::warn!(user.id = %user, reasons = reasons.join(","), "an erasure has to wait");
            }
        }
        let settled = sql::erasures::list_settled(&self.db, now, BATCH).await?;
        for (id, user) in &settled {
            self.erase(*id, *user).await?;
        }
        let late = sql::erasures::count_late(&self.db, now - ANSWER_WITHIN).await?;
        let shown = u32::try_from(late).unwrap_or(u32::MAX);
        metrics::gauge!("meydan_identity_erasures_late").set(f64::from(shown));
        if late > 0 {
            tracing::error!(
                erasures = late,
                "contexts did not say for a day that they erased a user"
            );
        }
        let erased = settled.len();
        Ok(format!(
            "began {begun} erasures, erased {erased}, {late} wait too long"
        ))
    }

    /// Signs the user out for the last time.
    async fn begin_erasure(&self, id: AnyId, user: UserId) -> Result<bool> {
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        if !sql::erasures::begin(&tx, id, now, now + SETTLE).await? {
            return Ok(false);
        }
        let mut events = Events::new(&self.ids, now, None);
        if sql::staff::disable(&tx, user, now).await? {
            events.user_state_changed(user, "disabled")?;
        }
        let revoked = sql::revocations::revoke_all(&tx, user, None, "erasure").await?;
        events.devices_revoked(user, &revoked, "erasure")?;
        events.append(&tx).await?;
        tx.commit().await?;
        self.publish_revoked(revoked).await;
        self.publish_keys_revoked(user).await;
        Ok(true)
    }

    /// Deletes and anonymises what this context stores, and tells the others.
    async fn erase(&self, id: AnyId, user: UserId) -> Result<()> {
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        if !sql::erasures::acknowledge(&tx, id, SCHEMA, now).await? {
            // Another node was faster.
            return Ok(());
        }
        let objects = sql::exports::keys_of(&tx, user).await?;
        let contacts = sql::erasures::contacts_of(&tx, user).await?;
        let targets: Vec<Vec<u8>> = contacts
            .iter()
            // The second is the budget of known devices, see `otp.rs`.
            .flat_map(|contact| [contact.clone(), format!("known\n{contact}")])
            .map(|target| self.settings.keys.target_mac(&target))
            .collect();
        sql::erasures::forget_targets(&tx, &targets).await?;
        PRIVACY.get()?.erase(&tx, user).await?;
        let mut events = Events::new(&self.ids, now, None);
        events.user_state_changed(user, "erased")?;
        events.erasure_due(user)?;
        events.append(&tx).await?;
        self.finish_erasure(&tx, user).await?;
        tx.commit().await?;
        self.forget_card(user);
        for key in objects {
            self.objects.remove(&key).await?;
        }
        Ok(())
    }

    /// Notes that a context erased a user.
    pub(crate) async fn note_answer(&self, context: &str, user: UserId) -> Result<()> {
        let tx = self.db.begin().await?;
        if let Some(id) = sql::erasures::find_running(&tx, user).await? {
            sql::erasures::acknowledge(&tx, id, context, self.clock.now()).await?;
            self.finish_erasure(&tx, user).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Ends the erasure if nobody's answer is missing.
    async fn finish_erasure(&self, tx: &db::Tx, user: UserId) -> Result<()> {
        let contexts = self.contexts();
        let mut expected: Vec<&str> = contexts.iter().map(|context| context.context()).collect();
        expected.push(SCHEMA);
        Ok(sql::erasures::finish(tx, user, &expected).await?)
    }
}

/// Collects what the contexts answer; idempotent. Holds the context weakly, because the bus outlives
/// it.
pub(crate) struct Answers(pub(crate) Weak<Identity>);

impl Handler for Answers {
    fn handle<'a>(&'a self, event: &'a Event) -> Handling<'a> {
        Box::pin(async move {
            let Some(identity) = self.0.upgrade() else {
                return Ok(());
            };
            let user = db::privacy::subject_of(event)?;
            let context = event.kind.split('.').next().unwrap_or_default();
            identity
                .note_answer(context, user)
                .await
                .map_err(Failure::from)
        })
    }
}
