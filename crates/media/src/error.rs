//! What can go wrong here, and what the public reads about it.

use std::time::Duration;

use infra::objects::ObjectError;
use kernel::failure::{INTERNAL, INVALID_REQUEST, UNAVAILABLE};
use kernel::{ErrorRow, Failure, FieldError};

/// Why an operation of this context failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such file, or not for whoever asks: never told apart.
    #[error("find a file")]
    UnknownMedia,
    /// No such upload, or somebody else's, or it has expired.
    #[error("find an upload")]
    UnknownUpload,
    /// The file is larger than files may be.
    #[error("take a file of more than {limit} bytes")]
    TooLarge {
        /// How large it may be.
        limit: u64,
    },
    /// The user's files are as much as one user may have.
    #[error("store more than {limit} bytes of one user")]
    Quota {
        /// How much one user may have.
        limit: u64,
    },
    /// The user has as many uploads open as one may have.
    #[error("open more than {0} uploads of one user")]
    TooManyUploads(i64),
    /// Somebody else is sending to the same upload.
    #[error("send to an upload to which something is being sent")]
    Busy,
    /// What is sent does not begin where the last part ended.
    #[error("send from {sent} to an upload that is at {at}")]
    WrongOffset {
        /// Where it is.
        at: i64,
        /// Where the part begins.
        sent: i64,
    },
    /// The content is not what its sender says it is.
    #[error("take a file that is not what it is said to be")]
    WrongType,
    /// Files of this kind are not taken.
    #[error("take a file of the kind {0}")]
    TypeNotAllowed(&'static str),
    /// An image that breaks the rules of its format.
    #[error("take an image that is broken")]
    BrokenImage(#[source] crate::pictures::Unusable),
    /// An image with too many pixels.
    #[error("take an image of {0} pixels")]
    TooManyPixels(u64),
    /// The content has another checksum than announced.
    #[error("take a file whose checksum is another one")]
    WrongChecksum,
    /// The file is claimed already, is not whole yet, or is not the caller's.
    #[error("claim a file that cannot be claimed")]
    NotClaimable,
    /// The protocol's version is another one.
    #[error("speak another version of the upload protocol")]
    WrongProtocol,
    /// The body of a part has another type.
    #[error("read a part that is not said to be one")]
    WrongPartType,
    /// The file is being worked at, or too many are.
    #[error("wait for work at files")]
    NotReady,
    /// The content broke off.
    #[error("read a file that is sent")]
    Broken(#[source] std::io::Error),
    /// Fields that break their rules.
    #[error("accept a request with {} invalid fields", .0.len())]
    Invalid(Vec<FieldError>),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// No identifier could be made.
    #[error(transparent)]
    Id(#[from] kernel::IdError),
    /// The object store failed.
    #[error(transparent)]
    Objects(ObjectError),
}

/// The result of an operation.
pub type Result<T> = std::result::Result<T, Error>;

kernel::error_rows! {
    MEDIA_UNKNOWN, NotFound, 10000,
        "no such file, or its address is not valid any more",
        "böyle bir dosya yok ya da adresi artık geçerli değil";
    UPLOAD_UNKNOWN, NotFound, 10000,
        "no such upload, or it has expired: begin anew",
        "böyle bir yükleme yok ya da süresi doldu: yeniden başlayın";
    MEDIA_TOO_LARGE, TooLarge, 40005,
        "the file is larger than files may be here",
        "dosya burada izin verilenden büyük";
    MEDIA_QUOTA, TooLarge, 40005,
        "your files take as much room as one account may have; delete some first",
        "dosyalarınız bir hesabın kullanabileceği yeri doldurdu; önce bazılarını silin";
    UPLOADS_OPEN_MAX, Invalid, 0,
        "too many uploads are open; finish or end one first",
        "çok fazla açık yükleme var; önce birini bitirin ya da sonlandırın";
    UPLOAD_BUSY, Conflict, 0,
        "something is being sent to this upload already; try again in a moment",
        "bu yüklemeye zaten bir şey gönderiliyor; birazdan yeniden deneyin";
    UPLOAD_OFFSET_WRONG, Conflict, 0,
        "the upload is at another place; ask where, and go on from there",
        "yükleme başka bir yerde; nerede olduğunu sorun ve oradan sürdürün";
    MEDIA_TYPE_WRONG, Invalid, 50046,
        "the file is not what it is said to be",
        "dosya, olduğu söylenen türde değil";
    MEDIA_TYPE_NOT_ALLOWED, Invalid, 50046,
        "files of this kind are not taken here",
        "bu türden dosyalar burada kabul edilmiyor";
    MEDIA_BROKEN, Invalid, 50046,
        "the image is broken and cannot be read",
        "görüntü bozuk ve okunamıyor";
    MEDIA_TOO_MANY_PIXELS, Invalid, 50046,
        "the image has more pixels than images may have here",
        "görüntünün burada izin verilenden fazla pikseli var";
    MEDIA_CHECKSUM_WRONG, Invalid, 0,
        "the file arrived with another checksum than announced; send it again",
        "dosya bildirilen sağlama toplamıyla uyuşmuyor; yeniden gönderin";
    MEDIA_NOT_CLAIMABLE, Invalid, 50046,
        "this file is not yours, not whole yet, or used elsewhere already",
        "bu dosya sizin değil, henüz tamamlanmadı ya da başka yerde kullanılıyor";
    UPLOAD_PROTOCOL, Stale, 0,
        "send `Tus-Resumable: 1.0.0`: no other version is spoken here",
        "`Tus-Resumable: 1.0.0` gönderin: burada başka sürüm konuşulmuyor";
    UPLOAD_PART_TYPE, UnsupportedType, 0,
        "send parts as application/offset+octet-stream",
        "parçaları application/offset+octet-stream olarak gönderin";
    MEDIA_NOT_READY, Unavailable, 0,
        "the file is still being worked at; try again in a moment",
        "dosya hâlâ işleniyor; birazdan yeniden deneyin";
    UPLOAD_BROKEN, Invalid, 0,
        "the file broke off; what has arrived is kept, go on from there",
        "dosya yarıda kesildi; ulaşan kısım saklandı, oradan sürdürün";
    MEDIA_STORE_FULL, StorageFull, 0,
        "there is no room for files left; try again later",
        "dosyalar için yer kalmadı; daha sonra yeniden deneyin";
}

impl Error {
    /// The public row.
    pub fn row(&self) -> &'static ErrorRow {
        match self {
            Error::UnknownMedia => &MEDIA_UNKNOWN,
            Error::UnknownUpload => &UPLOAD_UNKNOWN,
            Error::TooLarge { .. } => &MEDIA_TOO_LARGE,
            Error::Quota { .. } => &MEDIA_QUOTA,
            Error::TooManyUploads(_) => &UPLOADS_OPEN_MAX,
            Error::Busy => &UPLOAD_BUSY,
            Error::WrongOffset { .. } => &UPLOAD_OFFSET_WRONG,
            Error::WrongType => &MEDIA_TYPE_WRONG,
            Error::TypeNotAllowed(_) => &MEDIA_TYPE_NOT_ALLOWED,
            Error::BrokenImage(_) => &MEDIA_BROKEN,
            Error::TooManyPixels(_) => &MEDIA_TOO_MANY_PIXELS,
            Error::WrongChecksum => &MEDIA_CHECKSUM_WRONG,
            Error::NotClaimable => &MEDIA_NOT_CLAIMABLE,
            Error::WrongProtocol => &UPLOAD_PROTOCOL,
            Error::WrongPartType => &UPLOAD_PART_TYPE,
            Error::NotReady => &MEDIA_NOT_READY,
            Error::Broken(_) => &UPLOAD_BROKEN,
            Error::Invalid(_) => &INVALID_REQUEST,
            Error::Objects(ObjectError::Full) => &MEDIA_STORE_FULL,
            Error::Objects(ObjectError::Io(_)) => &UNAVAILABLE,
            Error::Database(_) | Error::Id(_) | Error::Objects(_) => &INTERNAL,
        }
    }
}

impl From<ObjectError> for Error {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::TooLarge { limit } => Error::TooLarge { limit },
            ObjectError::Content(error) => Error::Broken(error),
            other => Error::Objects(other),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let row = error.row();
        match error {
            // These know by themselves whether to come back later.
            Error::Database(error) => error.into(),
            Error::Id(error) => error.into(),
            Error::Invalid(fields) => row.fail().fields(fields),
            Error::NotReady => row.fail().retry_after(Duration::from_secs(1)),
            Error::TooLarge { limit } | Error::Quota { limit } => {
                row.fail().extra("limit_bytes", limit)
            }
            other => row.fail().because(other),
        }
    }
}
