//! Who is known well enough to write, raids, and reports with their appeals.

use std::time::Duration;

use contracts::Moderation as _;
use contracts::identity::ContactProofs;
use contracts::moderation::NewReport;
use kernel::{ChannelId, CommunityId, MessageId, UserId};
use serde_json::{Value, json};

use crate::fixture::{
    ADMIN, FORBIDDEN, INVALID, MEMBER, MODERATOR, NONE, OWNER, STRANGER, World, id,
};

const MODERATE: u64 = 1 << 40;
const PAUSED: (u16, u32) = (403, 40900);

async fn lacking(world: &World, channel: ChannelId) -> Option<Value> {
    let judged = world.app.judge(MEMBER, channel, "merhaba").await;
    judged.err().map(|failure| failure.extra["lacking"].clone())
}

#[tokio::test]
async fn newcomers_write_when_they_are_known_well_enough() {
    let world = World::new().await;
    let community = world.community().await;
    let channel = world.first_channel(community).await;
    let path = format!("/guilds/{community}");
    world.join(community, MEMBER).await;
    let level = async |level: i32| {
        let patch = json!({ "verification_level": level });
        world.patch(OWNER, &path, patch).await;
    };
    assert_eq!(lacking(&world, channel).await, None);
    level(1).await;
    assert_eq!(lacking(&world, channel).await, Some(json!("contact")));
    world.identity.prove(
        MEMBER,
        ContactProofs {
            email: true,
            phone: false,
        },
    );
    assert_eq!(lacking(&world, channel).await, None);
    level(2).await;
    assert_eq!(lacking(&world, channel).await, None, "the account is old");
    level(3).await;
    assert_eq!(
        lacking(&world, channel).await,
        Some(json!("membership_age"))
    );
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(lacking(&world, channel).await, None);
    level(4).await;
    assert_eq!(lacking(&world, channel).await, Some(json!("phone")));
    assert!(world.app.judge(OWNER, channel, "x").await.is_ok());
    world.role(community, 0, 1, &[MEMBER]).await;
    assert_eq!(
        lacking(&world, channel).await,
        None,
        "who has a role is known"
    );
}

async fn invite(world: &World, community: CommunityId) -> String {
    let channel = world.first_channel(community).await;
    let made = world
        .post(OWNER, &format!("/channels/{channel}/invites"), json!({}))
        .await;
    format!("/invites/{}", made["code"].as_str().unwrap())
}

#[tokio::test]
async fn a_raid_shuts_the_door_for_a_while() {
    let world = World::new().await;
    let community = world.community().await;
    let path = format!("/guilds/{community}");
    let guard = json!({"raid_protection": {"joins": 3, "seconds": 600, "minutes": 30, "action": "pause_joins"}});
    world.clock.advance(Duration::from_secs(700));
    world.patch(OWNER, &path, guard).await;
    let door = invite(&world, community).await;
    for user in [ADMIN, MODERATOR] {
        world.post(user, &door, NONE).await;
    }
    assert_eq!(world.get(OWNER, &path).await["incidents_data"], json!(null));
    world.post(MEMBER, &door, NONE).await;
    let data = world.get(OWNER, &path).await["incidents_data"].clone();
    assert!(data["raid_detected_at"].is_string() && data["invites_disabled_until"].is_string());
    world.fails(STRANGER, "POST", &door, NONE, PAUSED).await;
    let known = world.get(OWNER, &format!("{path}/incident-actions")).await;
    assert_eq!(known["raid_protection"]["joins"], 3);
    assert_eq!(known["raid_detected_at"], data["raid_detected_at"]);
    let log = world
        .get(
            OWNER,
            &format!("/guilds/{community}/audit-logs?action_type=1"),
        )
        .await;
    assert_eq!(
        log["audit_log_entries"][0]["changes"][0]["key"],
        "raid_protection"
    );
    assert_eq!(*world.audits().await.last().unwrap(), 1_000);
    let end = format!("{path}/incident-actions");
    world.fails(MEMBER, "PUT", &end, json!({}), FORBIDDEN).await;
    world
        .ok(
            OWNER,
            "PUT",
            &end,
            json!({"invites_disabled_until": null}),
            200,
        )
        .await;
    world.clock.advance(Duration::from_secs(600));
    world.post(STRANGER, &door, NONE).await;
}

#[tokio::test]
async fn a_raid_can_ask_more_of_newcomers_instead() {
    let world = World::new().await;
    let community = world.community().await;
    let channel = world.first_channel(community).await;
    let path = format!("/guilds/{community}");
    world.clock.advance(Duration::from_secs(700));
    let guard = json!({"raid_protection": {"joins": 2, "seconds": 600, "minutes": 5, "action": "raise_verification"}});
    world.patch(OWNER, &path, guard).await;
    let door = invite(&world, community).await;
    world.identity.prove(
        MEMBER,
        ContactProofs {
            email: true,
            phone: false,
        },
    );
    world.post(ADMIN, &door, NONE).await;
    world.post(MEMBER, &door, NONE).await;
    assert_eq!(
        lacking(&world, channel).await,
        Some(json!("membership_age"))
    );
    world.post(STRANGER, &door, NONE).await;
    world.clock.advance(Duration::from_secs(300));
    assert_eq!(lacking(&world, channel).await, None, "it ends by itself");
}

#[tokio::test]
async fn joins_are_paused_by_hand_and_bounds_hold() {
    let world = World::new().await;
    let community = world.community().await;
    let path = format!("/guilds/{community}");
    let pause = format!("{path}/incident-actions");
    let door = invite(&world, community).await;
    let far = json!({"invites_disabled_until": "2026-11-21T09:00:00Z"});
    world.fails(OWNER, "PUT", &pause, far, INVALID).await;
    let dms = json!({"dms_disabled_until": "2026-11-20T09:00:00Z"});
    world.fails(OWNER, "PUT", &pause, dms, INVALID).await;
    let until = json!({"invites_disabled_until": "2026-11-20T08:00:00Z"});
    world.ok(OWNER, "PUT", &pause, until, 200).await;
    world.fails(MEMBER, "POST", &door, NONE, PAUSED).await;
    world.clock.advance(Duration::from_secs(3_600));
    world.post(MEMBER, &door, NONE).await;
    for bad in [
        json!({"joins": 1, "seconds": 60, "minutes": 5, "action": "pause_joins"}),
        json!({"joins": 5, "seconds": 3601, "minutes": 5, "action": "pause_joins"}),
        json!({"joins": 5, "seconds": 60, "minutes": 1441, "action": "pause_joins"}),
    ] {
        world
            .fails(
                OWNER,
                "PATCH",
                &path,
                json!({"raid_protection": bad}),
                INVALID,
            )
            .await;
    }
}

fn report(channel: ChannelId, reporter: UserId, message: i64) -> NewReport {
    NewReport {
        reporter,
        channel,
        message: MessageId::new(message),
        author: MEMBER,
        reason: "spam".to_owned(),
    }
}

async fn court(world: &World) -> (CommunityId, ChannelId) {
    let community = world.community().await;
    for user in [ADMIN, MODERATOR, MEMBER] {
        world.join(community, user).await;
    }
    world.role(community, MODERATE, 5, &[MODERATOR]).await;
    (community, world.first_channel(community).await)
}

async fn log_has_all(world: &World, community: CommunityId) {
    let log = world
        .get(
            OWNER,
            &format!("/guilds/{community}/audit-logs?action_type=1001"),
        )
        .await;
    let entries = log["audit_log_entries"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    let state = |entry: &Value| {
        let changes = entry["changes"].as_array().unwrap().clone();
        changes
            .into_iter()
            .find(|change| change["key"] == "state")
            .unwrap()
    };
    assert_eq!(
        state(&entries[1]),
        json!({"key": "state", "old_value": "open", "new_value": "upheld"})
    );
    assert_eq!(
        state(&entries[0]),
        json!({"key": "state", "old_value": "appealed", "new_value": "dismissed"})
    );
    let appeals = world
        .get(
            OWNER,
            &format!("/guilds/{community}/audit-logs?action_type=1002"),
        )
        .await;
    assert_eq!(appeals["audit_log_entries"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_report_is_decided_appealed_and_decided_for_good() {
    let world = World::new().await;
    let (community, channel) = court(&world).await;
    let first = world.app.report(report(channel, ADMIN, 5)).await.unwrap();
    let again = world.app.report(report(channel, ADMIN, 5)).await.unwrap();
    assert_eq!(first, again, "while it is open");
    let reports = format!("/guilds/{community}/reports");
    let one = format!("{reports}/{first}");
    let list = world.get(MODERATOR, &reports).await;
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(
        (&list[0]["state"], &list[0]["target_id"]),
        (&json!("open"), &json!(MEMBER))
    );
    assert_eq!(
        world
            .get(MODERATOR, &format!("{reports}?state=upheld"))
            .await,
        json!([])
    );
    world.fails(MEMBER, "GET", &one, NONE, FORBIDDEN).await;
    let appeal = format!("{one}/appeal");
    let text = json!({"text": "Öyle demedim."});
    world
        .fails(MEMBER, "POST", &appeal, text.clone(), (409, 40901))
        .await;
    let uphold = json!({"state": "upheld", "resolution": "Reklam."});
    world.patch(MODERATOR, &one, uphold.clone()).await;
    world
        .fails(MODERATOR, "PATCH", &one, uphold.clone(), (409, 40901))
        .await;
    let seen = world.get(MEMBER, &one).await;
    assert_eq!(
        (&seen["state"], &seen["reporter_id"]),
        (&json!("upheld"), &json!("0"))
    );
    world
        .fails(ADMIN, "POST", &appeal, text.clone(), (404, 10901))
        .await;
    // Who was removed may appeal all the same.
    world
        .delete(OWNER, &format!("/guilds/{community}/members/{MEMBER}"))
        .await;
    let asked = world.post(MEMBER, &appeal, text.clone()).await;
    assert_eq!(
        (&asked["state"], &asked["appeal"]),
        (&json!("appealed"), &json!("Öyle demedim."))
    );
    world
        .fails(MEMBER, "POST", &appeal, text, (409, 40901))
        .await;
    let done = world
        .patch(MODERATOR, &one, json!({"state": "dismissed"}))
        .await;
    assert_eq!(done["state"], "dismissed");
    world
        .fails(MODERATOR, "PATCH", &one, uphold, (409, 40901))
        .await;
    log_has_all(&world, community).await;
    // Decided, it can be reported anew.
    assert_ne!(
        world.app.report(report(channel, ADMIN, 5)).await.unwrap(),
        first
    );
}

#[tokio::test]
async fn reports_are_for_moderators_and_nobody_judges_themselves() {
    let world = World::new().await;
    let (community, channel) = court(&world).await;
    world.role(community, MODERATE, 4, &[MEMBER]).await;
    let made = world.app.report(report(channel, ADMIN, 5)).await.unwrap();
    let reports = format!("/guilds/{community}/reports");
    let one = format!("{reports}/{made}");
    let uphold = json!({"state": "upheld"});
    world.fails(ADMIN, "GET", &reports, NONE, FORBIDDEN).await;
    world
        .fails(ADMIN, "PATCH", &one, uphold.clone(), FORBIDDEN)
        .await;
    world.fails(MEMBER, "PATCH", &one, uphold, FORBIDDEN).await;
    for bad in [
        json!({"state": "open"}),
        json!({"state": "appealed"}),
        json!({"state": "x"}),
        json!({"state": "upheld", "resolution": "x".repeat(1001)}),
    ] {
        world.fails(MODERATOR, "PATCH", &one, bad, INVALID).await;
    }
    for bad in ["?limit=0", "?limit=101", "?state=x"] {
        world
            .fails(MODERATOR, "GET", &format!("{reports}{bad}"), NONE, INVALID)
            .await;
    }
    let long = NewReport {
        reason: "x".repeat(1001),
        ..report(channel, ADMIN, 6)
    };
    assert_eq!(
        world.app.report(long).await.unwrap_err().row.code,
        "INVALID_REQUEST"
    );
    let stranger = world.app.report(report(channel, STRANGER, 6)).await;
    assert_eq!(stranger.unwrap_err().row.code, "COMMUNITY_UNKNOWN");
    let _ = id(&json!({"id": made}));
    world
        .fails(
            MODERATOR,
            "GET",
            &format!("{reports}/5"),
            NONE,
            (404, 10901),
        )
        .await;
}
