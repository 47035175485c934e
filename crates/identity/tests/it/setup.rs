//! The first administrator.

use identity::{AdminOutcome, Error, NewAdmin};
use kernel::{Clock, SystemClock};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::harness::{House, PASSWORD, Session, refusal, registration, secret};

const PATH: &str = "/v1/auth/setup";

fn setup(token: &str, name: &str) -> Value {
    let mut body = registration(name);
    body["token"] = json!(token);
    body
}

async fn link(house: &House) -> String {
    house
        .identity
        .issue_setup_link()
        .await
        .unwrap()
        .expose_secret()
        .to_owned()
}

#[tokio::test]
async fn a_set_up_link_makes_one_administrator() {
    let house = House::new().await;
    let token = link(&house).await;
    assert_eq!(token.len(), 43, "256 random bits");
    let reply = house
        .post(PATH, setup(&token, "ayse"))
        .await
        .expect(201)
        .unwrap();
    let session = Session::of(&reply);
    let me = house
        .get("/v1/users/@me", &session.access)
        .await
        .expect(200)
        .unwrap();
    assert_eq!(me.json["roles"], json!(["superadmin"]));
    assert_eq!(me.json["email_verified"], true);
    let roles = house.events("identity.roles_changed.v1").await;
    assert_eq!(
        roles,
        [json!({"user_id": session.user, "roles": ["superadmin"]})]
    );
    let again = house.post(PATH, setup(&token, "fatma")).await;
    assert_eq!(refusal(&again), (401, "TOKEN_INVALID"));
    assert!(matches!(
        house.identity.issue_setup_link().await,
        Err(Error::AdminExists)
    ));
}

#[tokio::test]
async fn of_two_uses_at_once_one_wins() {
    let house = House::new().await;
    let token = link(&house).await;
    let replies = futures::future::join_all(
        (0..8).map(|number| house.post(PATH, setup(&token, &format!("admin{number}")))),
    )
    .await;
    assert_eq!(
        replies.iter().filter(|reply| reply.status == 201).count(),
        1
    );
    assert_eq!(house.count("SELECT count(*) FROM identity.users").await, 1);
    assert_eq!(
        house
            .count("SELECT count(*) FROM identity.platform_roles")
            .await,
        1
    );
}

#[tokio::test]
async fn a_link_ends_after_thirty_minutes_and_with_the_next_one() {
    let house = House::new().await;
    let first = link(&house).await;
    let second = link(&house).await;
    assert_eq!(
        refusal(&house.post(PATH, setup(&first, "ayse")).await),
        (401, "TOKEN_INVALID")
    );
    house.wait(30 * 60);
    assert_eq!(
        refusal(&house.post(PATH, setup(&second, "ayse")).await),
        (401, "TOKEN_INVALID")
    );
    house.clock.set(SystemClock.now());
    let third = link(&house).await;
    house.wait(30 * 60 - 1);
    house
        .post(PATH, setup(&third, "ayse"))
        .await
        .expect(201)
        .unwrap();
}

#[tokio::test]
async fn a_failed_set_up_does_not_use_the_link_up() {
    let house = House::new().await;
    house.register("fatma").await;
    let token = link(&house).await;
    let mut weak = setup(&token, "ayse");
    weak["password"] = json!("password");
    assert_eq!(
        refusal(&house.post(PATH, weak).await),
        (400, "PASSWORD_TOO_WEAK")
    );
    let taken = house.post(PATH, setup(&token, "fatma")).await;
    assert_eq!(taken.status, 409);
    let mut bad = setup(&token, "ayse");
    bad["username"] = json!("A");
    assert_eq!(
        refusal(&house.post(PATH, bad).await),
        (400, "INVALID_REQUEST")
    );
    assert_eq!(
        refusal(&house.post(PATH, setup("x", "ayse")).await),
        (401, "TOKEN_INVALID")
    );
    house
        .post(PATH, setup(&token, "ayse"))
        .await
        .expect(201)
        .unwrap();
}

#[tokio::test]
async fn an_administrator_made_elsewhere_voids_the_link() {
    let house = House::new().await;
    let token = link(&house).await;
    house.make_admin("root@example.com").await;
    assert_eq!(
        refusal(&house.post(PATH, setup(&token, "ayse")).await),
        (401, "TOKEN_INVALID")
    );
    // Also when the link's row is still there, as on a node that commits at the same moment.
    assert_eq!(
        house
            .count("SELECT count(*) FROM identity.one_time_tokens")
            .await,
        0
    );
}

#[tokio::test]
async fn the_command_line_creates_and_promotes() {
    let house = House::new().await;
    assert!(!house.identity.has_admin().await.unwrap());
    let created = house.make_admin("Root.User@example.com").await;
    let AdminOutcome::Created(admin) = created else {
        panic!("{created:?}")
    };
    assert!(house.identity.has_admin().await.unwrap());
    let session = house.log_in("root.user").await;
    assert_eq!(session.user, admin.to_string());
    let again = house.make_admin("root.user@EXAMPLE.com").await;
    assert_eq!(again, AdminOutcome::Unchanged(admin));

    let ayse = house.register("ayse").await;
    let new = NewAdmin {
        email: "ayse@example.com".to_owned(),
        username: None,
        display_name: None,
        password: Some(secret("another password that is ignored")),
    };
    let promoted = house.identity.create_admin(new).await.unwrap();
    assert_eq!(promoted, AdminOutcome::Promoted(ayse.user.parse().unwrap()));
    assert_eq!(
        house.log_in("ayse").await.user,
        ayse.user,
        "with the password it had"
    );
    let me = house
        .get("/v1/users/@me", &ayse.access)
        .await
        .expect(200)
        .unwrap();
    assert_eq!(
        me.json["roles"],
        json!(["superadmin"]),
        "a change of roles acts at once"
    );
}

#[tokio::test]
async fn the_command_line_says_what_is_missing() {
    let house = House::new().await;
    let new = |email: &str, username: Option<&str>, password: Option<&str>| NewAdmin {
        email: email.to_owned(),
        username: username.map(str::to_owned),
        display_name: None,
        password: password.map(secret),
    };
    let create = |new: NewAdmin| house.identity.create_admin(new);
    let email = "root@example.com";
    let missing = create(new(email, None, None)).await;
    assert!(matches!(missing, Err(Error::AdminPasswordMissing)));
    let weak = create(new(email, None, Some("password"))).await;
    assert!(matches!(weak, Err(Error::PasswordTooWeak { .. })));
    let address = create(new("nonsense", None, Some(PASSWORD))).await;
    assert!(matches!(address, Err(Error::EmailInvalid)));
    let name = create(new(email, Some("A"), Some(PASSWORD))).await;
    assert!(matches!(name, Err(Error::Invalid(_))));
    house.register("root").await;
    let other = "root@example.org";
    let taken = create(new(other, Some("root"), Some(PASSWORD))).await;
    assert!(matches!(taken, Err(Error::UsernameTaken)));
    let made = create(new(other, None, Some(PASSWORD))).await.unwrap();
    assert!(
        matches!(made, AdminOutcome::Created(_)),
        "a name made up gives way"
    );
}

#[tokio::test]
async fn the_environment_creates_and_never_overwrites() {
    let house = House::new().await;
    house.register("ayse").await;
    let make = |email: &'static str| {
        house
            .identity
            .create_admin_from_environment(email, secret(PASSWORD))
    };
    // Whoever signed up with the address first does not become an administrator by it.
    assert!(matches!(
        make("ayse@example.com").await,
        Err(Error::EmailTaken)
    ));
    assert!(!house.identity.has_admin().await.unwrap());
    let admin = make("root@example.com").await.unwrap();
    assert!(admin.is_some());
    assert_eq!(make("root@example.com").await.unwrap(), None);
    assert_eq!(make("second@example.com").await.unwrap(), None);
    assert_eq!(
        house
            .count("SELECT count(*) FROM identity.platform_roles")
            .await,
        1
    );
}
