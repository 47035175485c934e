//! Settings: one declaration each, read in layers, checked all at once.
//!
//! From low to high: built-in default, `/etc/meydan/meydan.toml`, `/etc/meydan/conf.d/*.toml` in
//! the order of their names, `./meydan.toml`, `.env` files (development only), the process
//! environment with systemd credentials, `--set` and other flags. `--config FILE` replaces the
//! three file places. Tables merge, arrays replace.
//!
//! Invariants:
//! 1. Every setting is declared once, in `sections.rs`, with its documentation.
//! 2. An unknown key or `MEYDAN_*` variable is an error with its place and a suggestion.
//! 3. All errors are reported together; with one error nothing starts.
//! 4. A secret is a [`Secret`] from the moment it is read; no way of printing shows it.
//!
//! Begin with [`load`], then `sections.rs`. The environment is read in `sources.rs` alone.

mod file;
mod layer;
mod origin;
mod problem;
mod render;
mod rules;
mod schema;
mod sections;
mod sources;
#[cfg(test)]
mod tests;
mod types;
mod value;
mod variables;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub(crate) use layer::Catalogue;
pub(crate) use origin::Origin;
pub(crate) use problem::{Code, Problem, Report};
pub(crate) use render::{Show, docs, env_list, json_schema, print, print_json, sample};
pub(crate) use sections::*;
pub(crate) use sources::Sources;
pub(crate) use types::{
    Env, JwtAlg, LogFormat, MailTransport, OtpProvider, PasswordScheme, Secret, SmsProvider,
    StoreKind, WebOrigin,
};

use crate::parts::Contents;
use layer::{Found, Layer, Target};
use schema::Values;
use value::Raw;
use variables::Names;

/// What the command line says about settings.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// `--config`.
    pub(crate) file: Option<PathBuf>,
    /// `--set key=value`, in order.
    pub(crate) set: Vec<String>,
    /// Flags that are settings: key, flag, value.
    pub(crate) flags: Vec<(&'static str, &'static str, String)>,
    pub(crate) role: Role,
    /// `--demo`: what the settings must allow.
    pub(crate) contents: Contents,
}

/// For what the settings are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A node with a data directory of its own, where it can keep a database and a root secret;
    /// `env` is `dev` when nobody says otherwise.
    Node,
    /// `meydan serve`: one of several processes on a shared database; `env` is `prod`.
    Service,
}

impl Role {
    fn default_env(self) -> Env {
        match self {
            Self::Node => Env::Dev,
            Self::Service => Env::Prod,
        }
    }
}

/// Settings that passed every check.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// Where each value came from.
    pub(crate) origins: BTreeMap<&'static str, Origin>,
    /// Worth saying, not wrong.
    pub(crate) notices: Vec<String>,
}

/// Reads, merges and checks all settings.
pub(crate) fn load(
    request: &Request,
    sources: &Sources,
    rng: &dyn kernel::Rng,
) -> Result<Loaded, Report> {
    let catalogue = Catalogue::new();
    let mut loading = Loading {
        catalogue: &catalogue,
        sources,
        problems: Vec::new(),
        notices: Vec::new(),
    };
    let files = loading.files(request);
    let environment = loading.environment();
    let flags = loading.flags(request);
    let env = chosen_env(&files, &environment, &flags).unwrap_or(request.role.default_env());
    let dot_env = if env == Env::Dev {
        loading.dot_env()
    } else {
        Vec::new()
    };

    let mut values = Values::default();
    loading.defaults(request, &mut values);
    let layers = files.into_iter().chain(dot_env).chain([environment, flags]);
    for layer in layers {
        layer.settle(&mut values.0, &mut loading.problems);
    }
    let Loading {
        mut problems,
        notices,
        ..
    } = loading;
    if !problems.is_empty() {
        return Err(Report { problems });
    }
    let mut config = Config::read(&values).map_err(|key| {
        let place = Origin::Default;
        let message = format!("{key}: the built-in default cannot be read");
        Report {
            problems: vec![Problem::new(place, Code::BadValue, message)],
        }
    })?;
    let origins = values
        .0
        .into_iter()
        .map(|(key, (_, origin))| (key, origin))
        .collect();
    rules::derive(&mut config);
    rules::check(
        &config,
        &origins,
        &rules::Facts::new(request, sources, rng),
        &mut problems,
    );
    if problems.is_empty() {
        Ok(Loaded {
            config,
            origins,
            notices,
        })
    } else {
        Err(Report { problems })
    }
}

/// The files that set something.
pub(crate) fn files_of(loaded: &Loaded) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = loaded
        .origins
        .values()
        .filter_map(|origin| match origin {
            Origin::File { path, .. } | Origin::DotEnv { path, .. } => Some(path.clone()),
            _ => None,
        })
        .collect();
    files.sort();
    files.dedup();
    files
}

struct Loading<'a> {
    catalogue: &'a Catalogue,
    sources: &'a Sources,
    problems: Vec<Problem>,
    notices: Vec<String>,
}

impl Loading<'_> {
    fn defaults(&self, request: &Request, values: &mut Values) {
        for def in self.catalogue.defs() {
            if let Some(text) = def.default {
                values
                    .0
                    .insert(def.key, (Raw::Loose(text.to_owned()), Origin::Default));
            }
        }
        let env = match request.role.default_env() {
            Env::Dev => "dev",
            Env::Prod => "prod",
        };
        values
            .0
            .insert("env", (Raw::Loose(env.to_owned()), Origin::Default));
    }

    /// The layers of the three file places, or of `--config`.
    fn files(&mut self, request: &Request) -> Vec<Layer> {
        if let Some(path) = &request.file {
            if !self.sources.exists(path) {
                self.unreadable(path, "no such file");
                return Vec::new();
            }
            return self.file(path).into_iter().collect();
        }
        let paths = self.sources.config_files(&mut self.problems);
        paths.iter().filter_map(|path| self.file(path)).collect()
    }

    /// The layer of one file, or nothing when there is none.
    fn file(&mut self, path: &Path) -> Option<Layer> {
        let text = match self.sources.read(path) {
            Ok(Some(text)) => text,
            Ok(None) => return None,
            Err(error) => {
                self.unreadable(path, &error.to_string());
                return None;
            }
        };
        let lookup = |name: &str| self.sources.variable(name);
        Some(file::read(
            path,
            &text,
            self.catalogue,
            &lookup,
            &mut self.problems,
        ))
    }

    fn unreadable(&mut self, path: &Path, why: &str) {
        let place = Origin::Place {
            text: path.display().to_string(),
        };
        let message = format!("the file cannot be read: {why}");
        self.problems
            .push(Problem::new(place, Code::Unreadable, message));
    }

    /// One layer per `.env` file: the one for the place first, then the common one.
    fn dot_env(&mut self) -> Vec<Layer> {
        let of_place = if self.sources.in_docker() {
            ".env.docker"
        } else {
            ".env.local"
        };
        let mut layers = Vec::new();
        for name in [of_place, ".env"] {
            let path = Path::new(name);
            match self.sources.read(path) {
                Ok(Some(text)) => {
                    let variables = variables::dot_env(path, &text, &mut self.problems);
                    let layer = Names::new(self.catalogue).read(
                        &variables,
                        &mut self.problems,
                        &mut self.notices,
                    );
                    self.refuse_env(&layer);
                    layers.push(layer);
                }
                Ok(None) => {}
                Err(error) => self.unreadable(path, &error.to_string()),
            }
        }
        layers
    }

    /// `.env` files are read in development only, so they cannot end it.
    fn refuse_env(&mut self, layer: &Layer) {
        for found in &layer.found {
            if found.target.def().key == "env" && found.raw != Raw::Loose("dev".to_owned()) {
                let message = "env: .env files are for development; set it in meydan.toml";
                self.problems.push(Problem::new(
                    found.origin.clone(),
                    Code::Combination,
                    message,
                ));
            }
        }
    }

    fn environment(&mut self) -> Layer {
        let variables: Vec<(String, OsString, Origin)> = self
            .sources
            .variables()
            .iter()
            .map(|(name, value)| {
                (
                    name.clone(),
                    value.clone(),
                    Origin::Variable { name: name.clone() },
                )
            })
            .collect();
        let names = Names::new(self.catalogue);
        let mut layer = names.read(&variables, &mut self.problems, &mut self.notices);
        let Some(folder) = self.sources.variable("CREDENTIALS_DIRECTORY") else {
            return layer;
        };
        for def in self.catalogue.defs().filter(|def| def.is_secret()) {
            let path = Path::new(&folder).join(def.key);
            if !self.sources.exists(&path) {
                continue;
            }
            let origin = Origin::Credential { path: path.clone() };
            let raw = Raw::Loose(path.to_string_lossy().into_owned());
            let target = Target::FileOf(def);
            layer.found.push(Found {
                target,
                written: raw.clone(),
                raw,
                origin,
            });
        }
        layer
    }

    fn flags(&mut self, request: &Request) -> Layer {
        let mut layer = Layer::default();
        for (key, flag, value) in &request.flags {
            if let Some(target) = self.catalogue.find(key) {
                let raw = Raw::Loose(value.clone());
                let origin = Origin::Flag { name: flag };
                layer.found.push(Found {
                    target,
                    written: raw.clone(),
                    raw,
                    origin,
                });
            }
        }
        // The last one wins, as with any repeated flag.
        let mut set: BTreeMap<String, Found> = BTreeMap::new();
        for text in &request.set {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            let origin = Origin::Set {
                key: key.to_owned(),
            };
            match self.catalogue.find(key) {
                Some(Target::Value(def)) if !def.is_secret() => {
                    let raw = Raw::Loose(value.to_owned());
                    let target = Target::Value(def);
                    let found = Found {
                        target,
                        written: raw.clone(),
                        raw,
                        origin,
                    };
                    set.insert(key.to_owned(), found);
                }
                Some(target) => {
                    let def = target.def();
                    let message = format!(
                        "a secret on the command line can be seen by every user of this \
                         computer; use {} or {}_FILE",
                        def.variable(),
                        def.variable()
                    );
                    self.problems
                        .push(Problem::new(origin, Code::SecretInSet, message));
                }
                None => {
                    let mut message = format!("unknown key \"{key}\"");
                    if let Some(near) = self.catalogue.suggest_key(key) {
                        message.push_str(&format!("; did you mean \"{near}\"?"));
                    }
                    self.problems
                        .push(Problem::new(origin, Code::UnknownKey, message));
                }
            }
        }
        layer.found.extend(set.into_values());
        layer
    }
}

/// What the layers say about `env`, before `.env` files are read, as they depend on it.
fn chosen_env(files: &[Layer], environment: &Layer, flags: &Layer) -> Option<Env> {
    files
        .iter()
        .chain([environment, flags])
        .flat_map(|layer| &layer.found)
        .filter(|found| found.target.def().key == "env")
        .filter_map(|found| value::Setting::read(&found.raw).ok())
        .next_back()
}
