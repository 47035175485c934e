//! Signing keys and the periodic work.

use contracts::Credentials as _;
use identity::{Error, RootKeys};
use serde_json::json;

use crate::harness::{House, Session, secret, settings};

const DAY: u64 = 24 * 3600;

#[tokio::test]
async fn a_key_is_made_once_also_by_many_nodes() {
    let house = House::new().await;
    let nodes: Vec<_> = (0..4).map(|_| house.sibling(settings())).collect();
    futures::future::join_all(nodes.iter().map(|node| node.prepare())).await;
    let keys = house.identity.keys().await.unwrap();
    assert_eq!(keys.len(), 1);
    for node in nodes {
        assert_eq!(node.keys().await.unwrap(), keys);
    }
    const PRIVATE: db::Sql = db::Sql::new(
        "identity.test_private",
        "SELECT private_enc FROM identity.signing_keys",
    );
    let stored: Vec<u8> = PRIVATE.scalar(&house.admin).await.unwrap();
    assert_eq!(stored.len(), 12 + 32 + 16, "nonce, ciphertext, tag");
}

#[tokio::test]
async fn another_root_secret_is_noticed_at_start() {
    let house = House::new().await;
    let mut other = settings();
    other.keys = RootKeys::derive(&secret("another root secret of 32 bytes!")).unwrap();
    let error = house.sibling(other).prepare().await.unwrap_err();
    assert!(matches!(error, Error::Secret(_)), "{error}");
}

#[tokio::test]
async fn keys_are_published_ahead_used_in_time_and_dropped() {
    let house = House::new().await;
    let first = house.identity.keys().await.unwrap()[0].kid.clone();
    house.wait(89 * DAY - 1);
    house.identity.rotate_keys().await.unwrap();
    assert_eq!(house.identity.keys().await.unwrap().len(), 1);
    house.wait(1);
    house.identity.rotate_keys().await.unwrap();
    let both = house.identity.keys().await.unwrap();
    assert_eq!(both.len(), 2, "published a day ahead");
    let kid = |session: &Session| {
        jsonwebtoken::decode_header(&session.access)
            .unwrap()
            .kid
            .unwrap()
    };
    assert_eq!(kid(&house.register("before").await), first);
    house.wait(DAY);
    assert_ne!(kid(&house.register("after").await), first);
    house.wait(8 * DAY - 1);
    house.identity.rotate_keys().await.unwrap();
    assert_eq!(house.identity.keys().await.unwrap().len(), 2);
    house.wait(1);
    house.identity.rotate_keys().await.unwrap();
    let left = house.identity.keys().await.unwrap();
    assert!(left.len() == 1 && left[0].kid != first);
}

#[tokio::test]
async fn a_server_that_slept_for_a_year_makes_a_key() {
    let house = House::new().await;
    house.wait(365 * DAY);
    house.register("ayse").await;
    assert_eq!(house.identity.keys().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_refresh_token_survives_the_rotation_of_keys() {
    let house = House::new().await;
    house.wait(90 * DAY - 60);
    house.identity.rotate_keys().await.unwrap();
    let session = house.register("ayse").await;
    // The database judges devices by its own clock; these live long enough for it.
    house.wait(120);
    let reply = house
        .refresh(&session.refresh, Some("attempt-0123456789"))
        .await;
    let won = reply.expect(200).unwrap();
    let again = house
        .refresh(&session.refresh, Some("attempt-0123456789"))
        .await;
    assert_eq!(
        again.expect(200).unwrap().json["refresh_token"],
        won.json["refresh_token"]
    );
    let kid = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid;
    assert_ne!(
        kid(&session.refresh),
        kid(won.json["refresh_token"].as_str().unwrap())
    );
}

#[tokio::test]
async fn purging_forgets_what_is_over_and_keeps_the_rest() {
    let house = House::new().await;
    let over = house.register("ayse").await;
    let live = house.register("fatma").await;
    for session in [&over, &live] {
        house
            .refresh(&session.refresh, None)
            .await
            .expect(200)
            .unwrap();
    }
    house
        .script(&format!(
            "UPDATE identity.user_devices SET absolute_expires_at = now() - interval '1 s'
              WHERE id = {}",
            over.device
        ))
        .await;
    house.identity.issue_setup_link().await.unwrap();
    assert_eq!(
        house.identity.purge().await.unwrap(),
        "removed 1 spent refresh tokens, 0 links and 0 codes"
    );
    house.wait(30 * 60 + DAY + 1);
    assert_eq!(
        house.identity.purge().await.unwrap(),
        "removed 0 spent refresh tokens, 1 links and 0 codes"
    );
    let reply = house
        .post("/v1/auth/refresh", json!({"refresh_token": live.refresh}))
        .await;
    assert_ne!(reply.status, 200);
}

#[tokio::test]
async fn the_module_offers_jobs_health_and_routes() {
    let house = House::new().await;
    let module = identity::module(house.identity.clone());
    assert_eq!(module.name, "identity");
    for job in &module.jobs {
        (job.run)().await.unwrap();
    }
    for check in &module.health {
        (check.probe)().await.unwrap();
    }
    let names: Vec<&str> = module.jobs.iter().map(|job| job.name).collect();
    assert_eq!(
        names,
        [
            "identity.rotate_keys",
            "identity.purge",
            "identity.phone_keys",
            "identity.exports",
            "identity.erasures"
        ]
    );
}
