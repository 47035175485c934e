//! What a token says, read without checking it: the generator believes the server it measures.

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The claims of a token.
pub(crate) fn claims(token: &str) -> anyhow::Result<Value> {
    let body = token.split('.').nth(1).context("a token without claims")?;
    let body = URL_SAFE_NO_PAD.decode(body).context("reading claims")?;
    serde_json::from_slice(&body).context("reading claims")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_the_middle() {
        let token = format!("x.{}.y", URL_SAFE_NO_PAD.encode(r#"{"gen":3}"#));
        assert_eq!(claims(&token).unwrap(), serde_json::json!({"gen": 3}));
        for bad in ["", "x", "x.%.y", "x.eyJ.y"] {
            assert!(claims(bad).is_err(), "{bad}");
        }
    }
}
