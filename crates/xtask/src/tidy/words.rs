//! Words no tracked file may hold.

use super::Finding;
use crate::source::line_at;
use crate::workspace::File;

/// Hosts of package registries: a build asks the registry its user has set, and says no name.
const REGISTRIES: &[&str] = &[
    concat!("crates", ".io"),
    concat!("registry.", "npmjs.org"),
    concat!("registry.", "yarnpkg.com"),
    concat!("pypi", ".org"),
    concat!("files.", "pythonhosted.org"),
    concat!("proxy.", "golang.org"),
    concat!("rubygems", ".org"),
];

/// Written by Cargo, which names the registry of every package.
const WRITTEN_BY_TOOLS: &[&str] = &["Cargo.lock"];

pub(super) fn check(file: &File) -> Vec<Finding> {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    if WRITTEN_BY_TOOLS.contains(&name) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for host in REGISTRIES {
        for (offset, _) in file.text.match_indices(host) {
            // Part of a longer name of a repository is no host.
            let after = file.text.get(offset + host.len()..).unwrap_or_default();
            if !after.starts_with(['-', '_']) {
                let line = line_at(&file.text, offset);
                let message = format!("names the package registry {host}");
                findings.push(Finding::new(&file.path, line, "registry-host", message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_hosts_are_found_everywhere_but_in_cargos_lock() {
        let text = format!("a\nsee https://{}/x", REGISTRIES[0]);
        let findings = check(&File::new("README.md", text.clone()));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].line, 2);
        assert!(check(&File::new("Cargo.lock", text)).is_empty());
        assert!(check(&File::new("README.md", "crates and io")).is_empty());
        let repository = format!("{}-server", REGISTRIES[0]);
        assert!(check(&File::new("STYLE.md", repository)).is_empty());
    }
}
