//! Interrupts: a vector per processor, or the line.
#![allow(
    unsafe_code,
    reason = "tells Xen where to interrupt; each block states its reason"
)]

use nt::device::DeviceRef;
use nt::interrupt::{Claim, Interrupt, Mode, Source, Vector};
use nt::irql::{Isr, Passive};
use nt::pool::{PoolArc, PoolSlice};
use nt::processor::ProcessorNumber;
use nt::status::{Result, Status};
use nt::{log_info, log_warn};
use resource_lists::assigned;
use xen_abi::hvm::HVM_PARAM_CALLBACK_IRQ;
use xenbus_core::platform::upcall::{Upcall, choose, gsi_callback_param};

use crate::TAG;
use crate::events::Events;
use crate::resources::Resources;

/// What a service routine knows.
#[derive(Debug)]
pub(crate) struct Service {
    events: PoolArc<Events>,
    processor: usize,
}

/// The connected interrupts. Must be disconnected.
#[derive(Debug)]
pub(crate) struct Interrupts {
    events: PoolArc<Events>,
    upcall: Upcall,
    /// By processor; the line is the first one's.
    connected: PoolSlice<Option<Interrupt<Service>>>,
    /// Vector of the first processor's messages, and so on; or the line's number.
    sources: PoolSlice<u32>,
}

/// Runs at the interrupt's IRQL.
fn serve(service: &Service, _message: u32, irql: &Isr<'_>) -> Claim {
    if service.events.deliver(service.processor, irql) {
        Claim::Ours
    } else {
        Claim::NotOurs
    }
}

impl Interrupts {
    /// Connects a vector on each processor, if Xen and the system give them, else the line.
    pub(crate) fn connect(
        events: &PoolArc<Events>,
        pdo: DeviceRef,
        resources: &Resources,
        irql: &Passive<'_>,
    ) -> Result<Self> {
        let platform = events.platform();
        let count = platform.processors().len();
        let mut interrupts = Self {
            events: events.clone(),
            upcall: Upcall::Line,
            connected: PoolSlice::try_from_fn(TAG, count, |_| None)?,
            sources: PoolSlice::try_from_fn(TAG, count, |_| 0)?,
        };
        let vectors = resources
            .messages()
            .filter(|message| processor_of(message).is_some())
            .count();
        let served = platform
            .processors()
            .iter()
            .filter(|processor| Events::can_serve(processor.vcpu))
            .count();
        let features = platform.detected.hvm_features;
        let wanted = choose(features, clamp(vectors), clamp(served), None) == Upcall::VcpuVectors;
        if wanted && interrupts.connect_messages(pdo, resources, irql).is_ok() {
            interrupts.upcall = Upcall::VcpuVectors;
            if interrupts.tell_xen().is_ok() {
                log_info!("interrupts: a vector on each of {served} processors");
                return Ok(interrupts);
            }
            log_warn!("Xen does not take the vectors");
        }
        interrupts.release(irql);
        interrupts.upcall = Upcall::Line;
        let connected = interrupts.connect_line(pdo, resources, irql);
        let told = connected.and_then(|()| interrupts.tell_xen());
        if let Err(status) = told {
            interrupts.release(irql);
            return Err(status);
        }
        log_info!("interrupts: the line, on the first processor");
        Ok(interrupts)
    }

    fn connect_messages(
        &mut self,
        pdo: DeviceRef,
        resources: &Resources,
        irql: &Passive<'_>,
    ) -> Result<()> {
        for message in resources.messages() {
            let index = processor_of(&message).and_then(|at| self.events.platform().index_of(at));
            // A processor that came later, or one that Xen has no flag for.
            let Some(index) = index.filter(|index| self.can_serve(*index)) else {
                continue;
            };
            self.connect_one(pdo, index, message.vector, &message, irql)?;
        }
        let missing = (0..self.connected.len())
            .filter(|index| self.can_serve(*index))
            .any(|index| self.connected.get(index).is_none_or(Option::is_none));
        if missing {
            return Err(Status::INSUFFICIENT_RESOURCES);
        }
        Ok(())
    }

    fn can_serve(&self, index: usize) -> bool {
        let processors = self.events.platform().processors();
        processors
            .get(index)
            .is_some_and(|processor| Events::can_serve(processor.vcpu))
    }

    fn connect_line(
        &mut self,
        pdo: DeviceRef,
        resources: &Resources,
        irql: &Passive<'_>,
    ) -> Result<()> {
        let (raw, translated) = resources.line().ok_or(Status::DEVICE_CONFIGURATION_ERROR)?;
        self.connect_one(pdo, 0, raw.vector, &translated, irql)
    }

    fn connect_one(
        &mut self,
        pdo: DeviceRef,
        index: usize,
        source: u32,
        interrupt: &assigned::Interrupt,
        irql: &Passive<'_>,
    ) -> Result<()> {
        let vector = Vector {
            vector: interrupt.vector,
            irql: u8::try_from(interrupt.level).map_err(|_| Status::INVALID_PARAMETER)?,
            mode: if interrupt.latched {
                Mode::Latched
            } else {
                Mode::LevelSensitive
            },
            shared: interrupt.shared,
            group: interrupt.group,
            affinity: interrupt.affinity,
        };
        let place = self.connected.get_mut(index);
        let place = place.filter(|place| place.is_none());
        let place = place.ok_or(Status::INVALID_PARAMETER)?;
        let service = Service {
            events: self.events.clone(),
            processor: index,
        };
        let source_place = self.sources.get_mut(index);
        *place = Some(Interrupt::connect(
            TAG,
            pdo,
            Source::Vector(vector),
            service,
            serve,
            irql,
        )?);
        if let Some(place) = source_place {
            *place = source;
        }
        Ok(())
    }

    /// Has Xen interrupt at what is connected; again after each resume.
    pub(crate) fn tell_xen(&self) -> Result<()> {
        tell_xen(&self.events, self.upcall, &self.sources)
    }

    /// What [`tell_xen`] needs after a resume, when this value is somebody else's.
    pub(crate) fn plan(&self) -> Result<Delivery> {
        Ok(Delivery {
            upcall: self.upcall,
            sources: PoolSlice::try_from_fn(TAG, self.sources.len(), |index| {
                self.sources.get(index).copied().unwrap_or(0)
            })?,
        })
    }

    /// Ends all interrupts.
    pub(crate) fn disconnect(mut self, irql: &Passive<'_>) {
        self.release(irql);
    }

    /// Has Xen stop, then disconnects.
    fn release(&mut self, irql: &Passive<'_>) {
        quiet(&self.events, self.upcall);
        for place in self.connected.iter_mut() {
            if let Some(interrupt) = place.take() {
                interrupt.disconnect(irql);
            }
        }
    }
}

/// How Xen interrupts.
#[derive(Debug)]
pub(crate) struct Delivery {
    upcall: Upcall,
    sources: PoolSlice<u32>,
}

impl Delivery {
    /// Has Xen interrupt as before the resume.
    pub(crate) fn restore(&self, events: &Events) -> Result<()> {
        tell_xen(events, self.upcall, &self.sources)
    }

    /// Has Xen stop for a while.
    pub(crate) fn pause(&self, events: &Events) {
        quiet(events, self.upcall);
    }
}

fn tell_xen(events: &Events, upcall: Upcall, sources: &[u32]) -> Result<()> {
    let xen = events.platform().xen;
    match upcall {
        Upcall::VcpuVectors => {
            let processors = events.platform().processors();
            for (index, (processor, vector)) in processors.iter().zip(sources).enumerate() {
                let Some(vector) = u8::try_from(*vector).ok().filter(|vector| *vector != 0) else {
                    continue;
                };
                // SAFETY: a service routine is connected to the vector on this processor.
                unsafe { xen.set_upcall_vector(processor.vcpu, vector) }
                    .map_err(|_| Status::NOT_SUPPORTED)?;
                events.set_served(index, true);
            }
        }
        Upcall::Line => {
            let line = sources.first().copied().unwrap_or(0);
            let value = gsi_callback_param(line).map_err(|_| Status::DEVICE_CONFIGURATION_ERROR)?;
            // SAFETY: a service routine is connected to the line.
            unsafe { xen.set_hvm_param(HVM_PARAM_CALLBACK_IRQ, value) }
                .map_err(|_| Status::DEVICE_CONFIGURATION_ERROR)?;
            events.set_served(0, true);
        }
    }
    Ok(())
}

/// Has Xen interrupt no more. Failures leave interrupts nobody serves, which the system ignores.
fn quiet(events: &Events, upcall: Upcall) {
    let xen = events.platform().xen;
    for (index, processor) in events.platform().processors().iter().enumerate() {
        if !events.is_served(index) {
            continue;
        }
        events.set_served(index, false);
        let off = match upcall {
            // SAFETY: turning it off needs no handler.
            Upcall::VcpuVectors => unsafe { xen.set_upcall_vector(processor.vcpu, 0) },
            // SAFETY: turning it off needs no handler.
            Upcall::Line => unsafe { xen.set_hvm_param(HVM_PARAM_CALLBACK_IRQ, 0) },
        };
        if let Err(error) = off {
            log_warn!("vCPU {} is still interrupted: {error:?}", processor.vcpu);
        }
    }
}

/// The one processor a message goes to.
fn processor_of(message: &assigned::Interrupt) -> Option<ProcessorNumber> {
    if !message.affinity.is_power_of_two() {
        return None;
    }
    Some(ProcessorNumber {
        group: message.group,
        number: u8::try_from(message.affinity.trailing_zeros()).ok()?,
    })
}

fn clamp(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
