//! Runs other programs, with a line of progress for each.

use std::{
    env,
    ffi::OsStr,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};

/// Root folder of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(PathBuf::new, Path::to_path_buf)
}

/// Folder of build results: `CARGO_TARGET_DIR`, else `target`.
pub(crate) fn target_dir() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// `cargo`, as this program was started by it, in the repository's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// A program by name, in the repository's root.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    command
}

/// Says what starts now, runs `command` to its end, and says how long it took.
///
/// # Errors
/// When it cannot be started, or ends with another code than 0.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<()> {
    eprintln!("==> {what}");
    let start = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{what}: failed ({status}): {command:?}");
    }
    eprintln!("    {what}: {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// How a program ended whose errors were shown and kept.
pub(crate) struct Finished {
    /// Whether the exit code was 0.
    pub(crate) success: bool,
    /// What it printed on standard error.
    pub(crate) errors: String,
}

/// As [`run`], but also keeps what comes on standard error, which is shown all the same as it comes.
///
/// # Errors
/// When the program cannot be started or its output cannot be read; not when it fails.
pub(crate) fn run_and_keep_errors(what: &str, command: &mut Command) -> Result<Finished> {
    eprintln!("==> {what}");
    let start = Instant::now();
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let errors = child.stderr.take().map(|pipe| copy(pipe, io::stderr()));
    let errors = errors.transpose()?.unwrap_or_default();
    let status = child.wait()?;
    eprintln!("    {what}: {:.0} s", start.elapsed().as_secs_f64());
    Ok(Finished {
        success: status.success(),
        errors,
    })
}

fn copy(mut from: impl Read, mut to: impl Write) -> Result<String> {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = from.read(&mut buffer)?;
        let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else {
            return Ok(String::from_utf8_lossy(&kept).into_owned());
        };
        to.write_all(read)?;
        to.flush()?;
        kept.extend_from_slice(read);
    }
}
