//! Who may read what.

use serde_json::json;

use crate::fixture::{AYSE, BOSS, MEHMET, World, event};

#[tokio::test]
async fn people_read_what_happened_to_themselves_page_by_page() {
    let world = World::new().await;
    world.sealed(1..=5).await;
    world
        .bring(&event(6, MEHMET, "identity.device_created.v1"))
        .await;
    world.audit.seal().await.unwrap();
    let path = "/v1/users/@me/activity?limit=2";
    let mut seen = Vec::new();
    let mut next = path.to_owned();
    loop {
        let page = world.get(AYSE, &next).await.expect(200).unwrap().json;
        for entry in page["items"].as_array().unwrap() {
            assert_eq!(entry["actor"], json!(AYSE));
            seen.push(entry["id"].as_str().unwrap().to_owned());
        }
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        next = format!("{path}&cursor={cursor}");
    }
    assert_eq!(seen, ["5", "4", "3", "2", "1"]);
    for limit in ["0", "101"] {
        let path = format!("/v1/users/@me/activity?limit={limit}");
        assert_eq!(world.get(AYSE, &path).await.status, 400);
    }
}

#[tokio::test]
async fn only_administrators_read_all_and_they_can_search() {
    let world = World::new().await;
    world.sealed(1..=2).await;
    world
        .bring(&event(3, MEHMET, "identity.device_created.v1"))
        .await;
    world.audit.seal().await.unwrap();
    let path = "/v1/audit/entries";
    assert_eq!(world.get(AYSE, path).await.status, 403);
    for (query, ids) in [
        ("", vec!["3", "2", "1"]),
        ("?subject=1002", vec!["3"]),
        ("?actor=1001", vec!["2", "1"]),
        ("?kind=identity.device_created.v1", vec!["3"]),
        ("?kind=%00", vec![]),
        ("?actor=1001&subject=1002", vec![]),
    ] {
        let page = world.get(BOSS, &format!("{path}{query}")).await;
        let page = page.expect(200).unwrap().json;
        let found: Vec<&str> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["id"].as_str().unwrap())
            .collect();
        assert_eq!(found, ids, "{query}");
    }
}
