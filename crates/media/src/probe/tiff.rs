//! How a picture is to be turned, from the TIFF directory inside EXIF (TIFF 6.0, section 2; EXIF
//! 2.32, tag 0x0112). Anything odd means "not at all".

/// The orientation in a TIFF block; 1 when it tells none.
pub(super) fn orientation(tiff: &[u8]) -> u8 {
    read(tiff)
        .filter(|turn| (1..=8).contains(turn))
        .unwrap_or(1)
}

fn read(tiff: &[u8]) -> Option<u8> {
    const ORIENTATION: u16 = 0x0112;
    const ENTRY_BYTES: usize = 12;
    let big = match tiff.get(..4)? {
        b"MM\0*" => true,
        b"II*\0" => false,
        _ => return None,
    };
    let short = |at: usize| -> Option<u16> {
        let bytes = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if big {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    };
    let first = tiff.get(4..8)?.try_into().ok()?;
    let first = if big {
        u32::from_be_bytes(first)
    } else {
        u32::from_le_bytes(first)
    };
    let directory = usize::try_from(first).ok()?;
    let count = usize::from(short(directory)?);
    (0..count).find_map(|index| {
        let entry = directory.checked_add(2)?.checked_add(index * ENTRY_BYTES)?;
        (short(entry)? == ORIENTATION)
            .then(|| short(entry.checked_add(8)?)?.try_into().ok())
            .flatten()
    })
}
