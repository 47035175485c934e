//! The audit log: who reads it, what it says, and who hears of it.

use infra::fanout::Topic;
use kernel::perm::Chat;
use serde_json::{Value, json};

use crate::fixture::{ADMIN, Heard, MEMBER, MODERATOR, NONE, OWNER, STRANGER, World, id};

fn entries(log: &Value) -> &Vec<Value> {
    log["audit_log_entries"].as_array().unwrap()
}

fn actions(log: &Value) -> Vec<i64> {
    let actions = entries(log).iter().map(|entry| &entry["action_type"]);
    actions.map(|action| action.as_i64().unwrap()).collect()
}

#[tokio::test]
async fn what_others_do_stands_in_the_log_once() {
    let world = World::new().await;
    let community = world.community().await;
    let module = communities::module(&world.app);
    let kind = "applications.webhook_created.v1";
    let consumers = module.consumers.iter();
    let follower = consumers
        .into_iter()
        .find(|one| one.kinds.contains(&kind))
        .unwrap();
    let changes = json!([{"key": "name", "new_value": "CI"}]);
    for (at, kind) in follower.kinds.iter().enumerate() {
        let event = kernel::Event {
            id: kernel::EventId::new(7_000_000_000_000_000_000 + i64::try_from(at).unwrap()),
            kind: (*kind).to_owned(),
            at: "2026-11-20T07:00:00Z".parse().unwrap(),
            actor: Some(OWNER),
            tenant: None,
            key: community.to_string(),
            data: match at {
                3 => json!({"community_id": community, "channel_id": "1", "id": "5",
                    "author_id": "7", "reason": "spam"}),
                4 => json!({"community_id": community, "channel_id": "1", "ids": ["5", "6"]}),
                _ => json!({"webhook_id": "9000", "community_id": community, "channel_id": "1",
                    "changes": changes, "reason": "builds"}),
            },
        };
        // Brought twice: the second time writes nothing.
        follower.handler.handle(&event).await.unwrap();
        follower.handler.handle(&event).await.unwrap();
    }
    let log = world
        .get(OWNER, &format!("/guilds/{community}/audit-logs"))
        .await;
    let of_others: Vec<i64> = actions(&log).into_iter().filter(|a| *a >= 50).collect();
    assert_eq!(of_others, [73, 72, 52, 51, 50]);
    let [many, one, newest, ..] = &entries(&log)[..] else {
        panic!("{log}");
    };
    assert_eq!(
        (&many["target_id"], &many["options"]),
        (&json!("1"), &json!({"count": "2"}))
    );
    assert_eq!(
        (&one["target_id"], &one["options"], &one["reason"]),
        (
            &json!("7"),
            &json!({"channel_id": "1", "count": "1"}),
            &json!("spam")
        )
    );
    assert_eq!(newest["user_id"], json!(OWNER));
    assert_eq!(
        (&newest["target_id"], &newest["reason"], &newest["changes"]),
        (&json!("9000"), &json!("builds"), &changes)
    );
}

#[tokio::test]
async fn an_entry_says_who_did_what_to_whom_from_what_to_what_and_why() {
    let world = World::new().await;
    let community = world.community().await;
    world.join(community, MEMBER).await;
    let channel = world.first_channel(community).await;
    let path = format!("/channels/{channel}");
    world.patch(OWNER, &path, json!({"name": "plaza"})).await;
    let nick = format!("/guilds/{community}/members/{MEMBER}");
    world.patch(OWNER, &nick, json!({"nick": "Ayşe"})).await;
    world
        .put(
            OWNER,
            &format!("/channels/{channel}/permissions/{MEMBER}"),
            json!({"type": 1, "allow": "0", "deny": "2048"}),
        )
        .await;
    let log = world
        .get(OWNER, &format!("/guilds/{community}/audit-logs"))
        .await;
    assert_eq!(actions(&log), [13, 24, 11, 40], "newest first");
    let [overwrite, member, renamed, _] = entries(&log).as_slice() else {
        panic!("{log}");
    };
    assert_eq!(
        overwrite["options"],
        json!({"id": MEMBER, "type": "1", "role_name": null})
    );
    assert_eq!(overwrite["target_id"], json!(channel));
    assert_eq!(member["target_id"], json!(MEMBER));
    assert_eq!(member["user_id"], json!(OWNER));
    assert_eq!(
        member["changes"],
        json!([{"key": "nick", "new_value": "Ayşe"}])
    );
    assert_eq!(
        renamed["changes"],
        json!([{"key": "name", "old_value": "general", "new_value": "plaza"}])
    );
    let users: Vec<i64> = log["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| id(user).get())
        .collect();
    assert_eq!(users, [OWNER.get(), MEMBER.get()]);
    for list in ["webhooks", "threads", "integrations"] {
        assert_eq!(log[list], json!([]), "stock libraries read {list}");
    }
}

#[tokio::test]
async fn the_log_is_read_by_actor_by_action_and_in_parts() {
    let world = World::new().await;
    let community = world.community().await;
    world.join(community, ADMIN).await;
    world.role(community, 8, 1, &[ADMIN]).await;
    for (who, name) in [(OWNER, "one"), (ADMIN, "two"), (OWNER, "three")] {
        let path = format!("/guilds/{community}");
        world.patch(who, &path, json!({"name": name})).await;
    }
    let log = format!("/guilds/{community}/audit-logs");
    let all = world.get(OWNER, &log).await;
    assert_eq!(actions(&all), [1, 1, 1, 25, 30, 40]);
    let by_admin = world.get(OWNER, &format!("{log}?user_id={ADMIN}")).await;
    assert_eq!(entries(&by_admin), &entries(&all)[1..2]);
    let renamed = world.get(ADMIN, &format!("{log}?action_type=1")).await;
    assert_eq!(entries(&renamed), &entries(&all)[..3]);
    let third = id(&entries(&all)[2]);
    let before = world
        .get(OWNER, &format!("{log}?before={third}&limit=2"))
        .await;
    assert_eq!(entries(&before), &entries(&all)[3..5]);
    let after = world.get(OWNER, &format!("{log}?after={third}")).await;
    let mut newer = entries(&all)[..2].to_vec();
    newer.reverse();
    assert_eq!(entries(&after), &newer, "oldest first");
    for query in ["limit=0", "limit=101", "before=1&after=2", "user_id=x"] {
        let path = format!("{log}?{query}");
        world.fails(OWNER, "GET", &path, NONE, (400, 50035)).await;
    }
    for limit in [1, 100] {
        let part = world.get(OWNER, &format!("{log}?limit={limit}")).await;
        assert_eq!(entries(&part).len(), limit.min(6));
    }
}

#[tokio::test]
async fn reading_takes_the_right_and_a_community_keeps_its_log_to_itself() {
    let world = World::new().await;
    let community = world.community().await;
    let other = world.community().await;
    world.join(community, MEMBER).await;
    world.join(community, MODERATOR).await;
    let view = Chat::VIEW_AUDIT_LOG.to_stored().unsigned_abs();
    world.role(community, view, 1, &[MODERATOR]).await;
    let log = format!("/guilds/{community}/audit-logs");
    let seen = world.get(MODERATOR, &log).await;
    assert!(!entries(&seen).is_empty());
    world.fails(MEMBER, "GET", &log, NONE, (403, 50013)).await;
    world.fails(STRANGER, "GET", &log, NONE, (404, 10004)).await;
    let others = world
        .get(OWNER, &format!("/guilds/{other}/audit-logs"))
        .await;
    assert_eq!(entries(&others), &Vec::<Value>::new());
}

#[tokio::test]
async fn an_entry_is_told_as_it_is_stored_and_has_no_revision() {
    let mut world = World::new().await;
    let community = world.community().await;
    world.follow(&[Topic::Community(community)]).await;
    let path = format!("/guilds/{community}");
    world.patch(OWNER, &path, json!({"name": "Meydan"})).await;
    let heard = world.heard_all();
    let told: Vec<_> = heard
        .iter()
        .filter_map(|heard| match heard {
            Heard::Event(name, rev, channel, data) if name.starts_with("GUILD_AUDIT") => {
                Some((*rev, *channel, data.clone()))
            }
            Heard::Event(..) | Heard::Control(_) => None,
        })
        .collect();
    let log = world
        .get(OWNER, &format!("/guilds/{community}/audit-logs"))
        .await;
    let mut entry = entries(&log)[0].clone();
    entry["guild_id"] = json!(community);
    assert_eq!(told, [(0, None, entry)]);
}
