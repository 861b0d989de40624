//! The test programs of the workspace.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::jobs::Job;
use crate::{
    build::{self, DRIVERS},
    process,
};

/// A test program that cargo built.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// Package and target: `world::rss`.
    pub(crate) name: String,
    /// Folder it is run in: its package's.
    folder: PathBuf,
    executable: PathBuf,
}

/// Builds all test programs of all packages but the drivers themselves, which are tested as built images.
///
/// # Errors
/// The build failed.
pub(crate) fn build() -> Result<Vec<Program>> {
    let mut cargo = process::cargo();
    cargo.args(["test", "--workspace", "--no-run"]);
    cargo.arg("--message-format=json-render-diagnostics");
    exclude_drivers(&mut cargo);
    eprintln!("==> building the tests");
    let start = std::time::Instant::now();
    let output = cargo
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {cargo:?}"))?;
    if !output.status.success() {
        bail!("the tests do not build (see above)");
    }
    eprintln!(
        "    building the tests: {:.0} s",
        start.elapsed().as_secs_f64()
    );
    Ok(programs(&String::from_utf8_lossy(&output.stdout)))
}

/// The test programs among cargo's messages.
fn programs(messages: &str) -> Vec<Program> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["profile"]["test"] == true)
        .filter_map(|message| {
            let executable = PathBuf::from(message["executable"].as_str()?);
            let manifest = Path::new(message["manifest_path"].as_str()?);
            let folder = manifest.parent()?.to_owned();
            let package = folder.file_name()?.to_string_lossy();
            let target = message["target"]["name"].as_str()?;
            Some(Program {
                name: format!("{package}::{target}"),
                folder,
                executable,
            })
        })
        .collect()
}

impl Program {
    /// Runs those of its tests whose name contains `filter`.
    pub(crate) fn job(&self, filter: Option<&str>) -> Job {
        let mut command = process::program(&self.executable);
        command
            .current_dir(&self.folder)
            // As cargo does it.
            .env("CARGO_MANIFEST_DIR", &self.folder)
            .env("NETFRONT_PACKAGE_DIR", build::package_dir())
            .args(filter);
        Job::program(&self.name, command)
    }
}

/// The examples in the documentation.
pub(crate) fn documentation(filter: Option<&str>) -> Job {
    let mut cargo = process::cargo();
    cargo.args(["test", "--workspace", "--doc", "--no-fail-fast"]);
    exclude_drivers(&mut cargo);
    cargo.args(filter);
    Job::program("documentation", cargo)
}

fn exclude_drivers(cargo: &mut std::process::Command) {
    for driver in DRIVERS {
        cargo.args(["--exclude", driver]);
    }
}

#[cfg(test)]
mod tests {
    use super::programs;

    #[test]
    fn programs_are_found_among_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","manifest_path":"/w/crates/ring/Cargo.toml","target":{"name":"ring"},"profile":{"test":false},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/w/crates/ring/Cargo.toml","target":{"name":"loom"},"profile":{"test":true},"executable":"/t/loom-1"}"#,
            "\nwarning: not JSON\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let found = programs(messages);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].name, "ring::loom");
        assert_eq!(found[0].folder, std::path::Path::new("/w/crates/ring"));
    }
}
