//! `~seq~nanoseconds~`: what every message carries, and how it is found again in a frame without
//! reading its JSON.

/// The text for message `seq`, sent at `sent_ns`.
pub(crate) fn make(seq: u64, sent_ns: u64) -> String {
    format!("~{seq}~{sent_ns}~")
}

/// The first marker in `bytes`: `(seq, sent_ns)`.
pub(crate) fn find(bytes: &[u8]) -> Option<(u64, u64)> {
    let mut rest = bytes;
    loop {
        let at = rest.iter().position(|byte| *byte == b'~')?;
        rest = rest.get(at + 1..)?;
        if let Some((seq, after)) = number(rest, b'~')
            && let Some((sent_ns, _)) = number(after, b'~')
        {
            return Some((seq, sent_ns));
        }
    }
}

/// The `s` of a dispatch whose first field it is.
pub(crate) fn sequence(frame: &[u8]) -> Option<u64> {
    let (s, _) = number(frame.strip_prefix(br#"{"s":"#)?, b',')?;
    Some(s)
}

/// A decimal number that ends with `end`, and what follows it.
fn number(bytes: &[u8], end: u8) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    let mut digits = 0_usize;
    for byte in bytes {
        if *byte == end {
            break;
        }
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value
            .checked_mul(10)?
            .checked_add(u64::from(byte.wrapping_sub(b'0')))?;
        digits += 1;
    }
    if digits == 0 {
        return None;
    }
    // Without the end there is no number: the text was cut.
    bytes.get(digits + 1..).map(|rest| (value, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn found_among_other_tildes() {
        assert_eq!(find(br#"{"content":"~12~345~ hello"}"#), Some((12, 345)));
        assert_eq!(find(b"a~b~~3~4~"), Some((3, 4)));
        assert_eq!(find(b"~1~~2~3~"), Some((2, 3)));
    }

    #[test]
    fn not_found_when_cut_or_absent() {
        for bytes in [
            &b""[..],
            b"~",
            b"~~",
            b"~1~",
            b"~1~2",
            b"~1~x~",
            b"no marker",
            b"~99999999999999999999999~1~",
        ] {
            assert_eq!(find(bytes), None, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn sequence_is_the_first_field() {
        assert_eq!(sequence(br#"{"s":42,"op":0}"#), Some(42));
        assert_eq!(sequence(br#"{"op":0,"s":42}"#), None);
        assert_eq!(sequence(br#"{"s":null,"op":0}"#), None);
        assert_eq!(sequence(br#"{"s":4"#), None);
    }

    proptest! {
        #[test]
        fn what_is_made_is_found(seq in any::<u64>(), at in any::<u64>(), before in "[^~]{0,20}") {
            let text = format!("{before}{}tail", make(seq, at));
            prop_assert_eq!(find(text.as_bytes()), Some((seq, at)));
        }
    }
}
