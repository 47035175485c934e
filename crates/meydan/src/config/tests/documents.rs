//! The declarations are sound, and what is made from them is fresh.

use std::collections::BTreeSet;

use super::super::layer::Catalogue;
use super::super::render::{docs, json_schema, sample};
use super::super::value::Raw;
use super::{Folder, repository};

#[test]
fn every_setting_has_text_and_a_default_that_passes_its_own_checks() {
    let catalogue = Catalogue::new();
    let mut keys = BTreeSet::new();
    for def in catalogue.defs() {
        let key = def.key;
        assert!(keys.insert(key), "{key} is declared twice");
        assert!(
            def.text().iter().any(|line| !line.is_empty()),
            "{key} has no text"
        );
        match def.default.map(|text| Raw::Loose(text.to_owned())) {
            Some(raw) => assert_eq!(def.check(&raw), Ok(()), "{key}"),
            None => assert!(def.optional, "{key} has neither a default nor Option"),
        }
        if let Some((least, most)) = def.range {
            for bound in [least, most] {
                let raw = Raw::Loose(bound.to_owned());
                assert_eq!(def.check(&raw), Ok(()), "{key}: {bound}");
                assert!(
                    (def.magnitude)(&raw).is_some(),
                    "{key}: {bound} is no number"
                );
            }
        }
    }
    assert!(keys.len() > 40, "only {} settings", keys.len());
}

/// One step beyond each bound is refused.
#[test]
fn ranges_hold_at_their_edges() {
    let folder = Folder::new();
    for (good, bad) in [
        ("http.port=65535", "http.port=65536"),
        ("http.port=1", "http.port=0"),
        ("http.body_limit=64MiB", "http.body_limit=67108865"),
        ("http.body_limit=1024", "http.body_limit=1023"),
        (
            "auth.refresh.reuse_grace=60000ms",
            "auth.refresh.reuse_grace=60001ms",
        ),
        (
            "auth.refresh.reuse_grace=0s",
            "auth.refresh.reuse_grace=-1s",
        ),
        (
            "auth.password.bcrypt_cost=15",
            "auth.password.bcrypt_cost=16",
        ),
        ("realtime.workers=1", "realtime.workers=0"),
        ("messaging.batch=4096", "messaging.batch=4097"),
    ] {
        assert!(folder.load(&[], &[good]).is_ok(), "{good}");
        let report = folder.load(&[], &[bad]).unwrap_err();
        assert_eq!(
            report.problems[0].code.as_str(),
            "config.bad_value",
            "{bad}"
        );
    }
}

#[test]
fn variable_names_are_unique() {
    let catalogue = Catalogue::new();
    let names = catalogue.variables();
    let unique: BTreeSet<&String> = names.iter().collect();
    assert_eq!(unique.len(), names.len());
}

#[test]
fn documents_are_fresh() {
    let catalogue = Catalogue::new();
    let schema = serde_json::to_string_pretty(&json_schema(&catalogue)).unwrap() + "\n";
    for (file, verb, made) in [
        ("docs/config.md", "docs", docs(&catalogue)),
        ("docs/meydan.sample.toml", "sample", sample(&catalogue)),
        ("docs/config.schema.json", "schema", schema),
    ] {
        let stored = std::fs::read_to_string(repository().join(file)).unwrap_or_default();
        assert!(
            stored == made,
            "{file} is stale; run: cargo run -p meydan -- config {verb} > {file}"
        );
    }
}

#[test]
fn the_sample_is_valid_as_it_is_and_with_every_default_written_out() {
    let catalogue = Catalogue::new();
    let text = sample(&catalogue);
    Folder::new()
        .with("work/meydan.toml", &text)
        .load(&[], &[])
        .unwrap();
    let written_out: String = text
        .lines()
        .filter(|line| !line.contains("# default:"))
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let loaded = Folder::new()
        .with("work/meydan.toml", &written_out)
        .load(&[], &[])
        .unwrap();
    let from_file = loaded
        .origins
        .values()
        .filter(|origin| matches!(origin, super::super::Origin::File { .. }))
        .count();
    let with_default = catalogue.defs().filter(|def| def.default.is_some()).count();
    assert_eq!(from_file, with_default);
}

#[test]
fn the_schema_knows_every_key() {
    let catalogue = Catalogue::new();
    let schema = json_schema(&catalogue);
    for def in catalogue.defs() {
        let pointer: String = def
            .key
            .split('.')
            .map(|part| format!("/properties/{part}"))
            .collect();
        let node = schema
            .pointer(&pointer)
            .unwrap_or_else(|| panic!("{} is missing", def.key));
        assert!(node.get("description").is_some(), "{}", def.key);
    }
}
