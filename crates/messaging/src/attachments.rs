//! Files of messages. media keeps them; a message stores their ids and what its sender says of
//! them, and asks for the rest when it is shown.
//!
//! Files are claimed for a message before it is stored and settled after it. What a killed process
//! leaves between the two is settled by a job, so no file is lost to a message and none stays
//! without one. Files of a deleted message go by its event, those an edit removes by theirs.

use std::collections::HashMap;

use contracts::media::{Attachment, MAX_ASKED, Outcome, Place as Shown};
use contracts::messaging::Message;
use kernel::perm::Chat;
use kernel::{AnyId, Caller, ChannelId, EventId, FieldError, MediaId};
use serde::{Deserialize, Serialize};

use crate::Messaging;
use crate::error::Error;
use crate::model::{Body, Edit, NewMessage};
use crate::places::Place;
use crate::writer::Append;

/// Most files of a message.
pub(crate) const MAX_FILES: usize = 10;
/// Most characters of what a sender says of a file.
const MAX_DESCRIPTION_CHARS: usize = 1_024;

/// A file of a message, as it is sent.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
pub struct SentAttachment {
    /// The number `n` of the part `files[n]`; in an edit the file that stays.
    pub id: Option<AnyId>,
    /// A file that was uploaded before.
    pub media_id: Option<MediaId>,
    /// What it shows, in words: at most 1,024 characters.
    pub description: Option<String>,
}

/// A file that came with the request, as the part `files[n]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uploaded {
    pub(crate) n: i64,
    pub(crate) media: MediaId,
}

/// A file of a message, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SentFile {
    pub(crate) id: MediaId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
}

/// The files that are shown in some messages.
#[derive(Default)]
pub(crate) struct Files(HashMap<MediaId, Attachment>);

impl Files {
    /// The objects of a message's files; those that are gone are left out.
    pub(crate) fn of(&self, sent: &[SentFile]) -> Vec<Attachment> {
        let shown = sent.iter().filter_map(|file| {
            let mut attachment = self.0.get(&file.id)?.clone();
            attachment.description = file.description.clone();
            Some(attachment)
        });
        shown.collect()
    }
}

/// Checks the files of a message: those that are named, then those that came without being named.
pub(crate) fn check_sent(
    named: Vec<SentAttachment>,
    uploaded: &[Uploaded],
    errors: &mut Vec<FieldError>,
) -> Vec<SentFile> {
    let mut files: Vec<SentFile> = Vec::new();
    for (at, one) in named.into_iter().enumerate() {
        let came = |n: AnyId| uploaded.iter().find(|file| file.n == n.get());
        let by_number = || one.id.and_then(came).map(|file| file.media);
        let Some(id) = one.media_id.or_else(by_number) else {
            let detail = "name a part files[n] by its n, or an upload by its media_id";
            errors.push(at_file(at, "ATTACHMENT_NOT_FOUND", detail));
            continue;
        };
        if files.iter().any(|file| file.id == id) {
            errors.push(at_file(at, "ATTACHMENT_TWICE", "each file once"));
            continue;
        }
        let description = check_description(one.description, at, errors);
        files.push(SentFile { id, description });
    }
    for file in uploaded {
        if files.iter().all(|known| known.id != file.media) {
            files.push(SentFile {
                id: file.media,
                description: None,
            });
        }
    }
    check_count(files.len(), errors);
    files
}

/// Checks the files that stay after an edit.
pub(crate) fn check_kept(
    named: Vec<SentAttachment>,
    errors: &mut Vec<FieldError>,
) -> Vec<SentFile> {
    check_count(named.len(), errors);
    let mut files = Vec::new();
    for (at, one) in named.into_iter().enumerate() {
        match one.id {
            Some(id) => files.push(SentFile {
                id: id.cast(),
                description: check_description(one.description, at, errors),
            }),
            None => errors.push(at_file(at, "REQUIRED", "the id of a file that stays")),
        }
    }
    files
}

fn check_count(count: usize, errors: &mut Vec<FieldError>) {
    if count > MAX_FILES {
        let detail = "Must be 10 or fewer in length.";
        errors.push(FieldError::new(
            "/attachments",
            "BASE_TYPE_MAX_LENGTH",
            detail,
        ));
    }
}

fn check_description(
    description: Option<String>,
    at: usize,
    errors: &mut Vec<FieldError>,
) -> Option<String> {
    let description = description.filter(|text| !text.is_empty())?;
    let is_long = description.chars().count() > MAX_DESCRIPTION_CHARS;
    if is_long || description.contains('\0') {
        let detail = "at most 1024 characters, no NUL";
        errors.push(at_file(at, "INVALID_DESCRIPTION", detail));
        return None;
    }
    Some(description)
}

fn at_file(at: usize, code: &'static str, detail: &str) -> FieldError {
    FieldError::new(format!("/attachments/{at}"), code, detail)
}

/// What is left of a message's files after an edit, and what goes; an error names what was not there.
pub(crate) fn keep(
    old: &[SentFile],
    kept: &[SentFile],
) -> Result<(Vec<SentFile>, Vec<MediaId>), Error> {
    let mut left: Vec<SentFile> = Vec::new();
    for (at, file) in kept.iter().enumerate() {
        let Some(before) = old.iter().find(|before| before.id == file.id) else {
            let detail = "no file of this message";
            let error = at_file(at, "ATTACHMENT_NOT_FOUND", detail);
            return Err(Error::Invalid(vec![error]));
        };
        let description = file.description.clone();
        left.push(SentFile {
            id: before.id,
            description: description.or_else(|| before.description.clone()),
        });
    }
    let goes = |file: &&SentFile| left.iter().all(|kept| kept.id != file.id);
    let gone = old.iter().filter(goes).map(|file| file.id).collect();
    Ok((left, gone))
}

impl Messaging {
    /// Whether the caller may send files here; asked before the first of them is taken in.
    pub(crate) async fn may_attach(
        &self,
        caller: &Caller,
        channel: ChannelId,
    ) -> Result<(), Error> {
        let place = self.enter(caller, channel).await?;
        place.needs(Chat::SEND_MESSAGES)?;
        place.needs(Chat::ATTACH_FILES)?;
        self.may_write_in(caller.user, &place).await
    }

    /// Leaves in a message the files that an edit keeps; those that go, with the event that tells so.
    pub(crate) fn files_gone(
        &self,
        body: &mut Body,
        edit: &Edit,
    ) -> Result<Option<(EventId, Vec<MediaId>)>, Error> {
        let Some(kept) = &edit.files else {
            return Ok(None);
        };
        let (left, gone) = keep(&body.files, kept)?;
        body.files = left;
        if gone.is_empty() {
            return Ok(None);
        }
        Ok(Some((self.ids.next()?, gone)))
    }

    /// Claims the files of a message that is about to be stored, and shows them in it.
    pub(crate) async fn claim_files(
        &self,
        place: &Place,
        new: &NewMessage,
        append: &mut Append,
    ) -> Result<Option<Shown>, Error> {
        if new.files.is_empty() {
            return Ok(None);
        }
        place.needs(Chat::ATTACH_FILES)?;
        let shown = Shown::Message {
            community: place.community(),
            channel: place.channel,
            message: append.row.id,
        };
        let ids: Vec<MediaId> = new.files.iter().map(|file| file.id).collect();
        self.media.claim(append.row.author, &ids, shown).await?;
        let files = self.files(ids).await?;
        append.message.attachments = files.of(&new.files);
        Ok(Some(shown))
    }

    /// Tells media what became of claimed files. What cannot be told now, the job tells.
    pub(crate) async fn settle_files(&self, shown: Option<Shown>, outcome: Outcome) {
        let Some(shown) = shown else { return };
        if let Err(failure) = self.media.settle(shown, outcome).await {
            tracing::warn!(%failure, "files of a message are settled later");
        }
    }

    /// The files with these ids.
    pub(crate) async fn files(&self, ids: Vec<MediaId>) -> Result<Files, Error> {
        let mut files = HashMap::new();
        for step in ids.chunks(MAX_ASKED) {
            let shown = self.media.describe(step).await?;
            files.extend(shown.into_iter().map(|file| (file.id, file)));
        }
        Ok(Files(files))
    }

    /// Settles what was claimed a while ago: by whether its message is there.
    pub async fn settle_old_claims(&self) -> Result<String, Error> {
        let (mut kept, mut released) = (0_u32, 0_u32);
        for shown in self.media.unsettled().await? {
            let Shown::Message {
                channel, message, ..
            } = shown
            else {
                continue;
            };
            let outcome = match self.row(channel, message).await {
                Ok(_) => Outcome::Kept,
                Err(Error::UnknownMessage) => Outcome::Released,
                Err(error) => return Err(error),
            };
            self.media.settle(shown, outcome).await?;
            match outcome {
                Outcome::Kept => kept += 1,
                Outcome::Released => released += 1,
            }
        }
        Ok(format!(
            "kept files of {kept} messages, released {released}"
        ))
    }

    /// Lets files go that came with a request which led to no message of its own.
    pub(crate) async fn forget_uploaded(&self, uploaded: &[Uploaded]) {
        if uploaded.is_empty() {
            return;
        }
        let ids: Vec<MediaId> = uploaded.iter().map(|file| file.media).collect();
        if let Err(failure) = self.media.release(&ids).await {
            tracing::debug!(%failure, "files that nobody needs go after a day");
        }
    }
}

/// Shows a message's files in it.
pub(crate) fn show(message: &mut Message, sent: &[SentFile], files: &Files) {
    message.attachments = files.of(sent);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(id: Option<i64>, media: Option<i64>, description: &str) -> SentAttachment {
        SentAttachment {
            id: id.map(AnyId::new),
            media_id: media.map(MediaId::new),
            description: Some(description.to_owned()),
        }
    }

    fn ids(files: &[SentFile]) -> Vec<i64> {
        files.iter().map(|file| file.id.get()).collect()
    }

    fn came(count: i64) -> Vec<Uploaded> {
        let file = |n| Uploaded {
            n,
            media: MediaId::new(100 + n),
        };
        (0..count).map(file).collect()
    }

    #[test]
    fn files_stand_in_the_order_of_their_names_then_of_their_parts() {
        let mut errors = Vec::new();
        let list = vec![named(Some(2), None, "a"), named(None, Some(7), "")];
        let files = check_sent(list, &came(3), &mut errors);
        assert_eq!(ids(&files), [102, 7, 100, 101]);
        assert_eq!(files[0].description.as_deref(), Some("a"));
        assert_eq!(files[1].description, None);
        assert!(errors.is_empty());
    }

    #[test]
    fn what_breaks_a_rule_is_told() {
        let codes = |list: Vec<SentAttachment>, uploaded: i64| {
            let mut errors = Vec::new();
            check_sent(list, &came(uploaded), &mut errors);
            errors.iter().map(|error| error.code).collect::<Vec<_>>()
        };
        assert_eq!(
            codes(vec![named(Some(1), None, "")], 1),
            ["ATTACHMENT_NOT_FOUND"]
        );
        assert_eq!(
            codes(vec![named(None, None, "")], 0),
            ["ATTACHMENT_NOT_FOUND"]
        );
        let twice = vec![named(None, Some(7), ""), named(None, Some(7), "")];
        assert_eq!(codes(twice, 0), ["ATTACHMENT_TWICE"]);
        assert!(codes(Vec::new(), 10).is_empty());
        assert_eq!(codes(Vec::new(), 11), ["BASE_TYPE_MAX_LENGTH"]);
        assert!(codes(vec![named(None, Some(7), &"ş".repeat(1_024))], 0).is_empty());
        let long = codes(vec![named(None, Some(7), &"ş".repeat(1_025))], 0);
        assert_eq!(long, ["INVALID_DESCRIPTION"]);
        assert_eq!(
            codes(vec![named(None, Some(7), "\0")], 0),
            ["INVALID_DESCRIPTION"]
        );
    }

    #[test]
    fn an_edit_keeps_and_removes_but_adds_nothing() {
        let file = |id: i64, text: Option<&str>| SentFile {
            id: MediaId::new(id),
            description: text.map(str::to_owned),
        };
        let old = [file(1, Some("one")), file(2, None), file(3, None)];
        let (left, gone) = keep(&old, &[file(3, Some("three")), file(1, None)]).unwrap();
        assert_eq!(left, [file(3, Some("three")), file(1, Some("one"))]);
        assert_eq!(gone, [MediaId::new(2)]);
        assert!(keep(&old, &[file(4, None)]).is_err());
        assert_eq!(keep(&old, &[]).unwrap().1.len(), 3);
    }
}
