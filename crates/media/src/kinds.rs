//! What a file is, by its first bytes, and what may be done with it. Pure.
//!
//! What a sender or a name says is believed only as far as it makes no difference: a file is shown
//! in a browser under one of the types below alone, and everything else is saved and never run.
//! The signatures are those of the formats' own specifications.

/// As many bytes of a file are looked at.
pub(crate) const HEAD_BYTES: usize = 4_096;

/// What everything is that is nothing else.
pub(crate) const UNKNOWN: &str = "application/octet-stream";

/// What a file is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A picture that we understand to its last byte.
    Image,
    /// A film.
    Video,
    /// Sound.
    Audio,
    /// Text, and documents.
    Document,
    /// A packed file.
    Archive,
    /// Anything else.
    Other,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 6] = [
        Class::Image,
        Class::Video,
        Class::Audio,
        Class::Document,
        Class::Archive,
        Class::Other,
    ];

    /// Their words, in the same order.
    pub const WORDS: [&'static str; 6] =
        ["image", "video", "audio", "document", "archive", "other"];

    /// Its word, in settings and metrics.
    pub fn word(self) -> &'static str {
        let words = Self::ALL.iter().zip(Self::WORDS);
        words
            .into_iter()
            .find_map(|(class, word)| (*class == self).then_some(word))
            .unwrap_or("other")
    }
}

/// An image format that we take apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImageKind {
    Jpeg,
    Png,
    Gif,
    Webp,
}

impl ImageKind {
    const ALL: [ImageKind; 4] = [
        ImageKind::Jpeg,
        ImageKind::Png,
        ImageKind::Gif,
        ImageKind::Webp,
    ];

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            ImageKind::Jpeg => "image/jpeg",
            ImageKind::Png => "image/png",
            ImageKind::Gif => "image/gif",
            ImageKind::Webp => "image/webp",
        }
    }

    pub(crate) fn of_content_type(content_type: &str) -> Option<Self> {
        let fits = |kind: &Self| kind.content_type() == content_type;
        Self::ALL.into_iter().find(fits)
    }
}

/// A type, and what it is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) content_type: &'static str,
    pub(crate) class: Class,
}

const fn kind(content_type: &'static str, class: Class) -> Kind {
    Kind {
        content_type,
        class,
    }
}

/// Signatures at the begin of a file.
const SIGNATURES: &[(&[u8], Kind)] = &[
    (b"\xff\xd8\xff", kind("image/jpeg", Class::Image)),
    (b"\x89PNG\r\n\x1a\n", kind("image/png", Class::Image)),
    (b"GIF87a", kind("image/gif", Class::Image)),
    (b"GIF89a", kind("image/gif", Class::Image)),
    (b"\x1a\x45\xdf\xa3", kind("video/webm", Class::Video)),
    (b"OggS", kind("audio/ogg", Class::Audio)),
    (b"fLaC", kind("audio/flac", Class::Audio)),
    (b"ID3", kind("audio/mpeg", Class::Audio)),
    (b"%PDF-", kind("application/pdf", Class::Document)),
    (b"PK\x03\x04", kind("application/zip", Class::Archive)),
    (b"PK\x05\x06", kind("application/zip", Class::Archive)),
    (b"\x1f\x8b", kind("application/gzip", Class::Archive)),
    (
        b"7z\xbc\xaf\x27\x1c",
        kind("application/x-7z-compressed", Class::Archive),
    ),
    (b"Rar!\x1a\x07", kind("application/vnd.rar", Class::Archive)),
];

/// What a file is, by its first [`HEAD_BYTES`].
pub(crate) fn sniff(head: &[u8]) -> Kind {
    if let Some((_, kind)) = SIGNATURES.iter().find(|(mark, _)| head.starts_with(mark)) {
        return *kind;
    }
    match (head.get(..4), head.get(4..8), head.get(8..12)) {
        (Some(b"RIFF"), _, Some(b"WEBP")) => return kind("image/webp", Class::Image),
        (Some(b"RIFF"), _, Some(b"WAVE")) => return kind("audio/wav", Class::Audio),
        (_, Some(b"ftyp"), Some(brand)) => return of_brand(brand),
        _ => {}
    }
    // An MPEG audio frame, layer III, without a tag before it.
    if let [0xff, second, ..] = head
        && second & 0xe6 == 0xe2
    {
        return kind("audio/mpeg", Class::Audio);
    }
    if is_text(head) {
        return kind("text/plain", Class::Document);
    }
    kind(UNKNOWN, Class::Other)
}

/// ISO base media files tell by their brand what they are.
fn of_brand(brand: &[u8]) -> Kind {
    match brand {
        b"M4A " | b"M4B " => kind("audio/mp4", Class::Audio),
        b"qt  " => kind("video/quicktime", Class::Video),
        // Still images of this family are not taken apart yet, so nobody looks at them in place.
        b"avif" | b"avis" | b"heic" | b"heix" | b"heim" | b"heis" | b"mif1" | b"msf1" => {
            kind(UNKNOWN, Class::Other)
        }
        _ => kind("video/mp4", Class::Video),
    }
}

/// Whether it reads as UTF-8 without control characters. The cut at the end may part a character.
fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            let sound = head.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(sound).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}');
    !head.is_empty() && !text.contains(odd)
}

/// Whether the content contradicts what its sender said: only of types that we know can be said.
pub(crate) fn contradicts(declared: &str, found: Kind) -> bool {
    const KNOWN: &[(&str, Class)] = &[
        ("image/jpeg", Class::Image),
        ("image/png", Class::Image),
        ("image/gif", Class::Image),
        ("image/webp", Class::Image),
        ("video/mp4", Class::Video),
        ("video/webm", Class::Video),
        ("video/quicktime", Class::Video),
        ("audio/mpeg", Class::Audio),
        ("audio/flac", Class::Audio),
        ("audio/wav", Class::Audio),
    ];
    let declared = declared.split(';').next().unwrap_or_default().trim();
    let said = KNOWN.iter().find(|(word, _)| *word == declared);
    said.is_some_and(|(_, class)| *class != found.class)
}

/// Whether browsers may show it in place. Nothing here can run a script.
pub(crate) fn is_shown_in_place(content_type: &str) -> bool {
    const SHOWN: &[&str] = &[
        "image/jpeg",
        "image/png",
        "image/gif",
        "image/webp",
        "video/mp4",
        "video/webm",
        "video/quicktime",
        "audio/mpeg",
        "audio/mp4",
        "audio/ogg",
        "audio/flac",
        "audio/wav",
    ];
    SHOWN.contains(&content_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_first_bytes() {
        for (head, expected) in [
            (&b"\xff\xd8\xff\xe0"[..], "image/jpeg"),
            (b"\x89PNG\r\n\x1a\n....", "image/png"),
            (b"GIF89a......", "image/gif"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
            (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
            (b"RIFF\0\0\0\0AVI LIST", UNKNOWN),
            (b"\0\0\0\x18ftypisom", "video/mp4"),
            (b"\0\0\0\x18ftypM4A ", "audio/mp4"),
            (b"\0\0\0\x18ftypheic", UNKNOWN),
            (b"\xff\xfb\x90\x00", "audio/mpeg"),
            (b"%PDF-1.7", "application/pdf"),
            (b"PK\x03\x04....", "application/zip"),
            (b"<svg onload=alert(1)>", "text/plain"),
            (b"<!doctype html>", "text/plain"),
            (b"merhaba d\xc3\xbcnya \xc3", "text/plain"),
            (b"\xc3\x28", UNKNOWN),
            (b"MZ\x90\0", UNKNOWN),
            (b"", UNKNOWN),
        ] {
            assert_eq!(sniff(head).content_type, expected, "{head:?}");
        }
    }

    #[test]
    fn what_is_said_may_not_contradict_what_is_there() {
        for (declared, head, refused) in [
            ("image/png", &b"\xff\xd8\xff\xe0"[..], false),
            ("image/jpeg; q=1", b"\xff\xd8\xff\xe0", false),
            ("image/png", b"<html>", true),
            ("video/mp4", b"\x89PNG\r\n\x1a\n", true),
            ("image/svg+xml", b"<svg>", false),
            ("image/heic", b"\0\0\0\x18ftypheic", false),
            ("text/html", b"\x89PNG\r\n\x1a\n", false),
            ("", b"<html>", false),
        ] {
            assert_eq!(contradicts(declared, sniff(head)), refused, "{declared}");
        }
    }

    #[test]
    fn nothing_that_runs_is_shown_in_place() {
        for found in [
            "text/html",
            "text/plain",
            "image/svg+xml",
            "application/pdf",
            UNKNOWN,
        ] {
            assert!(!is_shown_in_place(found), "{found}");
        }
        for kind in ImageKind::ALL {
            assert!(is_shown_in_place(kind.content_type()));
            assert_eq!(ImageKind::of_content_type(kind.content_type()), Some(kind));
        }
    }
}
