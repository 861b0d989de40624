//! Raw bindings to NDIS 6.82 to 6.89 as a miniport driver needs them.
//!
//! Written by hand from Microsoft's documentation, with Microsoft's names. NT types come from
//! `wdk-sys`. Layouts and numbers are those of x86-64 Windows and hold on any x86-64 host: the
//! tests compare every field and constant with `tests/data/facts`, and what is newer than those
//! tables is listed with its source in `tests/data/sourced-items.csv`.
//!
//! Function pointers and imports are `extern "win64"`: on Windows that is the C convention, and on
//! a Linux host it lets the test harness share these types with the drivers it loads.
//!
//! How to read a structure: fields of an anonymous union or structure stand in the outer one.
//! A group of C bit-fields is one integer, named after the first of them; constants next to the
//! type give the shifts. Where a revision appends fields, the field's text names it.
#![no_std]
#![allow(
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    reason = "Microsoft's names, so that they can be looked up"
)]
#![allow(
    missing_debug_implementations,
    reason = "the types hold unions and pointers whose meaning depends on other fields"
)]
#![allow(unsafe_code, reason = "declares foreign functions and handler types")]

pub mod attributes;
pub mod configuration;
pub mod dma;
pub mod functions;
pub mod media;
pub mod miniport;
pub mod nbl_info;
pub mod net_buffer;
pub mod object;
pub mod offload;
pub mod oid;
pub mod poll;
pub mod port;
pub mod power;
pub mod request;
pub mod rss;
pub mod statistics;
pub mod status;
pub mod timer;
pub mod types;
pub mod version;

pub use attributes::*;
pub use configuration::*;
pub use dma::*;
pub use functions::*;
pub use media::*;
pub use miniport::*;
pub use nbl_info::*;
pub use net_buffer::*;
pub use object::*;
pub use offload::*;
pub use oid::*;
pub use poll::*;
pub use port::*;
pub use power::*;
pub use request::*;
pub use rss::*;
pub use statistics::*;
pub use status::*;
pub use timer::*;
pub use types::*;
pub use version::*;
