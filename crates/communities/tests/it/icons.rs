//! Pictures of communities.

use contracts::media::Place;
use serde_json::{Value, json};

use crate::fixture::{FORBIDDEN, INVALID, MEMBER, OWNER, World};

/// "abc" as an image: the fake takes any bytes.
const IMAGE: &str = "data:image/png;base64,YWJj";

#[tokio::test]
async fn a_picture_comes_is_replaced_and_goes() {
    let world = World::new().await;
    let community = world.community().await;
    let at = format!("/guilds/{community}");
    let set = async |icon: Value| {
        world
            .ok(OWNER, "PATCH", &at, json!({ "icon": icon }), 200)
            .await
    };
    let shown = async || world.media.pictures(Place::Icon(community)).len();
    let first = set(json!(IMAGE)).await["icon"].clone();
    assert!(first.is_string());
    let read = world.ok(OWNER, "GET", &at, Value::Null, 200).await;
    assert_eq!(read["icon"], first);
    let next = set(json!("data:image/png;base64,YWJk")).await["icon"].clone();
    assert!(next.is_string() && next != first);
    assert_eq!(shown().await, 1, "the one before is let go");
    let named = world
        .ok(OWNER, "PATCH", &at, json!({"name": "Square"}), 200)
        .await;
    assert_eq!(named["icon"], next, "absent leaves it");
    assert_eq!(set(Value::Null).await["icon"], Value::Null);
    assert_eq!(shown().await, 0);
}

#[tokio::test]
async fn who_may_not_manage_sets_none_and_what_is_none_is_refused() {
    let world = World::new().await;
    let community = world.community().await;
    world.join(community, MEMBER).await;
    let at = format!("/guilds/{community}");
    let body = json!({ "icon": IMAGE });
    world.fails(MEMBER, "PATCH", &at, body, FORBIDDEN).await;
    for bad in [
        "",
        "YWJj",
        "data:text/html;base64,YWJj",
        "data:image/png;base64,?",
    ] {
        let body = json!({ "icon": bad });
        world.fails(OWNER, "PATCH", &at, body, INVALID).await;
    }
    // One that is refused for another reason leaves no picture behind.
    let body = json!({ "icon": IMAGE, "system_channel_id": "1" });
    let reply = world.call(OWNER, "PATCH", &at, body).await;
    assert!(reply.status.is_client_error(), "{:?}", reply.json);
    assert!(world.media.pictures(Place::Icon(community)).is_empty());
}
