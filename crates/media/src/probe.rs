//! What an image file is made of, read without decoding a pixel. Pure.
//!
//! Each format is walked from end to end by its own rules: what is needed to show the picture is
//! kept, in order; what tells of the photographer (EXIF, XMP, IPTC, comments, times) is left out,
//! and so is whatever follows the picture's end. Sizes are bounded before anybody allocates for
//! them. A file that breaks its format's rules is none.

mod gif;
mod jpeg;
mod png;
mod tiff;
mod webp;

use std::ops::Range;

use crate::kinds::ImageKind;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Probe {
    /// As stored, before it is turned.
    pub(crate) width: u32,
    /// As stored, before it is turned.
    pub(crate) height: u32,
    /// How the stored picture is to be turned: 1 to 8, as EXIF counts.
    pub(crate) orientation: u8,
    /// The file without what is not needed.
    pub(crate) clean: Vec<u8>,
}

impl Probe {
    pub(crate) fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// As people see it.
    pub(crate) fn shown_size(&self) -> (u32, u32) {
        if self.orientation >= 5 {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        }
    }
}

/// Why a file is not the image it begins as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It is cut off.
    #[error("the file ends before the picture does")]
    Short,
    /// A rule that it breaks.
    #[error("{0}")]
    Rule(&'static str),
}

pub(crate) type Walked = Result<Probe, Broken>;

/// Walks a file of a kind.
pub(crate) fn walk(kind: ImageKind, file: &[u8]) -> Walked {
    let probe = match kind {
        ImageKind::Jpeg => jpeg::walk(file),
        ImageKind::Png => png::walk(file),
        ImageKind::Gif => gif::walk(file),
        ImageKind::Webp => webp::walk(file),
    }?;
    if probe.width == 0 || probe.height == 0 {
        return Err(Broken::Rule("the picture has no pixels"));
    }
    Ok(probe)
}

/// Reads a file from its begin.
struct Reader<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(file: &'a [u8]) -> Self {
        Reader { file, at: 0 }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Broken> {
        let end = self.at.checked_add(length).ok_or(Broken::Short)?;
        let taken = self.file.get(self.at..end).ok_or(Broken::Short)?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        self.take(N)?.try_into().or(Err(Broken::Short))
    }

    fn byte(&mut self) -> Result<u8, Broken> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    fn rest(&self) -> &'a [u8] {
        self.file.get(self.at..).unwrap_or_default()
    }

    fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    fn slice(&self, range: Range<usize>) -> &'a [u8] {
        self.file.get(range).unwrap_or_default()
    }
}

fn length(bytes: u32) -> Result<usize, Broken> {
    usize::try_from(bytes).or(Err(Broken::Short))
}

#[cfg(test)]
mod tests;
