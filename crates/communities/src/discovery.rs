//! Public communities: found by anybody, looked at and joined without an invite.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contracts::communities::Emoji;
use jiff::Timestamp;
use kernel::{Caller, CommunityId, tr};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Communities;
use crate::change::Change;
use crate::error::{Error, Result};
use crate::model::{CommunityRow, CommunitySettings};
use crate::sql::discovery::{self, FoundRow, Listing, Wanted};
use crate::sql::{communities, emojis, members};

/// Longest text sought, in characters.
pub(crate) const MAX_QUERY: usize = 100;
/// Most words of it.
const MAX_WORDS: usize = 10;
/// Largest page.
const MAX_PAGE: u16 = 100;

/// In which order public communities are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = communities::DiscoverySort)]
pub enum DiscoverySort {
    /// Largest first.
    #[default]
    Members,
    /// Lately listed first.
    Newest,
}

/// Which public communities are wanted.
#[derive(Debug, Clone, Default)]
pub struct DiscoveryQuery {
    /// Words, each the beginning of one of the community's; empty = all.
    pub text: String,
    /// Language tag; its first part counts.
    pub locale: Option<String>,
    /// The order.
    pub sort: DiscoverySort,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// 1 to 100.
    pub limit: u16,
}

/// A community as anybody may see it who may find it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = communities::CommunityPreview)]
pub struct CommunityPreview {
    /// The community.
    pub id: CommunityId,
    /// Name.
    pub name: String,
    /// Icon hash.
    pub icon: Option<String>,
    /// Always null; stock libraries read it.
    pub splash: Option<String>,
    /// Always null; stock libraries read it.
    pub discovery_splash: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// What it is about.
    pub tags: Vec<String>,
    /// Language tag.
    pub preferred_locale: String,
    /// Dialect's feature names.
    pub features: Vec<String>,
    /// Verification level.
    pub verification_level: i32,
    /// Emoji; in lists none.
    pub emojis: Vec<Emoji>,
    /// Always empty; stock libraries read it.
    pub stickers: Vec<serde_json::Value>,
    /// Number of members.
    pub approximate_member_count: i32,
    /// Always null: presence is not counted.
    pub approximate_presence_count: Option<i32>,
}

/// A page of public communities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = communities::Discovered)]
pub struct Discovered {
    /// The communities.
    pub items: Vec<CommunityPreview>,
    /// Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// The answer to joining a public community.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = communities::JoinedPublic)]
pub struct JoinedPublic {
    /// The community.
    #[serde(flatten)]
    pub guild: CommunityPreview,
    /// False when the caller was a member already.
    pub new_member: bool,
}

impl Communities {
    /// A page of public communities.
    pub async fn discover(&self, query: DiscoveryQuery) -> Result<Discovered> {
        let words = sought(&query.text)?;
        let language = query.locale.as_deref().map(language);
        let below = match &query.cursor {
            Some(cursor) => Place::read(cursor)?,
            None => Place::TOP,
        };
        let limit = query.limit.clamp(1, MAX_PAGE);
        let wanted = Wanted {
            words: words.as_deref(),
            language: language.as_deref(),
            below: (below.key, below.id),
            limit: i64::from(limit) + 1,
        };
        let mut rows = match query.sort {
            DiscoverySort::Members => discovery::list_by_members(&self.db, wanted).await?,
            DiscoverySort::Newest => {
                let before = below.moment()?;
                discovery::list_by_time(&self.db, wanted, before).await?
            }
        };
        let more = rows.len() > usize::from(limit);
        rows.truncate(usize::from(limit));
        let next_cursor = rows.last().filter(|_| more).map(|row| {
            let place = Place {
                key: row.place,
                id: row.id,
            };
            place.to_string()
        });
        Ok(Discovered {
            items: rows.into_iter().map(preview_of).collect(),
            next_cursor,
        })
    }

    /// A community as its members see it from outside; others only when it is public.
    pub async fn preview(&self, caller: &Caller, id: CommunityId) -> Result<CommunityPreview> {
        let own = members::list_members_by_ids(&self.db, id, &[caller.user]).await?;
        if own.is_empty() && !discovery::is_discoverable(&self.db, id).await? {
            return Err(Error::UnknownCommunity);
        }
        let row = communities::find_community(&self.db, id).await?;
        let mut preview = row.map(preview).ok_or(Error::UnknownCommunity)?;
        let rows = emojis::list_emojis(&self.db, &[id]).await?;
        preview.emojis = crate::emojis::objects(&rows);
        Ok(preview)
    }

    /// Joins a public community.
    pub async fn join_public(&self, caller: &Caller, id: CommunityId) -> Result<JoinedPublic> {
        let mut guild = self.preview(caller, id).await?;
        let entered = self.enter(caller, id, crate::joining::Door::Public).await?;
        if let Some(member_count) = entered {
            guild.approximate_member_count = member_count;
        }
        Ok(JoinedPublic {
            guild,
            new_member: entered.is_some(),
        })
    }

    /// Brings the order by members up to date.
    pub async fn recount_public(&self) -> std::result::Result<String, kernel::Failure> {
        let changed = discovery::recount(&self.db).await?;
        Ok(format!("{changed} public communities have another size"))
    }
}

/// Lists a community as its settings say, or takes it off the list.
pub(crate) async fn relist(change: &Change<'_>) -> Result<()> {
    let row = &change.community;
    let settings = CommunitySettings::of(row);
    if !settings.discoverable {
        discovery::delete_discoverable(&change.tx, row.id).await?;
        return Ok(());
    }
    let description = settings.description.as_deref().unwrap_or_default();
    let text = format!("{} {} {description}", row.name, settings.tags.join(" "));
    let mut words = tr::words(&text);
    words.sort_unstable();
    words.dedup();
    let listing = Listing {
        community: row.id,
        language: &language(&settings.preferred_locale),
        words: &words,
        member_count: row.member_count,
        at: change.at,
    };
    discovery::put_discoverable(&change.tx, listing).await?;
    Ok(())
}

fn preview_of(found: FoundRow) -> CommunityPreview {
    of_parts(
        found.id,
        found.name,
        found.icon,
        &found.settings,
        found.member_count,
    )
}

fn preview(row: CommunityRow) -> CommunityPreview {
    of_parts(row.id, row.name, row.icon, &row.settings, row.member_count)
}

fn of_parts(
    id: CommunityId,
    name: String,
    icon: Option<String>,
    settings: &serde_json::Value,
    member_count: i32,
) -> CommunityPreview {
    let settings = CommunitySettings::read(settings);
    CommunityPreview {
        id,
        name,
        icon,
        splash: None,
        discovery_splash: None,
        features: settings.features(),
        description: settings.description,
        tags: settings.tags,
        preferred_locale: settings.preferred_locale,
        verification_level: settings.verification_level,
        emojis: Vec::new(),
        stickers: Vec::new(),
        approximate_member_count: member_count,
        approximate_presence_count: None,
    }
}

fn language(tag: &str) -> String {
    let first = tag.split(['-', '_']).next().unwrap_or_default();
    first.to_ascii_lowercase()
}

/// The text search query for words that must all begin a word of the community.
fn sought(text: &str) -> Result<Option<String>> {
    let refuse = |detail: &str| Err(Error::field("?query", "TOO_LONG", detail));
    if text.chars().count() > MAX_QUERY {
        return refuse("must have at most 100 characters");
    }
    let words = tr::words(text);
    if words.len() > MAX_WORDS {
        return refuse("must have at most 10 words");
    }
    if words.is_empty() {
        return Ok(None);
    }
    // Words are letters and digits alone, so that quoting them is enough.
    let terms: Vec<String> = words.iter().map(|word| format!("'{word}':*")).collect();
    Ok(Some(terms.join(" & ")))
}

/// Where a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    key: i64,
    id: CommunityId,
}

impl Place {
    /// Above everything: PostgreSQL and jiff know this moment too.
    const TOP: Place = Place {
        key: 253_402_207_200_000_000,
        id: CommunityId::new(i64::MAX),
    };

    fn read(text: &str) -> Result<Place> {
        let raw = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        let parts: Option<([u8; 8], [u8; 8])> = raw
            .split_at_checked(8)
            .and_then(|(key, id)| Some((key.try_into().ok()?, id.try_into().ok()?)));
        let Some((key, id)) = parts else {
            return Err(not_a_cursor());
        };
        Ok(Place {
            key: i64::from_be_bytes(key),
            id: CommunityId::new(i64::from_be_bytes(id)),
        })
    }

    fn moment(self) -> Result<Timestamp> {
        let at = Timestamp::from_microsecond(self.key);
        at.ok().ok_or_else(not_a_cursor)
    }
}

fn not_a_cursor() -> Error {
    let detail = "not a cursor of this list; leave it out to begin at the start";
    Error::field("?cursor", "INVALID", detail)
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut raw = self.key.to_be_bytes().to_vec();
        raw.extend(self.id.get().to_be_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(raw))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sought_is_folded_quoted_and_bounded() {
        assert_eq!(
            sought("Oto PAZARI'").unwrap().as_deref(),
            Some("'oto':* & 'pazari':*")
        );
        assert_eq!(sought("  & | ! \\").unwrap(), None);
        assert!(sought(&"ş".repeat(100)).is_ok());
        assert!(sought(&"ş".repeat(101)).is_err());
        assert!(sought(&["a"; 10].join(" ")).is_ok());
        assert!(sought(&["a"; 11].join(" ")).is_err());
    }

    #[test]
    fn cursors_go_out_and_come_back() {
        let place = Place {
            key: -5,
            id: CommunityId::new(7),
        };
        assert_eq!(Place::read(&place.to_string()).unwrap(), place);
        for bad in ["", "x", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert!(Place::read(bad).is_err(), "{bad}");
        }
        assert!(Place::TOP.moment().is_ok());
        let far = Place {
            key: i64::MAX,
            ..place
        };
        assert!(far.moment().is_err());
    }
}
