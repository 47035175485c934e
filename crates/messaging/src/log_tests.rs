//! Batches whose commit was lost from sight: what is stored is found, the rest is sent once.

use std::sync::Arc;

use async_trait::async_trait;
use db::Sql;
use kernel::{Ids, ManualClock, WorkerSlot};
use testkit::TestDb;

use super::*;
use crate::change::{Change, Changed, Desk, Planned};
use crate::error::Error;
use crate::happening::{Happened, Happening, Named, Said};

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
            marks: Marks::default(),
            later: Later::default(),
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
    let fresh = |n| Appended::Fresh {
        seq: n,
        ev: n,
        expires_at: None,
    };
    assert_eq!(stored, [fresh(1), fresh(2)]);
    assert_eq!(done, [fresh(1), fresh(2), fresh(3), fresh(4)]);
    assert_eq!(bench.state().await, 4 * 10_000 + 4 * 100 + 4);
    let unknown = bench.log.recover_appends(&batch, &[0, 4]).await;
    assert_eq!(unknown, [fresh(1), Appended::UnknownChannel]);
    assert_eq!(bench.state().await, 4 * 10_000 + 4 * 100 + 4);
}

/// Empties a message.
struct Empty(MessageId);

#[async_trait]
impl Change for Empty {
    async fn make(&self, desk: &mut Desk<'_>) -> Result<(), Error> {
        let (channel, at, ev) = (desk.planned.channel, desk.planned.at, desk.next_ev());
        let gone = sql::delete_messages(desk.tx, channel, &[self.0], at, ev).await?;
        gone.first().ok_or(Error::UnknownMessage)?;
        desk.happened(deleted(self.0))
    }
}

fn deleted(message_id: MessageId) -> Happening {
    Happening::Deleted(Named { message_id })
}

impl Bench {
    /// Plans to empty a message and to say so.
    fn empty(&self, row: &NewRow) -> Planned {
        Planned {
            id: self.ids.next().unwrap(),
            channel: row.channel,
            actor: row.author,
            at: row.id.made_at(),
            change: Box::new(Empty(row.id)),
            says: Some(self.row(1, None)),
        }
    }
}

fn evs(changed: &Changed) -> Vec<i64> {
    let happened = changed.as_ref().unwrap().iter();
    happened.map(|happened| happened.ev).collect()
}

#[tokio::test]
async fn a_lost_change_is_found_by_its_id_with_all_it_did() {
    let bench = Bench::new().await;
    let rows = [bench.row(1, None), bench.row(1, None)];
    bench.log.append(&rows).await;
    let batch = [bench.empty(&rows[0]), bench.empty(&rows[1])];
    let first = bench.log.change(&batch[..1]).await;
    let said = Said {
        message_id: batch[0].says.as_ref().unwrap().id,
        seq: 3,
    };
    let expected = [(3, deleted(rows[0].id)), (4, Happening::Said(said))]
        .map(|(ev, what)| Happened { ev, what });
    assert_eq!(first[0].as_ref().unwrap(), &expected);
    let done = bench.log.recover_changes(&batch, &[0, 1]).await;
    assert_eq!(done[0].as_ref().unwrap(), &expected);
    assert_eq!(evs(&done[1]), [5, 6]);
    assert_eq!(bench.state().await, 4 * 10_000 + 4 * 100 + 6);
    let twin = bench.log.change(&[bench.empty(&rows[0])]).await;
    assert!(
        matches!(twin[0], Err(Error::UnknownMessage)),
        "gone is gone"
    );
    assert_eq!(bench.state().await, 4 * 10_000 + 4 * 100 + 6);
}

#[tokio::test]
async fn one_change_that_cannot_be_made_does_not_hurt_the_others() {
    let bench = Bench::new().await;
    let row = bench.row(1, None);
    bench.log.append(std::slice::from_ref(&row)).await;
    let mut elsewhere = bench.empty(&row);
    elsewhere.channel = ChannelId::new(99);
    let mut refused = bench.empty(&row);
    // PostgreSQL takes no NUL.
    refused.says = Some(NewRow {
        content: Some("\0".to_owned()),
        ..bench.row(1, None)
    });
    let batch = [
        bench.empty(&bench.row(1, None)),
        elsewhere,
        refused,
        bench.empty(&row),
    ];
    let done = bench.log.change(&batch).await;
    assert!(matches!(done[0], Err(Error::UnknownMessage)));
    assert!(matches!(done[1], Err(Error::UnknownChannel)));
    assert!(matches!(done[2], Err(Error::Refused)));
    assert_eq!(evs(&done[3]), [2, 3]);
    assert_eq!(bench.state().await, 2 * 10_000 + 2 * 100 + 3);
}
