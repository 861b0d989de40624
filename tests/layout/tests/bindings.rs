//! The bindings themselves: `crates/ndis-sys` whole, and of `wdk-sys` what the facts know and
//! what our crates reach into.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use facts::Facts;
use layout::compare::Plan;
use layout::differences::Differences;
use layout::probe::{BuiltCrate, Probe};
use layout::source::Bindings;
use layout::sourced::Sourced;
use layout::touched::{Identifiers, is_anonymous_part};

/// Crates that use `wdk-sys` types; each is scanned on its own.
const USERS: &[&str] = &[
    "crates/nt/src",
    "crates/ndis/src",
    "crates/ndis-sys/src",
    "crates/interface/src",
    "crates/hypervisor/src",
    "driver/src",
    "xenbus/src",
];

/// Fewer than these would mean that the test no longer sees the bindings.
const LEAST_STRUCTS: usize = 60;
const LEAST_CONSTANTS: usize = 300;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace exists")
}

/// What `wdk-sys` declares: what bindgen generated for this target, and its own constants.
fn wdk_bindings(built: &BuiltCrate) -> Bindings {
    let out = built
        .out_dir
        .as_deref()
        .expect("wdk-sys has a build script");
    let folder = built.root.parent().expect("a source file is in a folder");
    let mut bindings = Bindings::default();
    let files = [
        out.join("types.rs"),
        out.join("constants.rs"),
        folder.join("constants.rs"),
    ];
    for file in files {
        let text = std::fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        bindings
            .add_text(&file, "wdk_sys", &text)
            .unwrap_or_else(|error| panic!("{error}"));
    }
    bindings
}

/// The line of the workspace's manifest that says which `wdk-sys` is used.
fn wdk_dependency(workspace: &Path) -> String {
    let manifest = std::fs::read_to_string(workspace.join("Cargo.toml")).expect("root manifest");
    let line = manifest.lines().find(|line| line.starts_with("wdk-sys = "));
    line.expect("the workspace names wdk-sys").to_owned()
}

fn identifiers_of_users(workspace: &Path) -> Vec<Identifiers> {
    let scan = |user: &&str| {
        let mut identifiers = Identifiers::default();
        identifiers
            .add_folder(&workspace.join(user))
            .unwrap_or_else(|error| panic!("{error}"));
        identifiers
    };
    USERS.iter().map(scan).collect()
}

#[test]
fn bindings_agree_with_the_facts() {
    let workspace = workspace();
    let facts = Facts::load(&Facts::checked_in_folder()).unwrap_or_else(|error| panic!("{error}"));
    let list = workspace.join("tests/data/sourced-items.csv");
    let sourced = Sourced::load(&list).unwrap_or_else(|error| panic!("{error}"));
    let list = workspace.join("tests/data/wdk-differences.csv");
    let differences = Differences::load(&list).unwrap_or_else(|error| panic!("{error}"));
    let ndis_folder = workspace.join("crates/ndis-sys");
    assert!(ndis_folder.is_dir(), "{} is missing", ndis_folder.display());

    let dependencies = format!(
        "{}\nndis-sys = {{ path = '{}' }}\n",
        wdk_dependency(&workspace),
        ndis_folder.display()
    );
    let target_dir = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.join("target"), |folder| workspace.join(folder));
    let probe = Probe::create(&workspace, &target_dir, &dependencies)
        .unwrap_or_else(|error| panic!("{error}"));
    let built = probe
        .find_crate("wdk-sys")
        .unwrap_or_else(|error| panic!("{error}"));
    let wdk = wdk_bindings(&built);
    let users = identifiers_of_users(&workspace);
    let touched: BTreeSet<&str> = users
        .iter()
        .flat_map(|user| user.touched(&wdk))
        .filter(|name| !is_anonymous_part(name))
        .collect();
    let mut ndis = Bindings::default();
    let expanded = probe
        .expand("ndis-sys", &["wdk-sys"])
        .unwrap_or_else(|error| panic!("{error}"));
    ndis.add_text(&ndis_folder, "ndis_sys", &expanded)
        .unwrap_or_else(|error| panic!("{error}"));

    let mut plan = Plan::new(&facts, &sourced);
    plan.add_all(&ndis);
    plan.add_known(&wdk, &touched);
    let unused = plan.unused_sourced();
    let rows = probe
        .ask(plan.requests(), &["wdk-sys", "ndis-sys"])
        .unwrap_or_else(|error| panic!("{error}"));
    let mut report = plan.compare(&rows);
    let accepted = differences.accept(&mut report, &users);

    show(format_args!("{report}"));
    show(format_args!(
        "known differences of the headers on Linux: {accepted}"
    ));
    show(format_args!(
        "wdk-sys structs our crates reach into: {}",
        touched.len()
    ));
    for finding in &report.findings {
        println!("{finding}");
    }
    assert!(
        report.findings.is_empty(),
        "{} findings, listed above",
        report.findings.len()
    );
    assert!(
        unused.is_empty(),
        "sourced items that no binding has: {unused:?}"
    );
    assert!(
        report.structs >= LEAST_STRUCTS,
        "only {} structs",
        report.structs
    );
    assert!(
        report.constants >= LEAST_CONSTANTS,
        "only {} constants",
        report.constants
    );
}

/// Prints a line that is shown also when the test passes (libtest holds back what `println!` prints).
fn show(line: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{line}");
}
