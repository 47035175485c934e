//! Passwords: strength, hashing, checking. Pure CPU work; callers run it in the bounded pool.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::alphabet::BCRYPT;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use kernel::Rng;
use zxcvbn::Score;
use zxcvbn::feedback::Warning;

use crate::breached;

/// Fewest characters of a password.
pub const MIN_CHARS: usize = 8;
/// Most characters of a password.
pub const MAX_CHARS: usize = 256;
/// Upper bounds on parameters of stored hashes: an imported row must not eat the machine.
const MAX_STORED_MEMORY_KIB: u32 = 1024 * 1024;
const MAX_STORED_PASSES: u32 = 10;
const MAX_STORED_LANES: u32 = 16;
const MAX_STORED_BCRYPT_COST: u32 = 15;
/// What bcrypt can take in; it ignores the rest, so longer ones are refused.
const MAX_BCRYPT_BYTES: usize = 71;
/// Words for zxcvbn are cut to this, so that its work stays bounded.
const MAX_WORD_CHARS: usize = 64;
const TAG_BYTES: usize = 32;
const SALT_BYTES: usize = 16;
const BCRYPT_TAG_BYTES: usize = 23;
const BCRYPT_BASE64: GeneralPurpose = GeneralPurpose::new(&BCRYPT, NO_PAD);

/// How new passwords are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// argon2id.
    Argon2id {
        /// Memory of one computation.
        memory_kib: u32,
        /// Passes over the memory.
        passes: u32,
        /// Lanes.
        lanes: u32,
    },
    /// bcrypt, for installations that must share hashes with others.
    Bcrypt {
        /// Power of two of the rounds.
        cost: u32,
    },
}

impl Default for Scheme {
    fn default() -> Self {
        Scheme::Argon2id {
            memory_kib: 47_104,
            passes: 1,
            lanes: 1,
        }
    }
}

/// What checking a password against a stored hash gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Check {
    /// It does not fit.
    Wrong,
    /// It fits.
    Right,
    /// It fits, and this is the same password in the live scheme: store it.
    Upgrade(String),
    /// The stored hash is malformed or beyond our bounds; nothing was computed with it.
    Unusable,
}

/// A stored hash that we are willing to compute with.
enum Stored {
    Argon2id(Box<PasswordHash>, Params),
    Bcrypt { cost: u32 },
}

impl Stored {
    fn parse(phc: &str) -> Option<Self> {
        if phc.starts_with("$2") {
            let parts: bcrypt::HashParts = phc.parse().ok()?;
            let cost = parts.get_cost();
            let known = ["$2a$", "$2b$", "$2y$"]
                .iter()
                .any(|id| phc.starts_with(id));
            return (known && cost <= MAX_STORED_BCRYPT_COST).then_some(Stored::Bcrypt { cost });
        }
        let hash = PasswordHash::new(phc).ok()?;
        let params = Params::try_from(&hash).ok()?;
        let bounded = hash.algorithm.as_str() == "argon2id"
            && params.m_cost() <= MAX_STORED_MEMORY_KIB
            && params.t_cost() <= MAX_STORED_PASSES
            && params.p_cost() <= MAX_STORED_LANES;
        bounded.then(|| Stored::Argon2id(Box::new(hash), params))
    }

    /// Whether it is stored as new ones are.
    fn is_live(&self, scheme: Scheme) -> bool {
        match (self, scheme) {
            (
                Stored::Argon2id(hash, params),
                Scheme::Argon2id {
                    memory_kib,
                    passes,
                    lanes,
                },
            ) => {
                hash.version == Some(u32::from(Version::V0x13))
                    && (params.m_cost(), params.t_cost(), params.p_cost())
                        == (memory_kib, passes, lanes)
            }
            (Stored::Bcrypt { cost }, Scheme::Bcrypt { cost: live }) => *cost == live,
            (Stored::Argon2id(..), Scheme::Bcrypt { .. })
            | (Stored::Bcrypt { .. }, Scheme::Argon2id { .. }) => false,
        }
    }
}

/// Checks `password` against a stored hash, and hashes it anew when that one is out of date.
pub(crate) fn check(scheme: Scheme, rng: &dyn Rng, phc: &str, password: &str) -> Check {
    let Some(stored) = Stored::parse(phc) else {
        return Check::Unusable;
    };
    let right = match &stored {
        Stored::Argon2id(hash, params) => verify_argon2id(hash, params, password),
        Stored::Bcrypt { .. } => bcrypt::verify(password, phc).unwrap_or(false),
    };
    if !right {
        Check::Wrong
    } else if stored.is_live(scheme) {
        Check::Right
    } else {
        // A password that the live scheme refuses (bcrypt, too long) stays as it is.
        hash(scheme, rng, password).map_or(Check::Right, Check::Upgrade)
    }
}

/// Hashes `password` in the live scheme; none when the scheme cannot take it.
pub(crate) fn hash(scheme: Scheme, rng: &dyn Rng, password: &str) -> Option<String> {
    let salt = kernel::rng::bytes::<SALT_BYTES>(rng);
    match scheme {
        Scheme::Argon2id {
            memory_kib,
            passes,
            lanes,
        } => {
            let params = Params::new(memory_kib, passes, lanes, Some(TAG_BYTES)).ok()?;
            let mut tag = [0; TAG_BYTES];
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
                .hash_password_into(password.as_bytes(), &salt, &mut tag)
                .ok()?;
            phc(&params, &salt, &tag)
        }
        Scheme::Bcrypt { cost } => {
            if password.len() > MAX_BCRYPT_BYTES {
                return None;
            }
            let parts = bcrypt::hash_with_salt(password, cost, salt).ok()?;
            Some(parts.format_for_version(bcrypt::Version::TwoB))
        }
    }
}

/// A hash in the live scheme that no password fits, to spend the same work on unknown accounts.
pub(crate) fn dummy(scheme: Scheme, rng: &dyn Rng) -> Option<String> {
    let salt = kernel::rng::bytes::<SALT_BYTES>(rng);
    match scheme {
        Scheme::Argon2id {
            memory_kib,
            passes,
            lanes,
        } => {
            let params = Params::new(memory_kib, passes, lanes, Some(TAG_BYTES)).ok()?;
            phc(&params, &salt, &kernel::rng::bytes::<TAG_BYTES>(rng))
        }
        Scheme::Bcrypt { cost } => {
            let tag = kernel::rng::bytes::<BCRYPT_TAG_BYTES>(rng);
            let (salt, tag) = (BCRYPT_BASE64.encode(salt), BCRYPT_BASE64.encode(tag));
            Some(format!("$2b${cost:02}${salt}{tag}"))
        }
    }
}

fn phc(params: &Params, salt: &[u8], tag: &[u8]) -> Option<String> {
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).ok()?,
        salt: Some(Salt::new(salt).ok()?),
        hash: Some(Output::new(tag).ok()?),
    };
    Some(hash.to_string())
}

fn verify_argon2id(hash: &PasswordHash, params: &Params, password: &str) -> bool {
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
        return false;
    };
    let Ok(version) = Version::try_from(hash.version.unwrap_or_else(|| Version::V0x13.into()))
    else {
        return false;
    };
    let mut tag = vec![0; expected.len()];
    Argon2::new(Algorithm::Argon2id, version, params.clone())
        .hash_password_into(password.as_bytes(), salt.as_ref(), &mut tag)
        .is_ok()
        && aws_lc_rs::constant_time::verify_slices_are_equal(&tag, expected.as_bytes()).is_ok()
}

/// Why a password is refused; empty when it may be used. `words` are the user's own.
///
/// The work is bounded: the length is checked first, zxcvbn looks at 100 characters, and words
/// are few and short.
pub(crate) fn weaknesses(scheme: Scheme, password: &str, words: &[&str]) -> Vec<&'static str> {
    let chars = password.chars().count();
    if chars < MIN_CHARS {
        return vec!["TOO_SHORT"];
    }
    let too_long_for_bcrypt =
        matches!(scheme, Scheme::Bcrypt { .. }) && password.len() > MAX_BCRYPT_BYTES;
    if chars > MAX_CHARS || too_long_for_bcrypt {
        return vec!["TOO_LONG"];
    }
    let words: Vec<String> = words
        .iter()
        .flat_map(|word| [*word, word.split('@').next().unwrap_or_default()])
        .chain(["meydan"])
        .map(|word| word.chars().take(MAX_WORD_CHARS).collect())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let entropy = zxcvbn::zxcvbn(password, &words);
    let mut reasons = Vec::new();
    if entropy.score() < Score::Three {
        let warning = entropy
            .feedback()
            .and_then(zxcvbn::feedback::Feedback::warning);
        reasons.push("EASY_TO_GUESS");
        reasons.extend(warning.map(reason));
    }
    // However strong it looks: lists like this one are what is tried first.
    if breached::contains(password) {
        reasons.push("BREACHED");
    }
    reasons
}

fn reason(warning: Warning) -> &'static str {
    match warning {
        Warning::StraightRowsOfKeysAreEasyToGuess
        | Warning::ShortKeyboardPatternsAreEasyToGuess => "KEYBOARD_PATTERN",
        Warning::RepeatsLikeAaaAreEasyToGuess
        | Warning::RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess => "REPEATED",
        Warning::ThisIsATop10Password
        | Warning::ThisIsATop100Password
        | Warning::ThisIsACommonPassword
        | Warning::ThisIsSimilarToACommonlyUsedPassword => "COMMON",
        Warning::SequencesLikeAbcAreEasyToGuess => "SEQUENCE",
        Warning::RecentYearsAreEasyToGuess | Warning::DatesAreOftenEasyToGuess => "DATE",
        Warning::AWordByItselfIsEasyToGuess => "SINGLE_WORD",
        Warning::NamesAndSurnamesByThemselvesAreEasyToGuess
        | Warning::CommonNamesAndSurnamesAreEasyToGuess => "NAME",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::SeededRng;

    const CHEAP: Scheme = Scheme::Argon2id {
        memory_kib: 64,
        passes: 1,
        lanes: 1,
    };

    #[test]
    fn a_password_fits_its_own_hash_only() {
        let rng = SeededRng::new(1);
        for scheme in [CHEAP, Scheme::Bcrypt { cost: 4 }] {
            let phc = hash(scheme, &*rng, "kırmızı bisiklet").unwrap();
            assert_eq!(check(scheme, &*rng, &phc, "kırmızı bisiklet"), Check::Right);
            assert_eq!(check(scheme, &*rng, &phc, "kirmizi bisiklet"), Check::Wrong);
        }
    }

    #[test]
    fn live_parameters_are_those_of_the_checklist() {
        let rng = SeededRng::new(1);
        let phc = hash(Scheme::default(), &*rng, "kırmızı bisiklet").unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=47104,t=1,p=1$"), "{phc}");
    }

    #[test]
    fn other_schemes_and_parameters_are_upgraded() {
        let rng = SeededRng::new(1);
        let old = Scheme::Argon2id {
            memory_kib: 32,
            passes: 1,
            lanes: 1,
        };
        for older in [old, Scheme::Bcrypt { cost: 4 }] {
            let phc = hash(older, &*rng, "kırmızı bisiklet").unwrap();
            let Check::Upgrade(new) = check(CHEAP, &*rng, &phc, "kırmızı bisiklet") else {
                panic!("no upgrade of {phc}");
            };
            assert_eq!(check(CHEAP, &*rng, &new, "kırmızı bisiklet"), Check::Right);
        }
        let foreign = "$2a$04$9K5u0qTbW4cTqbqRPl0yHuHfJb8t2hB4bQeC7o5ZC2pJxGm1yYb8K";
        assert_eq!(
            check(CHEAP, &*rng, foreign, "whatever it was"),
            Check::Wrong
        );
    }

    #[test]
    fn stored_parameters_beyond_the_bounds_are_never_computed() {
        let rng = SeededRng::new(1);
        let tail = "$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
        for head in [
            "$argon2id$v=19$m=1048577,t=1,p=1",
            "$argon2id$v=19$m=4294967295,t=1,p=1",
            "$argon2id$v=19$m=64,t=11,p=1",
            "$argon2id$v=19$m=1024,t=1,p=17",
            "$argon2i$v=19$m=64,t=1,p=1",
            "$scrypt$ln=16,r=8,p=1",
        ] {
            let phc = format!("{head}{tail}");
            assert_eq!(check(CHEAP, &*rng, &phc, "x"), Check::Unusable, "{phc}");
        }
        let bcrypt = hash(Scheme::Bcrypt { cost: 4 }, &*rng, "x").unwrap();
        let bomb = bcrypt.replacen("$04$", "$16$", 1);
        assert_eq!(check(CHEAP, &*rng, &bomb, "x"), Check::Unusable);
        assert_eq!(check(CHEAP, &*rng, "", "x"), Check::Unusable);
    }

    #[test]
    fn the_dummy_costs_the_same_and_fits_nothing() {
        let rng = SeededRng::new(1);
        for scheme in [CHEAP, Scheme::Bcrypt { cost: 4 }] {
            let phc = dummy(scheme, &*rng).unwrap();
            assert_eq!(
                check(scheme, &*rng, &phc, "anything"),
                Check::Wrong,
                "{phc}"
            );
        }
    }

    #[test]
    fn strength_has_edges_and_knows_the_user() {
        let weak = |password: &str, words: &[&str]| weaknesses(CHEAP, password, words);
        assert_eq!(weak("k7#Qz!p", &[]), ["TOO_SHORT"]);
        // Eight characters are long enough; as unusual ones they are just below the score.
        assert_eq!(weak("k7#Qz!pV", &[]), ["EASY_TO_GUESS"]);
        assert_eq!(weak("k7#Qz!pV2", &[]), Vec::<&str>::new());
        let long = "kırmızı bisiklet yokuş aşağı ".repeat(9);
        let at_limit: String = long.chars().take(MAX_CHARS).collect();
        assert_eq!(weak(&at_limit, &[]), Vec::<&str>::new());
        assert_eq!(weak(&format!("{at_limit}x"), &[]), ["TOO_LONG"]);
        assert_eq!(weak("password123", &[])[0], "EASY_TO_GUESS");
        assert!(weak("password", &[]).contains(&"COMMON"));
        assert_eq!(weak("meydanmeydan", &[])[0], "EASY_TO_GUESS");
        let own = "zeynepkarabacak";
        assert_eq!(
            weak(own, &["zeynepkarabacak@example.com"])[0],
            "EASY_TO_GUESS"
        );
    }

    #[test]
    fn what_looks_strong_and_was_breached_is_refused() {
        let weak = |password: &str| weaknesses(CHEAP, password, &[]);
        for strong in ["FQRG7CS493", "g9l2d1fzPY", "yuantuo2012"] {
            assert_eq!(weak(strong), ["BREACHED"]);
        }
        assert!(weak("password1").contains(&"BREACHED"));
        assert_eq!(
            weak("123456"),
            ["TOO_SHORT"],
            "the length is looked at first"
        );
    }

    #[test]
    fn stored_parameters_at_the_bounds_are_taken() {
        let tail = "$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
        for head in [
            "$argon2id$v=19$m=1048576,t=1,p=1",
            "$argon2id$v=19$m=64,t=10,p=1",
            "$argon2id$v=19$m=1024,t=1,p=16",
        ] {
            assert!(Stored::parse(&format!("{head}{tail}")).is_some(), "{head}");
        }
        let rng = SeededRng::new(1);
        let bcrypt = hash(Scheme::Bcrypt { cost: 4 }, &*rng, "x").unwrap();
        for (cost, taken) in [("15", true), ("16", false), ("31", false), ("99", false)] {
            let stored = bcrypt.replacen("$04$", &format!("${cost}$"), 1);
            assert_eq!(Stored::parse(&stored).is_some(), taken, "{cost}");
        }
    }

    #[test]
    fn bcrypt_takes_71_bytes_and_refuses_72() {
        let rng = SeededRng::new(1);
        let scheme = Scheme::Bcrypt { cost: 4 };
        assert!(hash(scheme, &*rng, &"x".repeat(71)).is_some());
        assert!(hash(scheme, &*rng, &"x".repeat(72)).is_none());
        assert_eq!(weaknesses(scheme, &"x".repeat(72), &[]), ["TOO_LONG"]);
    }
}
