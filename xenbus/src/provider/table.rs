//! The table.

use interface::XenbusInterface;
use nt::pool::PoolArc;
use xenbus_core::interface_version::Offer;

use super::{events, grants, raw, store};
use crate::child::Child;

/// The table for a child, who has a reference already.
pub(super) fn table(child: &PoolArc<Child>, offer: Offer) -> XenbusInterface {
    XenbusInterface {
        header: raw::header(child, offer),
        frontend_path: store::frontend_path,
        grants_reserve: grants::reserve,
        grant_release: grants::release,
        grants_free: grants::free,
        event_open: events::open,
        event_port: events::port,
        event_notify: events::notify,
        event_unmask: events::unmask,
        event_place: events::place,
        event_close: events::close,
        transaction_start: store::transaction_start,
        transaction_end: store::transaction_end,
        store_read: store::read,
        store_write: store::write,
        store_remove: store::remove,
        store_list: store::list,
        watch_add: store::watch_add,
        watch_remove: store::watch_remove,
        suspend_register: store::suspend_register,
        suspend_unregister: store::suspend_unregister,
        request_eject: store::request_eject,
        report_working: store::report_working,
    }
}
