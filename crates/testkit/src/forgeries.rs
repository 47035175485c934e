//! Forged tokens: one list for every reader of our tokens, so that none is less strict than another.
//!
//! Most rows are signed with the real key, which no attacker has: what they get wrong is then all
//! that can refuse them. Rows that must pass stand among them, made by the same hands.

mod claims;
mod headers;
mod texts;

use anyhow::{Context as _, Result};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// What a reader must say to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is one of ours.
    Good,
    /// It is one of ours, past its end: only a logout still takes it.
    Late,
    /// It is forged or broken.
    Bad,
}

/// A token and what is to become of it.
#[derive(Clone, Debug)]
pub struct Forgery {
    /// What was done to it.
    pub what: String,
    /// The token.
    pub token: String,
    /// What a reader must say.
    pub verdict: Verdict,
}

/// The key that signs.
#[derive(Clone, Debug)]
pub enum Signer {
    /// The seed of an Ed25519 key.
    Ed25519([u8; 32]),
    /// A shared secret.
    Hs256(Vec<u8>),
}

impl Signer {
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>> {
        Ok(match self {
            Self::Ed25519(seed) => pair(seed)?.sign(text).as_ref().to_vec(),
            Self::Hs256(secret) => mac(secret, text),
        })
    }
}

fn pair(seed: &[u8; 32]) -> Result<Ed25519KeyPair> {
    Ed25519KeyPair::from_seed_unchecked(seed)
        .ok()
        .context("making a key")
}

fn mac(secret: &[u8], text: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::sign(&key, text).as_ref().to_vec()
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Members of a JSON object, whose values are JSON texts; they may be wrong, or stand twice.
#[derive(Clone, Debug)]
struct Members(Vec<(String, String)>);

impl Members {
    fn of(object: &Value) -> Result<Self> {
        let object = object.as_object().context("an object")?;
        let member = |(name, value): (&String, &Value)| (name.clone(), value.to_string());
        Ok(Self(object.iter().map(member).collect()))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(own, _)| own == name);
        found.map_or("null", |(_, value)| value)
    }

    /// With this value in place of its own.
    fn with(&self, name: &str, value: &str) -> Self {
        self.without(name).and(name, value)
    }

    fn without(&self, name: &str) -> Self {
        let others = self.0.iter().filter(|(own, _)| own != name);
        Self(others.cloned().collect())
    }

    /// With one member more, also if it stands there already.
    fn and(&self, name: &str, value: &str) -> Self {
        let mut all = self.0.clone();
        all.push((name.to_owned(), value.to_owned()));
        Self(all)
    }

    fn before(&self, name: &str, value: &str) -> Self {
        let mut all = self.0.clone();
        all.insert(0, (name.to_owned(), value.to_owned()));
        Self(all)
    }

    fn text(&self) -> String {
        let members = self
            .0
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }
}

/// Makes tokens like a good one, and worse.
#[derive(Clone, Debug)]
pub struct Forge {
    signer: Signer,
    header: Members,
    claims: Members,
    /// The second in which the readers live.
    now: i64,
}

impl Forge {
    /// Begins with the header and the claims of a token of ours, and the reader's clock in seconds.
    ///
    /// # Errors
    ///
    /// When one of the two is no object.
    pub fn new(signer: Signer, header: &Value, claims: &Value, now: i64) -> Result<Self> {
        Ok(Self {
            signer,
            header: Members::of(header)?,
            claims: Members::of(claims)?,
            now,
        })
    }

    /// Signs two texts.
    ///
    /// # Errors
    ///
    /// When the key cannot be used.
    pub fn sign(&self, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> Result<String> {
        let signed = format!("{}.{}", base64url(header), base64url(claims));
        let signature = base64url(self.signer.sign(signed.as_bytes())?);
        Ok(format!("{signed}.{signature}"))
    }

    /// A token as ours are.
    ///
    /// # Errors
    ///
    /// As for [`Self::sign`].
    pub fn good(&self) -> Result<String> {
        self.sign(self.header.text(), self.claims.text())
    }

    /// The list. `other` is a good token of another kind.
    ///
    /// # Errors
    ///
    /// As for [`Self::sign`].
    pub fn forgeries(&self, other: &str) -> Result<Vec<Forgery>> {
        let mut list = List(Vec::new());
        list.add("nothing was done", self.good()?, Verdict::Good);
        list.add("another kind of token", other, Verdict::Bad);
        self.headers(&mut list)?;
        self.claims(&mut list)?;
        self.times(&mut list)?;
        self.signatures(&mut list)?;
        self.texts(&mut list)?;
        Ok(list.0)
    }

    fn with_header(&self, header: impl AsRef<[u8]>) -> Result<String> {
        self.sign(header, self.claims.text())
    }

    fn with_claims(&self, claims: impl AsRef<[u8]>) -> Result<String> {
        self.sign(self.header.text(), claims)
    }
}

struct List(Vec<Forgery>);

impl List {
    fn add(&mut self, what: impl Into<String>, token: impl Into<String>, verdict: Verdict) {
        self.0.push(Forgery {
            what: what.into(),
            token: token.into(),
            verdict,
        });
    }

    fn bad(&mut self, what: impl Into<String>, token: impl Into<String>) {
        self.add(what, token, Verdict::Bad);
    }
}
