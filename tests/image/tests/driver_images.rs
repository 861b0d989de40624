//! The shipped images. Their folder is `target/package`, or `NETFRONT_PACKAGE_DIR`.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use image::import_list::ImportLists;
use image::mingw::{self, KnownExports};
use image::symbols::Symbols;
use image::{Policy, lint};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn package_folder() -> PathBuf {
    match std::env::var_os("NETFRONT_PACKAGE_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => workspace().join("target/package"),
    }
}

fn import_lists() -> ImportLists {
    ImportLists::load(&workspace().join("cross/imports")).unwrap_or_else(|error| panic!("{error}"))
}

fn known_exports() -> KnownExports {
    KnownExports::load(Path::new(mingw::FOLDER)).unwrap_or_else(|error| panic!("{error}"))
}

fn read(file: &Path) -> Vec<u8> {
    std::fs::read(file)
        .unwrap_or_else(|error| panic!("{}: {error}: run cargo xtask build", file.display()))
}

fn check(name: &str, shims_allowed: bool) {
    let folder = package_folder();
    let bytes = read(&folder.join(format!("{name}.sys")));
    let symbols = Symbols::load(&folder.join(format!("{name}.pdb")))
        .unwrap_or_else(|error| panic!("{error}"));
    let (imports, exports) = (import_lists(), known_exports());
    let policy = Policy {
        imports: &imports,
        exports: &exports,
        shims_allowed,
    };
    let (findings, counts) = lint(&bytes, &symbols, policy);
    show(format_args!(
        "{name}.sys: {} instructions in {} pieces of code, {} imports, {} guarded targets, {} shims",
        counts.instructions, counts.functions, counts.imports, counts.guarded, counts.shims
    ));
    for finding in &findings {
        println!("{finding}");
    }
    assert!(
        findings.is_empty(),
        "{name}.sys: {} findings, listed above",
        findings.len()
    );
    assert!(counts.instructions > 0 && counts.imports > 0, "{counts:?}");
}

#[test]
fn netfront_keeps_every_rule_and_has_no_shim() {
    check("netfront", false);
}

#[test]
fn xenbus_keeps_every_rule() {
    check("xenbus", true);
}

/// The lists themselves: each name is known to mingw-w64, or says since when Windows has it.
#[test]
fn every_listed_import_is_proven() {
    let (imports, exports) = (import_lists(), known_exports());
    let unproven: Vec<&str> = imports
        .iter()
        .filter(|(exporter, name, entry)| !exports.has(*exporter, name) && entry.since.is_none())
        .map(|(_, name, _)| name)
        .collect();
    assert!(
        unproven.is_empty(),
        "not in mingw-w64, and no `since:`: {unproven:?}"
    );
}

/// Prints a line that is shown also when the test passes (libtest holds back what `println!` prints).
fn show(line: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{line}");
}
