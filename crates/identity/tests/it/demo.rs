//! People whose password everybody knows: made and let in on one computer only.

use identity::{DemoPassword, DemoPeople, DeviceInfo, Error, NewDemoPerson, Origin, Settings};
use serde_json::json;

use crate::harness::{House, PASSWORD, Session, refusal, secret, settings};

/// The rules of strength refuse it.
const KNOWN: &str = "meydan-demo";

const AYSE: NewDemoPerson<'_> = NewDemoPerson {
    email: "ayse@example.com",
    username: "ayse",
    display_name: "Ayşe",
    locale: "tr",
};

fn allowing() -> Settings {
    Settings {
        demo_people: DemoPeople::Allowed,
        ..settings()
    }
}

async fn log_in(house: &House, password: &str) -> testkit::http::Reply {
    let body = json!({"identifier": AYSE.email, "password": password});
    house.post("/v1/auth/login", body).await
}

#[tokio::test]
async fn demo_people_log_in_once_they_are_opened_and_not_before() {
    let house = House::with(allowing()).await;
    let ayse = house.identity.create_demo_person(AYSE).await.unwrap();
    for password in ["", KNOWN] {
        assert_eq!(log_in(&house, password).await.status, 401, "{password}");
    }
    let people = house.identity.demo_people().await.unwrap();
    assert_eq!(
        (people[0].id, people[0].password),
        (ayse, DemoPassword::None)
    );
    house
        .identity
        .open_demo_people(&[ayse], &secret(KNOWN))
        .await
        .unwrap();
    let people = house.identity.demo_people().await.unwrap();
    assert_eq!(people.len(), 1);
    assert_eq!(people[0].username, "ayse");
    assert_eq!(people[0].email.as_deref(), Some(AYSE.email));
    assert_eq!(people[0].password, DemoPassword::Known);
    log_in(&house, KNOWN).await.expect(200).unwrap();
    assert_eq!(log_in(&house, PASSWORD).await.status, 401);
}

#[tokio::test]
async fn demo_people_are_neither_made_nor_let_in_where_others_reach_the_server() {
    let house = House::new().await;
    let made = house.identity.create_demo_person(AYSE).await;
    assert!(matches!(made, Err(Error::DemoRefused)), "{made:?}");

    // Made while it was allowed, then the server was opened to others.
    let before = house.sibling(allowing());
    let ayse = before.create_demo_person(AYSE).await.unwrap();
    let opened = house
        .identity
        .open_demo_people(&[ayse], &secret(KNOWN))
        .await;
    assert!(matches!(opened, Err(Error::DemoRefused)), "{opened:?}");
    before
        .open_demo_people(&[ayse], &secret(KNOWN))
        .await
        .unwrap();
    let reply = log_in(&house, KNOWN).await;
    assert_eq!(refusal(&reply), (401, "INVALID_CREDENTIALS"));
}

#[tokio::test]
async fn a_password_of_ones_own_is_good_everywhere() {
    let house = House::with(allowing()).await;
    let ayse = house.identity.create_demo_person(AYSE).await.unwrap();
    let people = [ayse];
    let known = secret(KNOWN);
    house
        .identity
        .open_demo_people(&people, &known)
        .await
        .unwrap();
    let session = Session::of(&log_in(&house, KNOWN).await.expect(200).unwrap());
    let change = json!({"current_password": KNOWN, "new_password": PASSWORD});
    let path = "/v1/users/@me/password";
    let reply = house.call("PUT", path, &session.access, change).await;
    assert!(reply.status.is_success(), "{} {}", reply.status, reply.json);
    let state = house.identity.demo_people().await.unwrap();
    assert_eq!(state[0].password, DemoPassword::Own);

    // Opened once more, the person keeps it.
    house
        .identity
        .open_demo_people(&people, &known)
        .await
        .unwrap();
    assert_eq!(log_in(&house, KNOWN).await.status, 401);
    let strict = house.sibling(settings());
    let origin = Origin {
        ip: [127, 0, 0, 1].into(),
        user_agent: None,
        device: DeviceInfo::default(),
        session: identity::SessionKind::Token,
        from_own_page: false,
    };
    strict
        .log_in(AYSE.email, secret(PASSWORD), None, &origin)
        .await
        .unwrap();
}

#[tokio::test]
async fn real_people_are_told_from_demo_people_and_are_never_opened() {
    let house = House::with(allowing()).await;
    house.identity.create_demo_person(AYSE).await.unwrap();
    assert!(!house.identity.has_real_people().await.unwrap());
    let mehmet = house.register("mehmet").await;
    assert!(house.identity.has_real_people().await.unwrap());
    let people = [mehmet.user.parse().unwrap()];
    house
        .identity
        .open_demo_people(&people, &secret(KNOWN))
        .await
        .unwrap();
    assert_eq!(house.identity.demo_people().await.unwrap().len(), 1);
    let body = json!({"identifier": "mehmet", "password": KNOWN});
    assert_eq!(house.post("/v1/auth/login", body).await.status, 401);
}
