//! What the operator does without a login.

use identity::{AdminOutcome, Error, Rotation};
use kernel::{Clock as _, PlatformRole, UserId};
use std::time::Duration;

use crate::harness::{House, refusal};

async fn id(house: &House, name: &str) -> UserId {
    house.identity.person_named(name).await.unwrap()
}

#[tokio::test]
async fn a_person_is_found_by_every_name_and_by_no_other() {
    let house = House::new().await;
    let ayse = house.register("ayse").await;
    house
        .script("UPDATE identity.users SET phone_number = '+905321234567'")
        .await;
    for name in ["ayse", "AYSE@Example.com", &ayse.user, "+90 532 123 45 67"] {
        assert_eq!(id(&house, name).await.to_string(), ayse.user, "{name}");
    }
    for name in ["", "0", "nobody", "a\0b", "ayse@example"] {
        let error = house.identity.person_named(name).await.unwrap_err();
        assert!(matches!(error, Error::UnknownUser), "{name}: {error}");
    }
}

#[tokio::test]
async fn roles_are_granted_listed_and_taken_but_never_the_last_administrators() {
    let house = House::new().await;
    house.register("ayse").await;
    house.register("mehmet").await;
    let (ayse, mehmet) = (id(&house, "ayse").await, id(&house, "mehmet").await);
    let identity = &house.identity;
    let superadmin = PlatformRole::Superadmin;
    let granted = identity.grant(ayse, superadmin).await.unwrap();
    assert_eq!(granted, AdminOutcome::Promoted(ayse));
    let again = identity.grant(ayse, superadmin).await.unwrap();
    assert_eq!(again, AdminOutcome::Unchanged(ayse));
    let last = identity.withdraw(ayse, superadmin).await.unwrap_err();
    assert!(matches!(last, Error::LastAdmin), "{last}");
    identity.grant(mehmet, PlatformRole::Support).await.unwrap();
    let absent = identity.withdraw(mehmet, PlatformRole::Finance).await;
    assert_eq!(absent.unwrap(), AdminOutcome::Unchanged(mehmet));
    identity.grant(mehmet, superadmin).await.unwrap();
    let taken = identity.withdraw(ayse, superadmin).await.unwrap();
    assert_eq!(taken, AdminOutcome::Demoted(ayse));
    let holders = identity.role_holders().await.unwrap();
    assert_eq!(holders.len(), 1);
    assert_eq!(holders[0].username, "mehmet");
    assert_eq!(holders[0].roles, ["superadmin", "support"]);
    assert_eq!(holders[0].devices, 1);
    assert_eq!(house.events("identity.roles_changed.v1").await.len(), 4);
}

#[tokio::test]
async fn two_administrators_cannot_take_each_others_role_at_once() {
    let house = House::new().await;
    house.register("ayse").await;
    house.register("mehmet").await;
    let (ayse, mehmet) = (id(&house, "ayse").await, id(&house, "mehmet").await);
    let role = PlatformRole::Superadmin;
    for user in [ayse, mehmet] {
        house.identity.grant(user, role).await.unwrap();
    }
    let (one, other) = tokio::join!(
        house.identity.withdraw(ayse, role),
        house.identity.withdraw(mehmet, role)
    );
    assert_eq!([&one, &other].iter().filter(|done| done.is_ok()).count(), 1);
    assert!(house.identity.has_admin().await.unwrap());
}

#[tokio::test]
async fn logins_are_listed_and_ended() {
    let house = House::new().await;
    let first = house.register("ayse").await;
    house.log_in("ayse").await;
    let ayse = id(&house, "ayse").await;
    assert_eq!(house.identity.devices_of(ayse).await.unwrap().len(), 2);
    house.identity.sign_out_user(ayse).await.unwrap();
    assert!(house.identity.devices_of(ayse).await.unwrap().is_empty());
    assert_eq!(house.announced().await.len(), 2);
    let reply = house.refresh(&first.refresh, None).await;
    assert_eq!(refusal(&reply), (401, "REFRESH_INVALID"));
}

#[tokio::test]
async fn a_token_tells_whose_it_is_and_whether_it_is_good() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    for (token, kind) in [(&session.access, "access"), (&session.refresh, "refresh")] {
        let found = house.identity.inspect_token(token).await.unwrap().unwrap();
        assert_eq!(
            (found.kind, found.user.to_string()),
            (kind, session.user.clone())
        );
        assert!(found.device_is_live && !found.expired);
    }
    house.wait(15 * 60);
    let old = house.identity.inspect_token(&session.access).await.unwrap();
    assert!(old.unwrap().expired);
    let ayse = id(&house, "ayse").await;
    house.identity.sign_out_user(ayse).await.unwrap();
    let out = house
        .identity
        .inspect_token(&session.refresh)
        .await
        .unwrap();
    assert!(!out.unwrap().device_is_live);
    for foreign in ["", "x.y.z", "myd_sk_1"] {
        assert_eq!(house.identity.inspect_token(foreign).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_replaced_key_is_published_before_it_signs() {
    let house = House::new().await;
    let before = house.register("ayse").await;
    let day = Duration::from_secs(24 * 3600);
    let after = Rotation::After(day);
    let (kid, from) = house.identity.replace_signing_key(after).await.unwrap();
    assert_eq!(from.duration_since(house.clock.now()).as_secs(), 24 * 3600);
    house.feed_keys().await;
    let kid_of = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    assert_ne!(kid_of(&house.log_in("ayse").await.access), kid);
    house.wait(24 * 3600);
    assert_eq!(kid_of(&house.log_in("ayse").await.access), kid);
    let refreshed = house.refresh(&before.refresh, None).await;
    assert_eq!(refreshed.status, 200, "what the old key signed is good on");
}

#[tokio::test]
async fn a_stolen_key_is_given_up_and_every_token_with_it() {
    let house = House::new().await;
    let before = house.register("ayse").await;
    let other = house.sibling(crate::harness::settings());
    other.prepare().await.unwrap();
    house
        .identity
        .replace_signing_key(Rotation::Compromised)
        .await
        .unwrap();
    let reply = house.refresh(&before.refresh, None).await;
    assert_eq!(refusal(&reply), (401, "REFRESH_INVALID"));
    // Another node still has the old set; not for long.
    assert!(other.inspect_token(&before.access).await.unwrap().is_some());
    house.wait(31);
    assert_eq!(other.inspect_token(&before.access).await.unwrap(), None);
    assert_eq!(
        house
            .get("/v1/users/@me", &house.log_in("ayse").await.access)
            .await
            .status,
        401
    );
    house.feed_keys().await;
    assert_eq!(
        house
            .get("/v1/users/@me", &house.log_in("ayse").await.access)
            .await
            .status,
        200
    );
    assert_eq!(house.get("/v1/users/@me", &before.access).await.status, 401);
}
