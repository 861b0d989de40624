//! The physical device of one network interface: the bottom of its driver's stack.

use nt::device::DeviceRef;
use nt::irp::Irp;
use nt::irql::{AtMostDispatch, Passive};
use nt::log_info;
use nt::pool::{PoolArc, paged};
use nt::rundown::Rundown;
use nt::status::{Result, Status};
use wdk_sys::{DEVICE_CAPABILITIES, GUID, PNP_BUS_INFORMATION};
use xenbus_core::enumerate::{
    COMPATIBLE_IDS, DEVICE_ID, HARDWARE_IDS, ID_MAX, IdError, UNIQUE_INSTANCE_ID, write_id,
    write_ids,
};
use xenbus_core::pnp::Request;
use xenbus_core::pnp::pdo::Answer;

use crate::TAG;
use crate::child::Child;
use crate::children::Children;
use crate::device::After;
use crate::minor;
use crate::parameters::{self, Power};
use crate::power::set_power_state;
use crate::provider;
use crate::relations;

/// Names the bus's kind in answers to `QUERY_BUS_INFORMATION`:
/// {5D0C7A6E-1B43-4E0C-9F0C-0B6C5B2E7A11}.
const BUS_TYPE: GUID = GUID {
    Data1: 0x5d0c_7a6e,
    Data2: 0x1b43,
    Data3: 0x4e0c,
    Data4: [0x9f, 0x0c, 0x0b, 0x6c, 0x5b, 0x2e, 0x7a, 0x11],
};

/// What Device Manager shows before a driver is there.
const DESCRIPTION: &str = "Xen PV network interface";
/// Where the device is, for the same.
const LOCATION: &str = "Xen bus";

/// The device of one interface.
#[derive(Debug)]
pub(crate) struct Pdo {
    child: PoolArc<Child>,
    children: PoolArc<Children>,
    /// Requests under way; ends with the device.
    requests: Rundown,
}

impl Pdo {
    pub(crate) fn new(child: PoolArc<Child>, children: PoolArc<Children>) -> Result<Self> {
        Ok(Self {
            child,
            children,
            requests: Rundown::try_new(TAG)?,
        })
    }

    /// `IRP_MJ_PNP`.
    pub(crate) fn pnp(&self, mut irp: Irp, irql: &mut Passive<'_>) -> (Status, After) {
        let Some(request) = self.requests.guard(irql) else {
            return (irp.complete(Status::DELETE_PENDING, irql), After::Keep);
        };
        if let Some(change) = minor::state_change(irp.minor()) {
            let (status, after) = self.change_state(change, irql);
            drop(request);
            if after == After::Delete {
                let _ = self.requests.close_and_wait(None, irql);
            }
            return (irp.complete(status, irql), after);
        }
        let answer = match irp.minor() {
            minor::QUERY_DEVICE_RELATIONS => self.relations(&mut irp, irql),
            minor::QUERY_ID => self.id(&mut irp, irql),
            minor::QUERY_CAPABILITIES => Some(parameters::capabilities(&mut irp).map_or(
                Status::UNSUCCESSFUL,
                |capabilities| {
                    self.fill(capabilities);
                    Status::SUCCESS
                },
            )),
            minor::QUERY_DEVICE_TEXT => self.text(&mut irp, irql),
            minor::QUERY_BUS_INFORMATION => Some(bus_information(&mut irp, irql)),
            minor::QUERY_INTERFACE => provider::query(&self.child, &irp, irql),
            minor::DEVICE_USAGE_NOTIFICATION => Some(Status::SUCCESS),
            minor::EJECT => Some(self.eject(irql)),
            _ => None,
        };
        let status = match answer {
            Some(status) => irp.complete(status, irql),
            // Not for us: the status stays as it came.
            None => irp.complete_unchanged(irql),
        };
        (status, After::Keep)
    }

    fn change_state(&self, request: Request, irql: &mut Passive<'_>) -> (Status, After) {
        let answer = self
            .child
            .position
            .with(irql, |position, _| position.handle(request));
        match answer {
            Answer::Fail => (Status::DEVICE_NOT_READY, After::Keep),
            Answer::Succeed => (self.succeed(request, irql), After::Keep),
            Answer::Release => {
                // After a surprise removal the driver is still at it until its own REMOVE.
                if request != Request::SurpriseRemoval {
                    self.child.stopped(irql);
                }
                self.leaves(request, irql);
                (Status::SUCCESS, After::Keep)
            }
            Answer::ReleaseAndDelete => {
                self.child.stopped(irql);
                self.leaves(request, irql);
                self.children.forget(&self.child, irql);
                (Status::SUCCESS, After::Delete)
            }
        }
    }

    fn succeed(&self, request: Request, irql: &mut Passive<'_>) -> Status {
        match request {
            Request::Start => {
                let Some(bus) = self.children.bus(irql) else {
                    return Status::DEVICE_NOT_READY;
                };
                self.child.started(bus, irql);
                if let Some(device) = self.child.device() {
                    set_power_state(device, xenbus_core::pnp::power::DeviceState::D0);
                }
            }
            // What a surprise removal left for now.
            Request::Remove => {
                self.child.stopped(irql);
                self.leaves(request, irql);
            }
            _ => {}
        }
        Status::SUCCESS
    }

    /// Its driver is taken off the device, which a stop for new resources does not do.
    fn leaves(&self, request: Request, irql: &mut Passive<'_>) {
        if matches!(request, Request::Remove | Request::SurpriseRemoval) {
            self.child.cards.removed(self.child.vif, irql);
        }
    }

    fn relations(&self, irp: &mut Irp, irql: &Passive<'_>) -> Option<Status> {
        if parameters::relation(irp) != wdk_sys::_DEVICE_RELATION_TYPE::TargetDeviceRelation {
            return None;
        }
        let device: DeviceRef = self.child.device()?;
        device.reference(irql);
        let answered = relations::answer(irp, &[device], irql);
        if answered.is_err() {
            crate::device::dereference(device, irql);
        }
        Some(Status::of(answered))
    }

    fn id(&self, irp: &mut Irp, irql: &Passive<'_>) -> Option<Status> {
        use wdk_sys::_BUS_QUERY_ID_TYPE as Id;
        let mut room = [0_u16; ID_MAX];
        let number = self.child.vif.instance_id();
        let written = match parameters::id(irp) {
            Id::BusQueryDeviceID => write_id(DEVICE_ID, &mut room),
            Id::BusQueryHardwareIDs => write_ids(&HARDWARE_IDS, &mut room),
            Id::BusQueryCompatibleIDs => write_ids(&COMPATIBLE_IDS, &mut room),
            Id::BusQueryInstanceID => write_id(number.as_str(), &mut room),
            _ => return None,
        };
        Some(give_text(irp, &room, written, irql))
    }

    fn text(&self, irp: &mut Irp, irql: &Passive<'_>) -> Option<Status> {
        use wdk_sys::_DEVICE_TEXT_TYPE as Text;
        let mut room = nt::unicode::UnicodeBuffer::<64>::new();
        let number = self.child.vif.0;
        let fits = match parameters::text(irp) {
            Text::DeviceTextDescription => core::fmt::Write::write_str(&mut room, DESCRIPTION),
            Text::DeviceTextLocationInformation => {
                core::fmt::Write::write_fmt(&mut room, format_args!("{LOCATION}, vif {number}"))
            }
            _ => return None,
        };
        room.push_nul();
        if fits.is_err() {
            return Some(Status::INSUFFICIENT_RESOURCES);
        }
        let units = room.as_str().units();
        Some(give_text(irp, units, Ok(units.len()), irql))
    }

    fn fill(&self, capabilities: &mut DEVICE_CAPABILITIES) {
        use wdk_sys::_DEVICE_POWER_STATE as D;
        capabilities.set_DeviceD1(0);
        capabilities.set_DeviceD2(0);
        capabilities.set_LockSupported(0);
        capabilities.set_EjectSupported(1);
        capabilities.set_Removable(1);
        capabilities.set_DockDevice(0);
        capabilities.set_UniqueID(u32::from(UNIQUE_INSTANCE_ID));
        capabilities.set_SilentInstall(1);
        capabilities.set_RawDeviceOK(0);
        capabilities.set_SurpriseRemovalOK(1);
        capabilities.Address = u32::from(self.child.vif.0);
        capabilities.UINumber = u32::from(self.child.vif.0);
        // Unspecified, then S0 to S5.
        for (state, device) in capabilities.DeviceState.iter_mut().enumerate() {
            *device = match state {
                0 => D::PowerDeviceUnspecified,
                1 => D::PowerDeviceD0,
                _ => D::PowerDeviceD3,
            };
        }
        capabilities.SystemWake = wdk_sys::_SYSTEM_POWER_STATE::PowerSystemUnspecified;
        capabilities.DeviceWake = D::PowerDeviceUnspecified;
        capabilities.D1Latency = 0;
        capabilities.D2Latency = 0;
        capabilities.D3Latency = 0;
    }

    /// The device was stopped in order to be ejected: it is gone until its interface comes again.
    fn eject(&self, irql: &mut Passive<'_>) -> Status {
        log_info!("interface {} is ejected", self.child.vif.0);
        self.child
            .position
            .with(irql, |position, _| position.vanished());
        Status::SUCCESS
    }

    /// `IRP_MJ_POWER`.
    pub(crate) fn power(&self, irp: Irp, irql: &mut AtMostDispatch<'_>) -> Status {
        let Some(_request) = self.requests.guard(irql) else {
            return irp.complete(Status::DELETE_PENDING, irql);
        };
        match irp.minor() {
            minor::SET_POWER => {
                let device = self.child.device();
                if let (Some(Power::Device(state)), Some(device)) =
                    (parameters::power(&irp), device)
                {
                    set_power_state(device, state);
                }
                irp.complete(Status::SUCCESS, irql)
            }
            minor::QUERY_POWER => irp.complete(Status::SUCCESS, irql),
            minor::WAIT_WAKE => irp.complete(Status::NOT_SUPPORTED, irql),
            _ => irp.complete_unchanged(irql),
        }
    }
}

/// Answers with text in paged memory.
fn give_text(
    irp: &mut Irp,
    room: &[u16],
    written: core::result::Result<usize, IdError>,
    irql: &Passive<'_>,
) -> Status {
    let Some(units) = written.ok().and_then(|len| room.get(..len)) else {
        return Status::INSUFFICIENT_RESOURCES;
    };
    match paged::copy_of(units, TAG, irql) {
        Ok(copy) => {
            irp.set_information(copy.as_ptr().expose_provenance());
            Status::SUCCESS
        }
        Err(error) => error.into(),
    }
}

fn bus_information(irp: &mut Irp, irql: &Passive<'_>) -> Status {
    let information = PNP_BUS_INFORMATION {
        BusTypeGuid: BUS_TYPE,
        LegacyBusType: wdk_sys::_INTERFACE_TYPE::PNPBus,
        BusNumber: 0,
    };
    match paged::copy_of(&[information], TAG, irql) {
        Ok(copy) => {
            irp.set_information(copy.as_ptr().expose_provenance());
            Status::SUCCESS
        }
        Err(error) => error.into(),
    }
}
