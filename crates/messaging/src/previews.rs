//! Link previews: what the pages say of themselves that a message links to.
//!
//! The links are written down with the message; a job looks at them through the client that calls
//! public addresses alone, follows a few redirects itself, each judged anew, and adds what it found
//! by an ordinary change of the message. A page that does not answer shows nothing and is not asked
//! again.

mod links;
mod page;

use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use infra::outbound::{Answer, Call, Outbound, OutboundError, Url};
use kernel::{MessageId, UserId};
use serde_json::Value;

use crate::Messaging;
use crate::change::{Change, Desk, Tries};
use crate::error::Error;
use crate::model::{Body, NO_EMBEDS};
use crate::sql::{self, LinksRow, MessageRow};
use crate::writer::Alter;

pub(crate) use links::find;

/// Messages of one run of the job, those looked at at once, and how long they are its own.
const RUN: i64 = 64;
const AT_ONCE: usize = 8;
const CLAIMED_FOR: Duration = Duration::from_secs(60);
/// How often a message is taken up whose node died.
const MAX_TRIES: i16 = 3;
/// Redirects that are followed.
const MAX_REDIRECTS: usize = 3;
/// The longest that a link may take, redirects and all.
const LINK_LIMIT: Duration = Duration::from_secs(10);

/// Adds what pages say to a message.
struct Preview {
    message: MessageId,
    author: UserId,
    expected_ev: i64,
    body: Option<String>,
}

#[async_trait]
impl Change for Preview {
    async fn make(&self, desk: &mut Desk<'_>) -> Result<(), Error> {
        let (at, ev) = ((desk.planned.channel, self.message), desk.next_ev());
        let body = self.body.as_deref();
        if sql::put_body(desk.tx, at, self.expected_ev, ev, body).await? == 0 {
            return Err(Error::Stale);
        }
        desk.updated(self.message, self.author)
    }
}

impl Messaging {
    /// The links of a text that are to be looked at.
    pub(crate) fn links_of(&self, content: &str, flags: i32) -> Vec<String> {
        if self.settings.previews.is_none() || flags & NO_EMBEDS != 0 {
            return Vec::new();
        }
        find(content)
    }

    /// Looks at links that are waiting.
    pub async fn preview_links(&self) -> Result<String, Error> {
        let Some(outbound) = &self.settings.previews else {
            return Ok("off".to_owned());
        };
        let now = self.clock.now();
        let until = now.checked_add(CLAIMED_FOR).unwrap_or(now);
        let due = sql::claim_links(&self.db, now, until, RUN).await?;
        let looked_at = due.len();
        let results: Vec<Result<(), Error>> = futures::stream::iter(due)
            .map(|row| self.preview_one(outbound, row))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        results.into_iter().collect::<Result<(), Error>>()?;
        Ok(format!("looked at the links of {looked_at} messages"))
    }

    async fn preview_one(&self, outbound: &Outbound, row: LinksRow) -> Result<(), Error> {
        if row.tries <= MAX_TRIES {
            let mut found = Vec::new();
            for link in &row.links {
                found.extend(self.look_at(outbound, link).await);
            }
            if !found.is_empty() {
                match self.add_previews(&row, &found).await {
                    // Nobody looks at it any more.
                    Ok(()) | Err(Error::UnknownMessage | Error::UnknownChannel) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        sql::delete_links(&self.db, row.channel_id, row.message_id, &row.links).await?;
        Ok(())
    }

    /// Adds what was found for the links that the message still has.
    async fn add_previews(&self, row: &LinksRow, found: &[Value]) -> Result<(), Error> {
        let place = self.unattended(row.channel_id).await?;
        let mut tries = Tries::default();
        loop {
            let message = self.row(row.channel_id, row.message_id).await?;
            let Some((message, change)) = with_previews(message, found)? else {
                return Ok(());
            };
            let author = message.author_id;
            let Alter {
                planned, audience, ..
            } = self.plan(author, &place, change)?;
            let shown = self.show_one(author, place.channel, place.community(), message);
            let mut alter = Alter {
                planned,
                audience,
                shows: vec![shown.await?],
            };
            alter.audience.member = None;
            if let Some(done) = tries.settle(self.writers.alter(alter).await) {
                return done.map(drop);
            }
        }
    }

    /// What a page says; asked once in a while, however many messages link to it.
    async fn look_at(&self, outbound: &Outbound, link: &str) -> Option<Value> {
        if let Some(known) = self.pages.get(link) {
            return known;
        }
        let asked = tokio::time::timeout(LINK_LIMIT, fetch(outbound, link));
        let (result, embed) = match asked.await {
            Ok(Ok(Some(embed))) => ("shown", Some(embed)),
            Ok(Ok(None)) => ("nothing", None),
            Ok(Err(OutboundError::Refused | OutboundError::Malformed)) => ("refused", None),
            Ok(Err(_)) | Err(_) => ("failed", None),
        };
        metrics::counter!("meydan_messaging_previews_total", "result" => result).increment(1);
        self.pages.insert(link.to_owned(), embed.clone());
        embed
    }
}

/// The message with previews that are new to it, and the change that makes it so.
fn with_previews(
    mut row: MessageRow,
    found: &[Value],
) -> Result<Option<(MessageRow, Preview)>, Error> {
    if row.flags & NO_EMBEDS != 0 {
        return Ok(None);
    }
    let links = find(row.content.as_deref().unwrap_or_default());
    let mut body = Body::read(row.body.take())?;
    let before = body.previews.len();
    for embed in found {
        let is_linked = links.iter().any(|link| embed["url"] == **link);
        if is_linked && !body.previews.iter().any(|one| one["url"] == embed["url"]) {
            body.previews.push(embed.clone());
        }
    }
    if body.previews.len() == before {
        return Ok(None);
    }
    let change = Preview {
        message: row.id,
        author: row.author_id,
        expected_ev: row.ev,
        body: body.stored()?,
    };
    row.body = Some(serde_json::to_value(&body)?);
    Ok(Some((row, change)))
}

/// Asks for a page and what it says of itself. Each redirect is a call of its own, so that every
/// address is judged.
async fn fetch(outbound: &Outbound, link: &str) -> Result<Option<Value>, OutboundError> {
    let mut address: Url = link.parse().or(Err(OutboundError::Malformed))?;
    for _ in 0..=MAX_REDIRECTS {
        let call = Call::get(address.as_str());
        let call = call.header("accept", "text/html,application/xhtml+xml".to_owned());
        let answer = outbound.send(call.beginning()).await?;
        match (answer.status, &answer.location) {
            (200, _) if is_page(&answer) => return Ok(page::read(link, &address, &answer.body)),
            (301 | 302 | 303 | 307 | 308, Some(next)) => {
                address = address.join(next).or(Err(OutboundError::Malformed))?;
            }
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// Whether it is a page in a form that is read here.
fn is_page(answer: &Answer) -> bool {
    let kind = answer.content_type.as_deref().unwrap_or_default();
    let kind = kind.to_ascii_lowercase();
    let (kind, rest) = kind.split_once(';').unwrap_or((&kind, ""));
    let charset = rest
        .split(';')
        .find_map(|part| part.trim().strip_prefix("charset="));
    let charset = charset.map(|name| name.trim_matches('"'));
    matches!(kind.trim(), "text/html" | "application/xhtml+xml")
        && matches!(charset, None | Some("utf-8" | "utf8" | "us-ascii"))
}
