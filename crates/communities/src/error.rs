//! What can go wrong here, and what the public reads about it.

use kernel::failure::{INTERNAL, INVALID_REQUEST, STEP_UP_REQUIRED};
use kernel::{ErrorRow, Failure, FieldError};

/// Why an operation of this context failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such community, or the caller is not in it: never told apart.
    #[error("find a community")]
    UnknownCommunity,
    /// No such channel, or the caller may not see it: never told apart.
    #[error("find a channel")]
    UnknownChannel,
    /// No such role in this community.
    #[error("find a role")]
    UnknownRole,
    /// Nobody of this id is in the community.
    #[error("find a member")]
    UnknownMember,
    /// No account of this id.
    #[error("find a user")]
    UnknownUser,
    /// No such invite, or it is used up or expired.
    #[error("find an invite")]
    UnknownInvite,
    /// No such rule of automatic moderation.
    #[error("find a rule of automatic moderation")]
    UnknownRule,
    /// The community has as many rules as it may have.
    #[error("have more rules of automatic moderation than {0}")]
    TooManyRules(usize),
    /// A rule refuses the message; perhaps with words of its own.
    #[error("say what a rule of automatic moderation refuses")]
    Blocked(Option<String>),
    /// The author is not known well enough yet.
    #[error("write without {0:?}")]
    NotVerified(crate::judge::Lacking),
    /// Nobody can join for now.
    #[error("join while joins are paused")]
    JoinsPaused,
    /// A member in quarantine has no roles.
    #[error("change roles of a member in quarantine")]
    Quarantined,
    /// No such report, or it is not the caller's business.
    #[error("find a report")]
    UnknownReport,
    /// The report was decided, or appealed, before.
    #[error("decide a report again")]
    ReportDecided,
    /// No such template.
    #[error("find a template")]
    UnknownTemplate,
    /// The community has as many templates as it may have.
    #[error("have more templates than {0}")]
    TooManyTemplates(usize),
    /// No such emoji in this community.
    #[error("find an emoji")]
    UnknownEmoji,
    /// The community has as many emoji as it may have.
    #[error("have more emoji than {0}")]
    TooManyEmojis(usize),
    /// The channel has no overwrite for this target.
    #[error("find an overwrite")]
    UnknownOverwrite,
    /// The user is not banned.
    #[error("find a ban")]
    UnknownBan,
    /// None of the named users could be banned.
    #[error("ban anybody of those named")]
    NobodyBanned,
    /// The login was not proved lately.
    #[error("hand a community over with a login that is not fresh")]
    StaleLogin,
    /// The caller lacks a right.
    #[error("act without the rights {0}")]
    MissingPermission(kernel::perm::Chat),
    /// The thing stands at or above the caller's highest role.
    #[error("act on a role or member that is not below")]
    NotBelow,
    /// The caller gives or takes rights they do not have.
    #[error("change the rights {0}, which the caller lacks")]
    LacksGranted(kernel::perm::Permissions),
    /// Only the owner may do this.
    #[error("do what only the owner may")]
    OwnerOnly,
    /// The owner must hand the community over first.
    #[error("leave a community as its owner")]
    OwnerStays,
    /// Bots may not do this.
    #[error("do as a bot what only people may")]
    PeopleOnly,
    /// The user is banned from the community.
    #[error("join a community that banned the user")]
    Banned,
    /// The user is in as many communities as one may be in.
    #[error("be in more communities than {0}")]
    TooManyCommunities(i64),
    /// The community has as many roles as it may have.
    #[error("have more roles than {0}")]
    TooManyRoles(usize),
    /// The community has as many channels as it may have.
    #[error("have more channels than {0}")]
    TooManyChannels(usize),
    /// The community has as many invites as it may have.
    #[error("have more invites than {0}")]
    TooManyInvites(i64),
    /// The role cannot be used so: everyone's cannot be given or deleted, an application's not given.
    #[error("use a role that is given by itself")]
    FixedRole,
    /// The channel's kind does not allow it.
    #[error("do with a channel what its kind does not allow")]
    ChannelKind,
    /// Fields that break their rules.
    #[error("accept a request with {} invalid fields", .0.len())]
    Invalid(Vec<FieldError>),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// No identifier could be made.
    #[error(transparent)]
    Id(#[from] kernel::IdError),
    /// Another context, or the mechanics of idempotency, refused.
    #[error(transparent)]
    Called(#[from] Failure),
    /// A payload could not be written as JSON.
    #[error("write a payload")]
    Payload(#[from] serde_json::Error),
    /// Something of ours does not hold; a bug.
    #[error("{0}")]
    Broken(&'static str),
}

/// The result of an operation.
pub type Result<T> = std::result::Result<T, Error>;

kernel::error_rows! {
    COMMUNITY_UNKNOWN, NotFound, 10004,
        "no such community, or you are not in it",
        "böyle bir topluluk yok ya da üyesi değilsiniz";
    COMMUNITY_CHANNEL_UNKNOWN, NotFound, 10003,
        "no such channel, or you may not see it",
        "böyle bir kanal yok ya da görmeye yetkiniz yok";
    ROLE_UNKNOWN, NotFound, 10011,
        "this community has no such role",
        "bu toplulukta böyle bir rol yok";
    MEMBER_UNKNOWN, NotFound, 10007,
        "nobody of this id is in the community",
        "toplulukta bu kimlikte bir üye yok";
    COMMUNITY_USER_UNKNOWN, NotFound, 10013,
        "no such user",
        "böyle bir kullanıcı yok";
    INVITE_UNKNOWN, NotFound, 10006,
        "this invite does not exist, is used up or has expired; ask for a new one",
        "bu davet yok, hakkı dolmuş ya da süresi geçmiş; yeni bir davet isteyin";
    AUTOMOD_RULE_UNKNOWN, NotFound, 10900,
        "no such rule of automatic moderation",
        "böyle bir otomatik denetim kuralı yok";
    AUTOMOD_RULES_MAX, Invalid, 30900,
        "the community has as many rules of automatic moderation as it may have; delete one first",
        "topluluk en çok otomatik denetim kuralı sayısına ulaştı; önce birini silin";
    MESSAGE_BLOCKED, Invalid, 200000,
        "a rule of this community does not allow this message",
        "bu topluluğun bir kuralı bu iletiye izin vermiyor";
    VERIFICATION_NEEDED, Forbidden, 40002,
        "you cannot write in this community yet; see `lacking`: confirm your e-mail address or phone number, or wait some minutes",
        "bu toplulukta henüz yazamazsınız; `lacking` alanına bakın: e-posta adresinizi ya da telefonunuzu doğrulayın veya birkaç dakika bekleyin";
    JOINS_PAUSED, Forbidden, 40900,
        "nobody can join this community for now; try again later",
        "bu topluluğa şimdilik kimse katılamıyor; daha sonra yeniden deneyin";
    MEMBER_QUARANTINED, Invalid, 50900,
        "a member in quarantine has no roles; end the quarantine first",
        "karantinadaki bir üyenin rolü olmaz; önce karantinayı bitirin";
    REPORT_UNKNOWN, NotFound, 10901,
        "no such report",
        "böyle bir bildirim yok";
    REPORT_DECIDED, Conflict, 40901,
        "the report stands where this cannot be done: it was decided or appealed already, or not decided yet",
        "bildirim bunun yapılamayacağı bir durumda: zaten karara bağlandı, itiraz edildi ya da henüz karar verilmedi";
    TEMPLATE_UNKNOWN, NotFound, 10057,
        "no such template",
        "böyle bir şablon yok";
    TEMPLATES_MAX, Invalid, 30031,
        "the community has as many templates as it may have; delete one first",
        "topluluk en çok şablon sayısına ulaştı; önce birini silin";
    EMOJI_UNKNOWN, NotFound, 10014,
        "no such emoji",
        "böyle bir emoji yok";
    EMOJIS_MAX, Invalid, 30008,
        "the community has as many emoji as it may have; delete one first",
        "topluluk en çok emoji sayısına ulaştı; önce birini silin";
    OVERWRITE_UNKNOWN, NotFound, 10009,
        "this channel has no permissions of its own for this role or member",
        "bu kanalın bu rol ya da üye için özel izni yok";
    BAN_UNKNOWN, NotFound, 10026,
        "this user is not banned",
        "bu kullanıcı yasaklı değil";
    NOBODY_BANNED, Invalid, 500000,
        "none of these users could be banned: they are banned already, are not below you, or do not exist",
        "bu kullanıcıların hiçbiri yasaklanamadı: zaten yasaklılar, sizin altınızda değiller ya da yoklar";
    COMMUNITY_PERMISSION_MISSING, Forbidden, 50013,
        "you lack the permission for this in this community",
        "bu toplulukta bunun için yetkiniz yok";
    ROLE_HIERARCHY, Forbidden, 50013,
        "this role or member is not below your highest role",
        "bu rol ya da üye en yüksek rolünüzün altında değil";
    PERMISSION_NOT_HELD, Forbidden, 50013,
        "you cannot give or take a permission you do not have yourself",
        "kendinizde olmayan bir yetkiyi veremez ya da alamazsınız";
    COMMUNITY_OWNER_ONLY, Forbidden, 50013,
        "only the owner of the community may do this",
        "bunu yalnızca topluluğun sahibi yapabilir";
    OWNER_CANNOT_LEAVE, Invalid, 50055,
        "the owner cannot leave: hand the community over or delete it",
        "sahip ayrılamaz: topluluğu devredin ya da silin";
    COMMUNITY_PEOPLE_ONLY, Forbidden, 20001,
        "bots cannot do this; an owner installs a bot through its application",
        "bunu botlar yapamaz; bir bot uygulaması üzerinden eklenir";
    MEMBER_BANNED, Forbidden, 40007,
        "you are banned from this community",
        "bu topluluktan yasaklandınız";
    COMMUNITIES_MAX, Invalid, 30001,
        "you are in as many communities as one account may be in; leave one first",
        "bir hesabın katılabileceği en çok sayıda topluluktasınız; önce birinden ayrılın";
    ROLES_MAX, Invalid, 30005,
        "the community has as many roles as it may have; delete one first",
        "topluluk en çok rol sayısına ulaştı; önce birini silin";
    COMMUNITY_CHANNELS_MAX, Invalid, 30013,
        "the community has as many channels as it may have; delete one first",
        "topluluk en çok kanal sayısına ulaştı; önce birini silin";
    INVITES_MAX, Invalid, 30016,
        "the community has as many invites as it may have; delete one first",
        "topluluk en çok davet sayısına ulaştı; önce birini silin";
    ROLE_FIXED, Invalid, 50028,
        "everyone's role and the roles of applications are given by themselves; choose another role",
        "herkes rolü ve uygulama rolleri kendiliğinden verilir; başka bir rol seçin";
    COMMUNITY_CHANNEL_KIND, Invalid, 50024,
        "this cannot be done with a channel of this type",
        "bu tür bir kanalla bu yapılamaz";
}

impl Error {
    /// One field that breaks its rule.
    pub(crate) fn field(pointer: &str, code: &'static str, detail: &str) -> Self {
        Error::Invalid(vec![FieldError::new(pointer, code, detail)])
    }

    /// The public row.
    pub fn row(&self) -> &'static ErrorRow {
        match self {
            Error::UnknownCommunity => &COMMUNITY_UNKNOWN,
            Error::UnknownChannel => &COMMUNITY_CHANNEL_UNKNOWN,
            Error::UnknownRole => &ROLE_UNKNOWN,
            Error::UnknownMember => &MEMBER_UNKNOWN,
            Error::UnknownUser => &COMMUNITY_USER_UNKNOWN,
            Error::UnknownInvite => &INVITE_UNKNOWN,
            Error::UnknownRule => &AUTOMOD_RULE_UNKNOWN,
            Error::TooManyRules(_) => &AUTOMOD_RULES_MAX,
            Error::Blocked(_) => &MESSAGE_BLOCKED,
            Error::NotVerified(_) => &VERIFICATION_NEEDED,
            Error::JoinsPaused => &JOINS_PAUSED,
            Error::Quarantined => &MEMBER_QUARANTINED,
            Error::UnknownReport => &REPORT_UNKNOWN,
            Error::ReportDecided => &REPORT_DECIDED,
            Error::UnknownTemplate => &TEMPLATE_UNKNOWN,
            Error::TooManyTemplates(_) => &TEMPLATES_MAX,
            Error::UnknownEmoji => &EMOJI_UNKNOWN,
            Error::TooManyEmojis(_) => &EMOJIS_MAX,
            Error::UnknownOverwrite => &OVERWRITE_UNKNOWN,
            Error::UnknownBan => &BAN_UNKNOWN,
            Error::NobodyBanned => &NOBODY_BANNED,
            Error::StaleLogin => &STEP_UP_REQUIRED,
            Error::MissingPermission(_) => &COMMUNITY_PERMISSION_MISSING,
            Error::NotBelow => &ROLE_HIERARCHY,
            Error::LacksGranted(_) => &PERMISSION_NOT_HELD,
            Error::OwnerOnly => &COMMUNITY_OWNER_ONLY,
            Error::OwnerStays => &OWNER_CANNOT_LEAVE,
            Error::PeopleOnly => &COMMUNITY_PEOPLE_ONLY,
            Error::Banned => &MEMBER_BANNED,
            Error::TooManyCommunities(_) => &COMMUNITIES_MAX,
            Error::TooManyRoles(_) => &ROLES_MAX,
            Error::TooManyChannels(_) => &COMMUNITY_CHANNELS_MAX,
            Error::TooManyInvites(_) => &INVITES_MAX,
            Error::FixedRole => &ROLE_FIXED,
            Error::ChannelKind => &COMMUNITY_CHANNEL_KIND,
            Error::Invalid(_) => &INVALID_REQUEST,
            Error::Called(failure) => failure.row,
            Error::Database(_) | Error::Id(_) | Error::Payload(_) | Error::Broken(_) => &INTERNAL,
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
            Error::Called(failure) => failure,
            Error::Invalid(fields) => row.fail().fields(fields),
            Error::Blocked(Some(text)) => row.fail().extra("custom_message", text),
            Error::NotVerified(lacking) => row.fail().extra("lacking", lacking.word()),
            other => row.fail().because(other),
        }
    }
}
