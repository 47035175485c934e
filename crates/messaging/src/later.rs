//! What is to be done about a message later, written down with the message itself.

use db::Tx;
use jiff::Timestamp;
use kernel::{ChannelId, MessageId};

use crate::sql;

/// What is to be done about a message later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Later {
    /// When its poll ends.
    pub poll_ends_at: Option<Timestamp>,
    /// Links that are to be looked at.
    pub links: Vec<String>,
}

/// Writes it down for messages: each with the moment from which it is due.
pub(crate) async fn leave<'a>(
    tx: &Tx,
    messages: impl Iterator<Item = ((ChannelId, MessageId, Timestamp), &'a Later)>,
) -> db::Result<()> {
    let (mut polls, mut links) = (Vec::new(), Vec::new());
    for ((channel, message, at), later) in messages {
        polls.extend(later.poll_ends_at.map(|ends| (channel, message, ends)));
        if !later.links.is_empty() {
            let list = serde_json::Value::from(later.links.clone());
            links.push((channel, message, list.to_string(), at));
        }
    }
    if !polls.is_empty() {
        sql::insert_polls(tx, &polls).await?;
    }
    if !links.is_empty() {
        sql::insert_links(tx, &links).await?;
    }
    Ok(())
}
