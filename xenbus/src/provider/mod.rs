//! The table of functions for the children's drivers: who asks, what for, and the answer as a status.
//!
//! | module | does |
//! |---|---|
//! | [`table`] | the functions as the table has them: raw arguments in, safe calls out |
//! | this one | handing the table out, and what all functions begin with |

mod events;
mod grants;
mod raw;
mod store;
mod table;

use interface::{INTERFACE_VERSION, STATUS_CHILD_GONE, XenbusInterface};
use nt::irp::Irp;
use nt::irql::{AtMostDispatch, Passive};
use nt::pool::PoolArc;
use nt::status::{Result, Status};
use xenbus_core::interface_version::{Offer, VersionError, negotiate};

use crate::bus::Bus;
use crate::child::Child;
use crate::parameters;

/// Bytes of version 1.
const SIZE: u16 = {
    let size = size_of::<XenbusInterface>();
    assert!(size <= 0xFFFF, "the field has 16 bits");
    let [low, high, ..] = size.to_le_bytes();
    u16::from_le_bytes([low, high])
};

/// What is offered.
const OFFERS: [Offer; 1] = [Offer {
    version: INTERFACE_VERSION,
    size: SIZE,
}];

/// `QUERY_INTERFACE` to a child: none when it is about another interface.
pub(crate) fn query(child: &PoolArc<Child>, irp: &Irp, irql: &mut Passive<'_>) -> Option<Status> {
    let request = parameters::interface(irp)?;
    if !raw::is_ours(&request.guid) {
        return None;
    }
    match negotiate(&OFFERS, request.version, request.size) {
        Ok(offer) => {
            if child.bus(irql).is_none() || !Child::acquire(child, irql) {
                return Some(Status::from_raw(STATUS_CHILD_GONE));
            }
            raw::hand_out(&request, table::table(child, offer));
            Some(Status::SUCCESS)
        }
        Err(VersionError::Unsupported { .. }) => Some(Status::REVISION_MISMATCH),
        Err(VersionError::TableTooSmall { .. }) => Some(Status::BUFFER_TOO_SMALL),
    }
}

/// Runs `body` on the bus of a child, at `PASSIVE_LEVEL`; the bus does not end meanwhile.
fn at_passive<R>(
    child: &Child,
    irql: &mut Passive<'_>,
    body: impl FnOnce(&PoolArc<Bus>, &mut Passive<'_>) -> Result<R>,
) -> Result<R> {
    let gone = Status::from_raw(STATUS_CHILD_GONE);
    let bus = child.bus(irql).ok_or(gone)?;
    let _use = bus.users.guard(irql).ok_or(gone)?;
    body(&bus, irql)
}

/// Runs `body` on the bus of a child, at `DISPATCH_LEVEL` or below; the bus does not end meanwhile.
fn at_most_dispatch<R>(
    child: &Child,
    irql: &mut AtMostDispatch<'_>,
    body: impl FnOnce(&PoolArc<Bus>, &mut AtMostDispatch<'_>) -> Result<R>,
) -> Result<R> {
    let gone = Status::from_raw(STATUS_CHILD_GONE);
    let bus = child.bus(irql).ok_or(gone)?;
    let _use = bus.users.guard(irql).ok_or(gone)?;
    body(&bus, irql)
}
