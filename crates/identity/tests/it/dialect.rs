//! Users in the chat dialect.

use contracts::Identity as _;
use kernel::UserId;
use serde_json::json;
use testkit::http::call;

use crate::harness::{House, masked};

const ME: &str = "/api/v10/users/@me";

#[tokio::test]
async fn the_current_user_is_whole() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let reply = house.get(ME, &session.access).await.expect(200).unwrap();
    assert_eq!(reply.header("content-type"), Some("application/json"));
    insta::assert_json_snapshot!(masked(reply.json), @r#"
    {
      "avatar": null,
      "bio": null,
      "bot": false,
      "discriminator": "0",
      "email": "ayse@example.com",
      "flags": 0,
      "global_name": "AYSE",
      "id": "[id]",
      "locale": "en",
      "mfa_enabled": false,
      "premium_type": 0,
      "public_flags": 0,
      "username": "ayse",
      "verified": false
    }
    "#);
    let nobody = house.get(ME, "").await.expect(401).unwrap();
    assert_eq!(nobody.json["code"], 0);
}

#[tokio::test]
async fn the_username_changes_and_unknown_fields_are_ignored() {
    let house = House::new().await;
    house.register("fatma").await;
    let session = house.register("ayse").await;
    let body = json!({"username": "ayse2", "avatar": null, "communicationDisabledUntil": 1});
    let reply = house
        .call("PATCH", ME, &session.access, body)
        .await
        .expect(200)
        .unwrap();
    assert_eq!(reply.json["username"], "ayse2");
    let path = format!("/api/v10/users/{}", session.user);
    let seen = house.get(&path, &session.access).await.expect(200).unwrap();
    assert_eq!(
        seen.json["username"], "ayse2",
        "the cache forgot the old name"
    );
    let bad = house
        .call("PATCH", ME, &session.access, json!({"username": "A"}))
        .await;
    let bad = bad.expect(400).unwrap();
    assert_eq!(bad.json["code"], 50035);
    assert_eq!(
        bad.json["errors"]["username"]["_errors"][0]["code"],
        "BAD_FORMAT"
    );
    let taken = house
        .call("PATCH", ME, &session.access, json!({"username": "fatma"}))
        .await;
    taken.expect(409).unwrap();
    house
        .call("PATCH", ME, "", json!({}))
        .await
        .expect(401)
        .unwrap();
}

#[tokio::test]
async fn other_users_are_seen_without_their_addresses() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let fatma = house.register("fatma").await;
    let path = format!("/api/v10/users/{}", fatma.user);
    let reply = house.get(&path, &ayse.access).await.expect(200).unwrap();
    insta::assert_json_snapshot!(masked(reply.json), @r#"
    {
      "avatar": null,
      "bot": false,
      "discriminator": "0",
      "global_name": "FATMA",
      "id": "[id]",
      "public_flags": 0,
      "username": "fatma"
    }
    "#);
    let unknown = house
        .get("/api/v10/users/7", &ayse.access)
        .await
        .expect(404)
        .unwrap();
    assert_eq!(unknown.json["code"], 10013);
    house
        .get("/api/v10/users/x", &ayse.access)
        .await
        .expect(400)
        .unwrap();
    house.get(&path, "").await.expect(401).unwrap();
}

#[tokio::test]
async fn a_bot_reads_itself() {
    let house = House::new().await;
    let owner = house.register("ayse").await;
    let bot = house
        .identity
        .create_bot(owner.user.parse().unwrap(), "Helper")
        .await
        .unwrap();
    let app = testkit::http::app(
        identity::tables(house.identity.clone()).router(),
        house.clock.clone(),
    )
    .unwrap();
    let token = format!("Bot test:{}", bot.id);
    let reply = call(&app, "GET", ME, token.as_str(), None)
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    assert_eq!(reply.json["bot"], true);
    assert_eq!(reply.json["verified"], true);
    assert_eq!(reply.json["username"], "helper");
    let gone = format!("Bot test:{}", UserId::new(7));
    call(&app, "GET", ME, gone.as_str(), None)
        .await
        .unwrap()
        .expect(401)
        .unwrap();
    // A bot has no device, so there is nothing to keep while the others end.
    let devices = "/v1/users/@me/devices";
    let reply = call(&app, "DELETE", devices, token.as_str(), None)
        .await
        .unwrap();
    assert!(
        [401, 403].contains(&reply.status.as_u16()),
        "{}",
        reply.status
    );
}
