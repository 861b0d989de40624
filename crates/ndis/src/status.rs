//! `NDIS_STATUS` as a type, for the edge where callbacks return to NDIS.

use core::fmt;

use ndis_sys as sys;

/// A status code. Inside the driver errors are enums; they become this at the callback edge only.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub struct Status(pub sys::NDIS_STATUS);

impl Status {
    /// Done.
    pub const SUCCESS: Self = Self(sys::NDIS_STATUS_SUCCESS);
    /// Completed later.
    pub const PENDING: Self = Self(sys::NDIS_STATUS_PENDING);
    /// General failure.
    pub const FAILURE: Self = Self(sys::NDIS_STATUS_FAILURE);
    /// No memory or another resource.
    pub const RESOURCES: Self = Self(sys::NDIS_STATUS_RESOURCES);
    /// Unknown request.
    pub const NOT_SUPPORTED: Self = Self(sys::NDIS_STATUS_NOT_SUPPORTED);
    /// Wrong length.
    pub const INVALID_LENGTH: Self = Self(sys::NDIS_STATUS_INVALID_LENGTH);
    /// Wrong contents.
    pub const INVALID_DATA: Self = Self(sys::NDIS_STATUS_INVALID_DATA);
    /// Wrong parameter.
    pub const INVALID_PARAMETER: Self = Self(sys::NDIS_STATUS_INVALID_PARAMETER);
    /// Too many multicast addresses.
    pub const MULTICAST_FULL: Self = Self(sys::NDIS_STATUS_MULTICAST_FULL);
    /// Cancelled request.
    pub const REQUEST_ABORTED: Self = Self(sys::NDIS_STATUS_REQUEST_ABORTED);
    /// Cancelled send.
    pub const SEND_ABORTED: Self = Self(sys::NDIS_STATUS_SEND_ABORTED);
    /// The adapter is paused or pausing.
    pub const PAUSED: Self = Self(sys::NDIS_STATUS_PAUSED);
    /// The adapter is in low power.
    pub const LOW_POWER_STATE: Self = Self(sys::NDIS_STATUS_LOW_POWER_STATE);
    /// Refused, after surprise removal.
    pub const NOT_ACCEPTED: Self = Self(sys::NDIS_STATUS_NOT_ACCEPTED);
    /// Version or revision not accepted.
    pub const BAD_VERSION: Self = Self(sys::NDIS_STATUS_BAD_VERSION);

    /// Success and informational codes are not negative.
    pub const fn is_success(self) -> bool {
        self.0 >= 0
    }

    /// `Ok` for a success code, else the status itself.
    pub const fn ok(self) -> Result<(), Self> {
        if self.is_success() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Status({:#010x})", self.0)
    }
}
