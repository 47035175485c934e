//! Reactions in the dialect's form.

use kernel::AnyId;
use serde::{Deserialize, Serialize};

/// An emoji as reactions and polls name it: a character, or one of a community with its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PartialEmoji {
    /// Of a community's emoji; null for a character.
    pub id: Option<AnyId>,
    /// The character, or the name of a community's emoji.
    pub name: String,
}

/// How often a message got one emoji.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reaction {
    /// The emoji.
    pub emoji: PartialEmoji,
    /// How many gave it.
    pub count: i32,
    /// The same, in the dialect's two kinds.
    pub count_details: CountDetails,
    /// Whether the reader is one of them.
    pub me: bool,
    /// Always false: there is one kind of reaction here.
    pub me_burst: bool,
    /// Always empty.
    pub burst_colors: Vec<String>,
}

/// Counts by the dialect's kinds of reactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CountDetails {
    /// All of them.
    pub normal: i32,
    /// Always 0.
    pub burst: i32,
}

impl Reaction {
    /// An emoji that `count` people gave, without the reader.
    pub fn new(emoji: PartialEmoji, count: i32) -> Self {
        Reaction {
            emoji,
            count,
            count_details: CountDetails {
                normal: count,
                burst: 0,
            },
            me: false,
            me_burst: false,
            burst_colors: Vec::new(),
        }
    }
}
