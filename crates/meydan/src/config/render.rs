//! The settings as text: printed values, documentation, sample, variable list, JSON Schema.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::Loaded;
use super::layer::Catalogue;
use super::origin::Origin;
use super::schema::{Alias, Def, trimmed};
use super::value::{Kind, Shown, quote};

/// Whether `config print` says where each value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    Values,
    ValuesAndOrigins,
}

/// The effective settings as `key = value` lines; secrets are `***`.
pub(crate) fn print(loaded: &Loaded, show: Show) -> String {
    let mut entries = Vec::new();
    loaded.config.entries(&mut entries);
    let mut out = String::new();
    for entry in entries {
        let key = entry.def.key;
        let line = match entry.shown {
            Shown::Literal(literal) => format!("{key} = {literal}"),
            Shown::Hidden => format!("{key} = \"***\""),
            Shown::Unset => format!("# {key} is not set"),
        };
        out.push_str(&line);
        if show == Show::ValuesAndOrigins {
            let origin = loaded.origins.get(key).unwrap_or(&Origin::Default);
            out.push_str(&format!("  # {origin}"));
        }
        out.push('\n');
    }
    out
}

/// The effective settings as one flat JSON object; secrets are `***`, unset ones null.
pub(crate) fn print_json(loaded: &Loaded, show: Show) -> Value {
    let mut entries = Vec::new();
    loaded.config.entries(&mut entries);
    let mut all = Map::new();
    for entry in entries {
        let key = entry.def.key;
        let value = match entry.shown {
            Shown::Literal(literal) => json_of(&literal),
            Shown::Hidden => json!("***"),
            Shown::Unset => Value::Null,
        };
        let value = match show {
            Show::Values => value,
            Show::ValuesAndOrigins => {
                let origin = loaded.origins.get(key).unwrap_or(&Origin::Default);
                json!({ "value": value, "origin": origin.to_string() })
            }
        };
        all.insert(key.to_owned(), value);
    }
    Value::Object(all)
}

/// Literals of settings are JSON but for the rare escapes of control characters.
fn json_of(literal: &str) -> Value {
    serde_json::from_str(literal).unwrap_or_else(|_| Value::String(literal.to_owned()))
}

const HEAD: &str = "\
# Settings

<!-- Made by `meydan config docs`; the declarations are in `crates/meydan/src/config/sections.rs`. -->

A setting comes from the highest of these places, from low to high: its default,
`/etc/meydan/meydan.toml`, `/etc/meydan/conf.d/*.toml` in the order of their names,
`./meydan.toml`, `.env` files, variables and systemd credentials, `--set key=value` and other
flags. `--config FILE` replaces the three file places. Tables merge, arrays replace.

- The variable of `section.key` is `MEYDAN_SECTION__KEY`; lists are separated by commas there.
- `.env` files are read with `env = \"dev\"` only: `.env.local`, or `.env.docker` when
  `RUNNING_IN_DOCKER=true`, then `.env`, whose values win.
- A **secret** also comes from a file: `key_file = \"path\"`, the variable with `_FILE` at its end,
  or `$CREDENTIALS_DIRECTORY/section.key`. Value and file together are an error, and so is a secret
  in `--set`. Printed settings show `***`.
- `${NAME}` in a string of a file is replaced by that variable; `$${` writes `${` itself.
- Unknown keys and unknown `MEYDAN_*` variables are errors. `meydan config check` shows all of
  them at once, and `meydan config print --show-origin` where each value came from.
";

/// `docs/config.md`.
pub(crate) fn docs(catalogue: &Catalogue) -> String {
    let mut out = HEAD.to_owned();
    for section in &catalogue.sections {
        let name = section.prefix.trim_end_matches('.');
        let title = if name.is_empty() {
            "Top level".to_owned()
        } else {
            format!("`{name}`")
        };
        let text = trimmed(section.doc).join(" ");
        let _ = write!(out, "\n## {title}\n\n{text}\n");
        for def in section.defs {
            let _ = write!(out, "\n### `{}`\n\n{}\n\n", def.key, def.text().join(" "));
            for (label, text) in facts(def) {
                let _ = writeln!(out, "- {label}: {text}");
            }
        }
    }
    out
}

fn facts(def: &Def) -> Vec<(&'static str, String)> {
    let mut facts = vec![("Value", value_text(def)), ("Default", default_text(def))];
    let mut variables = vec![format!("`{}`", def.variable())];
    for alias in def.aliases {
        let text = match alias {
            Alias::Short(name) => format!("`{name}`"),
            Alias::Common(name) => format!("`{name}` (with a notice)"),
        };
        variables.push(text);
    }
    facts.push(("Variable", variables.join(", ")));
    facts
}

fn value_text(def: &Def) -> String {
    let mut text = def.kind.describe();
    if let Some((least, most)) = def.range {
        let _ = write!(text, ", from {least} to {most}");
    }
    text
}

fn default_text(def: &Def) -> String {
    match (
        def.default.and_then(|_| default_literal(def)),
        def.otherwise,
    ) {
        (Some(literal), _) => format!("`{literal}`"),
        (None, Some(otherwise)) => otherwise.to_owned(),
        (None, None) => "not set".to_owned(),
    }
}

/// The default as it would stand in a file.
pub(crate) fn default_literal(def: &Def) -> Option<String> {
    let text = def.default?;
    Some(match def.kind {
        Kind::Integer | Kind::Flag => text.to_owned(),
        Kind::List(_) => {
            let items: Vec<String> = text
                .split(',')
                .filter(|item| !item.is_empty())
                .map(quote)
                .collect();
            format!("[{}]", items.join(", "))
        }
        _ => quote(text),
    })
}

/// A file with every setting, each commented out at its default.
pub(crate) fn sample(catalogue: &Catalogue) -> String {
    let mut out = String::from(
        "# Settings of Meydan; every line shows a default. Made by `meydan config sample`.\n",
    );
    for section in &catalogue.sections {
        let name = section.prefix.trim_end_matches('.');
        out.push('\n');
        for line in trimmed(section.doc) {
            let _ = writeln!(out, "# {line}");
        }
        if !name.is_empty() {
            let _ = writeln!(out, "[{name}]");
        }
        for def in section.defs {
            out.push('\n');
            for line in def.text() {
                let _ = writeln!(out, "# {line}");
            }
            let _ = writeln!(out, "# {}", value_text(def));
            let short = def.key.strip_prefix(section.prefix).unwrap_or(def.key);
            match default_literal(def) {
                Some(literal) => {
                    let _ = writeln!(out, "#{short} = {literal}");
                }
                None => {
                    let name = if def.is_secret() {
                        format!("{short}_file")
                    } else {
                        short.to_owned()
                    };
                    let _ = writeln!(out, "#{name} =    # default: {}", default_text(def));
                }
            }
        }
    }
    out
}

/// Every variable with what it sets: name, key, first line of its text.
pub(crate) fn env_list(catalogue: &Catalogue) -> Vec<(String, &'static str, String)> {
    let mut list = Vec::new();
    for def in catalogue.defs() {
        let text = def.text().join(" ");
        list.push((def.variable(), def.key, text.clone()));
        if def.is_secret() {
            let of_file = format!("Path of a file that holds it. {text}");
            list.push((format!("{}_FILE", def.variable()), def.key, of_file));
        }
        for alias in def.aliases {
            list.push((
                alias.name().to_owned(),
                def.key,
                format!("Other name. {text}"),
            ));
        }
    }
    list
}

/// JSON Schema (2020-12) of a settings file.
pub(crate) fn json_schema(catalogue: &Catalogue) -> Value {
    let mut root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of Meydan",
        "type": "object",
        "additionalProperties": false,
        "properties": {},
    });
    for section in &catalogue.sections {
        let path: Vec<&str> = section
            .prefix
            .split('.')
            .filter(|part| !part.is_empty())
            .collect();
        let text = trimmed(section.doc).join(" ");
        let mut node = &mut root;
        for part in path {
            let child = json!({
                "description": text, "type": "object",
                "additionalProperties": false, "properties": {},
            });
            let Some(properties) = node.get_mut("properties").and_then(Value::as_object_mut) else {
                return root;
            };
            node = properties.entry(part).or_insert(child);
        }
        let Some(properties) = node.get_mut("properties").and_then(Value::as_object_mut) else {
            return root;
        };
        for def in section.defs {
            let short = def.key.strip_prefix(section.prefix).unwrap_or(def.key);
            properties.insert(short.to_owned(), property(def));
            if def.is_secret() {
                let text = format!("Path of a file that holds it. {}", def.text().join(" "));
                properties.insert(
                    format!("{short}_file"),
                    json!({ "description": text, "type": "string" }),
                );
            }
        }
    }
    // Whether a map keeps the order of its names depends on who else uses serde_json.
    root.sort_all_objects();
    root
}

fn property(def: &Def) -> Value {
    let mut node = json!({ "description": def.text().join(" ") });
    let Some(fields) = node.as_object_mut() else {
        return node;
    };
    shape(def.kind, fields);
    if let Some(literal) = default_literal(def) {
        fields.insert("default".to_owned(), json_of(&literal));
    }
    if let (Kind::Integer, Some((least, most))) = (def.kind, def.range) {
        fields.insert("minimum".to_owned(), json_of(least));
        fields.insert("maximum".to_owned(), json_of(most));
    }
    node
}

fn shape(kind: Kind, fields: &mut Map<String, Value>) {
    let mut put = |name: &str, value: Value| {
        fields.insert(name.to_owned(), value);
    };
    match kind {
        Kind::Integer => put("type", json!("integer")),
        Kind::Flag => put("type", json!("boolean")),
        Kind::Duration => {
            put("type", json!("string"));
            put("pattern", json!("^[0-9]+(ms|s|m|h|d)$"));
        }
        Kind::Size => {
            put("type", json!(["string", "integer"]));
            put("pattern", json!("^[0-9]+(B|KiB|MiB|GiB|TiB)$"));
        }
        Kind::Choice(words) => put("enum", json!(words)),
        Kind::Secret => {
            put("type", json!("string"));
            put("writeOnly", json!(true));
        }
        Kind::List(item) => {
            put("type", json!("array"));
            let mut of_item = Map::new();
            shape(*item, &mut of_item);
            put("items", Value::Object(of_item));
        }
        Kind::Text
        | Kind::Address
        | Kind::SocketAddress
        | Kind::Path
        | Kind::Url
        | Kind::Network
        | Kind::Country
        | Kind::Place => put("type", json!("string")),
    }
}
