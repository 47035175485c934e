use std::sync::Arc;

use infra::fanout::{
    Body, Control, Fanout, FanoutError, LocalFanout, MAX_MAILBOX, Record, Topic, Version,
};
use kernel::{ChannelId, UserId};

fn record() -> Arc<Record> {
    Arc::new(Record {
        body: Body::Control(Control::DevicesRevoked(vec![])),
        community: None,
        channel: None,
        version: Version::None,
        epoch: 0,
        ephemeral: false,
    })
}

fn channels(ids: std::ops::Range<i64>) -> Vec<Topic> {
    ids.map(|id| Topic::Channel(ChannelId::new(id))).collect()
}

#[tokio::test]
async fn local_fanout_passes_the_suite() -> anyhow::Result<()> {
    testkit::conformance::fanout(async || Ok(LocalFanout::new())).await
}

#[tokio::test]
async fn the_record_itself_is_handed_over() {
    let fanout = LocalFanout::new();
    let (follower, mut deliveries) = fanout.open(8);
    follower.follow(&[Topic::Revoked]).await.unwrap();
    let published = record();
    fanout
        .publish(Topic::Revoked, Arc::clone(&published))
        .await
        .unwrap();
    let delivery = deliveries.try_next().unwrap();
    assert!(Arc::ptr_eq(&delivery.record, &published));
}

#[tokio::test]
async fn a_topic_lives_as_long_as_a_mailbox_follows_it() {
    let fanout = LocalFanout::new();
    let (first, first_deliveries) = fanout.open(8);
    let (second, _second_deliveries) = fanout.open(8);
    let (one, two) = (Topic::User(UserId::new(1)), Topic::User(UserId::new(2)));
    first.follow(&[one, one, two]).await.unwrap();
    first.follow(&[one]).await.unwrap();
    second.follow(&[one]).await.unwrap();
    assert_eq!(fanout.topic_count(), 2);
    second.unfollow(&[one, two]).await;
    assert_eq!(fanout.topic_count(), 2);
    first.unfollow(&[one]).await;
    assert_eq!(fanout.topic_count(), 1);
    drop(first_deliveries);
    assert_eq!(fanout.topic_count(), 0);
}

#[tokio::test]
async fn topics_of_a_mailbox_are_bounded() {
    let fanout = LocalFanout::with_topics_per_mailbox(3);
    let (follower, _deliveries) = fanout.open(8);
    follower.follow(&channels(0..2)).await.unwrap();
    let refused = follower.follow(&channels(1..4)).await;
    assert!(matches!(
        refused,
        Err(FanoutError::TooManyTopics { limit: 3 })
    ));
    assert_eq!(fanout.topic_count(), 2, "a part of a refused call was done");
    follower.follow(&channels(0..3)).await.unwrap();
    follower.follow(&channels(0..3)).await.unwrap();
    follower.unfollow(&channels(0..1)).await;
    follower.follow(&channels(3..4)).await.unwrap();
    let (other, _deliveries) = fanout.open(8);
    other.follow(&channels(10..13)).await.unwrap();
}

#[tokio::test]
async fn capacities_are_kept_between_one_and_the_bound() {
    let fanout = LocalFanout::new();
    for (asked, kept) in [
        (0, 1),
        (1, 1),
        (MAX_MAILBOX, MAX_MAILBOX),
        (usize::MAX, MAX_MAILBOX),
    ] {
        let (follower, mut deliveries) = fanout.open(asked);
        follower.follow(&[Topic::Revoked]).await.unwrap();
        let published = record();
        for _ in 0..kept {
            fanout
                .publish(Topic::Revoked, Arc::clone(&published))
                .await
                .unwrap();
        }
        assert_eq!(deliveries.take_gaps(), [], "{asked}: too small");
        fanout.publish(Topic::Revoked, published).await.unwrap();
        assert_eq!(
            deliveries.take_gaps(),
            [Topic::Revoked],
            "{asked}: too large"
        );
        let read = std::iter::from_fn(|| deliveries.try_next()).count();
        assert_eq!(read, kept);
    }
}

/// Many publishers and a slow reader: each record is either read or told as a gap.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_in_silence() {
    const PUBLISHERS: i64 = 4;
    const EACH: usize = 2_000;
    let fanout = LocalFanout::new();
    let (follower, mut deliveries) = fanout.open(16);
    let topics = channels(0..PUBLISHERS);
    follower.follow(&topics).await.unwrap();
    let publishers: Vec<_> = topics
        .iter()
        .map(|topic| {
            let (fanout, topic) = (Arc::clone(&fanout), *topic);
            async move {
                for ev in 1..=EACH {
                    let version = Version::Ev(i64::try_from(ev).unwrap());
                    let record = Record {
                        version,
                        ..Record::clone(&record())
                    };
                    fanout.publish(topic, Arc::new(record)).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        })
        .collect();
    let mut running = tokio::task::JoinSet::new();
    for publisher in publishers {
        running.spawn(publisher);
    }
    drop((fanout, follower));

    let mut last: std::collections::HashMap<Topic, i64> = std::collections::HashMap::new();
    let mut gaps = std::collections::HashSet::new();
    let mut read = 0;
    while let Some(delivery) = deliveries.next().await {
        let Version::Ev(ev) = delivery.record.version else {
            panic!("a record without ev")
        };
        let before = last.insert(delivery.topic, ev).unwrap_or(0);
        assert!(before < ev, "{}: {ev} after {before}", delivery.topic);
        read += 1;
        gaps.extend(deliveries.take_gaps());
    }
    gaps.extend(deliveries.take_gaps());
    running.join_all().await;
    let all = topics.len() * EACH;
    assert!(
        read == all || !gaps.is_empty(),
        "{read} of {all} read and no gap told"
    );
    for topic in topics {
        let reached_end = last.get(&topic) == Some(&i64::try_from(EACH).unwrap());
        assert!(
            reached_end || gaps.contains(&topic),
            "{topic}: the end is missing and no gap"
        );
    }
}
