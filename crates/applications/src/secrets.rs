//! Keys of applications, wrapped by a key derived from the root secret. All from aws-lc.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::encoding::AsBigEndian as _;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::{ApplicationId, Rng, UserId};
use secrecy::{ExposeSecret, SecretString};

/// Names the wrapping key, so that it can be replaced one day.
pub(crate) const KEY_ID: &str = "applications1";
/// Applications one account may own.
const PER_OWNER: i32 = 25;

/// Why a key cannot be made or used. Says nothing about its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The wrapping key cannot be derived.
    #[error("derive the key that wraps keys of applications")]
    Derive,
    /// A signing key cannot be made.
    #[error("make the signing key of an application")]
    Make,
    /// Encryption failed.
    #[error("wrap the signing key of an application")]
    Seal,
}

/// Settings of the context.
#[derive(Clone)]
pub struct Settings {
    /// Applications one account may own.
    pub per_owner: i32,
    wrap: Arc<LessSafeKey>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("per_owner", &self.per_owner)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// The built-in values, with keys derived from the root secret.
    ///
    /// # Errors
    ///
    /// [`SecretError::Derive`] when the library refuses.
    pub fn derive(root: &SecretString) -> Result<Self, SecretError> {
        let prk = Salt::new(HKDF_SHA256, b"meydan").extract(root.expose_secret().as_bytes());
        let mut key = [0; 32];
        prk.expand(&[b"applications"], HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut key))
            .or(Err(SecretError::Derive))?;
        let wrap = UnboundKey::new(&AES_256_GCM, &key).or(Err(SecretError::Derive))?;
        Ok(Settings {
            per_owner: PER_OWNER,
            wrap: Arc::new(LessSafeKey::new(wrap)),
        })
    }

    /// The same with another limit.
    #[must_use]
    pub fn with_limit(self, per_owner: i32) -> Self {
        Settings { per_owner, ..self }
    }

    /// A fresh Ed25519 key: its public half, and its seed wrapped for this application.
    pub(crate) fn make_key(
        &self,
        rng: &dyn Rng,
        application: ApplicationId,
    ) -> Result<([u8; 32], Vec<u8>), SecretError> {
        let pair = Ed25519KeyPair::generate().or(Err(SecretError::Make))?;
        let public = pair
            .public_key()
            .as_ref()
            .try_into()
            .or(Err(SecretError::Make))?;
        let seed = pair
            .seed()
            .and_then(|seed| seed.as_be_bytes())
            .or(Err(SecretError::Make))?;
        let nonce = kernel::rng::bytes::<NONCE_LEN>(rng);
        let mut body = seed.as_ref().to_vec();
        let context = application.to_string();
        self.wrap
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context.as_bytes()),
                &mut body,
            )
            .or(Err(SecretError::Seal))?;
        let mut sealed = nonce.to_vec();
        sealed.append(&mut body);
        Ok((public, sealed))
    }
}

/// A bot token: `base64url(bot id).base64url(time).random`, the shape stock libraries expect. Only
/// the last part, 256 random bits, is a secret.
pub(crate) fn make_token(rng: &dyn Rng, bot: UserId, now: jiff::Timestamp) -> String {
    let id = URL_SAFE_NO_PAD.encode(bot.to_string());
    let time = URL_SAFE_NO_PAD.encode(now.as_second().to_be_bytes());
    format!("{id}.{time}.{}", kernel::rng::token::<32>(rng))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::SystemRng;

    #[test]
    fn tokens_begin_with_the_bots_id_and_never_repeat() {
        let bot = UserId::new(175_928_847_299_117_063);
        let now = jiff::Timestamp::UNIX_EPOCH;
        let token = make_token(&SystemRng, bot, now);
        let parts: Vec<_> = token.split('.').collect();
        assert_eq!(parts.len(), 3);
        let id = URL_SAFE_NO_PAD.decode(parts[0]).unwrap();
        assert_eq!(String::from_utf8(id).unwrap(), bot.to_string());
        assert_eq!(parts[2].len(), 43);
        assert_ne!(token, make_token(&SystemRng, bot, now));
    }

    #[test]
    fn keys_are_wrapped_and_differ() {
        let root = SecretString::from("a root secret of at least 32 bytes".to_owned());
        let settings = Settings::derive(&root).unwrap();
        let id = ApplicationId::new(7);
        let (public, sealed) = settings.make_key(&SystemRng, id).unwrap();
        let (other, _) = settings.make_key(&SystemRng, id).unwrap();
        assert_ne!(public, other);
        assert_eq!(sealed.len(), NONCE_LEN + 32 + 16);
        assert!(!format!("{settings:?}").contains("wrap"));
    }
}
