//! The body of a message that is sent: JSON, or a form with files as stock libraries send it.
//!
//! The JSON of a form may come after its files, so each file is streamed to media as it comes; what
//! then turns out to be refused is let go again.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use bytes::{Bytes, BytesMut};
use contracts::media::NewFile;
use futures::{StreamExt as _, TryStreamExt as _};
use http_body_util::Limited;
use kernel::{Caller, ChannelId, FieldError};
use multer::{Field, Multipart};
use web_kit::fail::{BODY_BROKEN, BODY_TOO_LARGE};
use web_kit::{Fail, Once};

use crate::Messaging;
use crate::attachments::{MAX_FILES, Uploaded};
use crate::error::Error;
use crate::messages::Delivery;
use crate::model::SendMessage;

/// A message's body, of a form as far as it has not been read.
pub(super) enum Sending {
    Json(Box<Once<SendMessage>>),
    Form(Box<Form>),
}

/// A form that has not been read.
pub(super) struct Form {
    parts: Parts,
    content: Multipart<'static>,
}

impl FromRequest<Arc<Messaging>> for Sending {
    type Rejection = Fail;

    async fn from_request(request: Request, app: &Arc<Messaging>) -> Result<Self, Fail> {
        let kind = request.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if let Ok(boundary) = multer::parse_boundary(kind) {
            let (parts, body) = request.into_parts();
            let content = Multipart::new(body.into_data_stream(), boundary);
            return Ok(Sending::Form(Box::new(Form { parts, content })));
        }
        // The route takes as much as a form may have; JSON has the bound of all JSON.
        let most = app.settings.max_json;
        let request = request.map(|body| Body::new(Limited::new(body, most)));
        let body = Once::from_request(request, app).await?;
        Ok(Sending::Json(Box::new(body)))
    }
}

impl Messaging {
    /// The message that is sent; its files are taken in.
    pub(super) async fn unpack(
        &self,
        caller: &Caller,
        channel: ChannelId,
        sending: Sending,
    ) -> Result<Once<SendMessage>, Fail> {
        let form = match sending {
            Sending::Json(body) => return Ok(*body),
            Sending::Form(form) => *form,
        };
        self.may_attach(caller, channel).await?;
        let mut uploaded = Vec::new();
        let taken = self.take(caller, form, &mut uploaded).await;
        match taken {
            Ok(mut body) => {
                body.body.uploaded = uploaded;
                Ok(body)
            }
            Err(fail) => {
                self.forget_uploaded(&uploaded).await;
                Err(fail)
            }
        }
    }

    /// Checks and sends it. Files that came with it go again when they are in no message of their
    /// own; those of a message that may be stored are left to media.
    pub(super) async fn send_unpacked(
        &self,
        caller: &Caller,
        channel: ChannelId,
        body: SendMessage,
        once: Option<kernel::Once>,
    ) -> Result<Delivery, Fail> {
        let uploaded = body.uploaded.clone();
        let new = match body.check(once.map(|once| once.key)) {
            Ok(new) => new,
            Err(error) => {
                self.forget_uploaded(&uploaded).await;
                return Err(error.into());
            }
        };
        let delivery = self.send_message(caller, channel, new).await?;
        if delivery.replayed {
            self.forget_uploaded(&uploaded).await;
        }
        Ok(delivery)
    }

    async fn take(
        &self,
        caller: &Caller,
        form: Form,
        uploaded: &mut Vec<Uploaded>,
    ) -> Result<Once<SendMessage>, Fail> {
        let Form {
            mut parts,
            mut content,
        } = form;
        let mut payload = Bytes::from_static(b"{}");
        while let Some(field) = content.next_field().await.map_err(broken)? {
            let name = field.name().unwrap_or_default().to_owned();
            if name == "payload_json" {
                payload = self.read_payload(field).await?;
            } else if let Some(n) = file_number(&name) {
                if uploaded.len() >= MAX_FILES {
                    let detail = "Must be 10 or fewer in length.";
                    let error = FieldError::new("/attachments", "BASE_TYPE_MAX_LENGTH", detail);
                    return Err(Error::Invalid(vec![error]).into());
                }
                let file = NewFile {
                    name: field.file_name().unwrap_or_default().to_owned(),
                    content_type: field.content_type().map(ToString::to_string),
                };
                let content = field.map_err(std::io::Error::other).boxed();
                let media = self.media.receive(caller.user, file, content).await?;
                uploaded.push(Uploaded { n, media });
            }
        }
        let json = HeaderValue::from_static("application/json");
        parts.headers.insert(CONTENT_TYPE, json);
        let request = Request::from_parts(parts, Body::from(payload));
        Once::from_request(request, &()).await
    }

    async fn read_payload(&self, mut field: Field<'static>) -> Result<Bytes, Fail> {
        let mut payload = BytesMut::new();
        while let Some(piece) = field.chunk().await.map_err(broken)? {
            if payload.len().saturating_add(piece.len()) > self.settings.max_json {
                return Err(BODY_TOO_LARGE.fail().into());
            }
            payload.extend_from_slice(&piece);
        }
        Ok(payload.freeze())
    }
}

fn broken(error: multer::Error) -> Fail {
    BODY_BROKEN.fail().because(error).into()
}

/// The number of a part with a file: `files[3]`, or `file` and `file3` as older libraries say.
fn file_number(name: &str) -> Option<i64> {
    let listed = name
        .strip_prefix("files[")
        .and_then(|rest| rest.strip_suffix(']'));
    let digits = match listed.or_else(|| name.strip_prefix("file")) {
        Some("") if listed.is_none() => return Some(0),
        digits => digits?,
    };
    let plain = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_with_files_are_known_by_their_names() {
        for (name, number) in [
            ("files[0]", Some(0)),
            ("files[12]", Some(12)),
            ("file", Some(0)),
            ("file3", Some(3)),
            ("files[]", None),
            ("files[x]", None),
            ("files[-1]", None),
            ("files[99999]", None),
            ("files", None),
            ("filename", None),
            ("content", None),
        ] {
            assert_eq!(file_number(name), number, "{name}");
        }
    }
}
