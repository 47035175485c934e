//! What the fuzz targets and the replay of their corpus do with an input, and what must hold for
//! every input. Each function gives how it ended, and panics when something does not hold.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity::{Email, fuzz};
use serde_json::{Value, json};

/// A passkey that was made and used; the tests of the corpus print another one.
const CEREMONIES: &str = include_str!("passkeys.json");

/// Names of accounts: telephone numbers, e-mail addresses, usernames.
pub(crate) fn names(text: &str) -> &'static str {
    let phone = fuzz::phone(text);
    if let Some((number, country)) = &phone {
        let digits = number.strip_prefix('+').expect("E.164");
        assert!((7..=15).contains(&digits.len()), "{number}");
        assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{number}");
        assert_eq!(country.len(), 2);
        assert_eq!(fuzz::phone(number), phone, "read again");
    }
    let email = Email::parse(text);
    if let Some(email) = &email {
        assert_eq!(email.text, text);
        assert_eq!(email.key, text.to_ascii_lowercase());
        assert!(text.len() <= 254 && text.is_ascii());
        let again = Email::parse(&email.key).expect("the key is an address, too");
        assert_eq!(again.key, email.key);
    }
    let (kind, named) = fuzz::identifier(text);
    assert!(!named.contains('\0'), "PostgreSQL takes no NUL");
    assert!(email.is_none() || kind == "email");
    let (is_username, made) = fuzz::username(text);
    assert!(fuzz::username(&made).0, "{made}");
    assert!(!is_username || (kind == "username" && named == text));
    match (phone, email, is_username) {
        (Some(_), None, false) => "phone",
        (None, Some(_), false) => "email",
        (None, None, true) => "username",
        (None, None, false) => "none",
        // National numbers are written in digits alone.
        (Some(_), None, true) => "both",
        (_, Some(_), _) => panic!("an address and something else"),
    }
}

/// Short secrets that people type or paste.
pub(crate) fn codes(text: &str) -> &'static str {
    let otp = fuzz::otp_code(text);
    if let Some(code) = &otp {
        assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()));
        assert_eq!(code, text.trim());
    }
    let recovery = fuzz::recovery_code(text);
    if let Some((idx, code)) = &recovery {
        assert!((0..10).contains(idx) && code.len() == 16);
        assert_eq!(fuzz::recovery_code(&format!("{idx}{code}")), recovery);
    }
    let key = kernel::api_key::prefix(text);
    if let Some(prefix) = key {
        assert!(kernel::api_key::is_one(text) && text.starts_with(prefix));
        assert_eq!((prefix.len(), text.len()), (19, 67));
        for at in 0..text.len() {
            let mistype = |(place, sign)| match (place == at, sign) {
                (false, _) => sign,
                (true, 'a') => 'b',
                (true, _) => 'a',
            };
            let mistyped: String = text.chars().enumerate().map(mistype).collect();
            assert_eq!(kernel::api_key::prefix(&mistyped), None, "{mistyped}");
        }
    }
    match (otp, recovery, key) {
        (Some(_), None, None) => "otp",
        (None, Some(_), None) => "recovery",
        (None, None, Some(_)) => "key",
        (None, None, None) => "none",
        _ => panic!("a code of two kinds"),
    }
}

/// What a client says about the device it runs on, as JSON.
pub(crate) fn devices(text: &str) -> &'static str {
    let Some(stored) = fuzz::device(text) else {
        return "refused";
    };
    for text in stored {
        assert!(!text.is_empty() && text.trim() == text, "{text:?}");
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(text.chars().count() <= 4_096);
    }
    "ok"
}

/// A refresh token; two lines are a header and claims that have to be signed first, so that a
/// fuzzer gets behind the signature.
pub(crate) fn refresh_tokens(text: &str) -> &'static str {
    let token = signed(text);
    let (refresh, access) = fuzz::refresh_token(&token);
    assert!(!(refresh && access), "one token of two kinds");
    for (taken, kind, audience) in [
        (refresh, "refresh", "my-auth-service"),
        (access, "access", "my-app-client"),
    ] {
        if taken {
            let claims = claims(&token);
            assert_eq!(claims["type"], kind);
            assert_eq!(claims["iss"], "my-auth-service");
            assert_eq!(claims["aud"], audience);
            assert!(claims["exp"].as_i64() > Some(fuzz::NOW_S - 30));
            assert!(claims["iat"].as_i64() <= Some(fuzz::NOW_S + 30));
        }
    }
    match (refresh, access) {
        (true, _) => "ok",
        (false, true) => "access",
        (false, false) => "invalid",
    }
}

/// An ID token of a provider, likewise; text that begins like a key set is one.
pub(crate) fn id_tokens(text: &str) -> &'static str {
    const GOOD: &str = r#"{"iss":"https://id.example.com","sub":"248289761001","aud":"meydan","exp":1800000600,"iat":1800000000,"nonce":"nonce-of-the-login"}"#;
    let (token, keys) = if text.starts_with("{\"keys\"") {
        let header = json!({"alg": "EdDSA", "kid": fuzz::KID}).to_string();
        (fuzz::sign(&header, GOOD), text.to_owned())
    } else {
        (signed(text), fuzz::provider_keys())
    };
    match fuzz::id_token(&token, &keys) {
        Ok(subject) => {
            let claims = claims(&token);
            assert_eq!(claims["sub"], subject);
            assert_eq!(claims["iss"], fuzz::PROVIDER);
            assert_eq!(claims["nonce"], fuzz::NONCE);
            assert!(claims["aud"].to_string().contains(fuzz::CLIENT));
            assert!((1..=255).contains(&subject.len()));
            "ok"
        }
        Err("no key set" | "an unknown key" | "an unusable key") => "key",
        Err(_) => "invalid",
    }
}

/// The answers of browsers to ceremonies with passkeys. The first byte says which part of a good
/// answer the rest takes the place of.
pub(crate) fn passkeys(data: &[u8]) -> &'static str {
    let Some((part, rest)) = data.split_first() else {
        return "refused";
    };
    let good: Value = serde_json::from_str(CEREMONIES).expect("the stored ceremonies");
    let (made, used) = (&good["registration"], &good["authentication"]);
    let site = fuzz::Passkeys::new().expect("a site");
    let stored = &used["stored"];
    let mut answer = match part {
        b'r' | b'u' => serde_json::from_slice(rest).unwrap_or(Value::Null),
        b'A' | b'C' => made["answer"].clone(),
        b'D' | b'S' | b'H' | b'c' => used["answer"].clone(),
        _ => return "refused",
    };
    let field = match part {
        b'A' => Some("attestationObject"),
        b'C' | b'c' => Some("clientDataJSON"),
        b'D' => Some("authenticatorData"),
        b'S' => Some("signature"),
        b'H' => Some("userHandle"),
        _ => None,
    };
    if let Some(field) = field {
        answer["response"][field] = URL_SAFE_NO_PAD.encode(rest).into();
    }
    let taken = match part {
        b'r' | b'A' | b'C' => {
            let stored = site.finish_registration(&made["waiting"], answer);
            stored.is_some_and(|stored| {
                // What is stored has to be read again at each login.
                assert!(stored["cred"].is_object());
                true
            })
        }
        _ => site.finish_authentication(&used["waiting"], stored, answer),
    };
    if taken { "ok" } else { "refused" }
}

fn signed(text: &str) -> String {
    match text.split_once('\n') {
        Some((header, claims)) => fuzz::sign(header, claims),
        None => text.to_owned(),
    }
}

/// The claims of a token that was taken, as anybody reads them.
fn claims(token: &str) -> Value {
    let body = token.split('.').nth(1).expect("three parts");
    let body = URL_SAFE_NO_PAD.decode(body).expect("base64url");
    serde_json::from_slice(&body).expect("claims")
}
