//! Error numbers of hypercalls: a call answers their negative.
//!
//! From Xen's public headers: `xen/errno.h`.

/// A Xen error number, positive, as in `xen/errno.h`. A hypercall returns its negative.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(pub u32);

impl Errno {
    /// Operation not permitted.
    pub const EPERM: Self = Self(1);
    /// No such item.
    pub const ENOENT: Self = Self(2);
    /// No such domain.
    pub const ESRCH: Self = Self(3);
    /// I/O error.
    pub const EIO: Self = Self(5);
    /// No such device or address.
    pub const ENXIO: Self = Self(6);
    /// Argument list too long.
    pub const E2BIG: Self = Self(7);
    /// Bad handle.
    pub const EBADF: Self = Self(9);
    /// Try again.
    pub const EAGAIN: Self = Self(11);
    /// Out of memory.
    pub const ENOMEM: Self = Self(12);
    /// Permission denied.
    pub const EACCES: Self = Self(13);
    /// Bad address.
    pub const EFAULT: Self = Self(14);
    /// Resource busy.
    pub const EBUSY: Self = Self(16);
    /// Already exists.
    pub const EEXIST: Self = Self(17);
    /// Cross-device link; bad operation for this channel.
    pub const EXDEV: Self = Self(18);
    /// No such device.
    pub const ENODEV: Self = Self(19);
    /// Is a directory.
    pub const EISDIR: Self = Self(21);
    /// Invalid argument.
    pub const EINVAL: Self = Self(22);
    /// No space left.
    pub const ENOSPC: Self = Self(28);
    /// Read-only.
    pub const EROFS: Self = Self(30);
    /// Result out of range.
    pub const ERANGE: Self = Self(34);
    /// Not implemented.
    pub const ENOSYS: Self = Self(38);
    /// Not empty.
    pub const ENOTEMPTY: Self = Self(39);
    /// No data available.
    pub const ENODATA: Self = Self(61);
    /// Timer expired.
    pub const ETIME: Self = Self(62);
    /// Value too large for its type.
    pub const EOVERFLOW: Self = Self(75);
    /// Operation not supported.
    pub const EOPNOTSUPP: Self = Self(95);
    /// No buffer space.
    pub const ENOBUFS: Self = Self(105);
    /// Already connected.
    pub const EISCONN: Self = Self(106);
    /// Not connected.
    pub const ENOTCONN: Self = Self(107);
    /// Timed out.
    pub const ETIMEDOUT: Self = Self(110);
}
