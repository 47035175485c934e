//! Who and what a text mentions. Pure.

use kernel::{RoleId, UserId};
use serde::Deserialize;

/// Most users, and most roles, that one message can mention.
pub(crate) const MAX_MENTIONS: usize = 100;

/// What may be mentioned, as the sender wishes; without it everything may.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
pub struct AllowedMentions {
    /// Kinds whose mentions in the text count: `users`, `roles`, `everyone`.
    pub parse: Option<Vec<String>>,
    /// Users whose mentions count; not together with the kind.
    pub users: Option<Vec<UserId>>,
    /// Roles whose mentions count; not together with the kind.
    pub roles: Option<Vec<RoleId>>,
    /// Whether a reply mentions the author it answers; yes unless false.
    pub replied_user: Option<bool>,
}

impl AllowedMentions {
    fn parses(&self, kind: &str) -> bool {
        self.parse.iter().flatten().any(|name| name == kind)
    }

    /// What contradicts itself, as (field, what is wrong).
    pub(crate) fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        if self
            .users
            .as_ref()
            .is_some_and(|ids| ids.len() > MAX_MENTIONS)
        {
            return Some(("users", "at most 100 users"));
        }
        if self
            .roles
            .as_ref()
            .is_some_and(|ids| ids.len() > MAX_MENTIONS)
        {
            return Some(("roles", "at most 100 roles"));
        }
        if self.parses("users") && self.users.as_ref().is_some_and(|ids| !ids.is_empty()) {
            return Some(("users", "mutually exclusive with parse: [\"users\"]"));
        }
        if self.parses("roles") && self.roles.as_ref().is_some_and(|ids| !ids.is_empty()) {
            return Some(("roles", "mutually exclusive with parse: [\"roles\"]"));
        }
        None
    }

    /// Whether a reply mentions the answered author.
    pub(crate) fn mentions_replied(&self) -> bool {
        self.replied_user != Some(false)
    }
}

/// What a text mentions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mentions {
    pub(crate) users: Vec<UserId>,
    pub(crate) roles: Vec<RoleId>,
    pub(crate) everyone: bool,
}

/// Finds `<@id>`, `<@!id>`, `<@&id>`, `@everyone` and `@here`, each thing once, in the order of
/// the text.
pub(crate) fn find(text: &str) -> Mentions {
    let mut found = Mentions {
        everyone: text.contains("@everyone") || text.contains("@here"),
        ..Mentions::default()
    };
    for piece in text.split("<@").skip(1) {
        let Some((inner, _)) = piece.split_once('>') else {
            continue;
        };
        if let Some(role) = inner.strip_prefix('&') {
            if let Ok(role) = role.parse::<RoleId>() {
                add(&mut found.roles, role);
            }
        } else if let Ok(user) = inner.strip_prefix('!').unwrap_or(inner).parse::<UserId>() {
            add(&mut found.users, user);
        }
    }
    found
}

fn add<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if list.len() < MAX_MENTIONS && !list.contains(&item) {
        list.push(item);
    }
}

/// Keeps what the sender allows.
pub(crate) fn allow(mut found: Mentions, allowed: Option<&AllowedMentions>) -> Mentions {
    let Some(allowed) = allowed else { return found };
    if !allowed.parses("users") {
        found
            .users
            .retain(|user| allowed.users.iter().flatten().any(|one| one == user));
    }
    if !allowed.parses("roles") {
        found
            .roles
            .retain(|role| allowed.roles.iter().flatten().any(|one| one == role));
    }
    found.everyone &= allowed.parses("everyone");
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mentions(users: &[i64], roles: &[i64]) -> Mentions {
        Mentions {
            users: users.iter().map(|id| UserId::new(*id)).collect(),
            roles: roles.iter().map(|id| RoleId::new(*id)).collect(),
            everyone: false,
        }
    }

    fn and_everyone(users: &[i64], roles: &[i64]) -> Mentions {
        Mentions {
            everyone: true,
            ..mentions(users, roles)
        }
    }

    #[test]
    fn texts_and_what_they_mention() {
        for (text, expected) in [
            ("merhaba", mentions(&[], &[])),
            ("<@1> <@!2> <@1>", mentions(&[1, 2], &[])),
            ("<@&7>, <@8>", mentions(&[8], &[7])),
            ("hey @everyone", and_everyone(&[], &[])),
            ("hey @here", and_everyone(&[], &[])),
            ("<@> <@x> <@-1> <@1", mentions(&[], &[])),
            ("<@99999999999999999999>", mentions(&[], &[])),
            ("<@<@3>", mentions(&[3], &[])),
        ] {
            assert_eq!(find(text), expected, "{text}");
        }
    }

    #[test]
    fn a_hundred_and_no_more() {
        let text: String = (1..=101).map(|id| format!("<@{id}>")).collect();
        assert_eq!(find(&text).users.len(), MAX_MENTIONS);
    }

    #[test]
    fn what_is_allowed_stays() {
        let all = and_everyone(&[1, 2], &[7, 8]);
        let parse = |kinds: &[&str]| AllowedMentions {
            parse: Some(kinds.iter().map(|kind| (*kind).to_owned()).collect()),
            ..AllowedMentions::default()
        };
        assert_eq!(allow(all.clone(), None), all);
        assert_eq!(allow(all.clone(), Some(&parse(&[]))), mentions(&[], &[]));
        assert_eq!(
            allow(all.clone(), Some(&AllowedMentions::default())),
            mentions(&[], &[])
        );
        assert_eq!(
            allow(all.clone(), Some(&parse(&["users"]))),
            mentions(&[1, 2], &[])
        );
        assert_eq!(
            allow(all.clone(), Some(&parse(&["everyone", "roles"]))),
            and_everyone(&[], &[7, 8])
        );
        let listed = AllowedMentions {
            users: Some(vec![UserId::new(2), UserId::new(9)]),
            roles: Some(vec![RoleId::new(7)]),
            ..parse(&["everyone"])
        };
        assert_eq!(allow(all, Some(&listed)), and_everyone(&[2], &[7]));
        assert_eq!(listed.contradiction(), None);
        let both = AllowedMentions {
            users: listed.users,
            ..parse(&["users"])
        };
        assert_eq!(both.contradiction().map(|(field, _)| field), Some("users"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(<@|!|&|[0-9]{1,20}|>|@here|ğ|.){0,40}") {
            let found = find(&text);
            prop_assert!(found.users.len() <= MAX_MENTIONS);
        }
    }
}
