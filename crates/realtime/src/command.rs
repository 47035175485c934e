//! What clients send: opcodes and their payloads. Unknown fields are ignored, as stock libraries
//! send more than anybody reads.

use std::collections::BTreeMap;

use contracts::messaging::{Cursor, SyncFrom};
use kernel::{ChannelId, CommunityId, MessageId, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::close::Close;
use crate::presence::Wish;
use crate::windows::{Subscription, Window};

/// Most ids in one op 8.
const MAX_REQUESTED_MEMBERS: usize = 100;
/// Longest nonce of an op 8, in bytes.
const MAX_MEMBERS_NONCE: usize = 32;
/// Most channels in one op 61.
const MAX_SYNCED: usize = 200;
/// Most lists in one op 60, windows of one list, and rows of a window; and the last row of a list.
const MAX_LISTS: usize = 5;
const MAX_RANGES: usize = 5;
const WINDOW_ROWS: u32 = 100;
const LIST_ROWS: u32 = 20_000;
/// Most channels in one op 65.
const MAX_CURSORS: usize = 100;

/// One command of a client.
#[derive(Debug)]
pub(crate) enum Command {
    /// Op 1: alive; acknowledges everything up to the number.
    Heartbeat(Option<u64>),
    /// Op 2: begins a session.
    Identify(Box<Identify>),
    /// Op 3: how the user is to be shown.
    Presence(Wish),
    /// Op 4: voice. Read and dropped: there is no voice yet.
    Voice,
    /// Op 6: goes on with a session.
    Resume(Resume),
    /// Op 8: asks for members.
    RequestMembers(Box<RequestMembers>),
    /// Op 60: looks at windows of member lists, and at who types and is here.
    Subscribe(CommunityId, Subscription),
    /// Op 61: asks what it missed in channels.
    Sync(Vec<SyncFrom>),
    /// Op 65: says how far it has got in channels.
    Receipts(Vec<Cursor>),
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
    /// As op 3.
    #[serde(default)]
    pub(crate) presence: Option<Box<RawValue>>,
    /// What the client runs on.
    #[serde(default)]
    properties: Option<Properties>,
}

/// Of `properties` the one that others are shown.
#[derive(Deserialize)]
struct Properties {
    #[serde(default)]
    os: Option<serde_json::Value>,
}

impl Identify {
    /// Whether the client says that it runs on a telephone.
    pub(crate) fn is_mobile(&self) -> bool {
        let os = self
            .properties
            .as_ref()
            .and_then(|p| p.os.as_ref()?.as_str());
        os.is_some_and(|os| {
            ["android", "ios"]
                .iter()
                .any(|m| os.eq_ignore_ascii_case(m))
        })
    }
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
    /// Whether to say who of them is here.
    pub(crate) presences: bool,
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

/// Op 60.
#[derive(Deserialize)]
struct WireSubscribe {
    #[serde(alias = "guild_id")]
    guild: CommunityId,
    #[serde(default)]
    channels: BTreeMap<ChannelId, Vec<(u32, u32)>>,
    #[serde(default)]
    typing: bool,
    #[serde(default)]
    presence: bool,
    #[serde(default)]
    threads: bool,
}

/// Op 61, by channel.
#[derive(Deserialize)]
struct WireSync {
    channels: BTreeMap<ChannelId, WireStanding>,
}

/// Where a client stands in a channel.
#[derive(Deserialize)]
struct WireStanding {
    ev: i64,
    #[serde(default)]
    last: Option<MessageId>,
}

/// Op 65, by channel.
#[derive(Deserialize)]
struct WireCursor {
    #[serde(default)]
    delivered: Option<MessageId>,
    #[serde(default)]
    read: Option<MessageId>,
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
    presences: Option<bool>,
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
            3 => Wish::parse(d).map(Command::Presence),
            4 => parse::<serde_json::Value>(d).map(|_| Command::Voice),
            6 => object(d).map(Command::Resume),
            8 => object::<WireMembers>(d).and_then(members),
            60 => object::<WireSubscribe>(d).and_then(subscribe),
            61 => object::<WireSync>(d).and_then(sync),
            65 => object::<BTreeMap<ChannelId, WireCursor>>(d).and_then(receipts),
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
        presences: wire.presences.unwrap_or(false),
        nonce,
    })))
}

fn subscribe(wire: WireSubscribe) -> Result<Command, Close> {
    let fits = |(first, last): &(u32, u32)| {
        first <= last && last - first < WINDOW_ROWS && *last < LIST_ROWS
    };
    let small = |ranges: &Vec<(u32, u32)>| ranges.len() <= MAX_RANGES && ranges.iter().all(fits);
    if wire.channels.len() > MAX_LISTS || !wire.channels.values().all(small) {
        return Err(Close::Decode);
    }
    let windows = wire.channels.into_iter();
    let subscription = Subscription {
        windows: windows
            .map(|(id, ranges)| (id, Window::new(ranges)))
            .collect(),
        typing: wire.typing,
        presence: wire.presence,
        threads: wire.threads,
    };
    Ok(Command::Subscribe(wire.guild, subscription))
}

fn sync(wire: WireSync) -> Result<Command, Close> {
    if wire.channels.len() > MAX_SYNCED {
        return Err(Close::Decode);
    }
    let from = wire.channels.into_iter().map(|(channel, at)| SyncFrom {
        channel,
        ev: at.ev,
        last: at.last,
    });
    Ok(Command::Sync(from.collect()))
}

fn receipts(wire: BTreeMap<ChannelId, WireCursor>) -> Result<Command, Close> {
    if wire.len() > MAX_CURSORS {
        return Err(Close::Decode);
    }
    let cursors = wire.into_iter().map(|(channel_id, at)| Cursor {
        channel_id,
        delivered: at.delivered,
        read: at.read,
    });
    Ok(Command::Receipts(cursors.collect()))
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
            Command::Presence(_)
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
        let Command::Sync(from) =
            ok(r#"{"op":61,"d":{"channels":{"5":{"ev":7,"last":"9"},"6":{"ev":0,"last":null}}}}"#)
        else {
            panic!("not a sync")
        };
        let seen: Vec<_> = from
            .iter()
            .map(|from| (from.channel.get(), from.ev, from.last.map(MessageId::get)))
            .collect();
        assert_eq!(seen, [(5, 7, Some(9)), (6, 0, None)]);
        let Command::Receipts(cursors) =
            ok(r#"{"op":65,"d":{"5":{"delivered":"8","read":7},"6":{}}}"#)
        else {
            panic!("not receipts")
        };
        let seen: Vec<_> = cursors
            .iter()
            .map(|c| {
                (
                    c.channel_id.get(),
                    c.delivered.map(MessageId::get),
                    c.read.map(MessageId::get),
                )
            })
            .collect();
        assert_eq!(seen, [(5, Some(8), Some(7)), (6, None, None)]);
    }

    #[test]
    fn channels_of_a_command_are_bounded() {
        for (op, most, at) in [(61, MAX_SYNCED, r#"{"ev":1}"#), (65, MAX_CURSORS, "{}")] {
            let frame = |count: usize| {
                let channels: Vec<String> =
                    (1..=count).map(|id| format!("\"{id}\":{at}")).collect();
                let channels = format!("{{{}}}", channels.join(","));
                if op == 61 {
                    format!(r#"{{"op":61,"d":{{"channels":{channels}}}}}"#)
                } else {
                    format!(r#"{{"op":65,"d":{channels}}}"#)
                }
            };
            assert!(Command::parse(&frame(most)).is_ok(), "{op}");
            assert_eq!(
                Command::parse(&frame(most + 1)).unwrap_err(),
                Close::Decode,
                "{op}"
            );
        }
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
            (r#"{"op":61,"d":{}}"#, Close::Decode),
            (
                r#"{"op":61,"d":{"channels":{"x":{"ev":1}}}}"#,
                Close::Decode,
            ),
            (r#"{"op":61,"d":{"channels":{"5":{}}}}"#, Close::Decode),
            (r#"{"op":65,"d":[]}"#, Close::Decode),
            (r#"{"op":65,"d":{"5":{"read":"x"}}}"#, Close::Decode),
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
        fn junk_payloads_never_panic(op in 0u8..70, d in ".{0,80}") {
            fuzz_command(&format!("{{\"op\":{op},\"d\":{d}}}"));
        }
    }
}
