//! A house to test in.

use std::sync::Arc;

use anyhow::Result;
use applications::{Applications, Deps, Settings};
use axum::Router;
use infra::fanout::{Body, Control, Deliveries, Fanout, LocalFanout, Topic};
use kernel::{
    Clock, CommunityId, Ids, ManualClock, SeededRng, SharedClock, SystemClock, UserId, WorkerSlot,
};
use secrecy::SecretString;
use serde_json::Value;
use testkit::TestDb;
use testkit::fakes::{FakeCommunities, FakeIdentity};
use testkit::http::{Credential, Reply};

pub(crate) const AYSE: UserId = UserId::new(11);
pub(crate) const MEHMET: UserId = UserId::new(12);
pub(crate) const COMMUNITY: CommunityId = CommunityId::new(1 << 22);

pub(crate) struct World {
    pub(crate) db: TestDb,
    pub(crate) identity: Arc<FakeIdentity>,
    pub(crate) communities: Arc<FakeCommunities>,
    pub(crate) app: Arc<Applications>,
    router: Router,
    revoked: Deliveries,
}

impl World {
    pub(crate) async fn new() -> Result<Self> {
        let root = SecretString::from("a root secret of at least 32 bytes".to_owned());
        Self::with(Settings::derive(&root)?).await
    }

    pub(crate) async fn with(settings: Settings) -> Result<Self> {
        let db = TestDb::new(&[applications::MIGRATIONS]).await?;
        let identity = FakeIdentity::new();
        let ayse = identity.add(AYSE, "ayse");
        let mehmet = identity.add(MEHMET, "mehmet");
        let communities = FakeCommunities::new();
        communities.add(COMMUNITY, "square", &ayse);
        communities.join(COMMUNITY, &mehmet);
        let fanout = LocalFanout::new();
        let (follower, revoked) = fanout.open(64);
        follower.follow(&[Topic::Revoked]).await?;
        let clock: SharedClock = ManualClock::new(SystemClock.now());
        let app = applications::build(Deps {
            db: db.app(applications::SCHEMA)?,
            ids: Ids::new(clock.clone(), WorkerSlot::permanent(1)),
            clock: clock.clone(),
            rng: SeededRng::new(1),
            fanout,
            identity: identity.clone(),
            communities: communities.clone(),
            settings,
        });
        let router = testkit::http::app(applications::tables(app.clone()).router(), clock)?;
        Ok(World {
            db,
            identity,
            communities,
            app,
            router,
            revoked,
        })
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        who: impl Into<Credential>,
        body: Value,
    ) -> Result<Reply> {
        testkit::http::call(&self.router, method, &format!("/api/v10{path}"), who, body).await
    }

    /// A new application of Ayşe's: its id and token.
    pub(crate) async fn application(&self) -> Result<(String, String)> {
        let body = serde_json::json!({"name": "Pinger", "description": "answers"});
        let reply = self
            .call("POST", "/applications", AYSE, body)
            .await?
            .expect(201)?;
        let text = |name: &str| reply.json[name].as_str().unwrap_or_default().to_owned();
        Ok((text("id"), text("token")))
    }

    /// The bots whose sockets were told to close.
    pub(crate) fn cut_off(&mut self) -> Vec<UserId> {
        std::iter::from_fn(|| self.revoked.try_next())
            .filter_map(|delivery| match delivery.record.body {
                Body::Control(Control::BotTokenRevoked(bot)) => Some(bot),
                _ => None,
            })
            .collect()
    }

    /// Kinds of events in the outbox, in order.
    pub(crate) async fn events(&self) -> Result<Vec<String>> {
        const LIST: db::Sql = db::Sql::new(
            "applications.test_events",
            "SELECT type FROM applications.outbox ORDER BY id",
        );
        Ok(LIST.scalars(&self.db.admin()?).await?)
    }
}
