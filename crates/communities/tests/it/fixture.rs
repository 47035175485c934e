//! A community with some people in it, and a view on all it tells.

use std::sync::Arc;

use communities::{Communities, Deps, Limits, MIGRATIONS};
use db::{Db, FromRow, Sql};
use infra::fanout::{
    Body, Control, Deliveries, Dispatch, Fanout as _, Follower, LocalFanout, Topic, Version,
};
use infra::objects::MemoryObjects;
use kernel::{
    Caller, ChannelId, Clock as _, CommunityId, DeviceId, Event, EventId, Ids, ManualClock, RoleId,
    SeededRng, UserId, WorkerSlot,
};
use serde_json::{Value, json};
use testkit::TestDb;
use testkit::fakes::{FakeIdentity, FakeMedia};
use testkit::http::{Credential, Reply};

pub(crate) const OWNER: UserId = UserId::new(1_001);
pub(crate) const ADMIN: UserId = UserId::new(1_002);
pub(crate) const MODERATOR: UserId = UserId::new(1_003);
pub(crate) const MEMBER: UserId = UserId::new(1_004);
pub(crate) const STRANGER: UserId = UserId::new(1_005);
pub(crate) const BOT: UserId = UserId::new(1_006);

/// No body.
pub(crate) const NONE: Value = Value::Null;
/// Nothing was told.
pub(crate) const NOTHING: [&str; 0] = [];
/// Visible, but not allowed.
pub(crate) const FORBIDDEN: (u16, u32) = (403, 50013);
/// A field breaks its rule.
pub(crate) const INVALID: (u16, u32) = (400, 50035);

/// The context over a database of its own.
pub(crate) struct World {
    pub(crate) app: Arc<Communities>,
    pub(crate) router: axum::Router,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) identity: Arc<FakeIdentity>,
    pub(crate) objects: Arc<MemoryObjects>,
    pub(crate) media: Arc<FakeMedia>,
    pub(crate) admin: Db,
    pub(crate) follower: Follower,
    pub(crate) deliveries: Deliveries,
    pub(crate) database: TestDb,
}

/// What a community told, as one line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    Event(String, i64, Option<ChannelId>, Value),
    Control(Control),
}

#[derive(Debug, FromRow, PartialEq, Eq, Clone, Copy)]
pub(crate) struct Numbers {
    pub(crate) rev: i64,
    pub(crate) perm_epoch: i32,
    pub(crate) member_count: i32,
}

#[derive(Debug, FromRow)]
struct Outgoing {
    kind: String,
    data: Value,
}

const NUMBERS: Sql = Sql::new(
    "test.numbers",
    "SELECT rev, perm_epoch, member_count FROM communities.communities WHERE id = $1",
);
const EVENTS: Sql = Sql::new(
    "test.events",
    "SELECT type FROM communities.outbox ORDER BY id",
);
const OUTBOX: Sql = Sql::new(
    "test.outbox",
    "WITH gone AS (DELETE FROM communities.outbox RETURNING id, type AS kind, data)
     SELECT kind, data FROM gone ORDER BY id",
)
.returning::<Outgoing>();
const AUDITS: Sql = Sql::new(
    "test.audits",
    "SELECT action::int FROM communities.audit_entries ORDER BY id",
);

impl World {
    pub(crate) async fn new() -> World {
        World::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> World {
        let database = TestDb::new(&[MIGRATIONS]).await.unwrap();
        let clock = ManualClock::new("2026-11-20T07:00:00Z".parse().unwrap());
        let fanout = LocalFanout::new();
        let (follower, deliveries) = fanout.open(1_024);
        let identity = FakeIdentity::with(&[
            (OWNER.get(), "owner"),
            (ADMIN.get(), "admin"),
            (MODERATOR.get(), "moderator"),
            (MEMBER.get(), "member"),
            (STRANGER.get(), "stranger"),
        ]);
        let mut bot = identity.add(BOT, "robot");
        bot.bot = true;
        identity.put(bot);
        let objects = MemoryObjects::new(64 * 1024 * 1024);
        let media = FakeMedia::new();
        let app = communities::build(Deps {
            db: database.app("communities").unwrap(),
            ids: Ids::new(clock.clone(), WorkerSlot::permanent(1)),
            clock: clock.clone(),
            rng: SeededRng::new(7),
            fanout,
            objects: objects.clone(),
            media: media.clone(),
            identity: identity.clone(),
            limits,
        });
        let table = communities::table(app.clone());
        let router = testkit::http::app(table.router(), clock.clone()).unwrap();
        let admin = database.admin().unwrap();
        World {
            app,
            router,
            clock,
            identity,
            objects,
            media,
            admin,
            follower,
            deliveries,
            database,
        }
    }

    pub(crate) async fn call(
        &self,
        who: impl Into<Credential>,
        method: &str,
        path: &str,
        body: Value,
    ) -> Reply {
        let path = format!("/api/v10{path}");
        // Limits are tested where they are built; here time flows between two requests.
        self.clock.advance(std::time::Duration::from_secs(61));
        testkit::http::call(&self.router, method, &path, who, body)
            .await
            .unwrap()
    }

    /// Calls and expects a status.
    pub(crate) async fn ok(
        &self,
        who: impl Into<Credential>,
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
        expected: (u16, u32),
    ) -> Value {
        let reply = self.call(who, method, path, body).await;
        let code =
            u32::try_from(reply.json["code"].as_u64().unwrap_or(u64::MAX)).unwrap_or(u32::MAX);
        assert_eq!(
            (reply.status.as_u16(), code),
            expected,
            "{method} {path}: {:?}",
            reply.json
        );
        reply.json
    }

    /// Somebody who proved just now who they are.
    pub(crate) fn fresh(&self, user: UserId) -> Caller {
        let device = DeviceId::new(user.get());
        Caller::user(user, device, vec!["pwd".to_owned()], self.clock.now())
    }

    /// Hands an event of the bus to whoever subscribed to its kind.
    pub(crate) async fn bring(&self, kind: &str, data: Value) {
        // Time flows between two events, so that each has an id of its own.
        self.clock.advance(std::time::Duration::from_millis(1));
        let id = EventId::new(self.clock.now().as_microsecond());
        self.bring_as(id, kind, data).await;
    }

    /// The same with an id, which can come twice.
    pub(crate) async fn bring_as(&self, id: EventId, kind: &str, data: Value) {
        let event = Event {
            id,
            kind: kind.to_owned(),
            at: self.clock.now(),
            actor: None,
            tenant: None,
            key: "1".to_owned(),
            data,
        };
        let consumers = communities::module(&self.app).consumers;
        for consumer in consumers.iter().filter(|c| c.kinds.contains(&kind)) {
            consumer.handler.handle(&event).await.unwrap();
        }
    }

    /// GET, 200.
    pub(crate) async fn get(&self, who: impl Into<Credential>, path: &str) -> Value {
        self.ok(who, "GET", path, NONE, 200).await
    }

    /// POST, 200.
    pub(crate) async fn post(&self, who: impl Into<Credential>, path: &str, body: Value) -> Value {
        self.ok(who, "POST", path, body, 200).await
    }

    /// POST, 201.
    pub(crate) async fn make(&self, who: impl Into<Credential>, path: &str, body: Value) -> Value {
        self.ok(who, "POST", path, body, 201).await
    }

    /// PATCH, 200.
    pub(crate) async fn patch(&self, who: impl Into<Credential>, path: &str, body: Value) -> Value {
        self.ok(who, "PATCH", path, body, 200).await
    }

    /// PUT, 204.
    pub(crate) async fn put(&self, who: impl Into<Credential>, path: &str, body: Value) {
        self.ok(who, "PUT", path, body, 204).await;
    }

    /// DELETE, 204.
    pub(crate) async fn delete(&self, who: impl Into<Credential>, path: &str) {
        self.ok(who, "DELETE", path, NONE, 204).await;
    }

    /// A community of OWNER's.
    pub(crate) async fn community(&self) -> CommunityId {
        let made = self
            .ok(OWNER, "POST", "/guilds", json!({"name": "Square"}), 201)
            .await;
        id(&made).cast()
    }

    pub(crate) async fn first_channel(&self, community: CommunityId) -> ChannelId {
        let list = self
            .ok(
                OWNER,
                "GET",
                &format!("/guilds/{community}/channels"),
                Value::Null,
                200,
            )
            .await;
        id(&list[0]).cast()
    }

    /// Lets somebody join.
    pub(crate) async fn join(&self, community: CommunityId, user: UserId) {
        let channel = self.first_channel(community).await;
        let invite = self
            .ok(
                OWNER,
                "POST",
                &format!("/channels/{channel}/invites"),
                json!({}),
                200,
            )
            .await;
        let code = invite["code"].as_str().unwrap();
        self.ok(user, "POST", &format!("/invites/{code}"), Value::Null, 200)
            .await;
    }

    /// Makes a role of OWNER's at a position and gives it.
    pub(crate) async fn role(
        &self,
        community: CommunityId,
        bits: u64,
        position: i32,
        users: &[UserId],
    ) -> RoleId {
        let body = json!({"name": format!("r{position}"), "permissions": bits.to_string()});
        let role = self
            .ok(
                OWNER,
                "POST",
                &format!("/guilds/{community}/roles"),
                body,
                200,
            )
            .await;
        let role: RoleId = id(&role).cast();
        let moves = json!([{"id": role, "position": position}]);
        self.ok(
            OWNER,
            "PATCH",
            &format!("/guilds/{community}/roles"),
            moves,
            200,
        )
        .await;
        for user in users {
            let path = format!("/guilds/{community}/members/{user}/roles/{role}");
            self.ok(OWNER, "PUT", &path, Value::Null, 204).await;
        }
        role
    }

    pub(crate) async fn numbers(&self, community: CommunityId) -> Numbers {
        NUMBERS.bind(&community).one(&self.admin).await.unwrap()
    }

    /// Types of all events written so far, without the context's name and the version.
    pub(crate) async fn events(&self) -> Vec<String> {
        let all: Vec<String> = EVENTS.scalars(&self.admin).await.unwrap();
        all.iter()
            .map(|kind| {
                assert!(
                    communities::EVENTS.contains(&kind.as_str()),
                    "{kind} is not declared"
                );
                let kind = kind.strip_prefix("communities.").unwrap();
                kind.strip_suffix(".v1").unwrap().to_owned()
            })
            .collect()
    }

    /// Takes the events out that were written since the last time: kind and data.
    pub(crate) async fn outbox(&self) -> Vec<(String, Value)> {
        let rows: Vec<Outgoing> = OUTBOX.all(&self.admin).await.unwrap();
        rows.into_iter().map(|row| (row.kind, row.data)).collect()
    }

    /// Actions of the audit log so far.
    pub(crate) async fn audits(&self) -> Vec<i32> {
        AUDITS.scalars(&self.admin).await.unwrap()
    }

    pub(crate) async fn follow(&self, topics: &[Topic]) {
        self.follower.follow(topics).await.unwrap();
    }

    /// All that was told since the last time, but for entries of the audit log, which stand beside
    /// what they are about: [`Self::heard_all`].
    pub(crate) fn heard(&mut self) -> Vec<Heard> {
        let is_entry = |heard: &Heard| matches!(heard, Heard::Event(name, ..) if name == "GUILD_AUDIT_LOG_ENTRY_CREATE");
        let mut all = self.heard_all();
        all.retain(|heard| !is_entry(heard));
        all
    }

    /// All that was told since the last time.
    pub(crate) fn heard_all(&mut self) -> Vec<Heard> {
        let mut all = Vec::new();
        while let Some(delivery) = self.deliveries.try_next() {
            let record = &delivery.record;
            all.push(match &record.body {
                Body::Dispatch(Dispatch { name, data, .. }) => {
                    let rev = match record.version {
                        Version::Rev(rev) => rev,
                        Version::None => 0,
                        Version::Ev(_) => panic!("communities count revisions"),
                    };
                    let data = serde_json::from_slice(data).unwrap();
                    Heard::Event(name.to_string(), rev, record.channel, data)
                }
                Body::Control(control) => Heard::Control(control.clone()),
                Body::Presence(presence) => panic!("nobody's presence is told here: {presence:?}"),
            });
        }
        all
    }

    /// Names of the events told since the last time, controls as their variant.
    pub(crate) fn heard_names(&mut self) -> Vec<String> {
        self.heard()
            .into_iter()
            .map(|heard| match heard {
                Heard::Event(name, ..) => name,
                Heard::Control(control) => {
                    let text = format!("{control:?}");
                    text.split(['(', ' ', '{']).next().unwrap().to_owned()
                }
            })
            .collect()
    }
}

/// The id of an object.
pub(crate) fn id(object: &Value) -> kernel::AnyId {
    object["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no id in {object}"))
        .parse()
        .unwrap()
}

/// The same JSON with ids, codes and moments masked, for snapshots.
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
        Value::Array(list) => list.iter().map(mask).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let value = if key == "code" && value.is_string() {
                    json!("[code]")
                } else {
                    mask(value)
                };
                (key.clone(), value)
            })
            .collect(),
        other => other.clone(),
    }
}
