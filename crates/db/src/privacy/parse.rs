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
    /// The columns name a row of another table, which holds it: one is the row's id, several stand
    /// there under the same names.
    Through {
        columns: Vec<String>,
        table: String,
        owner: String,
    },
}

impl Subject {
    fn condition(&self, schema: &str) -> String {
        match self {
            Subject::Column(column) => format!("{column} = $1"),
            Subject::Through {
                columns,
                table,
                owner,
            } => {
                let keys = match columns.as_slice() {
                    [_one] => "o.id".to_owned(),
                    several => format!("o.{}", several.join(", o.")),
                };
                let columns = columns.join(", ");
                let rows = format!("SELECT {keys} FROM {schema}.{table} o WHERE o.{owner} = $1");
                format!("({columns}) IN ({rows})")
            }
        }
    }
}

/// The rows of any of the subjects.
pub(super) fn any_of<'a>(subjects: impl Iterator<Item = &'a Subject>, schema: &str) -> String {
    let conditions: Vec<String> = subjects.map(|one| one.condition(schema)).collect();
    conditions.join(" OR ")
}

#[derive(Debug)]
pub(super) struct RawColumn {
    pub(super) name: String,
    pub(super) export: bool,
    /// The SQL expression an export shows in its place.
    pub(super) shown: Option<String>,
    /// The column whose value says when `act` is done; otherwise it is done to the subject's rows.
    pub(super) judged_by: Option<String>,
    pub(super) act: Act,
    /// Whether the column says itself what becomes of it; otherwise its row does.
    own: bool,
}

impl RawColumn {
    /// Whether an erasure leaves values of the person's rows behind.
    pub(super) fn is_kept(&self) -> bool {
        let of_another = |other: &String| *other != self.name;
        self.act == Act::Keep || self.judged_by.as_ref().is_some_and(of_another)
    }

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
    /// Those of rows that are somebody else's: erased alike, never exported.
    pub(super) about: Vec<Subject>,
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
            if !table.impersonal {
                table.subjects = subjects(&text)?;
            }
        }
        "about" => table.about = subjects(&quoted(value)?)?,
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
        return if table.columns.is_empty() && table.about.is_empty() {
            Ok(())
        } else {
            Err("a table without a subject lists no columns and is about nobody".to_owned())
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
    let judged_by = match (truth("refers")?.unwrap_or(false), pairs.get("of")) {
        (false, None) => None,
        (true, None) => Some(name.clone()),
        (true, Some(_)) => return Err("it refers to somebody by itself or by `of`".to_owned()),
        (false, Some(other)) if pairs.contains_key("law") => Some(plain(other)?),
        (false, Some(_)) => return Err("a law says why `of` leaves the rest".to_owned()),
    };
    if judged_by.is_some() && matches!(act, None | Some(Act::Keep)) {
        return Err(format!("what becomes of {name} then?"));
    }
    Ok(RawColumn {
        export: truth("export")?.ok_or_else(|| format!("is {name} exported?"))?,
        shown: pairs.get("shown").cloned(),
        judged_by,
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

fn subjects(text: &str) -> Result<Vec<Subject>, String> {
    text.split(',').map(subject).collect()
}

fn subject(text: &str) -> Result<Subject, String> {
    let Some((columns, owner)) = text.split_once("->") else {
        return plain(text.trim()).map(Subject::Column);
    };
    let (table, owner) = owner.split_once('.').ok_or("-> names table.column")?;
    Ok(Subject::Through {
        columns: columns
            .split('&')
            .map(|column| plain(column.trim()))
            .collect::<Result<_, _>>()?,
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
