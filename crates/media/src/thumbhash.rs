//! A picture in about 25 bytes, to be shown until the real one has come.
//!
//! The form is ThumbHash (Evan Wallace, 2023), which the dialect's `placeholder` holds: a cosine
//! transform of luminance, two colour differences and alpha, of which the lowest frequencies are
//! kept with four bits each. Written from the description of the form.

use std::f32::consts::PI;

/// The longest side that may be hashed.
pub(crate) const MAX_SIDE: u8 = 100;

/// A small picture.
pub(crate) struct Small<'a> {
    pub(crate) width: u8,
    pub(crate) height: u8,
    /// Red, green, blue, alpha for each pixel, row by row.
    pub(crate) rgba: &'a [u8],
}

/// One channel after the transform: its mean, its waves from -1 to 1, and how strong those are.
struct Waves {
    mean: f32,
    waves: Vec<f32>,
    scale: f32,
}

/// Hashes a small picture; none when it has no pixel or is too large.
pub(crate) fn hash(picture: &Small<'_>) -> Option<Vec<u8>> {
    let (wide, high) = (picture.width, picture.height);
    let pixels = usize::from(wide) * usize::from(high);
    if pixels == 0 || wide.max(high) > MAX_SIDE || picture.rgba.len() != pixels * 4 {
        return None;
    }
    let [light, yellow, red, alpha] = channels(picture.rgba);
    let is_opaque = alpha.iter().all(|alpha| *alpha >= 1.0);
    let most = if is_opaque { 7.0 } else { 5.0 };
    let longest = f32::from(wide.max(high));
    let count = |side: u8| bits(most * f32::from(side) / longest / 255.0, 255).max(1);
    let (across, down) = (count(wide), count(high));
    let size = (wide, high);
    let light = transform(&light, size, (across.max(3), down.max(3)));
    let yellow = transform(&yellow, size, (3, 3));
    let red = transform(&red, size, (3, 3));
    let is_landscape = wide > high;
    let shorter = if is_landscape { down } else { across };
    let head = bits(light.mean, 63)
        | bits(0.5 + 0.5 * yellow.mean, 63) << 6
        | bits(0.5 + 0.5 * red.mean, 63) << 12
        | bits(light.scale, 31) << 18
        | u32::from(!is_opaque) << 23;
    let form = shorter
        | bits(yellow.scale, 63) << 3
        | bits(red.scale, 63) << 9
        | u32::from(is_landscape) << 15;
    let mut hash: Vec<u8> = head.to_le_bytes().into_iter().take(3).collect();
    hash.extend(form.to_le_bytes().into_iter().take(2));
    let mut nibbles: Vec<u32> = Vec::new();
    let mut all = vec![light, yellow, red];
    if !is_opaque {
        let alpha = transform(&alpha, size, (5, 5));
        let (mean, scale) = (bits(alpha.mean, 15), bits(alpha.scale, 15));
        nibbles.extend([mean, scale]);
        all.push(alpha);
    }
    let waves = all.iter().flat_map(|channel| &channel.waves);
    nibbles.extend(waves.map(|wave| bits(0.5 + 0.5 * wave, 15)));
    hash.extend(nibbles.chunks(2).map(|pair| {
        let byte = pair.iter().rev().fold(0, |byte, nibble| byte << 4 | nibble);
        u8::try_from(byte).unwrap_or(u8::MAX)
    }));
    Some(hash)
}

/// Luminance, two colour differences and alpha; what is transparent takes the mean colour.
fn channels(rgba: &[u8]) -> [Vec<f32>; 4] {
    let unit = |byte: &u8| f32::from(*byte) / 255.0;
    let pixels = || {
        rgba.chunks_exact(4).filter_map(move |pixel| match pixel {
            [r, g, b, a] => Some([unit(r), unit(g), unit(b), unit(a)]),
            _ => None,
        })
    };
    let mut mean = [0.0; 3];
    let mut solid = 0.0;
    for [r, g, b, a] in pixels() {
        for (sum, part) in mean.iter_mut().zip([r, g, b]) {
            *sum += a * part;
        }
        solid += a;
    }
    if solid > 0.0 {
        mean = mean.map(|sum| sum / solid);
    }
    let mut all: [Vec<f32>; 4] = Default::default();
    for [r, g, b, a] in pixels() {
        let [red, green, blue] = mean;
        let over = |part: f32, mean: f32| mean * (1.0 - a) + a * part;
        let (r, g, b) = (over(r, red), over(g, green), over(b, blue));
        let values = [(r + g + b) / 3.0, (r + g) / 2.0 - b, r - g, a];
        for (channel, value) in all.iter_mut().zip(values) {
            channel.push(value);
        }
    }
    all
}

fn transform(channel: &[f32], (wide, high): (u8, u8), (across, down): (u32, u32)) -> Waves {
    let (mut mean, mut waves, mut scale) = (0.0, Vec::new(), 0.0_f32);
    let pixels = f32::from(wide) * f32::from(high);
    let frequency = |step: u32| f32::from(u8::try_from(step).unwrap_or(u8::MAX));
    for v in 0..down {
        // The higher half of the frequencies, above the diagonal, is left out.
        for u in (0..across).take_while(|u| u * down < across * (down - v)) {
            let wave = |step: u32, side: u8, at: u8| {
                (PI / f32::from(side) * frequency(step) * (f32::from(at) + 0.5)).cos()
            };
            let places = (0..high).flat_map(|y| (0..wide).map(move |x| (x, y)));
            let sum: f32 = places
                .zip(channel)
                .map(|((x, y), value)| value * wave(u, wide, x) * wave(v, high, y))
                .sum();
            let strength = sum / pixels;
            if u == 0 && v == 0 {
                mean = strength;
            } else {
                waves.push(strength);
                scale = scale.max(strength.abs());
            }
        }
    }
    // Weaker ones would be rounding errors, and count as none.
    if scale > 1.0 / 512.0 {
        for wave in &mut waves {
            *wave /= scale;
        }
    } else {
        waves.fill(-1.0);
    }
    Waves { mean, waves, scale }
}

/// A number from 0 to 1 as one from 0 to `most`.
#[expect(
    clippy::as_conversions,
    reason = "floats become integers in no other way; the value is clamped before"
)]
fn bits(value: f32, most: u8) -> u32 {
    let scaled = (value * f32::from(most))
        .round()
        .clamp(0.0, f32::from(most));
    scaled as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(width: u8, height: u8, pixel: [u8; 4]) -> Vec<u8> {
        let rgba = pixel.repeat(usize::from(width) * usize::from(height));
        let small = Small {
            width,
            height,
            rgba: &rgba,
        };
        hash(&small).unwrap()
    }

    #[test]
    fn one_colour_is_its_mean_without_waves() {
        let white = flat(4, 4, [255, 255, 255, 255]);
        // Luminance 63, both differences in the middle (32), no strength, opaque; 7 by 7 waves.
        assert_eq!(&white[..5], [0x3f, 0x08, 0x02, 0x07, 0x00]);
        assert!(white[5..].iter().all(|byte| *byte == 0));
        let black = flat(4, 4, [0, 0, 0, 255]);
        assert_eq!(black[0] & 0x3f, 0);
    }

    #[test]
    fn form_and_transparency_are_told() {
        let wide = flat(100, 50, [10, 20, 30, 255]);
        assert_eq!(wide[4] >> 7, 1, "landscape");
        assert_eq!(wide[3] & 7, 4, "half of 7, rounded up");
        let high = flat(50, 100, [10, 20, 30, 255]);
        assert_eq!((high[4] >> 7, high[3] & 7), (0, 4));
        let glass = flat(10, 10, [10, 20, 30, 128]);
        assert_eq!(glass[2] >> 7, 1);
        assert_eq!(glass[5] & 0x0f, 8, "half transparent");
    }

    #[test]
    fn a_gradient_has_its_wave_where_it_belongs() {
        let rgba: Vec<u8> = (0..64_u8)
            .flat_map(|at| [(at % 8) * 32, (at % 8) * 32, (at % 8) * 32, 255])
            .collect();
        let small = Small {
            width: 8,
            height: 8,
            rgba: &rgba,
        };
        let hash = hash(&small).unwrap();
        assert_eq!(
            hash[5] & 0x0f,
            0,
            "the first wave across is the strongest, downwards"
        );
        // The others are weak: near the middle.
        assert!((5..=10).contains(&(hash[5] >> 4)), "{:x}", hash[5]);
    }

    #[test]
    fn bounds_are_kept() {
        let refused = |width: u8, height: u8, bytes: usize| {
            let rgba = vec![0; bytes];
            hash(&Small {
                width,
                height,
                rgba: &rgba,
            })
            .is_none()
        };
        assert!(refused(0, 4, 0));
        assert!(refused(101, 1, 404));
        assert!(refused(2, 2, 15));
        assert!(!refused(100, 1, 400));
    }
}
