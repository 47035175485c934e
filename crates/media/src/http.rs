//! The routes: uploads under `/v1`, and files at paths of their own, which may have a host of their
//! own.

mod files;
mod ranges;
mod uploads;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use kernel::Rule;
use web_kit::{Doc, Routes, Table};

use crate::Media;
use crate::error::{
    MEDIA_BROKEN, MEDIA_CHECKSUM_WRONG, MEDIA_NOT_CLAIMABLE, MEDIA_NOT_READY, MEDIA_QUOTA,
    MEDIA_STORE_FULL, MEDIA_TOO_LARGE, MEDIA_TOO_MANY_PIXELS, MEDIA_TYPE_NOT_ALLOWED,
    MEDIA_TYPE_WRONG, MEDIA_UNKNOWN, UPLOAD_BROKEN, UPLOAD_BUSY, UPLOAD_OFFSET_WRONG,
    UPLOAD_PART_TYPE, UPLOAD_PROTOCOL, UPLOAD_UNKNOWN, UPLOADS_OPEN_MAX,
};
use crate::uploads::Upload;

const CREATE: Rule = Rule::new("upload_create", 60, Duration::from_secs(60));
/// Files of a page full of them, for everybody behind one address.
const FETCH: Rule = Rule::new("file_fetch", 2_000, Duration::from_secs(60));

type App = State<Arc<Media>>;
type Build = Routes<Arc<Media>>;

/// The table of routes.
pub fn table(this: Arc<Media>) -> Table {
    let max_part = usize::try_from(this.settings.max_file_bytes).unwrap_or(usize::MAX);
    let routes = Table::new("media", this);
    let routes = upload_routes(routes, max_part);
    file_routes(routes).build()
}

fn upload_routes(routes: Build, max_part: usize) -> Build {
    use uploads as at;
    routes
        .post(
            "/v1/uploads",
            at::create,
            Doc::new("Open an upload that can go on where it stopped")
                .describe(
                    "The tus protocol, version 1.0.0, with its extensions creation, expiration and \
                     termination. `Upload-Length` tells the size; `Upload-Metadata` may hold \
                     `filename`, `filetype` and `sha256` (64 hexadecimal digits, which the whole \
                     is checked against). `Location` names the upload.",
                )
                .limit(CREATE)
                .max_body(0)
                .returns::<Upload>(201)
                .errors(&[
                    &UPLOAD_PROTOCOL,
                    &MEDIA_TOO_LARGE,
                    &MEDIA_QUOTA,
                    &UPLOADS_OPEN_MAX,
                    &MEDIA_STORE_FULL,
                ]),
        )
        .get(
            "/v1/uploads/{media_id}",
            at::find,
            Doc::new("Tell how far an upload is")
                .describe("HEAD tells the same in `Upload-Offset` and `Upload-Length`.")
                .returns::<Upload>(200)
                .errors(&[&UPLOAD_UNKNOWN]),
        )
        .patch("/v1/uploads/{media_id}", at::append, append_doc(max_part))
        .delete(
            "/v1/uploads/{media_id}",
            at::end,
            Doc::new("End an upload, or forget a file that nothing uses")
                .returns_nothing(204)
                .errors(&[&UPLOAD_PROTOCOL, &UPLOAD_UNKNOWN, &MEDIA_NOT_CLAIMABLE]),
        )
}

fn append_doc(max_part: usize) -> Doc {
    Doc::new("Send the next part of an upload")
        .describe(
            "The body is `application/offset+octet-stream` and begins at `Upload-Offset`. What \
             arrived before a line broke is kept; HEAD tells how much. After the last byte the \
             file is judged by its content.",
        )
        .max_body(max_part)
        .returns_nothing(204)
        .errors(&[
            &UPLOAD_PROTOCOL,
            &UPLOAD_PART_TYPE,
            &UPLOAD_UNKNOWN,
            &UPLOAD_BUSY,
            &UPLOAD_OFFSET_WRONG,
            &UPLOAD_BROKEN,
            &MEDIA_TOO_LARGE,
            &MEDIA_TYPE_WRONG,
            &MEDIA_TYPE_NOT_ALLOWED,
            &MEDIA_BROKEN,
            &MEDIA_TOO_MANY_PIXELS,
            &MEDIA_CHECKSUM_WRONG,
            &MEDIA_QUOTA,
            &MEDIA_NOT_READY,
            &MEDIA_STORE_FULL,
        ])
}

fn file_routes(routes: Build) -> Build {
    use files as at;
    let open = |summary| {
        Doc::new(summary)
            .policy(web_kit::Policy::Public)
            .limit(FETCH)
            .returns_nothing(200)
            .errors(&[&MEDIA_UNKNOWN, &MEDIA_NOT_READY])
    };
    routes
        .get(
            "/attachments/{channel_id}/{media_id}/{file_name}",
            at::attachment,
            open("Fetch a file of a message")
                .describe(
                    "The address stands in the message, is signed, and good for a while. Ranges \
                     and `If-None-Match` work as in RFC 9110. Images, sound and films may be shown \
                     in place; everything else is only saved.",
                )
                .query::<at::AttachmentQuery>(),
        )
        .get(
            "/avatars/{user_id}/{file}",
            at::avatar,
            open("Fetch the picture of an account")
                .describe("`{hash}.png`, `.webp` or `.jpg`; of 128 or 512 pixels.")
                .query::<at::PictureQuery>(),
        )
        .get(
            "/icons/{guild_id}/{file}",
            at::icon,
            open("Fetch the picture of a community")
                .describe("`{hash}.png`, `.webp` or `.jpg`; of 128 or 512 pixels.")
                .query::<at::PictureQuery>(),
        )
}
