//! A model of xen-netback: what the network driver under test talks to.
//!
//! Written from the protocol's description (`netif-and-backends.md`, sections 1, 2 and 5) and sharing only
//! ABI numbers with the drivers, so that an error in the driver's ring code is not repeated here.
//!
//! 1. The toolstack's part: [`toolstack::publish`] writes the two directories of a vif.
//! 2. [`Netback::probe`] advertises features and goes to `InitWait`.
//! 3. [`Netback::poll`] does whatever events, watches, frames and the clock ask for, and says whether it
//!    did anything. It is deterministic: no thread, no clock of its own, seeded choices only.
//! 4. What the frontend did wrong is in [`Netback::rules`]; a test asserts that it is empty.
//! 5. [`Netback::remove`] gives back every mapping and port.
//!
//! Who drives it polls after an event, a store change or a frame, again while `poll` says true, and at
//! [`Netback::next_deadline`].
//!
//! It works on events as Linux does: a ring that nobody notified is not looked at. The hypervisor and
//! XenStore are behind the traits of [`host`], the network behind [`Wire`].
#![forbid(unsafe_code)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "values are cut to the width of an ABI field throughout; the width is the point"
)]

mod config;
mod connect;
mod counters;
mod ctrl;
mod frame;
mod gref_map;
mod hash;
mod host;
mod hostile;
mod queue;
mod ring;
mod rule;
mod rx;
mod segment;
mod state;
pub mod toolstack;
mod tx;
mod tx_frame;
mod tx_response;
mod vif;
mod wire;

pub use config::{Config, ExtraPolicy, Features, Preset, Reconnect, ResponseMode, Timeouts};
pub use counters::{Counters, QueueCounters};
pub use frame::{CsumError, complete_checksum};
pub use hash::{HashState, toeplitz};
pub use host::{Events, GntStatus, Grants, Host, SharedPage, Store, WatchId};
pub use hostile::Attack;
pub use rule::{Broken, Rule, RuleLog, Severity};
pub use segment::segment;
pub use vif::Netback;
pub use wire::{FrameHash, FrameMeta, Gso, RxShape, Wire};
