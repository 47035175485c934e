//! What can go wrong here, and what the public reads about it.

use std::time::Duration;

use kernel::failure::{INTERNAL, INVALID_REQUEST, UNAVAILABLE};
use kernel::{ErrorKind, ErrorRow, Failure, FieldError};

/// How soon a request that found a full queue or a slow database may come again.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why an operation of this context failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The channel does not exist, or the caller may not know it.
    #[error("use an unknown channel")]
    UnknownChannel,
    /// The message does not exist any more, or never did.
    #[error("use an unknown message")]
    UnknownMessage,
    /// The user does not exist.
    #[error("use an unknown user")]
    UnknownUser,
    /// A member who may not see the channel.
    #[error("use a channel without the right to view it")]
    MissingAccess,
    /// The caller sees the channel but lacks another right.
    #[error("act without the permission in the channel")]
    MissingPermission,
    /// Only the author may do this.
    #[error("edit a message of somebody else")]
    NotAuthor,
    /// Nothing would be shown.
    #[error("send an empty message")]
    EmptyMessage,
    /// The consent rule forbids it.
    #[error("open direct messages with somebody the caller shares nothing with")]
    CannotMessageUser,
    /// Direct messages with oneself.
    #[error("open direct messages with oneself")]
    InvalidRecipient,
    /// The channel holds no messages, as a category.
    #[error("use messages in a channel that holds none")]
    WrongChannelKind,
    /// The slow mode of the channel runs.
    #[error("send before the slow mode has run out")]
    SlowMode(Duration),
    /// Fields that break their rules.
    #[error("accept a message with {} invalid fields", .0.len())]
    Invalid(Vec<FieldError>),
    /// Files cannot be sent yet.
    #[error("accept an upload")]
    UploadsComeLater,
    /// The writers' queue is full, the breaker is open, or the database was away for a batch.
    #[error("store a message while the writers cannot keep up")]
    Overloaded,
    /// The database refused this one message.
    #[error("store a message that the database refuses")]
    Refused,
    /// The database failed.
    #[error("use the database")]
    Database(#[from] db::Error),
    /// Another context failed.
    #[error("ask another context")]
    Asked(#[from] Failure),
    /// No ids can be made.
    #[error("make an id")]
    Id(#[from] kernel::IdError),
    /// A stored message cannot be read, or a new one not be written, as JSON.
    #[error("convert a message to or from JSON")]
    Json(#[from] serde_json::Error),
}

/// The channel is unknown.
pub const UNKNOWN_CHANNEL: ErrorRow = ErrorRow {
    code: "UNKNOWN_CHANNEL",
    kind: ErrorKind::NotFound,
    dialect: 10003,
    en: "Unknown Channel",
    tr: "Bilinmeyen kanal",
};
/// The message is unknown.
pub const UNKNOWN_MESSAGE: ErrorRow = ErrorRow {
    code: "UNKNOWN_MESSAGE",
    kind: ErrorKind::NotFound,
    dialect: 10008,
    en: "Unknown Message",
    tr: "Bilinmeyen mesaj",
};
/// The recipient is unknown.
pub const UNKNOWN_RECIPIENT: ErrorRow = ErrorRow {
    code: "UNKNOWN_RECIPIENT",
    kind: ErrorKind::NotFound,
    dialect: 10013,
    en: "Unknown User",
    tr: "Bilinmeyen kullanıcı",
};
/// The channel may not be seen: 404 as for all that one may not know, with the dialect's number.
pub const MISSING_ACCESS: ErrorRow = ErrorRow {
    code: "MISSING_ACCESS",
    kind: ErrorKind::NotFound,
    dialect: 50001,
    en: "Missing Access",
    tr: "Erişim yok",
};
/// A right in the channel is missing.
pub const MISSING_PERMISSIONS: ErrorRow = ErrorRow {
    code: "MISSING_PERMISSIONS",
    kind: ErrorKind::Forbidden,
    dialect: 50013,
    en: "You lack permissions to perform that action",
    tr: "Bu işlem için yetkiniz yok",
};
/// The message is somebody else's.
pub const NOT_MESSAGE_AUTHOR: ErrorRow = ErrorRow {
    code: "NOT_MESSAGE_AUTHOR",
    kind: ErrorKind::Forbidden,
    dialect: 50005,
    en: "Cannot edit a message authored by another user",
    tr: "Başkasının yazdığı mesaj düzenlenemez",
};
/// Nothing would be shown.
pub const EMPTY_MESSAGE: ErrorRow = ErrorRow {
    code: "EMPTY_MESSAGE",
    kind: ErrorKind::Invalid,
    dialect: 50006,
    en: "Cannot send an empty message",
    tr: "Boş mesaj gönderilemez",
};
/// The consent rule forbids direct messages.
pub const CANNOT_MESSAGE_USER: ErrorRow = ErrorRow {
    code: "CANNOT_MESSAGE_USER",
    kind: ErrorKind::Forbidden,
    dialect: 50007,
    en: "Cannot send messages to this user; you share no community",
    tr: "Bu kullanıcıya mesaj gönderilemez; ortak bir topluluğunuz yok",
};
/// Oneself is no recipient.
pub const INVALID_RECIPIENT: ErrorRow = ErrorRow {
    code: "INVALID_RECIPIENT",
    kind: ErrorKind::Invalid,
    dialect: 50033,
    en: "Invalid Recipient(s): you cannot open direct messages with yourself",
    tr: "Geçersiz alıcı: kendinizle mesajlaşma açamazsınız",
};
/// The channel holds no messages.
pub const WRONG_CHANNEL_KIND: ErrorRow = ErrorRow {
    code: "WRONG_CHANNEL_KIND",
    kind: ErrorKind::Invalid,
    dialect: 50024,
    en: "Cannot execute action on this channel type",
    tr: "Bu işlem bu kanal türünde yapılamaz",
};
/// The slow mode runs.
pub const SLOW_MODE: ErrorRow = ErrorRow {
    code: "SLOW_MODE",
    kind: ErrorKind::RateLimited,
    dialect: 20016,
    en: "This action cannot be performed due to slowmode rate limit; wait for the time in Retry-After",
    tr: "Yavaş mod nedeniyle şimdi yapılamaz; Retry-After süresi kadar bekleyin",
};
/// Files come later.
pub const UPLOADS_COME_LATER: ErrorRow = ErrorRow {
    code: "UPLOADS_COME_LATER",
    kind: ErrorKind::UnsupportedType,
    dialect: 50035,
    en: "files cannot be sent yet; uploads come later, send application/json without attachments",
    tr: "henüz dosya gönderilemiyor; yüklemeler sonra gelecek, eksiz application/json gönderin",
};

/// The rows of this crate.
pub const ERRORS: &[&ErrorRow] = &[
    &UNKNOWN_CHANNEL,
    &UNKNOWN_MESSAGE,
    &UNKNOWN_RECIPIENT,
    &MISSING_ACCESS,
    &MISSING_PERMISSIONS,
    &NOT_MESSAGE_AUTHOR,
    &EMPTY_MESSAGE,
    &CANNOT_MESSAGE_USER,
    &INVALID_RECIPIENT,
    &WRONG_CHANNEL_KIND,
    &SLOW_MODE,
    &UPLOADS_COME_LATER,
];

impl Error {
    fn row(&self) -> &'static ErrorRow {
        match self {
            Error::UnknownChannel => &UNKNOWN_CHANNEL,
            Error::UnknownMessage => &UNKNOWN_MESSAGE,
            Error::UnknownUser => &UNKNOWN_RECIPIENT,
            Error::MissingAccess => &MISSING_ACCESS,
            Error::MissingPermission => &MISSING_PERMISSIONS,
            Error::NotAuthor => &NOT_MESSAGE_AUTHOR,
            Error::EmptyMessage => &EMPTY_MESSAGE,
            Error::CannotMessageUser => &CANNOT_MESSAGE_USER,
            Error::InvalidRecipient => &INVALID_RECIPIENT,
            Error::WrongChannelKind => &WRONG_CHANNEL_KIND,
            Error::SlowMode(_) => &SLOW_MODE,
            Error::Invalid(_) => &INVALID_REQUEST,
            Error::UploadsComeLater => &UPLOADS_COME_LATER,
            Error::Overloaded => &UNAVAILABLE,
            Error::Refused
            | Error::Database(_)
            | Error::Asked(_)
            | Error::Id(_)
            | Error::Json(_) => &INTERNAL,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Database(cause) => cause.into(),
            Error::Asked(failure) => failure,
            Error::Id(cause) => cause.into(),
            Error::SlowMode(wait) => SLOW_MODE.fail().retry_after(wait),
            Error::Invalid(fields) => INVALID_REQUEST.fail().fields(fields),
            Error::Overloaded => UNAVAILABLE
                .fail()
                .retry_after(BUSY_RETRY_AFTER)
                .because(error),
            Error::Refused | Error::Json(_) => INTERNAL.fail().because(error),
            other => other.row().fail(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_numbers_are_unique_and_every_text_is_there_twice() {
        for (at, row) in ERRORS.iter().enumerate() {
            assert!(
                !row.en.is_empty() && !row.tr.is_empty() && row.en != row.tr,
                "{}",
                row.code
            );
            for other in ERRORS.iter().skip(at + 1) {
                assert_ne!(row.code, other.code);
            }
        }
    }

    #[test]
    fn a_full_queue_asks_to_come_back_in_a_second() {
        let failure = Failure::from(Error::Overloaded);
        assert_eq!(failure.row.code, "UNAVAILABLE");
        assert_eq!(failure.retry_after, Some(Duration::from_secs(1)));
    }

    #[test]
    fn slow_mode_carries_its_wait_and_fields_their_pointers() {
        let wait = Duration::from_millis(4_200);
        assert_eq!(Failure::from(Error::SlowMode(wait)).retry_after, Some(wait));
        let field = FieldError::new("/content", "TOO_LONG", "too long");
        assert_eq!(
            Failure::from(Error::Invalid(vec![field.clone()])).fields,
            vec![field]
        );
    }
}
