//! Secrets of applications: bot tokens and the keys that sign interactions. All from aws-lc.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use kernel::{ApplicationId, Rng, UserId};
use secrecy::{ExposeSecret as _, SecretString};

/// The shortest root secret.
pub const MIN_ROOT_BYTES: usize = 32;
/// Names the key that wraps signing keys, so that it can be replaced one day.
pub(crate) const KEK_ID: &str = "applications1";
/// What the wrapping key is derived for.
const PURPOSE: &[u8] = b"applications";

/// Why a key cannot be made or used. Says nothing about its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The root secret is too short.
    #[error("derive keys from a root secret of {0} bytes; it needs at least {MIN_ROOT_BYTES}")]
    RootTooShort(usize),
    /// Derivation failed.
    #[error("derive the key that wraps signing keys")]
    Derive,
    /// Encryption failed.
    #[error("encrypt a stored secret")]
    Seal,
    /// Stored bytes cannot be decrypted: another root secret, or they were changed.
    #[error("decrypt a stored secret; was the root secret changed?")]
    Open,
    /// The key is malformed.
    #[error("use a signing key")]
    SigningKey,
}

/// The key that wraps signing keys, HKDF-SHA-256 from the installation's root secret.
#[derive(Clone)]
pub struct Keys(Arc<LessSafeKey>);

impl Keys {
    /// Derives the key. The same secret gives the same key on every node.
    pub fn derive(root: &SecretString) -> Result<Self, SecretError> {
        let root = root.expose_secret().as_bytes();
        if root.len() < MIN_ROOT_BYTES {
            return Err(SecretError::RootTooShort(root.len()));
        }
        let mut key = [0; 32];
        Salt::new(HKDF_SHA256, b"meydan")
            .extract(root)
            .expand(&[PURPOSE], HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut key))
            .or(Err(SecretError::Derive))?;
        let key = UnboundKey::new(&AES_256_GCM, &key).or(Err(SecretError::Derive))?;
        Ok(Keys(Arc::new(LessSafeKey::new(key))))
    }

    /// Makes the signing key of an application; its private part leaves only wrapped.
    pub(crate) fn make(
        &self,
        rng: &dyn Rng,
        application: ApplicationId,
    ) -> Result<SigningKey, SecretError> {
        let seed = kernel::rng::bytes::<32>(rng);
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).or(Err(SecretError::SigningKey))?;
        let wrapped = self.seal(rng, &application.get().to_be_bytes(), &seed)?;
        Ok(SigningKey {
            public: pair.public_key().as_ref().to_vec(),
            wrapped,
        })
    }

    /// Encrypts what is stored, bound to what `bound` names, under a fresh random nonce.
    pub(crate) fn seal(
        &self,
        rng: &dyn Rng,
        bound: &[u8],
        secret: &[u8],
    ) -> Result<Vec<u8>, SecretError> {
        let nonce = kernel::rng::bytes::<NONCE_LEN>(rng);
        let mut body = secret.to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(bound),
                &mut body,
            )
            .or(Err(SecretError::Seal))?;
        let mut sealed = nonce.to_vec();
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Decrypts what [`Keys::seal`] gave for the same thing.
    pub(crate) fn open(
        &self,
        kek: &str,
        bound: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, SecretError> {
        let (nonce, body) = sealed
            .split_first_chunk::<NONCE_LEN>()
            .filter(|_| kek == KEK_ID)
            .ok_or(SecretError::Open)?;
        let mut body = body.to_vec();
        let secret = self
            .0
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(bound),
                &mut body,
            )
            .or(Err(SecretError::Open))?;
        Ok(secret.to_vec())
    }

    /// Signs with a wrapped key.
    pub(crate) fn sign(
        &self,
        application: ApplicationId,
        kek: &str,
        wrapped: &[u8],
        message: &[u8],
    ) -> Result<Vec<u8>, SecretError> {
        let seed = self.open(kek, &application.get().to_be_bytes(), wrapped)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).or(Err(SecretError::SigningKey))?;
        Ok(pair.sign(message).as_ref().to_vec())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(***)")
    }
}

/// A signing key as it is stored.
pub(crate) struct SigningKey {
    pub(crate) public: Vec<u8>,
    pub(crate) wrapped: Vec<u8>,
}

/// A new bot token: `base64url(bot id).base64url(seconds).32 random bytes`. Some libraries read the
/// id from it; only its SHA-256 is stored.
pub(crate) fn token(rng: &dyn Rng, bot: UserId, at: Timestamp) -> String {
    let seconds = u32::try_from(at.as_second()).unwrap_or(u32::MAX);
    format!(
        "{}.{}.{}",
        URL_SAFE_NO_PAD.encode(bot.to_string()),
        URL_SAFE_NO_PAD.encode(seconds.to_be_bytes()),
        kernel::rng::token::<32>(rng)
    )
}

/// What is stored of a token: it has 256 random bits, so a plain hash suffices.
pub(crate) fn sha256(token: &str) -> Vec<u8> {
    digest(&SHA256, token.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
    use kernel::SeededRng;

    const APPLICATION: ApplicationId = ApplicationId::new(7);

    fn keys(root: &str) -> Result<Keys, SecretError> {
        Keys::derive(&SecretString::from(root.to_owned()))
    }

    #[test]
    fn a_root_of_31_bytes_is_refused_and_32_is_taken() {
        let short = keys(&"x".repeat(31)).err();
        assert_eq!(short, Some(SecretError::RootTooShort(31)));
        assert!(keys(&"x".repeat(32)).is_ok());
    }

    #[test]
    fn wrapped_keys_sign_only_for_their_application_and_installation() {
        let rng = SeededRng::new(1);
        let ours = keys(&"a".repeat(32)).unwrap();
        let key = ours.make(&*rng, APPLICATION).unwrap();
        let signature = ours
            .sign(APPLICATION, KEK_ID, &key.wrapped, b"ping")
            .unwrap();
        let public = UnparsedPublicKey::new(&ED25519, &key.public);
        assert!(public.verify(b"ping", &signature).is_ok());
        assert!(public.verify(b"pong", &signature).is_err());
        let theirs = keys(&"b".repeat(32)).unwrap();
        let mut changed = key.wrapped.clone();
        changed[NONCE_LEN] ^= 1;
        for (keys, application, kek, wrapped) in [
            (&theirs, APPLICATION, KEK_ID, &key.wrapped),
            (&ours, ApplicationId::new(8), KEK_ID, &key.wrapped),
            (&ours, APPLICATION, "other", &key.wrapped),
            (&ours, APPLICATION, KEK_ID, &changed),
            (&ours, APPLICATION, KEK_ID, &b"short".to_vec()),
        ] {
            let refused = keys.sign(application, kek, wrapped, b"ping");
            assert_eq!(refused, Err(SecretError::Open));
        }
        assert_eq!(format!("{ours:?}"), "Keys(***)");
    }

    #[test]
    fn a_token_names_its_bot_and_holds_32_random_bytes() {
        let rng = SeededRng::new(1);
        let at: Timestamp = "2026-11-20T07:00:00Z".parse().unwrap();
        let token = token(&*rng, UserId::new(42), at);
        let parts: Vec<Vec<u8>> = token
            .split('.')
            .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap())
            .collect();
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[0], b"42");
        let seconds = u32::from_be_bytes(parts[1].clone().try_into().unwrap());
        assert_eq!(i64::from(seconds), at.as_second());
        assert_eq!(parts[2].len(), 32);
        assert_ne!(
            sha256(&token),
            sha256(&super::token(&*rng, UserId::new(42), at))
        );
    }
}
