//! Passwords that were in a breach, offline: the most common hundred thousand.
//!
//! `data/breached.bin` holds of each the first five bytes of its hash, sorted; half a megabyte, and
//! one search in 17 steps. A password that is not in the list is taken for one that is with a chance
//! of one in ten million. The file is made by `cargo xtask breached LIST`; see `data/README.md`.

/// Bytes of an entry.
const WIDTH: usize = 5;
/// The entries, one after the other.
static LIST: &[u8] = include_bytes!("../data/breached.bin");

/// Whether the password, or the same in small letters, is in the list.
pub(crate) fn contains(password: &str) -> bool {
    has(password) || has(&password.to_ascii_lowercase())
}

fn has(password: &str) -> bool {
    let wanted = entry(password);
    let (entries, _) = LIST.as_chunks::<WIDTH>();
    entries.binary_search(&wanted).is_ok()
}

/// What stands in the file for a password: FNV-1a of 64 bits, mixed (the finish of MurmurHash3), of
/// which the first bytes are kept. Not a secret's hash: the list is public.
fn entry(password: &str) -> [u8; WIDTH] {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in password.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    let [a, b, c, d, e, ..] = (hash ^ (hash >> 33)).to_be_bytes();
    [a, b, c, d, e]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_as_large_as_it_should_be() {
        let (entries, rest) = LIST.as_chunks::<WIDTH>();
        assert!(rest.is_empty());
        assert!(entries.is_sorted());
        assert!(entries.len() > 99_000 && LIST.len() <= 1_000_000);
    }

    #[test]
    fn breached_passwords_are_found_and_others_are_not() {
        for breached in [
            "123456",
            "password1",
            "PASSWORD1",
            "qwertyuiop",
            "1qaz2wsx3edc",
        ] {
            assert!(contains(breached), "{breached}");
        }
        for other in ["", "kırmızı bisiklet yokuşu", "k7#Qz!pV2"] {
            assert!(!contains(other), "{other}");
        }
        let strangers = (0..20_000).filter(|n| contains(&format!("stranger {n} of nobody")));
        assert_eq!(strangers.count(), 0);
    }
}
