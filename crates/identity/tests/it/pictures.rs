//! Pictures of accounts: by data URI, as stock libraries send them, and by uploads.

use contracts::Identity as _;
use contracts::media::Place;
use kernel::UserId;
use serde_json::{Value, json};

use crate::harness::{House, Session, refusal};

const DIALECT: &str = "/api/v10/users/@me";
const OWN: &str = "/v1/users/@me";
/// "abc" as an image: the fake takes any bytes.
const IMAGE: &str = "data:image/png;base64,YWJj";

fn id(session: &Session) -> UserId {
    session.user.parse().unwrap()
}

async fn set(house: &House, session: &Session, avatar: Value) -> Value {
    let body = json!({ "avatar": avatar });
    let reply = house.call("PATCH", DIALECT, &session.access, body).await;
    reply.expect(200).unwrap().json
}

#[tokio::test]
async fn a_picture_comes_by_data_uri_and_everybody_sees_its_hash() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let me = id(&session);
    let other = house.register("mehmet").await;
    let shown = set(&house, &session, json!(IMAGE)).await;
    let hash = shown["avatar"].as_str().unwrap().to_owned();
    let seen = house
        .get(&format!("/api/v10/users/{me}"), &other.access)
        .await;
    assert_eq!(seen.json["avatar"], json!(hash));
    let card = house.identity.users(&[me]).await.unwrap().remove(0);
    assert_eq!(card.avatar.as_deref(), Some(&*hash));
    let own = house.get(OWN, &session.access).await;
    let url = format!("https://files.test/{hash}.png");
    assert_eq!(own.json["profile_picture_url"], json!(url));
    // Another one takes its place, and null takes it away.
    let next = set(&house, &session, json!("data:image/png;base64,YWJk")).await;
    assert_ne!(next["avatar"], json!(hash));
    assert_eq!(house.media.pictures(Place::Avatar(me)).len(), 1);
    let kept = house
        .call(
            "PATCH",
            DIALECT,
            &session.access,
            json!({"username": "ayse3"}),
        )
        .await;
    assert_eq!(kept.json["avatar"], next["avatar"], "absent leaves it");
    let none = set(&house, &session, Value::Null).await;
    assert_eq!(none["avatar"], Value::Null);
    assert!(house.media.pictures(Place::Avatar(me)).is_empty());
    let own = house.get(OWN, &session.access).await;
    assert_eq!(own.json["profile_picture_url"], Value::Null);
}

#[tokio::test]
async fn an_upload_becomes_a_picture() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let media = house.media.add(id(&session), "me.png", b"abc");
    let change = async |body: Value, version: &str| {
        let headers = [("if-match", version)];
        house
            .call_with("PATCH", OWN, &session.access, &headers, body)
            .await
    };
    let body = json!({ "profile_picture_media_id": media });
    let stale = change(body.clone(), "\"7\"").await;
    assert_eq!(refusal(&stale), (412, "STALE"));
    assert!(
        house.media.files().contains_key(&media),
        "it is not used up"
    );
    let set = change(body, "\"1\"").await.expect(200).unwrap();
    assert!(set.json["profile_picture_url"].is_string());
    let none = change(json!({"profile_picture_media_id": null}), "\"2\"").await;
    assert_eq!(
        none.expect(200).unwrap().json["profile_picture_url"],
        Value::Null
    );
}

#[tokio::test]
async fn what_is_no_picture_is_refused_and_the_old_one_stays() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let before = set(&house, &session, json!(IMAGE)).await;
    for bad in [
        "",
        "YWJj",
        "data:text/html;base64,YWJj",
        "data:image/png;base64,?",
    ] {
        let body = json!({ "avatar": bad });
        let reply = house.call("PATCH", DIALECT, &session.access, body).await;
        assert_eq!(reply.status, 400, "{bad}");
        assert!(reply.json["errors"]["avatar"].is_object(), "{}", reply.json);
    }
    house.media.leave();
    let reply = house
        .call(
            "PATCH",
            DIALECT,
            &session.access,
            json!({ "avatar": IMAGE }),
        )
        .await;
    assert_eq!(reply.status, 503);
    house.media.come_back();
    let now = house.get(DIALECT, &session.access).await;
    assert_eq!(now.json["avatar"], before["avatar"]);
}
