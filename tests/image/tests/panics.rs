//! Where the shipped images can still panic: only where no input can lead there, each place with its reason.
//!
//! A panic in a driver stops the machine. The drivers' crates forbid what panics in the open (indexing, `unwrap`, plain
//! arithmetic); what the standard library does inside is looked for here, in the machine code: every call of a function
//! that panics, with the source line that the call would report.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use iced_x86::{Decoder, DecoderOptions, FlowControl, Mnemonic, OpKind};
use image::image::{Image, Section};
use image::symbols::Symbols;

/// Parts of the names of functions that panic, or that are only called by those that do.
const PANICS: [&str; 8] = [
    "core::panicking::",
    "len_mismatch_fail",
    "slice_index_fail",
    "unwrap_failed",
    "expect_failed",
    "capacity_overflow",
    "alloc_error",
    "panic_on_ord_violation",
];

/// Part of the caller's name, part of the panicking function's, and why it never happens.
const ALLOWED: [(&str, &str, &str); 13] = [
    (
        "",
        "panic_const_add_overflow",
        "counters of iterators over what is in memory: clippy forbids every plain sum",
    ),
    (
        "",
        "panic_const_sub_overflow",
        "as above: it depends on the linker which of the two a counter calls",
    ),
    (
        "DriverEntry",
        "core::panicking::",
        "a trace provider that is registered twice: DriverEntry runs once",
    ),
    (
        "offload::tx::Head::insert_tag",
        "core::panicking::",
        "copy_within: the lengths are compared before it",
    ),
    (
        "xenbus::host::Host::enumerate",
        "core::panicking::panic",
        "rotate_right by one of a slice that has one at least",
    ),
    (
        "alloc::",
        "",
        "memory is asked for with try_reserve, which ends before these",
    ),
    (
        "core::slice::sort",
        "panic_on_ord_violation",
        "the keys are numbers, whose order is total",
    ),
    (
        "write_str",
        "len_mismatch_fail",
        "the target is taken with the source's length",
    ),
    (
        "write_char",
        "len_mismatch_fail",
        "the target is taken with the source's length",
    ),
    (
        "offload::",
        "len_mismatch_fail",
        "both are fields of one header, of one length",
    ),
    (
        "netfront::queue::tx_offload::Asked::finish",
        "len_mismatch_fail",
        "both are fields of one header, of one length",
    ),
    (
        "xenbus::dispatch::pnp_entry",
        "len_mismatch_fail",
        "the target is taken with the source's length",
    ),
    (
        "xenstore::client::Client",
        "slice_index_fail",
        "copy_within of the outbox: start is at most end, and end at most the length",
    ),
];

fn folder() -> PathBuf {
    match std::env::var_os("NETFRONT_PACKAGE_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/package"),
    }
}

/// A `core::panic::Location` at this address: file, line and column.
fn location(image: &Image<'_>, rva: u32) -> Option<String> {
    let file = image.rva_of(image.u64_at(rva)?)?;
    let length = usize::try_from(image.u64_at(rva.checked_add(8)?)?).ok()?;
    let line = image.u32_at(rva.checked_add(16)?)?;
    let bytes = image.read(file, length.min(300))?;
    let name = std::str::from_utf8(bytes).ok()?;
    name.split('\0')
        .next()
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "rs"))
        .map(|name| format!("{name}:{line}"))
}

/// Every call of a function that panics: caller, callee, place.
fn calls(
    image: &Image<'_>,
    symbols: &Symbols,
    section: &Section,
    found: &mut BTreeSet<(String, String, String)>,
) {
    let code = image.content(section);
    let start = u64::from(section.rva);
    let mut decoder = Decoder::with_ip(64, code, start, DecoderOptions::NONE);
    let mut place = String::new();
    for instruction in &mut decoder {
        if instruction.mnemonic() == Mnemonic::Lea && instruction.op1_kind() == OpKind::Memory {
            let target = u32::try_from(instruction.ip_rel_memory_address()).unwrap_or(0);
            if let Some(there) = location(image, target) {
                place = there;
            }
        }
        let flow = instruction.flow_control();
        let is_jump = matches!(
            flow,
            FlowControl::Call | FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
        );
        let target = u32::try_from(instruction.near_branch_target()).unwrap_or(0);
        let Some((at, callee)) = symbols.at_or_before(target).filter(|_| is_jump) else {
            continue;
        };
        if at != target || !PANICS.iter().any(|part| callee.contains(part)) {
            continue;
        }
        let ip = u32::try_from(instruction.ip()).unwrap_or(0);
        let function = symbols.at_or_before(ip).map_or("?", |(_, name)| name);
        // Those that panic call each other, and in the end the driver's own handler.
        if PANICS.iter().any(|part| function.contains(part)) {
            continue;
        }
        found.insert((function.to_owned(), callee.to_owned(), place.clone()));
    }
}

fn check(name: &str) {
    let read = |extension: &str| folder().join(name).with_extension(extension);
    let bytes = std::fs::read(read("sys")).expect("run: cargo xtask package");
    let symbols = Symbols::load(&read("pdb")).expect("run: cargo xtask package");
    let image = Image::parse(&bytes).expect("an image");
    let mut found = BTreeSet::new();
    for section in image.sections.iter().filter(|s| s.is_executable()) {
        calls(&image, &symbols, section, &mut found);
    }
    assert!(
        !found.is_empty(),
        "the names of panicking functions changed"
    );
    let is_allowed = |(caller, callee, _): &&(String, String, String)| {
        ALLOWED
            .iter()
            .any(|(from, to, _)| caller.contains(from) && callee.contains(to))
    };
    let (known, new): (Vec<_>, Vec<_>) = found.iter().partition(is_allowed);
    let known = known.len();
    assert!(
        new.is_empty(),
        "{name}.sys, beside {known} known places: {new:#?}"
    );
}

#[test]
fn netfront_has_no_unknown_panic_path() {
    check("netfront");
}

#[test]
fn xenbus_has_no_unknown_panic_path() {
    check("xenbus");
}
