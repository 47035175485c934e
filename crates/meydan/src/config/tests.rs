//! The rules of configuration, on real files in a folder of each test's own.

mod bad_input;
mod documents;
mod layers;
mod objects;
mod production;
mod secrets;
mod senders;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::parts::Contents;

use super::{Loaded, Report, Request, Role, Sources, load};

/// A folder that goes away with the test: `work` is the working directory, `etc` is /etc/meydan.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("meydan-config-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(path.join("work")).unwrap();
        std::fs::create_dir_all(path.join("etc/conf.d")).unwrap();
        Self(path)
    }

    fn with(self, name: &str, text: &str) -> Self {
        std::fs::write(self.0.join(name), text).unwrap();
        self
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Loads as `meydan up` does.
    fn load(&self, variables: &[(&str, &str)], set: &[&str]) -> Result<Loaded, Report> {
        self.load_as(&up(set), variables)
    }

    fn load_as(&self, request: &Request, variables: &[(&str, &str)]) -> Result<Loaded, Report> {
        let sources = Sources::of_test(&self.0, variables);
        load(request, &sources, &*kernel::SeededRng::new(1))
    }

    /// The report with the folder's random name taken out.
    fn errors(&self, variables: &[(&str, &str)], set: &[&str]) -> String {
        self.clean(&self.load(variables, set).unwrap_err())
    }

    fn clean(&self, report: &Report) -> String {
        report
            .to_string()
            .replace(&format!("{}/", self.0.display()), "")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn up(set: &[&str]) -> Request {
    Request {
        file: None,
        set: set.iter().map(|text| (*text).to_owned()).collect(),
        flags: Vec::new(),
        role: Role::Node,
        contents: Contents::AsIs,
    }
}

fn serve() -> Request {
    Request {
        role: Role::Service,
        ..up(&[])
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .parent()
        .unwrap()
}
