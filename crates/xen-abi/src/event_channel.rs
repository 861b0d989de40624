//! Event channels: operations, and the words shared with Xen in both delivery ABIs.
//!
//! From Xen's public headers: `xen/event_channel.h`.

use crate::domid::DomId;
use core::sync::atomic::AtomicU32;

/// A port of the calling domain. 0 is never a valid port.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub u32);

/// What a port is connected to.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelStatus(pub u32);

impl ChannelStatus {
    /// Not in use.
    pub const CLOSED: Self = Self(0);
    /// Waits for the other domain.
    pub const UNBOUND: Self = Self(1);
    /// Connected to another domain.
    pub const INTERDOMAIN: Self = Self(2);
    /// Bound to a physical interrupt.
    pub const PIRQ: Self = Self(3);
    /// Bound to a virtual interrupt.
    pub const VIRQ: Self = Self(4);
    /// Bound to an inter-processor interrupt.
    pub const IPI: Self = Self(5);
}

/// [`BindInterdomain`].
pub const EVTCHNOP_BIND_INTERDOMAIN: u32 = 0;
/// [`BindVirq`].
pub const EVTCHNOP_BIND_VIRQ: u32 = 1;
/// [`Close`].
pub const EVTCHNOP_CLOSE: u32 = 3;
/// [`SendEvent`].
pub const EVTCHNOP_SEND: u32 = 4;
/// [`Status`].
pub const EVTCHNOP_STATUS: u32 = 5;
/// [`AllocUnbound`].
pub const EVTCHNOP_ALLOC_UNBOUND: u32 = 6;
/// [`BindIpi`].
pub const EVTCHNOP_BIND_IPI: u32 = 7;
/// [`BindVcpu`].
pub const EVTCHNOP_BIND_VCPU: u32 = 8;
/// [`Unmask`].
pub const EVTCHNOP_UNMASK: u32 = 9;
/// [`Reset`].
pub const EVTCHNOP_RESET: u32 = 10;
/// [`InitControl`].
pub const EVTCHNOP_INIT_CONTROL: u32 = 11;
/// [`ExpandArray`].
pub const EVTCHNOP_EXPAND_ARRAY: u32 = 12;
/// [`SetPriority`].
pub const EVTCHNOP_SET_PRIORITY: u32 = 13;
/// Ports of the 2-level ABI (64-bit guest).
pub const EVTCHN_2L_NR_CHANNELS: u32 = 4096;
/// Highest priority.
pub const EVTCHN_FIFO_PRIORITY_MAX: u32 = 0;
/// Priority of a new port.
pub const EVTCHN_FIFO_PRIORITY_DEFAULT: u32 = 7;
/// Lowest priority.
pub const EVTCHN_FIFO_PRIORITY_MIN: u32 = 15;
/// Bit number in an event word: event is pending.
pub const EVTCHN_FIFO_PENDING: u32 = 31;
/// Bit number in an event word: delivery is masked.
pub const EVTCHN_FIFO_MASKED: u32 = 30;
/// Bit number in an event word: event is on a queue.
pub const EVTCHN_FIFO_LINKED: u32 = 29;
/// Bit number in an event word: Xen changes the link.
pub const EVTCHN_FIFO_BUSY: u32 = 28;
/// Bits of the link field.
pub const EVTCHN_FIFO_LINK_BITS: u32 = 17;
/// Mask of the link field: the next port of the queue.
pub const EVTCHN_FIFO_LINK_MASK: u32 = 0x1FFFF;
/// Ports of the FIFO ABI.
pub const EVTCHN_FIFO_NR_CHANNELS: u32 = 0x20000;

/// Queues of a vCPU, one per priority.
pub const EVTCHN_FIFO_MAX_QUEUES: usize = 16;
/// Event words in one page of the array.
pub const EVENT_WORDS_PER_PAGE: usize = 1024;

/// A vCPU's queues in the FIFO ABI, shared with Xen.
#[repr(C)]
#[derive(Debug, Default)]
pub struct FifoControlBlock {
    /// Bit per priority that has events.
    pub ready: AtomicU32,
    /// Unused.
    pub reserved: AtomicU32,
    /// First port of each priority's queue.
    pub head: [AtomicU32; EVTCHN_FIFO_MAX_QUEUES],
}

/// Allocates a port that `remote_dom` may bind to.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AllocUnbound {
    /// In: owner; [`DomId::SELF`].
    pub dom: DomId,
    /// In: who may bind.
    pub remote_dom: DomId,
    /// Out: new port.
    pub port: Port,
}

/// Connects to an unbound port of another domain.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BindInterdomain {
    /// In: its domain.
    pub remote_dom: DomId,
    /// In: its port.
    pub remote_port: Port,
    /// Out: new port.
    pub local_port: Port,
}

/// Binds a virtual interrupt.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BindVirq {
    /// In: `VIRQ_*`.
    pub virq: u32,
    /// In: Xen vCPU id.
    pub vcpu: u32,
    /// Out: new port.
    pub port: Port,
}

/// Allocates a port for signals to a vCPU of our own.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BindIpi {
    /// In: Xen vCPU id.
    pub vcpu: u32,
    /// Out: new port.
    pub port: Port,
}

/// Closes a port.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Close {
    /// In: the port.
    pub port: Port,
}

/// Signals the other end.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SendEvent {
    /// In: the local port.
    pub port: Port,
}

/// Asks what a port is connected to.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Status {
    /// In: owner.
    pub dom: DomId,
    /// In: the port.
    pub port: Port,
    /// Out: kind.
    pub status: ChannelStatus,
    /// Out: vCPU it notifies.
    pub vcpu: u32,
    /// Out: by kind: domain (low 16 bits) and port, or interrupt number.
    pub detail: [u32; 2],
}

/// Chooses the vCPU a port notifies.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BindVcpu {
    /// In: the port.
    pub port: Port,
    /// In: Xen vCPU id.
    pub vcpu: u32,
}

/// Unmasks a port and delivers what is pending.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unmask {
    /// In: the port.
    pub port: Port,
}

/// Closes all ports and returns to the 2-level ABI.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reset {
    /// In: [`DomId::SELF`].
    pub dom: DomId,
}

/// Registers a vCPU's control block (FIFO ABI).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InitControl {
    /// In: frame of the block.
    pub control_gfn: u64,
    /// In: bytes into the frame, multiple of 8.
    pub offset: u32,
    /// In: Xen vCPU id.
    pub vcpu: u32,
    /// Out: width of the link field Xen uses.
    pub link_bits: u8,
    /// Zero.
    pub pad: [u8; 7],
}

/// Adds a page to the event array (FIFO ABI).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExpandArray {
    /// In: frame of the page.
    pub array_gfn: u64,
}

/// Sets a port's priority (FIFO ABI).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetPriority {
    /// In: the port.
    pub port: Port,
    /// In: 0 (highest) to 15.
    pub priority: u32,
}

/// Per vCPU: timer (defined in `xen/xen.h`).
pub const VIRQ_TIMER: u32 = 0;
/// Per vCPU: dump state (defined in `xen/xen.h`).
pub const VIRQ_DEBUG: u32 = 1;
