//! Addresses that nobody proved: where sign-up proves none, letters reach them all the same, and
//! whoever reads one has proved it. Everywhere else they get nothing.

use identity::EmailVerification;
use serde_json::json;

use crate::harness::{House, Session, refusal, settings};
use crate::links::proving;
use crate::otp::{handle, house};
use crate::post::{Message, PHONE, Post};

impl House {
    /// Signs somebody up by the letter that makes the account.
    pub(crate) async fn join(&self, post: &Post, name: &str) -> Session {
        self.sign_up(name).await.expect(202).unwrap();
        let token = post.next().await.token("confirm");
        Session::of(&self.confirm(&token).await.expect(201).unwrap())
    }

    /// Takes back that addresses were proved, as operators' imports leave them.
    pub(crate) async fn unprove(&self, name: &str) {
        self.script(&format!(
            "UPDATE identity.users SET email_verified_at = NULL WHERE username = '{name}'"
        ))
        .await;
    }

    async fn is_proved(&self, session: &Session) -> bool {
        let me = self.get("/v1/users/@me", &session.access).await;
        me.json["email_verified"] == true
    }

    async fn ask_again(&self, session: &Session) -> testkit::http::Reply {
        let body = json!({"channel": "email", "email": "ayse@example.com", "purpose": "step_up"});
        self.call("POST", "/v1/auth/otp", &session.access, body)
            .await
    }
}

#[tokio::test]
async fn where_nobody_proves_an_address_a_link_reaches_it_and_proves_it() {
    let (house, post) = house().await;
    let me = house.register("ayse").await;
    house.ask_magic("ayse@example.com").await;
    let token = post.next().await.token("magic");
    assert!(!house.is_proved(&me).await, "asking proves nothing");
    house.consume_magic(&token).await.expect(200).unwrap();
    assert!(house.is_proved(&me).await);
}

#[tokio::test]
async fn where_nobody_proves_an_address_a_code_reaches_it_and_proves_it() {
    let (house, post) = house().await;
    let me = house.register("ayse").await;
    let sent = handle(&house.ask_by_email("ayse@example.com").await);
    let code = post.next().await.code();
    let wrong = house.try_code(&sent, crate::otp::wrong(&code)).await;
    assert_eq!(refusal(&wrong), (401, "OTP_INVALID"));
    assert!(!house.is_proved(&me).await, "a wrong code proves nothing");
    house.try_code(&sent, &code).await.expect(200).unwrap();
    assert!(house.is_proved(&me).await);
}

#[tokio::test]
async fn where_nobody_proves_an_address_a_login_is_proved_again_by_it() {
    let (house, post) = house().await;
    let me = house.register("ayse").await;
    house.wait(301);
    let keys = json!({"name": "k", "scopes": ["profile:read"]});
    let path = "/v1/users/@me/api-keys";
    let old = house.call("POST", path, &me.access, keys).await;
    assert_eq!(refusal(&old), (403, "STEP_UP_REQUIRED"));
    assert_eq!(old.json["methods"], json!(["password", "otp"]));
    let sent = handle(&house.ask_again(&me).await);
    let body = json!({"method": "otp", "handle": sent, "code": post.next().await.code()});
    let fresh = house
        .call("POST", "/v1/auth/step-up", &me.access, body)
        .await;
    fresh.expect(200).unwrap();
    assert!(house.is_proved(&me).await);
}

#[tokio::test]
async fn elsewhere_an_unproved_address_gets_no_link_and_no_code() {
    let (house, post) = proving().await;
    let me = house.join(&post, "ayse").await;
    house.unprove("ayse").await;
    assert_eq!(house.ask_magic("ayse@example.com").await.status, 202);
    handle(&house.ask_by_email("ayse@example.com").await);
    let again = house.ask_again(&me).await;
    assert_eq!(refusal(&again), (400, "EMAIL_INVALID"));
    // Messages arrive in order, so the others sent nothing.
    house.ask_by_phone(PHONE).await;
    assert!(matches!(post.next().await, Message::Text(_)));
    house.wait(301);
    let keys = json!({"name": "k", "scopes": ["profile:read"]});
    let path = "/v1/users/@me/api-keys";
    let old = house.call("POST", path, &me.access, keys).await;
    assert_eq!(old.json["methods"], json!(["password"]));
}

#[tokio::test]
async fn a_code_sent_while_addresses_were_not_proved_is_worth_nothing_afterwards() {
    let (house, post) = house().await;
    house.register("ayse").await;
    let sent = handle(&house.ask_by_email("ayse@example.com").await);
    let code = secrecy::SecretString::from(post.next().await.code());
    let mut stricter = settings();
    stricter.email_verification = EmailVerification::Required;
    let node = house.sibling(stricter);
    let proof = identity::CodeProof {
        handle: Some(&sent),
        phone_number: None,
        code: &code,
        known_device: None,
    };
    let origin = identity::Origin {
        session: identity::SessionKind::Token,
        from_own_page: false,
        ip: "198.51.100.7".parse().unwrap(),
        user_agent: None,
        device: identity::DeviceInfo::default(),
    };
    let login = node.log_in_by_code(proof, identity::Second::Later, &origin);
    let refused = login.await.unwrap_err();
    assert!(
        matches!(refused, identity::Error::OtpInvalid),
        "{refused:?}"
    );
}
