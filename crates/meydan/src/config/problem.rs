//! What can be wrong with the settings, and how it is told: all at once, with place and code.

use std::fmt;

use super::origin::Origin;

/// Stable codes; their meaning never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    UnknownKey,
    UnknownEnv,
    BadValue,
    Syntax,
    Unreadable,
    AliasConflict,
    SecretTwice,
    SecretInSet,
    SecretFile,
    UnsetVariable,
    Combination,
    SecretShort,
    DevMode,
    EmailVerification,
    ProdSecret,
    ProdCors,
    ProdBind,
    ProdPublicUrl,
    ProdOps,
    ProdDataDir,
    InternalBind,
    Demo,
}

impl Code {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 22] = [
        Self::UnknownKey,
        Self::UnknownEnv,
        Self::BadValue,
        Self::Syntax,
        Self::Unreadable,
        Self::AliasConflict,
        Self::SecretTwice,
        Self::SecretInSet,
        Self::SecretFile,
        Self::UnsetVariable,
        Self::Combination,
        Self::SecretShort,
        Self::DevMode,
        Self::EmailVerification,
        Self::ProdSecret,
        Self::ProdCors,
        Self::ProdBind,
        Self::ProdPublicUrl,
        Self::ProdOps,
        Self::ProdDataDir,
        Self::InternalBind,
        Self::Demo,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::UnknownKey => "config.unknown_key",
            Self::UnknownEnv => "config.unknown_env",
            Self::BadValue => "config.bad_value",
            Self::Syntax => "config.syntax",
            Self::Unreadable => "config.unreadable",
            Self::AliasConflict => "config.alias_conflict",
            Self::SecretTwice => "config.secret_twice",
            Self::SecretInSet => "config.secret_in_set",
            Self::SecretFile => "config.secret_file",
            Self::UnsetVariable => "config.unset_variable",
            Self::Combination => "config.combination",
            Self::SecretShort => "config.secret_short",
            Self::DevMode => "config.dev_mode",
            Self::EmailVerification => "config.email_verification",
            Self::ProdSecret => "config.prod_secret",
            Self::ProdCors => "config.prod_cors",
            Self::ProdBind => "config.prod_bind",
            Self::ProdPublicUrl => "config.prod_public_url",
            Self::ProdOps => "config.prod_ops",
            Self::ProdDataDir => "config.prod_data_dir",
            Self::InternalBind => "config.internal_bind",
            Self::Demo => "config.demo",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) place: Origin,
    pub(crate) message: String,
    pub(crate) code: Code,
}

impl Problem {
    pub(crate) fn new(place: Origin, code: Code, message: impl Into<String>) -> Self {
        Self {
            place,
            message: message.into(),
            code,
        }
    }
}

/// All that is wrong; never empty.
#[derive(Debug, thiserror::Error)]
pub(crate) struct Report {
    pub(crate) problems: Vec<Problem>,
}

/// A message this long gets its code on the next column anyway, without padding all others.
const WIDEST_MESSAGE: usize = 90;

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: Vec<String> = self
            .problems
            .iter()
            .map(|problem| problem.place.to_string())
            .collect();
        let width = |text: &str| text.chars().count();
        let place_width = places.iter().map(|place| width(place)).max().unwrap_or(0);
        let message_width = self
            .problems
            .iter()
            .map(|problem| width(&problem.message))
            .filter(|width| *width <= WIDEST_MESSAGE)
            .max()
            .unwrap_or(0);
        for (problem, place) in self.problems.iter().zip(&places) {
            let code = problem.code.as_str();
            let message = &problem.message;
            writeln!(
                formatter,
                "{place:place_width$}   {message:message_width$}   [{code}]"
            )?;
        }
        let count = self.problems.len();
        let noun = if count == 1 { "error" } else { "errors" };
        write!(formatter, "{count} {noun}; nothing was started")
    }
}

/// Finds what somebody probably meant: the nearest candidate at an edit distance of at most 2.
pub(crate) fn suggest<'a>(
    typed: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let distance = edit_distance(typed, candidate);
            // Two edits turn any three letters into most others: short names must be nearer.
            let allowed = if typed.chars().count() <= 3 { 1 } else { 2 };
            (distance <= allowed).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours, one each.
fn edit_distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, &from) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &to) in right.iter().enumerate() {
            let replace = at(&last, j) + usize::from(from != to);
            let mut best = replace.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped =
                i > 0 && j > 0 && left.get(i - 1) == Some(&to) && right.get(j - 1) == Some(&from);
            if swapped {
                best = best.min(at(&before_last, j - 1) + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    at(&last, right.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_and_swaps_of_neighbours_count_one_each() {
        for (left, right, distance) in [
            ("", "", 0),
            ("port", "port", 0),
            ("prot", "port", 1),
            ("port", "ports", 1),
            ("port", "", 4),
            ("max_conections", "max_connections", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(edit_distance(left, right), distance, "{left} {right}");
            assert_eq!(edit_distance(right, left), distance, "{right} {left}");
        }
    }

    #[test]
    fn suggestions_stop_after_two_edits() {
        let keys = ["http.port", "http.listen", "log.level"];
        assert_eq!(suggest("http.prot", keys), Some("http.port"));
        assert_eq!(suggest("htp.prot", keys), Some("http.port"));
        assert_eq!(suggest("htpp.prot", keys), Some("http.port"));
        assert_eq!(suggest("htpx.prto", keys), None);
    }

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Code::ALL.len());
    }
}
