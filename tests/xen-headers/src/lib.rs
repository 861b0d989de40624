//! Compares `xen-abi` with the C headers of Debian's `libxen-dev`.
//!
//! 1. `build.rs` reads the sources of `xen-abi` and lists every public item ([`rows`]).
//! 2. `data/c-names.txt` says what each is called in C ([`c_names`]), or where it is written if no header has it.
//! 3. [`program::text`] makes a C program that prints what the compiler makes of those names.
//! 4. [`compare`] sets both side by side. An item without a name, and a name without an item, are failures.
#![forbid(unsafe_code)]

pub mod program;

use std::collections::BTreeMap;

use xen_abi::errno::Errno;

/// What Rust says about an item.
#[derive(Debug, Clone, Copy)]
pub enum Fact {
    /// A struct or newtype, in bytes.
    Type {
        /// Size.
        size: usize,
        /// Alignment.
        align: usize,
    },
    /// A field of a struct, in bytes.
    Field {
        /// Offset in the struct.
        offset: usize,
        /// Size.
        size: usize,
    },
    /// A type alias, in bytes.
    Alias {
        /// Size.
        size: usize,
    },
    /// A constant.
    Value(i128),
    /// A table of error names.
    Names(&'static [(&'static str, Errno)]),
}

/// A public item of `xen-abi`.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// `module::Type`, `module::Type.field`, `module::Type::CONST` or `module::CONST`.
    pub item: &'static str,
    /// Its facts.
    pub fact: Fact,
}

/// What an item is called in C.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CName {
    /// A type, member or expression.
    Is(String),
    /// An expression for the size of an alias.
    Size(String),
    /// No header has it: where it is written.
    Nowhere(String),
}

const fn field_size<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

/// The generated table, apart from the rest so that its names do not clash with this file's imports.
#[allow(
    clippy::cast_lossless,
    clippy::unnecessary_cast,
    reason = "generated: one form for all types"
)]
mod items {
    use core::mem::offset_of;

    use super::{Fact, Row, field_size};

    pub(super) static ROWS: &[Row] = include!(concat!(env!("OUT_DIR"), "/items.rs"));
}

/// Every public item of `xen-abi`.
#[must_use]
pub fn rows() -> &'static [Row] {
    items::ROWS
}

/// Reads a table of C names in the form of `data/c-names.txt`.
///
/// # Errors
/// A line without `|`, an item listed twice, or an empty name.
pub fn parse_c_names(text: &str) -> Result<BTreeMap<String, CName>, String> {
    let mut names = BTreeMap::new();
    for line in text
        .lines()
        .filter(|l| !l.starts_with('#') && !l.trim().is_empty())
    {
        let (item, c) = line
            .split_once('|')
            .ok_or_else(|| format!("no `|` in line: {line}"))?;
        let name = if let Some(source) = c.strip_prefix('!') {
            CName::Nowhere(source.trim().to_owned())
        } else if let Some(size) = c.strip_prefix('=') {
            CName::Size(size.trim().to_owned())
        } else {
            CName::Is(c.trim().to_owned())
        };
        let (CName::Is(said) | CName::Size(said) | CName::Nowhere(said)) = &name;
        if said.is_empty() {
            return Err(format!("nothing after `|`: {line}"));
        }
        if names.insert(item.to_owned(), name).is_some() {
            return Err(format!("listed twice: {item}"));
        }
    }
    Ok(names)
}

/// The checked-in table.
///
/// # Errors
/// As [`parse_c_names`].
pub fn c_names() -> Result<BTreeMap<String, CName>, String> {
    parse_c_names(include_str!("../data/c-names.txt"))
}

/// Items without a C name, and C names without an item.
#[must_use]
pub fn unmatched(rows: &[Row], names: &BTreeMap<String, CName>) -> Vec<String> {
    let nameless = rows
        .iter()
        .filter(|row| !names.contains_key(row.item))
        .map(|row| format!("{}: not in data/c-names.txt", row.item));
    let stale = names
        .keys()
        .filter(|item| !rows.iter().any(|row| row.item == item.as_str()))
        .map(|item| format!("{item}: in data/c-names.txt, but not in xen-abi"));
    nameless.chain(stale).collect()
}

/// The line the C program prints for an item if both agree.
#[must_use]
pub fn expected_line(row: &Row) -> String {
    let facts = match row.fact {
        Fact::Type { size, align } => format!("{size} {align}"),
        Fact::Field { offset, size } => format!("{offset} {size}"),
        Fact::Alias { size } => format!("{size}"),
        Fact::Value(value) => format!("{value}"),
        Fact::Names(names) => {
            let names: Vec<_> = names
                .iter()
                .map(|(name, errno)| format!("{name}={}", errno.0))
                .collect();
            names.join(" ")
        }
    };
    format!("{} {facts}", row.item)
}

/// Compares what the C program printed with the Rust side; returns how many items agree.
///
/// # Errors
/// One line per item that differs or is missing on one side.
pub fn compare(
    rows: &[Row],
    names: &BTreeMap<String, CName>,
    printed: &str,
) -> Result<usize, Vec<String>> {
    let mut wrong = unmatched(rows, names);
    let mut lines = BTreeMap::new();
    for line in printed.lines() {
        lines.insert(line.split(' ').next().unwrap_or_default(), line);
    }
    let mut agreed = 0;
    for row in rows
        .iter()
        .filter(|r| !matches!(names.get(r.item), None | Some(CName::Nowhere(_))))
    {
        let want = expected_line(row);
        match lines.get(row.item) {
            Some(&line) if line == want => agreed += 1,
            Some(line) => wrong.push(format!("Rust: {want}   C: {line}")),
            None => wrong.push(format!("{}: the C program printed nothing", row.item)),
        }
    }
    if wrong.is_empty() {
        Ok(agreed)
    } else {
        Err(wrong)
    }
}
