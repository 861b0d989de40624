//! How Xen interrupts the guest: a vector per vCPU, or the platform device's line.
//!
//! With `HVMOP_set_evtchn_upcall_vector` each vCPU gets its events on a vector of its own. Without it, all events
//! come to vCPU 0 over a line named in the parameter `HVM_PARAM_CALLBACK_IRQ` (`hvm/params.h`):
//!
//! ```text
//!   63..56 kind | kind 0: GSI in 55..0 | kind 1: PCI domain 47..32, bus 31..16, devfn 15..8, pin 1..0
//! ```

use xen_abi::cpuid::HVM_UPCALL_VECTOR;
use xen_abi::hvm::{
    HVM_PARAM_CALLBACK_IRQ_TYPE_SHIFT, HVM_PARAM_CALLBACK_TYPE_GSI,
    HVM_PARAM_CALLBACK_TYPE_PCI_INTX,
};
use xen_abi::shared_info::LEGACY_MAX_VCPUS;

/// Where events interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upcall {
    /// Each vCPU on its own vector. The line stays set up for the time before all vectors are.
    VcpuVectors,
    /// All on the platform device's line, on one CPU. Queues still have DPCs on their own CPUs.
    Line,
}

/// Chooses. `vectors` is the number of message interrupts the system gave us, `cpus` that of processors in use,
/// `accepted` what Xen said to the first vector (`None`: not tried).
///
/// All or none: with vectors for some CPUs only, moving a queue would sometimes fail.
pub fn choose(leaf_eax: u32, vectors: u32, cpus: u32, accepted: Option<bool>) -> Upcall {
    // The CPUID bit is younger than the hypercall: without it, the hypercall's answer counts.
    let offered = leaf_eax & HVM_UPCALL_VECTOR != 0 || accepted == Some(true);
    if offered && accepted != Some(false) && cpus != 0 && vectors >= cpus {
        Upcall::VcpuVectors
    } else {
        Upcall::Line
    }
}

/// Where the platform device's line is on the PCI bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciLine {
    /// PCI domain (segment).
    pub domain: u16,
    /// Bus.
    pub bus: u8,
    /// Device, 0 to 31.
    pub device: u8,
    /// Function, 0 to 7.
    pub function: u8,
    /// Pin: 0 for INTA to 3 for INTD (configuration space has 1 to 4).
    pub pin: u8,
}

/// A part of a [`PciLine`] is out of its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLine;

impl PciLine {
    /// The value for `HVM_PARAM_CALLBACK_IRQ`.
    pub fn callback_param(&self) -> Result<u64, BadLine> {
        if self.device > 31 || self.function > 7 || self.pin > 3 {
            return Err(BadLine);
        }
        let devfn = u64::from(self.device) << 3 | u64::from(self.function);
        Ok(
            HVM_PARAM_CALLBACK_TYPE_PCI_INTX << HVM_PARAM_CALLBACK_IRQ_TYPE_SHIFT
                | u64::from(self.domain) << 32
                | u64::from(self.bus) << 16
                | devfn << 8
                | u64::from(self.pin),
        )
    }
}

/// The value for `HVM_PARAM_CALLBACK_IRQ` that names a global interrupt. 0 is none: it would turn delivery off.
pub fn gsi_callback_param(gsi: u32) -> Result<u64, BadLine> {
    if gsi == 0 {
        return Err(BadLine);
    }
    Ok(HVM_PARAM_CALLBACK_TYPE_GSI << HVM_PARAM_CALLBACK_IRQ_TYPE_SHIFT | u64::from(gsi))
}

/// Which event channel ABI to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventAbi {
    /// FIFO: 131072 ports, priorities.
    Fifo,
    /// 2-level: 4096 ports.
    TwoLevel {
        /// vCPUs from this one on need `VCPUOP_register_vcpu_info`: the shared info page has no room for them.
        register_from: u32,
    },
}

/// Chooses the ABI from Xen's answer to `EVTCHNOP_init_control` for the first vCPU (0 or a negative error).
pub fn choose_event_abi(init_control: i64) -> EventAbi {
    if init_control == 0 {
        EventAbi::Fifo
    } else {
        EventAbi::TwoLevel {
            register_from: u32::try_from(LEGACY_MAX_VCPUS).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_need_xen_and_one_message_per_cpu() {
        assert_eq!(choose(64, 4, 4, None), Upcall::VcpuVectors);
        assert_eq!(choose(0, 4, 4, Some(true)), Upcall::VcpuVectors);
        assert_eq!(choose(0, 4, 4, None), Upcall::Line);
        assert_eq!(choose(64, 3, 4, Some(true)), Upcall::Line);
        assert_eq!(choose(64, 4, 4, Some(false)), Upcall::Line);
        assert_eq!(choose(64, 0, 0, Some(true)), Upcall::Line);
    }

    #[test]
    fn the_line_of_device_2_pin_a_is_encoded_as_the_header_says() {
        let line = PciLine {
            domain: 0,
            bus: 0,
            device: 2,
            function: 0,
            pin: 0,
        };
        assert_eq!(line.callback_param(), Ok(0x0100_0000_0000_1000));
        let line = PciLine {
            domain: 0xABCD,
            bus: 0xEF,
            device: 31,
            function: 7,
            pin: 3,
        };
        assert_eq!(line.callback_param(), Ok(0x0100_ABCD_00EF_FF03));
        assert_eq!(PciLine { pin: 4, ..line }.callback_param(), Err(BadLine));
        assert_eq!(
            PciLine { device: 32, ..line }.callback_param(),
            Err(BadLine)
        );
        assert_eq!(
            PciLine {
                function: 8,
                ..line
            }
            .callback_param(),
            Err(BadLine)
        );
        assert_eq!(
            (gsi_callback_param(28), gsi_callback_param(0)),
            (Ok(28), Err(BadLine))
        );
    }

    #[test]
    fn fifo_is_used_where_xen_has_it() {
        assert_eq!(choose_event_abi(0), EventAbi::Fifo);
        assert_eq!(
            choose_event_abi(-38),
            EventAbi::TwoLevel { register_from: 32 }
        );
    }
}
