//! What other contexts ask: rights of users, compiled rights, snapshots, members.

use contracts::Communities as _;
use contracts::communities::{MemberQuery, Snapshot};
use infra::fanout::Topic;
use kernel::perm::Chat;
use kernel::{ChannelId, CommunityId, UserId};
use serde_json::{Value, json};

use crate::fixture::{ADMIN, Heard, MEMBER, MODERATOR, NONE, OWNER, STRANGER, World, id};

const VIEW: u64 = 1 << 10;

/// A community with a channel for all, one for a role, one for a member.
async fn shaped(world: &World) -> (CommunityId, [ChannelId; 3]) {
    let community = world.community().await;
    for user in [ADMIN, MODERATOR, MEMBER] {
        world.join(community, user).await;
    }
    world.role(community, 1 << 3, 9, &[ADMIN]).await;
    let role = world.role(community, 1 << 13, 3, &[MODERATOR]).await;
    let open = world.first_channel(community).await;
    let path = format!("/guilds/{community}/channels");
    let hide = json!({"id": community, "type": 0, "deny": VIEW.to_string()});
    let show = |id: Value, kind: i32| json!({"id": id, "type": kind, "allow": VIEW.to_string()});
    let body = json!({"name": "team", "permission_overwrites": [hide, show(json!(role), 0)]});
    let team = world.make(OWNER, &path, body).await;
    let body = json!({"name": "one", "permission_overwrites": [hide, show(json!(MEMBER), 1)]});
    let one = world.make(OWNER, &path, body).await;
    (community, [open, id(&team).cast(), id(&one).cast()])
}

#[tokio::test]
async fn access_compiled_and_snapshots_agree_for_everybody() {
    let world = World::new().await;
    let (community, channels) = shaped(&world).await;
    let compiled = world.app.compiled(community).await.unwrap().unwrap();
    let numbers = world.numbers(community).await;
    assert_eq!(
        (compiled.epoch, compiled.rev),
        (numbers.perm_epoch, numbers.rev)
    );
    assert_eq!(compiled.owner, OWNER);
    let expected = [
        (OWNER, [true, true, true]),
        (ADMIN, [true, true, true]),
        (MODERATOR, [true, true, false]),
        (MEMBER, [true, false, true]),
    ];
    for (user, sees) in expected {
        let access = world.app.access(user, &channels).await.unwrap();
        assert_eq!(access.len(), 3, "rights tell, not absence");
        let class = world.app.memberships(user).await.unwrap()[0].class;
        let mut classes = compiled.classes.iter();
        let by_class = &classes.find(|of| of.class == class).unwrap().channels;
        let own = compiled.members.iter().find(|(id, _)| *id == user);
        let snapshot = world
            .app
            .snapshots(&[community], user)
            .await
            .unwrap()
            .remove(0);
        for (channel, sees) in channels.iter().zip(sees) {
            let found = access
                .iter()
                .find(|access| access.channel == *channel)
                .unwrap();
            let named = own.and_then(|(_, list)| list.iter().find(|(id, _)| id == channel));
            let classed = by_class.iter().find(|(id, _)| id == channel);
            let bits = if user == OWNER {
                Chat::ALL
            } else {
                named.or(classed).unwrap().1.chat
            };
            assert_eq!(found.chat, bits, "{user} {channel}");
            assert_eq!(found.chat.has(Chat::VIEW_CHANNEL), sees, "{user} {channel}");
            let shown = snapshot.channels.iter().any(|shown| shown.id == *channel);
            assert_eq!(shown, sees, "{user} {channel}");
            assert_eq!((found.class, found.epoch), (class, numbers.perm_epoch));
        }
        assert_eq!(
            (snapshot.rev, snapshot.epoch, snapshot.class),
            (numbers.rev, numbers.perm_epoch, class)
        );
        assert_eq!(snapshot.member_count, 4);
        assert_eq!(snapshot.own.user.unwrap().id, user);
    }
    assert_eq!(compiled.members.len(), 1, "only the named one");
}

#[tokio::test]
async fn strangers_get_nothing_and_questions_are_bounded() {
    let world = World::new().await;
    let (community, channels) = shaped(&world).await;
    assert!(
        world
            .app
            .access(STRANGER, &channels)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        world
            .app
            .snapshots(&[community], STRANGER)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(world.app.memberships(STRANGER).await.unwrap().is_empty());
    assert_eq!(world.app.compiled(CommunityId::new(5)).await.unwrap(), None);
    assert!(
        world
            .app
            .access(OWNER, &[ChannelId::new(5)])
            .await
            .unwrap()
            .is_empty()
    );
    let many = vec![ChannelId::new(5); 200];
    assert!(world.app.access(OWNER, &many).await.is_ok());
    let more = vec![ChannelId::new(5); 201];
    assert_eq!(
        world.app.access(OWNER, &more).await.unwrap_err().row.code,
        "INVALID_REQUEST"
    );
    let more = vec![community; 201];
    assert!(world.app.snapshots(&more, OWNER).await.is_err());
    let more = MemberQuery::Ids(vec![OWNER; 101]);
    assert!(world.app.members(community, more).await.is_err());
    assert!(world.app.share_community(OWNER, MEMBER).await.unwrap());
    assert!(!world.app.share_community(OWNER, STRANGER).await.unwrap());
}

#[tokio::test]
async fn members_are_found_by_id_prefix_and_page() {
    let world = World::new().await;
    let (community, _) = shaped(&world).await;
    let ids = |query: MemberQuery| {
        let app = world.app.clone();
        async move {
            let list = app.members(community, query).await.unwrap();
            list.into_iter()
                .map(|member| member.user.unwrap().id)
                .collect::<Vec<UserId>>()
        }
    };
    assert_eq!(
        ids(MemberQuery::Ids(vec![MEMBER, STRANGER, OWNER])).await,
        [OWNER, MEMBER]
    );
    assert_eq!(
        ids(MemberQuery::After {
            after: ADMIN,
            limit: 1
        })
        .await,
        [MODERATOR]
    );
    assert_eq!(
        ids(MemberQuery::Prefix {
            text: "M".into(),
            limit: 10
        })
        .await,
        [MODERATOR, MEMBER]
    );
    assert_eq!(
        ids(MemberQuery::Prefix {
            text: String::new(),
            limit: 2
        })
        .await,
        [OWNER, ADMIN]
    );
    world.identity.remove(MEMBER);
    assert_eq!(
        ids(MemberQuery::Ids(vec![MEMBER])).await,
        [MEMBER],
        "an erased account stays a member"
    );
}

#[tokio::test]
async fn a_time_out_shows_in_access_and_not_in_what_is_compiled() {
    let world = World::new().await;
    let (community, channels) = shaped(&world).await;
    let before = world.app.compiled(community).await.unwrap().unwrap();
    let path = format!("/guilds/{community}/members/{MEMBER}");
    let body = json!({"communication_disabled_until": "2026-11-20T10:00:00Z"});
    world.patch(OWNER, &path, body).await;
    let access = world
        .app
        .access(MEMBER, &channels[..1])
        .await
        .unwrap()
        .remove(0);
    assert_eq!(access.chat, Chat::VIEW_CHANNEL | Chat::READ_HISTORY);
    assert!(access.timeout_until.is_some());
    let after = world.app.compiled(community).await.unwrap().unwrap();
    assert_eq!((after.epoch, after.classes), (before.epoch, before.classes));
    world.clock.advance(std::time::Duration::from_secs(10_800));
    let access = world
        .app
        .access(MEMBER, &channels[..1])
        .await
        .unwrap()
        .remove(0);
    assert!(access.chat.has(Chat::SEND_MESSAGES));
}

#[tokio::test]
async fn overwrites_outlive_a_membership_and_come_back_with_an_epoch() {
    let mut world = World::new().await;
    let (community, channels) = shaped(&world).await;
    let silence = format!("/channels/{}/permissions/{MEMBER}", channels[0]);
    world
        .put(OWNER, &silence, json!({"type": 1, "deny": "2048"}))
        .await;
    world.follow(&[Topic::Community(community)]).await;
    let before = world.numbers(community).await;
    world
        .delete(MEMBER, &format!("/users/@me/guilds/{community}"))
        .await;
    assert!(
        world
            .app
            .compiled(community)
            .await
            .unwrap()
            .unwrap()
            .members
            .is_empty()
    );
    assert_eq!(
        world.numbers(community).await.perm_epoch,
        before.perm_epoch + 1
    );
    world.join(community, MEMBER).await;
    assert_eq!(
        world.numbers(community).await.perm_epoch,
        before.perm_epoch + 2
    );
    let access = world
        .app
        .access(MEMBER, &channels[..1])
        .await
        .unwrap()
        .remove(0);
    assert!(!access.chat.has(Chat::SEND_MESSAGES));
    assert_eq!(
        world.heard_names(),
        [
            "AccessChanged",
            "GUILD_MEMBER_REMOVE",
            "INVITE_CREATE",
            "AccessChanged",
            "GUILD_MEMBER_ADD"
        ]
    );
}

#[tokio::test]
async fn a_deleted_channel_stays_compiled_for_an_hour() {
    let world = World::new().await;
    let (community, channels) = shaped(&world).await;
    world
        .ok(
            OWNER,
            "DELETE",
            &format!("/channels/{}", channels[1]),
            NONE,
            200,
        )
        .await;
    let knows = |channel: ChannelId| {
        let app = world.app.clone();
        async move {
            let compiled = app.compiled(community).await.unwrap().unwrap();
            let rights = &compiled.classes[0].channels;
            rights.iter().any(|(id, _)| *id == channel)
        }
    };
    assert!(knows(channels[1]).await);
    assert!(
        world
            .app
            .access(OWNER, &channels[1..2])
            .await
            .unwrap()
            .is_empty()
    );
    world.clock.advance(std::time::Duration::from_secs(3_600));
    assert!(!knows(channels[1]).await);
    assert!(knows(channels[0]).await);
}

/// Readers see one state: what a snapshot holds is what its revision says.
#[tokio::test]
async fn snapshots_under_change_hold_what_their_revision_says() {
    let mut world = World::new().await;
    let community = world.community().await;
    world.follow(&[Topic::Community(community)]).await;
    let caller = testkit::http::caller(OWNER);
    let base = world.numbers(community).await;
    let writes = async {
        for i in 0..20 {
            let new = serde_json::from_value(json!({"name": format!("c{i}")})).unwrap();
            let reason = communities::Reason::default();
            world
                .app
                .create_channel(&caller, community, new, reason)
                .await
                .unwrap();
        }
    };
    let reads = async {
        let mut seen: Vec<Snapshot> = Vec::new();
        for _ in 0..40 {
            seen.extend(world.app.snapshots(&[community], OWNER).await.unwrap());
        }
        seen
    };
    let ((), snapshots) = futures::join!(writes, reads);
    for snapshot in &snapshots {
        let made = usize::try_from(snapshot.rev - base.rev).unwrap();
        assert_eq!(snapshot.channels.len(), 1 + made);
        assert_eq!(
            i64::from(snapshot.epoch - base.perm_epoch),
            snapshot.rev - base.rev
        );
    }
    let revs: Vec<i64> = world
        .heard()
        .into_iter()
        .filter_map(|heard| match heard {
            Heard::Event(_, rev, ..) => Some(rev),
            Heard::Control(_) => None,
        })
        .collect();
    assert_eq!(revs, (base.rev + 1..=base.rev + 20).collect::<Vec<_>>());
}
