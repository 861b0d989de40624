//! Builds both drivers into `target/package`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    identity, process,
    setup::{self, DRIVER_TARGET, Purpose},
};

/// The drivers: package name and stem of the image.
pub(crate) const DRIVERS: [&str; 2] = ["xenbus", "netfront"];

/// Cargo profile the images are built with, and the name of its folder of results.
pub(crate) const DRIVER_PROFILE: &str = "driver";

/// Folder of the built drivers.
pub(crate) fn package_dir() -> PathBuf {
    process::target_dir().join("package")
}

/// `cargo xtask build`.
///
/// # Errors
/// Set-up or build failed.
pub(crate) fn run() -> Result<()> {
    setup::run(Purpose::Build)?;
    drivers(&process::root(), &process::target_dir())?;
    for driver in DRIVERS {
        let image = package_dir().join(driver).with_extension("sys");
        println!(
            "{} ({} bytes)",
            image.display(),
            fs::metadata(&image)?.len()
        );
    }
    Ok(())
}

/// Builds the drivers of the repository at `root` into `target_dir` and its folder `package`.
///
/// # Errors
/// The build failed; an import that is on no list is named.
pub(crate) fn drivers(root: &Path, target_dir: &Path) -> Result<()> {
    compile(root, target_dir)?;
    let package = target_dir.join("package");
    // Catalogs of an earlier build do not cover these images.
    if package.exists() {
        fs::remove_dir_all(&package)?;
    }
    collect(target_dir, &package)
}

/// Compiles the drivers of the repository at `root` into `target_dir`.
///
/// # Errors
/// As for [`drivers`].
pub(crate) fn compile(root: &Path, target_dir: &Path) -> Result<()> {
    let mut build = process::cargo();
    build.current_dir(root).args([
        "build",
        "--profile",
        DRIVER_PROFILE,
        "--target",
        DRIVER_TARGET,
    ]);
    for driver in DRIVERS {
        build.args(["--package", driver]);
    }
    with_driver_flags(&mut build, root, target_dir)?;
    let finished = process::run_and_keep_errors("building the drivers", &mut build)?;
    if !finished.success {
        let unlisted = unlisted_imports(&finished.errors);
        if unlisted.is_empty() {
            bail!("the drivers do not build (see above)");
        }
        bail!(
            "not on an import list: {}: a driver uses what cross/imports/*.txt do not name; add it \
             there with its reason, if Windows 10 1809 has it",
            unlisted.join(", ")
        );
    }
    Ok(())
}

/// Puts what [`compile`] made into the folder `package`, under the names and with the identity that are shipped.
///
/// # Errors
/// A file is missing, or cannot be written.
pub(crate) fn collect(target_dir: &Path, package: &Path) -> Result<()> {
    let results = target_dir.join(DRIVER_TARGET).join(DRIVER_PROFILE);
    fs::create_dir_all(package)
        .with_context(|| format!("cannot make the folder {}", package.display()))?;
    for driver in DRIVERS {
        for (made, kept) in [("dll", "sys"), ("pdb", "pdb")] {
            let from = results.join(driver).with_extension(made);
            let to = package.join(driver).with_extension(kept);
            fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        }
        let image = package.join(driver);
        identity::rewrite(&image.with_extension("sys"), &image.with_extension("pdb"))?;
    }
    Ok(())
}

/// Has `command` compile for the drivers' target with one set of flags, so that the images do not
/// depend on where the repository, Cargo's cache and the toolchain are.
pub(crate) fn with_driver_flags(
    command: &mut Command,
    root: &Path,
    target_dir: &Path,
) -> Result<()> {
    let sysroot = process::program("rustc")
        .args(["--print", "sysroot"])
        .output()?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot.stdout).trim().to_owned());
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")))
        .context("neither CARGO_HOME nor HOME is set")?;
    // The last prefix that fits is the one rustc takes: the target folder lies in the root.
    let remap = [
        (cargo_home, "/cargo"),
        (sysroot, "/rust"),
        (root.to_owned(), "/netfront"),
        (target_dir.to_owned(), "/target"),
    ];
    let mut flags = vec![
        "-Ccontrol-flow-guard=checks".to_owned(),
        "-Ctarget-feature=+crt-static".to_owned(),
    ];
    for (from, to) in remap {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    }
    command
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("CARGO_TARGET_DIR", target_dir);
    Ok(())
}

/// Names the linker could not resolve, each once.
fn unlisted_imports(errors: &str) -> Vec<String> {
    let mut names: Vec<String> = errors
        .split("undefined symbol: ")
        .skip(1)
        .filter_map(|rest| rest.split_whitespace().next())
        .map(ToOwned::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::unlisted_imports;

    #[test]
    fn unresolved_names_are_read_from_the_linkers_errors() {
        let errors = "rust-lld: error: undefined symbol: ZwCreateFile\n>>> referenced by a.rs:3\n\
                      rust-lld: error: undefined symbol: KeBugCheck\n\
                      rust-lld: error: undefined symbol: ZwCreateFile\n";
        assert_eq!(unlisted_imports(errors), ["KeBugCheck", "ZwCreateFile"]);
        assert!(unlisted_imports("error[E0308]: mismatched types").is_empty());
    }
}
