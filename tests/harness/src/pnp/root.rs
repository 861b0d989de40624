//! Devices of the harness's own root bus: dispatched here, without a driver image.

use alloc::vec;
use alloc::vec::Vec;
use wdk_sys::{DEVICE_CAPABILITIES, IO_STACK_LOCATION, IRP};

use super::{Identity, MAJOR_PNP, MAJOR_POWER, Resources, minor};
use crate::field;
use crate::host::context::kernel;
use crate::io::device::{self, BUS_ENUMERATED, Device};
use crate::io::irp;
use crate::mem::guest::Guest;

/// A device that tests put on the root bus, such as the Xen platform device.
#[derive(Clone, Debug, Default)]
pub struct RootDevice {
    /// Its identification.
    pub identity: Identity,
    /// Bytes of device memory, at the start of the hole above the RAM; 0 for none.
    pub memory: u32,
    /// First port and number of ports.
    pub ports: Option<(u16, u32)>,
    /// It has the legacy interrupt line, [`crate::LINE_VECTOR`].
    pub line: bool,
    /// The interrupt controller's input that the line is connected to: the vector of the raw resource. The vector
    /// itself where it is `None`.
    pub input: Option<u32>,
    /// The bus cannot say more about the device's resources: requests to filter them fail, so that its driver can
    /// have no vectors of its own.
    pub line_only: bool,
}

impl RootDevice {
    /// The Xen platform PCI device: 16 MiB of memory, 256 ports, the legacy line.
    #[must_use]
    pub fn xen_platform() -> Self {
        Self {
            identity: Identity {
                device: "PCI\\VEN_5853&DEV_0001".into(),
                instance: "0".into(),
                hardware: vec!["PCI\\VEN_5853&DEV_0001&SUBSYS_00015853&REV_01".into()],
                ..Identity::default()
            },
            memory: 16 << 20,
            ports: Some((0xC000, 256)),
            line: true,
            input: None,
            line_only: false,
        }
    }
}

/// Puts a device on the root bus.
pub(crate) fn add(root: RootDevice) -> usize {
    let kernel = kernel();
    let hole = kernel.space.hole_start();
    let resources = Resources {
        memory: (root.memory != 0).then_some((hole, root.memory)),
        ports: root.ports,
        line: root.line,
        input: root.input,
        line_only: root.line_only,
        granted: Vec::new(),
    };
    let device = Device {
        native: true,
        resources,
        ..Device::default()
    };
    let object = device::make(core::ptr::null_mut(), 0, 0x22, device);
    super::flags(object).store(BUS_ENUMERATED);
    kernel.pnp.add(object, root.identity);
    kernel.handles.add_reference(object, 1);
    object
}

/// A packet has reached the bottom of a root device's stack.
pub(crate) fn dispatch(object: usize, packet: usize) -> i32 {
    let at = packet as *mut IRP;
    let stack = field!(
        at,
        IRP,
        Tail.Overlay
            .__bindgen_anon_2
            .__bindgen_anon_1
            .CurrentStackLocation
    )
    .load();
    let major = field!(stack, IO_STACK_LOCATION, MajorFunction).load();
    let minor = field!(stack, IO_STACK_LOCATION, MinorFunction).load();
    let status = field!(at, IRP, IoStatus.__bindgen_anon_1.Status);
    let answer = match (major, minor) {
        (
            MAJOR_PNP,
            minor::START
            | minor::STOP
            | minor::QUERY_STOP
            | minor::CANCEL_STOP
            | minor::QUERY_REMOVE
            | minor::REMOVE
            | minor::CANCEL_REMOVE
            | minor::SURPRISE_REMOVAL,
        )
        | (MAJOR_POWER, 2 | 3) => 0,
        (MAJOR_PNP, minor::QUERY_CAPABILITIES) => {
            let parameters = field!(stack, IO_STACK_LOCATION, Parameters).cast::<usize>();
            capabilities(parameters.load());
            0
        }
        (MAJOR_PNP, minor::FILTER_REQUIREMENTS) if is_line_only(object) => {
            super::STATUS_UNSUCCESSFUL
        }
        _ => status.load(),
    };
    status.store(answer);
    irp::complete(at, 0);
    answer
}

fn is_line_only(object: usize) -> bool {
    let devices = kernel().io.devices.lock();
    devices
        .get(&object)
        .is_some_and(|device| device.resources.line_only)
}

fn capabilities(at: usize) {
    let states = Guest::<u32>::new(at + core::mem::offset_of!(DEVICE_CAPABILITIES, DeviceState));
    // S0 is D0; every sleeping state and shutdown is D3.
    for (index, state) in [0, 1, 4, 4, 4, 4, 4].into_iter().enumerate() {
        states.index(index).store(state);
    }
}
