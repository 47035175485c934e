//! QR codes as pictures. Pure.

use qrcodegen::{QrCode, QrCodeEcc};

/// Light modules around the code, as ISO/IEC 18004 wants them.
const QUIET: i32 = 4;

/// The QR code of a text as SVG, dark on light whatever is around it; none of a text that is too
/// long for one (about 2,300 bytes).
pub(crate) fn svg(text: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let side = code.size() + 2 * QUIET;
    let mut dark = String::new();
    for y in 0..code.size() {
        for x in 0..code.size() {
            if code.get_module(x, y) {
                dark.push_str(&format!("M{} {}h1v1h-1z", x + QUIET, y + QUIET));
            }
        }
    }
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" \
         shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}h-{side}z\"/>\
         <path fill=\"#000\" d=\"{dark}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    // That readers read it is tested with one, in `tests/clients`.
    #[test]
    fn a_code_is_square_and_has_a_light_border() {
        // 2,331 bytes are the most of the largest code at this level of repair.
        let longest = "x".repeat(2_331);
        for (text, side) in [("", 29), ("otpauth://totp/a", 33), (longest.as_str(), 185)] {
            let svg = svg(text).unwrap();
            assert!(
                svg.contains(&format!("viewBox=\"0 0 {side} {side}\"")),
                "{svg}"
            );
            // The corner of the first finder pattern.
            assert!(svg.contains("M4 4h1v1h-1z") && !svg.contains("M3 "));
        }
        assert_eq!(svg(&"x".repeat(2_332)), None);
    }
}
