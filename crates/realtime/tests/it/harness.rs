//! A running gateway and the world around it.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;
use bytes::Bytes;
use contracts::Credentials;
use contracts::identity::{From, SigningKey, User};
use infra::cache::LocalCache;
use infra::fanout::{Body, Control, Dispatch, Fanout, LocalFanout, Record, Topic, Version};
use jiff::Timestamp;
use kernel::perm::Chat;
use kernel::{
    Caller, ChannelId, CommunityId, DeviceId, Failure, Ids, PlatformRole, SystemClock, SystemRng,
    UserId, WorkerSlot,
};
use realtime::{Deps, PersonalRows, Realtime, Settings};
use runtime::Lifecycle;
use serde_json::{Value, json};
use testkit::TestDb;
use testkit::fakes::{
    FakeApplications, FakeCommunities, FakeIdentity, FakeMessaging, FakeRelations,
};
use testkit::gateway::Gateway;
use web_kit::TokenVerifier;

use crate::gated::Gated;

pub(crate) const COMMUNITY: CommunityId = CommunityId::new(1 << 22);
pub(crate) const CHANNEL: ChannelId = ChannelId::new(2 << 22);
pub(crate) const AYSE: UserId = UserId::new(11);
pub(crate) const MEHMET: UserId = UserId::new(12);
pub(crate) const BOT: UserId = UserId::new(13);
/// Guilds, messages, content.
pub(crate) const INTENTS: u64 = 1 | (1 << 9) | (1 << 15);

struct Devices;

#[async_trait]
impl Credentials for Devices {
    async fn keys(&self) -> Result<Vec<SigningKey>, Failure> {
        Ok(Vec::new())
    }
    async fn revoked_since(&self, _: Timestamp) -> Result<Vec<DeviceId>, Failure> {
        Ok(Vec::new())
    }
    async fn device_is_live(&self, _: DeviceId) -> Result<bool, Failure> {
        Ok(true)
    }
    async fn resolve_api_key(&self, _: [u8; 32]) -> Result<Option<Caller>, Failure> {
        Ok(None)
    }
    async fn access_for_cookie(&self, _: [u8; 32], _: &From) -> Result<Option<String>, Failure> {
        Ok(None)
    }
    async fn ways_to_step_up(&self, _: UserId) -> Result<Vec<&'static str>, Failure> {
        Ok(Vec::new())
    }
    async fn take_ticket(&self, _: [u8; 32]) -> Result<Option<String>, Failure> {
        Ok(None)
    }
    async fn roles(&self, _: UserId) -> Result<Vec<PlatformRole>, Failure> {
        Ok(Vec::new())
    }
}

pub(crate) struct World {
    pub(crate) db: TestDb,
    pub(crate) identity: Arc<FakeIdentity>,
    pub(crate) communities: Arc<FakeCommunities>,
    /// The same, as nodes see it.
    pub(crate) gated: Arc<Gated>,
    pub(crate) messaging: Arc<FakeMessaging>,
    pub(crate) relations: Arc<FakeRelations>,
    pub(crate) applications: Arc<FakeApplications>,
    pub(crate) fanout: Arc<LocalFanout>,
    pub(crate) cache: Arc<LocalCache>,
    pub(crate) verifier: Arc<TokenVerifier>,
    pub(crate) users: Vec<User>,
}

impl World {
    /// Ayşe owns a community with one channel; Mehmet and a bot are members.
    pub(crate) async fn new() -> Result<Self> {
        let identity = FakeIdentity::new();
        let users: Vec<_> = [(AYSE, "ayse"), (MEHMET, "mehmet"), (BOT, "bot")]
            .map(|(id, name)| identity.add(id, name))
            .into();
        let communities = FakeCommunities::new();
        communities.add(COMMUNITY, "square", &users[0]);
        communities.add_channel(COMMUNITY, CHANNEL, "general");
        communities.join(COMMUNITY, &users[1]);
        communities.join(COMMUNITY, &users[2]);
        let applications = FakeApplications::new();
        applications.add(&testkit::http::bot_token(BOT), BOT, 1 << 15);
        Ok(World {
            db: TestDb::new(&[realtime::MIGRATIONS]).await?,
            identity,
            gated: Gated::new(communities.clone()),
            communities,
            messaging: FakeMessaging::new(),
            relations: FakeRelations::new(),
            applications,
            fanout: LocalFanout::new(),
            cache: LocalCache::new(Arc::new(SystemClock), 10_000),
            verifier: testkit::http::verifier()?,
            users,
        })
    }

    /// A gateway process over this world.
    pub(crate) async fn start(&self, settings: Settings) -> Result<Node> {
        let lifecycle = Lifecycle::new();
        let clock = Arc::new(SystemClock);
        let realtime = Realtime::build(Deps {
            settings,
            identity: self.identity.clone(),
            credentials: Arc::new(Devices),
            communities: self.gated.clone(),
            messaging: self.messaging.clone(),
            relations: self.relations.clone(),
            applications: self.applications.clone(),
            verifier: Arc::clone(&self.verifier),
            fanout: self.fanout.clone(),
            cache: self.cache.clone(),
            db: self.db.app("realtime")?,
            rows: rows(self.db.app("realtime")?),
            clock: clock.clone(),
            rng: Arc::new(SystemRng),
            lifecycle: lifecycle.clone(),
        })
        .await?;
        let router = testkit::http::app(realtime.table().router(), clock)?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let options = web_kit::ServeOptions {
            drain_grace: std::time::Duration::ZERO,
            ..web_kit::ServeOptions::default()
        };
        let served = web_kit::serve(listener, router, options, lifecycle.clone());
        runtime::spawn(&lifecycle, "http", served);
        Ok(Node {
            realtime,
            address,
            lifecycle,
        })
    }

    pub(crate) async fn publish(&self, topic: Topic, record: Record) -> Result<()> {
        self.fanout.publish(topic, Arc::new(record)).await?;
        Ok(())
    }

    /// A message in the channel, as messaging would publish it.
    pub(crate) async fn message(&self, ev: i64, content: &str) -> Result<()> {
        let record = message(self.epoch(), ev, content);
        self.publish(Topic::Community(COMMUNITY), record).await
    }

    pub(crate) fn epoch(&self) -> i32 {
        self.communities
            .numbers(COMMUNITY)
            .map_or(0, |(_, epoch)| epoch)
    }

    /// Takes back the device of a person, as a node is told of it.
    pub(crate) fn revoke(&self, person: UserId) {
        let device = testkit::http::caller(person).device;
        let now = kernel::Clock::now(&SystemClock);
        self.verifier.revoke(device.as_slice(), now);
    }

    pub(crate) async fn control(&self, topic: Topic, control: Control) -> Result<()> {
        let body = Body::Control(control);
        let record = Record {
            body,
            ..plain("", json!(null))
        };
        self.publish(topic, record).await
    }
}

/// A running gateway.
pub(crate) struct Node {
    pub(crate) realtime: Arc<Realtime>,
    pub(crate) address: SocketAddr,
    pub(crate) lifecycle: Lifecycle,
}

impl Node {
    /// A person's session: the client behind READY and its one GUILD_CREATE.
    pub(crate) async fn person(&self, user: UserId) -> Result<(Gateway, Value)> {
        let d = json!({"token": testkit::http::token(user)?, "intents": INTENTS});
        let (mut gateway, ready) = Gateway::identify(self.address, d).await?;
        gateway.expect("GUILD_CREATE").await?;
        Ok((gateway, ready))
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.lifecycle.soft().cancel();
        self.realtime.finish().await;
        let drain = self
            .lifecycle
            .shutdown(std::time::Duration::from_secs(20))
            .await;
        anyhow::ensure!(drain == runtime::Drain::Drained, "some task did not end");
        Ok(())
    }
}

/// What is stored about people, in a database with the rights of the schema.
pub(crate) fn rows(db: db::Db) -> Arc<PersonalRows> {
    let clock = Arc::new(SystemClock);
    let ids = Ids::new(clock.clone(), WorkerSlot::permanent(1));
    PersonalRows::new(db, ids, clock)
}

/// An event without content rules.
pub(crate) fn plain(name: &'static str, d: Value) -> Record {
    Record {
        body: Body::Dispatch(Dispatch {
            name: name.into(),
            intent: None,
            needs: Chat::NONE,
            author: None,
            except: None,
            full_for: Vec::new(),
            data: Bytes::from(d.to_string()),
            redacted: None,
        }),
        community: None,
        channel: None,
        version: Version::None,
        epoch: 0,
        ephemeral: false,
    }
}

/// The same event for those alone who have these rights.
pub(crate) fn needing(needs: Chat, record: Record) -> Record {
    match record.body {
        Body::Dispatch(dispatch) => Record {
            body: Body::Dispatch(Dispatch { needs, ..dispatch }),
            ..record
        },
        Body::Control(_) | Body::Presence(_) => record,
    }
}

/// A message of Ayşe in the channel.
pub(crate) fn message(epoch: i32, ev: i64, content: &str) -> Record {
    Record {
        body: Body::Dispatch(Dispatch {
            name: "MESSAGE_CREATE".into(),
            intent: Some(9),
            needs: Chat::NONE,
            author: Some(AYSE),
            except: None,
            full_for: Vec::new(),
            data: Bytes::from(json!({"content": content}).to_string()),
            redacted: Some(Bytes::from(json!({"content": ""}).to_string())),
        }),
        community: Some(COMMUNITY),
        channel: Some(CHANNEL),
        version: Version::Ev(ev),
        epoch,
        ephemeral: false,
    }
}

/// The `session_id` of READY.
pub(crate) fn session(ready: &Value) -> String {
    ready["session_id"].as_str().unwrap_or_default().to_owned()
}
