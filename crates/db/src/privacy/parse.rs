//! Reading `privacy.toml`.

use std::collections::BTreeMap;

/// A line of a `privacy.toml` that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read privacy.toml of {schema}, line {line}: {problem}")]
pub struct PrivacyError {
    /// Whose file.
    pub schema: String,
    /// Where, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

/// What an erasure does with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    Delete,
    Anonymise(String),
    Keep,
}

/// How the rows of a person are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    /// The column holds the person's id.
    Column(String),
    /// The column names a row of another table, which holds it.
    Through {
        column: String,
        table: String,
        owner: String,
    },
}

impl Subject {
    pub(super) fn condition(&self, schema: &str) -> String {
        match self {
            Subject::Column(column) => format!("{column} = $1"),
            Subject::Through {
                column,
                table,
                owner,
            } => format!("{column} IN (SELECT o.id FROM {schema}.{table} o WHERE o.{owner} = $1)"),
        }
    }
}

#[derive(Debug)]
pub(super) struct RawColumn {
    pub(super) name: String,
    pub(super) export: bool,
    pub(super) refers: bool,
    pub(super) act: Act,
    /// Whether the column says itself what becomes of it; otherwise its row does.
    own: bool,
}

impl RawColumn {
    /// The SQL expression an erasure sets it to; none when it stays.
    pub(super) fn becomes(&self) -> Option<&str> {
        match &self.act {
            Act::Delete => Some("NULL"),
            Act::Anonymise(to) => Some(to),
            Act::Keep => None,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct RawTable {
    pub(super) name: String,
    pub(super) subjects: Vec<Subject>,
    pub(super) page: Option<String>,
    pub(super) columns: Vec<RawColumn>,
    row: Option<Act>,
    impersonal: bool,
}

impl RawTable {
    /// Whether an erasure removes the subject's rows as a whole.
    pub(super) fn deletes_rows(&self) -> bool {
        self.row == Some(Act::Delete)
    }
}

type Pairs = BTreeMap<String, String>;

/// Reads all tables.
pub(super) fn read(schema: &str, text: &str) -> Result<Vec<RawTable>, PrivacyError> {
    let mut tables: Vec<RawTable> = Vec::new();
    let mut in_columns = false;
    for (index, line) in text.lines().enumerate() {
        let done = line_of(&mut tables, &mut in_columns, line.trim());
        done.map_err(|problem| PrivacyError {
            schema: schema.to_owned(),
            line: index + 1,
            problem,
        })?;
    }
    for table in &mut tables {
        finish(table).map_err(|problem| PrivacyError {
            schema: schema.to_owned(),
            line: text.lines().count(),
            problem: format!("{}: {problem}", table.name),
        })?;
    }
    Ok(tables)
}

fn line_of(tables: &mut Vec<RawTable>, in_columns: &mut bool, line: &str) -> Result<(), String> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(());
    }
    if let Some(header) = line.strip_prefix('[') {
        let header = header.strip_suffix(']').ok_or("a header ends with ]")?;
        return header_of(tables, in_columns, header);
    }
    let table = tables.last_mut().ok_or("a key before the first table")?;
    let (key, value) = line.split_once('=').ok_or("a line is key = value")?;
    let (key, value) = (plain(key.trim())?, value.trim());
    if *in_columns {
        table.columns.push(column(key, &pairs(value)?)?);
        return Ok(());
    }
    match key.as_str() {
        "subject" => {
            let text = quoted(value)?;
            table.impersonal = text == "none";
            table.subjects = if table.impersonal {
                Vec::new()
            } else {
                text.split(',').map(subject).collect::<Result<_, _>>()?
            };
        }
        "page" => table.page = Some(plain(&quoted(value)?)?),
        "row" => table.row = act(&pairs(value)?)?,
        other => return Err(format!("{other} is no key of a table")),
    }
    Ok(())
}

fn header_of(tables: &mut Vec<RawTable>, in_columns: &mut bool, name: &str) -> Result<(), String> {
    if let Some(name) = name.strip_suffix(".columns") {
        *in_columns = true;
        let same = tables.last().is_some_and(|table| table.name == name);
        return if same {
            Ok(())
        } else {
            Err(format!("the columns of {name} follow the table"))
        };
    }
    *in_columns = false;
    let name = plain(name)?;
    if tables.iter().any(|table| table.name == name) {
        return Err(format!("{name} stands twice"));
    }
    tables.push(RawTable {
        name,
        ..RawTable::default()
    });
    Ok(())
}

/// Gives columns without a word of their own that of their row, and checks the whole.
fn finish(table: &mut RawTable) -> Result<(), String> {
    if table.impersonal {
        return if table.columns.is_empty() {
            Ok(())
        } else {
            Err("a table without a subject lists no columns".to_owned())
        };
    }
    if table.subjects.is_empty() {
        return Err("whose is it? `subject` is missing".to_owned());
    }
    let row = table.row.clone();
    for column in table.columns.iter_mut().filter(|column| !column.own) {
        column.act = row.clone().ok_or_else(|| {
            let name = &column.name;
            format!("what becomes of {name}? neither it nor its row says so")
        })?;
    }
    Ok(())
}

fn column(name: String, pairs: &Pairs) -> Result<RawColumn, String> {
    let truth = |key: &str| match pairs.get(key).map(String::as_str) {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(other) => Err(format!("{key} is true or false, not {other}")),
    };
    let act = act(pairs)?;
    Ok(RawColumn {
        export: truth("export")?.ok_or_else(|| format!("is {name} exported?"))?,
        refers: truth("refers")?.unwrap_or(false),
        own: act.is_some(),
        act: act.unwrap_or(Act::Keep),
        name,
    })
}

fn act(pairs: &Pairs) -> Result<Option<Act>, String> {
    let Some(word) = pairs.get("erase") else {
        return Ok(None);
    };
    match (word.as_str(), pairs.get("to"), pairs.get("law")) {
        ("delete", None, _) => Ok(Some(Act::Delete)),
        ("delete" | "anonymise", Some(to), _) => Ok(Some(Act::Anonymise(to.clone()))),
        ("anonymise", None, _) => Err("anonymise says what it becomes: to = \"…\"".to_owned()),
        ("keep", None, Some(_)) => Ok(Some(Act::Keep)),
        ("keep", _, _) => Err("keep names the law, and changes nothing".to_owned()),
        (other, _, _) => Err(format!("{other} is not delete, anonymise or keep")),
    }
}

fn subject(text: &str) -> Result<Subject, String> {
    let Some((column, owner)) = text.split_once("->") else {
        return plain(text.trim()).map(Subject::Column);
    };
    let (table, owner) = owner.split_once('.').ok_or("-> names table.column")?;
    Ok(Subject::Through {
        column: plain(column.trim())?,
        table: plain(table.trim())?,
        owner: plain(owner.trim())?,
    })
}

/// An identifier that needs no quotes.
fn plain(text: &str) -> Result<String, String> {
    let fine = !text.is_empty()
        && text.len() <= 63
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if fine {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not a plain name"))
    }
}

/// The string that begins a line's value; a comment may follow.
fn quoted(text: &str) -> Result<String, String> {
    let inside = text.strip_prefix('"').ok_or("a string begins with \"")?;
    let (text, _) = inside.split_once('"').ok_or("a string ends with \"")?;
    Ok(text.to_owned())
}

/// An inline table of strings and truths.
fn pairs(text: &str) -> Result<Pairs, String> {
    let mut rest = text
        .strip_prefix('{')
        .ok_or("an inline table begins with {")?
        .trim();
    let mut pairs = Pairs::new();
    while !rest.starts_with('}') {
        let (key, after) = rest.split_once('=').ok_or("a pair is key = value")?;
        let key = plain(key.trim())?;
        let after = after.trim_start();
        let value = if after.starts_with('"') {
            quoted(after)?
        } else {
            let end = after
                .find([',', '}', ' '])
                .ok_or("an inline table ends with }")?;
            after.get(..end).unwrap_or_default().to_owned()
        };
        let length = value.len() + if after.starts_with('"') { 2 } else { 0 };
        rest = after.get(length..).unwrap_or_default().trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        if pairs.insert(key.clone(), value).is_some() {
            return Err(format!("{key} stands twice"));
        }
        if rest.is_empty() {
            return Err("an inline table ends with }".to_owned());
        }
    }
    Ok(pairs)
}
