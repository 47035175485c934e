//! Variables of the process and of `.env` files.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::layer::{Catalogue, Found, Layer, Target};
use super::origin::Origin;
use super::problem::{Code, Problem, suggest};
use super::schema::{Alias, Def};
use super::value::Raw;

/// Variables of ours that set nothing here: how the command line reaches a node.
const OTHERS: [&str; 1] = ["MEYDAN_SERVER"];

/// Names that later versions read; silence would look like success.
const WITHOUT_EFFECT: [&str; 1] = ["REDIS_URL"];

/// What is known about variable names, made once per load.
pub(crate) struct Names<'a> {
    catalogue: &'a Catalogue,
    known: BTreeMap<String, (Target, Option<Alias>)>,
}

impl<'a> Names<'a> {
    pub(crate) fn new(catalogue: &'a Catalogue) -> Self {
        let mut known = BTreeMap::new();
        for def in catalogue.defs() {
            let mut add = |name: String, alias: Option<Alias>| {
                if def.is_secret() {
                    known.insert(format!("{name}_FILE"), (Target::FileOf(def), alias));
                }
                known.insert(name, (Target::Value(def), alias));
            };
            add(def.variable(), None);
            for alias in def.aliases {
                add(alias.name().to_owned(), Some(*alias));
            }
        }
        Self { catalogue, known }
    }

    /// Sorts variables into settings, notices and errors.
    pub(crate) fn read(
        &self,
        variables: &[(String, OsString, Origin)],
        problems: &mut Vec<Problem>,
        notices: &mut Vec<String>,
    ) -> Layer {
        let mut layer = Layer::default();
        let mut links = 0_usize;
        for (name, value, origin) in variables {
            if let Some((target, alias)) = self.known.get(name.as_str()) {
                let variable = (name.as_str(), value, origin);
                let found = self.known_variable(target, *alias, variable, problems, notices);
                layer.found.extend(found);
            } else if WITHOUT_EFFECT.contains(&name.as_str()) {
                notices.push(format!("{origin} has no effect in this version"));
            } else if name.starts_with("MEYDAN_") && !name.starts_with("MEYDAN_TEST_") {
                if is_service_link(name, &value.to_string_lossy()) {
                    links += 1;
                } else if !OTHERS.contains(&name.as_str()) {
                    problems.push(self.unknown(name, origin));
                }
            }
        }
        if links > 0 {
            let noun = if links == 1 { "variable" } else { "variables" };
            notices.push(format!(
                "{links} {noun} made by Kubernetes for a Service called meydan: ignored \
                 (enableServiceLinks: false removes them)"
            ));
        }
        layer
    }

    fn known_variable(
        &self,
        target: &Target,
        alias: Option<Alias>,
        (name, value, origin): (&str, &OsString, &Origin),
        problems: &mut Vec<Problem>,
        notices: &mut Vec<String>,
    ) -> Option<Found> {
        let def: &Def = target.def();
        let Some(text) = value.to_str() else {
            let message = format!("{}: the value is not UTF-8", target.key());
            problems.push(Problem::new(origin.clone(), Code::BadValue, message));
            return None;
        };
        // An empty variable is how compose files and shells say "not set".
        if text.is_empty() && (def.optional || alias.is_some()) {
            return None;
        }
        if let Some(Alias::Common(_)) = alias {
            let own = if name.ends_with("_FILE") && def.is_secret() {
                format!("{}_FILE", def.variable())
            } else {
                def.variable()
            };
            notices.push(format!(
                "{origin} is read as {}; our own name is {own}",
                target.key()
            ));
        }
        let raw = Raw::Loose(text.to_owned());
        Some(Found {
            target: target.clone(),
            written: raw.clone(),
            raw,
            origin: origin.clone(),
        })
    }

    fn unknown(&self, name: &str, origin: &Origin) -> Problem {
        let names = self.catalogue.variables();
        let mut message = "unknown variable".to_owned();
        if let Some(near) = suggest(name, names.iter().map(String::as_str)) {
            message.push_str(&format!("; did you mean {near}?"));
        }
        Problem::new(origin.clone(), Code::UnknownEnv, message)
    }
}

/// Whether Kubernetes made this variable for a Service whose name begins with `meydan`.
///
/// Ours always have a double underscore, so the two cannot be confused.
fn is_service_link(name: &str, value: &str) -> bool {
    if name.contains("__") {
        return false;
    }
    let is_port = |text: &str| !text.is_empty() && text.chars().all(|char| char.is_ascii_digit());
    if name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT") {
        return true;
    }
    if let Some((_, rest)) = name.rsplit_once("_PORT_") {
        // `MEYDAN_PORT_3000_TCP_PORT` ends in "_PORT" and not in "_PORT_…".
        return protocol_tail(rest, &is_port);
    }
    if name.ends_with("_PORT") {
        return value.contains("://")
            || name
                .strip_suffix("_PORT")
                .and_then(|head| head.rsplit_once("_PORT_"))
                .is_some_and(|(_, rest)| protocol_tail(rest, &is_port));
    }
    false
}

/// `3000_TCP`, `3000_TCP_ADDR`, `3000_UDP_PROTO` …
fn protocol_tail(text: &str, is_port: &dyn Fn(&str) -> bool) -> bool {
    let mut parts = text.split('_');
    let port = parts.next().is_some_and(is_port);
    let protocol = parts
        .next()
        .is_some_and(|word| matches!(word, "TCP" | "UDP" | "SCTP"));
    let detail = parts
        .next()
        .is_none_or(|word| matches!(word, "ADDR" | "PORT" | "PROTO"));
    port && protocol && detail && parts.next().is_none()
}

/// Reads a `.env` file: `NAME=value`, `export NAME=value`, quotes, comments.
pub(crate) fn dot_env(
    path: &Path,
    text: &str,
    problems: &mut Vec<Problem>,
) -> Vec<(String, OsString, Origin)> {
    let mut variables = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let assignment = line.strip_prefix("export ").unwrap_or(line);
        let origin = |name: &str| Origin::DotEnv {
            path: path.to_owned(),
            line: index + 1,
            name: name.to_owned(),
        };
        let parsed = assignment.split_once('=').and_then(|(name, value)| {
            let name = name.trim();
            let is_name = !name.is_empty()
                && name
                    .chars()
                    .all(|char| char.is_ascii_alphanumeric() || char == '_');
            is_name.then_some((name, unquote(value.trim())?))
        });
        match parsed {
            Some((name, value)) => {
                variables.push((name.to_owned(), OsString::from(value), origin(name)));
            }
            None => {
                let place = Origin::File {
                    path: path.to_owned(),
                    line: index + 1,
                    column: 1,
                };
                let message = "expected NAME=value; quotes must be closed";
                problems.push(Problem::new(place, Code::Syntax, message));
            }
        }
    }
    variables
}

fn unquote(value: &str) -> Option<String> {
    let only_comment = |rest: &str| {
        let rest = rest.trim();
        rest.is_empty() || rest.starts_with('#')
    };
    if let Some(rest) = value.strip_prefix('\'') {
        let (inner, after) = rest.split_once('\'')?;
        return only_comment(after).then(|| inner.to_owned());
    }
    if let Some(rest) = value.strip_prefix('"') {
        let mut out = String::new();
        let mut chars = rest.chars();
        loop {
            match chars.next()? {
                '"' => return only_comment(chars.as_str()).then_some(out),
                '\\' => match chars.next()? {
                    'n' => out.push('\n'),
                    'r' => out.push('\r'),
                    't' => out.push('\t'),
                    other => out.push(other),
                },
                other => out.push(other),
            }
        }
    }
    let plain = value.split_once(" #").map_or(value, |(plain, _)| plain);
    Some(plain.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_variables_are_told_from_ours() {
        for (name, value) in [
            ("MEYDAN_PORT", "tcp://10.0.0.7:3000"),
            ("MEYDAN_SERVICE_HOST", "10.0.0.7"),
            ("MEYDAN_SERVICE_PORT", "3000"),
            ("MEYDAN_SERVICE_PORT_HTTP", "3000"),
            ("MEYDAN_PORT_3000_TCP", "tcp://10.0.0.7:3000"),
            ("MEYDAN_PORT_3000_TCP_ADDR", "10.0.0.7"),
            ("MEYDAN_PORT_3000_TCP_PORT", "3000"),
            ("MEYDAN_PORT_3000_TCP_PROTO", "tcp"),
            ("MEYDAN_REALTIME_PORT", "tcp://10.0.0.8:3101"),
            ("MEYDAN_REALTIME_SERVICE_HOST", "10.0.0.8"),
        ] {
            assert!(is_service_link(name, value), "{name}");
        }
        for (name, value) in [
            ("MEYDAN_PORT", "3000"),
            ("MEYDAN_HTTP__PORT", "tcp://10.0.0.7:3000"),
            ("MEYDAN_HTTP_PORT", "3000"),
            ("MEYDAN_PORT_X_TCP_ADDR", "10.0.0.7"),
            ("MEYDAN_PORT_3000_TCP_NAME", "x"),
        ] {
            assert!(!is_service_link(name, value), "{name}");
        }
    }

    #[test]
    fn dot_env_values_have_quotes_and_comments() {
        for (text, value) in [
            ("plain", Some("plain")),
            ("plain # comment", Some("plain")),
            ("a#b", Some("a#b")),
            ("'single # \"kept\"' # comment", Some("single # \"kept\"")),
            (
                r#""double \"kept\" \n" # comment"#,
                Some("double \"kept\" \n"),
            ),
            ("", Some("")),
            ("'open", None),
            ("\"open", None),
            ("\"closed\" rest", None),
        ] {
            assert_eq!(unquote(text).as_deref(), value, "{text}");
        }
    }
}
