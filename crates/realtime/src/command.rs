//! What clients send: opcodes and their payloads. Unknown fields are ignored, as stock libraries
//! send more than anybody reads.

use kernel::{CommunityId, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::close::Close;

/// Most ids in one op 8.
const MAX_REQUESTED_MEMBERS: usize = 100;
/// Longest nonce of an op 8, in bytes.
const MAX_MEMBERS_NONCE: usize = 32;

/// One command of a client.
#[derive(Debug)]
pub(crate) enum Command {
    /// Op 1: alive; acknowledges everything up to the number.
    Heartbeat(Option<u64>),
    /// Op 2: begins a session.
    Identify(Box<Identify>),
    /// Op 3: the client's presence. Read and dropped until presence is served.
    Presence,
    /// Op 4: voice. Read and dropped: there is no voice yet.
    Voice,
    /// Op 6: goes on with a session.
    Resume(Resume),
    /// Op 8: asks for members.
    RequestMembers(Box<RequestMembers>),
}

/// Op 2.
#[derive(Deserialize)]
pub(crate) struct Identify {
    /// An access token, or a bot's token without its prefix.
    pub(crate) token: String,
    /// Which events to send; a native client that leaves it out gets all.
    #[serde(default)]
    pub(crate) intents: Option<u64>,
    /// Up to how many members a community is sent whole.
    #[serde(default)]
    pub(crate) large_threshold: Option<u16>,
    /// `[number, of how many]`.
    #[serde(default)]
    pub(crate) shard: Option<(u32, u32)>,
    /// Native features; see [`crate::session::Capabilities`].
    #[serde(default)]
    pub(crate) cap: Option<u32>,
}

impl std::fmt::Debug for Identify {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identify")
            .field("intents", &self.intents)
            .field("shard", &self.shard)
            .field("cap", &self.cap)
            .finish_non_exhaustive()
    }
}

/// Op 6.
#[derive(Deserialize)]
pub(crate) struct Resume {
    /// As in IDENTIFY.
    pub(crate) token: String,
    /// From READY.
    pub(crate) session_id: String,
    /// The last number that was received.
    pub(crate) seq: u64,
}

impl std::fmt::Debug for Resume {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resume")
            .field("seq", &self.seq)
            .finish_non_exhaustive()
    }
}

/// Op 8.
#[derive(Debug)]
pub(crate) struct RequestMembers {
    /// The community.
    pub(crate) guild_id: CommunityId,
    /// Which members.
    pub(crate) which: Which,
    /// Echoed in every chunk.
    pub(crate) nonce: Option<String>,
}

/// The selection of an op 8.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Names that begin with the text; a limit of 0 means all.
    Prefix(String, u32),
    /// These users.
    Ids(Vec<UserId>),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    op: u64,
    #[serde(borrow, default)]
    d: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        }
    }
}

#[derive(Deserialize)]
struct WireMembers {
    guild_id: OneOrMany<CommunityId>,
    #[serde(default)]
    query: Option<String>,
    #[serde(default)]
    limit: Option<u32>,
    #[serde(default)]
    user_ids: Option<OneOrMany<UserId>>,
    #[serde(default)]
    nonce: Option<String>,
}

impl Command {
    /// Reads one text frame.
    pub(crate) fn parse(text: &str) -> Result<Command, Close> {
        let envelope: Envelope<'_> = object(text)?;
        let d = envelope.d.map_or("null", RawValue::get);
        match envelope.op {
            // Libraries send null before they have received anything.
            1 => parse::<Option<u64>>(d).map(Command::Heartbeat),
            2 => object(d).map(Command::Identify),
            3 => parse::<serde_json::Value>(d).map(|_| Command::Presence),
            4 => parse::<serde_json::Value>(d).map(|_| Command::Voice),
            6 => object(d).map(Command::Resume),
            8 => object::<WireMembers>(d).and_then(members),
            _ => Err(Close::UnknownOpcode),
        }
    }
}

fn parse<'de, T: Deserialize<'de>>(d: &'de str) -> Result<T, Close> {
    serde_json::from_str(d).or(Err(Close::Decode))
}

/// Serde also reads a struct from an array of its fields; on the wire it is an object.
fn object<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Close> {
    if text.trim_start().starts_with('{') {
        parse(text)
    } else {
        Err(Close::Decode)
    }
}

fn members(wire: WireMembers) -> Result<Command, Close> {
    let mut guilds = wire.guild_id.into_vec();
    // The dialect once allowed several communities and now takes one.
    let (Some(guild_id), true) = (guilds.pop(), guilds.is_empty()) else {
        return Err(Close::Decode);
    };
    let nonce = wire.nonce.filter(|nonce| nonce.len() <= MAX_MEMBERS_NONCE);
    let which = match (wire.user_ids, wire.query) {
        (Some(ids), _) => Which::Ids(ids.into_vec()),
        (None, Some(query)) => Which::Prefix(query, wire.limit.unwrap_or(0)),
        (None, None) => return Err(Close::Decode),
    };
    if matches!(&which, Which::Ids(ids) if ids.len() > MAX_REQUESTED_MEMBERS) {
        return Err(Close::Decode);
    }
    Ok(Command::RequestMembers(Box::new(RequestMembers {
        guild_id,
        which,
        nonce,
    })))
}

/// Reads any text as a command and gives the close code of what is wrong with it; what the fuzzer
/// and the replay of its corpus run.
#[doc(hidden)]
pub fn fuzz_command(text: &str) -> Option<u16> {
    let close = Command::parse(text).err()?;
    Some(close.code(crate::close::Dialect::Stock))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_opcode_is_read() {
        let ok = |text: &str| Command::parse(text).unwrap();
        assert!(matches!(
            ok(r#"{"op":1,"d":null}"#),
            Command::Heartbeat(None)
        ));
        assert!(matches!(ok(r#"{"op":1}"#), Command::Heartbeat(None)));
        assert!(matches!(
            ok(r#"{"op":1,"d":251}"#),
            Command::Heartbeat(Some(251))
        ));
        assert!(matches!(
            ok(r#"{"d":{"status":"online"},"op":3}"#),
            Command::Presence
        ));
        assert!(matches!(
            ok(r#"{"op":4,"d":{"guild_id":"1"}}"#),
            Command::Voice
        ));
        let Command::Identify(identify) = ok(
            r#"{"op":2,"d":{"token":"t","intents":4398046511104,"shard":[1,2],"properties":{"os":"x"},"compress":false,"junk":[1]}}"#,
        ) else {
            panic!("not an identify")
        };
        assert_eq!(
            (identify.intents, identify.shard, identify.cap),
            (Some(1 << 42), Some((1, 2)), None)
        );
        let Command::Resume(resume) = ok(r#"{"op":6,"d":{"token":"t","session_id":"x","seq":7}}"#)
        else {
            panic!("not a resume")
        };
        assert_eq!((resume.session_id.as_str(), resume.seq), ("x", 7));
        let Command::RequestMembers(request) =
            ok(r#"{"op":8,"d":{"guild_id":["5"],"query":"","limit":0,"nonce":"n"}}"#)
        else {
            panic!("not a request")
        };
        assert_eq!(request.which, Which::Prefix(String::new(), 0));
    }

    #[test]
    fn bad_frames_have_their_code() {
        let deep = format!(
            "{{\"op\":3,\"d\":{}1{}}}",
            "[".repeat(1_000),
            "]".repeat(1_000)
        );
        for (text, close) in [
            ("", Close::Decode),
            ("[]", Close::Decode),
            (r#"{"op":"2"}"#, Close::Decode),
            (r#"{"op":1,"d":-1}"#, Close::Decode),
            (r#"{"op":2,"d":{}}"#, Close::Decode),
            (r#"{"op":2,"d":null}"#, Close::Decode),
            (
                r#"{"op":6,"d":{"token":"t","session_id":"x","seq":null}}"#,
                Close::Decode,
            ),
            (
                r#"{"op":8,"d":{"guild_id":["1","2"],"query":""}}"#,
                Close::Decode,
            ),
            (r#"{"op":8,"d":{"guild_id":"1"}}"#, Close::Decode),
            (r#"{"op":5,"d":null}"#, Close::UnknownOpcode),
            (r#"{"op":0,"d":null}"#, Close::UnknownOpcode),
            (deep.as_str(), Close::Decode),
        ] {
            assert_eq!(Command::parse(text).unwrap_err(), close, "{text:.60}");
        }
        let ids = vec!["\"1\""; MAX_REQUESTED_MEMBERS + 1].join(",");
        let text = format!(r#"{{"op":8,"d":{{"guild_id":"1","user_ids":[{ids}]}}}}"#);
        assert_eq!(Command::parse(&text).unwrap_err(), Close::Decode);
    }

    proptest! {
        #[test]
        fn junk_never_panics(text in ".{0,200}") {
            fuzz_command(&text);
        }

        #[test]
        fn junk_payloads_never_panic(op in 0u8..12, d in ".{0,80}") {
            fuzz_command(&format!("{{\"op\":{op},\"d\":{d}}}"));
        }
    }
}
