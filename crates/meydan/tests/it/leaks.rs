//! Finds secrets in whatever a node wrote, however they are spelled.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use db::private::Programs;

/// Something that must be nowhere.
#[derive(Clone, Debug)]
pub(crate) struct Secret {
    pub(crate) name: String,
    text: String,
}

/// Something written: a log, a page, a file, a dump.
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Place {
    pub(crate) fn new(name: impl Into<String>, bytes: &[u8]) -> Self {
        Place {
            name: name.into(),
            text: String::from_utf8_lossy(bytes).into_owned(),
        }
    }
}

impl Secret {
    pub(crate) fn new(name: impl Into<String>, text: &str) -> Self {
        Secret {
            name: name.into(),
            text: text.to_owned(),
        }
    }

    /// A code of a few digits stands inside of many numbers; it counts where it stands alone.
    fn is_code(&self) -> bool {
        self.text.len() < 8 && self.text.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// The secret as it is, in base64 of both alphabets wherever it begins, in hexadecimal, and as
    /// in an address.
    pub(crate) fn spellings(&self) -> BTreeSet<String> {
        let bytes = self.text.as_bytes();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let percent = |byte: &u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(*byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        };
        let address: String = bytes.iter().map(percent).collect();
        let mut all = BTreeSet::from([self.text.clone(), hex.to_uppercase(), hex, address]);
        // Of a secret in the middle of something, the characters at both ends hold bits of others.
        for before in 0..3 {
            let shifted = [vec![0; before], bytes.to_vec()].concat();
            let whole = (before * 8).div_ceil(6)..(shifted.len() * 8) / 6;
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let encoded = engine.encode(&shifted);
                all.extend(encoded.get(whole.clone()).map(str::to_owned));
            }
        }
        all.retain(|spelling| spelling.len() >= 6);
        all
    }

    fn stands_in(&self, spelling: &str, text: &str) -> bool {
        if !self.is_code() || spelling != self.text {
            return text.contains(spelling);
        }
        // The fractions of moments are numbers, too.
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        text.match_indices(spelling).any(|(at, _)| {
            let (before, rest) = text.split_at(at);
            let after = rest.get(spelling.len()..).unwrap_or_default();
            !before.ends_with(is_number) && !after.starts_with(|c: char| c.is_ascii_digit())
        })
    }
}

/// Which secrets stand where.
pub(crate) fn leaks(secrets: &[Secret], places: &[Place]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for secret in secrets {
        for spelling in secret.spellings() {
            for place in places {
                if secret.stands_in(&spelling, &place.text) {
                    found.insert(format!("{} in {}", secret.name, place.name));
                }
            }
        }
    }
    found
}

/// Every column of every table, and what columns of bytes hold.
pub(crate) fn dump(database: &str) -> Result<Vec<Place>> {
    let mut command = std::process::Command::new(Programs::find(None, None)?.program("pg_dump"));
    let output = command
        .args(["--data-only", "--dbname", database])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "pg_dump: {said}");
    let text = String::from_utf8(output.stdout)?;
    let mut bytes = Vec::new();
    // COPY writes them as two backslashes, an x and hexadecimal digits.
    for part in text.split("\\\\x").skip(1) {
        let digits: Vec<u8> = part.bytes().take_while(u8::is_ascii_hexdigit).collect();
        for pair in digits.chunks_exact(2) {
            bytes.push(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
        }
        bytes.push(b'\n');
    }
    ensure!(bytes.len() > 100, "the dump holds no columns of bytes");
    Ok(vec![
        Place::new("the database", text.as_bytes()),
        Place::new("the bytes of the database", &bytes),
    ])
}

/// Every file below a folder, archives unpacked.
pub(crate) fn files(folder: &Path) -> Result<Vec<Place>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            all.extend(files(&path)?);
        } else if path.is_file() {
            let name = path.display().to_string();
            let bytes = std::fs::read(&path)?;
            if bytes.starts_with(b"PK") {
                all.extend(unpacked(&name, bytes)?);
            } else {
                all.push(Place::new(name, &bytes));
            }
        }
    }
    Ok(all)
}

fn unpacked(name: &str, bytes: Vec<u8>) -> Result<Vec<Place>> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes))?;
    let mut all = Vec::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).context("a file of an archive")?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        all.push(Place::new(format!("{name}/{}", file.name()?), &content));
    }
    Ok(all)
}

#[test]
fn s14_a_secret_is_found_in_every_spelling_and_a_code_only_alone() {
    let secret = Secret::new("it", "yeşil bisiklet?");
    for around in ["", "x", "xy", "xyz"] {
        let whole = format!("{around}yeşil bisiklet?{around}");
        let hex: String = whole.bytes().map(|byte| format!("{byte:02X}")).collect();
        for written in [
            whole.clone(),
            hex.to_lowercase(),
            hex,
            STANDARD_NO_PAD.encode(&whole),
            URL_SAFE_NO_PAD.encode(&whole),
            format!("{around}ye%C5%9Fil%20bisiklet%3F"),
        ] {
            let place = Place::new("there", written.as_bytes());
            let found = leaks(std::slice::from_ref(&secret), &[place]);
            assert_eq!(found.len(), 1, "{written}");
        }
    }
    let code = Secret::new("a code", "123456");
    for (text, found) in [
        ("Kod: 123456.", 1),
        ("{\"code\":\"123456\"}", 1),
        ("MTIzNDU2", 1),
        ("at 11:02:03.123456Z", 0),
        ("id 9123456", 0),
        ("id 1234567", 0),
    ] {
        let place = Place::new("there", text.as_bytes());
        assert_eq!(
            leaks(std::slice::from_ref(&code), &[place]).len(),
            found,
            "{text}"
        );
    }
}
