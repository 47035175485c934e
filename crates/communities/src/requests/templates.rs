//! What requests about templates ask for.

use kernel::Check;
use serde::Deserialize;
use utoipa::ToSchema;

use super::present;
use crate::error::{Error, Result};

/// A new template.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = communities::CreateTemplate)]
pub struct CreateTemplate {
    /// Name, 1 to 100 characters.
    #[schema(format = "line", min_length = 1, max_length = 100)]
    pub name: String,
    /// Description, at most 120 characters.
    #[serde(default)]
    #[schema(format = "line", max_length = 120)]
    pub description: Option<String>,
}

impl CreateTemplate {
    pub(crate) fn checked(mut self) -> Result<Self> {
        let mut check = Check::default();
        self.name = check.text("/name", &self.name, 1, 100);
        self.description = described(&mut check, self.description);
        check.done().map_err(Error::Invalid).map(|()| self)
    }
}

/// Changes of a template; absent fields stay.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = communities::UpdateTemplate)]
pub struct UpdateTemplate {
    /// Name, 1 to 100 characters.
    #[schema(format = "line", min_length = 1, max_length = 100)]
    pub name: Option<String>,
    /// Description, at most 120 characters; null removes it.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, format = "line", max_length = 120)]
    pub description: Option<Option<String>>,
}

impl UpdateTemplate {
    pub(crate) fn checked(mut self) -> Result<Self> {
        let mut check = Check::default();
        if let Some(name) = &self.name {
            self.name = Some(check.text("/name", name, 1, 100));
        }
        self.description = self.description.map(|text| described(&mut check, text));
        check.done().map_err(Error::Invalid).map(|()| self)
    }
}

fn described(check: &mut Check, text: Option<String>) -> Option<String> {
    let text = check.text("/description", &text?, 0, 120);
    (!text.is_empty()).then_some(text)
}
