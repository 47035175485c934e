//! Masking: the same operation hides and shows a payload.

/// Masks or unmasks a payload in place.
///
/// Eight bytes at a time: a key of four bytes repeated fills a word, so no byte has to know its
/// place, and the compiler turns the loop into vector instructions.
pub fn apply_mask(payload: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for chunk in words {
        *chunk = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::apply_mask;

    #[test]
    fn masking_agrees_with_the_definition_at_every_length() {
        let key = [0x37, 0xFA, 0x21, 0x3D];
        for length in 0..70 {
            let plain: Vec<u8> = (0..length).collect();
            let expected: Vec<u8> = plain
                .iter()
                .enumerate()
                .map(|(i, byte)| byte ^ key[i % 4])
                .collect();
            let mut masked = plain.clone();
            apply_mask(&mut masked, key);
            assert_eq!(masked, expected, "length {length}");
            apply_mask(&mut masked, key);
            assert_eq!(masked, plain, "length {length}");
        }
    }
}
