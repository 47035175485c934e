//! Stored passwords, and changing one.

use kernel::{Clock, SystemClock};
use serde_json::json;

use crate::harness::{House, PASSWORD, refusal};

const PATH: &str = "/v1/users/@me/password";
const NEW: &str = "yeşil tren köprüden geçti";

async fn stored(house: &House) -> String {
    const PHC: db::Sql = db::Sql::new("identity.test_phc", "SELECT phc FROM identity.credentials");
    PHC.scalar(&house.admin).await.unwrap()
}

async fn store(house: &House, phc: &str) {
    house
        .script(&format!("UPDATE identity.credentials SET phc = '{phc}'"))
        .await;
}

#[tokio::test]
async fn a_bcrypt_hash_is_upgraded_at_login() {
    let house = House::new().await;
    house.register("ayse").await;
    let bcrypt = bcrypt::hash(PASSWORD, 4).unwrap();
    for version in ["$2a$", "$2b$", "$2y$"] {
        store(&house, &bcrypt.replacen("$2b$", version, 1)).await;
        let wrong = json!({"identifier": "ayse", "password": "not the password"});
        assert_eq!(house.post("/v1/auth/login", wrong).await.status, 401);
        assert!(
            stored(&house).await.starts_with(version),
            "a wrong password changes nothing"
        );
        house.log_in("ayse").await;
        assert!(
            stored(&house)
                .await
                .starts_with("$argon2id$v=19$m=64,t=1,p=1$"),
            "{version}"
        );
        house.log_in("ayse").await;
    }
}

#[tokio::test]
async fn memory_bombs_are_refused_unopened() {
    let house = House::new().await;
    house.register("ayse").await;
    let login = json!({"identifier": "ayse", "password": PASSWORD});
    let tail = "c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
    let bcrypt = bcrypt::hash(PASSWORD, 4).unwrap();
    for phc in [
        format!("$argon2id$v=19$m=4194304,t=1,p=1${tail}"),
        format!("$argon2id$v=19$m=64,t=4000000000,p=1${tail}"),
        bcrypt.replacen("$04$", "$31$", 1),
        "garbage".to_owned(),
    ] {
        store(&house, &phc).await;
        // Four gibibytes or 2^31 rounds would not end within the deadline of a call.
        let reply = house.post("/v1/auth/login", login.clone()).await;
        assert_eq!(refusal(&reply), (401, "INVALID_CREDENTIALS"), "{phc}");
    }
}

#[tokio::test]
async fn the_current_password_opens_the_change() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    let other = house.log_in("ayse").await;
    let change = |current: &str, new: &str, end: bool| json!({"current_password": current, "new_password": new, "end_other_devices": end});
    for (body, answer) in [
        (
            change("not the password", NEW, false),
            (401, "INVALID_CREDENTIALS"),
        ),
        (
            change(PASSWORD, "password1", false),
            (400, "PASSWORD_TOO_WEAK"),
        ),
        (
            json!({"current_password": PASSWORD}),
            (400, "INVALID_REQUEST"),
        ),
        (
            json!({"new_password": NEW, "x": 1}),
            (400, "INVALID_REQUEST"),
        ),
    ] {
        let reply = house.call("PUT", PATH, &session.access, body).await;
        assert_eq!(refusal(&reply), answer);
    }
    let nobody = house
        .call("PUT", PATH, "", change(PASSWORD, NEW, true))
        .await;
    assert_eq!(refusal(&nobody), (401, "UNAUTHENTICATED"));
    let reply = house
        .call("PUT", PATH, &session.access, change(PASSWORD, NEW, true))
        .await;
    reply.expect(204).unwrap();
    assert_eq!(house.announced().await.len(), 1);
    assert_eq!(house.get("/v1/users/@me", &other.access).await.status, 401);
    house
        .get("/v1/users/@me", &session.access)
        .await
        .expect(200)
        .unwrap();
    let old = json!({"identifier": "ayse", "password": PASSWORD});
    assert_eq!(house.post("/v1/auth/login", old).await.status, 401);
    let new = json!({"identifier": "ayse", "password": NEW});
    house.post("/v1/auth/login", new).await.expect(200).unwrap();
    let factors = house.events("identity.factor_changed.v1").await;
    assert_eq!(
        factors,
        [json!({"user_id": session.user, "factor": "password"})]
    );
}

#[tokio::test]
async fn a_fresh_login_opens_it_too_for_five_minutes() {
    let house = House::new().await;
    house.clock.set(SystemClock.now());
    let session = house.register("ayse").await;
    house.wait(300);
    let body = json!({"new_password": NEW});
    house
        .call("PUT", PATH, &session.access, body.clone())
        .await
        .expect(204)
        .unwrap();
    house.wait(2);
    let reply = house.call("PUT", PATH, &session.access, body).await;
    assert_eq!(refusal(&reply), (403, "STEP_UP_REQUIRED"));
    assert_eq!(reply.json["methods"], json!(["password"]));
}
