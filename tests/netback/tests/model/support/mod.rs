//! A fake hypervisor and XenStore, and a guest that writes its rings by hand.
#![allow(
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "for this program alone; values are cut to the width of a ring's field"
)]

pub mod bench;
pub mod guest;
pub mod world;

pub use bench::*;
pub use guest::*;
pub use world::*;
