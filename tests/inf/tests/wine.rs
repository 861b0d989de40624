//! The INF files as Wine's setupapi reads them: a parser that is not ours.
//!
//! Runs only where Wine is installed (Debian: `apt-get install --no-install-recommends wine64`, which
//! `cargo xtask test` does when it may), and says so otherwise.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use inf::Inf;
use keywords::TABLE;
use xenbus_core::enumerate::HARDWARE_IDS;

/// Where Debian's packages put the 64-bit Wine.
const WINE: [&str; 3] = ["wine64", "/usr/lib/wine/wine64", "wine"];

/// Where packages put Wine's own DLLs.
const DLLS: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/wine/x86_64-windows",
    "/usr/lib/wine/x86_64-windows",
    "/usr/lib64/wine/x86_64-windows",
];

/// Seconds until a Wine that hangs is killed. A run takes one; making a prefix takes fifteen.
const PATIENCE: &str = "120";

/// The directory number of the driver store, which Wine does not know, as Wine writes it.
const UNKNOWN_DIRECTORY: &str = r"C:\windows\system32\unknown";

fn wine() -> Option<&'static str> {
    WINE.into_iter().find(|name| {
        let started = Command::new(name)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        started.is_ok_and(|status| status.success())
    })
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Builds wine/list.rs, which needs no more than core.
fn build_list() -> PathBuf {
    let program = scratch("list-inf.exe");
    let status = Command::new("rustc")
        .args(["--edition", "2024", "--target", "x86_64-pc-windows-msvc"])
        .args(["-Cpanic=abort", "-Copt-level=2", "-Clinker=rust-lld"])
        .args(["-Clink-arg=/subsystem:console", "-Clink-arg=/entry:main"])
        .args(["-Clink-arg=/nodefaultlib", "-o"])
        .arg(&program)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("wine/list.rs"))
        .status();
    assert!(status.is_ok_and(|status| status.success()), "list.rs");
    program
}

/// Makes a place for Wine to live in, a "prefix". Wine would fill it with copies of all its DLLs,
/// 700 MB; links to them do, where they are found.
fn make_prefix() -> PathBuf {
    let prefix = scratch("wine");
    // What an earlier run, or another Wine, left.
    if prefix.exists() {
        fs::remove_dir_all(&prefix).unwrap();
    }
    let system = prefix.join("drive_c/windows/system32");
    fs::create_dir_all(&system).unwrap();
    if let Some(dlls) = DLLS.into_iter().find(|dlls| Path::new(dlls).is_dir()) {
        for dll in fs::read_dir(dlls).unwrap() {
            let dll = dll.unwrap();
            symlink(dll.path(), system.join(dll.file_name())).unwrap();
        }
        // Says that the prefix is not to be brought up to date.
        fs::write(prefix.join(".update-timestamp"), "disable\n").unwrap();
    }
    prefix
}

/// All lines of a file, as setupapi gives them.
fn listed(wine: &str, prefix: &Path, program: &Path, name: &str, text: &str) -> Vec<String> {
    // The program takes a name without spaces, and setupapi one with a folder.
    let folder = std::env::temp_dir().join(format!("netfront-inf-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(name);
    fs::write(&file, text).unwrap();
    let output = Command::new("timeout")
        .args(["--kill-after=5", PATIENCE, wine])
        .arg(program)
        .arg(format!("Z:{}", file.display()).replace('/', "\\"))
        .env("WINEPREFIX", prefix)
        .env("WINEDEBUG", "-all")
        // No offers to download Mono and Gecko.
        .env("WINEDLLOVERRIDES", "mscoree,mshtml=")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    fs::remove_dir_all(&folder).unwrap();
    assert!(output.status.success(), "{name}: {output:?}");
    let lines = String::from_utf8_lossy(&output.stdout).replace(UNKNOWN_DIRECTORY, "%13%");
    lines
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// The same lines, as our parser reads them.
fn parsed(text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let inf = Inf::parse(text, &mut findings);
    assert_eq!(findings, []);
    let mut lines = Vec::new();
    for section in inf.sections() {
        for entry in &section.entries {
            let values: Vec<String> = entry
                .values
                .iter()
                .map(|v| inf.expand(v).unwrap())
                .collect();
            // A line of one value and no key has the value as its key too.
            let key = match (&entry.key, values.as_slice()) {
                (Some(key), _) => inf.expand(key).unwrap(),
                (None, [only]) => only.clone(),
                (None, _) => String::new(),
            };
            lines.push(format!("{}|{key}|{}", section.name, values.join("|")));
        }
    }
    lines
}

#[test]
fn setupapi_reads_what_our_parser_reads() {
    let Some(wine) = wine() else {
        // Not println!, which the test runner keeps to itself.
        writeln!(
            io::stderr(),
            "NOT RUN: the INF files under Wine: not installed"
        )
        .unwrap();
        return;
    };
    let program = build_list();
    let prefix = make_prefix();
    let mut all = Vec::new();
    for name in ["xenbus.inf", "netfront.inf"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../inf")
            .join(name);
        let text = fs::read_to_string(file).unwrap();
        let listed = listed(wine, &prefix, &program, name, &text);
        assert_eq!(listed, parsed(&text), "{name}");
        all.extend(listed);
    }

    let has = |wanted: &str| all.iter().any(|line| line.ends_with(wanted));
    for id in HARDWARE_IDS
        .iter()
        .chain(&[r"PCI\VEN_5853&DEV_0001", r"PCI\VEN_5853&DEV_0002"])
    {
        assert!(has(&format!("_Install|{id}")), "{id}");
    }
    for service in ["xenbus", "netfront"] {
        let added = format!("|AddService|{service}_rs|");
        assert!(all.iter().any(|line| line.contains(&added)), "{added}");
        assert!(
            has(&format!("|ServiceBinary|%13%\\{service}.sys")),
            "{service}"
        );
    }
    for keyword in TABLE {
        let name = format!(
            r"|HKR|Ndi\params\{}|ParamDesc|0|{}",
            keyword.name, keyword.text
        );
        assert!(has(&name), "{name}");
    }
}
