//! What this server is to browsers that hold passkeys, and the ceremonies with them (WebAuthn).
//!
//! No SQL here. The library draws its challenges from the system's random source by itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use webauthn_rs::prelude::{
    CredentialID, DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Url, Uuid, Webauthn, WebauthnBuilder,
};

use crate::error::{Error, Result};
use crate::sql::passkeys::Used;

/// Where passkeys of this server are good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeySite {
    /// The domain they are bound to; of every page below it, too.
    pub rp_id: String,
    /// The origins of the pages that may use them.
    pub origins: Vec<String>,
}

impl PasskeySite {
    /// The site behind a public URL; none where browsers offer no passkeys: on plain HTTP and on
    /// an address without a name. This computer's own address is reached as `localhost` as well.
    pub fn behind(public_url: &str) -> Option<Self> {
        let url = Url::parse(public_url).ok()?;
        let host = url.host_str()?;
        let address = host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .ok();
        let local = host == "localhost" || address.is_some_and(|ip| ip.is_loopback());
        let (rp_id, scheme) = match (local, address, url.scheme()) {
            (true, _, scheme @ ("http" | "https")) => ("localhost", scheme),
            (false, None, "https") => (host, "https"),
            _ => return None,
        };
        let port = url.port().map(|port| format!(":{port}"));
        Some(PasskeySite {
            rp_id: rp_id.to_owned(),
            origins: vec![format!("{scheme}://{rp_id}{}", port.unwrap_or_default())],
        })
    }

    /// Whether browsers take it: each origin is the domain or below it.
    pub fn is_sound(&self) -> bool {
        RelyingParty::new(self).is_some()
    }
}

/// The library, set up for a site.
pub(crate) struct RelyingParty(Webauthn);

/// A ceremony that waits for the browser; kept in the cache.
#[derive(Serialize, Deserialize)]
pub(crate) enum Ceremony {
    /// A passkey is made for a user.
    Register(Box<PasskeyRegistration>),
    /// A passkey is used, by whomever.
    Authenticate(Box<DiscoverableAuthentication>),
}

/// A passkey that was made.
pub(crate) struct Made {
    pub(crate) cred_id: Vec<u8>,
    /// The library's form of it. Its count is zero: we compare counts ourselves.
    pub(crate) stored: Vec<u8>,
    pub(crate) transports: Vec<String>,
    pub(crate) aaguid: Option<Vec<u8>>,
    pub(crate) first: Used,
}

impl RelyingParty {
    pub(crate) fn new(site: &PasskeySite) -> Option<Self> {
        let mut origins = site.origins.iter().map(|origin| Url::parse(origin));
        let first = origins.next()?.ok()?;
        let mut builder = WebauthnBuilder::new(&site.rp_id, &first).ok()?;
        for origin in origins {
            let origin = origin.ok()?;
            // The builder looks at the first one only.
            WebauthnBuilder::new(&site.rp_id, &origin).ok()?;
            builder = builder.append_allowed_origin(&origin);
        }
        builder.rp_name("Meydan").build().ok().map(RelyingParty)
    }

    /// Begins to make a passkey: what the browser needs, and what waits here.
    pub(crate) fn begin_registration(
        &self,
        user: i64,
        names: (&str, &str),
        known: Vec<CredentialID>,
    ) -> Result<(Value, Ceremony)> {
        let (options, waiting) = self
            .0
            .start_passkey_registration(handle(user), names.0, names.1, Some(known))
            .or(Err(Error::Broken("a passkey ceremony that cannot begin")))?;
        let mut options = json(&options.public_key)?;
        // The library discourages it, to spare old keys; but logins here name nobody.
        if let Some(Value::Object(selection)) = options.pointer_mut("/authenticatorSelection") {
            selection.insert("residentKey".to_owned(), "required".into());
            selection.insert("requireResidentKey".to_owned(), true.into());
        }
        Ok((options, Ceremony::Register(Box::new(waiting))))
    }

    /// Checks the browser's answer to [`RelyingParty::begin_registration`]; none when it does not
    /// fit.
    pub(crate) fn finish_registration(
        &self,
        waiting: &PasskeyRegistration,
        answer: Value,
    ) -> Option<Made> {
        let answer: RegisterPublicKeyCredential = serde_json::from_value(answer).ok()?;
        let passkey = self.0.finish_passkey_registration(&answer, waiting).ok()?;
        let cred_id: Vec<u8> = passkey.cred_id().to_vec();
        let mut stored = serde_json::to_value(&passkey).ok()?;
        let inner = stored.get_mut("cred")?.as_object_mut()?;
        let flag = |name: &str| inner.get(name).and_then(Value::as_bool);
        let first = Used {
            sign_count: inner.get("counter")?.as_i64()?,
            backup_eligible: flag("backup_eligible")?,
            backup_state: flag("backup_state")?,
        };
        inner.insert("counter".to_owned(), 0.into());
        let transports = answer.response.transports.unwrap_or_default();
        let word = |transport| match serde_json::to_value(transport) {
            Ok(Value::String(word)) => Some(word),
            _ => None,
        };
        Some(Made {
            aaguid: aaguid(&answer.response.attestation_object, &cred_id),
            cred_id,
            stored: serde_json::to_vec(&stored).ok()?,
            transports: transports.into_iter().filter_map(word).take(8).collect(),
            first,
        })
    }

    /// Begins to use a passkey. Nobody is named, so nothing is told about anybody.
    pub(crate) fn begin_authentication(&self) -> Result<(Value, Ceremony)> {
        let (options, waiting) = self
            .0
            .start_discoverable_authentication()
            .or(Err(Error::Broken("a passkey ceremony that cannot begin")))?;
        let options = json(&options.public_key)?;
        Ok((options, Ceremony::Authenticate(Box::new(waiting))))
    }

    /// Checks the browser's answer to [`RelyingParty::begin_authentication`] against the passkey
    /// it names.
    pub(crate) fn finish_authentication(
        &self,
        waiting: DiscoverableAuthentication,
        shown: &Shown,
        user: i64,
        stored: &[u8],
    ) -> Option<Used> {
        if shown.user != handle(user) {
            return None;
        }
        let passkey: Passkey = serde_json::from_slice(stored).ok()?;
        let result = self
            .0
            .finish_discoverable_authentication_v2(&shown.answer, waiting, &passkey)
            .ok()?;
        result.user_verified().then(|| Used {
            sign_count: result.counter().into(),
            backup_eligible: result.backup_eligible(),
            backup_state: result.backup_state(),
        })
    }

    /// Reads which passkey an answer is of.
    pub(crate) fn identify(&self, answer: Value) -> Option<Shown> {
        let answer: PublicKeyCredential = serde_json::from_value(answer).ok()?;
        let identified = self.0.identify_discoverable_authentication(&answer).ok()?;
        let (user, cred_id) = (identified.0, identified.1.to_vec());
        Some(Shown {
            user,
            cred_id,
            answer,
        })
    }
}

/// An answer of an authenticator that was read and not yet checked.
pub(crate) struct Shown {
    user: Uuid,
    pub(crate) cred_id: Vec<u8>,
    answer: PublicKeyCredential,
}

/// What authenticators know a user by: the id that everybody may see, and no name.
fn handle(user: i64) -> Uuid {
    Uuid::from_u128(u128::from(user.unsigned_abs()))
}

fn json(options: &impl Serialize) -> Result<Value> {
    serde_json::to_value(options).or(Err(Error::Broken("passkey options that cannot be written")))
}

/// The model of an authenticator: the 16 bytes that stand before the length of the credential id
/// and the id itself (WebAuthn §6.5.1). Zero means that it does not tell.
fn aaguid(attestation: &[u8], cred_id: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(cred_id.len()).ok()?.to_be_bytes();
    let tail = [&length, cred_id].concat();
    let at = attestation
        .windows(tail.len())
        .position(|window| window == tail)?;
    let model = attestation.get(at.checked_sub(16)?..at)?;
    model.iter().any(|byte| *byte != 0).then(|| model.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind(url: &str) -> Option<(String, Vec<String>)> {
        let site = PasskeySite::behind(url)?;
        assert!(site.is_sound(), "{url}");
        Some((site.rp_id, site.origins))
    }

    #[test]
    fn sites_follow_the_public_url() {
        for (url, rp_id, origin) in [
            (
                "https://chat.example.com",
                "chat.example.com",
                "https://chat.example.com",
            ),
            (
                "https://example.com:8443",
                "example.com",
                "https://example.com:8443",
            ),
            (
                "http://127.0.0.1:3000",
                "localhost",
                "http://localhost:3000",
            ),
            ("http://[::1]:3000", "localhost", "http://localhost:3000"),
            ("http://localhost", "localhost", "http://localhost"),
        ] {
            let expected = (rp_id.to_owned(), vec![origin.to_owned()]);
            assert_eq!(behind(url), Some(expected), "{url}");
        }
        for url in ["https://203.0.113.7", "http://chat.example.com", "x", ""] {
            assert_eq!(behind(url), None, "{url}");
        }
    }

    #[test]
    fn every_origin_must_be_below_the_domain() {
        let site = |origins: &[&str]| PasskeySite {
            rp_id: "example.com".to_owned(),
            origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
        };
        assert!(site(&["https://example.com", "https://a.example.com"]).is_sound());
        for origins in [
            &["https://badexample.com"][..],
            &["https://example.com", "https://example.org"],
            &["no url"],
            &[],
        ] {
            assert!(!site(origins).is_sound(), "{origins:?}");
        }
    }

    #[test]
    fn models_are_read_where_they_stand() {
        let mut object = vec![9; 40];
        object.extend([7; 16]);
        object.extend([0, 3, 1, 2, 3, 5, 5]);
        assert_eq!(aaguid(&object, &[1, 2, 3]), Some(vec![7; 16]));
        assert_eq!(aaguid(&object, &[1, 2, 4]), None);
        assert_eq!(aaguid(&[0, 1, 8], &[8]), None);
    }
}
