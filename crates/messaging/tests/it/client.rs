//! A client that reads the room, and what can happen there.

use std::collections::BTreeMap;

use contracts::messaging::{SyncFrom, Synced};
use kernel::{Caller, MessageId, UserId};
use messaging::Window;
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::world::{ANA, BORA, ROOM, World};

const EMOJI: &[&str] = &["🔥", "👍"];

/// What a client has of the room.
#[derive(Clone, Default)]
pub(crate) struct Client {
    pub(crate) ev: i64,
    pub(crate) last: Option<MessageId>,
    pub(crate) messages: BTreeMap<MessageId, Value>,
    /// When the newest pin came.
    pub(crate) last_pin: Value,
    /// How long messages stay.
    pub(crate) ttl: Value,
    /// Whether it was told to fetch anew, which it does with messages alone here.
    pub(crate) was_reset: bool,
}

impl Client {
    pub(crate) fn apply(&mut self, name: &str, mut d: Value) {
        let named = |d: &Value, name: &str| d[name].as_str().unwrap().parse::<MessageId>();
        match name {
            "MESSAGE_DELETE" => drop(self.messages.remove(&named(&d, "id").unwrap())),
            "MESSAGE_CREATE" | "MESSAGE_UPDATE" => {
                bare(&mut d);
                let id = named(&d, "id").unwrap();
                self.last = self.last.max(Some(id));
                if let (None, Some(known)) = (d.get("reactions"), self.messages.get(&id)) {
                    d["reactions"] = known["reactions"].clone();
                    if d.get("poll").is_some() {
                        let counts = known["poll"]["results"]["answer_counts"].clone();
                        d["poll"]["results"]["answer_counts"] = counts;
                    }
                }
                self.messages.insert(id, d);
            }
            "MESSAGE_DELETE_BULK" => {
                for id in d["ids"].as_array().unwrap() {
                    self.messages.remove(&id.as_str().unwrap().parse().unwrap());
                }
            }
            "MESSAGE_TTL_UPDATE" => self.ttl = d["message_ttl"].clone(),
            "CHANNEL_PINS_UPDATE" => self.last_pin = d["last_pin_timestamp"].clone(),
            _ if name.starts_with("MESSAGE_REACTION_") => {
                let message = self.messages.get_mut(&named(&d, "message_id").unwrap());
                react(
                    message.unwrap()["reactions"].as_array_mut().unwrap(),
                    name,
                    &d,
                );
            }
            _ if name.starts_with("MESSAGE_POLL_VOTE_") => {
                let message = self.messages.get_mut(&named(&d, "message_id").unwrap());
                let results = &mut message.unwrap()["poll"]["results"]["answer_counts"];
                vote(results.as_array_mut().unwrap(), name, &d);
            }
            other => panic!("no client knows what to do with {other}"),
        }
    }

    fn from(&self) -> SyncFrom {
        SyncFrom {
            channel: ROOM,
            ev: self.ev,
            last: self.last,
        }
    }

    pub(crate) async fn catch_up(&mut self, w: &World) {
        let synced = w.messaging.catch_up_in(BORA, &[self.from()]).await.unwrap();
        match &synced[0].1 {
            Synced::Events { ev, events } => {
                for event in events {
                    self.apply(&event.t, event.d.clone());
                }
                self.ev = *ev;
            }
            Synced::Reset { ev, .. } => {
                self.was_reset = true;
                self.messages = fresh(w).await;
                self.last = self.messages.keys().next_back().copied();
                self.ev = *ev;
            }
            Synced::Gone { .. } => panic!("she reads here"),
        }
    }
}

/// What a client of bora's makes of an event about reactions.
fn react(reactions: &mut Vec<Value>, name: &str, d: &Value) {
    let at = reactions.iter().position(|one| one["emoji"] == d["emoji"]);
    let step = match name {
        "MESSAGE_REACTION_ADD" => 1,
        "MESSAGE_REACTION_REMOVE" => -1,
        "MESSAGE_REACTION_REMOVE_EMOJI" => return drop(reactions.remove(at.unwrap())),
        "MESSAGE_REACTION_REMOVE_ALL" => return reactions.clear(),
        other => panic!("{other} is no event of reactions"),
    };
    let at = at.unwrap_or_else(|| {
        reactions.push(json!({
            "emoji": d["emoji"], "count": 0, "count_details": {"normal": 0, "burst": 0},
            "me": false, "me_burst": false, "burst_colors": []
        }));
        reactions.len() - 1
    });
    let count = reactions[at]["count"].as_i64().unwrap() + step;
    if count == 0 {
        reactions.remove(at);
        return;
    }
    reactions[at]["count"] = json!(count);
    reactions[at]["count_details"]["normal"] = json!(count);
    if d["user_id"] == json!(BORA) {
        reactions[at]["me"] = json!(step == 1);
    }
}

/// What she makes of an event about votes.
fn vote(counts: &mut Vec<Value>, name: &str, d: &Value) {
    let step = if name.ends_with("_ADD") { 1 } else { -1 };
    let at = counts.iter().position(|one| one["id"] == d["answer_id"]);
    let at = at.unwrap_or_else(|| {
        counts.push(json!({"id": d["answer_id"], "count": 0, "me_voted": false}));
        counts.len() - 1
    });
    counts[at]["count"] = json!(counts[at]["count"].as_i64().unwrap() + step);
    if d["user_id"] == json!(BORA) {
        counts[at]["me_voted"] = json!(step == 1);
    }
    counts.retain(|one| one["count"] != json!(0));
    counts.sort_by_key(|one| one["id"].as_i64().unwrap());
}

/// Leaves out what events carry besides the message, and the answered message, which clients have
/// by itself.
fn bare(message: &mut Value) {
    let message = message.as_object_mut().unwrap();
    for field in ["guild_id", "member", "nonce", "referenced_message"] {
        message.remove(field);
    }
}

/// What a fresh look shows; scenarios stay below one page.
pub(crate) async fn fresh(w: &World) -> BTreeMap<MessageId, Value> {
    let caller = Caller::bot(BORA);
    let page = w
        .messaging
        .list_messages(&caller, ROOM, Window::Newest, 100);
    let shown = page.await.unwrap().into_iter().map(|message| {
        let mut value = serde_json::to_value(&message).unwrap();
        bare(&mut value);
        (message.id, value)
    });
    shown.collect()
}

/// What stands in the room for somebody who is about to do something.
#[derive(Default)]
struct Seen {
    own: Vec<MessageId>,
    all: Vec<MessageId>,
    /// Bora's reactions, as she sees them.
    given: Vec<(MessageId, &'static str)>,
    polls: Vec<MessageId>,
}

impl Seen {
    async fn by(w: &World, author: UserId) -> Self {
        let mut seen = Seen::default();
        for (id, message) in fresh(w).await {
            seen.all.push(id);
            if message["poll"]["results"]["is_finalized"] == json!(false) {
                seen.polls.push(id);
            }
            for reaction in message["reactions"].as_array().unwrap() {
                if reaction["me"] == json!(true) {
                    let is_given = |emoji: &&&str| reaction["emoji"]["name"] == json!(**emoji);
                    seen.given.push((id, EMOJI.iter().find(is_given).unwrap()));
                }
            }
            if message["author"]["id"] == json!(author) {
                seen.own.push(id);
            }
        }
        seen
    }
}

/// Does something in the room, by the number of its kind; 0 is a message.
pub(crate) async fn happen(w: &World, kind: i16, dice: &mut Dice, step: usize) {
    let author = dice.pick(&[ANA, BORA]).unwrap();
    let caller = Caller::bot(author);
    let seen = Seen::by(w, author).await;
    match kind {
        0 => {
            let reply = dice.pick(&seen.all).filter(|_| step.is_multiple_of(3));
            let reply = reply.map(|id| json!({"message_id": id}));
            let mut body = json!({"content": format!("m{step}"), "message_reference": reply});
            if step.is_multiple_of(4) {
                let answer = |text: &str| json!({"poll_media": {"text": text}});
                body["poll"] = json!({"question": {"text": "?"}, "duration": 1,
                    "answers": [answer("a"), answer("b")], "allow_multiselect": true});
            }
            let new = serde_json::from_value::<messaging::SendMessage>(body).unwrap();
            let new = new.check(None).unwrap();
            w.messaging.send_message(&caller, ROOM, new).await.unwrap();
        }
        1 => {
            let Some(id) = dice.pick(&seen.own) else {
                return;
            };
            let body = json!({"content": format!("e{step}")});
            let edit = serde_json::from_value::<messaging::EditMessage>(body).unwrap();
            let edit = edit.check().unwrap();
            let done = w.messaging.edit_message(&caller, ROOM, id, edit).await;
            // Not a notice, not a poll.
            assert!(done.is_ok() || !matches!(done, Err(messaging::Error::NotAuthor)));
            w.messaging.end_due_polls().await.unwrap();
        }
        2 => {
            let Some(id) = dice.pick(&seen.own) else {
                return;
            };
            w.messaging
                .delete_message(&caller, ROOM, id, None)
                .await
                .unwrap();
        }
        8 => {
            let ids: Vec<MessageId> = seen.all.iter().rev().take(3).copied().collect();
            let done = w.messaging.delete_messages(&caller, ROOM, ids, None);
            assert!(matches!(
                done.await,
                Ok(()) | Err(messaging::Error::WrongCount)
            ));
        }
        11 => {
            let seconds = [0, 60, 3_600][dice.roll(3)];
            let set = w.messaging.set_message_ttl(&caller, ROOM, seconds).await;
            set.unwrap();
        }
        _ => hang(w, kind, dice, &caller, &seen).await,
    }
}

/// Does something with what hangs on messages.
async fn hang(w: &World, kind: i16, dice: &mut Dice, caller: &Caller, seen: &Seen) {
    match kind {
        3 => {
            let Some(id) = dice.pick(&seen.all) else {
                return;
            };
            let emoji = dice.pick(EMOJI).unwrap();
            w.messaging.react(caller, (ROOM, id), emoji).await.unwrap();
        }
        4 => {
            let Some((id, emoji)) = dice.pick(&seen.given) else {
                return;
            };
            let at = (ROOM, id);
            let done = w.messaging.unreact(caller, at, emoji, BORA).await;
            done.unwrap();
        }
        5 | 6 => {
            let Some((id, emoji)) = dice.pick(&seen.given) else {
                return;
            };
            let at = (ROOM, id);
            let done = match kind {
                5 => w.messaging.clear_reactions(caller, at, None).await,
                _ => w.messaging.clear_reactions(caller, at, Some(emoji)).await,
            };
            done.unwrap();
        }
        7 => {
            let Some(id) = dice.pick(&seen.own) else {
                return;
            };
            let done = if dice.roll(3) == 0 {
                w.messaging.unpin(caller, ROOM, id).await
            } else {
                w.messaging.pin(caller, ROOM, id).await
            };
            // Of a notice of an earlier pin.
            assert!(matches!(
                done,
                Ok(()) | Err(messaging::Error::SystemMessage)
            ));
        }
        9 | 10 => {
            let Some(id) = dice.pick(&seen.polls) else {
                return;
            };
            let answers = dice.pick(&[&[1][..], &[2], &[1, 2], &[]]).unwrap();
            let done = w.messaging.vote(caller, (ROOM, id), answers.to_vec());
            assert!(matches!(
                done.await,
                Ok(()) | Err(messaging::Error::PollOver)
            ));
        }
        other => panic!("changes of kind {other} need a step here"),
    }
}
