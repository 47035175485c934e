//! What the operator does without a login.

use identity::{AdminOutcome, Erasing, Error, Grace, Rotation};
use jiff::SignedDuration;
use kernel::{Clock as _, PlatformRole, UserId};
use secrecy::ExposeSecret as _;
use serde_json::json;
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
    // Whoever logs in again is let in at once, although no verifier had the new key yet.
    let again = house.log_in("ayse").await.access;
    let path = "/v1/users/@me";
    let me = house.feeding(house.get(path, &again)).await;
    assert_eq!(me.status, 200);
    assert_eq!(
        house.feeding(house.get(path, &before.access)).await.status,
        401
    );
}

#[tokio::test]
async fn a_reset_is_sent_where_letters_go_and_handed_out_elsewhere() {
    let (house, post) = crate::otp::house().await;
    let session = house.register("ayse").await;
    let ayse = id(&house, "ayse").await;
    let identity = &house.identity;
    let to = identity.reset_address(ayse).await.unwrap();
    assert_eq!(to.as_deref(), Some("ayse@example.com"));
    assert_eq!(identity.send_reset(ayse).await.unwrap(), "ayse@example.com");
    let sent = post.next().await.token("reset");
    let shown = identity.issue_reset(ayse).await.unwrap();
    let confirm = async |token: &str| {
        let body = json!({"token": token, "new_password": "yeşil bisiklet inişi"});
        let reply = house.post("/v1/auth/password-resets/confirm", body).await;
        reply.status.as_u16()
    };
    assert_eq!(confirm(&sent).await, 401, "the next link voids it");
    assert_eq!(confirm(shown.expose_secret()).await, 204);
    let begun = house.events("identity.reset_started.v1").await;
    assert_eq!(begun, vec![json!({"user_id": session.user}); 2]);

    house
        .script("UPDATE identity.users SET email = NULL, email_key = NULL")
        .await;
    assert_eq!(identity.reset_address(ayse).await.unwrap(), None);
    let nowhere = identity.send_reset(ayse).await.unwrap_err();
    assert!(matches!(nowhere, Error::NotFound), "{nowhere}");
    house
        .script("UPDATE identity.users SET state = 'disabled'")
        .await;
    let disabled = identity.reset_address(ayse).await.unwrap_err();
    assert!(matches!(disabled, Error::AccountDisabled), "{disabled}");
    let unknown = identity.reset_address(UserId::new(1)).await.unwrap_err();
    assert!(matches!(unknown, Error::UnknownUser), "{unknown}");
}

#[tokio::test]
async fn without_a_post_office_a_reset_has_no_address() {
    let house = House::new().await;
    house.register("ayse").await;
    let ayse = id(&house, "ayse").await;
    assert_eq!(house.identity.reset_address(ayse).await.unwrap(), None);
}

#[tokio::test]
async fn an_erasure_without_a_grace_waits_for_the_last_token_alone() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let ayse = id(&house, "ayse").await;
    let erase = async |grace| {
        house
            .identity
            .erase_for_operator(ayse, grace)
            .await
            .unwrap()
    };
    let begun = house.clock.now();
    let fortnight = begun + SignedDuration::from_hours(14 * 24);
    assert_eq!(erase(Grace::Fortnight).await, Erasing::Waiting(fortnight));
    house.wait(60);
    assert_eq!(
        erase(Grace::Fortnight).await,
        Erasing::Waiting(fortnight),
        "the sooner wish counts"
    );
    let settled = house.clock.now() + SignedDuration::from_mins(20);
    assert_eq!(erase(Grace::None).await, Erasing::Running(settled));
    assert_eq!(house.announced().await.len(), 1, "signed out");
    let reply = house.get("/v1/users/@me", &session.access).await;
    assert_eq!(reply.status, 401);
    house.wait(20 * 60 - 1);
    assert_eq!(erase(Grace::None).await, Erasing::Running(settled));
    house.wait(1);
    assert_eq!(erase(Grace::None).await, Erasing::Erased);
    let gone = house.identity.person_named("ayse").await.unwrap_err();
    assert!(matches!(gone, Error::UnknownUser), "{gone}");
    let wishes = house.events("identity.erasure_requested.v1").await;
    let dues = [fortnight, begun + SignedDuration::from_mins(1)];
    let dues = dues.map(|due| json!({"user_id": session.user, "due_at": due.to_string()}));
    assert_eq!(wishes, dues);
}

#[tokio::test]
async fn what_blocks_an_erasure_blocks_the_operators_too() {
    let house = House::new().await;
    house.register("ayse").await;
    let ayse = id(&house, "ayse").await;
    let role = PlatformRole::Superadmin;
    house.identity.grant(ayse, role).await.unwrap();
    let blocked = house.identity.erase_for_operator(ayse, Grace::None).await;
    let reasons = match blocked {
        Err(Error::ErasureBlocked { reasons }) => reasons,
        other => panic!("{other:?}"),
    };
    assert_eq!(reasons, ["last_superadmin"]);
}
