//! WebP: chunks in RIFF (RFC 9649, section 2).

use super::{Broken, Probe, Reader, Walked, length, tiff};

/// Flags of VP8X that tell of chunks we leave out: EXIF and XMP.
const TELLING: u8 = 0b0000_1100;

/// What the chunks walked so far told.
#[derive(Default)]
struct Told {
    canvas: Option<(u32, u32)>,
    picture: Option<(u32, u32)>,
    moves: bool,
    orientation: Option<u8>,
}

impl Told {
    /// Looks at a chunk; whether it is needed to show the picture.
    fn chunk(&mut self, name: [u8; 4], body: &mut [u8]) -> Result<bool, Broken> {
        match &name {
            b"VP8X" => {
                self.canvas = Some(extended(body)?);
                if let Some(flags) = body.first_mut() {
                    *flags &= !TELLING;
                }
            }
            b"VP8 " => self.picture = Some(lossy(body)?),
            b"VP8L" => self.picture = Some(lossless(body)?),
            b"ANMF" => self.moves = true,
            b"EXIF" => {
                let tiff = body.strip_prefix(b"Exif\0\0").unwrap_or(body);
                self.orientation = Some(tiff::orientation(tiff));
                return Ok(false);
            }
            b"ALPH" | b"ANIM" | b"ICCP" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn size(&self) -> Result<(u32, u32), Broken> {
        match (self.canvas, self.picture) {
            (None, Some(size)) => Ok(size),
            (Some(canvas), Some(size)) if canvas == size => Ok(size),
            // Its frames are drawn on the canvas, which a decoder holds them to.
            (Some(canvas), None) if self.moves => Ok(canvas),
            _ => Err(Broken::Rule("a WebP without a picture of its size")),
        }
    }
}

pub(super) fn walk(file: &[u8]) -> Walked {
    let mut reader = Reader::new(file);
    if &reader.array::<4>()? != b"RIFF" {
        return Err(Broken::Rule("no signature of a WebP"));
    }
    let whole = length(u32::from_le_bytes(reader.array()?))?;
    let mut reader = Reader::new(reader.take(whole)?);
    if &reader.array::<4>()? != b"WEBP" {
        return Err(Broken::Rule("no signature of a WebP"));
    }
    let (mut told, mut chunks) = (Told::default(), Vec::with_capacity(file.len()));
    while !reader.is_at_end() {
        let name = reader.array::<4>()?;
        let bytes = reader.array::<4>()?;
        let body_length = length(u32::from_le_bytes(bytes))?;
        let mut body = reader.take(body_length)?.to_vec();
        let padding = body_length % 2;
        reader.take(padding)?;
        if told.chunk(name, &mut body)? {
            chunks.extend_from_slice(&name);
            chunks.extend_from_slice(&bytes);
            chunks.append(&mut body);
            chunks.resize(chunks.len() + padding, 0);
        }
    }
    let (width, height) = told.size()?;
    let mut clean = Vec::with_capacity(chunks.len() + 12);
    clean.extend_from_slice(b"RIFF");
    let whole = u32::try_from(chunks.len() + 4).or(Err(Broken::Short))?;
    clean.extend_from_slice(&whole.to_le_bytes());
    clean.extend_from_slice(b"WEBP");
    clean.append(&mut chunks);
    Ok(Probe {
        width,
        height,
        orientation: told.orientation.unwrap_or(1),
        clean,
    })
}

/// Width and height less one, 24 bits each, after flags and three reserved bytes.
fn extended(body: &[u8]) -> Result<(u32, u32), Broken> {
    let [_, _, _, _, w0, w1, w2, h0, h1, h2, ..] = body else {
        return Err(Broken::Short);
    };
    let number = |bytes: [u8; 3]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]) + 1;
    Ok((number([*w0, *w1, *w2]), number([*h0, *h1, *h2])))
}

/// 14 bits each, after the tag and start code of a key frame.
fn lossy(body: &[u8]) -> Result<(u32, u32), Broken> {
    let [_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..] = body else {
        return Err(Broken::Rule("no key frame in a WebP"));
    };
    let number = |bytes| u32::from(u16::from_le_bytes(bytes) & 0x3fff);
    Ok((number([*w0, *w1]), number([*h0, *h1])))
}

/// 14 bits each less one, after the signature.
fn lossless(body: &[u8]) -> Result<(u32, u32), Broken> {
    let [0x2f, b0, b1, b2, b3, ..] = body else {
        return Err(Broken::Rule("no signature of lossless WebP"));
    };
    let bits = u32::from_le_bytes([*b0, *b1, *b2, *b3]);
    Ok(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
}
