//! A messaging context with its neighbours, and short words for what tests do with it.

use std::sync::Arc;
use std::time::Duration;

use contracts::communities::ChannelAccess;
use db::{Db, Sql};
use infra::fanout::{
    Body, Control, Deliveries, Delivery, Dispatch, Fanout, Follower, LocalFanout, Topic,
};
use infra::limiter::LocalLimiter;
use jiff::Timestamp;
use kernel::perm::Chat;
use kernel::{ChannelId, CommunityId, Ids, ManualClock, MessageId, UserId, WorkerSlot};
use messaging::log::{Later, Marks, NewRow};
use messaging::{Deps, Messaging, Settings};
use runtime::Lifecycle;
use serde_json::{Value, json};
use testkit::TestDb;
use testkit::fakes::{FakeIdentity, FakeMedia, FakeRelations};
use testkit::http::{Credential, Reply, app, call, call_with};

use crate::communities::Rights;

pub(crate) const COMMUNITY: CommunityId = CommunityId::new(700);
pub(crate) const ROOM: ChannelId = ChannelId::new(800);
pub(crate) const ANA: UserId = UserId::new(1);
pub(crate) const BORA: UserId = UserId::new(2);
/// In no community.
pub(crate) const CEM: UserId = UserId::new(3);

/// When everything happens.
pub(crate) fn start() -> Timestamp {
    "2026-11-20T07:00:00Z".parse().unwrap()
}

pub(crate) struct World {
    pub(crate) t: TestDb,
    pub(crate) admin: Db,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ids: Arc<Ids>,
    pub(crate) identity: Arc<FakeIdentity>,
    pub(crate) rights: Arc<Rights>,
    pub(crate) relations: Arc<FakeRelations>,
    pub(crate) media: Arc<FakeMedia>,
    pub(crate) fanout: Arc<LocalFanout>,
    pub(crate) messaging: Arc<Messaging>,
    pub(crate) router: axum::Router,
    pub(crate) lifecycle: Lifecycle,
}

impl World {
    pub(crate) async fn new() -> World {
        World::with(Settings::default(), None).await
    }

    /// With other settings, or with the database reached another way.
    pub(crate) async fn with(settings: Settings, url: Option<db::Settings>) -> World {
        let t = TestDb::new(&[messaging::MIGRATIONS]).await.unwrap();
        World::over(t, settings, url).await
    }

    pub(crate) async fn over(t: TestDb, settings: Settings, url: Option<db::Settings>) -> World {
        let db = match url {
            Some(settings) => Db::connect(&settings).unwrap(),
            None => t.app(messaging::SCHEMA).unwrap(),
        };
        let admin = t.admin().unwrap();
        let clock = ManualClock::new(start());
        let ids = Ids::new(clock.clone(), WorkerSlot::permanent(1));
        let identity = FakeIdentity::with(&[(1, "ana"), (2, "bora"), (3, "cem")]);
        let rights = Rights::new();
        let relations = FakeRelations::new();
        let media = FakeMedia::new();
        let fanout = LocalFanout::new();
        let lifecycle = Lifecycle::new();
        let messaging = messaging::build(Deps {
            db,
            ids: ids.clone(),
            clock: clock.clone(),
            fanout: fanout.clone(),
            limiter: LocalLimiter::new(clock.clone(), 10_000),
            identity: identity.clone(),
            communities: rights.clone(),
            relations: relations.clone(),
            media: media.clone(),
            moderation: rights.clone(),
            lifecycle: lifecycle.clone(),
            end: lifecycle.soft().clone(),
            settings,
        });
        messaging.keep_partitions().await.unwrap();
        let router = app(messaging::tables(messaging.clone()).router(), clock.clone()).unwrap();
        let world = World {
            t,
            admin,
            clock,
            ids,
            identity,
            rights,
            relations,
            media,
            fanout,
            messaging,
            router,
            lifecycle,
        };
        world.seat(ANA, ROOM);
        world.seat(BORA, ROOM);
        world
    }

    /// Lets a user into a channel with the usual rights.
    pub(crate) fn seat(&self, user: UserId, channel: ChannelId) {
        self.rights.put(user, access(channel));
    }

    /// Takes and gives rights.
    pub(crate) fn allow(&self, user: UserId, change: impl FnOnce(&mut ChannelAccess)) {
        self.rights.change(user, ROOM, change);
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        who: impl Into<Credential>,
        body: Value,
    ) -> Reply {
        call(&self.router, method, path, who, body).await.unwrap()
    }

    pub(crate) async fn call_with(
        &self,
        path: &str,
        who: impl Into<Credential>,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Reply {
        call_with(&self.router, "POST", path, who, headers, body)
            .await
            .unwrap()
    }

    /// Sends to the room; the clock moves on so that no limit stands in the way.
    pub(crate) async fn send(&self, who: UserId, body: Value) -> Reply {
        self.clock.advance(Duration::from_secs(1));
        self.call("POST", &messages(ROOM), who, body).await
    }

    /// Sends a text and gives the message's id.
    pub(crate) async fn say(&self, who: UserId, text: &str) -> MessageId {
        id_of(
            &self
                .send(who, json!({ "content": text }))
                .await
                .expect(200)
                .unwrap()
                .json,
        )
    }

    /// Opens a mailbox on some topics.
    pub(crate) async fn listen(&self, topics: &[Topic]) -> Ear {
        let (follower, deliveries) = self.fanout.open(1_024);
        follower.follow(topics).await.unwrap();
        Ear {
            _follower: follower,
            deliveries,
        }
    }

    /// Opens direct messages between two.
    pub(crate) async fn dm(&self, one: UserId, other: UserId) -> ChannelId {
        let path = "/api/v10/users/@me/channels";
        let opened = self.call("POST", path, one, json!({"recipient_id": other}));
        let opened = opened.await.expect(200).unwrap();
        opened.json["id"].as_str().unwrap().parse().unwrap()
    }

    /// Sends a text to a channel and gives the message's id.
    pub(crate) async fn say_in(&self, channel: ChannelId, who: UserId, text: &str) -> MessageId {
        self.clock.advance(Duration::from_secs(1));
        let body = json!({ "content": text });
        let sent = self.call("POST", &messages(channel), who, body).await;
        id_of(&sent.expect(200).unwrap().json)
    }

    /// How a user stands in a channel; null when there is nothing to tell.
    pub(crate) async fn standing(&self, who: UserId, channel: ChannelId) -> Value {
        let list = self.call("GET", "/api/v10/users/@me/read-states", who, Value::Null);
        let list = list.await.expect(200).unwrap().json;
        let items = list["items"].as_array().unwrap().clone();
        let of_channel = |state: &Value| state["channel_id"] == json!(channel);
        items.into_iter().find(of_channel).unwrap_or_default()
    }

    /// Unread messages and mentions of a user in a channel.
    pub(crate) async fn unread(&self, who: UserId, channel: ChannelId) -> (i64, i64) {
        let state = self.standing(who, channel).await;
        let number = |name: &str| state[name].as_i64().unwrap_or(-1);
        (number("unread_count"), number("mention_count"))
    }

    pub(crate) async fn badge(&self, who: UserId) -> i64 {
        let badge = self.call("GET", "/api/v10/users/@me/badge", who, Value::Null);
        badge.await.expect(200).unwrap().json["count"]
            .as_i64()
            .unwrap()
    }

    /// Acknowledges a message; by hand when `manual`.
    pub(crate) async fn ack(
        &self,
        who: UserId,
        channel: ChannelId,
        id: MessageId,
        body: Value,
    ) -> Reply {
        let path = format!("{}/{id}/ack", messages(channel));
        self.clock.advance(Duration::from_secs(1));
        self.call("POST", &path, who, body).await
    }

    pub(crate) async fn number(&self, sql: Sql) -> i64 {
        sql.scalar(&self.admin).await.unwrap()
    }

    /// A message for the log.
    pub(crate) fn row(&self, channel: ChannelId, author: UserId, nonce: Option<&str>) -> NewRow {
        NewRow {
            channel,
            id: self.ids.next().unwrap(),
            author,
            nonce: nonce.map(str::to_owned),
            kind: 0,
            flags: 0,
            reply_to: None,
            content: Some("selam".to_owned()),
            body: None,
            expires_at: None,
            marks: Marks::default(),
            later: Later::default(),
        }
    }
}

/// What came over the fanout.
pub(crate) struct Ear {
    _follower: Follower,
    deliveries: Deliveries,
}

/// A record as tests look at it.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) topic: Topic,
    pub(crate) name: String,
    pub(crate) data: Value,
    pub(crate) redacted: Option<Value>,
    pub(crate) dispatch: Option<Dispatch>,
    pub(crate) control: Option<Control>,
    pub(crate) record: Arc<infra::fanout::Record>,
}

impl Ear {
    /// The next record, also when it is published later.
    pub(crate) async fn wait(&mut self) -> Heard {
        let next = tokio::time::timeout(Duration::from_secs(10), self.deliveries.next());
        Heard::of(next.await.expect("nothing came in ten seconds").unwrap())
    }

    /// The next record; everything is published before an answer, so it is there.
    pub(crate) fn hear(&mut self) -> Option<Heard> {
        self.deliveries.try_next().map(Heard::of)
    }
}

impl Heard {
    fn of(delivery: Delivery) -> Heard {
        let record = delivery.record.clone();
        let (dispatch, control) = match &record.body {
            Body::Dispatch(dispatch) => (Some(dispatch.clone()), None),
            Body::Control(control) => (None, Some(control.clone())),
            Body::Presence(presence) => panic!("nobody's presence is told here: {presence:?}"),
        };
        let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        Heard {
            topic: delivery.topic,
            name: dispatch
                .as_ref()
                .map(|dispatch| dispatch.name.to_string())
                .unwrap_or_default(),
            data: dispatch
                .as_ref()
                .map(|dispatch| parse(&dispatch.data))
                .unwrap_or_default(),
            redacted: dispatch
                .as_ref()
                .and_then(|dispatch| dispatch.redacted.as_deref().map(parse)),
            dispatch,
            control,
            record,
        }
    }
}

/// The usual rights in a channel of the community.
pub(crate) fn access(channel: ChannelId) -> ChannelAccess {
    ChannelAccess {
        channel,
        kind: 0,
        community: COMMUNITY,
        chat: Chat::DEFAULT,
        trade: kernel::perm::Trade::NONE,
        thread_chat: Chat::DEFAULT,
        class: 1,
        epoch: 5,
        slowmode_s: 0,
        roles: Vec::new(),
        nick: None,
        joined_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        timeout_until: None,
    }
}

pub(crate) fn messages(channel: ChannelId) -> String {
    format!("/api/v10/channels/{channel}/messages")
}

pub(crate) fn message(id: MessageId) -> String {
    format!("/api/v10/channels/{ROOM}/messages/{id}")
}

pub(crate) fn id_of(json: &Value) -> MessageId {
    json["id"].as_str().unwrap().parse().unwrap()
}

/// A user as the dialect shows one.
pub(crate) fn card(id: i64, name: &str) -> Value {
    json!({
        "id": id.to_string(), "username": name, "discriminator": "0", "global_name": name,
        "avatar": null, "bot": false, "public_flags": 0
    })
}
