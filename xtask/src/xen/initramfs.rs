//! dom0's file system: the toolstack, its libraries, kernel modules, a few programs, our scripts.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{cpio::Archive, elf, packages::Root};
use crate::process;

/// Programs, and where they go: the toolstack looks for its helpers where Debian has them.
const PROGRAMS: &[&str] = &[
    "bin/busybox",
    "usr/bin/xenstore",
    "sbin/ethtool",
    "usr/bin/tcpdump",
    "usr/lib/xen-4.17/bin/xl",
    "usr/lib/xen-4.17/bin/xenstored",
    "usr/lib/xen-4.17/bin/xenconsoled",
    "usr/lib/xen-4.17/bin/xen-init-dom0",
    "usr/lib/xen-4.17/bin/libxl-save-helper",
];

/// Other names of `xenstore`.
const STORE_COMMANDS: &[&str] = &[
    "xenstore-read",
    "xenstore-write",
    "xenstore-ls",
    "xenstore-rm",
    "xenstore-exists",
    "xenstore-list",
];

/// Modules inserted at start, in this order but for what they depend on.
const MODULES: &[&str] = &[
    "xen-privcmd",
    "xenfs",
    "xen-evtchn",
    "xen-gntdev",
    "xen-gntalloc",
    "virtio_pci",
    "9pnet_virtio",
    "9p",
    "bridge",
    "tun",
    "xen-netback",
];

/// Makes the archive.
///
/// # Errors
/// A file is missing in the packages.
pub(super) fn build(root: &Root, device_model: bool) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in [
        "proc", "sys", "dev", "run", "tmp", "share", "root", "var/log", "mnt",
    ] {
        archive.folder(folder);
    }
    archive.link("var/run", "/run");
    // The kernel opens it before init mounts anything.
    archive.device("dev/console", 5, 1);
    let mut programs: Vec<PathBuf> = Vec::new();
    let mut names: Vec<String> = PROGRAMS.iter().map(|&name| name.to_owned()).collect();
    if device_model {
        add_device_model(root, &mut archive, &mut names)?;
    }
    for name in &names {
        let path = root.path().join(name);
        let content = fs::read(&path).with_context(|| path.display().to_string())?;
        archive.file(name, &content);
        if let Some((_, file)) = name.rsplit_once('/')
            && !name.starts_with("bin/")
        {
            archive.link(&format!("bin/{file}"), &format!("/{name}"));
        }
        programs.push(path);
    }
    for command in STORE_COMMANDS {
        archive.link(&format!("bin/{command}"), "/usr/bin/xenstore");
    }
    // Debian's tools ask for the directory of the running version by this name.
    archive.link("usr/lib/xen", "xen-4.17");
    for (name, path) in elf::libraries(root.path(), &programs)? {
        let content = fs::read(&path).with_context(|| path.display().to_string())?;
        let folder = if name.starts_with("ld-linux") {
            "lib64"
        } else {
            "lib/x86_64-linux-gnu"
        };
        archive.file(&format!("{folder}/{name}"), &content);
    }
    add_modules(root, &mut archive)?;
    add_scripts(&mut archive)?;
    Ok(archive.finish())
}

fn add_device_model(root: &Root, archive: &mut Archive, names: &mut Vec<String>) -> Result<()> {
    names.push("usr/libexec/xen-qemu-system-i386".to_owned());
    for (folder, file) in [
        ("usr/lib/xen-4.17/boot", "hvmloader"),
        ("usr/share/seabios", "bios-256k.bin"),
        ("usr/share/qemu", "linuxboot_dma.bin"),
        ("usr/share/qemu", "linuxboot.bin"),
        ("usr/share/qemu", "pvh.bin"),
        ("usr/share/qemu", "keymaps/en-us"),
        ("usr/share/qemu", "kvmvapic.bin"),
    ] {
        let path = root.path().join(folder).join(file);
        let content = fs::read(&path).with_context(|| path.display().to_string())?;
        archive.file(&format!("{folder}/{file}"), &content);
    }
    archive.link(
        "usr/share/qemu/bios-256k.bin",
        "/usr/share/seabios/bios-256k.bin",
    );
    Ok(())
}

fn add_modules(root: &Root, archive: &mut Archive) -> Result<()> {
    let version = root.only("lib/modules", "", "")?;
    let order = elf::modules(&version.join("kernel"), MODULES)?;
    let mut list = String::new();
    for path in &order {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        archive.file(&format!("modules/{name}"), &fs::read(path)?);
        list.push_str(&format!("{name}\n"));
    }
    archive.file("modules/order", list.as_bytes());
    Ok(())
}

fn add_scripts(archive: &mut Archive) -> Result<()> {
    let folder = process::root().join("tests/dom0/files");
    for (from, to) in [
        ("init", "init"),
        ("vif-bridge", "etc/xen/scripts/vif-bridge"),
        ("insert-netback", "etc/insert-netback"),
    ] {
        archive.file(to, &read(&folder.join(from))?);
    }
    // tcpdump looks its user up.
    archive.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n");
    archive.file("etc/xen/xl.conf", b"lock_dir=\"/run/lock\"\n");
    Ok(())
}

/// Reads a file; the error names it.
fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

/// File system of the Linux guest that tests the test bed itself.
///
/// # Errors
/// A file is missing in the packages.
pub(super) fn linux_guest(root: &Root) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["proc", "sys", "dev", "tmp"] {
        archive.folder(folder);
    }
    archive.device("dev/console", 5, 1);
    archive.file("bin/busybox", &read(&root.path().join("bin/busybox"))?);
    let version = root.only("lib/modules", "", "")?;
    for path in elf::modules(&version.join("kernel"), &["xen-netfront"])? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        archive.file(&format!("modules/{name}"), &read(&path)?);
    }
    let init = process::root().join("tests/dom0/files/linux-guest-init");
    archive.file("init", &read(&init)?);
    Ok(archive.finish())
}
