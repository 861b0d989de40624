//! Builds and packages the drivers a second time, in another folder, and compares the bytes.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::{
    build::{self, DRIVER_PROFILE, DRIVERS},
    package, process,
};

/// Whether the package in `target/package` comes out the same from a copy of the sources. With the
/// same certificate even the signatures do: they say the commit's time, and RSA is no gamble.
///
/// # Errors
/// The copy could not be made, built or packaged.
pub(crate) fn check() -> Result<bool> {
    let copy = process::target_dir().join("second-build");
    fresh_copy(&copy)?;
    let target_dir = copy.join("target");
    with_host_tools(&target_dir)?;
    build::drivers(&copy, &target_dir)?;
    let second_package = target_dir.join("package");
    package::assemble(&second_package, &package::test_signer()?)?;
    let mut identical = true;
    let images = DRIVERS.map(|driver| format!("{driver}.sys"));
    for name in images.into_iter().chain([package::ZIP.to_owned()]) {
        let first = fs::read(build::package_dir().join(&name))?;
        let second = fs::read(second_package.join(&name))?;
        if first == second {
            println!("{name}: both builds gave the same {} bytes", first.len());
        } else {
            let at = first.iter().zip(&second).position(|(a, b)| a != b);
            println!("{name}: the second build differs (first at byte {at:?})");
            identical = false;
        }
    }
    // Kept on a difference, for a look; otherwise only a waste of space.
    if identical {
        fs::remove_dir_all(&copy)?;
    }
    Ok(identical)
}

/// Copies what the first build made to run on this machine (bindgen, macros, build scripts). Nothing of it gets into an
/// image: what the tools make of the headers and all that is compiled for Windows lies in another folder, and is made again.
fn with_host_tools(target_dir: &Path) -> Result<()> {
    fs::create_dir_all(target_dir)?;
    let mut copy = process::program("cp");
    // With their times: to cargo they would be out of date.
    copy.arg("--archive")
        .arg(process::target_dir().join(DRIVER_PROFILE))
        .arg(target_dir);
    process::run("copying the first build's tools", &mut copy)
}

/// Copies the sources, tracked or new but not ignored, as they are in the work tree.
fn fresh_copy(to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    let listing = process::program("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .output()
        .context("git is needed to list the sources")?;
    if !listing.status.success() {
        bail!(
            "git ls-files failed: {}",
            String::from_utf8_lossy(&listing.stderr)
        );
    }
    for name in listing
        .stdout
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
    {
        let name = String::from_utf8_lossy(name).into_owned();
        let from = process::root().join(&name);
        if from.is_file() {
            let to = to.join(&name);
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::copy(&from, &to).with_context(|| format!("cannot copy {name}"))?;
        }
    }
    Ok(())
}
