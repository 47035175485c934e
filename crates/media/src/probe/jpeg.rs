//! JPEG: markers and segments (ITU-T T.81, annex B).

use super::{Broken, Probe, Reader, Walked, tiff};

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const APP14: u8 = 0xee;
const COM: u8 = 0xfe;

pub(super) fn walk(file: &[u8]) -> Walked {
    let mut reader = Reader::new(file);
    if reader.array()? != [0xff, SOI] {
        return Err(Broken::Rule("no start of a JPEG"));
    }
    let mut clean = Vec::with_capacity(file.len());
    clean.extend_from_slice(&[0xff, SOI]);
    let (mut size, mut orientation) = (None, 1);
    loop {
        let marker = marker(&mut reader)?;
        match marker {
            EOI => break,
            // Stand alone, without a length; outside of scans they mean nothing.
            0x01 | 0xd0..=0xd7 => continue,
            SOI | 0x00 => return Err(Broken::Rule("a marker in a wrong place")),
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes(reader.array()?));
        let body = reader.take(length.checked_sub(2).ok_or(Broken::Short)?)?;
        if is_frame(marker) {
            if size.is_some() {
                return Err(Broken::Rule("two frames in one JPEG"));
            }
            size = Some(frame(body)?);
        }
        if marker == APP1
            && let Some(exif) = body.strip_prefix(b"Exif\0\0")
        {
            orientation = tiff::orientation(exif);
        }
        if is_needed(marker, body) {
            clean.extend_from_slice(&[0xff, marker]);
            // Read from two bytes above, so it fits.
            clean.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
            clean.extend_from_slice(body);
        }
        if marker == SOS {
            if size.is_none() {
                return Err(Broken::Rule("a scan before its frame"));
            }
            clean.extend_from_slice(scan(&mut reader)?);
        }
    }
    clean.extend_from_slice(&[0xff, EOI]);
    let (width, height) = size.ok_or(Broken::Rule("a JPEG without a frame"))?;
    Ok(Probe {
        width,
        height,
        orientation,
        clean,
    })
}

/// The next marker; fill bytes may stand before it.
fn marker(reader: &mut Reader<'_>) -> Result<u8, Broken> {
    if reader.byte()? != 0xff {
        return Err(Broken::Rule("no marker where one has to be"));
    }
    loop {
        match reader.byte()? {
            0xff => {}
            marker => return Ok(marker),
        }
    }
}

fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

fn frame(body: &[u8]) -> Result<(u32, u32), Broken> {
    let [_, h1, h0, w1, w0, ..] = body else {
        return Err(Broken::Short);
    };
    let (height, width) = (
        u16::from_be_bytes([*h1, *h0]),
        u16::from_be_bytes([*w1, *w0]),
    );
    Ok((u32::from(width), u32::from(height)))
}

/// Tables, frames and scans; of what applications add, the colour profile and Adobe's transform,
/// without which colours are wrong.
fn is_needed(marker: u8, body: &[u8]) -> bool {
    match marker {
        APP2 => body.starts_with(b"ICC_PROFILE\0"),
        APP14 => body.starts_with(b"Adobe"),
        0xe0..=0xef | COM => false,
        _ => true,
    }
}

/// The coded data of a scan: up to a marker that is neither stuffed nor a restart.
fn scan<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Broken> {
    let begin = reader.at;
    let ends = |pair: &[u8]| matches!(pair, [0xff, next] if *next != 0x00 && *next != 0xff && !matches!(next, 0xd0..=0xd7));
    let coded = reader
        .rest()
        .windows(2)
        .position(ends)
        .ok_or(Broken::Short)?;
    reader.take(coded)?;
    Ok(reader.slice(begin..reader.at))
}
