//! Reading one TOML file into flat settings with their places.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml_edit::{Document, Item, TableLike, Value};

use super::layer::{Catalogue, Found, Layer, Target};
use super::origin::Origin;
use super::problem::{Code, Problem};
use super::value::Raw;

/// Looks up a variable for `${NAME}`.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads the text of one file; what is wrong goes to `problems`.
pub(crate) fn read(
    path: &Path,
    text: &str,
    catalogue: &Catalogue,
    variables: Lookup<'_>,
    problems: &mut Vec<Problem>,
) -> Layer {
    let mut reader = Reader {
        path: path.to_owned(),
        text,
        catalogue,
        variables,
        problems,
        layer: Layer::default(),
    };
    match Document::parse(text) {
        Ok(document) => reader.table("", document.as_table()),
        Err(error) => {
            let place = reader.place(error.span());
            // Only the description: the rest of the error quotes the line, and the line may hold
            // a secret.
            let message = error
                .message()
                .lines()
                .next()
                .unwrap_or("not valid TOML")
                .to_owned();
            reader
                .problems
                .push(Problem::new(place, Code::Syntax, message));
        }
    }
    reader.layer
}

struct Reader<'a> {
    path: PathBuf,
    text: &'a str,
    catalogue: &'a Catalogue,
    variables: Lookup<'a>,
    problems: &'a mut Vec<Problem>,
    layer: Layer,
}

impl Reader<'_> {
    fn table(&mut self, prefix: &str, table: &dyn TableLike) {
        for (name, item) in table.iter() {
            let key = format!("{prefix}{name}");
            let span = table
                .get_key_value(name)
                .and_then(|(key, _)| key.span())
                .or_else(|| item.span());
            match self.catalogue.find(&key) {
                Some(target) => self.leaf(&target, item, span),
                None if self.catalogue.is_section(&key) => self.section(&key, item, span),
                None => self.unknown(&key, span),
            }
        }
    }

    fn section(&mut self, key: &str, item: &Item, span: Option<Range<usize>>) {
        if let Some(table) = item.as_table_like() {
            self.table(&format!("{key}."), table);
            return;
        }
        let message = format!("{key}: expected a table of settings");
        self.problems
            .push(Problem::new(self.place(span), Code::BadValue, message));
    }

    fn unknown(&mut self, key: &str, span: Option<Range<usize>>) {
        let mut message = format!("unknown key \"{key}\"");
        if let Some(near) = self.catalogue.suggest_key(key) {
            message.push_str(&format!("; did you mean \"{near}\"?"));
        }
        self.problems
            .push(Problem::new(self.place(span), Code::UnknownKey, message));
    }

    fn leaf(&mut self, target: &Target, item: &Item, key_span: Option<Range<usize>>) {
        let place = self.place(item.span().or(key_span));
        let written = raw_item(item);
        let raw = match expand(&written, self.variables) {
            Ok(raw) => raw,
            Err(problem) => {
                let message = format!("{}: {problem}", target.key());
                self.problems
                    .push(Problem::new(place, Code::UnsetVariable, message));
                return;
            }
        };
        self.layer.found.push(Found {
            target: target.clone(),
            raw,
            written,
            origin: place,
        });
    }

    fn place(&self, span: Option<Range<usize>>) -> Origin {
        let start = span.map_or(0, |span| span.start);
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Origin::File {
            path: self.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }
}

fn raw_item(item: &Item) -> Raw {
    match item {
        Item::Value(value) => raw_value(value),
        Item::Table(_) => Raw::Other("a table"),
        Item::ArrayOfTables(_) => Raw::Other("an array of tables"),
        Item::None => Raw::Other("nothing"),
    }
}

fn raw_value(value: &Value) -> Raw {
    match value {
        Value::String(text) => Raw::Text(text.value().clone()),
        Value::Integer(number) => Raw::Integer(*number.value()),
        Value::Boolean(flag) => Raw::Flag(*flag.value()),
        Value::Array(items) => Raw::List(items.iter().map(raw_value).collect()),
        Value::Float(_) => Raw::Other("a number with a fraction"),
        Value::Datetime(_) => Raw::Other("a date or time"),
        Value::InlineTable(_) => Raw::Other("a table"),
    }
}

/// Replaces `${NAME}` in strings; `$${` stays as `${`.
fn expand(raw: &Raw, variables: Lookup<'_>) -> Result<Raw, String> {
    match raw {
        Raw::Text(text) => expand_text(text, variables).map(Raw::Text),
        Raw::List(items) => items
            .iter()
            .map(|item| expand(item, variables))
            .collect::<Result<_, _>>()
            .map(Raw::List),
        Raw::Loose(_) | Raw::Integer(_) | Raw::Flag(_) | Raw::Other(_) => Ok(raw.clone()),
    }
}

fn expand_text(text: &str, variables: Lookup<'_>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(escaped) = before.strip_suffix('$') {
            out.push_str(escaped);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            return Err("\"${\" without its \"}\"; write \"$${\" for the text itself".to_owned());
        };
        let is_name = !name.is_empty()
            && name
                .chars()
                .all(|char| char.is_ascii_alphanumeric() || char == '_');
        if !is_name {
            return Err("between \"${\" and \"}\" must stand the name of a variable".to_owned());
        }
        let Some(value) = variables(name) else {
            return Err(format!("the variable {name} is not set"));
        };
        out.push_str(&value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        expand_text(text, &|name| {
            (name == "HOST").then(|| "db.internal".to_owned())
        })
    }

    #[test]
    fn variables_expand_and_the_text_itself_can_be_written() {
        assert_eq!(
            expanded("a ${HOST} b ${HOST}").as_deref(),
            Ok("a db.internal b db.internal")
        );
        assert_eq!(expanded("a $${HOST} $5 }").as_deref(), Ok("a ${HOST} $5 }"));
        assert_eq!(
            expanded("${OTHER}"),
            Err("the variable OTHER is not set".to_owned())
        );
        assert!(expanded("${HOST").is_err());
        assert!(expanded("${}").is_err());
        assert!(expanded("${A-B}").is_err());
    }
}
