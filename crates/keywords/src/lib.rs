//! The settings of `netfront.sys`, as Device Manager shows them and the driver reads them.
//!
//! Windows calls a setting a *keyword*: a value under the adapter's registry key, described to the
//! user by the `Ndi\params` keys that the INF file writes. The two must agree, so both come from
//! one [`TABLE`]: [`Settings::read`] is all the driver reads, and a test compares the table with
//! `inf/netfront.inf` line by line. To add a setting: put its row into the table, the lines that
//! `cargo test -p inf` then prints into the INF file, and use [`Settings::number`] in the driver.
//!
//! A user can write anything into the registry, so every value is checked; what is missing or
//! wrong is the default ([`Keyword::read`]), which the driver logs once.
//!
//! Sources: Microsoft's pages on standardized INF keywords and on the advanced properties page;
//! types and limits as `microsoft/Test-NetHLK` expects them.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

mod address;
mod keyword;
mod reading;
mod settings;
pub mod table;

pub use address::{AddressReading, AddressRefusal};
pub use keyword::{Choice, Edit, Enumeration, Integer, IntegerType, Keyword, Kind};
pub use reading::{Raw, Reading, Refusal};
pub use settings::{Remark, Settings};
pub use table::{PLANNED, TABLE};

/// The keyword of that name in [`TABLE`]. Registry names ignore ASCII case.
pub fn find(name: &str) -> Option<&'static Keyword> {
    TABLE
        .iter()
        .copied()
        .find(|keyword| keyword.name.eq_ignore_ascii_case(name))
}
