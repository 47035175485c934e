//! The bytes of a record between nodes: a binary head, then the bodies as they are.
//!
//! | part | bytes | there when |
//! |---|---|---|
//! | format, 1 | 1 | always |
//! | flags | 1 | always |
//! | epoch | 4 | always |
//! | community, channel, version | 8 each | their flags say so |
//! | dispatch: flags | 1 | neither control nor presence flag |
//! | name | length, UTF-8 | |
//! | intent; needs; author; except | 1; 8; 8; 8 | their flags say so |
//! | full_for | count, 8 each | |
//! | data | length, bytes | |
//! | redacted | length, bytes | its flag says so |
//! | control: kind, then its fields | 1, … | control flag |
//! | presence: user; hidden_from; data | 8; count, 8 each; length, bytes | presence flag |
//!
//! Numbers are big-endian; lengths and counts are varints of 7 bits a byte, lowest first, in their
//! shortest form. Each record has exactly one encoding: what decodes encodes to the same bytes.
//! Nothing bounds a record but its input, and decoding allocates no more than that.

use std::borrow::Cow;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kernel::Id;
use kernel::perm::Chat;

use super::{Body, Control, Dispatch, FanoutError, Presence, Record, Version};

const FORMAT: u8 = 1;

const EPHEMERAL: u8 = 1;
const COMMUNITY: u8 = 1 << 1;
const CHANNEL: u8 = 1 << 2;
const EV: u8 = 1 << 3;
const REV: u8 = 1 << 4;
const CONTROL: u8 = 1 << 5;
const PRESENCE: u8 = 1 << 6;
const HEAD_FLAGS: u8 = EPHEMERAL | COMMUNITY | CHANNEL | EV | REV | CONTROL | PRESENCE;

const INTENT: u8 = 1;
const AUTHOR: u8 = 1 << 1;
const EXCEPT: u8 = 1 << 2;
const REDACTED: u8 = 1 << 3;
const NEEDS: u8 = 1 << 4;
const DISPATCH_FLAGS: u8 = INTENT | AUTHOR | EXCEPT | REDACTED | NEEDS;

const JOINED: u8 = 1;
const LEFT: u8 = 2;
const FOLLOW: u8 = 3;
const UNFOLLOW: u8 = 4;
const ACCESS_CHANGED: u8 = 5;
const CLASS_CHANGED: u8 = 6;
const DEVICES_REVOKED: u8 = 7;
const BOT_TOKEN_REVOKED: u8 = 8;
const API_KEY_REVOKED: u8 = 9;
const COOKIE_REPLACED: u8 = 10;
const SIGHT_CHANGED: u8 = 11;

/// More than head, names and lengths of any usual record take.
const HEAD_BYTES: usize = 96;

impl Record {
    /// Writes the record for a networked adapter.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.size_hint());
        out.put_u8(FORMAT);
        out.put_u8(flags(&[
            (EPHEMERAL, self.ephemeral),
            (COMMUNITY, self.community.is_some()),
            (CHANNEL, self.channel.is_some()),
            (EV, matches!(self.version, Version::Ev(_))),
            (REV, matches!(self.version, Version::Rev(_))),
            (CONTROL, matches!(self.body, Body::Control(_))),
            (PRESENCE, matches!(self.body, Body::Presence(_))),
        ]));
        out.put_i32(self.epoch);
        put_id(&mut out, self.community);
        put_id(&mut out, self.channel);
        match self.version {
            Version::None => {}
            Version::Ev(number) | Version::Rev(number) => out.put_i64(number),
        }
        match &self.body {
            Body::Dispatch(dispatch) => put_dispatch(&mut out, dispatch),
            Body::Control(control) => put_control(&mut out, control),
            Body::Presence(presence) => put_presence(&mut out, presence),
        }
        out.freeze()
    }

    /// Reads what [`encode`](Self::encode) wrote; the bodies are slices of `bytes`, not copies.
    pub fn decode(bytes: Bytes) -> Result<Self, FanoutError> {
        let mut input = Input(bytes);
        if input.u8()? != FORMAT {
            return Err(malformed("unknown format"));
        }
        let flags = input.flags(HEAD_FLAGS)?;
        let epoch = input.i32()?;
        let community = input.id_if(flags, COMMUNITY)?;
        let channel = input.id_if(flags, CHANNEL)?;
        let version = match (flags & EV != 0, flags & REV != 0) {
            (false, false) => Version::None,
            (true, false) => Version::Ev(input.i64()?),
            (false, true) => Version::Rev(input.i64()?),
            (true, true) => return Err(malformed("two versions")),
        };
        let body = match (flags & CONTROL != 0, flags & PRESENCE != 0) {
            (false, false) => Body::Dispatch(take_dispatch(&mut input)?),
            (true, false) => Body::Control(take_control(&mut input)?),
            (false, true) => Body::Presence(take_presence(&mut input)?),
            (true, true) => return Err(malformed("two bodies")),
        };
        if input.0.has_remaining() {
            return Err(malformed("bytes after the end"));
        }
        Ok(Self {
            body,
            community,
            channel,
            version,
            epoch,
            ephemeral: flags & EPHEMERAL != 0,
        })
    }

    fn size_hint(&self) -> usize {
        HEAD_BYTES
            + match &self.body {
                Body::Dispatch(dispatch) => {
                    dispatch.data.len()
                        + dispatch.redacted.as_ref().map_or(0, Bytes::len)
                        + dispatch.full_for.len() * 8
                }
                Body::Control(Control::DevicesRevoked(devices)) => devices.len() * 8,
                Body::Control(_) => 0,
                Body::Presence(presence) => presence.data.len() + presence.hidden_from.len() * 8,
            }
    }
}

fn put_dispatch(out: &mut BytesMut, dispatch: &Dispatch) {
    out.put_u8(flags(&[
        (INTENT, dispatch.intent.is_some()),
        (AUTHOR, dispatch.author.is_some()),
        (EXCEPT, dispatch.except.is_some()),
        (REDACTED, dispatch.redacted.is_some()),
        (NEEDS, dispatch.needs != Chat::NONE),
    ]));
    put_slice(out, dispatch.name.as_bytes());
    if let Some(intent) = dispatch.intent {
        out.put_u8(intent);
    }
    if dispatch.needs != Chat::NONE {
        out.put_i64(dispatch.needs.to_stored());
    }
    put_id(out, dispatch.author);
    put_id(out, dispatch.except);
    put_ids(out, &dispatch.full_for);
    put_slice(out, &dispatch.data);
    if let Some(redacted) = &dispatch.redacted {
        put_slice(out, redacted);
    }
}

fn take_dispatch(input: &mut Input) -> Result<Dispatch, FanoutError> {
    let flags = input.flags(DISPATCH_FLAGS)?;
    let name = String::from_utf8(input.slice()?.into())
        .map_err(|_not_utf8| malformed("name is not UTF-8"))?;
    Ok(Dispatch {
        name: Cow::Owned(name),
        intent: if flags & INTENT == 0 {
            None
        } else {
            Some(input.u8()?)
        },
        needs: if flags & NEEDS == 0 {
            Chat::NONE
        } else {
            input.needs()?
        },
        author: input.id_if(flags, AUTHOR)?,
        except: input.id_if(flags, EXCEPT)?,
        full_for: input.ids()?,
        data: input.slice()?,
        redacted: if flags & REDACTED == 0 {
            None
        } else {
            Some(input.slice()?)
        },
    })
}

fn put_control(out: &mut BytesMut, control: &Control) {
    match control {
        Control::Joined(community) => put_kind_and_id(out, JOINED, *community),
        Control::Left(community) => put_kind_and_id(out, LEFT, *community),
        Control::Follow(channel) => put_kind_and_id(out, FOLLOW, *channel),
        Control::Unfollow(channel) => put_kind_and_id(out, UNFOLLOW, *channel),
        Control::AccessChanged { community, epoch } => {
            put_kind_and_id(out, ACCESS_CHANGED, *community);
            out.put_i32(*epoch);
        }
        Control::ClassChanged {
            community,
            user,
            class,
        } => {
            put_kind_and_id(out, CLASS_CHANGED, *community);
            put_id(out, Some(*user));
            out.put_i32(*class);
        }
        Control::DevicesRevoked(devices) => {
            out.put_u8(DEVICES_REVOKED);
            put_ids(out, devices);
        }
        Control::BotTokenRevoked(bot) => put_kind_and_id(out, BOT_TOKEN_REVOKED, *bot),
        Control::ApiKeyRevoked(owner) => put_kind_and_id(out, API_KEY_REVOKED, *owner),
        Control::CookieReplaced(sha256) => {
            out.put_u8(COOKIE_REPLACED);
            out.put_slice(sha256);
        }
        Control::SightChanged => out.put_u8(SIGHT_CHANGED),
    }
}

fn put_presence(out: &mut BytesMut, presence: &Presence) {
    put_id(out, Some(presence.user));
    put_ids(out, &presence.hidden_from);
    put_slice(out, &presence.data);
}

fn take_presence(input: &mut Input) -> Result<Presence, FanoutError> {
    Ok(Presence {
        user: input.id()?,
        hidden_from: input.ids()?,
        data: input.slice()?,
    })
}

fn take_control(input: &mut Input) -> Result<Control, FanoutError> {
    Ok(match input.u8()? {
        JOINED => Control::Joined(input.id()?),
        LEFT => Control::Left(input.id()?),
        FOLLOW => Control::Follow(input.id()?),
        UNFOLLOW => Control::Unfollow(input.id()?),
        ACCESS_CHANGED => Control::AccessChanged {
            community: input.id()?,
            epoch: input.i32()?,
        },
        CLASS_CHANGED => Control::ClassChanged {
            community: input.id()?,
            user: input.id()?,
            class: input.i32()?,
        },
        DEVICES_REVOKED => Control::DevicesRevoked(input.ids()?),
        BOT_TOKEN_REVOKED => Control::BotTokenRevoked(input.id()?),
        API_KEY_REVOKED => Control::ApiKeyRevoked(input.id()?),
        COOKIE_REPLACED => Control::CookieReplaced(input.sha256()?),
        SIGHT_CHANGED => Control::SightChanged,
        _ => return Err(malformed("unknown control")),
    })
}

fn flags(bits: &[(u8, bool)]) -> u8 {
    bits.iter()
        .filter(|(_, set)| *set)
        .fold(0, |flags, (bit, _)| flags | bit)
}

fn put_id<K>(out: &mut BytesMut, id: Option<Id<K>>) {
    if let Some(id) = id {
        out.put_i64(id.get());
    }
}

fn put_kind_and_id<K>(out: &mut BytesMut, kind: u8, id: Id<K>) {
    out.put_u8(kind);
    put_id(out, Some(id));
}

fn put_ids<K>(out: &mut BytesMut, ids: &[Id<K>]) {
    put_length(out, ids.len());
    for id in ids {
        out.put_i64(id.get());
    }
}

fn put_slice(out: &mut BytesMut, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.put_slice(bytes);
}

fn put_length(out: &mut BytesMut, length: usize) {
    let mut rest = length;
    loop {
        // Seven bits always fit a byte; the fall-back is never taken.
        let low = u8::try_from(rest & 0x7f).unwrap_or(0x7f);
        rest >>= 7;
        out.put_u8(if rest == 0 { low } else { low | 0x80 });
        if rest == 0 {
            return;
        }
    }
}

fn malformed(what: &'static str) -> FanoutError {
    FanoutError::Malformed { what }
}

fn too_short<E>(_: E) -> FanoutError {
    malformed("too short")
}

struct Input(Bytes);

impl Input {
    fn u8(&mut self) -> Result<u8, FanoutError> {
        self.0.try_get_u8().map_err(too_short)
    }

    fn i32(&mut self) -> Result<i32, FanoutError> {
        self.0.try_get_i32().map_err(too_short)
    }

    fn i64(&mut self) -> Result<i64, FanoutError> {
        self.0.try_get_i64().map_err(too_short)
    }

    fn flags(&mut self, known: u8) -> Result<u8, FanoutError> {
        let flags = self.u8()?;
        if flags & !known == 0 {
            Ok(flags)
        } else {
            Err(malformed("unknown flag"))
        }
    }

    /// Rights; none at all have no flag, and bits that are no rights would not come back.
    fn needs(&mut self) -> Result<Chat, FanoutError> {
        let stored = self.i64()?;
        let needs = Chat::from_stored(stored);
        if needs == Chat::NONE || needs.to_stored() != stored {
            return Err(malformed("rights that there are not"));
        }
        Ok(needs)
    }

    fn id<K>(&mut self) -> Result<Id<K>, FanoutError> {
        self.i64().map(Id::new)
    }

    fn id_if<K>(&mut self, flags: u8, bit: u8) -> Result<Option<Id<K>>, FanoutError> {
        if flags & bit == 0 {
            Ok(None)
        } else {
            self.id().map(Some)
        }
    }

    fn ids<K>(&mut self) -> Result<Vec<Id<K>>, FanoutError> {
        let count = self.length()?;
        // Checked before the allocation: a count cannot ask for more than the input holds.
        if count > self.0.remaining() / 8 {
            return Err(malformed("too short"));
        }
        (0..count).map(|_| self.id()).collect()
    }

    fn sha256(&mut self) -> Result<[u8; 32], FanoutError> {
        let mut bytes = [0; 32];
        self.0.try_copy_to_slice(&mut bytes).map_err(too_short)?;
        Ok(bytes)
    }

    fn slice(&mut self) -> Result<Bytes, FanoutError> {
        let length = self.length()?;
        if length > self.0.remaining() {
            return Err(malformed("too short"));
        }
        Ok(self.0.split_to(length))
    }

    fn length(&mut self) -> Result<usize, FanoutError> {
        let mut length: usize = 0;
        // Four bytes hold 28 bits, far above any record; a fifth is refused.
        for shift in [0, 7, 14, 21] {
            let byte = self.u8()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(malformed("length is not in its shortest form"));
                }
                return Ok(length);
            }
        }
        Err(malformed("length above 256 MiB"))
    }
}

#[cfg(test)]
mod tests;
