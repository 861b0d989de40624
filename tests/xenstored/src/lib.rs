//! XenStore: the daemon as one guest and the toolstack see it.
//!
//! Written from the protocol's description (docs/misc/xenstore.txt, `io/xs_wire.h`) and from what C xenstored is
//! known to do where that is silent; shares no code with the driver's client. The guest speaks through its ring
//! page; the toolstack and the backends, who are domain 0, call methods.
//!
//! | module | is |
//! |---|---|
//! | [`store`] | the daemon |
//! | `tree` | nodes, permissions, generations |
//! | `transaction` | what a transaction saw and changed |
//! | `watch` | who is told of what |
//! | `ring` | messages on the ring page |
//! | [`quota`] | xenstored's limits for an unprivileged domain |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod quota;
mod ring;
pub mod store;
mod transaction;
mod tree;
mod watch;

pub use store::{Counters, Store};
pub use watch::Watch;
