//! Secrets are never printed: canaries in every secret field, looked for in all that is printed.

use proptest::prelude::*;

use super::super::layer::Catalogue;
use super::super::render::{Show, print, print_json};
use super::{Folder, up};

/// Long enough for every rule, and found nowhere by chance.
fn canary() -> impl Strategy<Value = String> {
    "[A-Za-z0-9]{40,60}".prop_map(|text| format!("canary{text}"))
}

fn secret_keys() -> Vec<(&'static str, String)> {
    Catalogue::new()
        .defs()
        .filter(|def| def.is_secret())
        .map(|def| (def.key, def.variable()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn printed_settings_show_no_secret(canary in canary()) {
        let keys = secret_keys();
        prop_assert!(keys.len() >= 4, "the catalogue knows its secrets: {keys:?}");
        // The only one that is looked into before the start.
        let server = format!("smtp://meydan:{canary}@mail.example.com");
        let value = |key| if key == "mail.smtp.url" { &server } else { &canary };
        let mut variables: Vec<(&str, &str)> =
            keys.iter().map(|(key, name)| (name.as_str(), value(*key).as_str())).collect();
        variables.push(("MEYDAN_ADMIN_EMAIL", "ayse@example.com"));
        variables.push(("MEYDAN_AUTH__OAUTH__OIDC__ISSUER", "https://idp.example.com"));
        for provider in ["GOOGLE", "FACEBOOK", "X", "OIDC"] {
            let name = format!("MEYDAN_AUTH__OAUTH__{provider}__CLIENT_ID");
            variables.push((String::leak(name), "meydan"));
        }
        let folder = Folder::new();
        let loaded = folder.load(&variables, &[]).unwrap();
        let printed = [
            print(&loaded, Show::Values),
            print(&loaded, Show::ValuesAndOrigins),
            print_json(&loaded, Show::ValuesAndOrigins).to_string(),
            format!("{loaded:?}"),
            format!("{:#?}", loaded.config),
            loaded.notices.join("\n"),
        ];
        for text in printed {
            prop_assert!(!text.contains(&canary), "{text}");
        }
        // The values themselves arrived: the test would notice if nothing had been read.
        let url = loaded.config.database.url.unwrap();
        prop_assert_eq!(url.expose(), canary.as_str());
    }

    #[test]
    fn errors_show_no_secret(canary in canary(), which in 0_usize..6) {
        let folder = Folder::new();
        let short = canary.get(..20).unwrap_or_default();
        let in_file = match which {
            0 => format!("[database]\nurl = [\"{canary}\"]\n"),
            1 => format!("[database]\nurll = \"{canary}\"\n"),
            2 => format!("[database]\nurl = \"{canary}\n"),
            3 => format!("[auth.jwt]\nsecret = \"{short}\"\n"),
            4 => format!("[database]\nurl = {{ password = \"{canary}\" }}\n"),
            _ => "[http]\nport = \"${HIDDEN}\"\n".to_owned(),
        };
        let folder = folder.with("work/meydan.toml", &in_file);
        let variables = [
            ("HIDDEN", canary.as_str()),
            ("DATABASE_URL", canary.as_str()),
            ("MEYDAN_DATABASE__URL", "other"),
        ];
        let set = format!("auth.jwt.secret={canary}");
        let report = folder.load_as(&up(&[&set]), &variables).unwrap_err();
        for text in [report.to_string(), format!("{report:?}")] {
            prop_assert!(!text.contains(short), "{text}");
        }
    }
}

#[test]
fn a_short_secret_is_answered_with_a_fresh_one() {
    let folder = Folder::new();
    let errors = folder.errors(&[("JWT_SECRET", "too short")], &[]);
    assert!(errors.contains("a fresh one: "), "{errors}");
    assert!(!errors.contains("too short"), "{errors}");
    let fresh = errors.split("a fresh one: ").nth(1).unwrap();
    let fresh = fresh.split_whitespace().next().unwrap();
    assert!(
        folder.load(&[("JWT_SECRET", fresh)], &[]).is_ok(),
        "{fresh}"
    );
}
