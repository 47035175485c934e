//! Doors to what reads strangers' text, for the fuzz targets and the replay of their corpus. Nothing
//! here touches a database, and nobody else calls it.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::DecodingKey;
use kernel::UserId;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use web_kit::jwt::Claims;

use crate::model::DeviceInfo;
use crate::oauth::id_token::{self, Bad, Expected};
use crate::phones::{Phone, Region};
use crate::relying_party::{Ceremony, PasskeySite, RelyingParty};
use crate::rules::{Fields, Identifier};
use crate::tokens::{AccessClaims, Expiry, RefreshClaims, Tokens};
use crate::{RootKeys, Settings, code_login, recovery, rules};

/// When tokens are judged, in seconds since 1970.
pub const NOW_S: i64 = 1_800_000_000;
/// The name of the signing key in headers.
pub const KID: &str = "test-key";
/// The provider, and what this server is to it.
pub const PROVIDER: &str = "https://id.example.com";
/// The client that ID tokens are for.
pub const CLIENT: &str = "meydan";
/// What ID tokens repeat.
pub const NONCE: &str = "nonce-of-the-login";
const SEED: [u8; 32] = [7; 32];
const USER: i64 = 42;

/// A number and its country.
pub fn phone(text: &str) -> Option<(String, String)> {
    let phone = Phone::parse(text, Region::TR)?;
    Some((phone.number, phone.region.to_string()))
}

/// What kind of name it is, and the form it is compared in.
pub fn identifier(text: &str) -> (&'static str, String) {
    let named = Identifier::parse(text);
    let kind = match &named {
        Identifier::Email(_) => "email",
        Identifier::Phone(_) => "phone",
        Identifier::Username(_) => "username",
    };
    (kind, named.text().to_owned())
}

/// Whether it may be a username, and what one is made of it.
pub fn username(text: &str) -> (bool, String) {
    let made = rules::made_username(text, UserId::new(USER));
    (rules::is_username(text), made)
}

/// A one-time password.
pub fn otp_code(text: &str) -> Option<String> {
    code_login::digits(&SecretString::from(text)).map(str::to_owned)
}

/// A recovery code: its number and the rest.
pub fn recovery_code(text: &str) -> Option<(i16, String)> {
    let (idx, code) = recovery::parse(text)?;
    Some((idx, code.expose_secret().to_owned()))
}

/// What a client says of its device, as JSON: the texts that are stored.
pub fn device(text: &str) -> Option<Vec<String>> {
    let device: DeviceInfo = serde_json::from_str(text).ok()?;
    let mut fields = Fields::default();
    fields.device("/device", &device);
    fields.done().ok()?;
    let texts = [device.device_name, device.push_notification_token];
    Some(texts.into_iter().flatten().collect())
}

/// Signs any header and claims with the key that the doors below believe.
pub fn sign(header: &str, claims: &str) -> String {
    let parts = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let signed = parts.join(".");
    let signature = pair()
        .map(|pair| URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes())))
        .unwrap_or_default();
    format!("{signed}.{signature}")
}

/// Judges a refresh token: whether it is good, and whether it would also be taken as an access
/// token.
pub fn refresh_token(text: &str) -> (bool, bool) {
    (
        token::<RefreshClaims>(text).is_some(),
        token::<AccessClaims>(text).is_some(),
    )
}

fn token<C: Claims>(text: &str) -> Option<C> {
    let root = RootKeys::derive(&SecretString::from("r".repeat(32))).ok()?;
    let tokens = Tokens::new(&Settings::new(root));
    let reader = tokens.reader(C::TYPE);
    reader.kid::<C>(text).filter(|kid| kid == KID)?;
    let key = DecodingKey::from_ed_der(pair()?.public_key().as_ref());
    reader.read(text, &key, now(), Expiry::Enforced)
}

/// Judges an ID token by a provider's key set: the subject, or why not.
pub fn id_token(text: &str, keys: &str) -> Result<String, &'static str> {
    let keys = serde_json::from_str(keys).or(Err("no key set"))?;
    let expected = Expected {
        issuer: PROVIDER,
        client_id: CLIENT,
        nonce: NONCE,
        now: now(),
    };
    match id_token::check(text, &keys, expected) {
        Ok(claims) => Ok(claims.sub),
        Err(Bad::UnknownKey) => Err("an unknown key"),
        Err(Bad::Because(why)) => Err(why),
    }
}

/// The key set of the provider whose tokens [`sign`] makes.
pub fn provider_keys() -> String {
    let public = pair().map(|pair| URL_SAFE_NO_PAD.encode(pair.public_key()));
    json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": KID,
        "x": public}]})
    .to_string()
}

fn pair() -> Option<Ed25519KeyPair> {
    Ed25519KeyPair::from_seed_unchecked(&SEED).ok()
}

/// Ceremonies with passkeys of one user at `http://localhost:3000`; what waits is JSON here.
pub struct Passkeys(RelyingParty);

impl Passkeys {
    /// None when the library refuses the site.
    pub fn new() -> Option<Self> {
        let site = PasskeySite::behind("http://localhost:3000")?;
        RelyingParty::new(&site).map(Passkeys)
    }

    /// What the browser needs to make a passkey, and what waits.
    pub fn begin_registration(&self) -> Option<(Value, Value)> {
        let names = ("ayse", "Ayşe");
        let begun = self.0.begin_registration(USER, names, Vec::new()).ok()?;
        waiting(begun)
    }

    /// The stored passkey.
    pub fn finish_registration(&self, waiting: &Value, answer: Value) -> Option<Value> {
        match serde_json::from_value(waiting.clone()).ok()? {
            Ceremony::Register(waiting) => {
                let made = self.0.finish_registration(&waiting, answer)?;
                serde_json::from_slice(&made.stored).ok()
            }
            Ceremony::Authenticate(_) => None,
        }
    }

    /// What the browser needs to use a passkey, and what waits.
    pub fn begin_authentication(&self) -> Option<(Value, Value)> {
        waiting(self.0.begin_authentication().ok()?)
    }

    /// Whether the stored passkey was used.
    pub fn finish_authentication(&self, waiting: &Value, stored: &Value, answer: Value) -> bool {
        let Some(shown) = self.0.identify(answer) else {
            return false;
        };
        match serde_json::from_value(waiting.clone()) {
            Ok(Ceremony::Authenticate(waiting)) => {
                let stored = stored.to_string();
                let used = self
                    .0
                    .finish_authentication(*waiting, &shown, USER, stored.as_bytes());
                used.is_some()
            }
            Ok(Ceremony::Register(_)) | Err(_) => false,
        }
    }
}

fn waiting((options, ceremony): (Value, Ceremony)) -> Option<(Value, Value)> {
    Some((options, serde_json::to_value(ceremony).ok()?))
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW_S).unwrap_or_default()
}
