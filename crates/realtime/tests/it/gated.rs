//! Communities whose answers can be held back after they were read, so that a test decides what
//! happens between a snapshot and its use.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use contracts::Communities;
use contracts::communities::{
    ChannelAccess, Compiled, Guild, Member, MemberQuery, Membership, Snapshot,
};
use kernel::perm::Chat;
use kernel::{Caller, ChannelId, CommunityId, Failure, UserId};
use testkit::fakes::FakeCommunities;
use tokio::sync::watch;

/// One kind of answer.
pub(crate) struct Gate {
    open: watch::Sender<bool>,
    read: AtomicUsize,
    held: AtomicUsize,
}

impl Gate {
    fn new() -> Self {
        Gate {
            open: watch::Sender::new(true),
            read: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
        }
    }

    pub(crate) fn close(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }

    /// How many answers were read so far, held or not.
    pub(crate) fn read(&self) -> usize {
        self.read.load(Ordering::SeqCst)
    }

    /// Waits until an answer is held.
    pub(crate) async fn holds(&self) -> Result<()> {
        let what = "an answer is held";
        testkit::servers::eventually(what, Duration::from_secs(10), || async {
            self.held.load(Ordering::SeqCst) > 0
        })
        .await
    }

    async fn pass<T>(&self, answer: T) -> T {
        self.read.fetch_add(1, Ordering::SeqCst);
        self.held.fetch_add(1, Ordering::SeqCst);
        let opened = self.open.subscribe().wait_for(|open| *open).await.is_ok();
        assert!(opened, "the sender lives as long as the gate");
        self.held.fetch_sub(1, Ordering::SeqCst);
        answer
    }
}

/// See the module's text.
pub(crate) struct Gated {
    inner: Arc<FakeCommunities>,
    pub(crate) snapshots: Gate,
    pub(crate) compiled: Gate,
}

impl Gated {
    pub(crate) fn new(inner: Arc<FakeCommunities>) -> Arc<Self> {
        Arc::new(Gated {
            inner,
            snapshots: Gate::new(),
            compiled: Gate::new(),
        })
    }
}

#[async_trait]
impl Communities for Gated {
    async fn access(
        &self,
        user: UserId,
        channels: &[ChannelId],
    ) -> Result<Vec<ChannelAccess>, Failure> {
        self.inner.access(user, channels).await
    }

    async fn compiled(&self, community: CommunityId) -> Result<Option<Compiled>, Failure> {
        let answer = self.inner.compiled(community).await;
        self.compiled.pass(answer).await
    }

    async fn memberships(&self, user: UserId) -> Result<Vec<Membership>, Failure> {
        self.inner.memberships(user).await
    }

    async fn snapshots(
        &self,
        communities: &[CommunityId],
        viewer: UserId,
    ) -> Result<Vec<Snapshot>, Failure> {
        let answer = self.inner.snapshots(communities, viewer).await;
        self.snapshots.pass(answer).await
    }

    async fn members(
        &self,
        community: CommunityId,
        query: MemberQuery,
    ) -> Result<Vec<Member>, Failure> {
        self.inner.members(community, query).await
    }

    async fn share_community(&self, one: UserId, other: UserId) -> Result<bool, Failure> {
        self.inner.share_community(one, other).await
    }

    async fn install_bot(
        &self,
        caller: &Caller,
        community: CommunityId,
        bot: UserId,
        permissions: Chat,
    ) -> Result<Guild, Failure> {
        self.inner
            .install_bot(caller, community, bot, permissions)
            .await
    }

    async fn uninstall_bot(
        &self,
        caller: &Caller,
        community: CommunityId,
        bot: UserId,
    ) -> Result<(), Failure> {
        self.inner.uninstall_bot(caller, community, bot).await
    }
}
