use contracts::Media as _;
use contracts::media::{MAX_ASKED, Outcome, Place};
use kernel::{CommunityId, MediaId};
use serde_json::json;

use crate::fixture::{CHANNEL, OTHER, OWNER, World, message_of};

#[tokio::test]
async fn files_are_claimed_all_or_none_by_their_owner_for_one_place() {
    let world = World::new().await;
    let (a, b) = (
        world.receive("a", b"a").await,
        world.receive("b", b"b").await,
    );
    let place = world.message();
    let code = |claimed: Result<(), kernel::Failure>| claimed.map_err(|failure| failure.row.code);
    let refused = Err("MEDIA_NOT_CLAIMABLE");
    let claim = |owner, ids: Vec<MediaId>, place| {
        let app = &world.app;
        async move { code(app.claim(owner, &ids, place).await) }
    };
    assert_eq!(claim(OTHER, vec![a], place).await, refused);
    assert_eq!(claim(OWNER, vec![a, MediaId::new(1)], place).await, refused);
    assert!(
        world.app.describe(&[a]).await.unwrap().is_empty(),
        "none of them"
    );
    assert_eq!(claim(OWNER, vec![a, b, a], place).await, Ok(()));
    assert_eq!(claim(OWNER, vec![a, b], place).await, Ok(()), "again");
    assert_eq!(claim(OWNER, vec![b], world.message()).await, refused);
    assert_eq!(world.app.describe(&[a, b]).await.unwrap().len(), 2);
    let at = world.opened(5, "").await;
    let unfinished = crate::fixture::id_of(&at);
    assert_eq!(claim(OWNER, vec![unfinished], place).await, refused);
}

#[tokio::test]
async fn what_nobody_claims_goes_after_a_day() {
    let world = World::new().await;
    let orphan = world.receive("a", b"a").await;
    let (_, kept) = world.show(world.receive("b", b"b").await).await;
    world.wait(24 * 3600 - 1);
    world.app.clear().await.unwrap();
    assert_eq!(world.stored().await.len(), 2);
    world.wait(1);
    let late = world.app.claim(OWNER, &[orphan], world.message()).await;
    assert!(late.is_err(), "its time is up");
    world.app.clear().await.unwrap();
    assert_eq!(world.stored().await.len(), 1);
    assert_eq!(world.app.describe(&[kept.id]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn claims_are_settled_or_told() {
    let world = World::new().await;
    let id = world.receive("a", b"a").await;
    let place = world.message();
    world.app.claim(OWNER, &[id], place).await.unwrap();
    world.wait(599);
    assert!(world.app.unsettled().await.unwrap().is_empty());
    world.wait(1);
    assert_eq!(world.app.unsettled().await.unwrap(), [place]);
    world.app.settle(place, Outcome::Kept).await.unwrap();
    assert!(world.app.unsettled().await.unwrap().is_empty());
    world.wait(30 * 24 * 3600);
    world.app.clear().await.unwrap();
    assert_eq!(world.stored().await.len(), 1);
    world.app.settle(place, Outcome::Released).await.unwrap();
    world.app.clear().await.unwrap();
    assert!(world.stored().await.is_empty());
}

#[tokio::test]
async fn a_claim_that_nobody_settles_goes_after_a_week() {
    let world = World::new().await;
    let id = world.receive("a", b"a").await;
    world
        .app
        .claim(OWNER, &[id], world.message())
        .await
        .unwrap();
    world.wait(7 * 24 * 3600 - 1);
    world.app.clear().await.unwrap();
    assert_eq!(world.stored().await.len(), 1);
    world.wait(1);
    world.app.clear().await.unwrap();
    assert!(world.stored().await.is_empty());
}

#[tokio::test]
async fn files_go_with_their_place() {
    let world = World::new().await;
    let community = CommunityId::new(9_001);
    let shown = async |name: &str, community| {
        let id = world.receive(name, b"x").await;
        let place = match world.message() {
            Place::Message {
                channel, message, ..
            } => Place::Message {
                community,
                channel,
                message,
            },
            other => other,
        };
        world.app.claim(OWNER, &[id], place).await.unwrap();
        world.app.settle(place, Outcome::Kept).await.unwrap();
        (place, id)
    };
    let left = async || {
        world.app.clear().await.unwrap();
        world.stored().await.len()
    };
    let (place, _) = shown("a", None).await;
    let (_, second) = shown("b", None).await;
    let (_, third) = shown("c", Some(community)).await;
    shown("d", None).await;
    assert_eq!(left().await, 4);
    world
        .bring(
            "messaging.message_deleted.v1",
            json!({"id": message_of(place)}),
        )
        .await;
    assert_eq!(left().await, 3);
    world
        .bring(
            "messaging.attachments_removed.v1",
            json!({"media_ids": [second]}),
        )
        .await;
    assert_eq!(left().await, 2);
    world
        .bring(
            "communities.community_deleted.v1",
            json!({"community_id": community}),
        )
        .await;
    assert_eq!(left().await, 1);
    assert!(world.app.describe(&[third]).await.unwrap().is_empty());
    world
        .bring(
            "communities.channel_deleted.v1",
            json!({"channel_id": CHANNEL}),
        )
        .await;
    assert_eq!(left().await, 0);
}

#[tokio::test]
async fn a_thousand_are_described_at_most() {
    let world = World::new().await;
    let (_, shown) = world.show(world.receive("a", b"a").await).await;
    let mut ids = vec![MediaId::new(1); MAX_ASKED - 1];
    ids.push(shown.id);
    assert_eq!(world.app.describe(&ids).await.unwrap().len(), 1);
    ids.insert(0, MediaId::new(1));
    assert!(world.app.describe(&ids).await.unwrap().is_empty());
}
