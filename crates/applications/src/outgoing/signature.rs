//! Secrets and signatures of deliveries, as the specification "Standard Webhooks" has them. Pure.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kernel::Rng;

/// What every secret begins with.
const MARK: &str = "whsec_";
/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;

/// The bytes of a new secret.
pub(crate) fn new_secret(rng: &dyn Rng) -> Vec<u8> {
    kernel::rng::bytes::<SECRET_BYTES>(rng).to_vec()
}

/// A secret as it is shown.
pub(crate) fn shown(secret: &[u8]) -> String {
    format!("{MARK}{}", STANDARD.encode(secret))
}

/// The header `webhook-signature`: one signature per secret, parted by a blank.
pub(crate) fn sign(secrets: &[Vec<u8>], id: &str, seconds: i64, body: &[u8]) -> String {
    let signatures = secrets.iter().map(|secret| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let mut context = hmac::Context::with_key(&key);
        context.update(format!("{id}.{seconds}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    });
    signatures.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::SeededRng;

    /// The example that libraries of the specification test themselves with.
    #[test]
    fn the_known_example_is_signed_as_known() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let (id, at) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330);
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(sign(std::slice::from_ref(&secret), id, at, body), signature);
        let both = sign(&[secret, b"older".to_vec()], id, at, body);
        let parts: Vec<&str> = both.split(' ').collect();
        assert_eq!((parts.len(), parts[0]), (2, signature));
        assert_ne!(parts[1], signature);
    }

    #[test]
    fn secrets_are_random_and_shown_with_their_mark() {
        let rng = SeededRng::new(1);
        let (one, other) = (new_secret(&*rng), new_secret(&*rng));
        assert_ne!(one, other);
        let text = shown(&one);
        let bytes = STANDARD
            .decode(text.strip_prefix("whsec_").unwrap())
            .unwrap();
        assert_eq!((bytes.len(), bytes), (32, one));
    }
}
