use std::sync::Arc;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use infra::fanout::{
    Body, Control, Deliveries, Delivery, Dispatch, Fanout, FanoutError, Record, Topic, Version,
};
use kernel::perm::Chat;
use kernel::{ChannelId, CommunityId, UserId};

use super::within;

const COMMUNITY: Topic = Topic::Community(CommunityId::new(1));
const CHANNEL: Topic = Topic::Channel(ChannelId::new(1));
const USER: Topic = Topic::User(UserId::new(1));
/// Every test follows this one too: what was published before it has been dealt with once it is in.
const MARK: Topic = Topic::Revoked;

/// The suite of [`Fanout`]. `make` connects a node to a fabric that nobody else uses.
pub async fn fanout<A: Fanout>(
    make: impl AsyncFn() -> anyhow::Result<Arc<A>>,
) -> anyhow::Result<()> {
    records_arrive_whole(&*make().await?)
        .await
        .context("records arrive whole")?;
    only_followed_topics_arrive(&*make().await?)
        .await
        .context("only followed topics arrive")?;
    order_of_a_topic_is_kept(&*make().await?)
        .await
        .context("order of a topic is kept")?;
    following_twice_is_following_once(&*make().await?)
        .await
        .context("following twice is following once")?;
    mailboxes_are_independent(&*make().await?)
        .await
        .context("mailboxes are independent")?;
    a_full_mailbox_drops_and_remembers(&*make().await?)
        .await
        .context("a full mailbox drops and remembers")?;
    a_storm_makes_no_gap(&*make().await?)
        .await
        .context("a storm makes no gap")?;
    a_full_mailbox_holds_up_nobody(&*make().await?)
        .await
        .context("a full mailbox holds up nobody")?;
    a_dropped_wait_loses_nothing(&*make().await?)
        .await
        .context("a dropped wait loses nothing")?;
    a_closed_mailbox_follows_no_more(&*make().await?)
        .await
        .context("a closed mailbox follows no more")?;
    the_end_is_seen(make().await?)
        .await
        .context("the end is seen")
}

fn numbered(ev: i64) -> Arc<Record> {
    Arc::new(Record {
        body: Body::Dispatch(Dispatch {
            name: "MESSAGE_CREATE".into(),
            intent: Some(9),
            needs: Chat::NONE,
            author: Some(UserId::new(7)),
            except: Some(UserId::new(8)),
            full_for: vec![UserId::new(9)],
            data: Bytes::from(format!(r#"{{"content":"{ev}"}}"#)),
            redacted: Some(Bytes::from_static(br#"{"content":""}"#)),
        }),
        community: Some(CommunityId::new(1)),
        channel: Some(ChannelId::new(2)),
        version: Version::Ev(ev),
        epoch: 3,
        ephemeral: false,
    })
}

fn typing() -> Arc<Record> {
    Arc::new(Record {
        ephemeral: true,
        version: Version::None,
        ..Record::clone(&numbered(0))
    })
}

fn mark() -> Arc<Record> {
    Arc::new(Record {
        body: Body::Control(Control::DevicesRevoked(vec![])),
        community: None,
        channel: None,
        version: Version::None,
        epoch: 0,
        ephemeral: false,
    })
}

async fn next(deliveries: &mut Deliveries) -> anyhow::Result<Delivery> {
    within("delivery", deliveries.next())
        .await?
        .context("the fanout ended")
}

/// Publishes the mark and collects what comes before it.
async fn up_to_mark(
    fanout: &dyn Fanout,
    deliveries: &mut Deliveries,
) -> anyhow::Result<Vec<Delivery>> {
    fanout.publish(MARK, mark()).await?;
    let mut before = Vec::new();
    loop {
        let delivery = next(deliveries).await?;
        if delivery.topic == MARK {
            return Ok(before);
        }
        before.push(delivery);
    }
}

fn versions(deliveries: &[Delivery], topic: Topic) -> Vec<Version> {
    let of_topic = deliveries.iter().filter(|delivery| delivery.topic == topic);
    of_topic.map(|delivery| delivery.record.version).collect()
}

async fn records_arrive_whole(fanout: &dyn Fanout) -> anyhow::Result<()> {
    let (follower, mut deliveries) = fanout.open(16);
    follower.follow(&[COMMUNITY]).await?;
    for record in [numbered(1), typing(), mark()] {
        fanout.publish(COMMUNITY, Arc::clone(&record)).await?;
        let delivery = next(&mut deliveries).await?;
        ensure!(delivery.topic == COMMUNITY, "came on {}", delivery.topic);
        ensure!(
            *delivery.record == *record,
            "{:?} became {:?}",
            record,
            delivery.record
        );
    }
    ensure!(deliveries.try_next().is_none(), "something more came");
    Ok(())
}

async fn only_followed_topics_arrive(fanout: &dyn Fanout) -> anyhow::Result<()> {
    let (follower, mut deliveries) = fanout.open(16);
    fanout.publish(COMMUNITY, numbered(1)).await?;
    follower.follow(&[COMMUNITY, CHANNEL, MARK]).await?;
    for (topic, ev) in [(COMMUNITY, 2), (USER, 3), (CHANNEL, 4)] {
        fanout.publish(topic, numbered(ev)).await?;
    }
    let seen = up_to_mark(fanout, &mut deliveries).await?;
    ensure!(seen.len() == 2, "{} deliveries instead of 2", seen.len());
    ensure!(versions(&seen, COMMUNITY) == [Version::Ev(2)]);
    ensure!(versions(&seen, CHANNEL) == [Version::Ev(4)]);

    follower.unfollow(&[COMMUNITY, USER]).await;
    fanout.publish(COMMUNITY, numbered(5)).await?;
    fanout.publish(CHANNEL, numbered(6)).await?;
    let seen = up_to_mark(fanout, &mut deliveries).await?;
    ensure!(versions(&seen, COMMUNITY).is_empty(), "came after unfollow");
    ensure!(versions(&seen, CHANNEL) == [Version::Ev(6)]);
    Ok(())
}

async fn order_of_a_topic_is_kept(fanout: &dyn Fanout) -> anyhow::Result<()> {
    const COUNT: i64 = 500;
    let (follower, mut deliveries) = fanout.open(4_096);
    follower.follow(&[COMMUNITY, CHANNEL, MARK]).await?;
    for ev in 0..COUNT {
        fanout.publish(COMMUNITY, numbered(ev)).await?;
        fanout.publish(CHANNEL, numbered(ev)).await?;
    }
    let seen = up_to_mark(fanout, &mut deliveries).await?;
    let expected: Vec<Version> = (0..COUNT).map(Version::Ev).collect();
    ensure!(
        versions(&seen, COMMUNITY) == expected,
        "the community's order broke"
    );
    ensure!(
        versions(&seen, CHANNEL) == expected,
        "the channel's order broke"
    );
    Ok(())
}

async fn following_twice_is_following_once(fanout: &dyn Fanout) -> anyhow::Result<()> {
    let (follower, mut deliveries) = fanout.open(16);
    follower.follow(&[COMMUNITY, COMMUNITY, MARK]).await?;
    follower.clone().follow(&[COMMUNITY]).await?;
    fanout.publish(COMMUNITY, numbered(1)).await?;
    let seen = up_to_mark(fanout, &mut deliveries).await?;
    ensure!(
        versions(&seen, COMMUNITY) == [Version::Ev(1)],
        "came {} times",
        seen.len()
    );

    follower.unfollow(&[COMMUNITY]).await;
    fanout.publish(COMMUNITY, numbered(2)).await?;
    ensure!(
        up_to_mark(fanout, &mut deliveries).await?.is_empty(),
        "one unfollow was not enough"
    );
    Ok(())
}

async fn mailboxes_are_independent(fanout: &dyn Fanout) -> anyhow::Result<()> {
    let (first, mut first_deliveries) = fanout.open(16);
    let (second, mut second_deliveries) = fanout.open(16);
    first.follow(&[COMMUNITY, MARK]).await?;
    second.follow(&[COMMUNITY]).await?;
    fanout.publish(COMMUNITY, numbered(1)).await?;
    ensure!(versions(&[next(&mut first_deliveries).await?], COMMUNITY) == [Version::Ev(1)]);
    ensure!(versions(&[next(&mut second_deliveries).await?], COMMUNITY) == [Version::Ev(1)]);

    first.unfollow(&[COMMUNITY]).await;
    fanout.publish(COMMUNITY, numbered(2)).await?;
    ensure!(versions(&[next(&mut second_deliveries).await?], COMMUNITY) == [Version::Ev(2)]);
    ensure!(
        up_to_mark(fanout, &mut first_deliveries).await?.is_empty(),
        "unfollowed for both"
    );

    drop(first_deliveries);
    second.follow(&[MARK]).await?;
    fanout.publish(COMMUNITY, numbered(3)).await?;
    let seen = up_to_mark(fanout, &mut second_deliveries).await?;
    ensure!(
        versions(&seen, COMMUNITY) == [Version::Ev(3)],
        "closed for both"
    );
    Ok(())
}

/// Fills a mailbox of 3 and waits, through a second one, until the fanout has dealt with all.
async fn a_full_mailbox_drops_and_remembers(fanout: &dyn Fanout) -> anyhow::Result<()> {
    let (follower, mut deliveries) = fanout.open(3);
    let (witness, mut witnessed) = fanout.open(64);
    follower.follow(&[COMMUNITY, CHANNEL, USER]).await?;
    witness.follow(&[MARK]).await?;

    for ev in 1..=3 {
        fanout.publish(COMMUNITY, numbered(ev)).await?;
    }
    up_to_mark(fanout, &mut witnessed).await?;
    ensure!(deliveries.take_gaps().is_empty(), "a gap although all fits");

    fanout.publish(COMMUNITY, typing()).await?;
    fanout.publish(USER, typing()).await?;
    up_to_mark(fanout, &mut witnessed).await?;
    ensure!(
        deliveries.dropped() == 2,
        "{} drops counted instead of 2",
        deliveries.dropped()
    );
    ensure!(
        deliveries.take_gaps().is_empty(),
        "a gap for an ephemeral record"
    );

    for (topic, ev) in [(CHANNEL, 1), (COMMUNITY, 4), (COMMUNITY, 5)] {
        fanout.publish(topic, numbered(ev)).await?;
    }
    up_to_mark(fanout, &mut witnessed).await?;
    let gaps = deliveries.take_gaps();
    ensure!(gaps == [COMMUNITY, CHANNEL], "gaps are {gaps:?}");
    ensure!(deliveries.take_gaps().is_empty(), "gaps are told twice");

    for ev in 1..=3 {
        let delivery = next(&mut deliveries).await?;
        ensure!(
            delivery.record.version == Version::Ev(ev),
            "kept {:?}",
            delivery.record.version
        );
    }
    ensure!(
        deliveries.try_next().is_none(),
        "more than the capacity was kept"
    );
    fanout.publish(COMMUNITY, numbered(6)).await?;
    ensure!(
        next(&mut deliveries).await?.record.version == Version::Ev(6),
        "deaf after a gap"
    );

    for ev in 7..=10 {
        fanout.publish(COMMUNITY, numbered(ev)).await?;
    }
    up_to_mark(fanout, &mut witnessed).await?;
    follower.unfollow(&[COMMUNITY]).await;
    ensure!(
        deliveries.take_gaps().is_empty(),
        "a gap of a topic that is not followed any more"
    );
    Ok(())
}

/// Ephemeral records leave a quarter of a mailbox of 8 to durable ones.
async fn a_storm_makes_no_gap(fanout: &dyn Fanout) -> anyhow::Result<()> {
    let (follower, deliveries) = fanout.open(8);
    let (witness, mut witnessed) = fanout.open(64);
    follower.follow(&[COMMUNITY]).await?;
    witness.follow(&[MARK]).await?;
    for _ in 0..10 {
        fanout.publish(COMMUNITY, typing()).await?;
    }
    for ev in 1..=2 {
        fanout.publish(COMMUNITY, numbered(ev)).await?;
    }
    up_to_mark(fanout, &mut witnessed).await?;
    let (dropped, gaps) = (deliveries.dropped(), deliveries.take_gaps());
    ensure!(dropped == 4, "{dropped} drops counted instead of 4");
    ensure!(gaps.is_empty(), "a storm made gaps: {gaps:?}");
    fanout.publish(COMMUNITY, numbered(3)).await?;
    up_to_mark(fanout, &mut witnessed).await?;
    let gaps = deliveries.take_gaps();
    ensure!(gaps == [COMMUNITY], "full, and the gaps are {gaps:?}");
    Ok(())
}

async fn a_full_mailbox_holds_up_nobody(fanout: &dyn Fanout) -> anyhow::Result<()> {
    let (stuck, stuck_deliveries) = fanout.open(1);
    let (quick, mut quick_deliveries) = fanout.open(4_096);
    stuck.follow(&[COMMUNITY]).await?;
    quick.follow(&[COMMUNITY, MARK]).await?;
    for ev in 0..200 {
        within("end of publishing", fanout.publish(COMMUNITY, numbered(ev))).await??;
    }
    let seen = up_to_mark(fanout, &mut quick_deliveries).await?;
    ensure!(seen.len() == 200, "{} of 200 arrived", seen.len());
    ensure!(stuck_deliveries.take_gaps() == [COMMUNITY]);
    Ok(())
}

async fn a_dropped_wait_loses_nothing(fanout: &dyn Fanout) -> anyhow::Result<()> {
    let (follower, mut deliveries) = fanout.open(16);
    follower.follow(&[COMMUNITY]).await?;
    for ev in 0..50 {
        // Polled once, so that it waits, and then dropped.
        let nothing = futures::FutureExt::now_or_never(deliveries.next());
        ensure!(nothing.is_none(), "something came before it was published");
        fanout.publish(COMMUNITY, numbered(ev)).await?;
        let delivery = next(&mut deliveries).await?;
        ensure!(delivery.record.version == Version::Ev(ev), "lost {ev}");
    }
    Ok(())
}

async fn a_closed_mailbox_follows_no_more(fanout: &dyn Fanout) -> anyhow::Result<()> {
    let (follower, deliveries) = fanout.open(16);
    follower.follow(&[COMMUNITY]).await?;
    drop(deliveries);
    let refused = follower.follow(&[CHANNEL]).await;
    ensure!(matches!(refused, Err(FanoutError::Closed)), "{refused:?}");
    follower.unfollow(&[COMMUNITY]).await;
    fanout.publish(COMMUNITY, numbered(1)).await?;
    Ok(())
}

async fn the_end_is_seen(fanout: Arc<dyn Fanout>) -> anyhow::Result<()> {
    let (follower, mut deliveries) = fanout.open(16);
    follower.follow(&[COMMUNITY]).await?;
    fanout.publish(COMMUNITY, numbered(1)).await?;
    next(&mut deliveries).await?;
    fanout.publish(COMMUNITY, numbered(2)).await?;
    let unread = next(&mut deliveries).await?;
    ensure!(unread.record.version == Version::Ev(2));
    drop(fanout);
    drop(follower);
    ensure!(
        within("end", deliveries.next()).await?.is_none(),
        "a record after the end"
    );
    Ok(())
}
