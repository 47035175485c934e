//! What other contexts and every node ask of us.

use std::net::IpAddr;

use async_trait::async_trait;
use contracts::Relations;
use contracts::identity::{
    Auth, ContactProofs, Credentials, From, Identity as Calls, OtpSent, SendOtp, ServiceProof,
    ServiceToken, ServiceTokens, SigningKey, TokenPair, User, VerifyOtp,
};
use contracts::relations::{Circle, Consent, Relation, Relationship, Visible};
use jiff::Timestamp;
use kernel::failure::INVALID_REQUEST;
use kernel::{Caller, DeviceId, Failure, FieldError, Locale, PlatformRole, UserId};
use secrecy::{ExposeSecret as _, SecretString};

use crate::Identity;
use crate::code_login::{CodeProof, Second};
use crate::devices::{Origin, SessionKind, Tokens};
use crate::error::Error;
use crate::login::{LogoutBy, LogoutScope};
use crate::model::{DeviceInfo, DeviceType};
use crate::otp::{Channel, CodeWish, Purpose};
use crate::sql;

/// Most users asked for at once.
pub const MAX_USERS: usize = 500;

#[async_trait]
impl Calls for Identity {
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, Failure> {
        at_most(ids)?;
        Ok(self.chat_users(ids).await?)
    }

    async fn contact_proofs(&self, user: UserId) -> Result<ContactProofs, Failure> {
        let account = sql::users::find(&self.db, user).await?;
        Ok(
            account.map_or(ContactProofs::default(), |account| ContactProofs {
                email: account.email_verified_at.is_some(),
                phone: account.phone_verified_at.is_some(),
            }),
        )
    }

    async fn create_bot(&self, owner: UserId, name: &str) -> Result<User, Failure> {
        Ok(self.make_bot(owner, name).await?)
    }

    async fn retire_bot(&self, bot: UserId) -> Result<(), Failure> {
        Ok(self.end_bot(bot).await?)
    }
}

#[async_trait]
impl Relations for Identity {
    async fn between(&self, user: UserId, ids: &[UserId]) -> Result<Vec<Relation>, Failure> {
        at_most(ids)?;
        Ok(self.between_users(user, ids).await?)
    }

    async fn circle(&self, user: UserId) -> Result<Circle, Failure> {
        Ok(self.circle_of(user).await?)
    }

    async fn relationships(&self, user: UserId) -> Result<Vec<Relationship>, Failure> {
        Ok(self.bonds(user).await?)
    }

    async fn may_write(&self, from: UserId, to: UserId) -> Result<Consent, Failure> {
        Ok(self.consent_of(from, to).await?)
    }

    async fn visible(&self, viewer: UserId, ids: &[UserId]) -> Result<Vec<Visible>, Failure> {
        at_most(ids)?;
        Ok(self.visible_to(viewer, ids).await?)
    }
}

fn at_most(ids: &[UserId]) -> Result<(), Failure> {
    if ids.len() <= MAX_USERS {
        return Ok(());
    }
    let error = FieldError::new("/ids", "TOO_MANY", format!("at most {MAX_USERS}"));
    Err(INVALID_REQUEST.fail().field(error))
}

#[async_trait]
impl Credentials for Identity {
    async fn keys(&self) -> Result<Vec<SigningKey>, Failure> {
        Ok(self.keys.latest().await?.published())
    }

    async fn revoked_since(&self, since: Timestamp) -> Result<Vec<DeviceId>, Failure> {
        Ok(sql::revocations::revoked_since(&self.db, since).await?)
    }

    async fn device_is_live(&self, device: DeviceId) -> Result<bool, Failure> {
        Ok(sql::devices::find_live(&self.db, device).await?.is_some())
    }

    async fn resolve_api_key(&self, sha256: [u8; 32]) -> Result<Option<Caller>, Failure> {
        Ok(self.resolve_key(sha256).await?)
    }

    async fn access_for_cookie(
        &self,
        sha256: [u8; 32],
        from: &From,
    ) -> Result<Option<String>, Failure> {
        Ok(self.access_behind(sha256, from).await?)
    }

    async fn ways_to_step_up(&self, user: UserId) -> Result<Vec<&'static str>, Failure> {
        Ok(Identity::ways_to_step_up(self, user).await?)
    }

    async fn take_ticket(&self, sha256: [u8; 32]) -> Result<Option<String>, Failure> {
        Ok(self.redeem_ticket(sha256).await?)
    }

    async fn roles(&self, user: UserId) -> Result<Vec<PlatformRole>, Failure> {
        let words = sql::people::list_roles(&self.db, user).await?;
        let role = |word: &String| PlatformRole::from_word(word);
        Ok(words.iter().filter_map(role).collect())
    }
}

#[async_trait]
impl ServiceTokens for Identity {
    async fn service_token(&self, proof: &ServiceProof) -> Result<ServiceToken, Failure> {
        Ok(self.mint_service_token(proof).await?)
    }
}

#[async_trait]
impl Auth for Identity {
    async fn send_otp(&self, wish: SendOtp) -> Result<OtpSent, Failure> {
        let sent = self
            .send_code(CodeWish {
                channel: Channel::Sms,
                to: &wish.phone_number,
                purpose: Purpose::Login,
                caller: None,
                // A language we do not speak is no reason to send nothing.
                locale: wish.locale.as_deref().and_then(Locale::from_tag),
                asked_in: Locale::Tr,
                known_device: None,
                ip: wish.from.ip,
            })
            .await?;
        Ok(OtpSent {
            handle: sent.handle.expose_secret().to_owned(),
            resend_after_seconds: sent.resend_after_seconds,
        })
    }

    async fn verify_otp(&self, proof: VerifyOtp) -> Result<TokenPair, Failure> {
        let origin = Origin {
            ip: proof.from.ip,
            user_agent: proof.from.user_agent,
            device: DeviceInfo {
                device_name: filled(proof.device_name),
                device_type: proof.device_type.as_deref().and_then(DeviceType::from_word),
                push_notification_token: filled(proof.push_notification_token),
            },
            session: SessionKind::Token,
            from_own_page: false,
        };
        let code = SecretString::from(proof.otp_code);
        let by = CodeProof {
            handle: proof.handle.as_deref().filter(|handle| !handle.is_empty()),
            phone_number: Some(&proof.phone_number),
            code: &code,
            known_device: None,
        };
        let second = filled(proof.second_factor);
        let login = self
            .log_in_by_code(by, Second::Inline(second.as_deref()), &origin)
            .await?;
        let tokens = login
            .tokens()
            .ok_or(Error::Broken("a login by tokens without tokens"))?;
        Ok(pair(tokens))
    }

    async fn validate(&self, access_token: &str, ip: IpAddr) -> Result<Option<UserId>, Failure> {
        Ok(Identity::validate(self, access_token, ip).await?)
    }

    async fn refresh(
        &self,
        refresh_token: &str,
        attempt_id: Option<&str>,
    ) -> Result<TokenPair, Failure> {
        Ok(pair(
            Identity::refresh(self, refresh_token, attempt_id).await?,
        ))
    }

    async fn revoke_current_device(&self, refresh_token: &str) -> Result<(), Failure> {
        Ok(self.log_out(LogoutBy::RefreshToken(refresh_token)).await?)
    }

    async fn log_out_everywhere(&self, access_token: &str) -> Result<(), Failure> {
        let header = format!("Bearer {access_token}");
        let by = LogoutBy::Header(&header);
        Ok(self.log_out_all(by, LogoutScope::Everywhere).await?)
    }
}

/// What clients that always send every field leave empty is absent.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn pair(tokens: Tokens) -> TokenPair {
    TokenPair {
        access_token: tokens.access_token,
        refresh_token: tokens.refresh_token,
        user: tokens.user_id,
        is_new_user: tokens.is_new_user,
    }
}
