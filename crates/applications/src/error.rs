//! What can go wrong here, and what the public reads about it.

use kernel::failure::{INTERNAL, INVALID_REQUEST};
use kernel::{ErrorRow, Failure, FieldError};

/// Why an operation of this context failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such application, or somebody else's: never told apart.
    #[error("find an application")]
    UnknownApplication,
    /// The application is not installed there.
    #[error("find an install")]
    UnknownInstall,
    /// No such community, or the caller is not in it.
    #[error("find a community")]
    UnknownCommunity,
    /// The caller may not manage the community.
    #[error("look at the installs of a community without the right to manage it")]
    MayNotManage,
    /// Bots may not do this.
    #[error("do as a bot what only people may")]
    PeopleOnly,
    /// Only bots may do this.
    #[error("do as a person what only bots may")]
    BotsOnly,
    /// The caller owns as many applications as one may own.
    #[error("own more applications than {0}")]
    TooManyApplications(i64),
    /// No such webhook, or another token: never told apart.
    #[error("find a webhook")]
    UnknownWebhook,
    /// No such message, or it is not the webhook's.
    #[error("find a message of a webhook")]
    UnknownMessage,
    /// No such channel, or the caller does not see it.
    #[error("find a channel")]
    UnknownChannel,
    /// The caller may not manage webhooks there.
    #[error("manage webhooks without the right to")]
    MayNotManageWebhooks,
    /// Webhooks cannot write in channels of this kind.
    #[error("make a webhook in a channel of another kind")]
    WrongChannelKind,
    /// The channel or the community has as many webhooks as one may have.
    #[error("make more webhooks than a channel may have")]
    TooManyWebhooks,
    /// A program of others sent something else than it should.
    #[error("read {0}")]
    Unreadable(String),
    /// No such subscription of this owner.
    #[error("find a subscription")]
    UnknownSubscription,
    /// No such delivery of this owner.
    #[error("find a delivery")]
    UnknownDelivery,
    /// The delivery is on its way.
    #[error("send a delivery again that still waits")]
    DeliveryWaits,
    /// The address of a subscription may not be called.
    #[error("subscribe at an address that may not be called")]
    AddressRefused,
    /// The owner has as many subscriptions as one may have.
    #[error("have more subscriptions than {0}")]
    TooManySubscriptions(i64),
    /// Fields that break their rules.
    #[error("accept a request with {} invalid fields", .0.len())]
    Invalid(Vec<FieldError>),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// No identifier could be made.
    #[error(transparent)]
    Id(#[from] kernel::IdError),
    /// A key could not be made, opened or used.
    #[error(transparent)]
    Secret(#[from] crate::keys::SecretError),
    /// Another context refused.
    #[error(transparent)]
    Called(#[from] Failure),
}

/// The result of an operation.
pub type Result<T> = std::result::Result<T, Error>;

kernel::error_rows! {
    APPLICATION_UNKNOWN, NotFound, 10002,
        "no such application, or it is not yours",
        "böyle bir uygulama yok ya da sizin değil";
    INSTALL_UNKNOWN, NotFound, 10002,
        "the application is not installed in this community",
        "uygulama bu topluluğa kurulu değil";
    APPLICATION_COMMUNITY_UNKNOWN, NotFound, 10004,
        "no such community, or you are not in it",
        "böyle bir topluluk yok ya da üyesi değilsiniz";
    INSTALL_NOT_ALLOWED, Forbidden, 50013,
        "you need the permission to manage this community",
        "bu topluluğu yönetme yetkisine ihtiyacınız var";
    APPLICATION_PEOPLE_ONLY, Forbidden, 20001,
        "bots cannot do this",
        "bunu botlar yapamaz";
    APPLICATION_BOTS_ONLY, Forbidden, 20002,
        "only a bot can ask this about itself; use its token",
        "bunu yalnızca bir bot kendisi için sorabilir; onun belirtecini kullanın";
    WEBHOOK_UNKNOWN, NotFound, 10015,
        "no such webhook, or its token is another one",
        "böyle bir webhook yok ya da belirteci başka";
    WEBHOOK_MESSAGE_UNKNOWN, NotFound, 10008,
        "no such message of this webhook",
        "bu webhook'un böyle bir mesajı yok";
    APPLICATION_CHANNEL_UNKNOWN, NotFound, 10003,
        "no such channel, or you cannot see it",
        "böyle bir kanal yok ya da onu göremiyorsunuz";
    WEBHOOK_NOT_ALLOWED, Forbidden, 50013,
        "you need the permission to manage webhooks here",
        "burada webhook yönetme yetkisine ihtiyacınız var";
    WEBHOOK_CHANNEL_KIND, Invalid, 50024,
        "webhooks cannot write in a channel of this kind",
        "webhook'lar bu türden bir kanala yazamaz";
    WEBHOOKS_MAX, Invalid, 30007,
        "the channel or the community has as many webhooks as one may have; delete one first",
        "kanalda ya da toplulukta olabilecek en çok sayıda webhook var; önce birini silin";
    WEBHOOK_UNREADABLE, Invalid, 50109,
        "the body is not in the form of this path, or it says nothing",
        "gövde bu yolun biçiminde değil ya da bir şey söylemiyor";
    SUBSCRIPTION_UNKNOWN, NotFound, 10002,
        "no such subscription",
        "böyle bir abonelik yok";
    DELIVERY_UNKNOWN, NotFound, 10002,
        "no such delivery; they are kept for 30 days",
        "böyle bir gönderim yok; gönderimler 30 gün saklanır";
    DELIVERY_WAITS, Conflict, 40060,
        "the delivery still waits for its next attempt",
        "gönderim hâlâ bir sonraki denemesini bekliyor";
    SUBSCRIPTION_ADDRESS, Invalid, 50035,
        "the address cannot be used: it must be https on the public internet, on the usual port, without a name and password",
        "adres kullanılamıyor: açık internette https olmalı, olağan kapıda, ad ve parola taşımamalı";
    SUBSCRIPTIONS_MAX, Invalid, 30018,
        "there are as many subscriptions as there may be; delete one first",
        "olabilecek en çok sayıda abonelik var; önce birini silin";
    APPLICATIONS_MAX, Invalid, 30018,
        "you own as many applications as one account may own; delete one first",
        "bir hesabın sahip olabileceği en çok sayıda uygulamanız var; önce birini silin";
}

impl Error {
    /// The public row.
    pub fn row(&self) -> &'static ErrorRow {
        match self {
            Error::UnknownApplication => &APPLICATION_UNKNOWN,
            Error::UnknownInstall => &INSTALL_UNKNOWN,
            Error::UnknownCommunity => &APPLICATION_COMMUNITY_UNKNOWN,
            Error::MayNotManage => &INSTALL_NOT_ALLOWED,
            Error::PeopleOnly => &APPLICATION_PEOPLE_ONLY,
            Error::BotsOnly => &APPLICATION_BOTS_ONLY,
            Error::TooManyApplications(_) => &APPLICATIONS_MAX,
            Error::UnknownWebhook => &WEBHOOK_UNKNOWN,
            Error::UnknownMessage => &WEBHOOK_MESSAGE_UNKNOWN,
            Error::UnknownChannel => &APPLICATION_CHANNEL_UNKNOWN,
            Error::MayNotManageWebhooks => &WEBHOOK_NOT_ALLOWED,
            Error::WrongChannelKind => &WEBHOOK_CHANNEL_KIND,
            Error::TooManyWebhooks => &WEBHOOKS_MAX,
            Error::Unreadable(_) => &WEBHOOK_UNREADABLE,
            Error::UnknownSubscription => &SUBSCRIPTION_UNKNOWN,
            Error::UnknownDelivery => &DELIVERY_UNKNOWN,
            Error::DeliveryWaits => &DELIVERY_WAITS,
            Error::AddressRefused => &SUBSCRIPTION_ADDRESS,
            Error::TooManySubscriptions(_) => &SUBSCRIPTIONS_MAX,
            Error::Invalid(_) => &INVALID_REQUEST,
            Error::Called(failure) => failure.row,
            Error::Database(_) | Error::Id(_) | Error::Secret(_) => &INTERNAL,
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
            other => row.fail().because(other),
        }
    }
}
