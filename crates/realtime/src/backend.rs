//! What sessions need from the other contexts. Runs on the process's main runtime, so that database
//! connections never belong to a worker.

use std::sync::Arc;

use contracts::applications::BotIdentity;
use contracts::communities::{Member, MemberQuery, Membership, Snapshot};
use contracts::identity::User;
use contracts::messaging::{Cursor, Inbox, InboxParts, SyncFrom, Synced};
use contracts::relations::Relationship;
use contracts::{Applications, Communities, Credentials, Identity, Messaging, Relations};
use kernel::{ChannelId, CommunityId, DeviceId, UserId};
use web_kit::{TokenVerifier, VerifyError};

use crate::close::Close;
use crate::command::{RequestMembers, Which};
use crate::session::{GUILD_MEMBERS, Profile};
use crate::view::View;

/// What tickets begin with: pages have no token, and trade their session for one of these.
const TICKET: &str = "myd_wt_";
/// Most members in one GUILD_MEMBERS_CHUNK.
const CHUNK: u16 = 1_000;

/// The contexts a gateway stands on.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) identity: Arc<dyn Identity>,
    pub(crate) credentials: Arc<dyn Credentials>,
    pub(crate) communities: Arc<dyn Communities>,
    pub(crate) messaging: Arc<dyn Messaging>,
    pub(crate) relations: Arc<dyn Relations>,
    pub(crate) applications: Arc<dyn Applications>,
    pub(crate) verifier: Arc<TokenVerifier>,
}

/// Whom a token belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    pub(crate) user: UserId,
    pub(crate) device: Option<DeviceId>,
    pub(crate) bot: Option<BotIdentity>,
    pub(crate) expires_at: Option<jiff::Timestamp>,
}

/// Where a user takes part.
pub(crate) struct World {
    pub(crate) memberships: Vec<Membership>,
    pub(crate) inbox: Inbox,
}

/// A community as a session is told of it.
pub(crate) struct Told {
    pub(crate) snapshot: Snapshot,
    pub(crate) members: Vec<Member>,
}

impl Backend {
    /// Judges a token of IDENTIFY or RESUME. A failing dependency is never the client's fault.
    pub(crate) async fn verify(&self, token: &str) -> Result<Verified, Close> {
        let verdict = if token.starts_with("eyJ") {
            self.verifier.verified(token).await
        } else if token.starts_with(TICKET) {
            self.verifier.ticket(token).await
        } else {
            self.verifier.verified(&format!("Bot {token}")).await
        };
        let verified = verdict.map_err(|error| match error {
            VerifyError::Invalid => Close::BadToken,
            VerifyError::Unavailable(_) => Close::TryAgain,
        })?;
        let caller = verified.caller;
        // The gateway delivers direct messages, which nobody may read in a user's name.
        if caller.act.is_some() {
            return Err(Close::BadToken);
        }
        let bot = if caller.is_bot() {
            let bare = token.strip_prefix("Bot ").unwrap_or(token);
            let found = self
                .applications
                .resolve_token(kernel::digest::sha256(bare.as_bytes()))
                .await;
            Some(found.map_err(try_again)?.ok_or(Close::BadToken)?)
        } else {
            None
        };
        Ok(Verified {
            user: caller.user,
            device: caller.device,
            bot,
            expires_at: verified.expires_at,
        })
    }

    pub(crate) async fn world(&self, user: UserId, parts: InboxParts) -> Result<World, Close> {
        let (memberships, inbox) = futures::join!(
            self.communities.memberships(user),
            self.messaging.inbox(user, parts)
        );
        Ok(World {
            memberships: memberships.map_err(try_again)?,
            inbox: inbox.map_err(try_again)?,
        })
    }

    /// Friends, requests and blocks, for those who are shown them.
    pub(crate) async fn relationships(
        &self,
        profile: &Profile,
    ) -> Result<Vec<Relationship>, Close> {
        match profile.inbox_parts() {
            InboxParts::Channels => Ok(Vec::new()),
            InboxParts::WithReadStates => {
                let found = self.relations.relationships(profile.user).await;
                found.map_err(try_again)
            }
        }
    }

    /// Notes how far a reader has got.
    pub(crate) async fn advance(&self, user: UserId, cursors: &[Cursor]) -> Result<(), Close> {
        let noted = self.messaging.advance(user, cursors).await;
        noted.map_err(try_again)
    }

    /// What a user missed in channels.
    pub(crate) async fn sync(
        &self,
        user: UserId,
        from: &[SyncFrom],
    ) -> Result<Vec<(ChannelId, Synced)>, Close> {
        let synced = self.messaging.sync(user, from).await;
        synced.map_err(try_again)
    }

    pub(crate) async fn user(&self, user: UserId) -> Result<User, Close> {
        let found = self.identity.users(&[user]).await.map_err(try_again)?;
        found.into_iter().next().ok_or(Close::BadToken)
    }

    /// The communities as this session is to be told of them.
    pub(crate) async fn tell(
        &self,
        profile: &Profile,
        communities: &[CommunityId],
    ) -> Result<Vec<Told>, Close> {
        let snapshots = self.communities.snapshots(communities, profile.user).await;
        let mut told = Vec::new();
        for snapshot in snapshots.map_err(try_again)? {
            let small = snapshot.member_count <= i64::from(profile.large_threshold);
            let members = if profile.intents & GUILD_MEMBERS != 0 && small {
                let all = MemberQuery::After {
                    after: UserId::new(0),
                    limit: CHUNK,
                };
                self.communities
                    .members(snapshot.guild.id, all)
                    .await
                    .map_err(try_again)?
            } else {
                vec![snapshot.own.clone()]
            };
            told.push(Told { snapshot, members });
        }
        Ok(told)
    }

    /// The compiled rights of a community; a view without channels when it is gone.
    pub(crate) async fn view(&self, community: CommunityId) -> Result<View, Close> {
        let compiled = self
            .communities
            .compiled(community)
            .await
            .map_err(try_again)?;
        Ok(compiled.map_or_else(View::gone, |compiled| View::new(&compiled)))
    }

    /// Whether the device may still act.
    pub(crate) async fn device_is_live(&self, device: DeviceId) -> Result<bool, Close> {
        self.credentials
            .device_is_live(device)
            .await
            .map_err(try_again)
    }

    /// The members an op 8 asks for, and the ids nobody has.
    pub(crate) async fn members(
        &self,
        request: &RequestMembers,
    ) -> Result<(Vec<Member>, Vec<UserId>), Close> {
        let community = request.guild_id;
        match &request.which {
            Which::Ids(ids) => {
                let query = MemberQuery::Ids(ids.clone());
                let found = self
                    .communities
                    .members(community, query)
                    .await
                    .map_err(try_again)?;
                let has = |id: &UserId| {
                    found
                        .iter()
                        .any(|m| m.user.as_ref().is_some_and(|user| user.id == *id))
                };
                let missing = ids.iter().filter(|id| !has(id)).copied().collect();
                Ok((found, missing))
            }
            Which::Prefix(text, limit) if !text.is_empty() || *limit > 0 => {
                let limit = u16::try_from(*limit).unwrap_or(100).clamp(1, 100);
                let query = MemberQuery::Prefix {
                    text: text.clone(),
                    limit,
                };
                let found = self.communities.members(community, query).await;
                Ok((found.map_err(try_again)?, Vec::new()))
            }
            Which::Prefix(..) => Ok((self.all_members(community).await?, Vec::new())),
        }
    }

    async fn all_members(&self, community: CommunityId) -> Result<Vec<Member>, Close> {
        let mut all: Vec<Member> = Vec::new();
        let mut after = UserId::new(0);
        loop {
            let query = MemberQuery::After {
                after,
                limit: CHUNK,
            };
            let page = self
                .communities
                .members(community, query)
                .await
                .map_err(try_again)?;
            let whole = page.len() >= usize::from(CHUNK);
            all.extend(page);
            let last = all.last().and_then(|member| member.user.as_ref());
            match last {
                Some(user) if whole => after = user.id,
                _ => return Ok(all),
            }
        }
    }
}

pub(crate) fn try_again(failure: kernel::Failure) -> Close {
    tracing::warn!(error = %failure, "a context did not answer the gateway");
    Close::TryAgain
}
