//! The load configuration: security cookie and control flow guard.

use std::collections::BTreeSet;

use object::pe;

use super::{Check, Findings};
use crate::Counts;
use crate::image::{Directory, Image, Section};
use crate::symbols::Symbols;

/// Offsets in `IMAGE_LOAD_CONFIG_DIRECTORY64` (winnt.h).
const SECURITY_COOKIE: u32 = 88;
const GUARD_CHECK: u32 = 112;
const GUARD_DISPATCH: u32 = 120;
const GUARD_TABLE: u32 = 128;
const GUARD_COUNT: u32 = 136;
const GUARD_FLAGS: u32 = 144;
/// The least size: what kernels read of it, up to and with the long jump table.
const LEAST_SIZE: u32 = 192;

const CF_INSTRUMENTED: u32 = 0x100;
const CF_FUNCTION_TABLE_PRESENT: u32 = 0x400;
/// Bits of the flags that say how many bytes follow each address in the table.
const EXTRA_BYTES_SHIFT: u32 = 28;

/// The value by which the loader knows a cookie that it must replace.
const DEFAULT_COOKIE: u64 = 0x0000_2B99_2DDF_A232;

pub(super) fn check(
    image: &Image<'_>,
    symbols: &Symbols,
    findings: &mut Findings,
    counts: &mut Counts,
) {
    let Some((config, directory_size)) = image.directory(Directory::LoadConfig) else {
        findings.add(Check::LoadConfig, "there is none");
        return;
    };
    let size = image.u32_at(config).unwrap_or(0);
    if size < LEAST_SIZE || image.read(config, size as usize).is_none() {
        findings.add(Check::LoadConfig, format!("its size is {size}"));
        return;
    }
    findings.require(size == directory_size, Check::LoadConfig, || {
        format!("its size is {size}, but the directory's {directory_size}")
    });
    check_cookie(image, config, findings);
    let flags = image.u32_at(config + GUARD_FLAGS).unwrap_or(0);
    let due = CF_INSTRUMENTED | CF_FUNCTION_TABLE_PRESENT;
    findings.require(flags & due == due, Check::GuardFlags, || {
        format!("flags are {flags:#x}")
    });
    let pointers = [
        check_pointer(image, config + GUARD_CHECK, "check", findings),
        check_pointer(image, config + GUARD_DISPATCH, "dispatch", findings),
    ];
    let table = read_table(image, config, flags >> EXTRA_BYTES_SHIFT, findings);
    counts.guarded = table.len();
    check_table(image, symbols, &table, findings);
    check_address_taken(image, &table, pointers, findings);
}

/// The relative address that a pointer in the load configuration holds.
fn target(image: &Image<'_>, field: u32) -> Option<u32> {
    image.rva_of(image.u64_at(field)?)
}

fn check_cookie(image: &Image<'_>, config: u32, findings: &mut Findings) {
    let cookie = target(image, config + SECURITY_COOKIE);
    let section = cookie.and_then(|rva| image.section_at(rva));
    findings.require(
        section.is_some_and(Section::is_writable),
        Check::SecurityCookie,
        || "it is not in a writable section".to_owned(),
    );
    let value = cookie.and_then(|rva| image.u64_at(rva));
    findings.require(value == Some(DEFAULT_COOKIE), Check::SecurityCookie, || {
        format!("its value is {:#x}", value.unwrap_or(0))
    });
}

/// Checks one of the pointers that the loader replaces and gives back where it is.
fn check_pointer(
    image: &Image<'_>,
    field: u32,
    name: &str,
    findings: &mut Findings,
) -> Option<u32> {
    let Some(slot) = target(image, field) else {
        findings.add(Check::GuardPointers, format!("there is no {name} pointer"));
        return None;
    };
    let read_only = image
        .section_at(slot)
        .is_some_and(|section| !section.is_writable());
    findings.require(read_only, Check::GuardPointers, || {
        format!("the {name} pointer at {slot:#x} is not in a read-only section")
    });
    let code = target(image, slot);
    findings.require(
        code.is_some_and(|rva| image.is_code(rva)),
        Check::GuardPointers,
        || format!("the {name} pointer at {slot:#x} points at no code"),
    );
    Some(slot)
}

fn read_table(image: &Image<'_>, config: u32, extra: u32, findings: &mut Findings) -> Vec<u32> {
    let table = target(image, config + GUARD_TABLE);
    let count = image.u64_at(config + GUARD_COUNT).unwrap_or(0);
    let stride = 4 + extra as usize;
    let bytes = table.and_then(|rva| {
        let length = usize::try_from(count).ok()?.checked_mul(stride)?;
        image.read(rva, length)
    });
    match bytes {
        Some(bytes) if count > 0 => bytes
            .chunks_exact(stride)
            .filter_map(|entry| entry.first_chunk::<4>())
            .map(|rva| u32::from_le_bytes(*rva))
            .collect(),
        _ => {
            findings.add(
                Check::GuardTable,
                format!("no readable table of {count} entries"),
            );
            Vec::new()
        }
    }
}

fn check_table(image: &Image<'_>, symbols: &Symbols, table: &[u32], findings: &mut Findings) {
    findings.require(table.is_sorted_by(|a, b| a < b), Check::GuardTable, || {
        "the entries are not in rising order".to_owned()
    });
    let functions = image.functions();
    for &rva in table {
        findings.require(image.is_code(rva), Check::GuardTable, || {
            format!("{rva:#x} is not in an executable section")
        });
        let inside = functions
            .iter()
            .any(|&(begin, end, _)| begin < rva && rva < end);
        let named = symbols
            .at_or_before(rva)
            .is_some_and(|(start, _)| start == rva);
        findings.require(!inside || named, Check::GuardTable, || {
            format!("{rva:#x} is in the middle of a function")
        });
    }
}

/// A relocated pointer to code that lies in data can be called: its target must be in the table.
fn check_address_taken(
    image: &Image<'_>,
    table: &[u32],
    guard_pointers: [Option<u32>; 2],
    findings: &mut Findings,
) {
    let table: BTreeSet<u32> = table.iter().copied().collect();
    for (slot, kind) in image.relocations().unwrap_or_default() {
        if kind != pe::IMAGE_REL_BASED_DIR64.0 || guard_pointers.contains(&Some(slot)) {
            continue;
        }
        if let Some(rva) = target(image, slot)
            && image.is_code(rva)
        {
            findings.require(table.contains(&rva), Check::AddressTaken, || {
                format!("{rva:#x} is pointed at from {slot:#x}")
            });
        }
    }
}
