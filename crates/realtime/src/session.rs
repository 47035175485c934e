//! A session: one login's view of the world, with or without a socket.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use contracts::messaging::InboxParts;
use infra::fanout::Delivery;
use kernel::{ChannelId, CommunityId, DeviceId, UserId};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, Notify};

use crate::close::Dialect;
use crate::conn::Conn;
use crate::encoded::{Content, Encoded, Form};
use crate::machine::Ms;
use crate::presence::{Budget, Wish};
use crate::ring::{Ring, Subject, Tail};
use crate::windows::{Subscription, Subscriptions};

/// Number of a session within its worker.
pub(crate) type SessionKey = u64;

/// Bit of the intent without which message content is hidden.
pub(crate) const MESSAGE_CONTENT: u64 = 1 << 15;
/// Intents an application must be granted: members, presences, message content.
pub(crate) const PRIVILEGED: u64 = (1 << 1) | (1 << 8) | MESSAGE_CONTENT;
/// Bit of the intent that brings members.
pub(crate) const GUILD_MEMBERS: u64 = 1 << 1;

/// Bit of the intent that brings who is here.
pub(crate) const PRESENCES: u64 = 1 << 8;

/// Bit of the intent that brings receipts of others.
pub(crate) const RECEIPTS: u64 = 1 << 40;
/// Bit of the intent that brings how the user stands in channels.
pub(crate) const READ_STATES: u64 = 1 << 47;

/// Native features, from `cap` of IDENTIFY.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Capabilities(pub(crate) u32);

impl Capabilities {
    /// Bit 0: understands our own close codes.
    pub(crate) fn dialect(self) -> Dialect {
        if self.0 & 1 == 1 {
            Dialect::Native
        } else {
            Dialect::Stock
        }
    }

    /// Bits 2 and 4 bring what is told of receipts and of one's own read states, as if the
    /// intents for them had been named.
    pub(crate) fn intents(self) -> u64 {
        let receipts = if self.0 & 4 == 4 { RECEIPTS } else { 0 };
        let states = if self.has_read_states() {
            READ_STATES
        } else {
            0
        };
        receipts | states
    }

    /// Bit 4: wants read states and relationships in READY, and what changes of its own states.
    pub(crate) fn has_read_states(self) -> bool {
        self.0 & 16 == 16
    }

    /// Bit 3: asks by op 60 for what it shows, and is sent no more of communities.
    pub(crate) fn is_lazy(self) -> bool {
        self.0 & 8 == 8
    }

    /// Bit 1: wants `c`, `ev`, `g` and `rev` beside events.
    pub(crate) fn form(self) -> Form {
        if self.0 & 2 == 2 {
            Form::Native
        } else {
            Form::Stock
        }
    }
}

/// What IDENTIFY settled; it outlives sockets and a restart of the node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Profile {
    /// The `session_id` clients resume with.
    pub(crate) id: String,
    pub(crate) user: UserId,
    pub(crate) device: Option<DeviceId>,
    pub(crate) bot: bool,
    pub(crate) intents: u64,
    pub(crate) cap: Capabilities,
    pub(crate) shard: Option<(u32, u32)>,
    pub(crate) large_threshold: u16,
    /// What the user sits at, see [`Profile::client`].
    #[serde(default)]
    pub(crate) is_mobile: bool,
}

impl Profile {
    /// Whether this shard carries a community.
    pub(crate) fn carries(&self, community: CommunityId) -> bool {
        let Some((number, of)) = self.shard else {
            return true;
        };
        let time = u64::try_from(community.get() >> 22).unwrap_or(0);
        time.checked_rem(u64::from(of)) == Some(u64::from(number))
    }

    /// What of its inbox the session is shown when it begins; bots read nothing.
    pub(crate) fn inbox_parts(&self) -> InboxParts {
        if self.cap.has_read_states() && !self.bot {
            InboxParts::WithReadStates
        } else {
            InboxParts::Channels
        }
    }

    /// The kind of client in `client_status`.
    pub(crate) fn client(&self) -> &'static str {
        match (self.bot, self.is_mobile) {
            (true, _) => "web",
            (false, true) => "mobile",
            (false, false) => "desktop",
        }
    }

    /// Whether this shard carries direct messages.
    pub(crate) fn carries_private(&self) -> bool {
        self.shard.is_none_or(|(number, _)| number == 0)
    }
}

/// Where a session stands.
pub(crate) enum Stage {
    /// Snapshots are being fetched; what happens meanwhile waits here.
    Loading(Vec<Delivery>),
    /// Events go into the ring.
    Live,
    /// Ended; nothing goes anywhere.
    Ended,
}

/// See the module's text.
pub(crate) struct Session {
    pub(crate) key: SessionKey,
    pub(crate) profile: Profile,
    pub(crate) stage: RefCell<Stage>,
    pub(crate) ring: RefCell<Ring>,
    /// Communities it follows, and of which epoch of rights the channels are that it was told of.
    pub(crate) communities: RefCell<HashMap<CommunityId, i32>>,
    /// Communities joined a moment ago, whose snapshot is on its way, and what happened meanwhile.
    pub(crate) joining: RefCell<HashMap<CommunityId, Vec<Delivery>>>,
    /// Private channels it follows.
    pub(crate) channels: RefCell<HashSet<ChannelId>>,
    pub(crate) conn: RefCell<Option<Rc<Conn>>>,
    /// The socket took something, or is gone.
    pub(crate) drained: Notify,
    /// Held while an op 8 is answered; a clone stands for each that waits.
    pub(crate) asking: Rc<Mutex<()>>,
    /// Since when there is no socket.
    pub(crate) detached_at: Cell<Ms>,
    /// Newest entry on the worker's wheel; older ones are void.
    pub(crate) watch: Cell<u32>,
    /// When the device has to be looked at again, because the token that opened it expires.
    pub(crate) recheck_at: Cell<Option<Ms>>,
    /// What it wants shown of its user, and what it may ask for next.
    pub(crate) wish: RefCell<Wish>,
    pub(crate) wishes: RefCell<Budget>,
    /// The newest states it could not be told, see [`crate::presence`].
    pub(crate) owed: RefCell<BTreeMap<Subject, Rc<Tail>>>,
    /// What it looks at (op 60).
    pub(crate) subscriptions: RefCell<Subscriptions>,
}

/// Why a session may not have an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    Send(Form, Content),
    Withhold,
}

impl Session {
    pub(crate) fn new(key: SessionKey, profile: Profile, ring: Ring, stage: Stage) -> Rc<Self> {
        Rc::new(Session {
            key,
            profile,
            stage: RefCell::new(stage),
            ring: RefCell::new(ring),
            communities: RefCell::default(),
            joining: RefCell::default(),
            channels: RefCell::default(),
            conn: RefCell::default(),
            drained: Notify::new(),
            asking: Rc::default(),
            detached_at: Cell::new(0),
            watch: Cell::new(0),
            recheck_at: Cell::new(None),
            wish: RefCell::default(),
            wishes: RefCell::default(),
            owed: RefCell::default(),
            subscriptions: RefCell::default(),
        })
    }

    /// The socket, if one is attached.
    pub(crate) fn conn(&self) -> Option<Rc<Conn>> {
        self.conn.borrow().clone()
    }

    /// Of which epoch the channels are that it was told of; none when it does not follow.
    pub(crate) fn told_of(&self, community: CommunityId) -> Option<i32> {
        self.communities.borrow().get(&community).copied()
    }

    /// Notes of which epoch the channels are that it was told of.
    pub(crate) fn tell_of(&self, community: CommunityId, epoch: i32) {
        self.communities.borrow_mut().insert(community, epoch);
    }

    /// Belongs to the community no more; false when it did not.
    pub(crate) fn leave(&self, community: CommunityId) -> bool {
        self.joining.borrow_mut().remove(&community);
        self.subscriptions.borrow_mut().remove(community);
        self.communities.borrow_mut().remove(&community).is_some()
    }

    /// Whether it is to be told of a member of a community: all of them with the intent, or those it
    /// looks at.
    pub(crate) fn wants_presence(&self, community: CommunityId, member: UserId) -> bool {
        if self.profile.cap.is_lazy() {
            return self.subscriptions.borrow().shows(community, member);
        }
        self.profile.intents & PRESENCES != 0
    }

    /// Whether an event of a community is one it looks at: a lazy session is shown who types and what
    /// threads do only where it asked for it.
    pub(crate) fn looks_at(&self, community: CommunityId, name: &str) -> bool {
        if !self.profile.cap.is_lazy() {
            return true;
        }
        let asked = |wants: fn(&Subscription) -> bool| {
            self.subscriptions
                .borrow()
                .get(community)
                .is_some_and(wants)
        };
        match name {
            "TYPING_START" => asked(|subscription| subscription.typing),
            name if name.starts_with("THREAD_") => asked(|subscription| subscription.threads),
            _ => true,
        }
    }

    /// Waits until the queue has room for something large; false when the socket is gone.
    pub(crate) async fn has_room(&self) -> bool {
        loop {
            let drained = self.drained.notified();
            if self.conn.borrow().is_none() {
                return false;
            }
            if !self.ring.borrow().is_half_full() {
                return true;
            }
            drained.await;
        }
    }

    /// What of an event this session gets, by intents and content rules. Rights in the channel are
    /// the caller's business.
    pub(crate) fn judge(&self, event: &Encoded<'_>) -> Offer {
        let profile = &self.profile;
        let dispatch = event.dispatch;
        if dispatch.except == Some(profile.user) {
            return Offer::Withhold;
        }
        if let Some(bit) = dispatch.intent
            && profile.intents.checked_shr(u32::from(bit)).unwrap_or(0) & 1 == 0
        {
            return Offer::Withhold;
        }
        let full = profile.intents & MESSAGE_CONTENT != 0
            || dispatch.author == Some(profile.user)
            || dispatch.full_for.contains(&profile.user);
        let content = if full {
            Content::Full
        } else {
            Content::Redacted
        };
        Offer::Send(profile.cap.form(), content)
    }

    #[cfg(test)]
    pub(crate) fn for_tests(key: SessionKey) -> Rc<Self> {
        let profile = Profile {
            id: format!("test{key}"),
            user: UserId::new(i64::try_from(key).unwrap()),
            device: None,
            bot: true,
            intents: 0,
            cap: Capabilities::default(),
            shard: None,
            large_threshold: 50,
            is_mobile: false,
        };
        Session::new(
            key,
            profile,
            Ring::new(crate::ring::Bounds::default(), Vec::new()),
            Stage::Live,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use infra::fanout::{Body, Dispatch, Record, Version};

    fn record(intent: Option<u8>) -> Record {
        Record {
            body: Body::Dispatch(Dispatch {
                name: "MESSAGE_CREATE".into(),
                intent,
                needs: kernel::perm::Chat::NONE,
                author: Some(UserId::new(7)),
                except: Some(UserId::new(8)),
                full_for: vec![UserId::new(9)],
                data: Bytes::from_static(b"{}"),
                redacted: Some(Bytes::from_static(b"{}")),
            }),
            community: None,
            channel: None,
            version: Version::None,
            epoch: 0,
            ephemeral: false,
        }
    }

    fn judge(user: u64, intents: u64, intent: Option<u8>) -> Offer {
        let mut session = Session::for_tests(user);
        Rc::get_mut(&mut session).unwrap().profile.intents = intents;
        let record = record(intent);
        let Body::Dispatch(dispatch) = &record.body else {
            panic!()
        };
        session.judge(&Encoded::new(&record, dispatch))
    }

    #[test]
    fn intents_and_content() {
        let full = Offer::Send(Form::Stock, Content::Full);
        let redacted = Offer::Send(Form::Stock, Content::Redacted);
        assert_eq!(judge(1, 0, Some(9)), Offer::Withhold);
        assert_eq!(judge(1, 1 << 9, Some(9)), redacted);
        assert_eq!(judge(1, 0, None), redacted);
        assert_eq!(judge(1, MESSAGE_CONTENT, None), full);
        assert_eq!(judge(7, 1 << 9, Some(9)), full, "the author");
        assert_eq!(judge(9, 1 << 9, Some(9)), full, "a mentioned user");
        assert_eq!(
            judge(8, u64::MAX, None),
            Offer::Withhold,
            "the excepted one"
        );
        assert_eq!(
            judge(1, u64::MAX, Some(255)),
            Offer::Withhold,
            "a bit that does not exist"
        );
    }

    #[test]
    fn shards_split_communities() {
        let mut profile = Session::for_tests(1).profile.clone();
        let community = CommunityId::new(5 << 22);
        assert!(profile.carries(community) && profile.carries_private());
        profile.shard = Some((1, 2));
        assert!(profile.carries(community) && !profile.carries_private());
        profile.shard = Some((0, 2));
        assert!(!profile.carries(community) && profile.carries_private());
    }
}
