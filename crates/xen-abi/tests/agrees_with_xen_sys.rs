//! What `xen-sys` has too (bindgen of Xen's headers, on a host with 64-bit `long`) is the same there.
#![cfg(all(not(windows), target_arch = "x86_64"))]

use std::mem::{align_of, offset_of, size_of};

use xen_abi::{domid, event_channel as evtchn, hypercall, pvh, sched, shared_info as shared};

macro_rules! same_values {
    ($($ours:expr => $theirs:ident),* $(,)?) => {
        $(assert_eq!(u64::try_from($ours).ok(), Some(u64::from(xen_sys::$theirs)), stringify!($theirs));)*
    };
}

macro_rules! same_layout {
    ($($ours:ty => $theirs:ident { $($our_field:ident = $their_field:ident),* });* $(;)?) => {
        $(
            assert_eq!(size_of::<$ours>(), size_of::<xen_sys::$theirs>(), stringify!($theirs));
            assert_eq!(align_of::<$ours>(), align_of::<xen_sys::$theirs>(), stringify!($theirs));
            $(assert_eq!(
                offset_of!($ours, $our_field),
                offset_of!(xen_sys::$theirs, $their_field),
                concat!(stringify!($theirs), ".", stringify!($their_field))
            );)*
        )*
    };
}

#[test]
fn numbers_agree() {
    same_values! {
        hypercall::MEMORY_OP => __HYPERVISOR_memory_op,
        hypercall::XEN_VERSION => __HYPERVISOR_xen_version,
        hypercall::CONSOLE_IO => __HYPERVISOR_console_io,
        hypercall::GRANT_TABLE_OP => __HYPERVISOR_grant_table_op,
        hypercall::VM_ASSIST => __HYPERVISOR_vm_assist,
        hypercall::VCPU_OP => __HYPERVISOR_vcpu_op,
        hypercall::SCHED_OP => __HYPERVISOR_sched_op,
        hypercall::EVENT_CHANNEL_OP => __HYPERVISOR_event_channel_op,
        hypercall::PHYSDEV_OP => __HYPERVISOR_physdev_op,
        hypercall::HVM_OP => __HYPERVISOR_hvm_op,
        evtchn::EVTCHNOP_BIND_INTERDOMAIN => EVTCHNOP_bind_interdomain,
        evtchn::EVTCHNOP_BIND_VIRQ => EVTCHNOP_bind_virq,
        evtchn::EVTCHNOP_CLOSE => EVTCHNOP_close,
        evtchn::EVTCHNOP_SEND => EVTCHNOP_send,
        evtchn::EVTCHNOP_STATUS => EVTCHNOP_status,
        evtchn::EVTCHNOP_ALLOC_UNBOUND => EVTCHNOP_alloc_unbound,
        evtchn::EVTCHNOP_BIND_IPI => EVTCHNOP_bind_ipi,
        evtchn::EVTCHNOP_BIND_VCPU => EVTCHNOP_bind_vcpu,
        evtchn::EVTCHNOP_UNMASK => EVTCHNOP_unmask,
        evtchn::EVTCHNOP_RESET => EVTCHNOP_reset,
        evtchn::EVTCHNOP_INIT_CONTROL => EVTCHNOP_init_control,
        evtchn::EVTCHNOP_EXPAND_ARRAY => EVTCHNOP_expand_array,
        evtchn::EVTCHNOP_SET_PRIORITY => EVTCHNOP_set_priority,
        evtchn::ChannelStatus::INTERDOMAIN.0 => EVTCHNSTAT_interdomain,
        evtchn::EVTCHN_FIFO_PENDING => EVTCHN_FIFO_PENDING,
        evtchn::EVTCHN_FIFO_MASKED => EVTCHN_FIFO_MASKED,
        evtchn::EVTCHN_FIFO_LINKED => EVTCHN_FIFO_LINKED,
        evtchn::EVTCHN_FIFO_BUSY => EVTCHN_FIFO_BUSY,
        evtchn::EVTCHN_FIFO_LINK_MASK => EVTCHN_FIFO_LINK_MASK,
        evtchn::EVTCHN_FIFO_NR_CHANNELS => EVTCHN_FIFO_NR_CHANNELS,
        evtchn::EVTCHN_FIFO_MAX_QUEUES => EVTCHN_FIFO_MAX_QUEUES,
        sched::SCHEDOP_SHUTDOWN => SCHEDOP_shutdown,
        sched::SCHEDOP_POLL => SCHEDOP_poll,
        sched::ShutdownReason::SUSPEND.0 => SHUTDOWN_suspend,
        shared::LEGACY_MAX_VCPUS => XEN_LEGACY_MAX_VCPUS,
        pvh::XEN_ELFNOTE_PHYS32_ENTRY => XEN_ELFNOTE_PHYS32_ENTRY,
    }
    assert_eq!(size_of::<domid::DomId>(), size_of::<xen_sys::domid_t>());
}

#[test]
fn layouts_agree() {
    same_layout! {
        evtchn::AllocUnbound => evtchn_alloc_unbound { dom = dom, remote_dom = remote_dom, port = port };
        evtchn::BindInterdomain => evtchn_bind_interdomain { remote_dom = remote_dom, remote_port = remote_port, local_port = local_port };
        evtchn::BindVirq => evtchn_bind_virq { virq = virq, vcpu = vcpu, port = port };
        evtchn::BindIpi => evtchn_bind_ipi { vcpu = vcpu, port = port };
        evtchn::Close => evtchn_close { port = port };
        evtchn::SendEvent => evtchn_send { port = port };
        evtchn::Status => evtchn_status { dom = dom, port = port, status = status, vcpu = vcpu, detail = u };
        evtchn::BindVcpu => evtchn_bind_vcpu { port = port, vcpu = vcpu };
        evtchn::Unmask => evtchn_unmask { port = port };
        evtchn::Reset => evtchn_reset { dom = dom };
        evtchn::InitControl => evtchn_init_control { control_gfn = control_gfn, offset = offset, vcpu = vcpu, link_bits = link_bits };
        evtchn::ExpandArray => evtchn_expand_array { array_gfn = array_gfn };
        evtchn::SetPriority => evtchn_set_priority { port = port, priority = priority };
        evtchn::FifoControlBlock => evtchn_fifo_control_block { ready = ready, head = head };
        sched::Shutdown => sched_shutdown { reason = reason };
        shared::VcpuTimeInfo => vcpu_time_info { version = version, tsc_timestamp = tsc_timestamp, system_time = system_time, tsc_to_system_mul = tsc_to_system_mul, tsc_shift = tsc_shift };
        shared::VcpuInfo => vcpu_info { evtchn_upcall_pending = evtchn_upcall_pending, evtchn_pending_sel = evtchn_pending_sel, arch = arch, time = time };
        shared::SharedInfo => shared_info { vcpu_info = vcpu_info, evtchn_pending = evtchn_pending, evtchn_mask = evtchn_mask, wc_version = wc_version, wc_sec = wc_sec, arch = arch };
    }
}
