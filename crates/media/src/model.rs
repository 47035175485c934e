//! Files as they are stored, and the rules of their names. Pure.

use contracts::media::Place;
use jiff::Timestamp;
use kernel::{AnyId, ChannelId, CommunityId, MediaId, UserId};

/// Most characters of a name.
const MAX_NAME_CHARS: usize = 100;
/// Most bytes of a type that somebody says.
const MAX_TYPE_BYTES: usize = 127;

/// Where a file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It is not whole yet.
    Receiving,
    /// It is whole and sound, and is being worked at.
    Waiting,
    /// It is served.
    Ready,
    /// Nobody needs it; its objects go, then the row.
    Removed,
}

impl From<State> for &'static str {
    fn from(state: State) -> Self {
        match state {
            State::Receiving => "receiving",
            State::Waiting => "waiting",
            State::Ready => "ready",
            State::Removed => "removed",
        }
    }
}

/// A word that is none of the states.
#[derive(Debug, thiserror::Error)]
#[error("read the state of a file from {0:?}")]
pub(crate) struct UnknownState(String);

impl TryFrom<String> for State {
    type Error = UnknownState;

    fn try_from(word: String) -> Result<Self, UnknownState> {
        match word.as_str() {
            "receiving" => Ok(State::Receiving),
            "waiting" => Ok(State::Waiting),
            "ready" => Ok(State::Ready),
            "removed" => Ok(State::Removed),
            _ => Err(UnknownState(word)),
        }
    }
}

/// The object of a file that is served as it came.
pub(crate) const ORIGINAL: &str = "original";
/// The object of an image without what tells of more than the picture.
pub(crate) const CLEAN: &str = "clean";

/// A file as it is stored.
#[derive(Debug, Clone, PartialEq, db::FromRow)]
pub(crate) struct Asset {
    pub(crate) id: MediaId,
    pub(crate) owner_id: UserId,
    #[row(via = "String")]
    pub(crate) state: State,
    pub(crate) folder: String,
    pub(crate) file_name: String,
    pub(crate) declared_type: String,
    pub(crate) size_bytes: i64,
    pub(crate) offset_bytes: i64,
    pub(crate) expected_sha256: Option<Vec<u8>>,
    pub(crate) content_type: Option<String>,
    pub(crate) object: Option<String>,
    pub(crate) width: Option<i32>,
    pub(crate) height: Option<i32>,
    pub(crate) placeholder: Option<String>,
    pub(crate) thumbnail: Option<String>,
    pub(crate) place_kind: Option<i16>,
    pub(crate) place_id: Option<AnyId>,
    pub(crate) channel_id: Option<ChannelId>,
    pub(crate) picture_hash: Option<String>,
    pub(crate) tries: i32,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Asset {
    /// The key of one of its objects.
    pub(crate) fn key(&self, object: &str) -> String {
        format!("media/{}/{object}", self.folder)
    }
}

/// The columns of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlaceColumns {
    pub(crate) kind: i16,
    pub(crate) id: AnyId,
    pub(crate) channel: Option<ChannelId>,
    pub(crate) community: Option<CommunityId>,
}

/// The kind of a place in a message.
pub(crate) const IN_MESSAGE: i16 = 1;

impl From<Place> for PlaceColumns {
    fn from(place: Place) -> Self {
        let columns = |kind, id| PlaceColumns {
            kind,
            id,
            channel: None,
            community: None,
        };
        match place {
            Place::Message {
                community,
                channel,
                message,
            } => PlaceColumns {
                channel: Some(channel),
                community,
                ..columns(IN_MESSAGE, message.cast())
            },
            Place::Avatar(user) => columns(2, user.cast()),
            Place::Icon(community) => columns(3, community.cast()),
        }
    }
}

/// A name without anything that a file system, a header or an address could read in another way:
/// letters, digits and `. _ -` of any language, in one line, not hidden, of bounded length. Its end
/// is kept when it is cut, because that tells what it is.
pub(crate) fn sound_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    let mut sound = String::new();
    for c in last.trim().chars() {
        let c = if plain(c) { c } else { '_' };
        // Runs of marks are what names made to deceive are full of.
        if !(matches!(c, '.' | '_') && sound.ends_with(c)) {
            sound.push(c);
        }
    }
    let sound = sound.trim_matches(['.', '_', '-']);
    if sound.is_empty() {
        return "file".to_owned();
    }
    let count = sound.chars().count();
    if count <= MAX_NAME_CHARS {
        return spoiler(name, sound);
    }
    let (stem, end) = sound.rsplit_once('.').unwrap_or((sound, ""));
    let end: String = end.chars().take(10).collect();
    let room = MAX_NAME_CHARS.saturating_sub(end.chars().count() + 1);
    let stem: String = stem.chars().take(room).collect();
    spoiler(name, format!("{stem}.{end}").trim_end_matches('.'))
}

/// Clients hide what is called `SPOILER_…`; the mark is kept although it looks like others.
fn spoiler(given: &str, sound: &str) -> String {
    const MARK: &str = "SPOILER_";
    let is_marked = given.trim_start().starts_with(MARK);
    if is_marked && !sound.starts_with(MARK) {
        format!("{MARK}{sound}")
    } else {
        sound.to_owned()
    }
}

/// A type that somebody says, in lower case; empty when it cannot be one.
pub(crate) fn sound_type(said: Option<&str>) -> String {
    let said = said.unwrap_or_default().trim().to_ascii_lowercase();
    let graphic = said.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if said.len() <= MAX_TYPE_BYTES && graphic {
        said
    } else {
        String::new()
    }
}

/// A name as it stands in the path of an address.
pub(crate) fn in_path(name: &str) -> String {
    let mut path = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s17_hostile_names_become_harmless() {
        for (given, sound) in [
            ("photo.jpg", "photo.jpg"),
            ("../../etc/passwd", "passwd"),
            ("..\\..\\boot.ini", "boot.ini"),
            ("C:\\a\\b.txt", "b.txt"),
            ("a b  c.txt", "a_b_c.txt"),
            ("x\r\nSet-Cookie: a=b.txt", "x_Set-Cookie_a_b.txt"),
            ("\u{202e}gpj.exe", "gpj.exe"),
            ("a\"b';c<d>.html", "a_b_c_d_.html"),
            ("çiçek.png", "çiçek.png"),
            (".htaccess", "htaccess"),
            ("...", "file"),
            ("", "file"),
            ("\0", "file"),
            ("SPOILER_cat.png", "SPOILER_cat.png"),
            ("SPOILER__cat.png", "SPOILER_cat.png"),
            ("a%2fb", "a_2fb"),
        ] {
            assert_eq!(sound_name(given), sound, "{given:?}");
        }
        let long = sound_name(&format!("{}.jpeg", "ş".repeat(300)));
        assert_eq!(long.chars().count(), MAX_NAME_CHARS);
        assert!(long.ends_with(".jpeg"));
        let all_end = sound_name(&format!("a.{}", "b".repeat(300)));
        assert_eq!(all_end, format!("a.{}", "b".repeat(10)));
    }

    #[test]
    fn types_are_plain_text() {
        assert_eq!(sound_type(Some(" Image/PNG ")), "image/png");
        assert_eq!(sound_type(Some("a\r\nb")), "");
        assert_eq!(sound_type(Some(&"a".repeat(128))), "");
        assert_eq!(sound_type(None), "");
    }

    #[test]
    fn names_in_paths_are_ascii() {
        assert_eq!(in_path("ç a.png"), "%C3%A7%20a.png");
        assert_eq!(in_path("a-b_c.d"), "a-b_c.d");
    }

    #[test]
    fn states_are_words_and_back() {
        for state in [
            State::Receiving,
            State::Waiting,
            State::Ready,
            State::Removed,
        ] {
            let word: &str = state.into();
            assert_eq!(State::try_from(word.to_owned()).unwrap(), state);
        }
        assert!(State::try_from("x".to_owned()).is_err());
    }
}
