//! Proves the bindings to NT and NDIS against the fact tables.
//!
//! The sources of a binding crate are parsed ([`source`]) for its structures, fields and
//! constants. A probe crate is written and compiled for `x86_64-pc-windows-msvc` ([`probe`])
//! whose only content is a table of what that compiler says: sizes, alignments, offsets, values.
//! The table is read back from the object file and compared ([`compare`]) with `tests/data/facts`
//! and, for what those tables lack, with `tests/data/sourced-items.csv` ([`sourced`]).
//! What is known to differ in the headers of Linux is in [`differences`].
//! [`touched`] finds the structures of `wdk-sys` that our own crates reach into.
#![forbid(unsafe_code)]

pub mod compare;
pub mod differences;
pub mod probe;
pub mod source;
pub mod sourced;
pub mod touched;
