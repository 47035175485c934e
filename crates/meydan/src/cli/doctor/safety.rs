//! Checks of what must not be open to others.

use std::os::unix::fs::PermissionsExt as _;

use super::Finding;
use crate::config::{Config, Env};

pub(super) fn look(config: &Config) -> Vec<Finding> {
    vec![
        data_dir(config),
        root_secret(config),
        defaults(config),
        public_address(config),
    ]
}

fn data_dir(config: &Config) -> Finding {
    let path = &config.storage.data_dir;
    let shown = path.display();
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::good("SA001", format!("{shown} is not there yet"))
        }
        Err(error) => Finding::bad("SA001", format!("{shown} - {error}")),
        Ok(about) => {
            let mode = about.permissions().mode() & 0o777;
            let evidence = format!("{shown} has mode {mode:04o}");
            if mode & 0o077 == 0 {
                Finding::good("SA001", evidence)
            } else {
                Finding::bad("SA001", evidence)
            }
        }
    }
}

fn root_secret(config: &Config) -> Finding {
    if config.auth.jwt.secret.is_some() {
        return Finding::good("SA002", "auth.jwt.secret is set");
    }
    let path = super::super::local::root_key_path(&config.storage.data_dir);
    let shown = path.display();
    match std::fs::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::good("SA002", format!("{shown} is made at the first start"))
        }
        Err(error) => Finding::bad("SA002", format!("{shown} - {error}")),
        Ok(about) => {
            let mode = about.permissions().mode() & 0o777;
            let evidence = format!("{shown} has mode {mode:04o}");
            if mode & 0o077 == 0 {
                Finding::good("SA002", evidence)
            } else {
                Finding::bad("SA002", evidence)
            }
        }
    }
}

fn defaults(config: &Config) -> Finding {
    let list = config.insecure_defaults();
    if list.is_empty() {
        Finding::good("SA003", "none in use")
    } else {
        Finding::warning("SA003", format!("{} in use", list.join(", ")))
    }
}

fn public_address(config: &Config) -> Finding {
    let url = config.public_url();
    let evidence = format!("clients use {url}");
    let local_only =
        config.env == Env::Dev && url.is_loopback() && config.http.listen.is_loopback();
    if url.is_https() || local_only {
        Finding::good("SA004", evidence)
    } else {
        Finding::warning("SA004", evidence)
    }
}
