//! Traffic between NDIS and the wire, every frame judged by the [`oracle`].
//!
//! [`Proof::new`] connects an interface whose other side is a [`Rig`]; [`Proof::run`] sends random frames both ways
//! until so many were judged. What NDIS may ask for and what the backend may leave to the guest follows from what
//! the driver told and wrote; everything else comes from the seed.

mod books;
mod cases;
mod offer;
mod request;
mod rig;

pub use books::{Fault, Proof, Report};
pub use cases::{CASES, Case};
pub use offer::Agreed;
pub use request::{Allowed, Ask};
pub use rig::Rig;
