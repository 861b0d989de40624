//! Debian's packages of Xen, its tools and dom0's kernel: by name, through apt, kept in a cache that
//! outlives `target`.
//!
//! Nothing is installed: the packages are unpacked into a folder, and the files dom0 needs are copied
//! from there.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};

use crate::process;

/// Meta-packages of which the versioned name is taken from their dependencies: (meta-package, prefix).
const VERSIONED: &[(&str, &str)] = &[
    ("xen-system-amd64", "xen-hypervisor-"),
    ("xen-system-amd64", "xen-utils-"),
    ("linux-image-amd64", "linux-image-"),
];

/// Packages by their own name.
const NAMED: &[&str] = &["xenstore-utils", "busybox-static", "ethtool", "tcpdump"];

/// What the full device model of HVM guests needs on top.
const DEVICE_MODEL: &[&str] = &["qemu-system-xen", "qemu-system-data", "seabios"];

/// Folders of an unpacked package that are left out: they are large, and nothing here reads them.
const LEFT_OUT: &[&str] = &[
    "./usr/share/doc",
    "./usr/share/man",
    "./usr/share/locale",
    "./usr/lib/debug",
    "./usr/lib/x86_64-linux-gnu/gconv",
    "./lib/modules/*/kernel/drivers/gpu",
    "./lib/modules/*/kernel/drivers/media",
    "./lib/modules/*/kernel/drivers/staging",
    "./lib/modules/*/kernel/drivers/usb",
    "./lib/modules/*/kernel/drivers/infiniband",
    "./lib/modules/*/kernel/drivers/net/ethernet",
    "./lib/modules/*/kernel/drivers/net/wireless",
    "./lib/modules/*/kernel/sound",
];

/// The packages of one kind of run, unpacked.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
}

impl Root {
    /// Folder that looks like the root of a system that has the packages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The one file of the folder `under` whose name starts with `prefix` and ends with `suffix`.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub(super) fn only(&self, under: &str, prefix: &str, suffix: &str) -> Result<PathBuf> {
        let folder = self.path.join(under);
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(prefix) && name.ends_with(suffix) {
                found.push(entry.path());
            }
        }
        match found.as_slice() {
            [one] => Ok(one.clone()),
            other => bail!(
                "{}: one {prefix}*{suffix} expected, found {other:?}",
                folder.display()
            ),
        }
    }
}

/// Folder of the cache: `$XDG_CACHE_HOME` or `~/.cache`, then `netfront-xen`.
fn cache() -> Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(&env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(base.join("netfront-xen"))
}

/// Downloads what is missing, and unpacks it. With `device_model`, also what HVM guests need.
///
/// # Errors
/// apt does not know a package or cannot download it: the message has its words.
pub(super) fn unpack(device_model: bool) -> Result<Root> {
    let cache = cache()?;
    let downloads = cache.join("packages");
    let kind = if device_model { "hvm" } else { "pvh" };
    let list = cache.join(format!("{kind}.list"));
    let path = cache.join(format!("root-{kind}"));
    if let Ok(names) = fs::read_to_string(&list)
        && path.is_dir()
    {
        // The list is written last: all of it is there.
        if fs::read_to_string(path.join("packages")).is_ok_and(|unpacked| unpacked == names) {
            return Ok(Root { path });
        }
    }
    fs::create_dir_all(&downloads).with_context(|| downloads.display().to_string())?;
    let names = closure(device_model)?;
    eprintln!("==> Debian packages for Xen: {}", names.len());
    download(&names, &downloads)?;
    if path.exists() {
        fs::remove_dir_all(&path)?;
    }
    fs::create_dir_all(&path)?;
    for name in &names {
        unpack_one(&package_file(&downloads, name)?, &path)?;
    }
    let names: String = names.iter().map(|name| format!("{name}\n")).collect();
    fs::write(path.join("packages"), &names)?;
    fs::write(&list, &names)?;
    Ok(Root { path })
}

/// Whether [`unpack`] would download nothing.
pub(super) fn cached(device_model: bool) -> bool {
    let kind = if device_model { "hvm" } else { "pvh" };
    cache().is_ok_and(|cache| {
        cache
            .join(format!("root-{kind}"))
            .join("packages")
            .is_file()
    })
}

/// Names of the packages and of all libraries they depend on.
fn closure(device_model: bool) -> Result<BTreeSet<String>> {
    let mut todo: Vec<String> = NAMED.iter().map(|&name| name.to_owned()).collect();
    if device_model {
        todo.extend(DEVICE_MODEL.iter().map(|&name| name.to_owned()));
    }
    for (meta, prefix) in VERSIONED {
        let name = dependencies(&[(*meta).to_owned()])?
            .into_iter()
            .find(|name| name.starts_with(prefix) && *name != "xen-utils-common")
            .with_context(|| format!("{meta} depends on no {prefix}*"))?;
        todo.push(name);
    }
    let mut names = BTreeSet::new();
    while !todo.is_empty() {
        names.extend(todo.iter().cloned());
        // Libraries only: what else the packages want (Python, debconf) dom0 does without.
        todo = dependencies(&todo)?
            .into_iter()
            .filter(|name| is_library(name) && !names.contains(name))
            .collect();
    }
    Ok(names)
}

fn is_library(name: &str) -> bool {
    (name.starts_with("lib") || name == "zlib1g") && !name.ends_with("-perl")
}

/// Names of what these packages depend on.
fn dependencies(names: &[String]) -> Result<BTreeSet<String>> {
    let output = process::program("apt-cache")
        .args(["depends", "--important", "--"])
        .args(names)
        .stderr(Stdio::inherit())
        .output()
        .context("apt-cache")?;
    if !output.status.success() {
        bail!("apt does not know all of {names:?}: run apt-get update; Debian 12 has them");
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(parse_dependencies(&text).into_iter().collect())
}

/// Lines `  Depends: NAME` and `PreDepends: NAME`; names in `<>` are virtual.
fn parse_dependencies(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| {
            let line = line.trim_start_matches([' ', '|']);
            let name = line
                .strip_prefix("Depends: ")
                .or_else(|| line.strip_prefix("PreDepends: "))?;
            (!name.starts_with('<')).then(|| name.trim().to_owned())
        })
        .collect()
}

fn download(names: &BTreeSet<String>, downloads: &Path) -> Result<()> {
    let missing: Vec<&String> = names
        .iter()
        .filter(|name| package_file(downloads, name).is_err())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut apt = process::program("apt-get");
    apt.args(["download", "-q"])
        .args(&missing)
        .current_dir(downloads)
        .stdout(Stdio::null());
    // Its sandbox user may not write into our cache; apt then warns and goes on as root.
    apt.args(["-o", "APT::Sandbox::User=root"]);
    process::run(
        &format!("apt-get download ({} packages)", missing.len()),
        &mut apt,
    )
    .with_context(|| {
        format!(
            "run: apt-get update && cd {} && apt-get download ...",
            downloads.display()
        )
    })
}

/// The file apt made for a package: `NAME_VERSION_ARCH.deb`; the newest if there are several.
fn package_file(downloads: &Path, name: &str) -> Result<PathBuf> {
    let prefix = format!("{name}_");
    let mut found: Vec<PathBuf> = fs::read_dir(downloads)?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .collect();
    found.sort_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).ok());
    found.pop().with_context(|| format!("no file of {name}"))
}

fn unpack_one(package: &Path, root: &Path) -> Result<()> {
    let mut archive = process::program("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .context("dpkg-deb")?;
    let from = archive.stdout.take().context("dpkg-deb has no output")?;
    let status = process::program("tar")
        .arg("--extract")
        .args(LEFT_OUT.iter().map(|folder| format!("--exclude={folder}")))
        .arg("--directory")
        .arg(root)
        .stdin(from)
        .status()
        .context("tar")?;
    if !archive.wait()?.success() || !status.success() {
        bail!("{}: cannot be unpacked", package.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{is_library, parse_dependencies};

    #[test]
    fn dependencies_are_read() {
        let text = "xen-utils-4.17\n  PreDepends: libc6\n |Depends: debconf\n  Depends: <debconf-2.0>\n    cdebconf\n  Depends: libxenmisc4.17\n";
        assert_eq!(
            parse_dependencies(text),
            ["libc6", "debconf", "libxenmisc4.17"]
        );
    }

    #[test]
    fn only_libraries_are_followed() {
        assert!(is_library("libxenstore4"));
        assert!(is_library("zlib1g"));
        assert!(!is_library("python3"));
    }
}
