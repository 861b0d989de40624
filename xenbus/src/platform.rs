//! Xen under this guest, and its name for each processor.
#![allow(
    unsafe_code,
    reason = "reaches the platform device's ports; each block states its reason"
)]

use hypervisor::ports::{self, UnplugError};
use hypervisor::{Detected, Hypervisor, Native, detect};
use nt::irql::Passive;
use nt::pool::PoolSlice;
use nt::processor::{self, ProcessorNumber};
use nt::status::{Result, Status};
use nt::{log_info, log_warn};
use xen_abi::platform_pci::{PRODUCT_EXPERIMENTAL, UNPLUG_ALL_NICS};

use crate::TAG;

/// A processor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Processor {
    /// The system's name.
    pub(crate) number: ProcessorNumber,
    /// Xen's.
    pub(crate) vcpu: u32,
}

/// Xen, and the processors in use when the bus was started.
#[derive(Debug)]
pub(crate) struct Platform {
    pub(crate) xen: Hypervisor,
    pub(crate) detected: Detected,
    processors: PoolSlice<Processor>,
}

impl Platform {
    /// Looks for Xen; [`Status::NO_SUCH_DEVICE`] when there is none.
    pub(crate) fn find(irql: &Passive<'_>) -> Result<Self> {
        let detected = detect(&Native::cpuid()).ok_or(Status::NO_SUCH_DEVICE)?;
        let count = usize::try_from(processor::active_count()).unwrap_or(1);
        let mut failed = None;
        let processors = PoolSlice::try_from_fn(TAG, count, |index| {
            let index = u32::try_from(index).unwrap_or(0);
            name(&detected, index, irql).unwrap_or_else(|status| {
                failed = Some(status);
                Processor {
                    number: ProcessorNumber {
                        group: 0,
                        number: 0,
                    },
                    vcpu: 0,
                }
            })
        })?;
        if let Some(status) = failed {
            return Err(status);
        }
        log_info!(
            "Xen {}.{}, {count} processors",
            detected.major,
            detected.minor
        );
        Ok(Self {
            xen: Hypervisor::new(&detected),
            detected,
            processors,
        })
    }

    /// The processors, by system-wide index.
    pub(crate) fn processors(&self) -> &[Processor] {
        &self.processors
    }

    /// System-wide index of a processor, if it was in use when the bus was started.
    pub(crate) fn index_of(&self, number: ProcessorNumber) -> Option<usize> {
        self.processors
            .iter()
            .position(|processor| processor.number == number)
    }
}

/// Whether there is Xen, and it offers an interrupt vector per vCPU.
pub(crate) fn offers_vectors() -> bool {
    detect(&Native::cpuid()).is_some_and(|detected| detected.has_upcall_vector())
}

/// Whether there is Xen.
pub(crate) fn is_xen() -> bool {
    detect(&Native::cpuid()).is_some()
}

/// Asks Xen, on the processor, what it calls it. Where Xen does not tell, it counts as Windows does.
fn name(detected: &Detected, index: u32, irql: &Passive<'_>) -> Result<Processor> {
    let number = ProcessorNumber::from_index(index)?;
    let vcpu = processor::run_on(number, irql, || detected.vcpu_id(&Native::cpuid()))?;
    Ok(Processor {
        number,
        vcpu: vcpu.unwrap_or(index),
    })
}

/// Makes the emulated network cards leave, until the next reset of the guest.
pub(crate) fn unplug_network_cards() {
    // SAFETY: this is a driver of the platform device, under Xen: its ports are ours.
    let io = unsafe { Native::ports() };
    match ports::unplug(&io, PRODUCT_EXPERIMENTAL, 1, UNPLUG_ALL_NICS) {
        Ok(()) => log_info!("emulated network cards unplugged"),
        Err(UnplugError::Absent) => log_warn!("nobody to ask for an unplug"),
        Err(UnplugError::Refused) => log_warn!("the host refuses to unplug for this driver"),
    }
}
