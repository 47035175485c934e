//! What can go wrong here, and what the public reads about it.

use std::time::Duration;

use kernel::failure::{INTERNAL, INVALID_REQUEST, UNAVAILABLE};
use kernel::{ErrorRow, Failure, FieldError};

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
    #[error("write to somebody who takes no messages from the caller")]
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
    /// What was given is no emoji, or none of a community here.
    #[error("react with an unknown emoji")]
    UnknownEmoji,
    /// The message has as many different emoji as it may have.
    #[error("add another emoji to a message that is full of them")]
    TooManyReactions,
    /// The channel has as many pins as it may have.
    #[error("pin another message in a channel that is full of pins")]
    TooManyPins,
    /// The system wrote it, or it shows what somebody else wrote.
    #[error("change or show a message that is not its author's own words")]
    SystemMessage,
    /// Fewer than two or more than a hundred messages.
    #[error("delete too few or too many messages at once")]
    WrongCount,
    /// One of the messages is older than fourteen days.
    #[error("delete an old message together with others")]
    TooOld,
    /// The message asks nothing.
    #[error("vote in a message without a poll")]
    NoPoll,
    /// The poll has ended.
    #[error("vote in a poll that has ended")]
    PollOver,
    /// What people voted on stays as it was.
    #[error("edit a message with a poll")]
    PollNotEdited,
    /// No message of the caller's waits or waited there under this id.
    #[error("use an unknown scheduled message")]
    UnknownScheduled,
    /// It is being sent, or was.
    #[error("change a scheduled message that does not wait any more")]
    NotWaiting,
    /// As many wait as may.
    #[error("schedule more messages than may wait")]
    TooManyScheduled,
    /// The writers' queue is full, the breaker is open, or the database was away for a batch.
    #[error("store a message while the writers cannot keep up")]
    Overloaded,
    /// The message changed after it was read, and what was to be written was worked out from it.
    #[error("write over a message that changed meanwhile")]
    Stale,
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

kernel::error_rows! {
    UNKNOWN_CHANNEL, NotFound, 10003,
        "Unknown Channel",
        "Bilinmeyen kanal";
    UNKNOWN_MESSAGE, NotFound, 10008,
        "Unknown Message",
        "Bilinmeyen mesaj";
    UNKNOWN_RECIPIENT, NotFound, 10013,
        "Unknown User",
        "Bilinmeyen kullanıcı";
    MISSING_ACCESS, NotFound, 50001,
        "Missing Access",
        "Erişim yok";
    MISSING_PERMISSIONS, Forbidden, 50013,
        "You lack permissions to perform that action",
        "Bu işlem için yetkiniz yok";
    NOT_MESSAGE_AUTHOR, Forbidden, 50005,
        "Cannot edit a message authored by another user",
        "Başkasının yazdığı mesaj düzenlenemez";
    EMPTY_MESSAGE, Invalid, 50006,
        "Cannot send an empty message",
        "Boş mesaj gönderilemez";
    CANNOT_MESSAGE_USER, Forbidden, 50007,
        "Cannot send messages to this user",
        "Bu kullanıcıya mesaj gönderilemez";
    INVALID_RECIPIENT, Invalid, 50033,
        "Invalid Recipient(s): you cannot open direct messages with yourself",
        "Geçersiz alıcı: kendinizle mesajlaşma açamazsınız";
    WRONG_CHANNEL_KIND, Invalid, 50024,
        "Cannot execute action on this channel type",
        "Bu işlem bu kanal türünde yapılamaz";
    SLOW_MODE, RateLimited, 20016,
        "This action cannot be performed due to slowmode rate limit; wait for the time in Retry-After",
        "Yavaş mod nedeniyle şimdi yapılamaz; Retry-After süresi kadar bekleyin";
    UNKNOWN_EMOJI, Invalid, 10014,
        "Unknown Emoji",
        "Bilinmeyen emoji";
    TOO_MANY_REACTIONS, Invalid, 30010,
        "Maximum number of reactions reached (20)",
        "En fazla tepki sayısına ulaşıldı (20)";
    TOO_MANY_PINS, Invalid, 30003,
        "Maximum number of pins reached for the channel (250)",
        "Kanalda en fazla sabitleme sayısına ulaşıldı (250)";
    SYSTEM_MESSAGE, Invalid, 50021,
        "Cannot execute action on a system message",
        "Bu işlem bir sistem mesajında yapılamaz";
    WRONG_COUNT_TO_DELETE, Invalid, 50016,
        "Provided too few or too many messages to delete; must be 2 to 100",
        "Silinecek mesaj sayısı 2 ile 100 arasında olmalı";
    TOO_OLD_TO_DELETE, Invalid, 50034,
        "A message provided was too old to bulk delete (14 days)",
        "Toplu silinemeyecek kadar eski bir mesaj var (14 gün)";
    NO_POLL, Invalid, 520006,
        "This message has no poll",
        "Bu mesajda anket yok";
    POLL_OVER, Invalid, 520001,
        "Poll expired",
        "Anketin süresi doldu";
    POLL_NOT_EDITED, Invalid, 520003,
        "Cannot edit a poll message",
        "Anket mesajı düzenlenemez";
    UNKNOWN_SCHEDULED_MESSAGE, NotFound, 0,
        "Unknown scheduled message",
        "Bilinmeyen zamanlanmış mesaj";
    NOT_WAITING, Conflict, 0,
        "This message is being sent or does not wait any more",
        "Bu mesaj gönderiliyor ya da artık beklemiyor";
    TOO_MANY_SCHEDULED, Invalid, 0,
        "Maximum number of scheduled messages reached (100)",
        "En fazla zamanlanmış mesaj sayısına ulaşıldı (100)";
}

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
            Error::UnknownEmoji => &UNKNOWN_EMOJI,
            Error::TooManyReactions => &TOO_MANY_REACTIONS,
            Error::TooManyPins => &TOO_MANY_PINS,
            Error::SystemMessage => &SYSTEM_MESSAGE,
            Error::WrongCount => &WRONG_COUNT_TO_DELETE,
            Error::TooOld => &TOO_OLD_TO_DELETE,
            Error::NoPoll => &NO_POLL,
            Error::PollOver => &POLL_OVER,
            Error::PollNotEdited => &POLL_NOT_EDITED,
            Error::UnknownScheduled => &UNKNOWN_SCHEDULED_MESSAGE,
            Error::NotWaiting => &NOT_WAITING,
            Error::TooManyScheduled => &TOO_MANY_SCHEDULED,
            Error::Invalid(_) => &INVALID_REQUEST,
            Error::Overloaded | Error::Stale => &UNAVAILABLE,
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
            Error::Overloaded | Error::Stale => UNAVAILABLE
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
