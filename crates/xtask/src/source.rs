//! A scanner for Rust text that tells code, strings and comments apart.
//!
//! The rules need no syntax tree; they need not to be fooled by a word in a string or a comment.

/// A scanned Rust file.
#[derive(Debug)]
pub(crate) struct Source {
    /// The text with comments and the contents of strings blanked; lines and offsets are kept.
    pub(crate) code: String,
    pub(crate) strings: Vec<Piece>,
    pub(crate) comments: Vec<Piece>,
    /// Where the module of unit tests at the foot begins.
    tests_from: usize,
}

/// A string or a comment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) offset: usize,
    pub(crate) line: usize,
    /// As written, without quotes; escapes stay.
    pub(crate) text: String,
}

/// A word, or one other visible character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) offset: usize,
    pub(crate) text: &'a str,
}

impl Source {
    pub(crate) fn scan(text: &str) -> Self {
        let mut scanner = Scanner {
            rest: text,
            line: 1,
            code: String::with_capacity(text.len()),
            strings: Vec::new(),
            comments: Vec::new(),
        };
        while !scanner.rest.is_empty() {
            scanner.step();
        }
        let tests_from = foot_tests(&scanner.code).unwrap_or(usize::MAX);
        let Scanner {
            code,
            strings,
            comments,
            ..
        } = scanner;
        Self {
            code,
            strings,
            comments,
            tests_from,
        }
    }

    pub(crate) fn line_at(&self, offset: usize) -> usize {
        line_at(&self.code, offset)
    }

    /// Whether the offset lies in the unit tests at the foot of the file.
    pub(crate) fn in_tests(&self, offset: usize) -> bool {
        offset >= self.tests_from
    }

    pub(crate) fn tokens(&self) -> Vec<Token<'_>> {
        tokens(&self.code)
    }

    /// Every place of `needle` in the code, as a line.
    pub(crate) fn lines_with(&self, needle: &str) -> Vec<usize> {
        self.code
            .match_indices(needle)
            .map(|(offset, _)| self.line_at(offset))
            .collect()
    }
}

pub(crate) fn line_at(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

/// Splits into words and single characters, blanks left out.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut offset = 0;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        let length = if word == 0 { first.len_utf8() } else { word };
        let Some((token, after)) = rest.split_at_checked(length) else {
            break;
        };
        if !first.is_whitespace() {
            tokens.push(Token {
                offset,
                text: token,
            });
        }
        offset += length;
        rest = after;
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The offset of the last `#[cfg(test)]` that stands before a `mod … {`.
fn foot_tests(code: &str) -> Option<usize> {
    code.rmatch_indices("#[cfg(test)]")
        .map(|(offset, _)| offset)
        .find(|offset| {
            let after = code.get(*offset..).unwrap_or_default();
            let after = after.trim_start_matches("#[cfg(test)]").trim_start();
            let (head, opens) = match after.find(['{', ';']) {
                Some(end) => (after.get(..end).unwrap_or_default(), after.get(end..)),
                None => return false,
            };
            head.starts_with("mod ") && opens.is_some_and(|body| body.starts_with('{'))
        })
}

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
    code: String,
    strings: Vec<Piece>,
    comments: Vec<Piece>,
}

impl<'a> Scanner<'a> {
    fn step(&mut self) {
        if self.rest.starts_with("//") {
            let length = self.rest.find('\n').unwrap_or(self.rest.len());
            let comment = self.blank(length);
            self.comments.push(comment);
        } else if self.rest.starts_with("/*") {
            let length = block_comment(self.rest);
            let comment = self.blank(length);
            self.comments.push(comment);
        } else if let Some((open, hashes)) = raw_string(self.rest) {
            self.raw(open, hashes);
        } else if self.rest.starts_with('"') {
            self.string();
        } else if let Some(length) = character(self.rest) {
            self.blank(length);
        } else {
            // A word goes as a whole, so that the r of `for"` is not taken for a raw string.
            let word = self
                .rest
                .find(|c: char| !is_word(c))
                .unwrap_or(self.rest.len());
            let prefix = self.rest.get(..word).unwrap_or_default();
            let is_prefix = matches!(prefix, "b" | "c" | "br" | "cr" | "r");
            let one = self.rest.chars().next().map_or(1, char::len_utf8);
            self.keep(if word == 0 || is_prefix { one } else { word });
        }
    }

    fn string(&mut self) {
        self.keep(1);
        let mut escaped = false;
        let end = self.rest.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let piece = self.blank(end.unwrap_or(self.rest.len()));
        self.strings.push(piece);
        self.keep(1);
    }

    fn raw(&mut self, open: usize, hashes: usize) {
        self.keep(open);
        let close = format!("\"{}", "#".repeat(hashes));
        let piece = self.blank(self.rest.find(&close).unwrap_or(self.rest.len()));
        self.strings.push(piece);
        self.keep(close.len());
    }

    fn keep(&mut self, length: usize) {
        let taken = self.take(length);
        self.code.push_str(taken);
    }

    fn blank(&mut self, length: usize) -> Piece {
        let (offset, line) = (self.code.len(), self.line);
        let taken = self.take(length).to_owned();
        for byte in taken.bytes() {
            self.code.push(if byte == b'\n' { '\n' } else { ' ' });
        }
        Piece {
            offset,
            line,
            text: taken,
        }
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, ""));
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }
}

/// The length of a block comment, which may hold others.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut last = ' ';
    for (offset, c) in text.char_indices() {
        match (last, c) {
            ('/', '*') => depth += 1,
            ('*', '/') if depth == 1 => return offset + 1,
            ('*', '/') => depth = depth.saturating_sub(1),
            _ => {
                last = c;
                continue;
            }
        }
        // Neither sign of a pair may begin the next one.
        last = ' ';
    }
    text.len()
}

/// The length of `r##"` and the number of its hashes, if a raw string begins here.
fn raw_string(text: &str) -> Option<(usize, usize)> {
    let after = text
        .strip_prefix(['b', 'c'])
        .unwrap_or(text)
        .strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let opened = after.trim_start_matches('#').strip_prefix('"')?;
    Some((text.len() - opened.len(), hashes))
}

/// The length of a character literal; `None` for a lifetime.
fn character(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    let length = match inner.strip_prefix('\\') {
        // At least one character after the backslash, which may be a quote.
        Some(escaped) => {
            let first = escaped.chars().next()?.len_utf8();
            1 + first + escaped.get(first..)?.find('\'')?
        }
        None => {
            let first = inner.chars().next()?.len_utf8();
            inner.get(first..)?.starts_with('\'').then_some(first)?
        }
    };
    Some(length + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(text: &str) -> Vec<String> {
        Source::scan(text)
            .strings
            .into_iter()
            .map(|piece| piece.text)
            .collect()
    }

    #[test]
    fn strings_and_comments_are_blanked_and_lines_kept() {
        let text = "let a = \"x // \\\" y\";\n// \"no\"\nlet b = 1; /* a /* b */ c\n */ d";
        let source = Source::scan(text);
        assert_eq!(source.code.len(), text.len());
        assert_eq!(source.code.matches('\n').count(), 3);
        assert!(source.code.contains("let b = 1;") && source.code.ends_with(" d"));
        assert!(!source.code.contains("no") && !source.code.contains('x'));
        assert_eq!(source.strings[0].text, "x // \\\" y");
        assert_eq!(source.comments.len(), 2);
        assert_eq!(source.comments[1].line, 3);
    }

    #[test]
    fn raw_and_byte_strings_are_strings() {
        assert_eq!(strings("r#\"a \"b\" c\"#"), ["a \"b\" c"]);
        assert_eq!(strings("b\"x\" br\"y\" c\"z\" \"\""), ["x", "y", "z", ""]);
        assert_eq!(strings("for\"a\""), ["a"]);
    }

    #[test]
    fn quotes_in_characters_open_no_string() {
        assert_eq!(
            strings("'\"' '\\'' '\\\\' b'\"' fn f<'a>(x: &'a str) -> \"s\""),
            ["s"]
        );
        assert_eq!(strings("'\\u{1F600}' 'ü' \"s\""), ["s"]);
    }

    #[test]
    fn the_tests_at_the_foot_are_known() {
        let source = Source::scan("fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\n");
        assert!(!source.in_tests(3));
        assert!(source.in_tests(source.code.find("fn b").unwrap()));
        let source = Source::scan("#[cfg(test)]\nmod tests;\nfn a() {}\n");
        assert!(!source.in_tests(source.code.len()));
    }

    #[test]
    fn tokens_are_words_and_single_characters() {
        let texts: Vec<&str> = tokens("a::b_1 = ü")
            .iter()
            .map(|token| token.text)
            .collect();
        assert_eq!(texts, ["a", ":", ":", "b_1", "=", "ü"]);
    }
}
