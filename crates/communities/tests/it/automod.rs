//! Automatic moderation: rules, what they refuse, and what else they do.

use contracts::Moderation as _;
use infra::fanout::Topic;
use kernel::perm::Chat;
use kernel::{ChannelId, CommunityId, UserId};
use serde_json::{Value, json};

use crate::fixture::{ADMIN, FORBIDDEN, Heard, INVALID, MEMBER, MODERATOR, NONE, OWNER, World, id};

const UNKNOWN: (u16, u32) = (404, 10900);
const MANAGE_GUILD: u64 = 1 << 5;
const MODERATE: u64 = 1 << 40;

struct Scene {
    world: World,
    community: CommunityId,
    channel: ChannelId,
    rules: String,
}

impl Scene {
    async fn new() -> Scene {
        let world = World::new().await;
        let community = world.community().await;
        for user in [ADMIN, MODERATOR, MEMBER] {
            world.join(community, user).await;
        }
        let channel = world.first_channel(community).await;
        let rules = format!("/guilds/{community}/auto-moderation/rules");
        Scene {
            world,
            community,
            channel,
            rules,
        }
    }

    async fn rule(&self, kind: i16, trigger: Value, actions: Value) -> Value {
        let body = json!({"name": "Kural", "event_type": 1, "trigger_type": kind,
            "trigger_metadata": trigger, "actions": actions, "enabled": true});
        self.world.post(OWNER, &self.rules, body).await
    }

    /// The code of the refusal, if any.
    async fn say(&self, who: UserId, text: &str) -> Option<&'static str> {
        let judged = self.world.app.judge(who, self.channel, text).await;
        judged.err().map(|failure| failure.row.code)
    }
}

const BLOCKED: Option<&str> = Some("MESSAGE_BLOCKED");

#[tokio::test]
async fn words_links_mentions_and_spam_are_refused() {
    let scene = Scene::new().await;
    let block = json!([{"type": 1, "metadata": {"custom_message": "Lütfen."}}]);
    scene
        .rule(
            1,
            json!({"keyword_filter": ["küfür*"], "allow_list": ["küfürsüz"]}),
            block.clone(),
        )
        .await;
    scene
        .rule(
            100,
            json!({"keyword_filter": ["*"], "allow_list": ["meydan.test"]}),
            block.clone(),
        )
        .await;
    scene
        .rule(5, json!({"mention_total_limit": 2}), block)
        .await;
    for (text, refused) in [
        ("merhaba", None),
        ("KÜFÜRBAZ", BLOCKED),
        ("küfürsüz", None),
        ("https://kotu.example", BLOCKED),
        ("https://meydan.test/a", None),
        ("<@1> <@2>", None),
        ("<@1> <@2> <@3>", BLOCKED),
    ] {
        assert_eq!(scene.say(MEMBER, text).await, refused, "{text}");
    }
    assert_eq!(
        scene.say(OWNER, "küfür").await,
        None,
        "who makes rules is above them"
    );
    let failure = scene
        .world
        .app
        .judge(MEMBER, scene.channel, "küfür")
        .await
        .unwrap_err();
    assert_eq!(failure.extra["custom_message"], "Lütfen.");
    let spam = json!({"message_limit": 3, "interval_seconds": 5});
    scene.rule(3, spam, json!([{"type": 1}])).await;
    let mut said = Vec::new();
    for text in ["bir", "iki elma", "armut var", "dört mevsim"] {
        said.push(scene.say(MODERATOR, text).await);
    }
    assert_eq!(said, [None, None, None, BLOCKED]);
}

#[tokio::test]
async fn a_change_of_rules_counts_at_once_and_exceptions_are_kept() {
    let scene = Scene::new().await;
    let world = &scene.world;
    let role = world.role(scene.community, 0, 1, &[MODERATOR]).await;
    let made = scene
        .rule(1, json!({"keyword_filter": ["kaba"]}), json!([{"type": 1}]))
        .await;
    let one = format!("{}/{}", scene.rules, id(&made));
    assert_eq!(scene.say(MODERATOR, "kaba").await, BLOCKED);
    world
        .patch(OWNER, &one, json!({"exempt_roles": [role]}))
        .await;
    assert_eq!(scene.say(MODERATOR, "kaba").await, None);
    assert_eq!(scene.say(MEMBER, "kaba").await, BLOCKED);
    world
        .patch(OWNER, &one, json!({"exempt_channels": [scene.channel]}))
        .await;
    assert_eq!(scene.say(MEMBER, "kaba").await, None);
    let other = json!({"exempt_channels": [], "trigger_metadata": {"keyword_filter": ["ayıp"]}});
    world.patch(OWNER, &one, other).await;
    assert_eq!(scene.say(MEMBER, "kaba").await, None);
    assert_eq!(scene.say(MEMBER, "AYIP").await, BLOCKED);
    world.patch(OWNER, &one, json!({"enabled": false})).await;
    assert_eq!(scene.say(MEMBER, "ayıp").await, None);
    world.patch(OWNER, &one, json!({"enabled": true})).await;
    world.delete(OWNER, &one).await;
    assert_eq!(scene.say(MEMBER, "ayıp").await, None);
    world.fails(OWNER, "GET", &one, NONE, UNKNOWN).await;
}

#[tokio::test]
async fn rules_are_for_who_manages_and_are_told_to_them() {
    let mut scene = Scene::new().await;
    let community = scene.community;
    scene.world.follow(&[Topic::Community(community)]).await;
    let made = scene
        .rule(1, json!({"keyword_filter": ["kaba"]}), json!([{"type": 1}]))
        .await;
    let one = format!("{}/{}", scene.rules, id(&made));
    let names = |heard: Vec<Heard>| -> Vec<String> {
        heard
            .into_iter()
            .filter_map(|one| match one {
                Heard::Event(name, ..) => Some(name),
                Heard::Control(_) => None,
            })
            .collect()
    };
    assert_eq!(names(scene.world.heard()), ["AUTO_MODERATION_RULE_CREATE"]);
    let world = &scene.world;
    assert_eq!(world.get(OWNER, &scene.rules).await, json!([made]));
    assert_eq!(world.get(OWNER, &one).await, made);
    for (method, path, body) in [
        ("GET", &scene.rules, NONE),
        (
            "POST",
            &scene.rules,
            json!({"trigger_type": 3, "name": "x", "actions": [{"type": 1}]}),
        ),
        ("GET", &one, NONE),
        ("PATCH", &one, json!({"name": "x"})),
        ("DELETE", &one, NONE),
    ] {
        world.fails(MEMBER, method, path, body, FORBIDDEN).await;
    }
    world.role(community, MANAGE_GUILD, 5, &[MODERATOR]).await;
    let timeout = json!({"name": "x", "trigger_type": 3, "actions": [{"type": 3, "metadata": {"duration_seconds": 60}}]});
    world
        .fails(MODERATOR, "POST", &scene.rules, timeout.clone(), FORBIDDEN)
        .await;
    world.role(community, MODERATE, 4, &[MODERATOR]).await;
    world.post(MODERATOR, &scene.rules, timeout).await;
    for bad in [
        json!({"trigger_type": 3, "name": "x"}),
        json!({"trigger_type": 3, "actions": [{"type": 1}]}),
        json!({"name": "x", "actions": [{"type": 1}]}),
        json!({"trigger_type": 4, "name": "x", "actions": [{"type": 1}]}),
        json!({"trigger_type": 1, "name": "x", "actions": [{"type": 1}]}),
    ] {
        world.fails(OWNER, "POST", &scene.rules, bad, INVALID).await;
    }
    let nowhere = json!({"trigger_type": 3, "name": "x", "actions": [{"type": 2, "metadata": {"channel_id": "5"}}]});
    world
        .fails(OWNER, "POST", &scene.rules, nowhere, (404, 10003))
        .await;
    let kind = json!({"trigger_type": 5});
    world.fails(OWNER, "PATCH", &one, kind, INVALID).await;
    for _ in 0..18 {
        scene.rule(3, json!({}), json!([{"type": 1}])).await;
    }
    let more = json!({"trigger_type": 3, "name": "x", "actions": [{"type": 1}]});
    world
        .fails(OWNER, "POST", &scene.rules, more, (400, 30900))
        .await;
}

#[tokio::test]
async fn a_rule_times_out_alerts_and_is_in_the_log() {
    let mut scene = Scene::new().await;
    let actions = json!([
        {"type": 3, "metadata": {"duration_seconds": 60}},
        {"type": 2, "metadata": {"channel_id": scene.channel}}]);
    scene
        .rule(1, json!({"keyword_filter": ["kaba"]}), actions)
        .await;
    scene
        .world
        .follow(&[Topic::Community(scene.community)])
        .await;
    let before = scene.world.audits().await.len();
    assert_eq!(
        scene.say(MEMBER, "çok kaba").await,
        None,
        "no action refuses it"
    );
    let channels = [scene.channel];
    let access = contracts::Communities::access(&*scene.world.app, MEMBER, &channels);
    assert_eq!(
        access.await.unwrap()[0].chat,
        Chat::VIEW_CHANNEL | Chat::READ_HISTORY
    );
    let executed = scene
        .world
        .heard()
        .into_iter()
        .filter_map(|heard| match heard {
            Heard::Event(name, _, _, payload) if name == "AUTO_MODERATION_ACTION_EXECUTION" => {
                Some(payload)
            }
            _ => None,
        });
    let executed: Vec<Value> = executed.collect();
    assert_eq!(executed.len(), 2);
    assert_eq!(
        (&executed[0]["matched_keyword"], &executed[0]["content"]),
        (&json!("kaba"), &json!("çok kaba"))
    );
    let mut audits = scene.world.audits().await.split_off(before);
    audits.sort_unstable();
    assert_eq!(audits, [24, 144, 145]);
    let alerts: Vec<Value> = scene
        .world
        .outbox()
        .await
        .into_iter()
        .filter(|(kind, _)| kind == "communities.automod_alerted.v1")
        .map(|(_, data)| data)
        .collect();
    assert_eq!(alerts.len(), 1);
    assert_eq!(
        (&alerts[0]["user_id"], &alerts[0]["alert_channel_id"]),
        (&json!(MEMBER), &json!(scene.channel))
    );
}

#[tokio::test]
async fn quarantine_takes_all_roles_and_gives_them_back() {
    let scene = Scene::new().await;
    let world = &scene.world;
    let role = world.role(scene.community, 1 << 13, 1, &[MEMBER]).await;
    world
        .role(scene.community, MODERATE | (1 << 28), 5, &[MODERATOR])
        .await;
    scene
        .rule(
            1,
            json!({"keyword_filter": ["kaba"]}),
            json!([{"type": 1}, {"type": 100}]),
        )
        .await;
    assert_eq!(scene.say(MEMBER, "kaba").await, BLOCKED);
    let member = format!("/guilds/{}/members/{MEMBER}", scene.community);
    let held = world.get(OWNER, &member).await;
    assert_eq!((&held["roles"], &held["flags"]), (&json!([]), &json!(128)));
    let rights = async || {
        let channels = [scene.channel];
        let access = contracts::Communities::access(&*world.app, MEMBER, &channels);
        access.await.unwrap()[0].chat
    };
    assert_eq!(rights().await, Chat::VIEW_CHANNEL | Chat::READ_HISTORY);
    let give = format!("{member}/roles/{role}");
    world
        .fails(MODERATOR, "PUT", &give, NONE, (400, 50900))
        .await;
    world
        .fails(
            OWNER,
            "PATCH",
            &member,
            json!({"roles": [role]}),
            (400, 50900),
        )
        .await;
    let free = world
        .patch(MODERATOR, &member, json!({"quarantined": false}))
        .await;
    assert_eq!(
        (&free["roles"], &free["flags"]),
        (&json!([role]), &json!(0))
    );
    assert!(
        rights()
            .await
            .has(Chat::SEND_MESSAGES | Chat::MANAGE_MESSAGES)
    );
}

#[tokio::test]
async fn quarantine_by_hand_forgets_roles_that_are_gone() {
    let scene = Scene::new().await;
    let world = &scene.world;
    let role = world.role(scene.community, 1 << 13, 1, &[MEMBER]).await;
    world.role(scene.community, MODERATE, 5, &[MODERATOR]).await;
    let member = format!("/guilds/{}/members/{MEMBER}", scene.community);
    world
        .patch(MODERATOR, &member, json!({"quarantined": true}))
        .await;
    world
        .delete(OWNER, &format!("/guilds/{}/roles/{role}", scene.community))
        .await;
    let free = world
        .patch(MODERATOR, &member, json!({"quarantined": false}))
        .await;
    assert_eq!(free["roles"], json!([]));
    let above = format!("/guilds/{}/members/{OWNER}", scene.community);
    world
        .fails(
            MODERATOR,
            "PATCH",
            &above,
            json!({"quarantined": true}),
            FORBIDDEN,
        )
        .await;
    world
        .fails(
            MEMBER,
            "PATCH",
            &member,
            json!({"quarantined": true}),
            FORBIDDEN,
        )
        .await;
}
