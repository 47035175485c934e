//! The context over a database of its own.

use std::sync::Arc;

use audit::{Audit, Deps, Key, MIGRATIONS};
use jiff::Timestamp;
use kernel::{Event, EventId, Ids, ManualClock, PlatformRole, UserId, WorkerSlot};
use serde_json::{Value, json};
use testkit::TestDb;
use testkit::http::Reply;

pub(crate) const AYSE: UserId = UserId::new(1_001);
pub(crate) const MEHMET: UserId = UserId::new(1_002);
pub(crate) const BOSS: UserId = UserId::new(1_003);

pub(crate) struct World {
    pub(crate) database: TestDb,
    pub(crate) audit: Arc<Audit>,
    pub(crate) router: axum::Router,
    clock: Arc<ManualClock>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = TestDb::new(&[MIGRATIONS]).await.unwrap();
        let clock = ManualClock::new("2026-11-20T07:00:00Z".parse().unwrap());
        let audit = over(&database, &clock, "r");
        let table = audit::table(Arc::clone(&audit));
        testkit::http::grant(BOSS, &[PlatformRole::Superadmin]);
        let router = testkit::http::app(table.router(), clock.clone()).unwrap();
        World {
            database,
            audit,
            router,
            clock,
        }
    }

    /// The same database under another root secret.
    pub(crate) fn stranger(&self) -> Arc<Audit> {
        over(&self.database, &self.clock, "s")
    }

    /// Brings an event as the bus does.
    pub(crate) async fn bring(&self, event: &Event) {
        let module = audit::module(&self.audit);
        for consumer in &module.consumers {
            if consumer.kinds.contains(&&*event.kind) {
                consumer.handler.handle(event).await.unwrap();
            }
        }
    }

    /// Brings events about Ayşe and seals them.
    pub(crate) async fn sealed(&self, ids: std::ops::RangeInclusive<i64>) {
        for id in ids {
            self.bring(&event(id, AYSE, "identity.factor_changed.v1"))
                .await;
        }
        self.audit.seal().await.unwrap();
    }

    pub(crate) async fn get(&self, who: UserId, path: &str) -> Reply {
        let who = testkit::http::caller(who);
        testkit::http::call(&self.router, "GET", path, &who, Value::Null)
            .await
            .unwrap()
    }
}

fn over(database: &TestDb, clock: &Arc<ManualClock>, root: &str) -> Arc<Audit> {
    audit::build(Deps {
        db: database.app("audit").unwrap(),
        ids: Ids::new(clock.clone(), WorkerSlot::permanent(1)),
        clock: clock.clone(),
        key: Key::derive(&root.repeat(32).into()).unwrap(),
    })
}

pub(crate) fn event(id: i64, user: UserId, kind: &str) -> Event {
    Event {
        id: EventId::new(id),
        kind: kind.to_owned(),
        at: Timestamp::UNIX_EPOCH,
        actor: Some(user),
        tenant: None,
        key: user.to_string(),
        data: json!({"user_id": user, "factor": "totp"}),
    }
}
