//! XenStore: messages and the ring page they travel in.
//!
//! From Xen's public headers: `xen/io/xs_wire.h`.

use crate::errno::Errno;
use core::sync::atomic::{AtomicU8, AtomicU32};

/// Kind of a message.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct XsType(pub u32);

impl XsType {
    /// Control of the daemon.
    pub const CONTROL: Self = Self(0);
    /// List a directory.
    pub const DIRECTORY: Self = Self(1);
    /// Read a value.
    pub const READ: Self = Self(2);
    /// Read permissions.
    pub const GET_PERMS: Self = Self(3);
    /// Register a watch.
    pub const WATCH: Self = Self(4);
    /// Remove a watch.
    pub const UNWATCH: Self = Self(5);
    /// Begin a transaction.
    pub const TRANSACTION_START: Self = Self(6);
    /// Commit (`T`) or drop (`F`) a transaction.
    pub const TRANSACTION_END: Self = Self(7);
    /// Introduce a domain.
    pub const INTRODUCE: Self = Self(8);
    /// Release a domain.
    pub const RELEASE: Self = Self(9);
    /// Home directory of a domain.
    pub const GET_DOMAIN_PATH: Self = Self(10);
    /// Write a value.
    pub const WRITE: Self = Self(11);
    /// Make a directory.
    pub const MKDIR: Self = Self(12);
    /// Remove a node and all below.
    pub const RM: Self = Self(13);
    /// Write permissions.
    pub const SET_PERMS: Self = Self(14);
    /// From the daemon: path and token.
    pub const WATCH_EVENT: Self = Self(15);
    /// From the daemon: name of an error.
    pub const ERROR: Self = Self(16);
    /// Is a domain known?
    pub const IS_DOMAIN_INTRODUCED: Self = Self(17);
    /// Domain was resumed.
    pub const RESUME: Self = Self(18);
    /// Privileges over another domain.
    pub const SET_TARGET: Self = Self(19);
    /// Remove all watches and transactions of the sender.
    pub const RESET_WATCHES: Self = Self(21);
    /// List a long directory in parts.
    pub const DIRECTORY_PART: Self = Self(22);
    /// Number of types known here.
    pub const TYPE_COUNT: Self = Self(23);
    /// Never a valid type.
    pub const INVALID: Self = Self(0xFFFF);
}

/// Header of a message.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SockMsg {
    /// Kind.
    pub msg_type: XsType,
    /// Chosen by the sender, echoed in the reply.
    pub req_id: u32,
    /// Transaction, or 0.
    pub tx_id: u32,
    /// Bytes that follow.
    pub len: u32,
}

/// Bytes of each ring.
pub const XENSTORE_RING_SIZE: usize = 1024;
/// Longest payload; more is a protocol violation.
pub const XENSTORE_PAYLOAD_MAX: usize = 4096;
/// Longest absolute path.
pub const XENSTORE_ABS_PATH_MAX: usize = 3072;
/// Longest relative path.
pub const XENSTORE_REL_PATH_MAX: usize = 2048;

/// `server_features`: a ring may be reconnected.
pub const XENSTORE_SERVER_FEATURE_RECONNECTION: u32 = 1;
/// `server_features`: `error` is valid.
pub const XENSTORE_SERVER_FEATURE_ERROR: u32 = 2;
/// `connection`: normal.
pub const XENSTORE_CONNECTED: u32 = 0;
/// `connection`: being reconnected.
pub const XENSTORE_RECONNECT: u32 = 1;
/// `error`: none.
pub const XENSTORE_ERROR_NONE: u32 = 0;
/// `error`: communication.
pub const XENSTORE_ERROR_COMM: u32 = 1;
/// `error`: bad ring index.
pub const XENSTORE_ERROR_RINGIDX: u32 = 2;
/// `error`: protocol violation.
pub const XENSTORE_ERROR_PROTO: u32 = 3;

/// The ring page. Indices run freely; position = index mod [`XENSTORE_RING_SIZE`].
#[repr(C)]
#[derive(Debug)]
pub struct XenstoreDomainInterface {
    /// Requests, written by the guest.
    pub req: [AtomicU8; XENSTORE_RING_SIZE],
    /// Replies and watch events, written by the daemon.
    pub rsp: [AtomicU8; XENSTORE_RING_SIZE],
    /// Written by the daemon.
    pub req_cons: AtomicU32,
    /// Written by the guest.
    pub req_prod: AtomicU32,
    /// Written by the guest.
    pub rsp_cons: AtomicU32,
    /// Written by the daemon.
    pub rsp_prod: AtomicU32,
    /// Written by the daemon: `XENSTORE_SERVER_FEATURE_*`.
    pub server_features: AtomicU32,
    /// `XENSTORE_CONNECTED` or `XENSTORE_RECONNECT`.
    pub connection: AtomicU32,
    /// Written by the daemon: `XENSTORE_ERROR_*`.
    pub error: AtomicU32,
}

/// Names that stand in an [`XsType::ERROR`] payload, with their numbers, in the header's order.
pub const ERROR_NAMES: [(&str, Errno); 16] = [
    ("EINVAL", Errno::EINVAL),
    ("EACCES", Errno::EACCES),
    ("EEXIST", Errno::EEXIST),
    ("EISDIR", Errno::EISDIR),
    ("ENOENT", Errno::ENOENT),
    ("ENOMEM", Errno::ENOMEM),
    ("ENOSPC", Errno::ENOSPC),
    ("EIO", Errno::EIO),
    ("ENOTEMPTY", Errno::ENOTEMPTY),
    ("ENOSYS", Errno::ENOSYS),
    ("EROFS", Errno::EROFS),
    ("EBUSY", Errno::EBUSY),
    ("EAGAIN", Errno::EAGAIN),
    ("EISCONN", Errno::EISCONN),
    ("E2BIG", Errno::E2BIG),
    ("EPERM", Errno::EPERM),
];
