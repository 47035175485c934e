//! One fanout record in the forms sockets need, each made at most once per worker.
//!
//! `s` is the only thing that differs per socket, so it stands first: a frame is
//! `{"s":42,` and then the shared tail `"op":0,"t":"MESSAGE_CREATE","d":{…}}`. JSON knows no order
//! of members; stock clients read it as any other.

use std::cell::OnceCell;
use std::rc::Rc;

use bytes::{BufMut, Bytes, BytesMut};
use infra::fanout::{Dispatch, Record, Version};

use crate::ring::{Subject, Tail};

/// Whether a receiver gets `c`/`ev` or `g`/`rev` beside the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Stock,
    Native,
}

/// Whether a receiver may read message content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Full,
    Redacted,
}

/// A record on its way to the sockets of one worker.
pub(crate) struct Encoded<'a> {
    record: &'a Record,
    pub(crate) dispatch: &'a Dispatch,
    forms: [OnceCell<Rc<Tail>>; 4],
}

impl<'a> Encoded<'a> {
    pub(crate) fn new(record: &'a Record, dispatch: &'a Dispatch) -> Self {
        Encoded {
            record,
            dispatch,
            forms: Default::default(),
        }
    }

    /// The shared part for one kind of receiver.
    pub(crate) fn tail(&self, form: Form, content: Content) -> Rc<Tail> {
        let [stock, native, stock_redacted, native_redacted] = &self.forms;
        let (cell, data) = match (form, content, &self.dispatch.redacted) {
            (Form::Stock, Content::Redacted, Some(data)) => (stock_redacted, data),
            (Form::Native, Content::Redacted, Some(data)) => (native_redacted, data),
            (Form::Stock, _, _) => (stock, &self.dispatch.data),
            (Form::Native, _, _) => (native, &self.dispatch.data),
        };
        let make = || {
            let marks = match form {
                Form::Stock => String::new(),
                Form::Native => self.marks(),
            };
            Rc::new(Tail {
                bytes: tail(&self.dispatch.name, &marks, data),
                ephemeral: self.record.ephemeral,
                subject: self.subject(),
            })
        };
        Rc::clone(cell.get_or_init(make))
    }

    /// A receipt tells the newest state of a member in a channel.
    fn subject(&self) -> Option<Subject> {
        if self.dispatch.name != "RECEIPT_UPDATE" {
            return None;
        }
        let user = self.dispatch.except?;
        Some(Subject::Receipt(self.record.channel?, user))
    }

    fn marks(&self) -> String {
        match (
            self.record.version,
            self.record.channel,
            self.record.community,
        ) {
            (Version::Ev(ev), Some(channel), _) => format!("\"c\":\"{channel}\",\"ev\":{ev},"),
            (Version::Rev(rev), _, Some(community)) => {
                format!("\"g\":\"{community}\",\"rev\":{rev},")
            }
            _ => String::new(),
        }
    }
}

/// The tail of a dispatch: everything behind `{"s":…,`.
pub(crate) fn tail(name: &str, marks: &str, data: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(name.len() + marks.len() + data.len() + 24);
    out.put_slice(b"\"op\":0,\"t\":\"");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\",");
    out.put_slice(marks.as_bytes());
    out.put_slice(b"\"d\":");
    out.put_slice(data);
    out.put_slice(b"}");
    out.freeze()
}

/// Appends what stands before a tail: the WebSocket head and `{"s":…,`.
pub(crate) fn append_head(out: &mut Vec<u8>, s: u64, tail_bytes: usize) {
    use std::io::Write;
    let digits = usize::try_from(s.checked_ilog10().unwrap_or(0)).unwrap_or(0) + 1;
    let before = b"{\"s\":,".len() + digits;
    out.extend_from_slice(&ws::encode::head(ws::Opcode::Text, before + tail_bytes));
    // Writing into a Vec cannot fail.
    let _infallible = write!(out, "{{\"s\":{s},");
}

#[cfg(test)]
mod tests {
    use super::*;
    use infra::fanout::Body;
    use kernel::{ChannelId, CommunityId};

    fn record() -> Record {
        Record {
            body: Body::Dispatch(Dispatch {
                name: "MESSAGE_CREATE".into(),
                intent: Some(9),
                needs: kernel::perm::Chat::NONE,
                author: None,
                except: None,
                full_for: Vec::new(),
                data: Bytes::from_static(b"{\"content\":\"hi\"}"),
                redacted: Some(Bytes::from_static(b"{\"content\":\"\"}")),
            }),
            community: Some(CommunityId::new(1)),
            channel: Some(ChannelId::new(2)),
            version: Version::Ev(7),
            epoch: 0,
            ephemeral: false,
        }
    }

    fn whole(s: u64, tail: &Tail) -> serde_json::Value {
        let mut head = Vec::new();
        append_head(&mut head, s, tail.bytes.len());
        let mut frame = head.clone();
        frame.extend_from_slice(&tail.bytes);
        let mut decoder = ws::Decoder::new(ws::Role::Client, ws::Limits::DEFAULT);
        let mut input = frame.as_mut_slice();
        let Ok(Some(ws::Event::Text(text))) = decoder.decode(&mut input) else {
            panic!("no frame")
        };
        let value = serde_json::from_str(&text).unwrap();
        assert!(input.is_empty(), "the announced length is right");
        value
    }

    #[test]
    fn four_forms_each_made_once() {
        let record = record();
        let Body::Dispatch(dispatch) = &record.body else {
            panic!()
        };
        let encoded = Encoded::new(&record, dispatch);
        let stock = encoded.tail(Form::Stock, Content::Full);
        assert!(Rc::ptr_eq(
            &stock,
            &encoded.tail(Form::Stock, Content::Full)
        ));
        assert_eq!(
            whole(9, &stock),
            serde_json::json!({"s": 9, "op": 0, "t": "MESSAGE_CREATE", "d": {"content": "hi"}})
        );
        let native = encoded.tail(Form::Native, Content::Redacted);
        assert_eq!(
            whole(1_000, &native),
            serde_json::json!({"s": 1000, "op": 0, "t": "MESSAGE_CREATE", "c": "2", "ev": 7, "d": {"content": ""}})
        );
    }

    #[test]
    fn head_announces_the_exact_length_at_every_digit_count() {
        let tail = Tail {
            bytes: tail("X", "", b"{}"),
            ephemeral: false,
            subject: None,
        };
        for s in [0, 1, 9, 10, 99, 100, 12_345_678_901, u64::MAX] {
            assert_eq!(whole(s, &tail)["s"], serde_json::json!(s));
        }
    }
}
