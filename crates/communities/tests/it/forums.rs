//! What channels say about their threads: forums with tags, announcements, text.

use serde_json::{Value, json};

use crate::fixture::{INVALID, OWNER, World, id};

#[tokio::test]
async fn a_forum_keeps_its_tags_by_id() {
    let world = World::new().await;
    let community = world.community().await;
    let channels = format!("/guilds/{community}/channels");
    let body = json!({"name": "ilan", "type": 15, "default_sort_order": 1, "default_forum_layout": 2, "flags": 16,
        "default_reaction_emoji": {"emoji_name": "👍"}, "default_thread_rate_limit_per_user": 5,
        "available_tags": [{"name": "satılık", "emoji_name": "🚗"}, {"name": "kiralık", "moderated": true}]});
    let made = world.make(OWNER, &channels, body).await;
    assert_eq!(made["type"], 15);
    assert_eq!(
        (
            &made["default_sort_order"],
            &made["default_forum_layout"],
            &made["flags"]
        ),
        (&json!(1), &json!(2), &json!(16))
    );
    assert_eq!(
        made["default_reaction_emoji"],
        json!({"emoji_id": null, "emoji_name": "👍"})
    );
    assert_eq!(made["default_thread_rate_limit_per_user"], 5);
    let tags = made["available_tags"].as_array().unwrap();
    let (sale, rent) = (tags[0]["id"].clone(), tags[1]["id"].clone());
    assert_ne!(sale, rent);
    let path = format!("/channels/{}", id(&made));
    let patch = json!({"available_tags": [{"id": rent, "name": "kira"}, {"name": "takas"}, {"id": "5", "name": "yeni"}]});
    let changed = world.patch(OWNER, &path, patch).await;
    let tags = changed["available_tags"].as_array().unwrap();
    assert_eq!((&tags[0]["id"], &tags[0]["name"]), (&rent, &json!("kira")));
    assert!(tags.iter().all(|tag| tag["id"] != sale && tag["id"] != "5"));
    assert_eq!(changed["flags"], 16, "what is not named stays");
    let none = json!({"default_reaction_emoji": null, "default_sort_order": null});
    let cleared = world.patch(OWNER, &path, none).await;
    assert_eq!(
        (
            cleared.get("default_reaction_emoji"),
            cleared.get("default_sort_order")
        ),
        (None, None)
    );
    assert_eq!(world.get(OWNER, &path).await, cleared);
}

#[tokio::test]
async fn tags_and_numbers_have_bounds() {
    let world = World::new().await;
    let community = world.community().await;
    let channels = format!("/guilds/{community}/channels");
    let tags = |count: usize| -> Value {
        (0..count)
            .map(|at| json!({"name": format!("t{at}")}))
            .collect()
    };
    let with = |more: Value| {
        let mut body = json!({"name": "f", "type": 15});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    world
        .make(OWNER, &channels, with(json!({"available_tags": tags(20)})))
        .await;
    for bad in [
        json!({"available_tags": tags(21)}),
        json!({"available_tags": [{"name": "a"}, {"name": "a"}]}),
        json!({"available_tags": [{"name": ""}]}),
        json!({"available_tags": [{"name": "a".repeat(21)}]}),
        json!({"available_tags": [{"name": "a", "emoji_id": "5", "emoji_name": "x"}]}),
        json!({"default_reaction_emoji": {}}),
        json!({"default_sort_order": 2}),
        json!({"default_forum_layout": 3}),
        json!({"flags": 1}),
        json!({"default_auto_archive_duration": 61}),
        json!({"default_thread_rate_limit_per_user": 21601}),
    ] {
        world
            .fails(OWNER, "POST", &channels, with(bad), INVALID)
            .await;
    }
    let unknown = with(json!({"available_tags": [{"name": "a", "emoji_id": "5"}]}));
    world
        .fails(OWNER, "POST", &channels, unknown, (404, 10014))
        .await;
}

#[tokio::test]
async fn only_forums_have_tags_and_announcements_archive_threads() {
    let world = World::new().await;
    let community = world.community().await;
    let channels = format!("/guilds/{community}/channels");
    let news = json!({"name": "haber", "type": 5, "default_auto_archive_duration": 10080});
    let made = world.make(OWNER, &channels, news).await;
    assert_eq!(
        (&made["type"], &made["default_auto_archive_duration"]),
        (&json!(5), &json!(10080))
    );
    assert_eq!(made.get("available_tags"), None);
    let tags = json!({"name": "x", "type": 5, "available_tags": []});
    world
        .fails(OWNER, "POST", &channels, tags, (400, 50024))
        .await;
    let path = format!("/channels/{}", id(&made));
    let sort = json!({"default_sort_order": 1});
    world.fails(OWNER, "PATCH", &path, sort, (400, 50024)).await;
    let text = world.patch(OWNER, &path, json!({"type": 0})).await;
    assert_eq!(text["type"], 0);
    world
        .fails(OWNER, "PATCH", &path, json!({"type": 15}), (400, 50024))
        .await;
}
