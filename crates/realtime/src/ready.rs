//! The payloads that begin a session, in the dialect's form.

use bytes::Bytes;
use contracts::applications::BotIdentity;
use contracts::communities::{Channel, Guild, Member};
use contracts::identity::User;
use contracts::messaging::{Draft, PrivateChannel, ReadState, Synced};
use contracts::relations::Relationship;
use kernel::{ChannelId, CommunityId, UserId};
use serde::Serialize;
use serde_json::{Value, json};

use crate::backend::Told;
use crate::encoded::tail;
use crate::session::Profile;

/// Most members in one GUILD_MEMBERS_CHUNK.
pub(crate) const CHUNK: usize = 1_000;
/// Most bytes of one SYNC_RESULT: a queue that is not half full has room for it. A channel with more
/// is fetched anew.
const SYNC_BYTES: usize = 256 * 1024;

/// What READY says besides the profile.
pub(crate) struct Ready<'a> {
    pub(crate) profile: &'a Profile,
    pub(crate) user: &'a User,
    pub(crate) bot: Option<BotIdentity>,
    pub(crate) guilds: Vec<CommunityId>,
    pub(crate) private_channels: &'a [PrivateChannel],
    pub(crate) read_states: &'a [ReadState],
    pub(crate) drafts: &'a [Draft],
    pub(crate) relationships: &'a [Relationship],
    pub(crate) presences: Vec<Value>,
    pub(crate) resume_gateway_url: &'a str,
}

/// The tail of READY.
pub(crate) fn ready(ready: &Ready<'_>) -> Bytes {
    let guilds: Vec<Value> = ready
        .guilds
        .iter()
        .map(|id| json!({"id": id, "unavailable": true}))
        .collect();
    let mut d = json!({
        "v": 10,
        "user": ready.user,
        "user_settings": {},
        "guilds": guilds,
        "private_channels": ready.private_channels,
        "relationships": ready.relationships,
        "session_id": ready.profile.id,
        "session_type": "normal",
        "resume_gateway_url": ready.resume_gateway_url,
    });
    if let Some(members) = d.as_object_mut() {
        if ready.profile.cap.has_read_states() {
            members.insert("read_states".to_owned(), json!(ready.read_states));
            members.insert("drafts".to_owned(), json!(ready.drafts));
            members.insert("presences".to_owned(), json!(ready.presences));
        }
        if let Some(shard) = ready.profile.shard {
            members.insert("shard".to_owned(), json!([shard.0, shard.1]));
        }
        if let Some(bot) = ready.bot {
            let application = json!({"id": bot.application, "flags": bot.flags});
            members.insert("application".to_owned(), application);
        }
    }
    dispatch("READY", &d)
}

#[derive(Serialize)]
struct GuildCreate<'a> {
    #[serde(flatten)]
    guild: &'a Guild,
    joined_at: String,
    large: bool,
    unavailable: bool,
    member_count: i64,
    members: &'a [Member],
    channels: &'a [Channel],
    threads: [Value; 0],
    presences: &'a [Value],
    voice_states: [Value; 0],
    stage_instances: [Value; 0],
    guild_scheduled_events: [Value; 0],
    soundboard_sounds: [Value; 0],
}

/// The tail of GUILD_CREATE.
pub(crate) fn guild_create(told: &Told, presences: Vec<Value>) -> Bytes {
    let snapshot = &told.snapshot;
    let sent = i64::try_from(told.members.len()).unwrap_or(i64::MAX);
    dispatch(
        "GUILD_CREATE",
        &GuildCreate {
            guild: &snapshot.guild,
            joined_at: kernel::time::dialect(snapshot.joined_at),
            // discord.py fetches members itself when fewer came than are counted.
            large: sent < snapshot.member_count,
            unavailable: false,
            member_count: snapshot.member_count,
            members: &told.members,
            channels: &snapshot.channels,
            threads: [],
            presences: &presences,
            voice_states: [],
            stage_instances: [],
            guild_scheduled_events: [],
            soundboard_sounds: [],
        },
    )
}

/// The tail of GUILD_DELETE: the session lost the community.
pub(crate) fn guild_delete(community: CommunityId) -> Bytes {
    dispatch("GUILD_DELETE", &json!({"id": community}))
}

/// The tail of CHANNEL_CREATE: the session gained sight of a channel.
pub(crate) fn channel_create(channel: &Channel) -> Bytes {
    dispatch("CHANNEL_CREATE", channel)
}

/// The tail of CHANNEL_DELETE: the session lost sight of a channel.
pub(crate) fn channel_delete(community: CommunityId, channel: ChannelId) -> Bytes {
    dispatch(
        "CHANNEL_DELETE",
        &json!({"id": channel, "guild_id": community, "type": 0}),
    )
}

/// The tail of RESUMED. An object: discord.py writes into it.
pub(crate) fn resumed() -> Bytes {
    dispatch("RESUMED", &json!({"_trace": ["meydan"]}))
}

/// Says who of some members is here.
pub(crate) type Here<'a> = dyn Fn(&[Member]) -> Vec<Value> + 'a;

/// The tails of GUILD_MEMBERS_CHUNK: at least one, even when nobody was found.
pub(crate) fn member_chunks(
    community: CommunityId,
    members: &[Member],
    not_found: &[UserId],
    nonce: Option<&str>,
    presences: Option<&Here<'_>>,
) -> Vec<Bytes> {
    let chunks: Vec<&[Member]> = if members.is_empty() {
        vec![members]
    } else {
        members.chunks(CHUNK).collect()
    };
    let count = chunks.len();
    let payload = |(index, chunk): (usize, &[Member])| {
        let mut d = json!({
            "guild_id": community,
            "members": chunk,
            "chunk_index": index,
            "chunk_count": count,
            "not_found": if index == 0 { not_found } else { &[] },
        });
        if let (Some(members), Some(nonce)) = (d.as_object_mut(), nonce) {
            members.insert("nonce".to_owned(), json!(nonce));
        }
        if let (Some(fields), Some(presences)) = (d.as_object_mut(), presences) {
            fields.insert("presences".to_owned(), json!(presences(chunk)));
        }
        dispatch("GUILD_MEMBERS_CHUNK", &d)
    };
    chunks.into_iter().enumerate().map(payload).collect()
}

/// The tails of SYNC_RESULT (op 62): at least one, each of a size that a queue has room for.
pub(crate) fn sync_results(synced: Vec<(ChannelId, Synced)>) -> Vec<Bytes> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for (channel, synced) in synced {
        let mut entry = sync_entry(channel, &synced);
        if entry.len() > SYNC_BYTES
            && let Synced::Events { ev, .. } = synced
        {
            entry = sync_entry(channel, &Synced::Reset { reset: true, ev });
        }
        match parts.last_mut() {
            Some(part) if part.len() + entry.len() < SYNC_BYTES => {
                part.push(b',');
                part.extend(entry);
            }
            _ => parts.push(entry),
        }
    }
    if parts.is_empty() {
        parts.push(Vec::new());
    }
    let last = parts.len() - 1;
    let frame = |(index, part): (usize, Vec<u8>)| {
        let head = format!(
            "\"op\":62,\"d\":{{\"more\":{},\"channels\":{{",
            index < last
        );
        [head.as_bytes(), &part, b"}}}"].concat().into()
    };
    parts.into_iter().enumerate().map(frame).collect()
}

fn sync_entry(channel: ChannelId, synced: &Synced) -> Vec<u8> {
    let mut entry = format!("\"{channel}\":").into_bytes();
    // As with events: our own types always serialize.
    entry.extend(serde_json::to_vec(synced).unwrap_or_else(|_| b"null".to_vec()));
    entry
}

fn dispatch(name: &str, d: &impl Serialize) -> Bytes {
    // Our own types with string keys always serialize; `null` would still be a valid frame.
    let data = serde_json::to_vec(d).unwrap_or_else(|_| b"null".to_vec());
    tail(name, "", &data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(tail: &Bytes) -> Value {
        serde_json::from_slice(&[b"{", tail.as_ref()].concat()).unwrap()
    }

    #[test]
    fn nobody_found_is_still_one_chunk() {
        let chunks = member_chunks(CommunityId::new(1), &[], &[UserId::new(9)], Some("n"), None);
        assert_eq!(chunks.len(), 1);
        let d = &parse(&chunks[0])["d"];
        assert_eq!(d["chunk_count"], 1);
        assert_eq!(d["nonce"], "n");
        assert_eq!(d["not_found"], json!(["9"]));
    }

    #[test]
    fn chunks_hold_a_thousand() {
        let member = Member {
            user: Some(User::unknown(UserId::new(1))),
            nick: None,
            roles: Vec::new(),
            joined_at: jiff::Timestamp::UNIX_EPOCH,
            communication_disabled_until: None,
            flags: 0,
            mute: false,
            deaf: false,
        };
        let chunks = member_chunks(
            CommunityId::new(1),
            &vec![member; CHUNK + 1],
            &[],
            None,
            None,
        );
        let sizes: Vec<_> = chunks
            .iter()
            .map(|c| parse(c)["d"]["members"].as_array().unwrap().len())
            .collect();
        assert_eq!(sizes, [CHUNK, 1]);
        assert_eq!(parse(&chunks[1])["d"]["chunk_index"], 1);
        assert!(parse(&chunks[1])["d"].get("nonce").is_none());
    }

    #[test]
    fn what_was_missed_comes_in_frames_of_a_size() {
        use contracts::messaging::Missed;
        let events = |bytes: usize| Synced::Events {
            ev: 7,
            events: vec![Missed {
                t: "MESSAGE_CREATE".to_owned(),
                ev: 7,
                d: json!("x".repeat(bytes)),
            }],
        };
        let results = sync_results(Vec::new());
        assert_eq!(
            parse(&results[0]),
            json!({"op": 62, "d": {"more": false, "channels": {}}})
        );
        let synced = [
            (1, 200 << 10),
            (2, 10),
            (3, 200 << 10),
            (4, 300 << 10),
            (5, 10),
        ]
        .map(|(id, bytes)| (ChannelId::new(id), events(bytes)));
        let results = sync_results(synced.into());
        let frames: Vec<Value> = results.iter().map(parse).collect();
        let channels = |frame: &Value| -> Vec<String> {
            frame["d"]["channels"]
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect()
        };
        assert_eq!(channels(&frames[0]), ["1", "2"]);
        assert_eq!(channels(&frames[1]), ["3", "4", "5"]);
        let more: Vec<&Value> = frames.iter().map(|frame| &frame["d"]["more"]).collect();
        assert_eq!(more, [&json!(true), &json!(false)]);
        assert_eq!(
            frames[1]["d"]["channels"]["4"],
            json!({"reset": true, "ev": 7})
        );
        assert_eq!(
            frames[0]["d"]["channels"]["2"]["events"][0]["d"],
            json!("x".repeat(10))
        );
        assert!(results.iter().all(|bytes| bytes.len() < SYNC_BYTES + 100));
    }

    #[test]
    fn resumed_is_an_object() {
        assert!(parse(&resumed())["d"].is_object());
    }
}
