//! Staff who act as a user.

use identity::{Approver, Settings};
use kernel::PlatformRole::{Finance, Superadmin, Support};
use serde_json::{Value, json};
use testkit::http::Reply;

use crate::harness::{House, PASSWORD, Session, masked, refusal, settings};

const PATH: &str = "/v1/auth/impersonations";
const DEVICES: &str = "/v1/users/@me/devices";

async fn ask(house: &House, staff: &Session, user: &Session) -> Reply {
    let body = json!({"user_id": user.user, "reason": "cannot find the settings"});
    house.call("POST", PATH, &staff.access, body).await
}

fn access(reply: &Reply) -> &str {
    reply.json["access_token"].as_str().unwrap()
}

/// The acting came to its end, and its token with it.
async fn is_over(house: &House, begun: &Reply) {
    house.announced().await;
    let me = house.get("/v1/users/@me", access(begun)).await;
    assert_eq!(me.status, 401);
}

#[tokio::test]
async fn s7_an_impersonation_is_listed_and_has_no_refresh_token() {
    let house = House::new().await;
    let support = house.staff("destek", Support).await;
    let ayse = house.register("ayse").await;
    let begun = ask(&house, &support, &ayse).await.expect(201).unwrap();
    insta::assert_json_snapshot!(masked(begun.json.clone()), @r#"
    {
      "access_token": "[token]",
      "expires_in": 900,
      "id": "[id]",
      "state": "active"
    }
    "#);
    let me = house
        .get("/v1/users/@me", access(&begun))
        .await
        .expect(200)
        .unwrap();
    assert_eq!(me.json["username"], "ayse");
    assert_eq!(
        me.json["impersonated_by"],
        json!(me.headers["x-impersonated-by"].to_str().unwrap())
    );
    assert_eq!(
        me.headers["x-impersonated-by"].to_str().unwrap(),
        support.user
    );
    let list = house.get(DEVICES, &ayse.access).await.expect(200).unwrap();
    let device = &list.json["items"][0];
    assert_eq!(
        (&device["id"], &device["kind"]),
        (&begun.json["id"], &json!("support"))
    );
    let told = house.events("identity.impersonation_started.v1").await;
    assert_eq!(told, [json!({"impersonation_id": begun.json["id"]})]);
    let actor =
        "SELECT actor FROM identity.outbox WHERE type = 'identity.impersonation_started.v1'";
    assert_eq!(house.count(actor).await.to_string(), support.user);
    let created = "SELECT count(DISTINCT actor) FROM identity.outbox WHERE type = 'identity.device_created.v1'";
    assert_eq!(
        house.count(created).await,
        2,
        "support's own login, theirs as Ayşe, Ayşe's"
    );
}

#[tokio::test]
async fn the_user_sees_and_ends_it() {
    let house = House::new().await;
    let support = house.staff("destek", Support).await;
    let ayse = house.register("ayse").await;
    let begun = ask(&house, &support, &ayse).await.expect(201).unwrap();
    let device = format!("{DEVICES}/{}", begun.json["id"].as_str().unwrap());
    house
        .call("DELETE", &device, &ayse.access, Value::Null)
        .await
        .expect(204)
        .unwrap();
    is_over(&house, &begun).await;
    house
        .get("/v1/users/@me", &ayse.access)
        .await
        .expect(200)
        .unwrap();
}

#[tokio::test]
async fn it_ends_after_a_quarter_of_an_hour_or_when_staff_stop() {
    let house = House::new().await;
    let support = house.staff("destek", Support).await;
    let other = house.staff("yardim", Support).await;
    let ayse = house.register("ayse").await;
    let begun = ask(&house, &support, &ayse).await.expect(201).unwrap();
    let path = format!("{PATH}/{}", begun.json["id"].as_str().unwrap());
    let foreign = house
        .call("DELETE", &path, &other.access, Value::Null)
        .await;
    assert_eq!(refusal(&foreign), (404, "NOT_FOUND"));
    for _ in 0..2 {
        house
            .call("DELETE", &path, &support.access, Value::Null)
            .await
            .expect(204)
            .unwrap();
    }
    is_over(&house, &begun).await;
    let again = ask(&house, &support, &ayse).await.expect(201).unwrap();
    house.wait(15 * 60 + 31);
    assert_eq!(house.get("/v1/users/@me", access(&again)).await.status, 401);
    let fresh = house.log_in("destek").await;
    let path = format!("{PATH}/7");
    let unknown = house
        .call("DELETE", &path, &fresh.access, Value::Null)
        .await;
    assert_eq!(refusal(&unknown), (404, "NOT_FOUND"));
}

#[tokio::test]
async fn what_protects_the_account_is_out_of_reach() {
    let house = House::new().await;
    let support = house.staff("destek", Support).await;
    let ayse = house.register("ayse").await;
    let begun = ask(&house, &support, &ayse).await.expect(201).unwrap();
    let blocked = [
        (
            "PUT",
            "/v1/users/@me/password",
            json!({"current_password": PASSWORD, "new_password": "başka bir uzun parola"}),
        ),
        (
            "PUT",
            "/v1/users/@me/password",
            json!({"new_password": "başka bir uzun parola"}),
        ),
        (
            "POST",
            "/v1/users/@me/api-keys",
            json!({"name": "x", "scopes": ["users:read"]}),
        ),
        ("GET", "/v1/users/@me/api-keys", Value::Null),
        ("DELETE", "/v1/users/@me/api-keys/1", Value::Null),
        ("DELETE", DEVICES, Value::Null),
        ("POST", "/v1/auth/ws-tickets", Value::Null),
        ("POST", "/v1/auth/logout-all", Value::Null),
        ("POST", PATH, json!({"user_id": ayse.user, "reason": "x"})),
        ("GET", "/v1/users/search?query=ayse", Value::Null),
    ];
    for (method, path, body) in blocked {
        let reply = house.call(method, path, access(&begun), body).await;
        assert_eq!(refusal(&reply), (403, "FORBIDDEN"), "{method} {path}");
    }
    house
        .refresh(&ayse.refresh, None)
        .await
        .expect(200)
        .unwrap();
}

#[tokio::test]
async fn staff_bots_and_the_disabled_are_nobody_to_act_as() {
    let house = House::new().await;
    let admin = house.staff("yonetici", Superadmin).await;
    let money = house.staff("kasa", Finance).await;
    let ayse = house.register("ayse").await;
    for target in [&admin, &money] {
        let reply = ask(&house, &admin, target).await;
        assert_eq!(refusal(&reply), (403, "FORBIDDEN"));
    }
    for staff in [&money, &ayse] {
        assert_eq!(
            refusal(&ask(&house, staff, &ayse).await),
            (403, "FORBIDDEN")
        );
    }
    house
        .script("UPDATE identity.users SET state = 'disabled' WHERE username = 'ayse'")
        .await;
    assert_eq!(
        refusal(&ask(&house, &admin, &ayse).await),
        (404, "NOT_FOUND")
    );
    let owner = admin.user.parse().unwrap();
    let bot = contracts::Identity::create_bot(&*house.identity, owner, "bot")
        .await
        .unwrap();
    for (user, reason) in [(bot.id.to_string(), "x"), ("7".to_owned(), "x")] {
        let body = json!({"user_id": user, "reason": reason});
        let reply = house.call("POST", PATH, &admin.access, body).await;
        assert_eq!(refusal(&reply), (404, "NOT_FOUND"));
    }
    let unsaid = json!({"user_id": ayse.user, "reason": ""});
    let unsaid = house.call("POST", PATH, &admin.access, unsaid).await;
    assert_eq!(refusal(&unsaid), (400, "INVALID_REQUEST"));
    let nobody = house
        .post(PATH, json!({"user_id": ayse.user, "reason": "x"}))
        .await;
    assert_eq!(refusal(&nobody), (401, "UNAUTHENTICATED"));
    house.wait(301);
    assert_eq!(
        refusal(&ask(&house, &admin, &ayse).await),
        (403, "STEP_UP_REQUIRED")
    );
}

#[tokio::test]
async fn whoever_loses_the_role_stops_acting() {
    let house = House::new().await;
    let admin = house.staff("yonetici", Superadmin).await;
    let (one, two) = (
        house.staff("destek", Support).await,
        house.staff("yardim", Support).await,
    );
    let ayse = house.register("ayse").await;
    let first = ask(&house, &one, &ayse).await.expect(201).unwrap();
    let second = ask(&house, &two, &ayse).await.expect(201).unwrap();
    let body = json!({"roles": ["finance"], "reason": "moves on"});
    house
        .call(
            "PUT",
            &format!("/v1/users/{}/roles", one.user),
            &admin.access,
            body,
        )
        .await
        .expect(204)
        .unwrap();
    let body = json!({"reason": "stolen laptop"});
    house
        .call(
            "POST",
            &format!("/v1/users/{}/disable", two.user),
            &admin.access,
            body,
        )
        .await
        .expect(204)
        .unwrap();
    for begun in [&first, &second] {
        is_over(&house, begun).await;
    }
    house
        .get("/v1/users/@me", &ayse.access)
        .await
        .expect(200)
        .unwrap();
}

#[tokio::test]
async fn whoever_becomes_staff_is_acted_as_no_more() {
    let house = House::new().await;
    let admin = house.staff("yonetici", Superadmin).await;
    let support = house.staff("destek", Support).await;
    let ayse = house.register("ayse").await;
    let begun = ask(&house, &support, &ayse).await.expect(201).unwrap();
    let body = json!({"roles": ["superadmin"], "reason": "joins us"});
    house
        .call(
            "PUT",
            &format!("/v1/users/{}/roles", ayse.user),
            &admin.access,
            body,
        )
        .await
        .expect(204)
        .unwrap();
    is_over(&house, &begun).await;
}

fn with_approver() -> Settings {
    let mut settings = settings();
    settings.impersonation = Approver::Required;
    settings
}

#[tokio::test]
async fn a_second_member_of_staff_agrees_where_the_settings_demand_it() {
    let house = House::with(with_approver()).await;
    let support = house.staff("destek", Support).await;
    let other = house.staff("yardim", Support).await;
    let ayse = house.register("ayse").await;
    let asked = ask(&house, &support, &ayse).await.expect(202).unwrap();
    assert_eq!(asked.json["state"], "pending");
    assert!(asked.json.get("access_token").is_none());
    let path = format!("{PATH}/{}", asked.json["id"].as_str().unwrap());
    let (start, approve) = (format!("{path}/start"), format!("{path}/approve"));
    let call =
        async |path: &str, who: &Session| house.call("POST", path, &who.access, Value::Null).await;
    assert_eq!(
        refusal(&call(&start, &support).await),
        (404, "NOT_FOUND"),
        "not approved"
    );
    assert_eq!(
        refusal(&call(&approve, &support).await),
        (404, "NOT_FOUND"),
        "one's own"
    );
    assert_eq!(refusal(&call(&approve, &ayse).await), (403, "FORBIDDEN"));
    assert_eq!(refusal(&call(&start, &ayse).await), (403, "FORBIDDEN"));
    call(&approve, &other).await.expect(204).unwrap();
    assert_eq!(
        refusal(&call(&approve, &other).await),
        (404, "NOT_FOUND"),
        "twice"
    );
    assert_eq!(
        refusal(&call(&start, &other).await),
        (404, "NOT_FOUND"),
        "another's"
    );
    let begun = call(&start, &support).await.expect(201).unwrap();
    house
        .get("/v1/users/@me", access(&begun))
        .await
        .expect(200)
        .unwrap();
    assert_eq!(
        refusal(&call(&start, &support).await),
        (404, "NOT_FOUND"),
        "once"
    );
    let list = house.get(PATH, &other.access).await.expect(200).unwrap();
    insta::assert_json_snapshot!(masked(list.json["items"][0].clone()), @r#"
    {
      "approved_by": "[id]",
      "asked_at": "[time]",
      "id": "[id]",
      "reason": "cannot find the settings",
      "staff_id": "[id]",
      "started_at": "[time]",
      "state": "active",
      "user_id": "[id]"
    }
    "#);
    for path in [&start, &approve] {
        let nobody = house.post(path, Value::Null).await;
        assert_eq!(refusal(&nobody), (401, "UNAUTHENTICATED"));
    }
}

#[tokio::test]
async fn wishes_wait_an_hour_and_can_be_taken_back() {
    let house = House::with(with_approver()).await;
    let support = house.staff("destek", Support).await;
    let ayse = house.register("ayse").await;
    let old = ask(&house, &support, &ayse).await.expect(202).unwrap();
    house.staff("yardim", Support).await;
    house.wait(3601);
    let (support, other) = (house.log_in("destek").await, house.log_in("yardim").await);
    let approve = |reply: &Reply| format!("{PATH}/{}/approve", reply.json["id"].as_str().unwrap());
    let late = house
        .call("POST", &approve(&old), &other.access, Value::Null)
        .await;
    assert_eq!(refusal(&late), (404, "NOT_FOUND"));
    let new = ask(&house, &support, &ayse).await.expect(202).unwrap();
    let states = async || {
        let list = house
            .get(&format!("{PATH}?limit=2"), &other.access)
            .await
            .expect(200)
            .unwrap();
        let items = list.json["items"].as_array().unwrap().clone();
        items
            .iter()
            .map(|item| item["state"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(states().await, ["pending", "over"]);
    house
        .call("POST", &approve(&new), &other.access, Value::Null)
        .await
        .expect(204)
        .unwrap();
    assert_eq!(states().await, ["approved", "over"]);
    let path = format!("{PATH}/{}", new.json["id"].as_str().unwrap());
    house
        .call("DELETE", &path, &support.access, Value::Null)
        .await
        .expect(204)
        .unwrap();
    assert_eq!(states().await, ["over"]);
    let page = house.get(&format!("{PATH}?limit=0"), &other.access).await;
    assert_eq!(refusal(&page), (400, "INVALID_REQUEST"));
    assert_eq!(
        refusal(&house.get(PATH, &ayse.access).await).0,
        401,
        "an hour old"
    );
}
