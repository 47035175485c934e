//! What a header may not say.

use anyhow::Result;
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Forge, List, Signer, base64url, mac, pair};

/// What stands before the 32 bytes of an Ed25519 key in its DER form (RFC 8410 §4).
const DER_PREFIX: [u8; 12] = [48, 42, 48, 5, 6, 3, 43, 101, 112, 3, 33, 0];

/// Algorithms in the spellings that fooled somebody once.
const ALGORITHMS: &[&str] = &[
    "none", "None", "NONE", "nOnE", "none ", "", "HS256", "HS384", "HS512", "RS256", "RS512",
    "PS256", "ES256", "ES384", "ES256K", "eddsa", "EDDSA", "EdDSA ", "Ed25519", "dir", "A128KW",
];

/// Values of a member that must be one text.
const NO_TEXTS: &[&str] = &["null", "1", "true", "[]", "{}"];

const TYPES: &[&str] = &[
    "JWT",
    "jwt",
    "at+JWT",
    "AT+JWT",
    "rt+JWT",
    "application/at+jwt",
    "id+jwt",
    "jwt+at",
    "",
];

const KIDS: &[&str] = &[
    "another",
    "",
    "../../../../dev/null",
    "/dev/null",
    "file:///etc/passwd",
    "https://evil.test/key",
    "' OR '1'='1",
    "x' UNION SELECT 'AAAA' --",
    "%00",
    "\\u0000",
];

impl Forge {
    pub(super) fn headers(&self, list: &mut List) -> Result<()> {
        let own = self.header.get("alg").to_owned();
        for alg in ALGORITHMS {
            let text = format!("\"{alg}\"");
            if text == own {
                continue;
            }
            let header = self.header.with("alg", &text).text();
            let token = self.with_header(header)?;
            let (signed, _) = token.rsplit_once('.').unwrap_or_default();
            list.bad(format!("alg {alg:?}, unsigned"), format!("{signed}."));
            list.bad(format!("alg {alg:?}"), token);
        }
        for typ in TYPES {
            let header = self.header.with("typ", &format!("\"{typ}\""));
            list.bad(format!("typ {typ:?}"), self.with_header(header.text())?);
        }
        let good = self.header.get("kid").trim_matches('"').to_owned();
        let near = [
            format!("{good}\\u0000"),
            format!(" {good}"),
            format!("{good}/../{good}"),
        ];
        for kid in KIDS.iter().copied().chain(near.iter().map(String::as_str)) {
            let header = self.header.with("kid", &format!("\"{kid}\""));
            list.bad(format!("kid {kid:?}"), self.with_header(header.text())?);
        }
        self.members_of_headers(list)?;
        self.keys_in_headers(list)?;
        self.public_key_as_secret(list)
    }

    fn members_of_headers(&self, list: &mut List) -> Result<()> {
        for name in ["alg", "typ", "kid"] {
            let value = self.header.get(name);
            let mut bad = |what: &str, header: super::Members| -> Result<()> {
                list.bad(format!("{what} {name}"), self.with_header(header.text())?);
                Ok(())
            };
            bad("without", self.header.without(name))?;
            bad("the same twice:", self.header.and(name, value))?;
            bad("first another", self.header.before(name, "\"none\""))?;
            bad("then another", self.header.and(name, "\"none\""))?;
            bad("a list as", self.header.with(name, &format!("[{value}]")))?;
            bad(
                "an object as",
                self.header.with(name, &format!("{{{value}:null}}")),
            )?;
            for wrong in NO_TEXTS {
                bad(wrong, self.header.with(name, wrong))?;
            }
        }
        let twice = format!(
            "{{\"\\u0061lg\":\"none\",{}",
            self.header.text().trim_start_matches('{')
        );
        list.bad("alg twice, once escaped", self.with_header(twice)?);
        for text in ["", "null", "[]", "\"x\"", "{}", "{", "\u{feff}{}"] {
            list.bad(format!("header {text:?}"), self.with_header(text)?);
        }
        let good = self.header.text();
        list.bad("two headers", self.with_header(format!("{good}{good}"))?);
        list.bad(
            "a header after a mark of order",
            self.with_header(format!("\u{feff}{good}"))?,
        );
        let deep = self.header.and("x", &super::claims::nested(500));
        list.bad("a deep header", self.with_header(deep.text())?);
        Ok(())
    }

    /// A key of the attacker's own, offered in the header; and extensions that must be understood.
    fn keys_in_headers(&self, list: &mut List) -> Result<()> {
        let theirs = Forge {
            signer: Signer::Ed25519([66; 32]),
            ..self.clone()
        };
        let key = pair(&[66; 32])?;
        let x = base64url(key.public_key());
        let jwk = format!("{{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"{x}\"}}");
        for (name, value) in [
            ("jwk", jwk.as_str()),
            ("jku", "\"https://evil.test/jwks.json\""),
            ("x5u", "\"https://evil.test/cert.pem\""),
            ("x5c", "[\"MIIB\"]"),
            ("x5t", "\"AAAA\""),
            ("x5t#S256", "\"AAAA\""),
            ("crit", "[\"exp\"]"),
            ("crit", "[]"),
            ("b64", "false"),
            ("zip", "\"DEF\""),
            ("cty", "\"JWT\""),
            ("enc", "\"A128GCM\""),
            ("p2c", "2147483647"),
            ("nonce", "\"1\""),
            ("foo", "1"),
        ] {
            let header = self.header.and(name, value).text();
            list.bad(
                format!("{name} beside our signature"),
                self.with_header(&header)?,
            );
            list.bad(
                format!("{name} beside theirs"),
                theirs.with_header(&header)?,
            );
        }
        list.bad("signed by another key", theirs.good()?);
        let critical = self.header.and("crit", "[\"b64\"]").and("b64", "false");
        list.bad("crit b64", self.with_header(critical.text())?);
        Ok(())
    }

    /// The public key is known to all: it must not serve as a shared secret in any of its forms.
    fn public_key_as_secret(&self, list: &mut List) -> Result<()> {
        let Signer::Ed25519(seed) = &self.signer else {
            return Ok(());
        };
        let key = pair(seed)?;
        let raw = key.public_key().as_ref();
        let der = [&DER_PREFIX[..], raw].concat();
        let standard = |bytes: &[u8]| STANDARD.encode(bytes);
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----",
            standard(&der)
        );
        let x = base64url(raw);
        let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
        let forms: [(&str, Vec<u8>); 9] = [
            ("raw", raw.to_vec()),
            ("base64url", x.clone().into_bytes()),
            ("base64", standard(raw).into_bytes()),
            ("hex", hex.into_bytes()),
            ("DER", der.clone()),
            ("base64 of DER", standard(&der).into_bytes()),
            ("PEM", pem.clone().into_bytes()),
            ("PEM and a line's end", format!("{pem}\n").into_bytes()),
            (
                "JWK",
                format!("{{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"{x}\"}}").into_bytes(),
            ),
        ];
        let shared = self.header.with("alg", "\"HS256\"");
        for header in [&self.header, &shared, &shared.with("kid", "\"hs256\"")] {
            let signed = format!(
                "{}.{}",
                base64url(header.text()),
                base64url(self.claims.text())
            );
            for (form, secret) in &forms {
                let tag = base64url(mac(secret, signed.as_bytes()));
                let what = format!("{} by the public key as {form}", header.get("alg"));
                list.bad(what, format!("{signed}.{tag}"));
            }
        }
        Ok(())
    }
}
