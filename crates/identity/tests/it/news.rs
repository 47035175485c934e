//! Letters about what happened to an account.

use jiff::Timestamp;
use kernel::{Event, EventId, UserId};
use serde_json::Value;

use crate::harness::{House, PASSWORD, Session};
use crate::otp::house;
use crate::post::{Message, PHONE};

#[derive(db::FromRow)]
struct Row {
    event_id: EventId,
    kind: String,
    key: String,
    actor: Option<UserId>,
    data: Value,
}

impl House {
    /// Brings every event so far to whoever writes letters.
    pub(crate) async fn bring_events(&self) {
        const ROWS: db::Sql = db::Sql::new(
            "identity.test_outbox",
            "SELECT event_id, type AS kind, key, actor, data FROM identity.outbox ORDER BY event_id",
        );
        let rows: Vec<Row> = ROWS.all(&self.admin).await.unwrap();
        let module = identity::module(std::sync::Arc::clone(&self.identity));
        let mut consumers = module.consumers.iter();
        let letters = consumers
            .find(|consumer| consumer.name == "identity.letters")
            .unwrap();
        for row in rows {
            if !letters.kinds.contains(&row.kind.as_str()) {
                continue;
            }
            let event = Event {
                id: row.event_id,
                kind: row.kind,
                at: Timestamp::UNIX_EPOCH,
                actor: row.actor,
                tenant: None,
                key: row.key,
                data: row.data,
            };
            letters.handler.handle(&event).await.unwrap();
        }
    }
}

/// The subjects of the letters that came before the next text.
async fn subjects(house: &House, post: &crate::post::Post, marker: &str) -> Vec<String> {
    house.bring_events().await;
    house.ask_by_phone(marker).await;
    let mut subjects = Vec::new();
    loop {
        match post.next().await {
            Message::Letter(letter) => subjects.push(letter.subject),
            Message::Text(_) | Message::Code(..) => return subjects,
        }
    }
}

#[tokio::test]
async fn only_a_login_from_somewhere_new_is_news() {
    let (house, post) = house().await;
    house.register("ayse").await;
    house
        .script("UPDATE identity.users SET locale = 'en'")
        .await;
    house.log_in("ayse").await;
    let none: [&str; 0] = [];
    assert_eq!(subjects(&house, &post, "+905321234501").await, none);
    let body = serde_json::json!({"identifier": "ayse", "password": PASSWORD});
    for ip in ["203.0.113.7", "203.0.113.9"] {
        house
            .post_from(ip, "/v1/auth/login", body.clone())
            .await
            .expect(200)
            .unwrap();
    }
    let told = subjects(&house, &post, "+905321234502").await;
    assert_eq!(told, ["Meydan: new login"]);
    // Each event is told once.
    assert_eq!(subjects(&house, &post, "+905321234503").await, none);
}

#[tokio::test]
async fn changes_of_what_protects_an_account_are_told() {
    let (house, post) = house().await;
    let me = house.register("ayse").await;
    house
        .script("UPDATE identity.users SET locale = 'en'")
        .await;
    let path = "/v1/users/@me/password";
    let body = serde_json::json!({"current_password": PASSWORD, "new_password": "yeşil bisiklet inişi", "end_other_devices": false});
    house
        .call("PUT", path, &me.access, body)
        .await
        .expect(204)
        .unwrap();
    let told = subjects(&house, &post, "+905321234501").await;
    assert_eq!(told, ["Meydan: your password was changed"]);
    house.turn_totp_on(&me).await;
    let told = subjects(&house, &post, "+905321234502").await;
    assert!(
        told.iter()
            .all(|subject| subject == "Meydan: your security settings changed")
    );
    assert!(!told.is_empty());
}

#[tokio::test]
async fn a_token_that_came_back_is_told() {
    let (house, post) = house().await;
    let me = house.register("ayse").await;
    house
        .script("UPDATE identity.users SET locale = 'tr'")
        .await;
    let second = Session::of(&house.refresh(&me.refresh, None).await);
    Session::of(&house.refresh(&second.refresh, None).await);
    assert_eq!(house.refresh(&me.refresh, None).await.status, 401);
    let told = subjects(&house, &post, "+905321234501").await;
    assert_eq!(told, ["Meydan: bir oturum kapatıldı"]);
}

#[tokio::test]
async fn accounts_without_an_address_get_no_letter() {
    let (house, post) = house().await;
    let me = Session::of(&house.log_in_by_phone(&post, PHONE).await);
    house.turn_totp_on(&me).await;
    let none: [&str; 0] = [];
    assert_eq!(subjects(&house, &post, "+905331234501").await, none);
    // And where nobody carries letters, events are still taken.
    House::new().await.bring_events().await;
}

#[tokio::test]
async fn s14_nothing_secret_is_in_the_database_or_its_events() {
    let (house, post) = house().await;
    let me = house.register("ayse").await;
    house.prove_email("ayse").await;
    let mut secrets = vec![PASSWORD.to_owned(), me.refresh.clone(), me.access.clone()];
    let sent = crate::otp::handle(&house.ask_by_phone(PHONE).await);
    let code = post.next().await.code();
    secrets.push(sent.clone());
    secrets.push(format!("\"{code}\""));
    house.try_code(&sent, &code).await.expect(200).unwrap();
    for (path, page) in [("magic-links", "magic"), ("password-resets", "reset")] {
        let body = serde_json::json!({if page == "magic" { "email" } else { "identifier" }: "ayse@example.com"});
        house.post(&format!("/v1/auth/{path}"), body).await;
        secrets.push(post.next().await.token(page));
    }
    let second = Session::of(&house.refresh(&me.refresh, None).await);
    secrets.push(second.refresh);
    house.bring_events().await;
    const TABLES: db::Sql = db::Sql::new(
        "identity.test_tables",
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'identity'",
    );
    let tables: Vec<String> = TABLES.scalars(&house.admin).await.unwrap();
    assert!(tables.iter().any(|table| table == "outbox"));
    for table in tables {
        for secret in &secrets {
            // One statement for each, so that a hit names its place.
            house
                .script(&format!(
                    "DO $check$ BEGIN IF EXISTS (SELECT 1 FROM identity.{table} t
                       WHERE position($secret${secret}$secret$ IN to_jsonb(t)::text) > 0)
                     THEN RAISE EXCEPTION 'a secret lies in {table}'; END IF; END $check$"
                ))
                .await;
        }
    }
}
