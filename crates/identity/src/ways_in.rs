//! What there is on this server to log in and sign up with.

use serde::Serialize;

use crate::Identity;
use crate::otp::Channel;
use crate::settings::{DevCode, EmailVerification};

/// Who may sign up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SignUp {
    /// Everybody, at once.
    Open,
    /// Everybody whose address takes the letter that makes the account.
    Letter,
    /// Nobody; administrators make accounts.
    Closed,
}

/// What a page or an app can offer whoever wants to log in or sign up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct WaysIn {
    /// Who may sign up.
    pub registration: SignUp,
    /// How one-time passwords are sent; empty when they are not.
    pub codes: Vec<Channel>,
    /// Whether links to log in and to choose a new password are sent by e-mail.
    pub links: bool,
    /// Whether passkeys are good here.
    pub passkeys: bool,
    /// The names of providers to log in at, for `/v1/auth/oauth/{provider}`.
    pub providers: Vec<String>,
}

impl Identity {
    /// What there is to log in and sign up with.
    pub fn ways_in(&self) -> WaysIn {
        let links = self.senders.mail.is_some();
        let fixed = self.settings.otp.dev_code == DevCode::Fixed;
        let channels = [Channel::Sms, Channel::Email];
        let sent = |channel: &Channel| fixed || self.serves(*channel);
        let providers = self.settings.oauth.providers.iter();
        WaysIn {
            registration: match self.settings.email_verification {
                EmailVerification::Off => SignUp::Open,
                EmailVerification::Required if links => SignUp::Letter,
                EmailVerification::Required => SignUp::Closed,
            },
            codes: channels.into_iter().filter(sent).collect(),
            links,
            passkeys: self.relying_party.is_some(),
            providers: providers.map(|provider| provider.name.clone()).collect(),
        }
    }
}
