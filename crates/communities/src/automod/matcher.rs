//! Rules of automatic moderation, compiled: words, links and mentions. Pure.

use aho_corasick::AhoCorasick;
use kernel::tr;

/// What a rule looks for.
#[derive(Debug)]
pub(crate) enum Test {
    Words(Words),
    Links(Links),
    Mentions(usize),
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    /// The pattern, as the rule has it.
    pub(crate) keyword: Option<String>,
    /// The part of the text.
    pub(crate) content: Option<String>,
}

impl Test {
    /// Whether a text breaks the rule.
    pub(crate) fn find(&self, said: &Said<'_>) -> Option<Hit> {
        match self {
            Test::Words(words) => words.find(&said.folded),
            Test::Links(links) => links.find(said.text),
            Test::Mentions(most) => {
                let count = mentions(said.text);
                (count > *most).then(|| Hit {
                    keyword: None,
                    content: Some(format!("{count} mentions")),
                })
            }
        }
    }
}

/// A text that is judged, folded once for all rules.
pub(crate) struct Said<'a> {
    pub(crate) text: &'a str,
    pub(crate) folded: String,
}

impl<'a> Said<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Said {
            text,
            folded: folded(text),
        }
    }
}

/// Characters nobody sees would hide a word.
fn folded(text: &str) -> String {
    let seen = |char: &char| !matches!(char, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
    tr::fold(&text.chars().filter(seen).collect::<String>())
}

/// A word or phrase; `*` at an end lets the word go on there.
#[derive(Debug)]
struct Pattern {
    shown: String,
    open_start: bool,
    open_end: bool,
}

/// Words and phrases, all looked for in one pass.
#[derive(Debug)]
pub(crate) struct Words {
    refused: Set,
    allowed: Set,
}

impl Words {
    /// Nothing when the words are too many for one automaton; requests bound them far below.
    pub(crate) fn new(refused: &[String], allowed: &[String]) -> Option<Self> {
        Some(Words {
            refused: Set::new(refused)?,
            allowed: Set::new(allowed)?,
        })
    }

    fn find(&self, folded: &str) -> Option<Hit> {
        let allowed: Vec<(usize, usize)> = self
            .allowed
            .matches(folded)
            .map(|(_, start, end)| (start, end))
            .collect();
        let covered = |start: usize, end: usize| {
            allowed
                .iter()
                .any(|(from, to)| *from <= start && end <= *to)
        };
        let mut found = self.refused.matches(folded);
        let (pattern, start, end) = found.find(|(_, start, end)| !covered(*start, *end))?;
        Some(Hit {
            keyword: Some(pattern.shown.clone()),
            content: folded.get(start..end).map(str::to_owned),
        })
    }
}

#[derive(Debug)]
struct Set {
    patterns: Vec<Pattern>,
    automaton: AhoCorasick,
}

impl Set {
    fn new(texts: &[String]) -> Option<Self> {
        let mut cores = Vec::with_capacity(texts.len());
        let mut patterns = Vec::with_capacity(texts.len());
        for text in texts {
            let core = core(text);
            if core.is_empty() {
                continue;
            }
            cores.push(core);
            patterns.push(Pattern {
                shown: text.clone(),
                open_start: text.starts_with('*'),
                open_end: text.ends_with('*'),
            });
        }
        let automaton = AhoCorasick::new(&cores).ok()?;
        Some(Set {
            patterns,
            automaton,
        })
    }

    fn matches<'a>(
        &'a self,
        folded: &'a str,
    ) -> impl Iterator<Item = (&'a Pattern, usize, usize)> + 'a {
        self.automaton
            .find_overlapping_iter(folded)
            .filter_map(move |found| {
                let pattern = self.patterns.get(found.pattern().as_usize())?;
                let before = folded.get(..found.start())?.chars().next_back();
                let after = folded.get(found.end()..)?.chars().next();
                let ends = |char: Option<char>| !char.is_some_and(char::is_alphanumeric);
                let whole =
                    (pattern.open_start || ends(before)) && (pattern.open_end || ends(after));
                whole.then_some((pattern, found.start(), found.end()))
            })
    }
}

/// The folded text of a pattern without its stars.
pub(crate) fn core(pattern: &str) -> String {
    folded(pattern.trim_matches('*')).trim().to_owned()
}

/// Hosts that may or may not be linked to.
#[derive(Debug)]
pub(crate) struct Links {
    /// `*` = all.
    pub(crate) refused: Vec<String>,
    pub(crate) allowed: Vec<String>,
}

impl Links {
    fn find(&self, text: &str) -> Option<Hit> {
        let of = |list: &[String], host: &str| {
            let found = list.iter().find(|domain| is_within(host, domain));
            found.cloned()
        };
        for (host, certain) in hosts(text) {
            let named = of(&self.refused, &host);
            let star = self.refused.iter().find(|domain| *domain == "*").cloned();
            let keyword = named.or(star.filter(|_| certain));
            if keyword.is_some() && of(&self.allowed, &host).is_none() {
                return Some(Hit {
                    keyword,
                    content: Some(host),
                });
            }
        }
        None
    }
}

fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Hosts a text links to, and whether it is certain that a link is meant: `a.b` alone may be the end
/// of one sentence and the beginning of the next.
fn hosts(text: &str) -> Vec<(String, bool)> {
    let apart = |char: char| char.is_whitespace() || "<>()[]{}\"'`|,;*".contains(char);
    let mut found = Vec::new();
    for token in text.split(apart).filter(|token| !token.is_empty()) {
        if let Some((_, rest)) = token.split_once("://") {
            found.extend(host(rest).map(|host| (host, true)));
            continue;
        }
        let Some(host) = host(token).filter(|host| looks_like_host(host)) else {
            continue;
        };
        let certain = host.starts_with("www.") || token.contains('/');
        found.push((host, certain));
    }
    found
}

/// The host at the beginning of what follows a scheme, in lower case.
fn host(rest: &str) -> Option<String> {
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = host.split(':').next()?.trim_end_matches('.');
    (!host.is_empty()).then(|| host.to_lowercase())
}

fn looks_like_host(host: &str) -> bool {
    let labels: Vec<&str> = host.split('.').collect();
    let plain = |label: &&str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let ending = labels.last().copied().unwrap_or_default();
    labels.len() >= 2
        && labels.iter().all(plain)
        && ending.len() >= 2
        && ending.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// How many different users and roles a text mentions; everyone counts as one.
fn mentions(text: &str) -> usize {
    let mut named: Vec<&str> = Vec::new();
    for part in text.split('<').skip(1) {
        let Some((inner, _)) = part.split_once('>') else {
            continue;
        };
        let Some(rest) = inner.strip_prefix('@') else {
            continue;
        };
        let id = rest.trim_start_matches(['!', '&']);
        if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) {
            named.push(id);
        }
    }
    named.sort_unstable();
    named.dedup();
    let everyone = text.contains("@everyone") || text.contains("@here");
    named.len() + usize::from(everyone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(refused: &[&str], allowed: &[&str]) -> Words {
        let own = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        Words::new(&own(refused), &own(allowed)).unwrap()
    }

    #[test]
    fn words_are_found_whole_folded_and_by_wildcard() {
        for (pattern, text, found) in [
            ("küfür", "bu bir KÜFÜR!", true),
            ("küfür", "kufur", true),
            ("küfür", "küfürbaz", false),
            ("küfür*", "küfürbaz", true),
            ("*küfür", "önküfür", true),
            ("*küfür", "küfürbaz", false),
            ("*fü*", "küfürbaz", true),
            ("ışık hızı", "ISIK HIZI nedir", true),
            ("ışık hızı", "ışık hızında", false),
            ("kötü", "kö\u{200b}tü", true),
            ("kötü", "ko\u{308}tu\u{308}", true),
            ("a", "b a c", true),
            ("a", "bac", false),
            ("c++", "c++ dili", true),
        ] {
            let said = Said::new(text);
            let hit = Test::Words(words(&[pattern], &[])).find(&said);
            assert_eq!(hit.is_some(), found, "{pattern} in {text}");
        }
    }

    #[test]
    fn what_is_allowed_covers_what_is_refused() {
        let words = words(&["*bad*", "worse"], &["badminton"]);
        let find = |text: &str| words.find(&folded(text)).map(|hit| hit.keyword.unwrap());
        assert_eq!(find("badminton"), None);
        assert_eq!(find("badminton bad"), Some("*bad*".to_owned()));
        assert_eq!(find("badminton worse"), Some("worse".to_owned()));
        assert_eq!(find("nothing"), None);
    }

    #[test]
    fn a_thousand_words_are_one_pass_and_none_finds_nothing() {
        let many: Vec<String> = (0..1_000).map(|at| format!("*kelime{at}x*")).collect();
        let words = Words::new(&many, &[]).unwrap();
        assert!(words.find("bir kelime999x daha").is_some());
        assert!(words.find("bir kelime daha").is_none());
        assert!(Words::new(&[], &[]).unwrap().find("x").is_none());
    }

    #[test]
    fn links_are_judged_by_their_host() {
        let links = |refused: &[&str], allowed: &[&str]| {
            let own = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
            Links {
                refused: own(refused),
                allowed: own(allowed),
            }
        };
        let all = links(&["*"], &["meydan.test"]);
        for (text, found) in [
            ("https://evil.example/x", true),
            ("HTTPS://Evil.Example", true),
            ("http://user@evil.example:8080/", true),
            ("<https://evil.example>", true),
            ("[x](https://evil.example)", true),
            ("www.evil.example", true),
            ("evil.example/x", true),
            ("bitti.yeni", false),
            ("https://meydan.test/a", false),
            ("https://www.meydan.test", false),
            ("https://notmeydan.test", true),
            ("https://meydan.test@evil.example", true),
            ("https://meydan.test\\@evil.example", false),
            ("no link", false),
            ("3.5 a.b c..d", false),
        ] {
            assert_eq!(all.find(text).is_some(), found, "{text}");
        }
        let some = links(&["evil.example"], &[]);
        for (text, found) in [
            ("see evil.example", true),
            ("https://a.evil.example", true),
            ("https://good.example", false),
            ("notevil.example", false),
        ] {
            assert_eq!(some.find(text).is_some(), found, "{text}");
        }
    }

    #[test]
    fn mentions_are_counted_once_each() {
        for (text, count) in [
            ("", 0),
            ("<@1> <@!1> <@2>", 2),
            ("<@&3> @everyone @here", 2),
            ("<@x> <@> <#1> <@1", 0),
        ] {
            assert_eq!(mentions(text), count, "{text}");
        }
        let said = Said::new("<@1><@2>");
        assert!(Test::Mentions(2).find(&said).is_none());
        assert!(Test::Mentions(1).find(&said).is_some());
    }
}
