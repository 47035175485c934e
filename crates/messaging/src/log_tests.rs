//! Batches whose commit was lost from sight: what is stored is found, the rest is sent once.

use std::sync::Arc;

use db::Sql;
use kernel::{Ids, ManualClock, WorkerSlot};
use testkit::TestDb;

use super::*;

const STATE: Sql = Sql::new(
    "test.state",
    "SELECT (SELECT count(*) FROM messaging.messages) * 10000
        + (SELECT count(*) FROM messaging.outbox) * 100
        + (SELECT last_ev FROM messaging.channels WHERE id = 1)",
);

struct Bench {
    t: TestDb,
    log: Log,
    ids: Arc<Ids>,
}

impl Bench {
    async fn new() -> Bench {
        let t = TestDb::new(&[crate::MIGRATIONS]).await.unwrap();
        let clock = ManualClock::new("2026-11-20T07:00:00Z".parse().unwrap());
        t.script(
            "SELECT messaging.make_partitions('2026-11-20');
             INSERT INTO messaging.channels (id, kind) VALUES (1, 0)",
        )
        .await
        .unwrap();
        let log = Log::new(t.app(crate::SCHEMA).unwrap(), clock.clone());
        Bench {
            t,
            log,
            ids: Ids::new(clock, WorkerSlot::permanent(1)),
        }
    }

    fn row(&self, channel: i64, nonce: Option<&str>) -> NewRow {
        NewRow {
            channel: ChannelId::new(channel),
            id: self.ids.next().unwrap(),
            author: UserId::new(7),
            nonce: nonce.map(str::to_owned),
            kind: 0,
            flags: 0,
            reply_to: None,
            content: Some("selam".to_owned()),
            body: None,
            expires_at: None,
        }
    }

    async fn state(&self) -> i64 {
        STATE.scalar(&self.t.admin().unwrap()).await.unwrap()
    }
}

#[tokio::test]
async fn m3_what_a_lost_commit_stored_is_not_stored_again() {
    let bench = Bench::new().await;
    let batch = [
        bench.row(1, None),
        bench.row(1, Some("a")),
        bench.row(1, None),
        bench.row(1, Some("b")),
        bench.row(99, Some("c")),
    ];
    let stored = bench.log.append(&batch[..2]).await;
    let done = bench.log.recover_appends(&batch, &[0, 1, 2, 3]).await;
    let fresh = |n| Appended::Fresh { seq: n, ev: n };
    assert_eq!(stored, [fresh(1), fresh(2)]);
    assert_eq!(done, [fresh(1), fresh(2), fresh(3), fresh(4)]);
    assert_eq!(bench.state().await, 4 * 10_000 + 4 * 100 + 4);
    let unknown = bench.log.recover_appends(&batch, &[0, 4]).await;
    assert_eq!(unknown, [fresh(1), Appended::UnknownChannel]);
    assert_eq!(bench.state().await, 4 * 10_000 + 4 * 100 + 4);
}

#[tokio::test]
async fn a_lost_change_is_found_by_its_id() {
    let bench = Bench::new().await;
    let rows = [bench.row(1, None), bench.row(1, None)];
    bench.log.append(&rows).await;
    let delete = |row: &NewRow| {
        Change::Delete(DeleteRow {
            channel: row.channel,
            id: row.id,
            actor: row.author,
            at: row.id.made_at(),
            change: bench.ids.next().unwrap(),
        })
    };
    let batch = [delete(&rows[0]), delete(&rows[1])];
    assert_eq!(
        bench.log.change(&batch[..1]).await,
        [Changed::Done { ev: 3 }]
    );
    let done = bench.log.recover_changes(&batch, &[0, 1]).await;
    assert_eq!(done, [Changed::Done { ev: 3 }, Changed::Done { ev: 4 }]);
    assert_eq!(bench.state().await, 2 * 10_000 + 4 * 100 + 4);
    let twin = delete(&rows[0]);
    assert_eq!(
        bench.log.change(&[twin]).await,
        [Changed::Missed],
        "gone is gone"
    );
}
