//! Links in letters: confirming a sign-up, logging in, choosing a new password.

use std::sync::Arc;

use futures::future::join_all;
use identity::EmailVerification;
use serde_json::{Value, json};
use testkit::http::Reply;

use crate::harness::{House, PASSWORD, Session, refusal, registration, settings};
use crate::otp::house;
use crate::post::{Message, Post};

const NEW_PASSWORD: &str = "yeşil bisiklet inişi";

impl Message {
    /// What stands behind `#` in the link to `page`.
    pub(crate) fn token(&self, page: &str) -> String {
        let start = format!("http://127.0.0.1:3000/auth/{page}#");
        let (_, rest) = self.text().split_once(&start).unwrap();
        rest.split_whitespace().next().unwrap().to_owned()
    }

    pub(crate) fn to(&self) -> &str {
        match self {
            Message::Letter(letter) => &letter.to,
            Message::Text(text) => &text.to,
            Message::Code(to, _) => to,
        }
    }
}

pub(crate) async fn proving() -> (House, Arc<Post>) {
    let mut settings = settings();
    settings.email_verification = EmailVerification::Required;
    let post = Post::new();
    (House::sending(settings, post.senders()).await, post)
}

impl House {
    pub(crate) async fn sign_up(&self, name: &str) -> Reply {
        self.post("/v1/auth/registrations", registration(name))
            .await
    }

    pub(crate) async fn confirm(&self, token: &str) -> Reply {
        self.post("/v1/auth/registrations/confirm", json!({"token": token}))
            .await
    }

    pub(crate) async fn ask_magic(&self, email: &str) -> Reply {
        self.post("/v1/auth/magic-links", json!({"email": email}))
            .await
    }

    pub(crate) async fn consume_magic(&self, token: &str) -> Reply {
        self.post("/v1/auth/magic-links/consume", json!({"token": token}))
            .await
    }

    pub(crate) async fn ask_reset(&self, name: &str) -> Reply {
        self.post("/v1/auth/password-resets", json!({"identifier": name}))
            .await
    }

    async fn reset(&self, token: &str) -> Reply {
        let body = json!({"token": token, "new_password": NEW_PASSWORD});
        self.post("/v1/auth/password-resets/confirm", body).await
    }
}

#[tokio::test]
async fn an_account_is_made_by_the_link_in_the_letter() {
    let (house, post) = proving().await;
    let reply = house.sign_up("ayse").await;
    assert_eq!(
        (reply.status.as_u16(), reply.json.clone()),
        (202, Value::Null)
    );
    let users = "SELECT count(*) FROM identity.users";
    assert_eq!(house.count(users).await, 0);
    let letter = post.next().await;
    assert_eq!(letter.to(), "ayse@example.com");
    let token = letter.token("confirm");
    house.wait(24 * 3600 - 1);
    let tries = join_all((0..4).map(|_| house.confirm(&token))).await;
    let made: Vec<&Reply> = tries.iter().filter(|reply| reply.status == 201).collect();
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].json["is_new_user"], true);
    let me = house
        .get("/v1/users/@me", &Session::of(made[0]).access)
        .await;
    assert_eq!(me.json["email_verified"], true);
    assert_eq!(me.json["username"], "ayse");
    house.log_in("ayse").await;
    assert_eq!(
        refusal(&house.confirm(&token).await),
        (401, "TOKEN_INVALID")
    );
}

#[tokio::test]
async fn a_taken_address_gets_the_same_answer_and_its_owner_a_letter() {
    let (house, post) = proving().await;
    house.sign_up("ayse").await;
    let first = post.next().await;
    house.sign_up("ayse").await;
    let second = post.next().await;
    house.confirm(&first.token("confirm")).await;
    // Both links were to the same address; the other one is worth nothing now.
    let late = house.confirm(&second.token("confirm")).await;
    assert_eq!(refusal(&late), (401, "TOKEN_INVALID"));

    let mut body = registration("stranger");
    body["email"] = json!("Ayse@Example.com");
    let taken = house.post("/v1/auth/registrations", body).await;
    let free = house.sign_up("fatma").await;
    assert_eq!((taken.status, &taken.json), (free.status, &free.json));
    let letter = post.next().await;
    assert!(letter.text().contains("zaten bir hesab") || letter.text().contains("has an account"));
    assert!(!letter.text().contains('#'));
    // Equal work: a token for both, one of which nobody ever learns.
    let tokens = "SELECT count(*) FROM identity.one_time_tokens WHERE purpose = 'registration'";
    assert_eq!(house.count(tokens).await, 4);

    let mut body = registration("ayse");
    body["email"] = json!("other@example.com");
    let reply = house.post("/v1/auth/registrations", body).await;
    assert_eq!(refusal(&reply), (409, "USERNAME_TAKEN"));
}

#[tokio::test]
async fn a_username_taken_meanwhile_is_told_and_replaced() {
    let (house, post) = proving().await;
    house.sign_up("ayse").await;
    let first = post.next().await.token("confirm");
    let mut body = registration("ayse");
    body["email"] = json!("other@example.com");
    house.post("/v1/auth/registrations", body).await;
    let second = post.next().await.token("confirm");
    house.confirm(&first).await.expect(201).unwrap();
    let reply = house.confirm(&second).await;
    assert_eq!(refusal(&reply), (409, "USERNAME_TAKEN"));
    let body = json!({"token": second, "username": "ayse2"});
    let reply = house.post("/v1/auth/registrations/confirm", body).await;
    reply.expect(201).unwrap();
    house.log_in("ayse2").await;
}

#[tokio::test]
async fn links_expire_and_the_next_one_voids_the_one_before() {
    let (house, post) = house().await;
    house.register("ayse").await;
    house.prove_email("ayse").await;
    assert_eq!(house.ask_magic("AYSE@example.com").await.status, 202);
    let first = post.next().await.token("magic");
    house.ask_magic("ayse@example.com").await;
    let second = post.next().await.token("magic");
    assert_eq!(
        refusal(&house.consume_magic(&first).await),
        (401, "TOKEN_INVALID")
    );
    let good = join_all((0..4).map(|_| house.consume_magic(&second))).await;
    assert_eq!(good.iter().filter(|reply| reply.status == 200).count(), 1);
    house.ask_magic("ayse@example.com").await;
    let late = post.next().await.token("magic");
    house.wait(30 * 60);
    for token in [late.as_str(), "", "x", "\0"] {
        let reply = house.consume_magic(token).await;
        assert_eq!(refusal(&reply), (401, "TOKEN_INVALID"));
    }
    // A link of one kind is none of another.
    house.ask_reset("ayse").await;
    let reset = post.next().await.token("reset");
    let reply = house.consume_magic(&reset).await;
    assert_eq!(refusal(&reply), (401, "TOKEN_INVALID"));
    assert_eq!(house.reset(&reset).await.status, 204);
}

#[tokio::test]
async fn s9_links_to_nobody_get_the_same_answer_and_work() {
    let (house, post) = proving().await;
    house.join(&post, "ayse").await;
    house.join(&post, "unproved").await;
    house.unprove("unproved").await;
    let replies = [
        house.ask_magic("ayse@example.com").await,
        house.ask_magic("nobody@example.com").await,
        house.ask_magic("unproved@example.com").await,
        house.ask_reset("ayse").await,
        house.ask_reset("nobody").await,
        house.ask_reset("+905321234567").await,
    ];
    for reply in &replies {
        assert_eq!((reply.status.as_u16(), &reply.json), (202, &Value::Null));
    }
    assert_eq!(post.next().await.to(), "ayse@example.com");
    assert!(post.next().await.text().contains("/auth/reset#"));
    // Messages arrive in order, so the others sent nothing.
    house.ask_reset("unproved").await;
    assert_eq!(post.next().await.to(), "unproved@example.com");
    let bad = house.ask_magic("no address").await;
    assert_eq!(refusal(&bad), (400, "EMAIL_INVALID"));
    let decoys = "SELECT count(*) FROM identity.one_time_tokens
                   WHERE user_id IS NULL AND purpose IN ('magic', 'reset')";
    assert_eq!(house.count(decoys).await, 2);
}

#[tokio::test]
async fn letters_to_a_name_and_from_an_address_are_limited() {
    let (house, _post) = house().await;
    for name in ["ayse@example.com", "nobody@example.com"] {
        for _ in 0..5 {
            assert_eq!(house.ask_reset(name).await.status, 202);
        }
        let reply = house.ask_reset(name).await;
        assert_eq!(refusal(&reply), (429, "RATE_LIMITED"));
        assert_eq!(reply.headers["retry-after"], "720");
    }
}

#[tokio::test]
async fn without_mail_no_link_is_offered() {
    let house = House::new().await;
    for reply in [
        house.ask_magic("ayse@example.com").await,
        house.ask_reset("ayse").await,
    ] {
        assert_eq!(refusal(&reply), (503, "CHANNEL_UNAVAILABLE"));
    }
}

#[tokio::test]
async fn a_reset_ends_every_login_and_logs_nobody_in() {
    let (house, post) = house().await;
    let old = house.register("ayse").await;
    house.ask_reset("ayse").await;
    let token = post.next().await.token("reset");
    let weak = json!({"token": token, "new_password": "12345678"});
    let reply = house.post("/v1/auth/password-resets/confirm", weak).await;
    assert_eq!(refusal(&reply), (400, "PASSWORD_TOO_WEAK"));
    let done = join_all((0..3).map(|_| house.reset(&token))).await;
    assert_eq!(done.iter().filter(|reply| reply.status == 204).count(), 1);
    assert_eq!(house.announced().await.len(), 1);
    assert_eq!(house.get("/v1/users/@me", &old.access).await.status, 401);
    let reply = house.refresh(&old.refresh, None).await;
    assert_eq!(refusal(&reply), (401, "REFRESH_INVALID"));
    let body = json!({"identifier": "ayse", "password": PASSWORD});
    let reply = house.post("/v1/auth/login", body).await;
    assert_eq!(refusal(&reply), (401, "INVALID_CREDENTIALS"));
    let body = json!({"identifier": "ayse", "password": NEW_PASSWORD});
    let login = house.post("/v1/auth/login", body).await;
    let session = Session::of(&login.expect(200).unwrap());
    let me = house.get("/v1/users/@me", &session.access).await;
    assert_eq!(me.json["email_verified"], true, "the letter was read");
}

#[tokio::test]
async fn no_link_goes_around_a_second_factor() {
    let (house, post) = house().await;
    let me = house.register("ayse").await;
    house.prove_email("ayse").await;
    let app = house.turn_totp_on(&me).await;
    let waiting = house.begin_login("ayse").await;
    house.ask_reset("ayse").await;
    let reset = post.next().await.token("reset");
    assert_eq!(house.reset(&reset).await.status, 204);
    let factor = "SELECT count(*) FROM identity.totp";
    assert_eq!(house.count(factor).await, 1);
    // A login that was begun with the old password does not go on.
    let reply = house
        .finish_login(&waiting, "totp", &app.next_code(&house))
        .await;
    assert_eq!(refusal(&reply), (401, "MFA_TOKEN_INVALID"));
    house.ask_magic("ayse@example.com").await;
    let magic = post.next().await.token("magic");
    let reply = house.consume_magic(&magic).await;
    assert_eq!(refusal(&reply), (401, "SECOND_FACTOR_REQUIRED"));
    let token = reply.json["mfa_token"].as_str().unwrap();
    let reply = house
        .finish_login(token, "totp", &app.next_code(&house))
        .await;
    reply.expect(200).unwrap();
}

#[tokio::test]
async fn links_of_disabled_accounts_are_worth_nothing() {
    let (house, post) = house().await;
    house.register("ayse").await;
    house.prove_email("ayse").await;
    house.ask_magic("ayse@example.com").await;
    let magic = post.next().await.token("magic");
    house.ask_reset("ayse").await;
    let reset = post.next().await.token("reset");
    house
        .script("UPDATE identity.users SET state = 'disabled'")
        .await;
    let reply = house.consume_magic(&magic).await;
    assert_eq!(refusal(&reply), (401, "TOKEN_INVALID"));
    assert_eq!(refusal(&house.reset(&reset).await), (401, "TOKEN_INVALID"));
}

#[tokio::test]
async fn staff_start_a_reset_and_never_see_the_link() {
    let (house, post) = house().await;
    house.make_admin("admin@example.com").await;
    let admin = house.log_in("admin@example.com").await;
    let ayse = house.register("ayse").await;
    let path = format!("/v1/users/{}/password-reset", ayse.user);
    let reason = json!({"reason": "she called and lost her password"});
    let reply = house
        .call("POST", &path, &ayse.access, reason.clone())
        .await;
    assert_eq!(reply.status, 403);
    let reply = house.call("POST", &path, &admin.access, reason).await;
    assert_eq!((reply.status.as_u16(), &reply.json), (204, &Value::Null));
    let letter = post.next().await;
    assert_eq!(letter.to(), "ayse@example.com");
    assert_eq!(house.reset(&letter.token("reset")).await.status, 204);
    let begun = house.events("identity.reset_started.v1").await;
    assert_eq!(begun, [json!({"user_id": ayse.user})]);
}
