//! Coming in: by an invite, or through the open door of a public community.

use kernel::{Caller, CommunityId};

use crate::Communities;
use crate::change::{Change, Reason};
use crate::error::{Error, Result};
use crate::model::MemberRow;
use crate::raids;
use crate::sql::{bans, discovery, invites};

/// By what somebody comes in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Door<'a> {
    /// An invite; it is used up by one.
    Invite(&'a str),
    /// The community is public.
    Public,
}

impl Door<'_> {
    /// What is said when the door is not there.
    fn gone(self) -> Error {
        match self {
            Door::Invite(_) => Error::UnknownInvite,
            Door::Public => Error::UnknownCommunity,
        }
    }

    async fn pass(self, change: &Change<'_>) -> Result<()> {
        let open = match self {
            Door::Invite(code) => invites::take_invite(&change.tx, code, change.at).await? == 1,
            Door::Public => discovery::is_discoverable(&change.tx, change.community.id).await?,
        };
        if open { Ok(()) } else { Err(self.gone()) }
    }
}

impl Communities {
    /// Makes the caller a member and tells how many there are now; nothing when they are one. Banned
    /// users and bots cannot come in.
    pub(crate) async fn enter(
        &self,
        caller: &Caller,
        id: CommunityId,
        door: Door<'_>,
    ) -> Result<Option<i32>> {
        if caller.is_bot() {
            return Err(Error::PeopleOnly);
        }
        let user = self.user(caller.user).await?.ok_or(Error::UnknownUser)?;
        // Members use nothing up and need no seat.
        match self.check_member(caller, id).await {
            Ok(()) => return Ok(None),
            Err(Error::UnknownCommunity) => {}
            Err(error) => return Err(error),
        }
        let tx = self.db.begin().await?;
        self.lock_seat(&tx, caller.user).await?;
        let opened = Change::open(self, tx, caller.user, id, Reason::default()).await;
        let mut change = match opened {
            Err(Error::UnknownCommunity) => return Err(door.gone()),
            other => other?,
        };
        if change.me().is_ok() {
            // Joined meanwhile, by another request of the same user.
            change.drop_all().await?;
            return Ok(None);
        }
        if bans::find_ban(&change.tx, id, caller.user).await?.is_some() {
            return Err(Error::Banned);
        }
        raids::check_open(&change)?;
        door.pass(&change).await?;
        let member = MemberRow {
            community_id: id,
            user_id: caller.user,
            nick: None,
            class: 0,
            flags: 0,
            timeout_until: None,
            quarantined_roles: None,
            joined_at: change.at,
            role_ids: Vec::new(),
        };
        crate::members::insert(&mut change, &member, &user).await?;
        raids::watch(&mut change).await?;
        let count = change.community.member_count;
        change.finish().await?;
        Ok(Some(count))
    }
}
