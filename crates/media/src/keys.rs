//! Addresses that say by themselves that they are ours and until when.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;
use kernel::{ChannelId, MediaId};
use secrecy::{ExposeSecret as _, SecretString};

/// The shortest root secret.
const MIN_ROOT_BYTES: usize = 32;
/// What the key is derived for.
const PURPOSE: &[u8] = b"media addresses";
/// Kept of a signature.
const TAG_BYTES: usize = 16;

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The root secret is too short.
    #[error("derive a key from a root secret of {0} bytes; it needs at least {MIN_ROOT_BYTES}")]
    RootTooShort(usize),
    /// Derivation failed.
    #[error("derive the key that signs addresses of files")]
    Derive,
}

/// The key that signs addresses, HKDF-SHA-256 from the installation's root secret.
#[derive(Clone)]
pub struct Key(Arc<hmac::Key>);

/// What an address opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opens {
    pub(crate) channel: ChannelId,
    pub(crate) media: MediaId,
    pub(crate) preset: Preset,
    /// Until then, in seconds since 1970.
    pub(crate) until: i64,
}

/// What of a file is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preset {
    /// The file.
    Whole,
    /// A small picture of it.
    Thumbnail,
}

impl Preset {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Preset::Whole => "",
            Preset::Thumbnail => "thumbnail",
        }
    }

    pub(crate) fn of_word(word: Option<&str>) -> Option<Self> {
        match word {
            None => Some(Preset::Whole),
            Some("thumbnail") => Some(Preset::Thumbnail),
            Some(_) => None,
        }
    }
}

struct KeyBytes;

impl KeyType for KeyBytes {
    fn len(&self) -> usize {
        32
    }
}

impl Key {
    /// Derives the key. The same secret gives the same key on every node.
    pub fn derive(root: &SecretString) -> Result<Self, SecretError> {
        let root = root.expose_secret().as_bytes();
        if root.len() < MIN_ROOT_BYTES {
            return Err(SecretError::RootTooShort(root.len()));
        }
        let mut key = [0; 32];
        Salt::new(HKDF_SHA256, b"meydan")
            .extract(root)
            .expand(&[PURPOSE], KeyBytes)
            .and_then(|okm| okm.fill(&mut key))
            .or(Err(SecretError::Derive))?;
        Ok(Key(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &key))))
    }

    /// The signature of an address.
    pub(crate) fn sign(&self, opens: &Opens) -> String {
        let tag = hmac::sign(&self.0, &opens.text());
        hex(tag.as_ref().get(..TAG_BYTES).unwrap_or_default())
    }

    /// Whether a signature is that of an address.
    pub(crate) fn fits(&self, opens: &Opens, signature: &str) -> bool {
        let right = self.sign(opens);
        aws_lc_rs::constant_time::verify_slices_are_equal(right.as_bytes(), signature.as_bytes())
            .is_ok()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

impl Opens {
    /// Numbers and a fixed word with a mark between them: no two addresses have the same text.
    fn text(&self) -> Vec<u8> {
        let Opens {
            channel,
            media,
            preset,
            until,
        } = self;
        format!("{channel}/{media}/{}/{until}", preset.word()).into_bytes()
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(root: &str) -> Key {
        Key::derive(&SecretString::from(root.to_owned())).unwrap()
    }

    #[test]
    fn a_signature_fits_its_address_alone() {
        let ours = key(&"a".repeat(32));
        let opens = Opens {
            channel: ChannelId::new(1),
            media: MediaId::new(2),
            preset: Preset::Whole,
            until: 1_000,
        };
        let signature = ours.sign(&opens);
        assert_eq!(signature.len(), 2 * TAG_BYTES);
        assert!(ours.fits(&opens, &signature));
        for other in [
            Opens {
                channel: ChannelId::new(2),
                ..opens
            },
            Opens {
                media: MediaId::new(3),
                ..opens
            },
            Opens {
                preset: Preset::Thumbnail,
                ..opens
            },
            Opens {
                until: 1_001,
                ..opens
            },
        ] {
            assert!(!ours.fits(&other, &signature), "{other:?}");
        }
        assert!(!key(&"b".repeat(32)).fits(&opens, &signature));
        assert!(!ours.fits(&opens, "") && !ours.fits(&opens, &signature.to_uppercase()));
        assert_eq!(format!("{ours:?}"), "Key(***)");
    }

    #[test]
    fn a_root_of_31_bytes_is_refused() {
        let short = Key::derive(&SecretString::from("x".repeat(31))).err();
        assert_eq!(short, Some(SecretError::RootTooShort(31)));
    }
}
