//! Hypercall numbers. A number selects the 32-byte slot of a hypercall page.
//!
//! From Xen's public headers: `xen/xen.h`.

/// `memory_op(cmd, arg)`: see [`crate::memory`].
pub const MEMORY_OP: u32 = 12;
/// `xen_version(cmd, arg)`: see [`crate::version`].
pub const XEN_VERSION: u32 = 17;
/// `console_io(cmd, count, buffer)`.
pub const CONSOLE_IO: u32 = 18;
/// `grant_table_op(cmd, array, count)`: see [`crate::grant_table`].
pub const GRANT_TABLE_OP: u32 = 20;
/// `vm_assist(cmd, type)`.
pub const VM_ASSIST: u32 = 21;
/// `vcpu_op(cmd, vcpu, arg)`: see [`crate::vcpu`].
pub const VCPU_OP: u32 = 24;
/// `sched_op(cmd, arg)`: see [`crate::sched`].
pub const SCHED_OP: u32 = 29;
/// `event_channel_op(cmd, arg)`: see [`crate::event_channel`].
pub const EVENT_CHANNEL_OP: u32 = 32;
/// `physdev_op(cmd, arg)`.
pub const PHYSDEV_OP: u32 = 33;
/// `hvm_op(cmd, arg)`: see [`crate::hvm`].
pub const HVM_OP: u32 = 34;
/// `console_io` command: write `count` bytes to the hypervisor console.
pub const CONSOLEIO_WRITE: u32 = 0;

/// Slots in a hypercall page.
pub const PAGE_SLOTS: usize = 128;
/// Bytes per slot of a hypercall page.
pub const SLOT_SIZE: usize = 32;
