//! Friends and blocks, on both surfaces.

use infra::fanout::{Body, Fanout as _, Topic};
use kernel::UserId;
use serde_json::{Value, json};
use testkit::http::Reply;

use crate::harness::{House, Session, masked, refusal};

const FRIENDS: &str = "/v1/users/@me/friends";
const BLOCKS: &str = "/v1/users/@me/blocks";
const DIALECT: &str = "/api/v10/users/@me/relationships";

async fn ask(house: &House, from: &Session, to: &Session) -> Reply {
    let body = json!({"user_id": to.user});
    house.call("POST", FRIENDS, &from.access, body).await
}

async fn act(house: &House, method: &str, list: &str, who: &Session, other: &Session) -> Reply {
    let path = format!("{list}/{}", other.user);
    house.call(method, &path, &who.access, json!({})).await
}

/// What the dialect's list shows: type and username.
async fn shown(house: &House, who: &Session) -> Vec<(u64, String)> {
    let reply = house.get(DIALECT, &who.access).await.expect(200).unwrap();
    let rows = reply.json.as_array().unwrap().iter();
    rows.map(|row| {
        let name = row["user"]["username"].as_str().unwrap();
        (row["type"].as_u64().unwrap(), name.to_owned())
    })
    .collect()
}

fn one(kind: u64, name: &str) -> Vec<(u64, String)> {
    vec![(kind, name.to_owned())]
}

fn id(session: &Session) -> UserId {
    session.user.parse().unwrap()
}

#[tokio::test]
async fn a_request_is_accepted_and_a_friendship_ended() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let bora = house.register("bora").await;
    for _ in 0..2 {
        ask(&house, &ayse, &bora).await.expect(204).unwrap();
    }
    assert_eq!(shown(&house, &ayse).await, one(4, "bora"));
    assert_eq!(shown(&house, &bora).await, one(3, "ayse"));
    let own = act(&house, "PUT", FRIENDS, &ayse, &bora).await;
    assert_eq!(
        refusal(&own),
        (404, "UNKNOWN_USER"),
        "only the other accepts"
    );
    for _ in 0..2 {
        act(&house, "PUT", FRIENDS, &bora, &ayse)
            .await
            .expect(204)
            .unwrap();
    }
    assert_eq!(shown(&house, &ayse).await, one(1, "bora"));
    let list = house.get(FRIENDS, &bora.access).await.expect(200).unwrap();
    insta::assert_json_snapshot!(masked(list.json), @r#"
    {
      "items": [
        {
          "kind": "friend",
          "since": "[time]",
          "user": {
            "about": null,
            "display_name": "AYSE",
            "id": "[id]",
            "last_seen_at": "[time]",
            "profile_picture_url": null,
            "username": "ayse"
          }
        }
      ]
    }
    "#);
    for _ in 0..2 {
        act(&house, "DELETE", FRIENDS, &ayse, &bora)
            .await
            .expect(204)
            .unwrap();
    }
    assert_eq!(shown(&house, &ayse).await, []);
    assert_eq!(shown(&house, &bora).await, []);
    let events = house.events("identity.relationship_changed.v1").await;
    let kinds: Vec<&Value> = events.iter().map(|event| &event["kind"]).collect();
    assert_eq!(
        kinds,
        [
            "pending_out",
            "pending_in",
            "friend",
            "friend",
            "none",
            "none"
        ]
    );
}

#[tokio::test]
async fn two_who_ask_each_other_at_once_are_friends() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    for round in 0..5 {
        let other = house.register(&format!("u{round}")).await;
        let wishes = (0..6).map(|n| {
            let (from, to) = if n % 2 == 0 {
                (&ayse, &other)
            } else {
                (&other, &ayse)
            };
            ask(&house, from, to)
        });
        for reply in futures::future::join_all(wishes).await {
            reply.expect(204).unwrap();
        }
        assert_eq!(shown(&house, &other).await, one(1, "ayse"));
    }
    assert_eq!(shown(&house, &ayse).await.len(), 5);
}

#[tokio::test]
async fn the_dialect_asks_accepts_declines_and_blocks() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let bora = house.register("bora").await;
    let by_name = json!({"username": "Bora", "discriminator": null});
    house
        .call("POST", DIALECT, &ayse.access, by_name)
        .await
        .expect(204)
        .unwrap();
    let list = house.get(DIALECT, &bora.access).await.expect(200).unwrap();
    insta::assert_json_snapshot!(masked(list.json), @r#"
    [
      {
        "id": "[id]",
        "nickname": null,
        "since": "[time]",
        "type": 3,
        "user": {
          "avatar": null,
          "bot": false,
          "discriminator": "0",
          "global_name": "AYSE",
          "id": "[id]",
          "public_flags": 0,
          "username": "ayse"
        }
      }
    ]
    "#);
    act(&house, "DELETE", DIALECT, &bora, &ayse)
        .await
        .expect(204)
        .unwrap();
    assert_eq!(shown(&house, &ayse).await, [], "declined");
    act(&house, "PUT", DIALECT, &bora, &ayse)
        .await
        .expect(204)
        .unwrap();
    act(&house, "PUT", DIALECT, &ayse, &bora)
        .await
        .expect(204)
        .unwrap();
    assert_eq!(shown(&house, &bora).await, one(1, "ayse"));
    let path = format!("{DIALECT}/{}", bora.user);
    let block = json!({"type": 2});
    house
        .call("PUT", &path, &ayse.access, block)
        .await
        .expect(204)
        .unwrap();
    assert_eq!(shown(&house, &ayse).await, one(2, "bora"));
    assert_eq!(shown(&house, &bora).await, [], "who is blocked is not told");
    let refused = act(&house, "PUT", DIALECT, &bora, &ayse).await;
    assert_eq!(refused.expect(400).unwrap().json["code"], 80000);
    act(&house, "DELETE", DIALECT, &ayse, &bora)
        .await
        .expect(204)
        .unwrap();
    assert_eq!(shown(&house, &ayse).await, []);
    for (name, code) in [("ayse", 80003), ("nobody", 10013)] {
        let body = json!({"username": name});
        let reply = house.call("POST", DIALECT, &ayse.access, body).await;
        assert_eq!(reply.json["code"], code, "{name}");
    }
}

#[tokio::test]
async fn a_block_ends_everything_and_only_its_maker_ends_it() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let bora = house.register("bora").await;
    let book = json!({"user_id": bora.user, "name": "Bora"});
    house
        .call("POST", "/v1/users/@me/contacts", &ayse.access, book)
        .await
        .expect(201)
        .unwrap();
    ask(&house, &ayse, &bora).await.expect(204).unwrap();
    ask(&house, &bora, &ayse).await.expect(204).unwrap();
    for _ in 0..2 {
        act(&house, "PUT", BLOCKS, &bora, &ayse)
            .await
            .expect(204)
            .unwrap();
    }
    assert_eq!(shown(&house, &ayse).await, []);
    let refused = ask(&house, &ayse, &bora).await;
    assert_eq!(refusal(&refused), (400, "FRIEND_REQUEST_REFUSED"));
    let refused = ask(&house, &bora, &ayse).await;
    assert_eq!(refusal(&refused), (400, "FRIEND_REQUEST_REFUSED"));
    // The other side can neither see nor lift it.
    act(&house, "DELETE", BLOCKS, &ayse, &bora)
        .await
        .expect(204)
        .unwrap();
    act(&house, "DELETE", DIALECT, &ayse, &bora)
        .await
        .expect(204)
        .unwrap();
    let list = house.get(BLOCKS, &bora.access).await.expect(200).unwrap();
    assert_eq!(list.json["items"][0]["user"]["username"], "ayse");
    let none = house.get(BLOCKS, &ayse.access).await.expect(200).unwrap();
    assert_eq!(none.json["items"], json!([]));
    // Both may block; each lifts their own.
    act(&house, "PUT", BLOCKS, &ayse, &bora)
        .await
        .expect(204)
        .unwrap();
    act(&house, "DELETE", BLOCKS, &bora, &ayse)
        .await
        .expect(204)
        .unwrap();
    assert_eq!(
        refusal(&ask(&house, &bora, &ayse).await),
        (400, "FRIEND_REQUEST_REFUSED")
    );
    act(&house, "DELETE", BLOCKS, &ayse, &bora)
        .await
        .expect(204)
        .unwrap();
    let book = house.get("/v1/users/@me/contacts", &ayse.access).await;
    assert_eq!(
        book.json["items"][0]["name"], "Bora",
        "the book outlives it"
    );
    ask(&house, &bora, &ayse).await.expect(204).unwrap();
}

#[tokio::test]
async fn who_cannot_be_asked() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let bora = house.register("bora").await;
    let bot = contracts::Identity::create_bot(&*house.identity, id(&ayse), "Helper")
        .await
        .unwrap();
    let closed = json!({"who_may_write": "nobody"});
    house
        .call("PATCH", "/v1/users/@me/privacy", &bora.access, closed)
        .await
        .expect(200)
        .unwrap();
    for (body, refused) in [
        (json!({"user_id": ayse.user}), (400, "YOURSELF")),
        (json!({"user_id": "7"}), (404, "UNKNOWN_USER")),
        (json!({"username": "nobody"}), (404, "UNKNOWN_USER")),
        (json!({"user_id": bot.id}), (400, "FRIENDS_PEOPLE_ONLY")),
        (
            json!({"user_id": bora.user}),
            (400, "FRIEND_REQUEST_REFUSED"),
        ),
        (json!({}), (400, "INVALID_REQUEST")),
    ] {
        let reply = house
            .call("POST", FRIENDS, &ayse.access, body.clone())
            .await;
        assert_eq!(refusal(&reply), refused, "{body}");
    }
    // Whoever takes no requests may still ask.
    ask(&house, &bora, &ayse).await.expect(204).unwrap();
    for (method, path) in [
        ("GET", FRIENDS.to_owned()),
        ("POST", FRIENDS.to_owned()),
        ("PUT", format!("{FRIENDS}/7")),
        ("DELETE", format!("{FRIENDS}/7")),
        ("GET", BLOCKS.to_owned()),
        ("PUT", format!("{BLOCKS}/7")),
        ("DELETE", format!("{BLOCKS}/7")),
        ("GET", DIALECT.to_owned()),
        ("POST", DIALECT.to_owned()),
        ("PUT", format!("{DIALECT}/7")),
        ("DELETE", format!("{DIALECT}/7")),
    ] {
        let reply = house.call(method, &path, "", json!({})).await;
        assert_eq!(reply.status, 401, "{method} {path}");
    }
    let app = testkit::http::app(
        identity::tables(house.identity.clone()).router(),
        house.clock.clone(),
    )
    .unwrap();
    let token = format!("Bot test:{}", bot.id);
    for path in [
        FRIENDS,
        BLOCKS,
        DIALECT,
        "/v1/users/@me/contacts",
        "/v1/users/@me/privacy",
    ] {
        let reply = testkit::http::call(&app, "GET", path, token.as_str(), None).await;
        let status = reply.unwrap().status.as_u16();
        assert!([401, 403].contains(&status), "{path}: {status}");
    }
}

#[tokio::test]
async fn friends_requests_and_blocks_are_bounded() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let fill = async |kind: &str, count: i64| {
        house
            .script(&format!(
                "DELETE FROM identity.relationships;
                 INSERT INTO identity.users (id, username, display_name)
                 SELECT n, 'u' || n, 'U' FROM generate_series(1000, 1999) AS n
                 ON CONFLICT DO NOTHING;
                 INSERT INTO identity.relationships (user_id, other_id, kind)
                 SELECT {}, n, '{kind}' FROM generate_series(1000, 999 + {count}) AS n",
                ayse.user
            ))
            .await;
    };
    let bora = house.register("bora").await;
    let cem = house.register("cem").await;
    fill("pending_out", 99).await;
    ask(&house, &ayse, &bora).await.expect(204).unwrap();
    let full = ask(&house, &ayse, &cem).await;
    assert_eq!(refusal(&full), (400, "RELATIONS_MAX"));
    fill("pending_in", 999).await;
    ask(&house, &bora, &ayse).await.expect(204).unwrap();
    let full = ask(&house, &cem, &ayse).await;
    assert_eq!(refusal(&full), (400, "RELATIONS_MAX"));
    fill("friend", 999).await;
    for friend in [&bora, &cem] {
        ask(&house, friend, &ayse).await.expect(204).unwrap();
    }
    // Two accepted at once: one place is left.
    let accepted = tokio::join!(
        act(&house, "PUT", FRIENDS, &ayse, &bora),
        act(&house, "PUT", FRIENDS, &ayse, &cem),
    );
    let mut statuses = [accepted.0.status.as_u16(), accepted.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 400]);
    fill("block", 999).await;
    act(&house, "PUT", BLOCKS, &ayse, &bora)
        .await
        .expect(204)
        .unwrap();
    let full = act(&house, "PUT", BLOCKS, &ayse, &cem).await;
    assert_eq!(refusal(&full), (400, "RELATIONS_MAX"));
}

#[tokio::test]
async fn requests_are_limited_for_the_day() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let bora = house.register("bora").await;
    for _ in 0..100 {
        ask(&house, &ayse, &bora).await.expect(204).unwrap();
    }
    let refused = ask(&house, &ayse, &bora).await;
    assert_eq!(refusal(&refused), (429, "RATE_LIMITED"));
    assert!(refused.header("retry-after").is_some());
    act(&house, "DELETE", FRIENDS, &ayse, &bora)
        .await
        .expect(204)
        .unwrap();
}

#[tokio::test]
async fn each_side_is_told_of_its_own_change_only() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let bora = house.register("bora").await;
    let (follower, mut mail) = house.fanout.open(64);
    follower
        .follow(&[Topic::User(id(&ayse)), Topic::User(id(&bora))])
        .await
        .unwrap();
    let mut heard = || {
        let mut all = Vec::new();
        while let Some(delivery) = mail.try_next() {
            let Body::Dispatch(dispatch) = &delivery.record.body else {
                continue;
            };
            let data: Value = serde_json::from_slice(&dispatch.data).unwrap();
            let whose = if delivery.topic == Topic::User(id(&ayse)) {
                "ayse"
            } else {
                "bora"
            };
            all.push(format!("{whose} {} {}", dispatch.name, data["type"]));
        }
        all
    };
    ask(&house, &ayse, &bora).await.expect(204).unwrap();
    assert_eq!(
        heard(),
        ["ayse RELATIONSHIP_ADD 4", "bora RELATIONSHIP_ADD 3"]
    );
    ask(&house, &bora, &ayse).await.expect(204).unwrap();
    assert_eq!(
        heard(),
        ["bora RELATIONSHIP_ADD 1", "ayse RELATIONSHIP_ADD 1"]
    );
    act(&house, "PUT", BLOCKS, &bora, &ayse)
        .await
        .expect(204)
        .unwrap();
    assert_eq!(
        heard(),
        ["bora RELATIONSHIP_ADD 2", "ayse RELATIONSHIP_REMOVE 1"]
    );
    act(&house, "DELETE", BLOCKS, &bora, &ayse)
        .await
        .expect(204)
        .unwrap();
    assert_eq!(
        heard(),
        ["bora RELATIONSHIP_REMOVE 2"],
        "the other hears nothing"
    );
}
