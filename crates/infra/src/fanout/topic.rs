use std::fmt;
use std::str::FromStr;

use kernel::{ChannelId, CommunityId, UserId};

use super::FanoutError;

/// Where a record is published.
///
/// Written as `c:{community}`, `r:{channel}`, `u:{user}` and `identity.revoked`; networked adapters
/// use these texts as names on their server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// All that happens in a community, its channels included.
    Community(CommunityId),
    /// A channel outside communities: DM, group, private thread, deal room.
    Channel(ChannelId),
    /// What concerns one user on all devices.
    User(UserId),
    /// Revoked devices and tokens; every node follows it.
    Revoked,
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Community(id) => write!(f, "c:{id}"),
            Self::Channel(id) => write!(f, "r:{id}"),
            Self::User(id) => write!(f, "u:{id}"),
            Self::Revoked => f.write_str("identity.revoked"),
        }
    }
}

impl FromStr for Topic {
    type Err = FanoutError;

    fn from_str(text: &str) -> Result<Self, FanoutError> {
        let parsed = match text.split_once(':') {
            Some(("c", id)) => id.parse().ok().map(Self::Community),
            Some(("r", id)) => id.parse().ok().map(Self::Channel),
            Some(("u", id)) => id.parse().ok().map(Self::User),
            Some(_) => None,
            None => (text == "identity.revoked").then_some(Self::Revoked),
        };
        // One topic, one text: "c:+1" or "c:01" would be a second name on a server.
        parsed
            .filter(|topic| topic.to_string() == text)
            .ok_or_else(|| FanoutError::UnknownTopic {
                text: text.chars().take(64).collect(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_texts_parse_back() {
        let topics = [
            (Topic::Community(CommunityId::new(1)), "c:1"),
            (Topic::Channel(ChannelId::new(2)), "r:2"),
            (Topic::User(UserId::new(i64::MAX)), "u:9223372036854775807"),
            (Topic::Revoked, "identity.revoked"),
        ];
        for (topic, text) in topics {
            assert_eq!(topic.to_string(), text);
            assert_eq!(text.parse::<Topic>().unwrap(), topic);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "c",
            "c:",
            "x:1",
            "c:01",
            "c:+1",
            "c: 1",
            "c:1 ",
            "c:9223372036854775808",
        ] {
            let error = text.parse::<Topic>().unwrap_err();
            assert!(
                matches!(error, FanoutError::UnknownTopic { .. }),
                "{text:?}: {error}"
            );
        }
    }

    #[test]
    fn the_error_quotes_at_most_64_characters() {
        let error = "ü".repeat(65).parse::<Topic>().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("parse {:?} as fanout topic", "ü".repeat(64))
        );
    }
}
