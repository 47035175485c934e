//! Two devices of one reader, who hear of things in different orders, against what is stored.
//!
//! A device keeps the newest state of each channel and what it heard of the channel after it, as
//! `docs/receipts.md` tells clients to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use contracts::Messaging as _;
use contracts::communities::ChannelAccess;
use contracts::messaging::{Cursor, InboxParts, NotificationLevel, ReadState};
use db::Sql;
use infra::fanout::{Topic, Version};
use jiff::Timestamp;
use kernel::perm::Chat;
use kernel::{ChannelId, CommunityId, MessageId, UserId};
use messaging::{Acknowledgement, Window};
use serde_json::{Value, json};
use testkit::http::caller;

use crate::dice::{self, Dice};
use crate::world::{ANA, Ear, World, access};

/// Readers of each run, each with a seed.
const SEEDS: u64 = 256;
/// Sequences of a reader, one after the other: 1,024 in all. Each begins with fresh devices where
/// the one before ended.
const SEQUENCES: usize = 4;
const STEPS: usize = 6;
/// Readers at work at once.
const AT_ONCE: usize = 16;

/// A message as a device knows it.
#[derive(Clone)]
struct Known {
    seq: i64,
    is_own: bool,
    calls: bool,
}

/// A channel as a device knows it.
#[derive(Clone)]
struct View {
    state: ReadState,
    messages: BTreeMap<MessageId, Known>,
    /// `seq` of deleted messages, and the change that deleted them.
    deleted: BTreeMap<i64, i64>,
}

impl View {
    fn hear(&mut self, name: &str, d: &Value, ev: i64, reader: UserId) {
        let id: MessageId = d["id"].as_str().unwrap().parse().unwrap();
        match name {
            "MESSAGE_CREATE" => {
                let known = known(d, reader);
                self.messages.insert(id, known);
            }
            "MESSAGE_DELETE" => {
                let seq = self.messages.get(&id).map(|known| known.seq);
                self.deleted.insert(seq.expect("a known message"), ev);
            }
            other => panic!("{other} is not part of these sequences"),
        }
    }

    fn last_seq(&self) -> i64 {
        let heard = self.messages.values().map(|known| known.seq).max();
        self.state.last_seq.max(heard.unwrap_or(0))
    }

    /// Own messages that came after the state acknowledge.
    fn marker(&self) -> i64 {
        let own = self.messages.values().filter(|known| known.is_own);
        let newer = own
            .map(|known| known.seq)
            .filter(|seq| *seq > self.state.last_seq);
        newer.max().unwrap_or(0).max(self.state.read_seq)
    }

    fn mentions(&self) -> BTreeSet<i64> {
        let heard = self.messages.values().filter(|known| known.calls);
        let newer = heard
            .map(|known| known.seq)
            .filter(|seq| *seq > self.state.last_seq);
        let is_gone = |seq: &i64| {
            self.deleted
                .get(seq)
                .is_some_and(|ev| *ev > self.state.last_ev)
        };
        let all = self.state.mention_seqs.iter().copied().chain(newer);
        all.filter(|seq| *seq > self.marker() && !is_gone(seq))
            .collect()
    }

    fn counts(&self) -> (i64, i64) {
        let unread = self.last_seq() - self.marker();
        assert!(unread >= 0, "never negative");
        (unread, i64::try_from(self.mentions().len()).unwrap())
    }

    fn badge(&self, now: Timestamp) -> i64 {
        let (unread, mentions) = self.counts();
        match self.state.level {
            _ if self.state.muted_until.is_some_and(|until| until > now) => 0,
            NotificationLevel::Default | NotificationLevel::All => unread,
            NotificationLevel::Mentions => mentions,
            NotificationLevel::Nothing => 0,
        }
    }
}

fn known(message: &Value, reader: UserId) -> Known {
    let named = message["mentions"].as_array().unwrap();
    let is_own = message["author"]["id"] == json!(reader);
    Known {
        seq: message["seq"].as_i64().unwrap(),
        is_own,
        calls: message["mention_everyone"] == json!(true)
            || (!is_own && named.iter().any(|user| user["id"] == json!(reader))),
    }
}

/// Of two states the newer one counts, in whatever order they come.
fn take(views: &mut BTreeMap<ChannelId, View>, state: ReadState) {
    let view = views.get_mut(&state.channel_id).expect("a known channel");
    if state.version >= view.state.version {
        view.state = state;
    }
}

/// One reader in channels of their own, with two devices.
struct Sequence {
    w: Arc<World>,
    dice: Dice,
    reader: UserId,
    channels: Vec<ChannelId>,
    /// What is told to the reader alone, and what happens in the channels.
    own: Ear,
    shared: Ear,
    one: BTreeMap<ChannelId, View>,
    other: BTreeMap<ChannelId, View>,
}

impl Sequence {
    async fn begin(w: Arc<World>, seed: u64) -> Sequence {
        let number = i64::try_from(seed).unwrap();
        let reader = UserId::new(1_000_000 + number);
        w.identity.add(reader, &format!("reader{seed}"));
        let mut dice = Dice::new(seed);
        let community = CommunityId::new(2_000_000 + number);
        let room = ChannelId::new(3_000_000 + number);
        let rights = |joined_at| ChannelAccess {
            community,
            joined_at,
            chat: Chat::ALL,
            trade: kernel::perm::Trade::NONE,
            thread_chat: Chat::ALL,
            ..access(room)
        };
        w.rights.put(ANA, rights(kernel::Clock::now(&*w.clock)));
        for _ in 0..dice.roll(3) {
            say(&w, ANA, room, "@everyone before").await;
        }
        w.clock.advance(Duration::from_millis(5));
        w.rights.put(reader, rights(kernel::Clock::now(&*w.clock)));
        w.clock.advance(Duration::from_millis(5));
        let dm = w.messaging.open_dm(&caller(ANA), reader).await.unwrap().id;
        for channel in [room, dm] {
            for _ in 0..dice.roll(3) {
                say(&w, ANA, channel, &format!("<@{reader}> early")).await;
            }
        }
        let own = w.listen(&[Topic::User(reader)]).await;
        let shared = w
            .listen(&[Topic::Community(community), Topic::Channel(dm)])
            .await;
        Sequence {
            channels: vec![room, dm],
            w,
            dice,
            reader,
            own,
            shared,
            one: BTreeMap::new(),
            other: BTreeMap::new(),
        }
    }

    /// Both devices begin with what the server says now.
    async fn look(&mut self) {
        let mut states = states(&self.w, self.reader).await;
        self.one.clear();
        for channel in self.channels.clone() {
            let reader = caller(self.reader);
            let page = self
                .w
                .messaging
                .list_messages(&reader, channel, Window::Newest, 100);
            let messages = page.await.unwrap().into_iter().map(|message| {
                let value = serde_json::to_value(&message).unwrap();
                (message.id, known(&value, self.reader))
            });
            let view = View {
                messages: messages.collect(),
                state: states.remove(&channel).unwrap_or_else(|| nothing(channel)),
                deleted: BTreeMap::new(),
            };
            self.one.insert(channel, view);
        }
        self.other = self.one.clone();
    }

    async fn step(&mut self) {
        self.w.clock.advance(Duration::from_millis(1));
        let channel = self.dice.pick(&self.channels).unwrap();
        let known: Vec<MessageId> = self.one[&channel].messages.keys().copied().collect();
        let message = self.dice.pick(&known);
        let answered = match (self.dice.roll(9), message) {
            (0, Some(id)) => self.read(channel, &[(id, Acknowledgement::Read)]).await,
            (1, _) => {
                // Half of the time to the very begin.
                let id = message.filter(|_| self.dice.roll(2) == 0);
                let id = id.unwrap_or(MessageId::new(0));
                self.read(channel, &[(id, Acknowledgement::Manual)]).await
            }
            (2, Some(id)) => self.move_cursor(channel, id).await,
            (3, _) => self.set_level(channel).await,
            (4, Some(id)) => self.delete(channel, id).await,
            (5, _) => {
                say(&self.w, self.reader, channel, "of the reader").await;
                Vec::new()
            }
            (6, Some(id)) => {
                // One right after the other, before anything of it is heard.
                let back = (MessageId::new(0), Acknowledgement::Manual);
                let mut both = [(id, Acknowledgement::Read), back];
                both.rotate_left(self.dice.roll(2));
                self.read(channel, &both).await
            }
            _ => {
                let text = self.dice.pick(&["plain", "@everyone", "<@0>"]).unwrap();
                let text = text.replace("<@0>", &format!("<@{}>", self.reader));
                say(&self.w, ANA, channel, &text).await;
                Vec::new()
            }
        };
        self.hear(answered);
    }

    /// Acknowledges, and gives the answers in the wrong order.
    async fn read(
        &self,
        channel: ChannelId,
        messages: &[(MessageId, Acknowledgement)],
    ) -> Vec<ReadState> {
        let mut answers = Vec::new();
        for (id, how) in messages {
            let reader = caller(self.reader);
            let answer = self.w.messaging.acknowledge(&reader, channel, *id, *how);
            answers.insert(0, answer.await.unwrap());
        }
        answers
    }

    async fn move_cursor(&mut self, channel: ChannelId, id: MessageId) -> Vec<ReadState> {
        let cursor = Cursor {
            channel_id: channel,
            delivered: Some(id),
            read: Some(id).filter(|_| self.dice.roll(2) == 0),
        };
        let reader = caller(self.reader);
        let moved = self.w.messaging.put_cursors(&reader, &[cursor]).await;
        moved.unwrap()
    }

    async fn set_level(&mut self, channel: ChannelId) -> Vec<ReadState> {
        use NotificationLevel::{All, Default, Mentions, Nothing};
        let level = self.dice.pick(&[Default, All, Mentions, Nothing]).unwrap();
        let until = Some("2030-01-01T00:00:00Z".parse().unwrap());
        let until = until.filter(|_| self.dice.roll(2) == 0);
        let reader = caller(self.reader);
        let set = self
            .w
            .messaging
            .set_notifications(&reader, channel, level, until)
            .await;
        vec![set.unwrap()]
    }

    async fn delete(&self, channel: ChannelId, id: MessageId) -> Vec<ReadState> {
        let author = if self.one[&channel].messages[&id].is_own {
            caller(self.reader)
        } else {
            caller(ANA)
        };
        // It may be gone already, and the news still on its way.
        drop(
            self.w
                .messaging
                .delete_message(&author, channel, id, None)
                .await,
        );
        Vec::new()
    }

    /// One device hears of the channels first, the other of its own states.
    fn hear(&mut self, answered: Vec<ReadState>) {
        let told: Vec<ReadState> = std::iter::from_fn(|| self.own.hear())
            .filter(|heard| heard.name == "MESSAGE_ACK")
            .map(|heard| serde_json::from_value(heard.data).unwrap())
            .collect();
        // Half of the time the news of the channel has not come yet.
        let lag = self.dice.roll(2) == 0;
        for state in told.iter().cloned() {
            take(&mut self.other, state);
        }
        if lag {
            return self.answered(answered, told);
        }
        while let Some(heard) = self.shared.hear() {
            let (Version::Ev(ev), Some(channel)) = (heard.record.version, heard.record.channel)
            else {
                continue;
            };
            for views in [&mut self.one, &mut self.other] {
                let view = views.get_mut(&channel).unwrap();
                view.hear(&heard.name, &heard.data, ev, self.reader);
            }
        }
        self.answered(answered, told);
    }

    fn answered(&mut self, answered: Vec<ReadState>, told: Vec<ReadState>) {
        for state in answered.into_iter().chain(told.into_iter().rev()) {
            take(&mut self.one, state);
        }
    }

    /// Both devices and the server agree. Gives what the server says.
    async fn check(&mut self, seed: u64) -> BTreeMap<ChannelId, ReadState> {
        self.hear(Vec::new());
        self.hear_all();
        let states = states(&self.w, self.reader).await;
        for (channel, view) in &self.one {
            let other = &self.other[channel];
            let name = format!("seed {seed}, channel {channel}");
            assert_eq!(view.counts(), other.counts(), "{name}: two devices");
            let state = states
                .get(channel)
                .cloned()
                .unwrap_or_else(|| nothing(*channel));
            let stored = (state.unread_count, state.mention_count);
            assert_eq!(view.counts(), stored, "{name}: a device and the server");
            assert!(stored.0 >= 0 && stored.1 >= 0, "{name}: never negative");
            assert_eq!(
                view.mentions().into_iter().collect::<Vec<_>>(),
                state.mention_seqs
            );
        }
        let badge = self.w.messaging.badge(self.reader).await.unwrap().count;
        let now = kernel::Clock::now(&*self.w.clock);
        for views in [&self.one, &self.other] {
            let counted: i64 = views.values().map(|view| view.badge(now)).sum();
            assert_eq!(counted, badge, "seed {seed}: the badge");
        }
        states
    }

    fn hear_all(&mut self) {
        while let Some(heard) = self.shared.hear() {
            if let (Version::Ev(ev), Some(channel)) = (heard.record.version, heard.record.channel) {
                for views in [&mut self.one, &mut self.other] {
                    let view = views.get_mut(&channel).unwrap();
                    view.hear(&heard.name, &heard.data, ev, self.reader);
                }
            }
        }
    }
}

fn nothing(channel: ChannelId) -> ReadState {
    ReadState {
        channel_id: channel,
        guild_id: None,
        last_seq: 0,
        last_ev: 0,
        last_message_id: None,
        read_seq: 0,
        unread_count: 0,
        mention_count: 0,
        mention_seqs: Vec::new(),
        level: NotificationLevel::Default,
        muted_until: None,
        version: 0,
    }
}

async fn say(w: &World, who: UserId, channel: ChannelId, text: &str) {
    let new = serde_json::from_value::<messaging::SendMessage>(json!({ "content": text }));
    let new = new.unwrap().check(None).unwrap();
    w.messaging
        .send_message(&caller(who), channel, new)
        .await
        .unwrap();
}

async fn states(w: &World, reader: UserId) -> BTreeMap<ChannelId, ReadState> {
    let inbox = w
        .messaging
        .inbox(reader, InboxParts::WithReadStates)
        .await
        .unwrap();
    let states = inbox.read_states.into_iter();
    states.map(|state| (state.channel_id, state)).collect()
}

/// Unread messages and mentions of every reader, counted from the messages one by one.
const RECOUNT: Sql = Sql::new(
    "test.recount",
    "SELECT coalesce(jsonb_object_agg(r.user_id || ':' || r.channel_id, jsonb_build_array(
        (SELECT count(*) FROM messaging.messages m
            WHERE m.channel_id = r.channel_id AND m.seq > r.read_seq),
        (SELECT count(*) FROM messaging.messages m
            WHERE m.channel_id = r.channel_id AND m.seq > r.read_seq AND m.deleted_at IS NULL
                AND (coalesce((m.body ->> 'mention_everyone')::boolean, false)
                    OR (m.author_id <> r.user_id
                        AND coalesce(m.body -> 'mentions', '[]') ? r.user_id::text))))), '{}')
     FROM messaging.read_states r WHERE r.read_seq IS NOT NULL",
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m4_two_devices_and_a_recount_agree_after_any_sequence() {
    let w = Arc::new(World::new().await);
    let mut stored = BTreeMap::new();
    let mut seeds = dice::seeds(SEEDS).peekable();
    let mut tasks = tokio::task::JoinSet::new();
    while seeds.peek().is_some() || !tasks.is_empty() {
        while tasks.len() < AT_ONCE
            && let Some(seed) = seeds.next()
        {
            let w = Arc::clone(&w);
            tasks.spawn(async move {
                let mut sequence = Sequence::begin(w, seed).await;
                let mut states = BTreeMap::new();
                for _ in 0..SEQUENCES {
                    sequence.look().await;
                    for _ in 0..STEPS {
                        sequence.step().await;
                    }
                    states = sequence.check(seed).await;
                }
                (sequence.reader, states)
            });
        }
        if let Some(done) = tasks.join_next().await {
            let (reader, states) = done.unwrap();
            for (channel, state) in states {
                let counts = json!([state.unread_count, state.mention_count]);
                stored.insert(format!("{reader}:{channel}"), counts);
            }
        }
    }
    let recount: BTreeMap<String, Value> =
        serde_json::from_value(RECOUNT.scalar(&w.admin).await.unwrap()).unwrap();
    let mut compared = 0;
    for (place, counted) in recount {
        // The author of it all reads too; nobody looked at that.
        if let Some(counts) = stored.get(&place) {
            assert_eq!(counts, &counted, "{place}: the server and a recount");
            compared += 1;
        }
    }
    assert!(compared > 0);
}
