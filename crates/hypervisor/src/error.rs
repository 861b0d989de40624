//! Why a hypercall failed.
use xen_abi::errno::Errno;

/// Xen's answer to a hypercall that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HypercallError {
    /// `EPERM`, `EACCES`: not allowed.
    NotPermitted,
    /// `ENOENT`, `ESRCH`, `ENODEV`, `ENXIO`: no such domain, port or vCPU.
    NotFound,
    /// `EAGAIN`, `EBUSY`: not now.
    Busy,
    /// `ENOMEM`, `ENOSPC`, `ENOBUFS`: Xen or the domain's limit is exhausted.
    Exhausted,
    /// `EFAULT`: Xen could not read or write the argument.
    Fault,
    /// `EEXIST`: already so.
    Exists,
    /// `EINVAL`, `ERANGE`, `E2BIG`: wrong argument.
    Invalid,
    /// `ENOSYS`, `EOPNOTSUPP`: this Xen does not offer the operation.
    NotSupported,
    /// Any other number.
    Other(Errno),
}

impl From<Errno> for HypercallError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::EPERM | Errno::EACCES => Self::NotPermitted,
            Errno::ENOENT | Errno::ESRCH | Errno::ENODEV | Errno::ENXIO => Self::NotFound,
            Errno::EAGAIN | Errno::EBUSY => Self::Busy,
            Errno::ENOMEM | Errno::ENOSPC | Errno::ENOBUFS => Self::Exhausted,
            Errno::EFAULT => Self::Fault,
            Errno::EEXIST => Self::Exists,
            Errno::EINVAL | Errno::ERANGE | Errno::E2BIG => Self::Invalid,
            Errno::ENOSYS | Errno::EOPNOTSUPP => Self::NotSupported,
            other => Self::Other(other),
        }
    }
}

/// Tells a hypercall's value (0 or more) from its error (below 0).
pub(crate) fn check(answer: i64) -> Result<u64, HypercallError> {
    u64::try_from(answer).map_err(|_| {
        // A number outside 32 bits is no errno Xen defines; it is kept apart as 0.
        HypercallError::from(Errno(u32::try_from(answer.unsigned_abs()).unwrap_or(0)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_errors_are_told_apart() {
        assert_eq!(check(0), Ok(0));
        assert_eq!(check(0x4_0011), Ok(0x4_0011));
        assert_eq!(check(-38), Err(HypercallError::NotSupported));
        assert_eq!(check(-22), Err(HypercallError::Invalid));
        assert_eq!(check(-28), Err(HypercallError::Exhausted));
        assert_eq!(check(-110), Err(HypercallError::Other(Errno::ETIMEDOUT)));
        assert_eq!(check(i64::MIN), Err(HypercallError::Other(Errno(0))));
    }
}
