//! Users on the chat surface, in the dialect's shapes. Unknown fields of requests are ignored:
//! stock clients send more than we know.

use axum::extract::State;
use contracts::identity::User;
use kernel::UserId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use web_kit::{Caller, Json, Path, Result};

use super::Shared;
use super::users::present;
use crate::error::Error;
use crate::model::{Account, Factors, Kind};
use crate::pictures;
use crate::users::{Precondition, ProfileChange, chat_user};

/// The user object with what only its owner sees.
#[derive(Serialize, ToSchema)]
pub(super) struct CurrentUser {
    #[serde(flatten)]
    user: User,
    email: Option<String>,
    verified: bool,
    locale: String,
    bio: Option<String>,
    mfa_enabled: bool,
    flags: u32,
    premium_type: u32,
}

impl CurrentUser {
    fn new(account: Account, factors: &Factors) -> Self {
        CurrentUser {
            email: account.email.clone(),
            verified: account.kind == Kind::Bot || account.email_verified_at.is_some(),
            locale: account.locale.clone(),
            bio: account.about.clone(),
            mfa_enabled: factors.has_second(),
            flags: 0,
            premium_type: 0,
            user: chat_user(account),
        }
    }
}

#[derive(Deserialize, ToSchema)]
pub(super) struct CurrentUserRequest {
    #[schema(pattern = "^[a-z0-9_.]{2,32}$")]
    username: Option<String>,
    /// `data:image/png;base64,…`; null takes the picture away.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    avatar: Option<Option<String>>,
}

pub(super) async fn current_user(
    State(identity): Shared,
    caller: Caller,
) -> Result<Json<CurrentUser>> {
    let account = identity.account(caller.user).await?;
    let factors = identity.factors(caller.user).await?;
    Ok(Json(CurrentUser::new(account, &factors)))
}

pub(super) async fn change_current_user(
    State(identity): Shared,
    caller: Caller,
    Json(request): Json<CurrentUserRequest>,
) -> Result<Json<CurrentUser>> {
    let read = |uri: String| pictures::of_data_uri("/avatar", &uri);
    let picture = request.avatar.map(|avatar| avatar.map(read).transpose());
    let change = ProfileChange {
        username: request.username,
        picture: picture.transpose()?,
        ..ProfileChange::default()
    };
    let account = identity
        .change_profile(&caller, Precondition::Any, change)
        .await?;
    let factors = identity.factors(caller.user).await?;
    Ok(Json(CurrentUser::new(account, &factors)))
}

pub(super) async fn user(
    State(identity): Shared,
    _caller: Caller,
    Path(user): Path<UserId>,
) -> Result<Json<User>> {
    let mut found = identity.chat_users(&[user]).await?;
    Ok(Json(found.pop().ok_or(Error::UnknownUser)?))
}
