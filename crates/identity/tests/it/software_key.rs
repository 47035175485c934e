//! A browser with an authenticator, for tests: one passkey, as a program holds it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use passkey::authenticator::{Authenticator, UiHint, UserCheck, UserValidationMethod};
use passkey::client::{Client, DefaultClientData};
use passkey::crypto::AvailableBackend;
use passkey::types::Passkey;
use passkey::types::ctap2::{Aaguid, Ctap2Error};
use passkey::types::webauthn::{CredentialCreationOptions, CredentialRequestOptions};
use serde::Serialize;
use serde_json::{Value, json};
use testkit::http::Reply;
use webauthn_rs::prelude::Url;

use crate::harness::{House, Session};

/// The origin that the settings of tests stand for.
pub(crate) const ORIGIN: &str = "http://localhost:3000";

/// Somebody at the authenticator: there, and verified or not.
struct Finger {
    verified: bool,
}

#[async_trait::async_trait]
impl UserValidationMethod for Finger {
    type PasskeyItem = Passkey;

    async fn check_user<'a>(
        &self,
        _hint: UiHint<'a, Passkey>,
        presence: bool,
        _verification: bool,
    ) -> Result<UserCheck, Ctap2Error> {
        Ok(UserCheck {
            presence,
            verification: self.verified,
        })
    }

    fn is_presence_enabled(&self) -> bool {
        true
    }

    fn is_verification_enabled(&self) -> Option<bool> {
        Some(true)
    }
}

/// An authenticator with at most one passkey.
#[derive(Clone, Default)]
pub(crate) struct Key {
    passkey: Option<Passkey>,
    /// Whether it counts its uses.
    pub(crate) counts: bool,
}

impl Key {
    /// One that counts its uses.
    pub(crate) fn counting() -> Self {
        Key {
            counts: true,
            ..Key::default()
        }
    }

    /// Sets the count of its passkey.
    pub(crate) fn set_count(&mut self, count: u32) {
        self.passkey.as_mut().unwrap().counter = Some(count);
    }

    /// What `navigator.credentials.create` gives.
    pub(crate) async fn create(&mut self, origin: &str, options: &Value) -> Value {
        let options = json!({"publicKey": options});
        let options: CredentialCreationOptions = serde_json::from_value(options).unwrap();
        let mut authenticator = Authenticator::new(
            Aaguid::new_empty(),
            self.passkey.clone(),
            Finger { verified: true },
            AvailableBackend,
        );
        authenticator.set_make_credentials_with_signature_counter(self.counts);
        let mut client = Client::new(authenticator).allows_insecure_localhost(true);
        let origin = Url::parse(origin).unwrap();
        let made = client.register(&origin, options, DefaultClientData).await;
        let made = json_of(&made.unwrap());
        self.passkey = client.authenticator().store().clone();
        made
    }

    /// What `navigator.credentials.get` gives.
    pub(crate) async fn get(&mut self, origin: &str, options: &Value) -> Value {
        self.answer(origin, options, Finger { verified: true })
            .await
    }

    /// The same, of somebody who does not verify themself.
    pub(crate) async fn get_unverified(&mut self, origin: &str, options: &Value) -> Value {
        let mut options = options.clone();
        options["userVerification"] = json!("discouraged");
        self.answer(origin, &options, Finger { verified: false })
            .await
    }

    async fn answer(&mut self, origin: &str, options: &Value, finger: Finger) -> Value {
        let options = json!({"publicKey": options});
        let options: CredentialRequestOptions = serde_json::from_value(options).unwrap();
        let authenticator = Authenticator::new(
            Aaguid::new_empty(),
            self.passkey.clone(),
            finger,
            AvailableBackend,
        );
        let mut client = Client::new(authenticator).allows_insecure_localhost(true);
        let origin = Url::parse(origin).unwrap();
        let answer = client
            .authenticate(&origin, options, DefaultClientData)
            .await;
        self.passkey = client.authenticator().store().clone();
        json_of(&answer.unwrap())
    }
}

/// The JSON form of Level 3: bytes as base64url, where the library writes lists of numbers.
fn json_of(credential: &impl Serialize) -> Value {
    fn texts(value: &mut Value) {
        match value {
            Value::Array(list) if !list.is_empty() && list.iter().all(Value::is_u64) => {
                let byte = |value: &Value| u8::try_from(value.as_u64().unwrap()).unwrap();
                let bytes: Vec<u8> = list.iter().map(byte).collect();
                *value = Value::String(URL_SAFE_NO_PAD.encode(bytes));
            }
            Value::Array(list) => list.iter_mut().for_each(texts),
            Value::Object(map) => map.values_mut().for_each(texts),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut value = serde_json::to_value(credential).unwrap();
    texts(&mut value);
    value
}

impl House {
    /// Options for using a passkey.
    pub(crate) async fn passkey_options(&self) -> Value {
        let reply = self.post("/v1/auth/passkeys/options", json!({})).await;
        reply.expect(200).unwrap().json
    }

    /// Options for making one.
    pub(crate) async fn creation_options(&self, session: &Session) -> Value {
        let path = "/v1/users/@me/passkeys/options";
        let reply = self.call("POST", path, &session.access, Value::Null).await;
        reply.expect(200).unwrap().json
    }

    /// Makes a passkey for a user: its id.
    pub(crate) async fn add_passkey(&self, session: &Session, key: &mut Key) -> String {
        let options = self.creation_options(session).await;
        let credential = key.create(ORIGIN, &options["public_key"]).await;
        let reply = self.store_passkey(session, &options, credential).await;
        let reply = reply.expect(201).unwrap();
        reply.json["id"].as_str().unwrap().to_owned()
    }

    /// Sends a passkey that was made.
    pub(crate) async fn store_passkey(
        &self,
        session: &Session,
        options: &Value,
        credential: Value,
    ) -> Reply {
        let body = json!({
            "challenge_id": options["challenge_id"], "credential": credential, "name": "Phone",
        });
        let path = "/v1/users/@me/passkeys";
        self.call("POST", path, &session.access, body).await
    }

    /// Logs in with a passkey.
    pub(crate) async fn log_in_with_passkey(&self, key: &mut Key) -> Reply {
        let options = self.passkey_options().await;
        let credential = key.get(ORIGIN, &options["public_key"]).await;
        self.show_passkey(&options, credential).await
    }

    /// Sends an answer to options.
    pub(crate) async fn show_passkey(&self, options: &Value, credential: Value) -> Reply {
        let body = json!({"challenge_id": options["challenge_id"], "credential": credential});
        self.post("/v1/auth/passkeys/login", body).await
    }
}
