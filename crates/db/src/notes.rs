//! Which statements have run, noted for the check that tests run every one.
//!
//! Preparing a statement shows its columns; types of values and NULLs show only when it runs.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Names the folder of the notes. Set by the run of all tests, never while serving.
const FOLDER: &str = "MEYDAN_TEST_STATEMENTS";

struct Notes {
    seen: HashSet<&'static str>,
    file: File,
}

/// Notes that a statement has succeeded; once per process, if anybody wants to know at all.
pub(crate) fn note(name: &'static str) {
    static NOTES: OnceLock<Option<Mutex<Notes>>> = OnceLock::new();
    let Some(notes) = NOTES.get_or_init(|| open(std::env::var_os(FOLDER)?.as_os_str())) else {
        return;
    };
    let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
    if !notes.seen.insert(name) {
        return;
    }
    // One write per line: a killed process leaves whole lines.
    if let Err(error) = notes.file.write_all(format!("{name}\n").as_bytes()) {
        tracing::error!(error = %error, "a statement that ran cannot be noted");
    }
}

/// A file per process. Numbers of processes come again: then the lines stand below each other.
fn open(folder: &OsStr) -> Option<Mutex<Notes>> {
    let path = Path::new(folder).join(format!("{}.txt", std::process::id()));
    match File::options().create(true).append(true).open(&path) {
        Ok(file) => Some(Mutex::new(Notes {
            seen: HashSet::new(),
            file,
        })),
        Err(error) => {
            tracing::error!(file = %path.display(), error = %error, "statements cannot be noted");
            None
        }
    }
}
