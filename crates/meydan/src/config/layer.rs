//! Layers of found values, and the catalogue of what may be found.

use std::collections::BTreeMap;
use std::path::Path;

use super::origin::Origin;
use super::problem::{Code, Problem, suggest};
use super::schema::{Def, Section};
use super::value::Raw;

/// A file that holds a secret is small; more is a mistake, such as the path of a data set.
const SECRET_FILE_BYTES: u64 = 64 * 1024;

/// All settings, by key.
pub(crate) struct Catalogue {
    pub(crate) sections: Vec<Section>,
    by_key: BTreeMap<&'static str, &'static Def>,
}

/// What a key or variable sets.
#[derive(Clone)]
pub(crate) enum Target {
    Value(&'static Def),
    /// The path of a file that holds the secret.
    FileOf(&'static Def),
}

impl Target {
    pub(crate) fn def(&self) -> &'static Def {
        match self {
            Self::Value(def) | Self::FileOf(def) => def,
        }
    }

    pub(crate) fn key(&self) -> String {
        match self {
            Self::Value(def) => def.key.to_owned(),
            Self::FileOf(def) => format!("{}_file", def.key),
        }
    }
}

/// One value as it was found.
pub(crate) struct Found {
    pub(crate) target: Target,
    /// After `${NAME}` was expanded.
    pub(crate) raw: Raw,
    /// As it was written: errors show this one, as an expanded variable may be a secret.
    pub(crate) written: Raw,
    pub(crate) origin: Origin,
}

/// What one file or the environment says.
#[derive(Default)]
pub(crate) struct Layer {
    pub(crate) found: Vec<Found>,
}

impl Catalogue {
    pub(crate) fn new() -> Self {
        let mut sections = Vec::new();
        super::Config::sections(&mut sections);
        let by_key = sections
            .iter()
            .flat_map(|section| section.defs)
            .map(|def| (def.key, def))
            .collect();
        Self { sections, by_key }
    }

    pub(crate) fn defs(&self) -> impl Iterator<Item = &'static Def> {
        self.sections.iter().flat_map(|section| section.defs)
    }

    pub(crate) fn find(&self, key: &str) -> Option<Target> {
        if let Some(def) = self.by_key.get(key) {
            return Some(Target::Value(def));
        }
        let def = self.by_key.get(key.strip_suffix("_file")?)?;
        def.is_secret().then_some(Target::FileOf(def))
    }

    pub(crate) fn is_section(&self, key: &str) -> bool {
        self.section_names().any(|name| name == key)
    }

    fn section_names(&self) -> impl Iterator<Item = &'static str> {
        self.sections
            .iter()
            .map(|section| section.prefix.trim_end_matches('.'))
            .filter(|name| !name.is_empty())
    }

    pub(crate) fn suggest_key(&self, typed: &str) -> Option<&'static str> {
        suggest(
            typed,
            self.by_key.keys().copied().chain(self.section_names()),
        )
    }

    /// The variable names, with the short ones and the `_FILE` variants.
    pub(crate) fn variables(&self) -> Vec<String> {
        let mut names = Vec::new();
        for def in self.defs() {
            let own = [def.variable()];
            let aliases = def.aliases.iter().map(|alias| alias.name().to_owned());
            for name in own.into_iter().chain(aliases) {
                if def.is_secret() {
                    names.push(format!("{name}_FILE"));
                }
                names.push(name);
            }
        }
        names
    }
}

impl Layer {
    /// Makes one value of each setting, checks it, and adds it to `winners`.
    pub(crate) fn settle(
        self,
        winners: &mut BTreeMap<&'static str, (Raw, Origin)>,
        problems: &mut Vec<Problem>,
    ) {
        let mut seen: BTreeMap<&'static str, Found> = BTreeMap::new();
        for found in self.found {
            let def = found.target.def();
            if let Some(first) = seen.get(def.key) {
                problems.extend(disagreement(first, &found));
                continue;
            }
            match resolve(&found) {
                Ok(raw) => {
                    winners.insert(def.key, (raw, found.origin.clone()));
                }
                Err(problem) => problems.push(problem),
            }
            seen.insert(def.key, found);
        }
    }
}

/// Two names of one setting at the same level must say the same.
fn disagreement(first: &Found, second: &Found) -> Option<Problem> {
    let from_file = |found: &Found| {
        matches!(found.target, Target::FileOf(_))
            || matches!(found.origin, Origin::Credential { .. })
    };
    let key = first.target.def().key;
    if from_file(first) || from_file(second) {
        let message = format!(
            "{key} is already set by {}; keep one of the two",
            first.origin
        );
        return Some(Problem::new(
            second.origin.clone(),
            Code::SecretTwice,
            message,
        ));
    }
    if first.raw == second.raw {
        return None;
    }
    let message = format!(
        "{key} is set to another value by {}; keep one of the two",
        first.origin
    );
    Some(Problem::new(
        second.origin.clone(),
        Code::AliasConflict,
        message,
    ))
}

/// Reads a secret's file if it is one, and checks type and range.
fn resolve(found: &Found) -> Result<Raw, Problem> {
    let def = found.target.def();
    let raw = match &found.target {
        Target::Value(_) => found.raw.clone(),
        Target::FileOf(_) => {
            let (Raw::Text(path) | Raw::Loose(path)) = &found.raw else {
                let message = format!(
                    "{}: expected a path, found {}",
                    found.target.key(),
                    found.written.found()
                );
                return Err(Problem::new(found.origin.clone(), Code::BadValue, message));
            };
            Raw::Text(secret_file(def.key, Path::new(path), &found.origin)?)
        }
    };
    match def.check(&raw) {
        Ok(()) => Ok(raw),
        Err(expected) => {
            // By type, not by name: whatever was meant to be a secret is not repeated.
            let seen = if def.is_secret() {
                "something else".to_owned()
            } else {
                found.written.found()
            };
            let message = format!("{}: expected {expected}, found {seen}", def.key);
            Err(Problem::new(found.origin.clone(), Code::BadValue, message))
        }
    }
}

/// The content of a secret's file without the line break that editors put at the end.
pub(crate) fn secret_file(key: &str, path: &Path, origin: &Origin) -> Result<String, Problem> {
    let problem = |what: String| {
        Problem::new(
            origin.clone(),
            Code::SecretFile,
            format!("{key}: {} {what}", path.display()),
        )
    };
    let about = std::fs::metadata(path).map_err(|error| problem(format!("- {error}")))?;
    if !about.is_file() {
        return Err(problem("is not a file".to_owned()));
    }
    if about.len() > SECRET_FILE_BYTES {
        return Err(problem("is larger than 64 KiB".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| problem(format!("- {error}")))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(problem("is empty".to_owned()));
    }
    Ok(text.to_owned())
}
