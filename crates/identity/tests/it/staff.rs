//! What staff do to accounts.

use contracts::Credentials as _;
use kernel::PlatformRole::{Finance, Moderator, Superadmin, Support};
use serde_json::{Value, json};

use crate::harness::{House, PASSWORD, Session, masked, names_field, refusal};

const WHY: &str = "a letter of the court";

fn path(user: &Session, act: &str) -> String {
    format!("/v1/users/{}/{act}", user.user)
}

async fn found(house: &House, token: &str, query: &str) -> Vec<String> {
    let path = format!("/v1/users/search?query={query}");
    let reply = house.get(&path, token).await.expect(200).unwrap();
    let items = reply.json["items"].as_array().unwrap();
    let name = |item: &Value| item["username"].as_str().unwrap().to_owned();
    items.iter().map(name).collect()
}

#[tokio::test]
async fn people_are_found_by_names_addresses_and_ids() {
    let house = House::new().await;
    let support = house.staff("destek", Support).await;
    let ayse = house.register("ayse").await;
    house.register("ayse_two").await;
    house
        .script(
            "UPDATE identity.users SET display_name = 'Şükrü Öğüt', phone_number = '+905321234567'
              WHERE username = 'ayse_two'",
        )
        .await;
    let token = &support.access;
    assert_eq!(found(&house, token, "ay").await, ["ayse_two", "ayse"]);
    assert_eq!(found(&house, token, "AYSE_").await, ["ayse_two"]);
    // The underscore and the percent sign mean themselves.
    assert!(found(&house, token, "a_").await.is_empty());
    assert!(found(&house, token, "%25y").await.is_empty());
    for name in ["SUKRU", "%C5%9F%C3%BCkr%C3%BC%20o", "Sukru"] {
        assert_eq!(found(&house, token, name).await, ["ayse_two"], "{name}");
    }
    assert_eq!(found(&house, token, "Ayse@Example.com").await, ["ayse"]);
    assert_eq!(
        found(&house, token, "%2B90%20532%20123%2045%2067").await,
        ["ayse_two"]
    );
    assert_eq!(found(&house, token, &ayse.user).await, ["ayse"]);
    assert!(found(&house, token, "nobody").await.is_empty());
    assert!(
        found(&house, token, "yse").await.is_empty(),
        "only beginnings"
    );
    let reply = house
        .get("/v1/users/search?query=ayse@example.com", token)
        .await;
    insta::assert_json_snapshot!(masked(reply.json["items"][0].clone()), @r#"
    {
      "created_at": "[time]",
      "display_name": "AYSE",
      "has_email": true,
      "has_phone": false,
      "id": "[id]",
      "roles": [],
      "state": "active",
      "username": "ayse"
    }
    "#);
}

#[tokio::test]
async fn the_search_has_pages_and_bounds_and_shows_no_bots() {
    let house = House::new().await;
    let admin = house.staff("yonetici", Superadmin).await;
    for name in ["mert1", "mert2", "mert3"] {
        house.register(name).await;
    }
    let owner = admin.user.parse().unwrap();
    contracts::Identity::create_bot(&*house.identity, owner, "mert bot")
        .await
        .unwrap();
    let token = &admin.access;
    let first = house
        .get("/v1/users/search?query=mert&limit=2", token)
        .await
        .expect(200)
        .unwrap();
    let cursor = first.json["next_cursor"].as_str().unwrap();
    let path = format!("/v1/users/search?query=mert&limit=2&cursor={cursor}");
    let second = house.get(&path, token).await.expect(200).unwrap();
    assert_eq!(second.json["items"].as_array().unwrap().len(), 1);
    assert_eq!(second.json["items"][0]["username"], "mert1");
    assert!(second.json.get("next_cursor").is_none());
    for bad in [
        "query=m",
        "query=",
        "query=mert&limit=0",
        "query=mert&limit=101",
        "cursor=x",
        "query=a%00b",
    ] {
        let reply = house.get(&format!("/v1/users/search?{bad}"), token).await;
        assert_eq!(refusal(&reply), (400, "INVALID_REQUEST"), "{bad}");
    }
    // Many cards at once are a route of their own, for everybody.
    let cards = house
        .get(&format!("/v1/users?ids={}", admin.user), token)
        .await;
    assert_eq!(
        cards.expect(200).unwrap().json["items"][0]["username"],
        "yonetici"
    );
}

#[tokio::test]
async fn strangers_and_other_staff_do_none_of_it() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    let judge = house.staff("yargic", Moderator).await;
    let reason = json!({"reason": WHY});
    let calls = [
        ("GET", "/v1/users/search?query=ayse".to_owned(), Value::Null),
        ("GET", path(&ayse, "devices"), Value::Null),
        ("POST", path(&ayse, "disable"), reason.clone()),
        ("POST", path(&ayse, "enable"), reason.clone()),
        ("POST", path(&ayse, "sign-out"), reason),
        (
            "PUT",
            path(&ayse, "roles"),
            json!({"roles": ["support"], "reason": WHY}),
        ),
    ];
    for (method, path, body) in calls {
        for token in [&ayse.access, &judge.access] {
            let reply = house.call(method, &path, token, body.clone()).await;
            assert_eq!(refusal(&reply), (403, "FORBIDDEN"), "{path}");
        }
        let nobody = house.call(method, &path, "", body).await;
        assert_eq!(refusal(&nobody), (401, "UNAUTHENTICATED"), "{path}");
    }
    assert_eq!(
        house
            .count("SELECT count(*) FROM identity.staff_actions")
            .await,
        0
    );
}

#[tokio::test]
async fn a_disabled_account_is_out_everywhere_and_stays_out() {
    let house = House::new().await;
    let support = house.staff("destek", Support).await;
    let ayse = house.register("ayse").await;
    let second = house.log_in("ayse").await;
    let body = json!({"reason": WHY});
    let reply = house
        .call(
            "POST",
            &path(&ayse, "disable"),
            &support.access,
            body.clone(),
        )
        .await;
    reply.expect(204).unwrap();
    assert_eq!(house.announced().await.len(), 2);
    for session in [&ayse, &second] {
        assert_eq!(
            house.get("/v1/users/@me", &session.access).await.status,
            401
        );
        assert_eq!(house.refresh(&session.refresh, None).await.status, 401);
    }
    let login = json!({"identifier": "ayse", "password": PASSWORD});
    let refused = house.post("/v1/auth/login", login).await;
    assert_eq!(refusal(&refused), (401, "INVALID_CREDENTIALS"));
    // Once more does nothing more.
    house
        .call(
            "POST",
            &path(&ayse, "disable"),
            &support.access,
            body.clone(),
        )
        .await
        .expect(204)
        .unwrap();
    let states = house.events("identity.user_state_changed.v1").await;
    assert_eq!(states, [json!({"user_id": ayse.user, "state": "disabled"})]);
    let actions = "SELECT count(*) FROM identity.staff_actions WHERE action = 'disable' AND reason = 'a letter of the court'";
    assert_eq!(house.count(actions).await, 1);
    let with_text = "SELECT count(*) FROM identity.outbox WHERE data::text LIKE '%court%'";
    assert_eq!(house.count(with_text).await, 0, "events carry no texts");
    house
        .call("POST", &path(&ayse, "enable"), &support.access, body)
        .await
        .expect(204)
        .unwrap();
    house.log_in("ayse").await;
}

#[tokio::test]
async fn whoever_waited_for_an_erasure_waits_again_when_enabled() {
    let house = House::new().await;
    let support = house.staff("destek", Support).await;
    let ayse = house.register("ayse").await;
    house
        .script(
            "UPDATE identity.users SET state = 'deleting' WHERE username = 'ayse';
             INSERT INTO identity.erasures (id, user_id, state, due_at)
             SELECT 1, id, 'waiting', now() FROM identity.users WHERE username = 'ayse'",
        )
        .await;
    for act in ["disable", "enable"] {
        let body = json!({"reason": WHY});
        house
            .call("POST", &path(&ayse, act), &support.access, body)
            .await
            .expect(204)
            .unwrap();
    }
    let waiting = "SELECT count(*) FROM identity.users WHERE state = 'deleting'";
    assert_eq!(house.count(waiting).await, 1);
}

#[tokio::test]
async fn a_login_that_was_proved_before_the_account_was_disabled_gives_no_device() {
    let house = House::new().await;
    let support = house.staff("destek", Support).await;
    for round in 0..8 {
        let name = format!("kisi{round}");
        let session = house.register(&name).await;
        let logins = (0..6).map(|_| {
            let body = json!({"identifier": name, "password": PASSWORD});
            house.post("/v1/auth/login", body)
        });
        let (disable, body) = (path(&session, "disable"), json!({"reason": WHY}));
        let (logins, disabled) = tokio::join!(
            futures::future::join_all(logins),
            house.call("POST", &disable, &support.access, body)
        );
        disabled.expect(204).unwrap();
        for login in logins {
            assert!(matches!(login.status.as_u16(), 200 | 401));
        }
    }
    let live =
        "SELECT count(*) FROM identity.user_devices d JOIN identity.users u ON u.id = d.user_id
                 WHERE u.state = 'disabled' AND d.revoked_at IS NULL";
    assert_eq!(house.count(live).await, 0);
}

#[tokio::test]
async fn nobody_but_a_superadmin_touches_a_superadmin_and_nobody_disables_themselves() {
    let house = House::new().await;
    let (first, second) = (
        house.staff("bir", Superadmin).await,
        house.staff("iki", Superadmin).await,
    );
    let support = house.staff("destek", Support).await;
    for act in ["disable", "enable", "sign-out"] {
        let body = json!({"reason": WHY});
        let reply = house
            .call("POST", &path(&first, act), &support.access, body)
            .await;
        assert_eq!(refusal(&reply), (403, "FORBIDDEN"), "{act}");
    }
    let body = json!({"reason": WHY});
    let own = house
        .call(
            "POST",
            &path(&first, "disable"),
            &first.access,
            body.clone(),
        )
        .await;
    assert_eq!(refusal(&own), (403, "FORBIDDEN"));
    house
        .call(
            "POST",
            &path(&first, "disable"),
            &second.access,
            body.clone(),
        )
        .await
        .expect(204)
        .unwrap();
    // Their token may still be good on a node that has not heard of it; their rights are gone.
    let late = house
        .call(
            "POST",
            &path(&second, "disable"),
            &first.access,
            body.clone(),
        )
        .await;
    assert_eq!(refusal(&late), (403, "FORBIDDEN"));
    let nobody = house
        .call("POST", "/v1/users/7/disable", &second.access, body)
        .await;
    assert_eq!(refusal(&nobody), (404, "NOT_FOUND"));
    let unsaid = house
        .call(
            "POST",
            &path(&support, "disable"),
            &second.access,
            json!({"reason": " "}),
        )
        .await;
    assert_eq!(refusal(&unsaid), (400, "INVALID_REQUEST"));
    assert!(names_field(&unsaid, "/reason"));
    let long = json!({"reason": "x".repeat(501)});
    let long = house
        .call("POST", &path(&support, "disable"), &second.access, long)
        .await;
    assert!(names_field(&long, "/reason"));
}

#[tokio::test]
async fn staff_see_the_devices_of_a_person_and_sign_them_out() {
    let house = House::new().await;
    let support = house.staff("destek", Support).await;
    let ayse = house.register("ayse").await;
    let list = house
        .get(&path(&ayse, "devices"), &support.access)
        .await
        .expect(200)
        .unwrap();
    assert_eq!(list.json["items"][0]["id"], json!(ayse.device));
    assert_eq!(list.json["items"][0]["current"], false);
    let body = json!({"reason": WHY});
    house
        .call("POST", &path(&ayse, "sign-out"), &support.access, body)
        .await
        .expect(204)
        .unwrap();
    assert_eq!(house.announced().await, [ayse.device.parse().unwrap()]);
    let list = house
        .get(&path(&ayse, "devices"), &support.access)
        .await
        .expect(200)
        .unwrap();
    assert_eq!(list.json["items"], json!([]));
    let nobody = house.get("/v1/users/7/devices", &support.access).await;
    assert_eq!(refusal(&nobody), (404, "NOT_FOUND"));
    house.log_in("ayse").await;
}

#[tokio::test]
async fn roles_act_at_once_and_browser_sessions_begin_anew() {
    let house = House::new().await;
    let admin = house.staff("yonetici", Superadmin).await;
    let ayse = house.register("ayse").await;
    let login = json!({"identifier": "ayse", "password": PASSWORD, "session": "cookie"});
    let page = [("sec-fetch-site", "same-origin")];
    house
        .call_with("POST", "/v1/auth/login", "", &page, login)
        .await
        .expect(200)
        .unwrap();
    let set = async |roles: &[&str]| {
        let body = json!({"roles": roles, "reason": WHY});
        house
            .call("PUT", &path(&ayse, "roles"), &admin.access, body)
            .await
    };
    assert_eq!(
        house
            .get("/v1/users/search?query=ayse", &ayse.access)
            .await
            .status,
        403
    );
    set(&["support", "finance"]).await.expect(204).unwrap();
    assert_eq!(house.announced().await.len(), 1, "the browser's");
    house
        .get("/v1/users/search?query=ayse", &ayse.access)
        .await
        .expect(200)
        .unwrap();
    set(&["finance"]).await.expect(204).unwrap();
    set(&["finance"]).await.expect(204).unwrap();
    assert_eq!(
        house
            .get("/v1/users/search?query=ayse", &ayse.access)
            .await
            .status,
        403
    );
    let told = house.events("identity.roles_changed.v1").await;
    let told: Vec<&Value> = told
        .iter()
        .filter(|event| event["user_id"] == json!(ayse.user))
        .collect();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0]["roles"], json!(["finance", "support"]));
    let version = "SELECT perm_version::bigint FROM identity.users WHERE username = 'ayse'";
    assert_eq!(house.count(version).await, 3);
    for bad in [&["root"][..], &["finance", "finance"], &["Support"]] {
        let reply = set(bad).await;
        assert_eq!(refusal(&reply), (400, "INVALID_REQUEST"), "{bad:?}");
    }
}

#[tokio::test]
async fn roles_are_given_by_superadmins_with_a_fresh_login_only() {
    let house = House::new().await;
    let admin = house.staff("yonetici", Superadmin).await;
    let money = house.staff("kasa", Finance).await;
    let support = house.staff("destek", Support).await;
    let body = json!({"roles": ["support"], "reason": WHY});
    for token in [&money.access, &support.access] {
        let reply = house
            .call("PUT", &path(&money, "roles"), token, body.clone())
            .await;
        assert_eq!(refusal(&reply), (403, "FORBIDDEN"));
    }
    house.wait(301);
    let stale = house
        .call("PUT", &path(&money, "roles"), &admin.access, body.clone())
        .await;
    assert_eq!(refusal(&stale), (403, "STEP_UP_REQUIRED"));
    assert_eq!(stale.json["methods"], json!(["password"]));
    let admin = house.log_in("yonetici").await;
    house
        .call("PUT", &path(&money, "roles"), &admin.access, body.clone())
        .await
        .expect(204)
        .unwrap();
    let nobody = house
        .call("PUT", "/v1/users/7/roles", &admin.access, body)
        .await;
    assert_eq!(refusal(&nobody), (404, "NOT_FOUND"));
}

#[tokio::test]
async fn the_last_superadmin_stays_even_if_two_go_at_once() {
    let house = House::new().await;
    let (first, second) = (
        house.staff("bir", Superadmin).await,
        house.staff("iki", Superadmin).await,
    );
    let leave = async |who: &Session| {
        let body = json!({"roles": [], "reason": WHY});
        let roles = path(who, "roles");
        let reply = house.call("PUT", &roles, &who.access, body).await;
        reply.status.as_u16()
    };
    let (one, other) = tokio::join!(leave(&first), leave(&second));
    let mut statuses = [one, other];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409]);
    let left = "SELECT count(*) FROM identity.platform_roles WHERE role = 'superadmin'";
    assert_eq!(house.count(left).await, 1);
    let disabled = house.sibling(crate::harness::settings());
    assert!(disabled.has_admin().await.unwrap());
    assert!(
        disabled
            .device_is_live(first.device.parse().unwrap())
            .await
            .unwrap()
    );
}
