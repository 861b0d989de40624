//! The interface that `xenbus.sys` offers to the drivers of its children: grants, event channels,
//! XenStore and suspend, as a versioned, reference-counted table of functions.
//!
//! # Life of an interface
//! 1. The child's driver sends `IRP_MJ_PNP`/`IRP_MN_QUERY_INTERFACE` with [`XENBUS_INTERFACE_GUID`],
//!    a buffer for [`XenbusInterface`] and the newest version it knows.
//! 2. `xenbus.sys` answers with the highest version both know, a table of that version's size, and
//!    one reference taken.
//! 3. The child calls through the table between `START_DEVICE` and `REMOVE_DEVICE` of its device.
//! 4. Everything got from the table is given back, then the reference (`InterfaceDereference`).
//!
//! `Context`, the first argument of every function, names the child, so that what a child leaks is
//! known and taken back when its device goes.
//!
//! # Rules of the calls
//! * Every function says the highest IRQL it may be called at; none waits above `PASSIVE_LEVEL`.
//! * Functions that fail return an `NTSTATUS` and leave their out parameters as they were.
//! * Callbacks say the IRQL they are called at.
//!
//! The table is written in plain C types, so that drivers in other languages can use it.
#![no_std]

mod status;
mod table;

pub use status::{
    STATUS_CHILD_GONE, STATUS_GRANT_STILL_IN_USE, STATUS_STORE_CONFLICT, STATUS_STORE_TIMEOUT,
};
pub use table::{
    EventCallback, EventChannel, GrantSlot, INTERFACE_VERSION, PnpHeader, StoreValue,
    SuspendCallback, SuspendPhase, SuspendRegistration, Transaction, UpcallPlacement, Watch,
    WatchCallback, XENBUS_INTERFACE_GUID, XenbusInterface,
};
