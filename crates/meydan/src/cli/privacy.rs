//! `meydan privacy`.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use identity::{Erasing, Grace, Identity};

use super::Context;
use super::accounts::{Accounts, Person, failed};
use super::confirm::confirm;
use super::exit::{Exit, Fail};

/// What is stored about people.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  meydan privacy export ayse@example.com")]
pub(crate) struct Privacy {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write everything stored about an account into a zip of JSON
    #[command(after_help = "Example:\n  meydan privacy export ayse@example.com --out ayse.zip")]
    Export(Export),
    /// Erase an account after fourteen days, in which its owner may keep it
    #[command(after_help = "Examples:\n  meydan privacy erase ayse@example.com\n  \
                            meydan privacy erase ayse@example.com --now --yes")]
    Erase(Erase),
}

#[derive(Debug, Args)]
struct Export {
    #[command(flatten)]
    person: Person,
    /// Where to write it, for the eyes of this user alone; otherwise a file of its own here.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Erase {
    #[command(flatten)]
    person: Person,
    /// Without the fourteen days: signed out at once, and gone twenty minutes later.
    #[arg(long)]
    now: bool,
}

impl Privacy {
    pub(crate) async fn run(&self, context: &Context) -> Result<Exit, Fail> {
        if let Verb::Erase(erase) = &self.verb {
            erase.confirm(context)?;
        }
        let accounts = Accounts::open(context).await?;
        let identity = &accounts.contexts.identity;
        let done = match &self.verb {
            Verb::Export(export) => export.run(context, identity).await,
            Verb::Erase(erase) => erase.run(context, identity).await,
        };
        accounts.close().await?;
        done.map(|()| Exit::Done)
    }
}

impl Export {
    async fn run(&self, context: &Context, identity: &Identity) -> Result<(), Fail> {
        let user = self.person.find(identity).await?;
        let name = || PathBuf::from(format!("meydan-export-{user}.zip"));
        let path = self.out.clone().unwrap_or_else(name);
        // Before the work, which is long and recorded.
        let file = create(&path)?;
        let written = write(file, &path, identity.export_for_operator(user).await);
        if written.is_err() {
            // Half an export would be taken for a whole one.
            let _removed = std::fs::remove_file(&path);
        }
        let row = vec![
            user.to_string(),
            path.display().to_string(),
            written?.to_string(),
        ];
        context.out.rows(&["user", "file", "bytes"], &[row])
    }
}

fn create(path: &Path) -> Result<File, Fail> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path).map_err(|error| {
        let attempted = format!("creating {}", path.display());
        match error.kind() {
            ErrorKind::AlreadyExists => Fail::caused(Exit::Conflict, &attempted, &error)
                .hint("name another with --out FILE"),
            _ => Fail::caused(Exit::Missing, &attempted, &error),
        }
    })
}

fn write(
    mut file: File,
    path: &Path,
    export: Result<Vec<u8>, identity::Error>,
) -> Result<usize, Fail> {
    let export = export.map_err(|error| failed("making an export", &error))?;
    let done = file.write_all(&export).and_then(|()| file.sync_all());
    let attempted = format!("writing {}", path.display());
    done.map_err(|error| Fail::caused(Exit::Failure, &attempted, &error))?;
    Ok(export.len())
}

impl Erase {
    fn confirm(&self, context: &Context) -> Result<(), Fail> {
        let user = &self.person.user;
        let (when, flag) = if self.now {
            ("at once", " --now")
        } else {
            ("in fourteen days", "")
        };
        confirm(
            context,
            &format!("everything stored about {user} goes {when}"),
            user,
            &format!("meydan privacy erase {user}{flag}"),
        )
    }

    async fn run(&self, context: &Context, identity: &Identity) -> Result<(), Fail> {
        let user = self.person.find(identity).await?;
        let grace = if self.now {
            Grace::None
        } else {
            Grace::Fortnight
        };
        let erasing = identity.erase_for_operator(user, grace).await;
        let erasing = erasing.map_err(|error| failed("erasing an account", &error))?;
        let (state, at, told) = match erasing {
            Erasing::Waiting(at) => (
                "waiting",
                at.to_string(),
                "until then its owner can log in and keep it",
            ),
            Erasing::Running(at) => (
                "running",
                at.to_string(),
                "signed out; a running node removes the rest then",
            ),
            Erasing::Erased => (
                "erased",
                String::new(),
                "a running node tells the other contexts",
            ),
        };
        context.out.say(told);
        let row = vec![user.to_string(), state.to_owned(), at];
        context.out.rows(&["user", "state", "at"], &[row])
    }
}
