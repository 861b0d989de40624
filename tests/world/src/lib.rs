//! The whole machine: the shipped `xenbus.sys` and `netfront.sys` in the harness, on the simulated Xen, with
//! XenStore, the toolstack and the model backend on the other side.
//!
//! [`World::builder`] is where a test starts.

mod capture;
pub mod captured;
pub mod flows;
mod host;
mod machine;
mod memory;
mod network;
pub mod packet;
mod peer;
pub mod proof;
pub mod scenario;
mod tap;
mod tap_device;
mod world;

pub use capture::Capture;
pub use cases::rss;
pub use cases::rss::parameters as rss_parameters;
pub use cases::{End, GuestStack, Machine, Moved, Progress, Stack, System};
pub use host::HostPage;
pub use machine::{Vif, Xen, XenPlatform};
pub use network::{Network, Nobody};
pub use peer::{Peer, WireCounters};
pub use tap::Tap;
pub use tap_device::{Namespace, TapCounters, TapDevice};
pub use world::{Builder, World, driver_image};

/// Has every panic, on whatever thread, end the program: a processor's thread that ended alone would leave the others
/// waiting for it. For programs; test programs have panics caught.
pub fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}
