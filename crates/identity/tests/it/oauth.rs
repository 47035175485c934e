//! Logging in at another provider, and every way in which what comes back may not be believed.

mod fake;

use std::sync::Arc;

use identity::{Oauth, Plain, Provider, ProviderKind, SecretIn, Settings};
use infra::outbound::{Bounds, Outbound, Permits};
use kernel::Clock as _;
use serde_json::{Value, json};
use testkit::http::Reply;

use crate::harness::{House, PASSWORD, Session, cookie, refusal, secret, settings};
use fake::{CLIENT, Fake, Signed};

const APP: &str = "com.example.app:/login";
pub(crate) const VERIFIER: &str = "a verifier of an app, which has 43 characters or more";

pub(crate) struct Street {
    pub(crate) house: House,
    fake: Arc<Fake>,
}

fn provider(name: &str, kind: ProviderKind) -> Provider {
    Provider {
        name: name.to_owned(),
        client_id: CLIENT.to_owned(),
        client_secret: secret("a secret: of ours"),
        kind,
    }
}

impl Street {
    async fn new() -> Self {
        Self::with(settings()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        Box::pin(Self::built(settings)).await
    }

    async fn built(mut settings: Settings) -> Self {
        // The provider's tokens and our judgement share one clock, which the house moves.
        let moved = Arc::new(std::sync::atomic::AtomicI64::new(0));
        let clock = Arc::clone(&moved);
        let now = Arc::new(move || clock.load(std::sync::atomic::Ordering::SeqCst));
        let fake = Fake::start(now).await;
        let issuer = fake.issuer();
        let plain = Plain {
            authorize_url: format!("{issuer}/authorize"),
            token_url: format!("{issuer}/token"),
            userinfo_url: format!("{issuer}/me"),
            subject: "/sub",
            secret_in: SecretIn::Form,
            ..Plain::facebook()
        };
        let allowed = vec![fake.address.to_string().parse().unwrap()];
        settings.oauth = Oauth {
            providers: vec![
                provider(
                    "fake",
                    ProviderKind::Oidc {
                        issuer: issuer.clone(),
                    },
                ),
                provider("other", ProviderKind::Oidc { issuer }),
                provider("plain", ProviderKind::Plain(plain)),
            ],
            return_to: vec![APP.to_owned()],
            outbound: Some(Outbound::guarded(Bounds::default(), Permits::new(allowed)).unwrap()),
        };
        let house = House::with(settings).await;
        let seconds = house.clock.now().as_second();
        moved.store(seconds, std::sync::atomic::Ordering::SeqCst);
        Street { house, fake }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.house
            .call_with("GET", path, "", headers, Value::Null)
            .await
    }

    /// Begins a login, and the person agrees at the provider.
    async fn begin(&self, path: &str, headers: &[(&str, &str)]) -> Begun {
        let reply = self.get(path, headers).await.expect(302).unwrap();
        let location = reply.header("location").unwrap().to_owned();
        let cookie = cookie(&reply, "__Host-meydan_oauth").unwrap();
        let begun = Begun { location, cookie };
        self.fake
            .grant(&begun.field("nonce"), &begun.field("code_challenge"));
        begun
    }

    async fn back(&self, provider: &str, begun: &Begun) -> Reply {
        let path = format!(
            "/v1/auth/oauth/{provider}/callback?code=the-code&state={}",
            begun.field("state")
        );
        self.get(&path, &[("cookie", &begun.cookie)]).await
    }

    /// A whole login of a page.
    pub(crate) async fn log_in(&self, provider: &str) -> Reply {
        let path = format!("/v1/auth/oauth/{provider}?session=cookie&return_to=/home");
        let begun = self.begin(&path, &[]).await;
        self.back(provider, &begun).await
    }

    /// A whole login of an app, up to its code.
    pub(crate) async fn app_code(&self) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, VERIFIER.as_bytes());
        let challenge = {
            use base64::Engine as _;
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest)
        };
        let path = format!("/v1/auth/oauth/fake?return_to={APP}&code_challenge={challenge}");
        let begun = self.begin(&path, &[]).await;
        let reply = self.back("fake", &begun).await.expect(303).unwrap();
        let location = reply.header("location").unwrap();
        let (app, code) = location.split_once("?code=").unwrap();
        assert_eq!(app, APP);
        assert!(cookie(&reply, "__Host-meydan_sid").is_none());
        code.to_owned()
    }

    pub(crate) async fn exchange(&self, code: &str, verifier: &str) -> Reply {
        let body = json!({"code": code, "code_verifier": verifier});
        self.house.post("/v1/auth/oauth/exchange", body).await
    }

    async fn users(&self) -> i64 {
        self.house
            .count("SELECT count(*) FROM identity.users")
            .await
    }

    fn person(&self, person: Value) {
        self.fake.state.lock().unwrap().person = person;
    }
}

struct Begun {
    location: String,
    cookie: String,
}

impl Begun {
    /// A field of the address at the provider.
    fn field(&self, name: &str) -> String {
        let (_, query) = self.location.split_once('?').unwrap();
        let fields = query.split('&').filter_map(|pair| pair.split_once('='));
        fields
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
            .next()
            .unwrap_or_default()
    }
}

#[tokio::test]
async fn a_stranger_gets_an_account_and_the_same_one_again() {
    let street = Street::new().await;
    for provider in ["fake", "plain"] {
        let before = street.users().await;
        for _ in 0..2 {
            let reply = street.log_in(provider).await.expect(303).unwrap();
            assert_eq!(reply.header("location"), Some("/home"));
            assert_eq!(reply.header("cache-control"), Some("no-store"));
            assert!(cookie(&reply, "__Host-meydan_sid").is_some());
        }
        assert_eq!(street.users().await, before + 1, "{provider}");
    }
}

#[tokio::test]
async fn the_provider_is_asked_with_proof_keys_and_an_exact_address() {
    let street = Street::new().await;
    let begun = street
        .begin("/v1/auth/oauth/fake?session=cookie", &[])
        .await;
    let address = format!("{}/authorize?", street.fake.issuer());
    assert!(begun.location.starts_with(&address), "{}", begun.location);
    assert_eq!(begun.field("code_challenge_method"), "S256");
    assert_eq!(begun.field("response_type"), "code");
    assert_eq!(begun.field("client_id"), "meydan%20client");
    assert_eq!(
        begun.field("redirect_uri"),
        "http%3A%2F%2F127.0.0.1%3A3000%2Fv1%2Fauth%2Foauth%2Ffake%2Fcallback"
    );
    let again = street
        .begin("/v1/auth/oauth/fake?session=cookie", &[])
        .await;
    for field in ["state", "nonce", "code_challenge"] {
        assert_ne!(begun.field(field), again.field(field), "{field}");
    }
}

#[tokio::test]
async fn an_app_exchanges_its_code_once_and_in_time() {
    let street = Street::new().await;
    let code = street.app_code().await;
    let reply = street.exchange(&code, VERIFIER).await.expect(200).unwrap();
    assert_eq!(reply.json["is_new_user"], true);
    let session = Session::of(&reply);
    let known = street.house.get("/v1/users/@me", &session.access).await;
    assert_eq!(known.json["display_name"], "Ayşe Yılmaz");
    let gone = (401, "TOKEN_INVALID");
    assert_eq!(refusal(&street.exchange(&code, VERIFIER).await), gone);
    let code = street.app_code().await;
    let wrong = "another verifier, which has 43 characters or more";
    assert_eq!(refusal(&street.exchange(&code, wrong).await), gone);
    assert_eq!(refusal(&street.exchange(&code, VERIFIER).await), gone);
    let late = street.app_code().await;
    street.house.wait(60);
    assert_eq!(refusal(&street.exchange(&late, VERIFIER).await), gone);
    assert_eq!(refusal(&street.exchange("nothing", VERIFIER).await), gone);
}

/// Where a browser is led whose login came to nothing; it gets no session there.
fn told(reply: &Reply) -> &str {
    assert_eq!(reply.status, 303, "{}", reply.json);
    assert!(cookie(reply, "__Host-meydan_sid").is_none());
    reply.header("location").unwrap()
}

#[tokio::test]
async fn an_app_is_told_at_its_own_address_what_went_wrong() {
    let street = Street::new().await;
    let path = format!(
        "/v1/auth/oauth/fake?return_to={APP}&code_challenge={}",
        "a".repeat(43)
    );
    let begun = street.begin(&path, &[]).await;
    let state = begun.field("state");
    let back = format!("/v1/auth/oauth/fake/callback?state={state}&error=access_denied");
    let reply = street.get(&back, &[("cookie", &begun.cookie)]).await;
    assert_eq!(told(&reply), format!("{APP}?error=OAUTH_FAILED"));
}

#[tokio::test]
async fn a_login_belongs_to_one_browser_one_provider_and_one_return() {
    let street = Street::new().await;
    // Where nobody here began, the login page is told; else the page that did.
    let lost = "/auth/login#error=OAUTH_FAILED";
    let path = "/v1/auth/oauth/fake?session=cookie&return_to=/home";
    // Another browser, with a cookie of its own or with none.
    let begun = street.begin(path, &[]).await;
    let other = street.begin(path, &[]).await;
    let crossed = Begun {
        location: begun.location.clone(),
        cookie: other.cookie.clone(),
    };
    assert_eq!(told(&street.back("fake", &crossed).await), lost);
    // It was taken all the same.
    assert_eq!(told(&street.back("fake", &begun).await), lost);
    let begun = street.begin(path, &[]).await;
    let bare = Begun {
        cookie: "x=y".to_owned(),
        ..begun
    };
    assert_eq!(told(&street.back("fake", &bare).await), lost);
    // Another provider's door.
    let begun = street.begin(path, &[]).await;
    assert_eq!(told(&street.back("other", &begun).await), lost);
    // Twice.
    let begun = street.begin(path, &[]).await;
    street.back("fake", &begun).await.expect(303).unwrap();
    assert_eq!(told(&street.back("fake", &begun).await), lost);
    // Late.
    let begun = street.begin(path, &[]).await;
    street.house.wait(600);
    assert_eq!(told(&street.back("fake", &begun).await), lost);
    // Somebody else's issuer, and a refusal.
    for extra in [
        "code=the-code&iss=https%3A%2F%2Fevil.example",
        "error=access_denied",
    ] {
        let begun = street.begin(path, &[]).await;
        let state = begun.field("state");
        let path = format!("/v1/auth/oauth/fake/callback?state={state}&{extra}");
        let reply = street.get(&path, &[("cookie", &begun.cookie)]).await;
        assert_eq!(told(&reply), "/home#error=OAUTH_FAILED", "{extra}");
    }
    assert_eq!(street.users().await, 1);
}

#[tokio::test]
async fn a_code_of_another_login_does_not_fit_its_proof_key() {
    let street = Street::new().await;
    let begun = street
        .begin("/v1/auth/oauth/fake?session=cookie", &[])
        .await;
    street
        .fake
        .grant(&begun.field("nonce"), "another-challenge");
    let reply = street.back("fake", &begun).await;
    assert_eq!(told(&reply), "/#error=OAUTH_FAILED");
}

#[tokio::test]
async fn s11_id_tokens_are_believed_only_whole() {
    let street = Street::new().await;
    let forgeries: [fn(&mut Value); 11] = [
        |claims| claims["nonce"] = json!("another"),
        |claims| drop(claims.as_object_mut().unwrap().remove("nonce")),
        |claims| claims["aud"] = json!("another client"),
        |claims| claims["aud"] = json!([CLIENT, "another client"]),
        |claims| claims["azp"] = json!("another client"),
        |claims| claims["iss"] = json!("https://evil.example"),
        |claims| claims["exp"] = json!(claims["iat"].as_i64().unwrap() - 30),
        |claims| claims["iat"] = json!(claims["iat"].as_i64().unwrap() + 31),
        |claims| claims["iat"] = json!(claims["iat"].as_i64().unwrap() - 601),
        |claims| claims["sub"] = json!(""),
        |claims| drop(claims.as_object_mut().unwrap().remove("exp")),
    ];
    for (number, change) in forgeries.into_iter().enumerate() {
        street.fake.state.lock().unwrap().change = change;
        let reply = street.log_in("fake").await;
        assert_eq!(told(&reply), "/home#error=OAUTH_FAILED", "{number}");
    }
    street.fake.state.lock().unwrap().change = |_| {};
    for signed in [
        Signed::Not,
        Signed::WithPublicKey,
        Signed::ByStranger,
        Signed::UnknownKey,
    ] {
        street.fake.state.lock().unwrap().signed = signed;
        let reply = street.log_in("fake").await;
        assert_eq!(told(&reply), "/home#error=OAUTH_FAILED");
    }
    assert_eq!(street.users().await, 0);
    street.fake.state.lock().unwrap().signed = Signed::Right;
    street.log_in("fake").await.expect(303).unwrap();
    // Both audiences are fine where the token says that it was made for us.
    street.fake.state.lock().unwrap().change = |claims| {
        claims["aud"] = json!([CLIENT, "another client"]);
        claims["azp"] = json!(CLIENT);
    };
    street.log_in("fake").await.expect(303).unwrap();
}

#[tokio::test]
async fn unknown_keys_ask_for_the_set_at_most_once_a_minute() {
    let street = Street::new().await;
    street.log_in("fake").await.expect(303).unwrap();
    let asked = || street.fake.state.lock().unwrap().keys_asked;
    assert_eq!(asked(), 1);
    street.fake.state.lock().unwrap().signed = Signed::UnknownKey;
    for _ in 0..5 {
        let reply = street.log_in("fake").await;
        assert_eq!(told(&reply), "/home#error=OAUTH_FAILED");
    }
    assert_eq!(asked(), 1);
    street.house.wait(60);
    for _ in 0..5 {
        let reply = street.log_in("fake").await;
        assert_eq!(told(&reply), "/home#error=OAUTH_FAILED");
    }
    assert_eq!(asked(), 2);
}

#[tokio::test]
async fn an_address_alone_opens_no_account() {
    let street = Street::new().await;
    street.house.register("ayse").await;
    street.person(json!({"sub": "1", "email": "Ayse@Example.com", "email_verified": true}));
    let reply = street.log_in("fake").await;
    assert_eq!(told(&reply), "/home#error=ACCOUNT_LINK_REQUIRED");
    // An address nobody proved is not looked at, and not kept.
    for unproved in [json!(false), json!(null), json!("no")] {
        street.person(json!({"sub": "2", "email": "ayse@example.com", "email_verified": unproved}));
        street.log_in("fake").await.expect(303).unwrap();
    }
    assert_eq!(street.users().await, 2);
    street.person(json!({"sub": "3", "email": "new@example.com", "email_verified": true}));
    street.log_in("fake").await.expect(303).unwrap();
    let proved = "SELECT count(*) FROM identity.users
                   WHERE email_key = 'new@example.com' AND email_verified_at IS NOT NULL";
    assert_eq!(street.house.count(proved).await, 1);
}

#[tokio::test]
async fn somebody_logged_in_links_a_provider_and_keeps_a_way_in() {
    let street = Street::new().await;
    let ayse = street.house.register("ayse").await;
    let own = ("sec-fetch-site", "same-origin");
    let body = json!({"identifier": "ayse", "password": PASSWORD, "session": "cookie"});
    let reply = street
        .house
        .call_with("POST", "/v1/auth/login", "", &[own], body)
        .await
        .expect(200)
        .unwrap();
    let session = cookie(&reply, "__Host-meydan_sid").unwrap();
    let path = "/v1/auth/oauth/fake?session=cookie&link=true&return_to=/settings";
    // No page elsewhere begins it, and nobody without a session.
    let foreign = [
        ("cookie", session.as_str()),
        ("sec-fetch-site", "cross-site"),
    ];
    assert_eq!(street.get(path, &foreign).await.status, 403);
    assert_eq!(street.get(path, &[own]).await.status, 401);
    let begun = street.begin(path, &[("cookie", &session), own]).await;
    let reply = street.back("fake", &begun).await.expect(303).unwrap();
    assert_eq!(reply.header("location"), Some("/settings"));
    let list = street
        .house
        .get("/v1/users/@me/identities", &ayse.access)
        .await;
    assert_eq!(list.json["items"][0]["provider"], "fake");
    // From now on it is another way in.
    street.log_in("fake").await.expect(303).unwrap();
    assert_eq!(street.users().await, 1);
    // The same person there cannot be somebody else here.
    let again = street.begin(path, &[("cookie", &session), own]).await;
    let reply = street.back("fake", &again).await;
    assert_eq!(told(&reply), "/settings#error=CONTACT_TAKEN");
    let unlink = "/v1/users/@me/identities/fake";
    let gone = street
        .house
        .call("DELETE", unlink, &ayse.access, Value::Null);
    assert_eq!(gone.await.status, 204);
    let gone = street
        .house
        .call("DELETE", unlink, &ayse.access, Value::Null);
    assert_eq!(gone.await.status, 404);
}

#[tokio::test]
async fn the_last_way_in_stays() {
    let street = Street::new().await;
    let code = street.app_code().await;
    let reply = street.exchange(&code, VERIFIER).await.expect(200).unwrap();
    let session = Session::of(&reply);
    let unlink = "/v1/users/@me/identities/fake";
    let reply = street
        .house
        .call("DELETE", unlink, &session.access, Value::Null);
    assert_eq!(refusal(&reply.await), (409, "LAST_FACTOR"));
}

#[tokio::test]
async fn a_second_factor_is_asked_for_after_a_provider_too() {
    let street = Street::new().await;
    street.log_in("fake").await.expect(303).unwrap();
    street
        .house
        .script(
            "INSERT INTO identity.totp (user_id, seed_enc, key_id, confirmed_at)
             SELECT id, '\\x00', 'none', now() FROM identity.users",
        )
        .await;
    let reply = street.log_in("fake").await.expect(303).unwrap();
    let location = reply.header("location").unwrap();
    assert!(location.starts_with("/home#mfa_token="), "{location}");
    assert!(location.ends_with("&methods=totp"), "{location}");
    assert!(cookie(&reply, "__Host-meydan_sid").is_none());
    let code = street.app_code().await;
    let reply = street.exchange(&code, VERIFIER).await;
    assert_eq!(refusal(&reply), (401, "SECOND_FACTOR_REQUIRED"));
    street
        .house
        .script("UPDATE identity.users SET state = 'disabled'")
        .await;
    let reply = street.log_in("fake").await;
    assert_eq!(told(&reply), "/home#error=INVALID_CREDENTIALS");
}

#[tokio::test]
async fn a_login_leads_back_to_places_of_ours_only() {
    let street = Street::new().await;
    let challenge = "a".repeat(43);
    for query in [
        "session=cookie&return_to=//evil.example",
        "session=cookie&return_to=https://evil.example",
        "session=cookie&return_to=/%5Cevil.example",
        "session=cookie&return_to=/x%0d%0aLocation:%20y",
        &format!("session=cookie&return_to={APP}"),
        &format!("return_to={APP}"),
        &format!("return_to={APP}&code_challenge=short"),
        &format!("return_to={APP}x&code_challenge={challenge}"),
        &format!("return_to=/home&code_challenge={challenge}"),
        &format!("return_to=https://evil.example&code_challenge={challenge}"),
    ] {
        let reply = street
            .get(&format!("/v1/auth/oauth/fake?{query}"), &[])
            .await;
        assert_eq!(refusal(&reply), (400, "RETURN_REFUSED"), "{query}");
    }
    let reply = street.get("/v1/auth/oauth/nobody", &[]).await;
    assert_eq!(refusal(&reply), (404, "PROVIDER_UNKNOWN"));
}
