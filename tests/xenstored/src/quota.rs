//! Limits of an unprivileged domain: defaults of xenstored's options (tools/xenstored), and of the wire format.

/// Nodes a domain owns.
pub const NODES: usize = 1000;
/// Watches.
pub const WATCHES: usize = 128;
/// Open transactions.
pub const TRANSACTIONS: usize = 10;
/// Requests whose answers the domain has not taken: no further one is looked at meanwhile.
pub const OUTSTANDING: usize = 20;
/// Nodes looked at or changed in one transaction.
pub const TRANSACTION_NODES: usize = 1024;
/// Bytes of a node: header, permissions, value and names of its children. One less is the most.
pub const NODE_BYTES: usize = 2048;
/// Permissions of a node.
pub const PERMISSIONS: usize = 5;
/// Bytes of an absolute path.
pub const PATH: usize = 3072;
/// Bytes of a path below a domain's home.
pub const RELATIVE_PATH: usize = 2048;

/// Bytes of a node before its permissions.
pub(crate) const NODE_HEADER: usize = 24;
/// Bytes of a permission.
pub(crate) const NODE_PERMISSION: usize = 8;
