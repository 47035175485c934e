//! The text of an API key: `myd_sk_<12 id>_<40 secret>_<6 checksum>`, all in base 62.
//!
//! Prefix and checksum let scanners find leaked keys without asking us, and let us refuse rubbish
//! without asking the database. Only the SHA-256 of the whole text is stored. Pure; who may make
//! keys and what they may do is not known here.

use crate::rng::Rng;

/// What every key begins with.
pub const MARK: &str = "myd_sk_";
/// Characters of the public part that names a key.
const ID_CHARS: usize = 12;
/// Characters of the secret: 238 bits.
const SECRET_CHARS: usize = 40;
/// Characters of the checksum.
const SUM_CHARS: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Makes a key.
pub fn make(rng: &dyn Rng) -> String {
    let body = format!(
        "{MARK}{}_{}",
        random(rng, ID_CHARS),
        random(rng, SECRET_CHARS)
    );
    let sum = checksum(&body);
    format!("{body}_{sum}")
}

/// Whether a text claims to be a key, sound or not.
pub fn is_one(text: &str) -> bool {
    text.starts_with(MARK)
}

/// The public part of a sound key, `myd_sk_<12 id>`; none when form or checksum is wrong.
pub fn prefix(key: &str) -> Option<&str> {
    let (body, sum) = key.rsplit_once('_')?;
    let (prefix, secret) = body.rsplit_once('_')?;
    let id = prefix.strip_prefix(MARK)?;
    let sound = is_word(id, ID_CHARS)
        && is_word(secret, SECRET_CHARS)
        && is_word(sum, SUM_CHARS)
        && checksum(body) == sum;
    sound.then_some(prefix)
}

fn is_word(text: &str, chars: usize) -> bool {
    text.len() == chars && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Random digits, each as likely as the others: bytes past a multiple of 62 are thrown away.
fn random(rng: &dyn Rng, chars: usize) -> String {
    let mut out = String::with_capacity(chars);
    while out.len() < chars {
        let [byte] = crate::rng::bytes::<1>(rng);
        if byte < 248 {
            out.push(digit(u32::from(byte)));
        }
    }
    out
}

fn digit(value: u32) -> char {
    let at = usize::try_from(value % 62).unwrap_or_default();
    DIGITS.get(at).copied().map_or('0', char::from)
}

/// CRC-32 (IEEE 802.3) of `body` in six digits of base 62, the highest first.
fn checksum(body: &str) -> String {
    let mut rest = crc32(body.as_bytes());
    let mut digits = ['0'; SUM_CHARS];
    for place in digits.iter_mut().rev() {
        *place = digit(rest);
        rest /= 62;
    }
    digits.iter().collect()
}

fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xEDB8_8320;
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc >>= 1;
            if carry == 1 {
                crc ^= POLYNOMIAL;
            }
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededRng;

    #[test]
    fn checksum_is_the_common_crc() {
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(checksum("").len(), SUM_CHARS);
    }

    #[test]
    fn made_keys_are_sound_and_differ() {
        let rng = SeededRng::new(1);
        let (one, other) = (make(&*rng), make(&*rng));
        assert_ne!(one, other);
        assert_eq!(one.len(), 7 + 12 + 1 + 40 + 1 + 6);
        assert_eq!(prefix(&one), one.get(..19));
    }

    #[test]
    fn any_changed_character_is_noticed() {
        let key = make(&*SeededRng::new(2));
        for at in 0..key.len() {
            let mut bytes = key.clone().into_bytes();
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(prefix(&changed), None, "{changed}");
        }
        let short: String = key.chars().take(key.len() - 1).collect();
        for bad in ["", "myd_sk_", "myd_sk___", &short] {
            assert_eq!(prefix(bad), None, "{bad}");
        }
        assert_eq!(prefix(&format!("{key}a")), None);
        assert!(is_one(&key) && !is_one("eyJ"));
    }
}
