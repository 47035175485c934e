//! What claims may not say.

use anyhow::Result;

use super::{Forge, List, Members, Verdict};

/// How far clocks may differ, in seconds.
const LEEWAY: i64 = 30;

/// Values that are near to a right one, or were taken for it somewhere.
const WRONG: &[(&str, &[&str])] = &[
    (
        "iss",
        &[
            "\"\"",
            "\"evil\"",
            "\"My-Auth-Service\"",
            "\"my-auth-service/\"",
            "\"my-auth-service\\u0000\"",
            "[]",
            "1",
        ],
    ),
    (
        "aud",
        &[
            "\"\"",
            "\"another-app\"",
            "\"My-App-Client\"",
            "\"my-app-client\\u0000\"",
            "\"my-app-client my-auth-service\"",
            "[\"my-app-client\"]",
            "[\"my-app-client\",\"my-auth-service\"]",
            "[]",
            "1",
        ],
    ),
    (
        "type",
        &[
            "\"Access\"",
            "\"Refresh\"",
            "\"id\"",
            "\"\"",
            "{\"access\":null}",
            "{\"refresh\":null}",
        ],
    ),
    (
        "sub",
        &[
            "\"\"",
            "\"-1\"",
            "\"+1\"",
            "\" 1\"",
            "\"1e3\"",
            "\"0x1\"",
            "\"1\\u0000\"",
            "\"18446744073709551616\"",
            "\"a person\"",
            "42",
            "-1",
        ],
    ),
    ("sid", &["\"\"", "\"-1\"", "\"x\"", "7"]),
    ("jti", &["\"\"", "\"x\"", "9"]),
];

/// JSON that nests so deep.
pub(super) fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

impl Forge {
    pub(super) fn claims(&self, list: &mut List) -> Result<()> {
        let own: Vec<String> = self.claims.names().map(str::to_owned).collect();
        for name in &own {
            let value = self.claims.get(name);
            let mut bad = |what: &str, claims: Members| -> Result<()> {
                list.bad(format!("{what} {name}"), self.with_claims(claims.text())?);
                Ok(())
            };
            bad("without", self.claims.without(name))?;
            bad("the same twice:", self.claims.and(name, value))?;
            bad("first another", self.claims.before(name, "\"1\""))?;
            bad("then another", self.claims.and(name, "\"1\""))?;
            bad(
                "a list around",
                self.claims.with(name, &format!("[{value}]")),
            )?;
            bad(
                "a list of two as",
                self.claims.with(name, &format!("[{value},\"x\"]")),
            )?;
            bad(
                "an object around",
                self.claims.with(name, &format!("{{\"x\":{value}}}")),
            )?;
            bad("deep nesting as", self.claims.with(name, &nested(500)))?;
            for wrong in ["null", "true", "{}", "1.5"] {
                bad(wrong, self.claims.with(name, wrong))?;
            }
        }
        // What a kind of token does not have means nothing in it.
        let has = |name: &str| own.iter().any(|it| it == name);
        for (name, values) in WRONG.iter().filter(|(name, _)| has(name)) {
            for value in *values {
                let claims = self.claims.with(name, value);
                list.bad(format!("{name} {value}"), self.with_claims(claims.text())?);
            }
        }
        self.payloads(list)
    }

    fn payloads(&self, list: &mut List) -> Result<()> {
        let good = self.claims.text();
        for text in ["", "null", "[]", "42", "\"x\"", "{}", "{"] {
            list.bad(format!("claims {text:?}"), self.with_claims(text)?);
        }
        list.bad("a list around all", self.with_claims(format!("[{good}]"))?);
        list.bad("claims twice", self.with_claims(format!("{good}{good}"))?);
        list.bad(
            "something after the claims",
            self.with_claims(format!("{good}x"))?,
        );
        list.bad(
            "a mark of order",
            self.with_claims(format!("\u{feff}{good}"))?,
        );
        list.bad(
            "NUL after the claims",
            self.with_claims(format!("{good}\0"))?,
        );
        let raw = self.claims.with("sub", "\"1\0\"");
        list.bad("NUL in a claim", self.with_claims(raw.text())?);
        list.bad("deep claims", self.with_claims(nested(500))?);
        let twice = format!("{{\"s\\u0075b\":\"1\",{}", good.trim_start_matches('{'));
        list.bad("sub twice, once escaped", self.with_claims(twice)?);
        let mut latin = good.clone().into_bytes();
        latin.extend_from_slice(&[0xff, 0xfe]);
        list.bad("claims that are no UTF-8", self.with_claims(latin)?);
        let wide: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
        list.bad("claims in UTF-16", self.with_claims(wide)?);
        // What a later release adds must not lock out its predecessor.
        let more = self.claims.and("a_later_claim", "{\"x\":[1]}").text();
        list.add(
            "a claim that nobody knows",
            self.with_claims(more)?,
            Verdict::Good,
        );
        Ok(())
    }

    /// Each moment at the last second that passes and the first that does not.
    pub(super) fn times(&self, list: &mut List) -> Result<()> {
        let now = self.now;
        for (name, at, verdict) in [
            ("exp", now - LEEWAY + 1, Verdict::Good),
            ("exp", now - LEEWAY, Verdict::Late),
            ("exp", now - LEEWAY - 1, Verdict::Late),
            ("exp", 0, Verdict::Late),
            ("exp", -1, Verdict::Late),
            ("iat", now + LEEWAY, Verdict::Good),
            ("iat", now + LEEWAY + 1, Verdict::Bad),
            ("iat", 0, Verdict::Good),
            ("nbf", now + LEEWAY, Verdict::Good),
            ("nbf", now + LEEWAY + 1, Verdict::Bad),
            ("nbf", 0, Verdict::Good),
        ] {
            let claims = self.claims.with(name, &at.to_string()).text();
            let what = format!("{name} {} s from now", at.saturating_sub(now));
            list.add(what, self.with_claims(claims)?, verdict);
        }
        let soon = now + 60;
        for name in ["exp", "iat", "nbf"] {
            for value in [
                i64::MAX.to_string(),
                i64::MIN.to_string(),
                u64::MAX.to_string(),
                "1e300".to_owned(),
                "-1e300".to_owned(),
                format!("{soon}.0"),
                format!("{soon}.5"),
                "1e10".to_owned(),
                format!("\"{soon}\""),
                "\"soon\"".to_owned(),
                "\"2100-01-01T00:00:00Z\"".to_owned(),
                "[]".to_owned(),
                "true".to_owned(),
                "9".repeat(400),
            ] {
                let claims = self.claims.with(name, &value).text();
                list.bad(format!("{name} {value:.30}"), self.with_claims(claims)?);
            }
        }
        let begins = self.claims.and("nbf", "0").and("nbf", "0");
        list.bad("nbf twice", self.with_claims(begins.text())?);
        Ok(())
    }
}
