//! The PIN that guards logins by number.

use identity::events::FACTOR_CHANGED;
use serde_json::{Value, json};

use crate::harness::{House, names_field, refusal};

const PATH: &str = "/v1/users/@me/registration-lock";

#[tokio::test]
async fn a_pin_is_set_changed_and_removed() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    for pin in ["135790", "20202020202020202020"] {
        let body = json!({ "pin": pin });
        let reply = house.call("PUT", PATH, &session.access, body).await;
        reply.expect(204).unwrap();
    }
    let me = house.get("/v1/users/@me", &session.access).await;
    assert_eq!(me.json["factors"]["registration_lock"], true);
    // It guards the number; other logins do not ask for it.
    house.log_in("ayse").await;
    for _ in 0..2 {
        let reply = house.call("DELETE", PATH, &session.access, Value::Null);
        reply.await.expect(204).unwrap();
    }
    let me = house.get("/v1/users/@me", &session.access).await;
    assert_eq!(me.json["factors"]["registration_lock"], false);
    let told = house.events(FACTOR_CHANGED).await;
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|event| event["factor"] == "pin"));
}

#[tokio::test]
async fn pins_that_are_none_or_guessed_first_are_refused() {
    let house = House::new().await;
    let session = house.register("ayse").await;
    for pin in [
        "",
        "13579",
        "135790a",
        "202020202020202020202",
        "111111",
        "123456",
    ] {
        let body = json!({ "pin": pin });
        let reply = house.call("PUT", PATH, &session.access, body).await;
        assert_eq!(refusal(&reply), (400, "INVALID_REQUEST"), "{pin}");
        assert!(names_field(&reply, "/pin"), "{pin}");
    }
}
