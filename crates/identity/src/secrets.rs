//! Keys derived from the root secret, and the few primitives over them. All from aws-lc.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contracts::identity::ServiceProof;
use jiff::Timestamp;
use kernel::{AnyId, Rng};
use secrecy::{ExposeSecret, SecretString};

use crate::stuffing::Pair;

/// The shortest root secret.
pub const MIN_ROOT_BYTES: usize = 32;
/// Names the key that wraps stored secrets, so that it can be replaced one day.
pub(crate) const KEK_ID: &str = "kek1";

/// Why a key cannot be made or used. Says nothing about its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The root secret is too short.
    #[error("derive keys from a root secret of {0} bytes; it needs at least {MIN_ROOT_BYTES}")]
    RootTooShort(usize),
    /// Derivation failed.
    #[error("derive the key {0}")]
    Derive(&'static str),
    /// Encryption failed.
    #[error("encrypt a stored secret")]
    Seal,
    /// Stored bytes cannot be decrypted: another root secret, or they were changed.
    #[error("decrypt a stored secret; was the root secret changed?")]
    Open,
    /// The key is wrapped by a key we do not have.
    #[error("open a secret under an unknown key encryption key")]
    UnknownKek,
    /// A signing key is malformed.
    #[error("use a signing key")]
    SigningKey,
    /// A token could not be signed.
    #[error("sign a token")]
    Sign,
}

/// The named keys of one installation, HKDF-SHA-256 from its root secret.
#[derive(Clone)]
pub struct RootKeys {
    kek: Arc<LessSafeKey>,
    limits: hmac::Key,
    otp: hmac::Key,
    target: hmac::Key,
    csrf: hmac::Key,
    service: hmac::Key,
}

impl RootKeys {
    /// Derives the keys. The same secret gives the same keys on every node.
    ///
    /// # Errors
    ///
    /// [`SecretError::RootTooShort`] below [`MIN_ROOT_BYTES`].
    pub fn derive(root: &SecretString) -> Result<Self, SecretError> {
        let root = root.expose_secret().as_bytes();
        if root.len() < MIN_ROOT_BYTES {
            return Err(SecretError::RootTooShort(root.len()));
        }
        let prk = Salt::new(HKDF_SHA256, b"meydan").extract(root);
        let kek = UnboundKey::new(&AES_256_GCM, &expand(&prk, "kek")?)
            .or(Err(SecretError::Derive("kek")))?;
        let mac = |name| Ok(hmac::Key::new(hmac::HMAC_SHA256, &expand(&prk, name)?));
        Ok(RootKeys {
            kek: Arc::new(LessSafeKey::new(kek)),
            limits: mac("limits")?,
            otp: mac("otp")?,
            target: mac("target")?,
            csrf: mac("csrf")?,
            service: mac("service")?,
        })
    }

    /// What is stored of a one-time password: an unkeyed hash of six digits falls at once.
    pub(crate) fn code_mac(&self, challenge: AnyId, target: &str, code: &str) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.otp);
        let challenge = challenge.to_string();
        // A line feed is in none of the parts, so they cannot run into each other.
        for part in ["otp1", &challenge, target, code] {
            context.update(part.as_bytes());
            context.update(b"\n");
        }
        context.sign().as_ref().to_vec()
    }

    /// Whether `mac` is [`RootKeys::code_mac`] of these, in constant time.
    pub(crate) fn is_code(&self, challenge: AnyId, target: &str, code: &str, mac: &[u8]) -> bool {
        let computed = self.code_mac(challenge, target, code);
        aws_lc_rs::constant_time::verify_slices_are_equal(&computed, mac).is_ok()
    }

    /// What a number or address is known by where it must not be kept in clear.
    pub(crate) fn target_mac(&self, target: &str) -> Vec<u8> {
        hmac::sign(&self.target, target.as_bytes())
            .as_ref()
            .to_vec()
    }

    /// What a page sends beside its cookie to show that it is ours.
    pub fn csrf_token(&self, cookie: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.csrf, cookie.as_bytes()))
    }

    /// Shows that whoever calls itself `service` knows the root secret; good once, around `at`.
    pub fn prove_service(&self, service: &str, at: Timestamp, rng: &dyn Rng) -> ServiceProof {
        let mut proof = ServiceProof {
            service: service.to_owned(),
            at: at.as_second(),
            nonce: kernel::rng::bytes(rng),
            mac: [0; 32],
        };
        let mac = self.service_mac(&proof).sign();
        proof.mac = mac.as_ref().first_chunk().copied().unwrap_or_default();
        proof
    }

    /// Whether a proof was made with the same root secret, in constant time.
    pub(crate) fn is_service_proof(&self, proof: &ServiceProof) -> bool {
        let computed = self.service_mac(proof).sign();
        aws_lc_rs::constant_time::verify_slices_are_equal(computed.as_ref(), &proof.mac).is_ok()
    }

    fn service_mac(&self, proof: &ServiceProof) -> hmac::Context {
        let mut context = hmac::Context::with_key(&self.service);
        // The name stands last: all before it has a fixed length.
        context.update(b"service1");
        context.update(&proof.at.to_be_bytes());
        context.update(&proof.nonce);
        context.update(proof.service.as_bytes());
        context
    }

    /// Encrypts `plain` under `kek`, bound to `context`: nonce, ciphertext, tag.
    pub(crate) fn seal(
        &self,
        rng: &dyn Rng,
        context: &str,
        plain: &[u8],
    ) -> Result<Vec<u8>, SecretError> {
        // A fresh random nonce per message; under one key some thousands are made in its life.
        let nonce = kernel::rng::bytes::<NONCE_LEN>(rng);
        let mut body = plain.to_vec();
        self.kek
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context.as_bytes()),
                &mut body,
            )
            .or(Err(SecretError::Seal))?;
        let mut sealed = nonce.to_vec();
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Decrypts what [`RootKeys::seal`] made for the same `context`.
    pub(crate) fn open(
        &self,
        key_id: &str,
        context: &str,
        sealed: &[u8],
    ) -> Result<Vec<u8>, SecretError> {
        if key_id != KEK_ID {
            return Err(SecretError::UnknownKek);
        }
        let (nonce, body) = sealed
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(SecretError::Open)?;
        let mut body = body.to_vec();
        let plain = self
            .kek
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(context.as_bytes()),
                &mut body,
            )
            .or(Err(SecretError::Open))?;
        Ok(plain.to_vec())
    }

    /// A name and a password that are tried together, so that pairs can be told apart and not read.
    pub(crate) fn login_pair(&self, name: &str, password: &SecretString) -> Pair {
        let mut context = hmac::Context::with_key(&self.limits);
        context.update(b"pair\n");
        context.update(name.as_bytes());
        let of_name = context.clone().sign();
        context.update(b"\n");
        context.update(password.expose_secret().as_bytes());
        let of_both = context.sign();
        let head = |tag: &hmac::Tag| tag.as_ref().first_chunk().copied().unwrap_or_default();
        Pair {
            name: head(&of_name),
            both: head(&of_both),
        }
    }

    /// A limiter key for a name that must not be kept in clear.
    pub(crate) fn limiter_key(&self, name: &str) -> String {
        let tag = hmac::sign(&self.limits, name.as_bytes());
        hex(tag.as_ref())
    }
}

impl fmt::Debug for RootKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKeys(***)")
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256, for secrets of at least 112 random bits.
pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

fn expand(prk: &Prk, name: &'static str) -> Result<[u8; 32], SecretError> {
    let mut key = [0; 32];
    prk.expand(&[name.as_bytes()], HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut key))
        .or(Err(SecretError::Derive(name)))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::SeededRng;

    fn keys(root: &str) -> Result<RootKeys, SecretError> {
        RootKeys::derive(&SecretString::from(root.to_owned()))
    }

    #[test]
    fn a_root_of_31_bytes_is_refused_and_32_is_taken() {
        assert_eq!(
            keys(&"x".repeat(31)).err(),
            Some(SecretError::RootTooShort(31))
        );
        assert!(keys(&"x".repeat(32)).is_ok());
    }

    #[test]
    fn sealed_secrets_open_only_as_they_were_sealed() {
        let rng = SeededRng::new(1);
        let ours = keys(&"a".repeat(32)).unwrap();
        let sealed = ours.seal(&*rng, "kid-1", b"seed").unwrap();
        assert_eq!(ours.open(KEK_ID, "kid-1", &sealed).unwrap(), b"seed");
        assert_ne!(sealed, ours.seal(&*rng, "kid-1", b"seed").unwrap());
        let theirs = keys(&"b".repeat(32)).unwrap();
        let mut changed = sealed.clone();
        changed[NONCE_LEN] ^= 1;
        for (keys, id, context, bytes) in [
            (&theirs, KEK_ID, "kid-1", &sealed),
            (&ours, KEK_ID, "kid-2", &sealed),
            (&ours, KEK_ID, "kid-1", &changed),
            (&ours, KEK_ID, "kid-1", &b"short".to_vec()),
        ] {
            assert_eq!(keys.open(id, context, bytes), Err(SecretError::Open));
        }
        assert_eq!(
            ours.open("kek9", "kid-1", &sealed),
            Err(SecretError::UnknownKek)
        );
    }

    #[test]
    fn a_proof_of_a_process_is_bound_to_secret_name_time_and_nonce() {
        let rng = SeededRng::new(1);
        let at: Timestamp = "2026-11-20T07:00:00Z".parse().unwrap();
        let ours = keys(&"a".repeat(32)).unwrap();
        let good = ours.prove_service("messaging", at, &*rng);
        assert!(ours.is_service_proof(&good));
        assert_ne!(good, ours.prove_service("messaging", at, &*rng));
        let theirs = keys(&"b".repeat(32)).unwrap();
        assert!(!theirs.is_service_proof(&good));
        let changes: [fn(&mut ServiceProof); 4] = [
            |proof| proof.service.push('x'),
            |proof| proof.at += 1,
            |proof| proof.nonce[0] ^= 1,
            |proof| proof.mac[31] ^= 1,
        ];
        for change in changes {
            let mut changed = good.clone();
            change(&mut changed);
            assert!(!ours.is_service_proof(&changed), "{changed:?}");
        }
    }

    #[test]
    fn debug_and_limiter_keys_hide_what_they_hold() {
        let keys = keys(&"a".repeat(32)).unwrap();
        assert_eq!(format!("{keys:?}"), "RootKeys(***)");
        let key = keys.limiter_key("ayse@example.com");
        assert!(key.len() == 64 && !key.contains("ayse"));
        assert_eq!(key, keys.limiter_key("ayse@example.com"));
    }
}
