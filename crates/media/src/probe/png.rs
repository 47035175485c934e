//! PNG: chunks (W3C, Portable Network Graphics, third edition, sections 5 and 11).

use super::{Broken, Probe, Reader, Walked, length, tiff};

/// What is needed to show the picture as it is meant, also moving.
const NEEDED: &[&[u8; 4]] = &[
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB",
    b"cICP", b"bKGD", b"pHYs", b"acTL", b"fcTL", b"fdAT",
];

pub(super) fn walk(file: &[u8]) -> Walked {
    const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1a\n";
    let mut reader = Reader::new(file);
    if &reader.array::<8>()? != SIGNATURE {
        return Err(Broken::Rule("no signature of a PNG"));
    }
    let mut clean = Vec::with_capacity(file.len());
    clean.extend_from_slice(SIGNATURE);
    let (mut size, mut orientation, mut has_data) = (None, 1, false);
    loop {
        let begin = reader.at;
        let body_length = length(u32::from_be_bytes(reader.array()?))?;
        let name = reader.array::<4>()?;
        let body = reader.take(body_length)?;
        reader.take(4)?;
        match (&name, size) {
            (b"IHDR", None) => size = Some(header(body)?),
            (b"IHDR", Some(_)) | (_, None) => {
                return Err(Broken::Rule("a PNG has one header, at its begin"));
            }
            (b"IDAT", _) => has_data = true,
            (b"eXIf", _) => orientation = tiff::orientation(body),
            _ => {}
        }
        if NEEDED.contains(&&name) {
            clean.extend_from_slice(reader.slice(begin..reader.at));
        } else if name.first().is_some_and(u8::is_ascii_uppercase) {
            return Err(Broken::Rule("a critical chunk nobody knows"));
        }
        if &name == b"IEND" {
            break;
        }
    }
    let (width, height) = size.ok_or(Broken::Short)?;
    if !has_data {
        return Err(Broken::Rule("a PNG without a picture"));
    }
    Ok(Probe {
        width,
        height,
        orientation,
        clean,
    })
}

fn header(body: &[u8]) -> Result<(u32, u32), Broken> {
    let mut reader = Reader::new(body);
    let size = (
        u32::from_be_bytes(reader.array()?),
        u32::from_be_bytes(reader.array()?),
    );
    reader.take(5)?;
    Ok(size)
}
