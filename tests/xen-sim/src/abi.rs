//! The numbers of Xen's public ABI that the simulation answers to.

/// A Linux error number (positive); hypercalls return it negated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// The value a hypercall returns for this error.
    pub fn result(self) -> i64 {
        -i64::from(self.0)
    }
}

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident: $ty:ty = $value:expr;)*) => {$(
        $(#[$doc])*
        #[allow(missing_docs, reason = "named as in Xen's headers, which define them")]
        pub const $name: $ty = $value;
    )*};
}

numbers! {
    EPERM: Errno = Errno(1);
    ENOENT: Errno = Errno(2);
    ESRCH: Errno = Errno(3);
    ENXIO: Errno = Errno(6);
    ENOMEM: Errno = Errno(12);
    EACCES: Errno = Errno(13);
    EFAULT: Errno = Errno(14);
    EBUSY: Errno = Errno(16);
    EEXIST: Errno = Errno(17);
    EINVAL: Errno = Errno(22);
    ENOSPC: Errno = Errno(28);
    ENOSYS: Errno = Errno(38);
    EOPNOTSUPP: Errno = Errno(95);

    /// Bytes in a frame.
    PAGE_SIZE: usize = 4096;
    DOMID_SELF: u16 = 0x7ff0;
    /// Lowest domain id with a special meaning.
    DOMID_FIRST_RESERVED: u16 = 0x7ff0;

    HYPERVISOR_MEMORY_OP: u64 = 12;
    HYPERVISOR_XEN_VERSION: u64 = 17;
    HYPERVISOR_CONSOLE_IO: u64 = 18;
    HYPERVISOR_GRANT_TABLE_OP: u64 = 20;
    HYPERVISOR_VCPU_OP: u64 = 24;
    HYPERVISOR_SCHED_OP: u64 = 29;
    HYPERVISOR_EVENT_CHANNEL_OP: u64 = 32;
    HYPERVISOR_HVM_OP: u64 = 34;

    EVTCHNOP_BIND_INTERDOMAIN: u64 = 0;
    EVTCHNOP_BIND_VIRQ: u64 = 1;
    EVTCHNOP_BIND_PIRQ: u64 = 2;
    EVTCHNOP_CLOSE: u64 = 3;
    EVTCHNOP_SEND: u64 = 4;
    EVTCHNOP_STATUS: u64 = 5;
    EVTCHNOP_ALLOC_UNBOUND: u64 = 6;
    EVTCHNOP_BIND_IPI: u64 = 7;
    EVTCHNOP_BIND_VCPU: u64 = 8;
    EVTCHNOP_UNMASK: u64 = 9;
    EVTCHNOP_RESET: u64 = 10;
    EVTCHNOP_INIT_CONTROL: u64 = 11;
    EVTCHNOP_EXPAND_ARRAY: u64 = 12;
    EVTCHNOP_SET_PRIORITY: u64 = 13;
    /// Ports of the 2-level ABI on 64-bit guests.
    EVTCHN_2L_PORTS: u32 = 4096;
    EVTCHN_FIFO_LINK_BITS: u32 = 17;
    EVTCHN_FIFO_LINK_MASK: u32 = (1 << EVTCHN_FIFO_LINK_BITS) - 1;
    EVTCHN_FIFO_PENDING: u32 = 1 << 31;
    EVTCHN_FIFO_MASKED: u32 = 1 << 30;
    EVTCHN_FIFO_LINKED: u32 = 1 << 29;
    EVTCHN_FIFO_BUSY: u32 = 1 << 28;
    EVTCHN_FIFO_DEFAULT_PRIORITY: u8 = 7;
    EVTCHN_FIFO_LOWEST_PRIORITY: u32 = 15;
    /// Bytes of a FIFO control block: ready word, reserved word, 16 heads.
    EVTCHN_FIFO_CONTROL_SIZE: u32 = 72;
    NR_VIRQS: u32 = 24;

    GNTTABOP_SETUP_TABLE: u64 = 2;
    GNTTABOP_QUERY_SIZE: u64 = 6;
    GNTTABOP_SET_VERSION: u64 = 8;
    GNTTABOP_GET_VERSION: u64 = 10;
    GTF_PERMIT_ACCESS: u16 = 1;
    GTF_TYPE_MASK: u16 = 3;
    GTF_READONLY: u16 = 4;
    GTF_READING: u16 = 8;
    GTF_WRITING: u16 = 16;
    GTF_SUB_PAGE: u16 = 0x100;
    GNTST_OKAY: i16 = 0;
    GNTST_GENERAL_ERROR: i16 = -1;
    GNTST_BAD_DOMAIN: i16 = -2;
    GNTST_BAD_GNTREF: i16 = -3;
    GNTST_BAD_HANDLE: i16 = -4;
    GNTST_PERMISSION_DENIED: i16 = -8;
    GNTST_BAD_PAGE: i16 = -9;
    GNTST_BAD_COPY_ARG: i16 = -10;
    /// Grant references that Xen's toolstack owns.
    RESERVED_GREFS: u32 = 8;
    /// Version 1 entries in one grant frame.
    GREFS_PER_FRAME: u32 = 512;

    HVMOP_SET_PARAM: u64 = 0;
    HVMOP_GET_PARAM: u64 = 1;
    HVMOP_SET_EVTCHN_UPCALL_VECTOR: u64 = 23;
    HVM_PARAM_CALLBACK_IRQ: u32 = 0;
    HVM_PARAM_STORE_PFN: u32 = 1;
    HVM_PARAM_STORE_EVTCHN: u32 = 2;
    HVM_PARAM_CONSOLE_PFN: u32 = 17;
    HVM_PARAM_CONSOLE_EVTCHN: u32 = 18;
    HVM_PARAM_VM_GENERATION_ID_ADDR: u32 = 34;
    HVM_NR_PARAMS: u32 = 39;

    XENMEM_DECREASE_RESERVATION: u64 = 1;
    XENMEM_CURRENT_RESERVATION: u64 = 3;
    XENMEM_MAXIMUM_RESERVATION: u64 = 4;
    XENMEM_POPULATE_PHYSMAP: u64 = 6;
    XENMEM_ADD_TO_PHYSMAP: u64 = 7;
    XENMEM_REMOVE_FROM_PHYSMAP: u64 = 15;
    XENMAPSPACE_SHARED_INFO: u32 = 0;
    XENMAPSPACE_GRANT_TABLE: u32 = 1;

    VCPUOP_IS_UP: u64 = 3;
    VCPUOP_REGISTER_VCPU_INFO: u64 = 10;
    SCHEDOP_YIELD: u64 = 0;
    SCHEDOP_BLOCK: u64 = 1;
    SCHEDOP_SHUTDOWN: u64 = 2;
    SCHEDOP_POLL: u64 = 3;
    SHUTDOWN_SUSPEND: u32 = 2;
    SHUTDOWN_MAX: u32 = 5;

    /// The `vcpu_info` structures that fit in the shared info page.
    LEGACY_MAX_VCPUS: u32 = 32;
    /// Bytes of `vcpu_info` on x86-64.
    VCPU_INFO_SIZE: usize = 64;
    /// Offset of `evtchn_pending_sel` in `vcpu_info`.
    VCPU_INFO_PENDING_SEL: usize = 8;
    /// Offset of `evtchn_pending` in `shared_info`.
    SHARED_INFO_PENDING: usize = 2048;
    /// Offset of `evtchn_mask` in `shared_info`.
    SHARED_INFO_MASK: usize = 2560;
}
