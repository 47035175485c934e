//! The links of a text. Pure.

use infra::outbound::Url;

/// Most links of a message that are looked at.
pub(crate) const MAX_LINKS: usize = 3;
/// Longest link.
const MAX_BYTES: usize = 2_048;

/// Finds the first links of a text, each once: none in code, in a spoiler or between `<` and `>`,
/// which is how an author says that none is wanted.
pub(crate) fn find(content: &str) -> Vec<String> {
    let mut links: Vec<String> = Vec::new();
    // Every second part stands between marks of code.
    for (at, part) in content.split('`').enumerate() {
        if at % 2 == 0 {
            find_in(part, &mut links);
        }
    }
    links
}

fn find_in(text: &str, links: &mut Vec<String>) {
    let mut rest = text;
    while let Some(at) = rest.find("http") {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        let end = from.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '|'));
        let (link, after) = from
            .split_at_checked(end.unwrap_or(from.len()))
            .unwrap_or((from, ""));
        let is_hidden = before.ends_with("||") || (before.ends_with('<') && after.starts_with('>'));
        if let (false, Some(link)) = (is_hidden, read(trim(link)))
            && links.len() < MAX_LINKS
            && !links.contains(&link)
        {
            links.push(link);
        }
        rest = after;
    }
}

/// Leaves out what ends the sentence and not the link.
fn trim(link: &str) -> &str {
    let trimmed = link.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_', '~']);
    let opened = trimmed.matches('(').count();
    let closed = trimmed.matches(')').count();
    match trimmed.strip_suffix(')') {
        Some(inner) if closed > opened => trim(inner),
        _ => trimmed,
    }
}

fn read(link: &str) -> Option<String> {
    let is_web = link.starts_with("https://") || link.starts_with("http://");
    if !is_web || link.len() > MAX_BYTES {
        return None;
    }
    let url = Url::parse(link).ok()?;
    url.host_str()?;
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_texts() {
        let a = "https://a.example/";
        for (text, expected) in [
            ("", vec![]),
            ("bak: https://a.example", vec![a]),
            (
                "https://a.example/x?y=1#z ve",
                vec!["https://a.example/x?y=1#z"],
            ),
            ("(https://a.example/)", vec![a]),
            ("https://a.example/a_(b).", vec!["https://a.example/a_(b)"]),
            ("**https://a.example/**!", vec![a]),
            ("http://127.0.0.1:80/x", vec!["http://127.0.0.1/x"]),
            ("https://a.example/ https://a.example", vec![a]),
            ("<https://a.example/>", vec![]),
            ("<https://a.example/> https://a.example/", vec![a]),
            ("||https://a.example/||", vec![]),
            ("`https://a.example/`", vec![]),
            ("```\nhttps://a.example/\n``` https://a.example/", vec![a]),
            ("httpx://a.example http https://", vec![]),
            ("ftp://a.example javascript:http", vec![]),
            ("[ad](https://a.example/)", vec![a]),
            ("şhttps://a.example/ş", vec!["https://a.example/%C5%9F"]),
        ] {
            assert_eq!(find(text), expected, "{text}");
        }
    }

    #[test]
    fn the_first_three_and_none_too_long() {
        let many: String = (0..5).map(|n| format!("https://a.example/{n} ")).collect();
        let expected: Vec<String> = (0..3).map(|n| format!("https://a.example/{n}")).collect();
        assert_eq!(find(&many), expected);
        let host = "https://a.example/";
        let longest = format!("{host}{}", "a".repeat(MAX_BYTES - host.len()));
        assert_eq!(find(&longest), std::slice::from_ref(&longest));
        assert!(find(&format!("{longest}a")).is_empty());
    }
}
