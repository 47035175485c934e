//! GIF: blocks (CompuServe, Graphics Interchange Format, version 89a).

use super::{Broken, Probe, Reader, Walked};

pub(super) fn walk(file: &[u8]) -> Walked {
    let mut reader = Reader::new(file);
    let signature = reader.array::<6>()?;
    if !matches!(&signature, b"GIF87a" | b"GIF89a") {
        return Err(Broken::Rule("no signature of a GIF"));
    }
    let (width, height) = (
        u16::from_le_bytes(reader.array()?),
        u16::from_le_bytes(reader.array()?),
    );
    let flags = reader.byte()?;
    reader.take(2)?;
    reader.take(table_bytes(flags))?;
    let mut clean = Vec::with_capacity(file.len());
    clean.extend_from_slice(reader.slice(0..reader.at));
    let mut has_picture = false;
    loop {
        let begin = reader.at;
        let needed = match reader.byte()? {
            0x3b => break,
            0x2c => {
                picture(&mut reader, (width, height))?;
                has_picture = true;
                true
            }
            0x21 => extension(&mut reader)?,
            _ => return Err(Broken::Rule("a block nobody knows")),
        };
        if needed {
            clean.extend_from_slice(reader.slice(begin..reader.at));
        }
    }
    clean.push(0x3b);
    if !has_picture {
        return Err(Broken::Rule("a GIF without a picture"));
    }
    Ok(Probe {
        width: width.into(),
        height: height.into(),
        orientation: 1,
        clean,
    })
}

fn table_bytes(flags: u8) -> usize {
    if flags & 0x80 == 0 {
        0
    } else {
        3 << ((flags & 7) + 1)
    }
}

/// A picture must lie on the screen: a decoder allocates for both.
fn picture(reader: &mut Reader<'_>, (width, height): (u16, u16)) -> Result<(), Broken> {
    let mut number = || -> Result<u32, Broken> { Ok(u16::from_le_bytes(reader.array()?).into()) };
    let (left, top, wide, high) = (number()?, number()?, number()?, number()?);
    if left + wide > u32::from(width) || top + high > u32::from(height) {
        return Err(Broken::Rule("a picture beyond the screen"));
    }
    let flags = reader.byte()?;
    reader.take(table_bytes(flags))?;
    reader.byte()?;
    blocks(reader)
}

/// Walks an extension; whether it is needed: how a picture is shown, and that it goes on.
fn extension(reader: &mut Reader<'_>) -> Result<bool, Broken> {
    let label = reader.byte()?;
    let body = reader.rest();
    let goes_on = body.starts_with(b"\x0bNETSCAPE2.0") || body.starts_with(b"\x0bANIMEXTS1.0");
    blocks(reader)?;
    Ok(label == 0xf9 || (label == 0xff && goes_on))
}

fn blocks(reader: &mut Reader<'_>) -> Result<(), Broken> {
    loop {
        match reader.byte()? {
            0 => return Ok(()),
            length => reader.take(length.into())?,
        };
    }
}
