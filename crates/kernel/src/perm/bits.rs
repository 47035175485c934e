//! Sets of rights: 64 bits, on the wire a decimal string.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{BitAnd, BitOr, Not};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What the bits of a set mean.
pub trait Family: Copy {
    /// How many rights there are, counted from position 0.
    const WIDTH: u32;
    /// Its name in the API document.
    const NAME: &'static str;
}

/// The chat rights of the dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ChatBits;

impl Family for ChatBits {
    const WIDTH: u32 = 53;
    const NAME: &'static str = "Permissions";
}

/// Our rights of trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TradeBits;

impl Family for TradeBits {
    const WIDTH: u32 = 20;
    const NAME: &'static str = "TradePermissions";
}

/// A set of rights of one family.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Set<K>(u64, PhantomData<K>);

/// A set of chat rights; on the wire a decimal string.
pub type Chat = Set<ChatBits>;

/// A set of trade rights; on the wire a decimal string. They gate what chat shows and offers; the
/// market authorises again by itself.
pub type Trade = Set<TradeBits>;

impl Chat {
    /// Make invites.
    pub const CREATE_INVITE: Chat = Chat::at(0);
    /// Kick members.
    pub const KICK_MEMBERS: Chat = Chat::at(1);
    /// Ban members.
    pub const BAN_MEMBERS: Chat = Chat::at(2);
    /// Everything, in every channel.
    pub const ADMINISTRATOR: Chat = Chat::at(3);
    /// Make, change and delete channels.
    pub const MANAGE_CHANNELS: Chat = Chat::at(4);
    /// Change the community, install applications.
    pub const MANAGE_GUILD: Chat = Chat::at(5);
    /// React to messages.
    pub const ADD_REACTIONS: Chat = Chat::at(6);
    /// Read what moderators did.
    pub const VIEW_AUDIT_LOG: Chat = Chat::at(7);
    /// See a channel, and learn that it exists.
    pub const VIEW_CHANNEL: Chat = Chat::at(10);
    /// Send messages.
    pub const SEND_MESSAGES: Chat = Chat::at(11);
    /// Have messages read aloud.
    pub const SEND_TTS: Chat = Chat::at(12);
    /// Delete and pin messages of others.
    pub const MANAGE_MESSAGES: Chat = Chat::at(13);
    /// Show embeds.
    pub const EMBED_LINKS: Chat = Chat::at(14);
    /// Attach files.
    pub const ATTACH_FILES: Chat = Chat::at(15);
    /// Read what was sent before.
    pub const READ_HISTORY: Chat = Chat::at(16);
    /// Mention everyone.
    pub const MENTION_EVERYONE: Chat = Chat::at(17);
    /// Take part in voice.
    pub const CONNECT: Chat = Chat::at(20);
    /// Speak in voice.
    pub const SPEAK: Chat = Chat::at(21);
    /// Change the own nickname.
    pub const CHANGE_NICKNAME: Chat = Chat::at(26);
    /// Change nicknames of others.
    pub const MANAGE_NICKNAMES: Chat = Chat::at(27);
    /// Change and give roles.
    pub const MANAGE_ROLES: Chat = Chat::at(28);
    /// Make and change webhooks.
    pub const MANAGE_WEBHOOKS: Chat = Chat::at(29);
    /// Make, change and delete emoji.
    pub const MANAGE_EXPRESSIONS: Chat = Chat::at(30);
    /// Change and delete threads, and see private ones.
    pub const MANAGE_THREADS: Chat = Chat::at(34);
    /// Send in threads.
    pub const SEND_IN_THREADS: Chat = Chat::at(38);
    /// Time members out.
    pub const MODERATE_MEMBERS: Chat = Chat::at(40);
    /// Read statistics.
    pub const VIEW_INSIGHTS: Chat = Chat::at(19);
    /// Write without the pauses of slow mode.
    pub const BYPASS_SLOWMODE: Chat = Chat::at(52);
    /// What everyone may do in a new community.
    pub const DEFAULT: Chat = Chat::CREATE_INVITE
        .and(Chat::ADD_REACTIONS)
        .and(Chat::VIEW_CHANNEL)
        .and(Chat::SEND_MESSAGES)
        .and(Chat::EMBED_LINKS)
        .and(Chat::ATTACH_FILES)
        .and(Chat::READ_HISTORY)
        .and(Chat::CONNECT)
        .and(Chat::SPEAK)
        .and(Chat::CHANGE_NICKNAME)
        .and(Chat::SEND_IN_THREADS);
    /// What a member in time-out keeps.
    pub(super) const TIMED_OUT: Chat = Chat::VIEW_CHANNEL.and(Chat::READ_HISTORY);
    /// What falls when sending is not allowed.
    pub(super) const NEEDS_SEND: Chat = Chat::SEND_TTS
        .and(Chat::EMBED_LINKS)
        .and(Chat::ATTACH_FILES)
        .and(Chat::MENTION_EVERYONE);
}

impl Trade {
    /// See listings.
    pub const VIEW_LISTINGS: Trade = Trade::at(0);
    /// See prices.
    pub const VIEW_PRICES: Trade = Trade::at(1);
    /// See what a thing cost its seller.
    pub const VIEW_COST: Trade = Trade::at(2);
    /// See how a seller is reached.
    pub const VIEW_CONTACT: Trade = Trade::at(3);
    /// Make listings.
    pub const CREATE_LISTING: Trade = Trade::at(4);
    /// Change listings.
    pub const EDIT_LISTING: Trade = Trade::at(5);
    /// Publish listings.
    pub const PUBLISH: Trade = Trade::at(6);
    /// Make offers.
    pub const MAKE_OFFER: Trade = Trade::at(7);
    /// Answer an offer with another one.
    pub const COUNTER: Trade = Trade::at(8);
    /// Accept offers.
    pub const ACCEPT_OFFER: Trade = Trade::at(9);
    /// Reserve a listing.
    pub const HOLD: Trade = Trade::at(10);
    /// Bid in auctions.
    pub const BID: Trade = Trade::at(11);
    /// Hold auctions.
    pub const RUN_AUCTION: Trade = Trade::at(12);
    /// See orders.
    pub const VIEW_ORDERS: Trade = Trade::at(13);
    /// Send what was ordered.
    pub const FULFIL: Trade = Trade::at(14);
    /// Give money back.
    pub const REFUND: Trade = Trade::at(15);
    /// Pay out.
    pub const PAYOUTS: Trade = Trade::at(16);
    /// Copy listings to outside marketplaces.
    pub const SYNDICATE: Trade = Trade::at(17);
    /// Moderate listings and offers of others.
    pub const MODERATE_TRADE: Trade = Trade::at(18);
    /// Export a deal with its evidence.
    pub const EXPORT_DEAL: Trade = Trade::at(19);
    /// What everyone may do in a new community.
    pub const DEFAULT: Trade = Trade::VIEW_LISTINGS.and(Trade::VIEW_PRICES);
    /// What a member in time-out keeps: to see, as in chat.
    pub(super) const TIMED_OUT: Trade = Trade::VIEW_LISTINGS
        .and(Trade::VIEW_PRICES)
        .and(Trade::VIEW_COST)
        .and(Trade::VIEW_CONTACT)
        .and(Trade::VIEW_ORDERS);
}

impl<K: Family> Set<K> {
    /// No right at all.
    pub const NONE: Self = Set(0, PhantomData);
    /// Every right of the family.
    pub const ALL: Self = Set((1 << K::WIDTH) - 1, PhantomData);

    const fn at(position: u32) -> Self {
        Set(1 << position, PhantomData)
    }

    const fn and(self, other: Self) -> Self {
        Set(self.0 | other.0, PhantomData)
    }

    /// The set with these bits; unknown ones are dropped.
    pub const fn from_bits(bits: u64) -> Self {
        Set(bits & Self::ALL.0, PhantomData)
    }

    /// The bits as stored in a `bigint`.
    pub fn to_stored(self) -> i64 {
        i64::try_from(self.0).unwrap_or(0)
    }

    /// Reads a stored `bigint`.
    pub fn from_stored(stored: i64) -> Self {
        Self::from_bits(u64::try_from(stored).unwrap_or(0))
    }

    /// Whether all rights of `other` are in.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// This set without `other`.
    pub const fn without(self, other: Self) -> Self {
        Set(self.0 & !other.0, PhantomData)
    }
}

impl<K: Family> BitOr for Set<K> {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}
impl<K: Family> BitAnd for Set<K> {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Set(self.0 & other.0, PhantomData)
    }
}
impl<K: Family> Not for Set<K> {
    type Output = Self;
    fn not(self) -> Self {
        Self::ALL.without(self)
    }
}
impl<K> fmt::Display for Set<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl<K: Family> fmt::Debug for Set<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:#x})", K::NAME, self.0)
    }
}
impl<K: Family> FromStr for Set<K> {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::from_bits)
    }
}
impl<K> Serialize for Set<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
impl<'de, K: Family> Deserialize<'de> for Set<K> {
    /// Takes a decimal string or a number.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<K>(PhantomData<K>);
        impl<K: Family> serde::de::Visitor<'_> for Visitor<K> {
            type Value = Set<K>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("permission bits as a decimal string")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Set<K>, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, bits: u64) -> Result<Set<K>, E> {
                Ok(Set::from_bits(bits))
            }
        }
        deserializer.deserialize_any(Visitor(PhantomData))
    }
}
impl<K: Family> utoipa::PartialSchema for Set<K> {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[0-9]{1,20}$"))
            .description(Some("Permission bits as a decimal string."))
            .examples([serde_json::json!("3072")])
            .into()
    }
}
impl<K: Family> utoipa::ToSchema for Set<K> {
    fn name() -> std::borrow::Cow<'static, str> {
        K::NAME.into()
    }
}
