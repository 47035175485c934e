//! Signatures that do not fit, and texts that are no tokens.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Forge, List, Signer, Verdict, base64url};

/// The order of the group of Ed25519, lowest byte first (RFC 8032 §5.1).
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
/// Longest token that is read.
const LONGEST: usize = 4096;
const MIB: usize = 1024 * 1024;

impl Forge {
    pub(super) fn signatures(&self, list: &mut List) -> Result<()> {
        let good = self.good()?;
        let (signed, signature) = good.rsplit_once('.').context("a signature")?;
        let raw = URL_SAFE_NO_PAD.decode(signature)?;
        let mut bad = |what: &str, signature: &[u8]| {
            list.bad(what, format!("{signed}.{}", base64url(signature)));
        };
        bad("no signature", &[]);
        bad("a signature of zeros", &vec![0; raw.len()]);
        bad(
            "half a signature",
            raw.get(..raw.len() / 2).unwrap_or_default(),
        );
        bad(
            "a byte of the signature less",
            raw.get(1..).unwrap_or_default(),
        );
        bad("a byte of the signature more", &[&raw[..], &[0]].concat());
        bad("the signature twice", &[&raw[..], &raw].concat());
        for index in 0..raw.len() {
            let mut flipped = raw.clone();
            flipped
                .iter_mut()
                .skip(index)
                .take(1)
                .for_each(|byte| *byte ^= 1);
            bad(&format!("a bit of byte {index} of the signature"), &flipped);
        }
        if let Signer::Ed25519(_) = &self.signer {
            bad("the signature's other spelling", &plus_order(&raw));
        }
        // The last character holds bits that mean nothing; in another spelling they are set.
        let last = signature.chars().last().context("a character")?;
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let next = alphabet
            .chars()
            .skip_while(|c| *c != last)
            .nth(1)
            .context("the next one")?;
        let (start, _) = good.split_at(good.len() - 1);
        list.bad("bits after the signature", format!("{start}{next}"));
        let other = self.with_claims(self.claims.and("x", "1").text())?;
        let (_, theirs) = other.rsplit_once('.').context("a signature")?;
        list.bad(
            "the signature of another token",
            format!("{signed}.{theirs}"),
        );
        let (head, body) = signed.split_once('.').context("a body")?;
        list.bad(
            "header and claims changed places",
            format!("{body}.{head}.{signature}"),
        );
        Ok(())
    }

    pub(super) fn texts(&self, list: &mut List) -> Result<()> {
        let good = self.good()?;
        let parts: Vec<&str> = good.split('.').collect();
        let [head, body, signature] = parts[..] else {
            anyhow::bail!("three parts");
        };
        for (what, text) in [
            ("two parts", format!("{head}.{body}")),
            ("two parts and a dot", format!("{head}.{body}.")),
            ("one part", head.to_owned()),
            ("four parts", format!("{good}.{signature}")),
            ("four parts, the last empty", format!("{good}.")),
            ("four parts, the first empty", format!(".{good}")),
            (
                "four parts, the second empty",
                format!("{head}..{body}.{signature}"),
            ),
            (
                "five parts, as encrypted ones have",
                format!("{head}.{body}.{body}.{body}.{signature}"),
            ),
            ("no header", format!(".{body}.{signature}")),
            ("no claims", format!("{head}..{signature}")),
            ("dots doubled", good.replace('.', "..")),
            ("nothing", String::new()),
            ("a dot", ".".to_owned()),
            ("two dots", "..".to_owned()),
            ("NUL", "\0".to_owned()),
            ("NUL after it", format!("{good}\0")),
            ("NUL in it", format!("{head}.{body}\0.{signature}")),
            ("no ASCII", "🔑.🔑.🔑".to_owned()),
            ("a dot that is none", good.replace('.', "。")),
            ("a space before it", format!(" {good}")),
            ("a space after it", format!("{good} ")),
            ("a line's end after it", format!("{good}\n")),
            ("a line's end in it", format!("{head}.{body}\n.{signature}")),
            ("a space in it", format!("{head}.{body} .{signature}")),
            ("two of them", format!("{good} {good}")),
            ("two of them, as a list", format!("{good},{good}")),
            ("a scheme before it", format!("Bearer {good}")),
            ("quotes around it", format!("\"{good}\"")),
            ("percent signs", good.replace('.', "%2E")),
            ("padded header", format!("{head}==.{body}.{signature}")),
            ("padded claims", format!("{head}.{body}=.{signature}")),
            ("padded signature", format!("{good}==")),
            ("only padding", "=.=.=".to_owned()),
            ("capitals", good.to_ascii_uppercase()),
            (
                "JSON",
                format!(
                    "{{\"protected\":\"{head}\",\"payload\":\"{body}\",\"signature\":\"{signature}\"}}"
                ),
            ),
            ("1 MiB of a letter", "a".repeat(MIB)),
            ("1 MiB of dots", ".".repeat(MIB)),
            (
                "1 MiB of header",
                format!("{}.{body}.{signature}", "A".repeat(MIB)),
            ),
        ] {
            list.bad(what, text);
        }
        for kept in (0..good.len()).step_by(7) {
            let (start, _) = good.split_at(kept);
            list.bad(format!("cut off after {kept} bytes"), start);
        }
        self.alphabets(list)?;
        self.lengths(list)
    }

    /// The standard alphabet of base64 in place of the one of URLs.
    fn alphabets(&self, list: &mut List) -> Result<()> {
        // Not every signature holds a character in which the two differ.
        for salt in 0..64 {
            let token = self.with_claims(self.claims.and("x", &salt.to_string()).text())?;
            let standard = token.replace('-', "+").replace('_', "/");
            if standard != token {
                list.add("a token with - or _", token, Verdict::Good);
                list.bad("the standard alphabet", standard);
                return Ok(());
            }
        }
        anyhow::bail!("64 signatures without - and _")
    }

    fn lengths(&self, list: &mut List) -> Result<()> {
        let padded = |bytes: usize| {
            let pad = format!("\"{}\"", "x".repeat(bytes));
            self.with_claims(self.claims.and("x", &pad).text())
        };
        let mut last = String::new();
        for bytes in (0..LONGEST).rev() {
            let token = padded(bytes)?;
            if token.len() <= LONGEST {
                list.add(format!("{} bytes", token.len()), token, Verdict::Good);
                break;
            }
            last = token;
        }
        list.bad(format!("{} bytes", last.len()), last);
        list.bad("1 MiB, signed", padded(MIB)?);
        Ok(())
    }
}

/// The same signature with the group's order added to its second half: a sum that fits as well
/// unless the reader demands the lowest number (RFC 8032 §5.1.7).
fn plus_order(signature: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let (point, scalar) = signature.split_at(signature.len() / 2);
    let sum = scalar.iter().zip(ORDER).map(|(a, b)| {
        let sum = u16::from(*a) + u16::from(b) + carry;
        carry = sum >> 8;
        sum.to_le_bytes()[0]
    });
    point.iter().copied().chain(sum).collect()
}
