//! What others ask of media: files that people upload, and what is shown of them.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use kernel::{ChannelId, CommunityId, Failure, MediaId, MessageId, UserId};
use serde::{Deserialize, Serialize};

/// Most files that are asked for at a time.
pub const MAX_ASKED: usize = 1_000;

/// The content of a file, piece by piece.
pub type Content = BoxStream<'static, io::Result<Bytes>>;

/// What is said of a file before its content comes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewFile {
    /// As its owner calls it; made harmless before it is kept.
    pub name: String,
    /// What its owner says it is. What it is, its content tells.
    pub content_type: Option<String>,
}

/// Where a file is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// In a message.
    Message {
        /// The community of the channel, if it has one.
        community: Option<CommunityId>,
        /// The message's channel.
        channel: ChannelId,
        /// The message.
        message: MessageId,
    },
    /// As the picture of an account.
    Avatar(UserId),
    /// As the picture of a community.
    Icon(CommunityId),
}

/// Where the picture of somebody or something comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PictureSource {
    /// The image itself.
    Image(Bytes),
    /// One that was uploaded before.
    Media(MediaId),
}

/// A picture that was put in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file.
    pub media: MediaId,
    /// What stands in addresses: `/avatars/{user}/{hash}.png`.
    pub hash: String,
    /// Where it is fetched, as PNG.
    pub url: String,
}

/// A file of a message, in the dialect's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Attachment {
    /// The file.
    pub id: MediaId,
    /// What it is called.
    pub filename: String,
    /// What it shows, in words of its sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it is.
    pub content_type: String,
    /// How large it is, in bytes.
    pub size: i64,
    /// Where it can be fetched, for a day at least.
    pub url: String,
    /// The same.
    pub proxy_url: String,
    /// Where a small picture of it can be fetched, for images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail_url: Option<String>,
    /// Width in pixels, for images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<i32>,
    /// Height in pixels, for images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<i32>,
    /// What to show until the image has come: a ThumbHash, as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<String>,
    /// The form of the placeholder: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placeholder_version: Option<u8>,
}

/// What becomes of files that were claimed for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The message is there, and they stay with it.
    Kept,
    /// There is no such message: they go.
    Released,
}

/// Files, as other contexts need them.
///
/// A file belongs to whoever uploaded it. One that nobody claims within a day goes; so does one
/// that was claimed and not settled within a day.
#[async_trait]
pub trait Media: Send + Sync + 'static {
    /// Takes a file in that comes in one go.
    async fn receive(
        &self,
        owner: UserId,
        file: NewFile,
        content: Content,
    ) -> Result<MediaId, Failure>;

    /// Claims files of `owner` for a message, all or none. Claiming them again for the same is no
    /// error; somebody else's, those of another place and unknown ones are one.
    async fn claim(&self, owner: UserId, ids: &[MediaId], place: Place) -> Result<(), Failure>;

    /// Says what became of what was claimed for a place. To settle it again is no error.
    async fn settle(&self, place: Place, outcome: Outcome) -> Result<(), Failure>;

    /// Messages for which files were claimed a while ago and not settled; at most 500.
    async fn unsettled(&self) -> Result<Vec<Place>, Failure>;

    /// The attachment objects of files that are claimed for messages; unknown ones are left out,
    /// order is not kept. At most [`MAX_ASKED`].
    async fn describe(&self, ids: &[MediaId]) -> Result<Vec<Attachment>, Failure>;

    /// Lets files go that nobody needs any more.
    async fn release(&self, ids: &[MediaId]) -> Result<(), Failure>;

    /// Makes an image of `owner` the picture of a place. It is shown there as soon as the caller
    /// stores its hash; [`Media::keep_picture`] then lets the one before go.
    async fn put_picture(
        &self,
        owner: UserId,
        place: Place,
        source: PictureSource,
    ) -> Result<Picture, Failure>;

    /// Keeps one picture of a place, or none, and lets go those that were put there before it.
    async fn keep_picture(&self, place: Place, kept: Option<MediaId>) -> Result<(), Failure>;
}
