//! Numbers of requests as their field has them.

/// A constant of the headers in the byte its field has.
const fn byte(constant: u32) -> u8 {
    assert!(constant < 0x100, "the field is a byte");
    constant.to_le_bytes()[0]
}

macro_rules! numbers {
    ($($name:ident = $raw:ident;)+) => {
        $(pub(crate) const $name: u8 = byte(wdk_sys::$raw);)+
    };
}

numbers! {
    START_DEVICE = IRP_MN_START_DEVICE;
    QUERY_REMOVE_DEVICE = IRP_MN_QUERY_REMOVE_DEVICE;
    REMOVE_DEVICE = IRP_MN_REMOVE_DEVICE;
    CANCEL_REMOVE_DEVICE = IRP_MN_CANCEL_REMOVE_DEVICE;
    STOP_DEVICE = IRP_MN_STOP_DEVICE;
    QUERY_STOP_DEVICE = IRP_MN_QUERY_STOP_DEVICE;
    CANCEL_STOP_DEVICE = IRP_MN_CANCEL_STOP_DEVICE;
    SURPRISE_REMOVAL = IRP_MN_SURPRISE_REMOVAL;
}

/// The request that changes a device's state, if `minor` is one.
pub(crate) fn state_change(minor: u8) -> Option<xenbus_core::pnp::Request> {
    use xenbus_core::pnp::Request;
    Some(match minor {
        START_DEVICE => Request::Start,
        QUERY_REMOVE_DEVICE => Request::QueryRemove,
        REMOVE_DEVICE => Request::Remove,
        CANCEL_REMOVE_DEVICE => Request::CancelRemove,
        STOP_DEVICE => Request::Stop,
        QUERY_STOP_DEVICE => Request::QueryStop,
        CANCEL_STOP_DEVICE => Request::CancelStop,
        SURPRISE_REMOVAL => Request::SurpriseRemoval,
        _ => return None,
    })
}
