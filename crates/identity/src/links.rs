//! Links that are sent by mail: to log in, and to choose a new password.
//!
//! A link is a random token behind `#`, which no server and no Referer header sees. It is good
//! once and for half an hour, and the next one voids it. Whether there is an account to write to
//! shows in nothing: where there is none, a token is stored that nobody ever learns.

use std::net::IpAddr;
use std::time::Duration;

use kernel::{Caller, Locale, UserId};
use secrecy::{ExposeSecret as _, SecretString};

use crate::Identity;
use crate::devices::{Account, LoggedIn, Origin, later};
use crate::error::{Error, Result};
use crate::events::Events;
use crate::letters::{self, LinkLetter, Sender};
use crate::limits;
use crate::rules::{Email, Fields, Identifier};
use crate::second_factor::{First, Proven};
use crate::secrets::sha256;
use crate::sender::{Parcel, Slot};
use crate::settings::EmailVerification;
use crate::sql;
use crate::sql::mailboxes::Mailbox;
use crate::staff::{Act, check_reason};

/// How long a link is good.
pub const LINK_TTL: Duration = Duration::from_secs(30 * 60);

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Magic,
    Reset,
}

impl Link {
    /// The stored word.
    fn word(self) -> &'static str {
        match self {
            Link::Magic => "magic",
            Link::Reset => "reset",
        }
    }

    fn letter(self) -> LinkLetter {
        match self {
            Link::Magic => LinkLetter::Magic,
            Link::Reset => LinkLetter::Reset,
        }
    }
}

/// Who wishes for a link.
#[derive(Debug, Clone, Copy)]
pub struct LinkWish<'a> {
    /// The address, or for a reset any name of the account.
    pub name: &'a str,
    /// The client's address.
    pub ip: IpAddr,
}

impl Identity {
    /// Sends a link that logs in, if the address is somebody's and is trusted.
    pub async fn send_magic_link(&self, wish: LinkWish<'_>) -> Result<()> {
        let email = Email::parse(wish.name).ok_or(Error::EmailInvalid)?;
        let slot = self.admit_link(&email.key, wish.ip).await?;
        let name = Identifier::Email(email.key);
        let found = sql::users::find_login(&self.db, &name).await?;
        let to = self.mailbox(found.map(|found| found.id)).await?;
        let to = to.filter(|mailbox| mailbox.verified || self.trusts_every_address());
        self.send_link(Link::Magic, to, slot).await
    }

    /// Sends a link to choose a new password, if the name is an account's that has an address.
    pub async fn ask_reset(&self, wish: LinkWish<'_>) -> Result<()> {
        let name = Identifier::parse(wish.name);
        let slot = self.admit_link(name.text(), wish.ip).await?;
        let found = sql::users::find_login(&self.db, &name).await?;
        let to = self.mailbox(found.map(|found| found.id)).await?;
        self.send_link(Link::Reset, to, slot).await
    }

    /// The same on the word of a member of staff, who never learns the link.
    pub async fn start_reset(&self, staff: &Caller, user: UserId, reason: &str) -> Result<()> {
        check_reason(reason)?;
        let slot = self.reserve_letter()?;
        let tx = self.db.begin().await?;
        self.enter_staff(&tx, staff, Act::Guard, user).await?;
        let to = sql::mailboxes::find(&tx, user).await?;
        let to = to.ok_or(Error::NotFound)?;
        self.note_action(&tx, staff, user, ("reset", reason))
            .await?;
        let token = self.begin_reset(&tx, user, Some(staff.user)).await?;
        tx.commit().await?;
        slot.send(self.letter_with(Link::Reset, &to, &token));
        Ok(())
    }

    /// Makes the link of a reset that somebody else than the user begins.
    pub(crate) async fn begin_reset(
        &self,
        tx: &db::Tx,
        user: UserId,
        actor: Option<UserId>,
    ) -> Result<SecretString> {
        let token = self.new_link(tx, Link::Reset, Some(user)).await?;
        let mut events = Events::new(&self.ids, self.clock.now(), actor);
        events.reset_started(user)?;
        events.append(tx).await?;
        Ok(token)
    }

    /// Logs in with a link.
    pub async fn log_in_by_link(&self, token: &SecretString, origin: &Origin) -> Result<LoggedIn> {
        let mut fields = Fields::default();
        fields.device("/device", &origin.device);
        fields.done()?;
        let hash = sha256(token.expose_secret().as_bytes());
        let keys = self.keys.set().await?;
        let tx = self.db.begin().await?;
        let now = self.clock.now();
        let consumed = sql::tokens::consume(&tx, &hash, Link::Magic.word(), now).await?;
        let user = consumed.and_then(|token| token.user_id);
        let user = user.ok_or(Error::TokenInvalid)?;
        if !sql::factors::may_log_in(&tx, user).await? {
            return Err(Error::TokenInvalid);
        }
        // The letter was sent to the present address, for a change of it voids the links.
        sql::mailboxes::prove(&tx, user, now).await?;
        let proven = Proven {
            user,
            account: Account::Known,
            first: First::Email,
        };
        let admitted = self.admit(&tx, &keys, proven, origin).await?;
        tx.commit().await?;
        admitted.finish()
    }

    /// Chooses a new password with a link. Every login ends, and a second factor stays what it is.
    pub async fn reset_password(&self, token: &SecretString, new: SecretString) -> Result<()> {
        let hash = sha256(token.expose_secret().as_bytes());
        let (now, word) = (self.clock.now(), Link::Reset.word());
        // Asked before the dear hash, so that strangers cannot make us compute; decided below.
        let user = sql::tokens::find_user(&self.db, &hash, word, now).await?;
        let account = self.account(user.ok_or(Error::TokenInvalid)?).await?;
        let words = [
            Some(account.username),
            Some(account.display_name),
            account.email,
        ];
        let phc = self
            .hash_password(new, words.into_iter().flatten().collect())
            .await?;
        let user = account.id;
        let tx = self.db.begin().await?;
        let consumed = sql::tokens::consume(&tx, &hash, word, now).await?;
        if consumed.is_none() || !sql::factors::may_log_in(&tx, user).await? {
            return Err(Error::TokenInvalid);
        }
        sql::users::set_password(&tx, user, &phc, now).await?;
        sql::demo::close(&tx, user).await?;
        // As for a link that logs in.
        sql::mailboxes::prove(&tx, user, now).await?;
        self.void_links(&tx, user).await?;
        self.void_unfinished(&tx, user).await?;
        let revoked = sql::revocations::revoke_all(&tx, user, None, "reset").await?;
        let mut events = Events::new(&self.ids, now, Some(user));
        events.factor_changed(user, "password")?;
        events.devices_revoked(user, &revoked, "reset")?;
        events.append(&tx).await?;
        tx.commit().await?;
        self.publish_revoked(revoked).await;
        Ok(())
    }

    /// Voids every link of a user: what they prove is no longer so.
    pub(crate) async fn void_links(&self, tx: &db::Tx, user: UserId) -> Result<()> {
        for link in [Link::Magic, Link::Reset] {
            sql::tokens::void(tx, Some(user), link.word()).await?;
        }
        Ok(())
    }

    /// Whether letters open accounts whose address nobody proved: where sign-up proves none, on a
    /// server that only its own computer reaches. Whoever reads one then has proved it.
    pub(crate) fn trusts_every_address(&self) -> bool {
        self.settings.email_verification == EmailVerification::Off
    }

    /// A place for a letter, where letters can be sent at all.
    pub(crate) fn reserve_letter(&self) -> Result<Slot> {
        if self.senders.mail.is_none() {
            return Err(Error::ChannelUnavailable { channel: "email" });
        }
        self.outgoing.reserve()
    }

    /// Counts a wish for a letter to `name`, known or not.
    pub(crate) async fn admit_link(&self, name: &str, ip: IpAddr) -> Result<Slot> {
        let slot = self.reserve_letter()?;
        let (limiter, keys) = (&*self.limiter, &self.settings.keys);
        limits::link_from(limiter, self.settings.otp.address_per_hour, ip).await?;
        limits::link_to(limiter, self.settings.otp.target_per_hour, keys, name).await?;
        Ok(slot)
    }

    /// Where letters to a user go; asks also for nobody, who has none.
    pub(crate) async fn mailbox(&self, user: Option<UserId>) -> Result<Option<Mailbox>> {
        let user = user.unwrap_or(UserId::new(0));
        Ok(sql::mailboxes::find(&self.db, user).await?)
    }

    async fn send_link(&self, link: Link, to: Option<Mailbox>, slot: Slot) -> Result<()> {
        let user = to.as_ref().map(|mailbox| mailbox.id);
        let tx = self.db.begin().await?;
        let token = self.new_link(&tx, link, user).await?;
        tx.commit().await?;
        slot.send(to.map_or(Parcel::Nothing, |to| self.letter_with(link, &to, &token)));
        Ok(())
    }

    /// Makes a link, which voids the one before.
    async fn new_link(
        &self,
        tx: &db::Tx,
        link: Link,
        user: Option<UserId>,
    ) -> Result<SecretString> {
        let (now, word) = (self.clock.now(), link.word());
        let (token, hash) = self.one_time_token();
        // Those of nobody were never learned by anybody.
        sql::tokens::void(tx, user, word).await?;
        let row = sql::tokens::NewToken {
            hash: &hash,
            purpose: word,
            user,
            data: &serde_json::json!({}),
            expires_at: later(now, LINK_TTL),
            at: now,
        };
        sql::tokens::insert(tx, &row).await?;
        Ok(token)
    }

    pub(crate) fn letter_with(&self, link: Link, to: &Mailbox, token: &SecretString) -> Parcel {
        self.link_letter(link.letter(), to.locale(), &to.email, token)
    }

    /// A letter with a link.
    pub(crate) fn link_letter(
        &self,
        kind: LinkLetter,
        locale: Locale,
        to: &str,
        token: &SecretString,
    ) -> Parcel {
        let sender = Sender {
            public_url: &self.settings.public_url,
        };
        let token = token.expose_secret();
        Parcel::Letter(letters::link(sender, locale, to, kind, token))
    }
}
