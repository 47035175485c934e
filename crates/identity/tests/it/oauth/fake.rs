//! A provider on loopback that does everything right until a test tells it otherwise.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) const CLIENT: &str = "meydan client";

/// How the next ID token is made.
#[derive(Clone, Copy)]
pub(crate) enum Signed {
    Right,
    /// `alg: none`, without a signature.
    Not,
    /// HS256 with the public key as the secret.
    WithPublicKey,
    /// By a key that is not published, under the name of the one that is.
    ByStranger,
    /// Under the name of a key that is not published.
    UnknownKey,
}

pub(crate) struct Inner {
    pub(crate) signed: Signed,
    /// Changes the claims before they are signed.
    pub(crate) change: fn(&mut Value),
    /// Who logs in.
    pub(crate) person: Value,
    granted: Option<(String, String)>,
    pub(crate) keys_asked: usize,
    pub(crate) tokens_asked: usize,
}

pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    pub(crate) now: Arc<dyn Fn() -> i64 + Send + Sync>,
    pub(crate) state: Mutex<Inner>,
    key: Ed25519KeyPair,
}

impl Fake {
    pub(crate) async fn start(now: Arc<dyn Fn() -> i64 + Send + Sync>) -> Arc<Fake> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Arc::new(Fake {
            address: listener.local_addr().unwrap(),
            now,
            state: Mutex::new(Inner {
                signed: Signed::Right,
                change: |_| {},
                person: json!({"sub": "person-1", "name": "Ayşe Yılmaz"}),
                granted: None,
                keys_asked: 0,
                tokens_asked: 0,
            }),
            key: Ed25519KeyPair::generate().unwrap(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/me", get(me))
            .with_state(Arc::clone(&fake));
        #[expect(clippy::disallowed_methods, reason = "a server of the test")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        fake
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The person agreed: what comes back fits this nonce and this challenge.
    pub(crate) fn grant(&self, nonce: &str, challenge: &str) {
        self.state.lock().unwrap().granted = Some((nonce.to_owned(), challenge.to_owned()));
    }

    fn id_token(&self, nonce: &str) -> String {
        let state = self.state.lock().unwrap();
        let now = (self.now)();
        let mut claims = json!({
            "iss": self.issuer(), "aud": CLIENT, "nonce": nonce, "iat": now, "exp": now + 300,
        });
        let person = state.person.as_object().unwrap().clone();
        claims.as_object_mut().unwrap().extend(person);
        (state.change)(&mut claims);
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some("key-1".to_owned());
        let stranger = Ed25519KeyPair::generate().unwrap();
        let key = match state.signed {
            Signed::Right => &self.key,
            Signed::ByStranger => &stranger,
            Signed::UnknownKey => {
                header.kid = Some("key-2".to_owned());
                &self.key
            }
            Signed::Not => {
                let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
                return format!("{}.{}.", part(json!({"alg": "none"})), part(claims));
            }
            Signed::WithPublicKey => {
                let mut header = Header::new(Algorithm::HS256);
                header.kid = Some("key-1".to_owned());
                let secret = EncodingKey::from_secret(self.key.public_key().as_ref());
                return jsonwebtoken::encode(&header, &claims, &secret).unwrap();
            }
        };
        let der = key.to_pkcs8v1().unwrap();
        let signer = EncodingKey::from_ed_der(der.as_ref());
        jsonwebtoken::encode(&header, &claims, &signer).unwrap()
    }
}

type Shared = State<Arc<Fake>>;

async fn discovery(State(fake): Shared) -> Response {
    let issuer = fake.issuer();
    axum::Json(json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
        "userinfo_endpoint": format!("{issuer}/me"),
    }))
    .into_response()
}

async fn keys(State(fake): Shared) -> Response {
    fake.state.lock().unwrap().keys_asked += 1;
    let x = URL_SAFE_NO_PAD.encode(fake.key.public_key().as_ref());
    let key = json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": "key-1", "x": x});
    axum::Json(json!({"keys": [key]})).into_response()
}

/// The value of a field of a form; the values here need no more than this.
fn field(body: &str, name: &str) -> String {
    let found = body.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then(|| value.to_owned())
    });
    found.unwrap_or_default()
}

async fn token(State(fake): Shared, body: String) -> Response {
    fake.state.lock().unwrap().tokens_asked += 1;
    let granted = fake.state.lock().unwrap().granted.take();
    let verifier = field(&body, "code_verifier");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    let proof = URL_SAFE_NO_PAD.encode(digest);
    match granted {
        Some((nonce, challenge))
            if challenge == proof
                && field(&body, "code") == "the-code"
                && field(&body, "grant_type") == "authorization_code" =>
        {
            let id_token = fake.id_token(&nonce);
            let token = json!({
                "access_token": "token", "token_type": "Bearer", "id_token": id_token,
            });
            axum::Json(token).into_response()
        }
        _ => (
            StatusCode::BAD_REQUEST,
            axum::Json(json!({"error": "invalid_grant"})),
        )
            .into_response(),
    }
}

async fn me(State(fake): Shared) -> Response {
    axum::Json(fake.state.lock().unwrap().person.clone()).into_response()
}
