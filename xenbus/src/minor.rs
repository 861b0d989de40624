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
    QUERY_DEVICE_RELATIONS = IRP_MN_QUERY_DEVICE_RELATIONS;
    QUERY_INTERFACE = IRP_MN_QUERY_INTERFACE;
    QUERY_CAPABILITIES = IRP_MN_QUERY_CAPABILITIES;
    QUERY_DEVICE_TEXT = IRP_MN_QUERY_DEVICE_TEXT;
    FILTER_RESOURCE_REQUIREMENTS = IRP_MN_FILTER_RESOURCE_REQUIREMENTS;
    EJECT = IRP_MN_EJECT;
    QUERY_ID = IRP_MN_QUERY_ID;
    QUERY_BUS_INFORMATION = IRP_MN_QUERY_BUS_INFORMATION;
    DEVICE_USAGE_NOTIFICATION = IRP_MN_DEVICE_USAGE_NOTIFICATION;
    WAIT_WAKE = IRP_MN_WAIT_WAKE;
    SET_POWER = IRP_MN_SET_POWER;
    QUERY_POWER = IRP_MN_QUERY_POWER;
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
