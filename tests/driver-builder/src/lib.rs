//! Builds small Windows drivers for the tests of the harness: each is one Rust file, compiled straight
//! to a PE image by `rustc` with `raw-dylib` imports, so that neither import libraries nor a kit are needed.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// One build at a time in a process: tests that want the same driver share it.
static BUILDING: Mutex<()> = Mutex::new(());

fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
            PathBuf::from,
        )
        .join("test-drivers")
}

/// Where the sources of the test drivers are.
#[must_use]
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../test-drivers")
}

/// FNV-1a over the sources, so that an image is built once per content.
fn content_hash(parts: &[&[u8]]) -> u64 {
    parts
        .concat()
        .iter()
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
        })
}

/// Builds the driver whose crate root is `source`, with `defines` as `--cfg` flags, and returns the image.
/// The flag `guarded` also turns on control flow guard.
///
/// # Panics
/// If it does not compile: the test that wants it cannot run.
#[must_use]
pub fn build(source: &Path, defines: &[&str]) -> PathBuf {
    let _one = BUILDING
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let prelude = sources().join("nt.rs");
    let read = |path: &Path| {
        std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let (text, shared) = (read(source), read(&prelude));
    let flags = defines.join(",");
    let hash = content_hash(&[
        &text,
        &shared,
        flags.as_bytes(),
        env!("CARGO_PKG_VERSION").as_bytes(),
    ]);
    let name = source
        .parent()
        .and_then(Path::file_name)
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let directory = target_directory();
    let image = directory.join(format!("{name}-{hash:016x}.sys"));
    if image.is_file() {
        return image;
    }
    std::fs::create_dir_all(&directory).expect("the target directory can be made");
    let fresh = directory.join(format!("{name}-{hash:016x}-{}.tmp", std::process::id()));
    let guarded = defines.contains(&"guarded");
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args([
        "--edition",
        "2024",
        "--crate-type",
        "cdylib",
        "--crate-name",
        "driver",
    ]);
    rustc.args(["--target", "x86_64-pc-windows-msvc"]);
    let guard = if guarded {
        "control-flow-guard=checks"
    } else {
        "control-flow-guard=no"
    };
    for option in [
        "panic=abort",
        "opt-level=2",
        "linker=rust-lld",
        "target-feature=+crt-static",
        guard,
    ] {
        rustc.args(["-C", option]);
    }
    let link = "/DRIVER /NODEFAULTLIB /SUBSYSTEM:NATIVE,10.00 /ENTRY:DriverEntry /RELEASE /DYNAMICBASE /NXCOMPAT";
    for argument in link.split(' ').chain(guarded.then_some("/GUARD:CF")) {
        rustc.arg("-C").arg(format!("link-arg={argument}"));
    }
    for define in defines {
        rustc.args(["--cfg", define]);
    }
    let done = rustc
        .arg("-o")
        .arg(&fresh)
        .arg(source)
        .output()
        .expect("rustc runs");
    assert!(
        done.status.success(),
        "{} does not build:\n{}",
        source.display(),
        String::from_utf8_lossy(&done.stderr)
    );
    std::fs::rename(&fresh, &image).expect("the image can be put in place");
    image
}

/// The driver that does everything right: `hello/driver.rs`.
///
/// `--cfg messages` makes it ask for two message interrupts besides the line.
#[must_use]
pub fn hello_with(defines: &[&str]) -> PathBuf {
    build(&sources().join("hello/driver.rs"), defines)
}

/// [`hello_with`] nothing special.
#[must_use]
pub fn hello() -> PathBuf {
    build(&sources().join("hello/driver.rs"), &[])
}
