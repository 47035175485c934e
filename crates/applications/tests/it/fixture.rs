//! The context over a database of its own, with fakes of what it calls.

use std::sync::Arc;
use std::time::Duration;

use applications::{Applications, Bearer, Deps, Keys, MIGRATIONS, Settings};
use contracts::Identity as _;
use db::{Db, Sql};
use infra::fanout::{Body, Control, Deliveries, Fanout as _, LocalFanout, Topic};
use infra::limiter::LocalLimiter;
use infra::outbound::{Bounds, Outbound, Permits};
use kernel::perm::Chat;
use kernel::{
    ApplicationId, ChannelId, CommunityId, Ids, ManualClock, SeededRng, UserId, WorkerSlot,
};
use serde_json::{Value, json};
use testkit::TestDb;
use testkit::fakes::{FakeCommunities, FakeIdentity, FakeMessaging};
use testkit::http::{Credential, Reply};

pub(crate) const OWNER: UserId = UserId::new(1_001);
pub(crate) const OTHER: UserId = UserId::new(1_002);
/// OWNER owns it, OTHER is a plain member.
pub(crate) const COMMUNITY: CommunityId = CommunityId::new(2_001);
/// OTHER's, without OWNER.
pub(crate) const ELSEWHERE: CommunityId = CommunityId::new(2_002);

pub(crate) const NONE: Value = Value::Null;

pub(crate) struct World {
    pub(crate) app: Arc<Applications>,
    pub(crate) router: axum::Router,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) identity: Arc<FakeIdentity>,
    pub(crate) communities: Arc<FakeCommunities>,
    pub(crate) messaging: Arc<FakeMessaging>,
    pub(crate) deliveries: Deliveries,
    pub(crate) fanout: Arc<LocalFanout>,
    pub(crate) ids: Arc<Ids>,
    pub(crate) database: TestDb,
    admin: Db,
}

const EVENTS: Sql = Sql::new(
    "test.events",
    "SELECT type FROM applications.outbox ORDER BY id",
);

impl World {
    pub(crate) async fn new() -> World {
        World::with(25).await
    }

    /// With another number of applications per user.
    pub(crate) async fn with(applications_per_user: i64) -> World {
        let database = TestDb::new(&[MIGRATIONS]).await.unwrap();
        let clock = ManualClock::new("2026-11-20T07:00:00Z".parse().unwrap());
        let fanout = LocalFanout::new();
        let (follower, deliveries) = fanout.open(64);
        follower.follow(&[Topic::Revoked]).await.unwrap();
        let identity = FakeIdentity::with(&[(OWNER.get(), "owner"), (OTHER.get(), "other")]);
        let communities = FakeCommunities::new();
        let users = identity.users(&[OWNER, OTHER]).await.unwrap();
        communities.add(COMMUNITY, "Square", &users[0]);
        communities.join(COMMUNITY, &users[1]);
        communities.add(ELSEWHERE, "Elsewhere", &users[1]);
        let messaging = FakeMessaging::new();
        let ids = Ids::new(clock.clone(), WorkerSlot::permanent(1));
        let keys = Keys::derive(&"r".repeat(32).into()).unwrap();
        let app = applications::build(Deps {
            db: database.app("applications").unwrap(),
            ids: ids.clone(),
            clock: clock.clone(),
            rng: SeededRng::new(7),
            fanout: fanout.clone(),
            identity: identity.clone(),
            communities: communities.clone(),
            messaging: messaging.clone(),
            limiter: LocalLimiter::new(clock.clone(), 1_000),
            outbound: outbound(),
            settings: Settings {
                applications_per_user,
                public_url: "https://meydan.test".to_owned(),
                ..Settings::new(keys)
            },
        });
        let table = applications::table(app.clone());
        let router = testkit::http::app(table.router(), clock.clone()).unwrap();
        let admin = database.admin().unwrap();
        World {
            app,
            router,
            clock,
            identity,
            communities,
            messaging,
            deliveries,
            fanout,
            ids,
            database,
            admin,
        }
    }

    pub(crate) async fn call(
        &self,
        who: impl Into<Credential>,
        method: &str,
        path: &str,
        body: Value,
    ) -> Reply {
        // Limits are tested where they are built; here time flows between two requests.
        self.clock.advance(std::time::Duration::from_secs(61));
        let path = format!("/api/v10{path}");
        let call = testkit::http::call(&self.router, method, &path, who, body);
        call.await.unwrap()
    }

    pub(crate) async fn ok(
        &self,
        who: UserId,
        method: &str,
        path: &str,
        body: Value,
        status: u16,
    ) -> Value {
        let reply = self.call(who, method, path, body).await;
        assert_eq!(reply.status, status, "{method} {path}: {:?}", reply.json);
        reply.json
    }

    /// Calls and expects a status and the dialect's number.
    pub(crate) async fn fails(
        &self,
        who: impl Into<Credential>,
        method: &str,
        path: &str,
        body: Value,
        expected: (u16, u64),
    ) {
        let reply = self.call(who, method, path, body).await;
        let told = (
            reply.status.as_u16(),
            reply.json["code"].as_u64().unwrap_or(u64::MAX),
        );
        assert_eq!(told, expected, "{method} {path}: {:?}", reply.json);
    }

    /// An application of OWNER's and its token.
    pub(crate) async fn application(&self) -> (ApplicationId, String) {
        let body = json!({"name": "Helper"});
        let made = self.ok(OWNER, "POST", "/applications", body, 201).await;
        let id = made["id"].as_str().unwrap().parse().unwrap();
        (id, made["token"].as_str().unwrap().to_owned())
    }

    /// OWNER's webhook in a channel.
    pub(crate) async fn webhook(&self, channel: ChannelId) -> Bearer {
        let path = format!("/channels/{channel}/webhooks");
        let made = self
            .ok(OWNER, "POST", &path, json!({"name": "CI"}), 200)
            .await;
        Bearer {
            id: made["id"].as_str().unwrap().parse().unwrap(),
            token: made["token"].as_str().unwrap().to_owned(),
            thread: None,
        }
    }

    /// Types of all events written so far, without the context's name and the version.
    pub(crate) async fn events(&self) -> Vec<String> {
        let all: Vec<String> = EVENTS.scalars(&self.admin).await.unwrap();
        all.iter()
            .map(|kind| {
                assert!(
                    applications::EVENTS.contains(&kind.as_str()),
                    "{kind} is not declared"
                );
                let kind = kind.strip_prefix("applications.").unwrap();
                kind.strip_suffix(".v1").unwrap().to_owned()
            })
            .collect()
    }

    /// The bots whose tokens were said to be void since the last time.
    pub(crate) fn revoked(&mut self) -> Vec<UserId> {
        let mut bots = Vec::new();
        while let Some(delivery) = self.deliveries.try_next() {
            match &delivery.record.body {
                Body::Control(Control::BotTokenRevoked(bot)) => bots.push(*bot),
                other => panic!("{other:?}"),
            }
        }
        bots
    }

    /// Brings an event of another context, twice: the second time changes nothing.
    pub(crate) async fn hear(&self, kind: &str, data: Value) {
        let event = kernel::Event {
            id: self.ids.next().unwrap(),
            kind: kind.to_owned(),
            at: kernel::Clock::now(&*self.clock),
            actor: Some(OWNER),
            tenant: None,
            key: COMMUNITY.to_string(),
            data,
        };
        let module = applications::module(&self.app);
        let hears = |one: &&runtime::Consumer| one.kinds.contains(&kind);
        for consumer in module.consumers.iter().filter(hears) {
            consumer.handler.handle(&event).await.unwrap();
            consumer.handler.handle(&event).await.unwrap();
        }
    }

    /// Whether a bot is in COMMUNITY.
    pub(crate) async fn is_member(&self, bot: UserId) -> bool {
        use contracts::Communities as _;
        self.communities.share_community(bot, OTHER).await.unwrap()
    }

    pub(crate) fn manager(&self, user: UserId) {
        self.give(user, Chat::MANAGE_GUILD);
    }

    /// Gives a member of COMMUNITY a right.
    pub(crate) fn give(&self, user: UserId, right: Chat) {
        let role = kernel::RoleId::new(3_001);
        self.communities.put_role(COMMUNITY, role, right, 2);
        self.communities
            .edit_member(COMMUNITY, user, |member| member.roles = vec![role]);
    }
}

/// The guarded way out, with loopback permitted as the operator would.
fn outbound() -> Outbound {
    let bounds = Bounds {
        connect: Duration::from_secs(2),
        total: Duration::from_secs(2),
        body_bytes: 1_024,
    };
    let loopback = "127.0.0.0/8".parse().unwrap();
    Outbound::guarded(bounds, Permits::new(vec![loopback])).unwrap()
}

/// The same JSON with ids, keys, tokens and moments masked, for snapshots.
pub(crate) fn masked(value: &Value) -> Value {
    let mut masked = mask(value);
    // Whether a map keeps the order of its names depends on who else uses serde_json.
    masked.sort_all_objects();
    masked
}

fn mask(value: &Value) -> Value {
    match value {
        Value::String(text) if text.len() >= 15 && text.bytes().all(|b| b.is_ascii_digit()) => {
            json!("[id]")
        }
        Value::String(text) if text.len() == 32 && text.ends_with("+00:00") => json!("[moment]"),
        Value::String(text) if text.len() == 64 => json!("[key]"),
        Value::String(text) if text.len() > 70 && text.split('.').count() == 3 => json!("[token]"),
        Value::Array(list) => list.iter().map(mask).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), mask(value)))
            .collect(),
        other => other.clone(),
    }
}
