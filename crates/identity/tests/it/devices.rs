//! The list of devices and signing them out.

use serde_json::{Value, json};

use crate::harness::{House, PASSWORD, Session, masked, refusal};

const PATH: &str = "/v1/users/@me/devices";

#[tokio::test]
async fn s7_a_password_login_is_listed_and_its_refresh_token_is_single_use() {
    let house = House::new().await;
    house.register("ayse").await;
    let body = json!({
        "identifier": "ayse", "password": PASSWORD,
        "device": {"device_name": "Ayşe's laptop", "device_type": "desktop"},
    });
    let headers = [("user-agent", "tests/1.0")];
    let reply = house
        .call_with("POST", "/v1/auth/login", "", &headers, body)
        .await;
    let session = Session::of(&reply.expect(200).unwrap());
    let list = house.get(PATH, &session.access).await.expect(200).unwrap();
    assert_eq!(list.json["items"][0]["id"], json!(session.device));
    insta::assert_json_snapshot!(masked(list.json["items"][0].clone()), @r#"
    {
      "amr": [
        "pwd"
      ],
      "created_at": "[time]",
      "current": true,
      "device_name": "Ayşe's laptop",
      "device_type": "desktop",
      "id": "[id]",
      "ip": "127.0.0.1",
      "kind": "token",
      "last_seen_at": "[time]",
      "user_agent": "tests/1.0"
    }
    "#);
    assert_eq!(list.json["items"].as_array().unwrap().len(), 2);
    house
        .refresh(&session.refresh, None)
        .await
        .expect(200)
        .unwrap();
    let again = house.refresh(&session.refresh, None).await;
    assert_eq!(refusal(&again), (401, "REFRESH_ROTATED"));
}

#[tokio::test]
async fn sign_up_and_set_up_are_listed_too() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let list = house.get(PATH, &session.access).await.expect(200).unwrap();
    assert_eq!(list.json["items"][0]["id"], json!(session.device));
    house
        .refresh(&session.refresh, None)
        .await
        .expect(200)
        .unwrap();
    assert_eq!(house.refresh(&session.refresh, None).await.status, 401);
}

#[tokio::test]
async fn the_list_has_pages() {
    let house = House::new().await;
    let mut sessions = vec![house.register("ayse").await];
    for _ in 0..4 {
        sessions.push(house.log_in("ayse").await);
    }
    let access = &sessions[0].access;
    let mut seen = Vec::new();
    let mut path = format!("{PATH}?limit=2");
    loop {
        let page = house.get(&path, access).await.expect(200).unwrap();
        let items = page.json["items"].as_array().unwrap();
        assert!((1..=2).contains(&items.len()));
        seen.extend(
            items
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page.json["next_cursor"].as_str() else {
            break;
        };
        path = format!("{PATH}?limit=2&cursor={cursor}");
    }
    let newest_first: Vec<String> = sessions
        .iter()
        .rev()
        .map(|session| session.device.clone())
        .collect();
    assert_eq!(seen, newest_first);
    for bad in [
        "?limit=0",
        "?limit=101",
        "?limit=x",
        "?cursor=x",
        "?other=1",
    ] {
        let reply = house.get(&format!("{PATH}{bad}"), access).await;
        assert_eq!(refusal(&reply), (400, "INVALID_REQUEST"), "{bad}");
    }
    assert_eq!(
        refusal(&house.get(PATH, "").await),
        (401, "UNAUTHENTICATED")
    );
}

#[tokio::test]
async fn one_signs_out_own_devices_only() {
    let house = House::new().await;
    let mine = house.register("ayse").await;
    let second = house.log_in("ayse").await;
    let theirs = house.register("fatma").await;
    let path = |device: &str| format!("{PATH}/{device}");
    let foreign = house
        .call("DELETE", &path(&theirs.device), &mine.access, Value::Null)
        .await;
    assert_eq!(refusal(&foreign), (404, "NOT_FOUND"));
    house
        .refresh(&theirs.refresh, None)
        .await
        .expect(200)
        .unwrap();
    let gone = house
        .call("DELETE", &path(&second.device), &mine.access, Value::Null)
        .await;
    gone.expect(204).unwrap();
    assert_eq!(house.announced().await.len(), 1);
    assert_eq!(house.get(PATH, &second.access).await.status, 401);
    let again = house
        .call("DELETE", &path(&second.device), &mine.access, Value::Null)
        .await;
    assert_eq!(refusal(&again), (404, "NOT_FOUND"));
    let bad = house
        .call("DELETE", &path("x"), &mine.access, Value::Null)
        .await;
    assert_eq!(refusal(&bad), (400, "INVALID_REQUEST"));
    let nobody = house
        .call("DELETE", &path(&mine.device), "", Value::Null)
        .await;
    assert_eq!(refusal(&nobody), (401, "UNAUTHENTICATED"));
    let list = house.get(PATH, &mine.access).await.expect(200).unwrap();
    assert_eq!(list.json["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn all_others_are_signed_out_and_the_current_one_stays() {
    let house = House::new().await;
    let mine = house.register("ayse").await;
    let others = [house.log_in("ayse").await, house.log_in("ayse").await];
    let reply = house.call("DELETE", PATH, &mine.access, Value::Null).await;
    reply.expect(204).unwrap();
    assert_eq!(house.announced().await.len(), 2);
    for other in others {
        assert_eq!(house.get(PATH, &other.access).await.status, 401);
        assert_eq!(house.refresh(&other.refresh, None).await.status, 401);
    }
    house
        .refresh(&mine.refresh, None)
        .await
        .expect(200)
        .unwrap();
    let nobody = house.call("DELETE", PATH, "", Value::Null).await;
    assert_eq!(refusal(&nobody), (401, "UNAUTHENTICATED"));
    let revoked = house.events("identity.device_revoked.v1").await;
    assert!(revoked.len() == 2 && revoked.iter().all(|event| event["reason"] == "user"));
}
