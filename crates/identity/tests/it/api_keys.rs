//! API keys: made once, shown once, limited to their scopes, void at once.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::harness::{House, Session, masked, names_field, refusal};

const PATH: &str = "/v1/users/@me/api-keys";

fn wish(scopes: &[&str]) -> Value {
    json!({"name": "nightly", "scopes": scopes, "expires_in_days": 30})
}

async fn made(house: &House, owner: &Session, scopes: &[&str]) -> (String, String) {
    let reply = house
        .call("POST", PATH, &owner.access, wish(scopes))
        .await
        .expect(201)
        .unwrap();
    let text = |name: &str| reply.json[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

#[tokio::test]
async fn a_key_opens_what_its_scopes_name_and_nothing_else() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let (_, key) = made(&house, &ayse, &["profile:read"]).await;
    let me = house.get("/v1/users/@me", &key).await.expect(200).unwrap();
    assert_eq!(me.json["username"], "ayse");
    let closed = [
        ("PATCH", "/v1/users/@me"),
        ("GET", "/v1/users?ids=1"),
        ("GET", "/v1/users/@me/devices"),
        ("DELETE", "/v1/users/@me/devices"),
        ("PUT", "/v1/users/@me/password"),
        ("GET", PATH),
        ("POST", PATH),
        ("DELETE", "/v1/users/@me/api-keys/1"),
        ("GET", "/v1/users/search?query=ayse"),
        ("POST", "/v1/auth/ws-tickets"),
    ];
    for (method, path) in closed {
        let reply = house.call(method, path, &key, json!({})).await;
        assert_eq!(refusal(&reply), (403, "FORBIDDEN"), "{method} {path}");
    }
    // The chat surface knows people and bots only.
    assert_eq!(house.get("/api/v10/users/@me", &key).await.status, 401);
}

#[tokio::test]
async fn the_key_is_told_once_and_stored_as_a_hash() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let reply = house
        .call("POST", PATH, &ayse.access, wish(&["users:read"]))
        .await
        .expect(201)
        .unwrap();
    let key = reply.json["key"].as_str().unwrap();
    assert_eq!(kernel::api_key::prefix(key), reply.json["prefix"].as_str());
    let list = house.get(PATH, &ayse.access).await.expect(200).unwrap();
    assert!(!list.json.to_string().contains(key));
    let mut shown = list.json["items"][0].clone();
    shown["prefix"] = json!("[prefix]");
    insta::assert_json_snapshot!(masked(shown), @r#"
    {
      "created_at": "[time]",
      "expires_at": "[time]",
      "id": "[id]",
      "last_used_at": null,
      "name": "nightly",
      "prefix": "[prefix]",
      "scopes": [
        "users:read"
      ]
    }
    "#);
    let secret = key.rsplit('_').nth(1).unwrap();
    for table in ["api_keys", "outbox"] {
        let found: db::Sql = db::Sql::new(
            "identity.test_leak",
            match table {
                "api_keys" => {
                    "SELECT count(*) FROM identity.api_keys t WHERE t::text LIKE '%' || $1 || '%'"
                }
                _ => "SELECT count(*) FROM identity.outbox t WHERE t::text LIKE '%' || $1 || '%'",
            },
        );
        let rows: i64 = found.bind(&secret).scalar(&house.admin).await.unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

#[tokio::test]
async fn a_key_that_was_taken_back_is_void_at_once() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let fatma = house.register("fatma").await;
    let (id, key) = made(&house, &ayse, &["profile:read"]).await;
    house.get("/v1/users/@me", &key).await.expect(200).unwrap();
    let path = format!("{PATH}/{id}");
    let foreign = house
        .call("DELETE", &path, &fatma.access, Value::Null)
        .await;
    assert_eq!(refusal(&foreign), (404, "NOT_FOUND"));
    house
        .call("DELETE", &path, &ayse.access, Value::Null)
        .await
        .expect(204)
        .unwrap();
    house.announced().await;
    assert_eq!(house.get("/v1/users/@me", &key).await.status, 401);
    let again = house.call("DELETE", &path, &ayse.access, Value::Null).await;
    assert_eq!(refusal(&again), (404, "NOT_FOUND"));
    let list = house.get(PATH, &ayse.access).await.expect(200).unwrap();
    assert_eq!(list.json["items"], json!([]));
    assert_eq!(
        house.events("identity.api_key_revoked.v1").await,
        [json!({"key_id": id})]
    );
}

#[tokio::test]
async fn keys_end_by_themselves_and_with_their_owner() {
    let house = House::new().await;
    let support = house.staff("destek", kernel::PlatformRole::Support).await;
    let ayse = house.register("ayse").await;
    let (_, key) = made(&house, &ayse, &["profile:read"]).await;
    let disable = format!("/v1/users/{}/disable", ayse.user);
    house.get("/v1/users/@me", &key).await.expect(200).unwrap();
    let reason = json!({"reason": "spam"});
    house
        .call("POST", &disable, &support.access, reason.clone())
        .await
        .expect(204)
        .unwrap();
    house.announced().await;
    assert_eq!(house.get("/v1/users/@me", &key).await.status, 401);
    let enable = format!("/v1/users/{}/enable", ayse.user);
    house
        .call("POST", &enable, &support.access, reason)
        .await
        .expect(204)
        .unwrap();
    house.wait(6);
    house.get("/v1/users/@me", &key).await.expect(200).unwrap();
    house.wait(30 * 24 * 3600 - 7);
    house.get("/v1/users/@me", &key).await.expect(200).unwrap();
    house.wait(31);
    assert_eq!(house.get("/v1/users/@me", &key).await.status, 401);
}

#[tokio::test]
async fn use_is_noted_once_a_minute() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let (_, key) = made(&house, &ayse, &["profile:read"]).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        house.get("/v1/users/@me", &key).await.expect(200).unwrap();
        let list = house.get(PATH, &ayse.access).await.expect(200).unwrap();
        seen.push(list.json["items"][0]["last_used_at"].to_string());
        house.wait(31);
    }
    assert_eq!(seen[0], seen[1], "31 s later");
    assert_ne!(seen[1], seen[2], "62 s later");
    assert_eq!(seen[2], seen[3]);
}

#[tokio::test]
async fn an_account_has_twenty_keys_however_fast_they_are_asked_for() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    for _ in 0..15 {
        made(&house, &ayse, &["users:read"]).await;
    }
    let asked = (0..10).map(|_| house.call("POST", PATH, &ayse.access, wish(&["users:read"])));
    let answers = futures::future::join_all(asked).await;
    let refused = answers
        .iter()
        .filter(|reply| refusal(reply) == (409, "TOO_MANY_KEYS"))
        .count();
    assert_eq!(refused, 5);
    let list = house.get(PATH, &ayse.access).await.expect(200).unwrap();
    let items = list.json["items"].as_array().unwrap();
    assert_eq!(items.len(), 20);
    let oldest = items[19]["id"].as_str().unwrap();
    house
        .call(
            "DELETE",
            &format!("{PATH}/{oldest}"),
            &ayse.access,
            Value::Null,
        )
        .await
        .expect(204)
        .unwrap();
    made(&house, &ayse, &["users:read"]).await;
}

#[tokio::test]
async fn wishes_for_keys_are_checked() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let ask = async |body: Value| house.call("POST", PATH, &ayse.access, body).await;
    let unknown = ask(wish(&["admin"])).await;
    assert_eq!(refusal(&unknown), (400, "SCOPE_UNKNOWN"));
    for (body, pointer) in [
        (wish(&[]), "/scopes"),
        (json!({"name": " ", "scopes": ["users:read"]}), "/name"),
        (
            json!({"name": "x", "scopes": ["users:read"], "expires_in_days": 366}),
            "/expires_in_days",
        ),
        (
            json!({"name": "x", "scopes": ["users:read"], "expires_in_days": 0}),
            "/expires_in_days",
        ),
    ] {
        let reply = ask(body).await;
        assert_eq!(refusal(&reply), (400, "INVALID_REQUEST"), "{pointer}");
        assert!(names_field(&reply, pointer), "{pointer}");
    }
    let nobody = house.call("POST", PATH, "", wish(&["users:read"])).await;
    assert_eq!(refusal(&nobody), (401, "UNAUTHENTICATED"));
    for (method, path) in [("GET", PATH), ("DELETE", "/v1/users/@me/api-keys/1")] {
        let nobody = house.call(method, path, "", Value::Null).await;
        assert_eq!(refusal(&nobody), (401, "UNAUTHENTICATED"), "{method}");
    }
    house.wait(301);
    let stale = ask(wish(&["users:read"])).await;
    assert_eq!(refusal(&stale), (403, "STEP_UP_REQUIRED"));
}

#[tokio::test]
async fn every_scope_of_a_route_is_one_that_keys_can_have_and_the_other_way_round() {
    let house = House::new().await;
    let table = identity::tables(Arc::clone(&house.identity));
    let used: std::collections::BTreeSet<&str> = table
        .operations()
        .iter()
        .filter_map(|operation| operation.demands.scope)
        .collect();
    let known: std::collections::BTreeSet<&str> =
        identity::SCOPES.iter().map(|(scope, _)| *scope).collect();
    assert_eq!(used, known);
}
