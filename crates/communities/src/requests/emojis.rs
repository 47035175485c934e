//! What requests about emoji ask for.

use kernel::{Check, RoleId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::present;
use crate::error::{Error, Result};
use crate::images::Image;

/// A new emoji.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = communities::CreateEmoji)]
pub struct CreateEmoji {
    /// Name: 2 to 32 of `A-Z a-z 0-9 _`.
    #[schema(pattern = "^[A-Za-z0-9_]{2,32}$")]
    pub name: String,
    /// `data:image/png;base64,…`: a PNG, JPEG, GIF or WebP of at most 256 KiB.
    #[schema(max_length = 350000)]
    pub image: String,
    /// Roles it is for; empty = everybody.
    #[serde(default)]
    #[schema(max_items = 250)]
    pub roles: Vec<RoleId>,
}

impl CreateEmoji {
    pub(crate) fn checked(self, most_roles: usize) -> Result<(Self, Image)> {
        let mut check = Check::default();
        check_name(&mut check, &self.name);
        check_roles(&mut check, &self.roles, most_roles);
        check.done().map_err(Error::Invalid)?;
        let image = Image::read("/image", &self.image)?;
        Ok((self, image))
    }
}

/// Changes of an emoji; absent fields stay.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = communities::UpdateEmoji)]
pub struct UpdateEmoji {
    /// Name: 2 to 32 of `A-Z a-z 0-9 _`.
    #[schema(pattern = "^[A-Za-z0-9_]{2,32}$")]
    pub name: Option<String>,
    /// Roles it is for; null or empty = everybody.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<Vec<RoleId>>, max_items = 250)]
    pub roles: Option<Option<Vec<RoleId>>>,
}

impl UpdateEmoji {
    pub(crate) fn checked(self, most_roles: usize) -> Result<Self> {
        let mut check = Check::default();
        if let Some(name) = &self.name {
            check_name(&mut check, name);
        }
        if let Some(Some(roles)) = &self.roles {
            check_roles(&mut check, roles, most_roles);
        }
        check.done().map_err(Error::Invalid).map(|()| self)
    }
}

fn check_name(check: &mut Check, name: &str) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !(2..=32).contains(&name.len()) || !name.bytes().all(plain) {
        let detail = "must have 2 to 32 letters, digits and underscores";
        check.refuse("/name", "INVALID", detail);
    }
}

fn check_roles(check: &mut Check, roles: &[RoleId], most: usize) {
    if roles.len() > most {
        check.refuse("/roles", "TOO_LONG", format!("at most {most}"));
    }
}
