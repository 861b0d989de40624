//! `NTSTATUS` as a type.

use core::fmt;

use wdk_sys::NTSTATUS;

/// The outcome of a kernel call, as the kernel spells it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
#[must_use]
pub struct Status(NTSTATUS);

/// A result whose error is a failure status.
pub type Result<T> = core::result::Result<T, Status>;

macro_rules! statuses {
    ($($(#[$meta:meta])* $name:ident = $raw:ident;)+) => {
        impl Status {
            $($(#[$meta])* pub const $name: Self = Self(wdk_sys::$raw);)+
        }
    };
}

statuses! {
    /// `STATUS_SUCCESS`.
    SUCCESS = STATUS_SUCCESS;
    /// `STATUS_TIMEOUT`: a success code, a wait that ended without its object.
    TIMEOUT = STATUS_TIMEOUT;
    /// `STATUS_PENDING`: a success code, completion follows.
    PENDING = STATUS_PENDING;
    /// `STATUS_UNSUCCESSFUL`.
    UNSUCCESSFUL = STATUS_UNSUCCESSFUL;
    /// `STATUS_NOT_IMPLEMENTED`.
    NOT_IMPLEMENTED = STATUS_NOT_IMPLEMENTED;
    /// `STATUS_INVALID_PARAMETER`.
    INVALID_PARAMETER = STATUS_INVALID_PARAMETER;
    /// `STATUS_NO_SUCH_DEVICE`.
    NO_SUCH_DEVICE = STATUS_NO_SUCH_DEVICE;
    /// `STATUS_INVALID_DEVICE_REQUEST`.
    INVALID_DEVICE_REQUEST = STATUS_INVALID_DEVICE_REQUEST;
    /// `STATUS_MORE_PROCESSING_REQUIRED`: a completion routine keeps the IRP.
    MORE_PROCESSING_REQUIRED = STATUS_MORE_PROCESSING_REQUIRED;
    /// `STATUS_BUFFER_TOO_SMALL`.
    BUFFER_TOO_SMALL = STATUS_BUFFER_TOO_SMALL;
    /// `STATUS_BUFFER_OVERFLOW`: a warning, the value is longer than the buffer.
    BUFFER_OVERFLOW = STATUS_BUFFER_OVERFLOW;
    /// `STATUS_OBJECT_NAME_NOT_FOUND`.
    OBJECT_NAME_NOT_FOUND = STATUS_OBJECT_NAME_NOT_FOUND;
    /// `STATUS_DELETE_PENDING`: the device is being removed.
    DELETE_PENDING = STATUS_DELETE_PENDING;
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    INSUFFICIENT_RESOURCES = STATUS_INSUFFICIENT_RESOURCES;
    /// `STATUS_DEVICE_NOT_READY`.
    DEVICE_NOT_READY = STATUS_DEVICE_NOT_READY;
    /// `STATUS_NOT_SUPPORTED`.
    NOT_SUPPORTED = STATUS_NOT_SUPPORTED;
    /// `STATUS_DEVICE_CONFIGURATION_ERROR`.
    DEVICE_CONFIGURATION_ERROR = STATUS_DEVICE_CONFIGURATION_ERROR;
    /// `STATUS_NO_MEMORY`.
    NO_MEMORY = STATUS_NO_MEMORY;
    /// `STATUS_REVISION_MISMATCH`.
    REVISION_MISMATCH = STATUS_REVISION_MISMATCH;
}

impl Status {
    /// A status the kernel returned.
    pub const fn from_raw(raw: NTSTATUS) -> Self {
        Self(raw)
    }

    /// The number for the kernel.
    pub const fn into_raw(self) -> NTSTATUS {
        self.0
    }

    /// Whether this is a success or informational code (`NT_SUCCESS`).
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 >= 0
    }

    /// The status as the error when it is a warning or an error.
    pub const fn into_result(self) -> Result<()> {
        if self.is_success() { Ok(()) } else { Err(self) }
    }

    /// The status of `result`: [`Status::SUCCESS`] or the error.
    pub fn of(result: Result<()>) -> Self {
        result.err().unwrap_or(Self::SUCCESS)
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Status({self})")
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0.cast_unsigned())
    }
}

impl core::error::Error for Status {}

#[cfg(test)]
mod tests {
    use super::Status;

    #[test]
    fn warnings_and_errors_are_failures_and_pending_is_not() {
        assert!(Status::PENDING.is_success());
        assert_eq!(Status::TIMEOUT.into_result(), Ok(()));
        assert_eq!(
            Status::BUFFER_OVERFLOW.into_result(),
            Err(Status::BUFFER_OVERFLOW)
        );
        assert_eq!(Status::of(Err(Status::NO_MEMORY)), Status::NO_MEMORY);
    }

    #[test]
    fn prints_as_the_documented_hexadecimal_code() {
        assert_eq!(std::format!("{}", Status::UNSUCCESSFUL), "0xc0000001");
        assert_eq!(std::format!("{:?}", Status::SUCCESS), "Status(0x00000000)");
    }
}
