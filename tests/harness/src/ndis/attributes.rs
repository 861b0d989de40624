//! `NdisMSetMiniportAttributes` and `NdisMGetDeviceProperty`.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use ndis_sys::{
    self as sys, NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES as GeneralAttributes,
    NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES as OffloadAttributes,
    NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES as RegistrationAttributes,
    NDIS_MINIPORT_ADD_DEVICE_REGISTRATION_ATTRIBUTES as AddDeviceAttributes, NDIS_PM_CAPABILITIES,
    NDIS_RECEIVE_SCALE_CAPABILITIES, NDIS_STATUS,
};

use super::adapter::{self, Adapter};
use super::attribute_rules::{General, Power, Rss};
use super::contract::{ATTRIBUTE_ORDER, ATTRIBUTE_VALUE, HEADER};
use super::header;
use super::state::State;
use crate::export::{Module, exports, told_to_fail};
use crate::field;
use crate::mem::guest::{Guest, read_bytes};
use crate::rules;
use core::sync::atomic::Ordering;

exports! { Module::Ndis;
    NdisMSetMiniportAttributes = set, 0..=0, fallible;
    NdisMGetDeviceProperty = device_property, 0..=0;
    NdisMRegisterScatterGatherDma = register_dma, 0..=0, fallible;
    NdisMDeregisterScatterGatherDma = deregister_dma, 0..=0;
    NdisMAllocateNetBufferSGList = allocate_list, 2..=2, fallible;
    NdisMFreeNetBufferSGList = free_list, 2..=2;
}

/// What an adapter has told of itself.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    /// The driver's context.
    pub(crate) context: usize,
    /// `NDIS_MINIPORT_ATTRIBUTES_*`.
    pub flags: u32,
    pub(crate) registered: bool,
    /// General attributes, once they were accepted.
    pub general: Option<General>,
    /// The largest MTU told since the start, in bytes: frames as long may be under way when it falls.
    pub longest_mtu: u32,
    /// The two `NDIS_OFFLOAD` structures as given: in force, and what the hardware can.
    pub offload: Option<[Vec<u8>; 2]>,
}

/// Flags that a miniport of NDIS 6.30 and later may set.
const KNOWN_FLAGS: u32 = 0x7FF & !0x8;

extern "win64" fn set(handle: usize, at: usize) -> NDIS_STATUS {
    let fail = told_to_fail();
    let adapter = adapter::of(handle, "NdisMSetMiniportAttributes");
    let kind = header::read(at).kind;
    if kind == header::ADD_DEVICE.kind {
        return set_device_context(&adapter, at);
    }
    if adapter.state() != State::Initializing {
        rules::violate(
            &ATTRIBUTE_ORDER,
            format!("attributes set in state {:?}", adapter.state()),
        );
        return sys::NDIS_STATUS_INVALID_STATE;
    }
    let registered = adapter.attributes.lock().registered;
    if registered == (kind == header::REGISTRATION.kind) {
        let what = if registered {
            "set twice"
        } else {
            "not set first"
        };
        rules::violate(
            &ATTRIBUTE_ORDER,
            format!("registration attributes {what} (type {kind:#x})"),
        );
        return sys::NDIS_STATUS_FAILURE;
    }
    if fail {
        return sys::NDIS_STATUS_RESOURCES;
    }
    let minor = adapter.driver.minor;
    let structure = match kind {
        _ if kind == header::REGISTRATION.kind => &header::REGISTRATION,
        _ if kind == header::GENERAL.kind => &header::GENERAL,
        _ if kind == header::OFFLOAD_ATTRIBUTES.kind => &header::OFFLOAD_ATTRIBUTES,
        _ if kind == header::HARDWARE_ASSIST.kind => &header::HARDWARE_ASSIST,
        _ => {
            rules::violate(&HEADER, format!("attributes of type {kind:#x}"));
            return sys::NDIS_STATUS_INVALID_PARAMETER;
        }
    };
    if !structure.accept(at, minor) {
        return sys::NDIS_STATUS_BAD_VERSION;
    }
    match kind {
        _ if kind == header::REGISTRATION.kind => set_registration(&adapter, at),
        _ if kind == header::GENERAL.kind => set_general(&adapter, at),
        _ if kind == header::OFFLOAD_ATTRIBUTES.kind => set_offload(&adapter, at),
        _ => sys::NDIS_STATUS_SUCCESS,
    }
}

fn set_device_context(adapter: &Adapter, at: usize) -> NDIS_STATUS {
    if adapter.state() != State::Halted || adapter.driver.add_device.load(Ordering::Acquire) == 0 {
        rules::violate(
            &ATTRIBUTE_ORDER,
            "a device context set outside MiniportAddDevice",
        );
        return sys::NDIS_STATUS_INVALID_STATE;
    }
    if !header::ADD_DEVICE.accept(at, adapter.driver.minor) {
        return sys::NDIS_STATUS_BAD_VERSION;
    }
    let context = field!(
        at as *mut AddDeviceAttributes,
        AddDeviceAttributes,
        MiniportAddDeviceContext
    );
    adapter
        .device_context
        .store(context.cast::<usize>().load(), Ordering::Release);
    sys::NDIS_STATUS_SUCCESS
}

fn set_registration(adapter: &Adapter, at: usize) -> NDIS_STATUS {
    let at = at as *mut RegistrationAttributes;
    let context = field!(at, RegistrationAttributes, MiniportAdapterContext)
        .cast::<usize>()
        .load();
    let flags = field!(at, RegistrationAttributes, AttributeFlags).load();
    if context == 0 {
        rules::violate(&ATTRIBUTE_VALUE, "MiniportAdapterContext is null");
        return sys::NDIS_STATUS_INVALID_PARAMETER;
    }
    if flags & !KNOWN_FLAGS != 0 {
        rules::violate(
            &ATTRIBUTE_VALUE,
            format!("AttributeFlags {flags:#x} has bits that mean nothing"),
        );
    }
    if flags & sys::NDIS_MINIPORT_ATTRIBUTES_NDIS_WDM == 0 {
        rules::violate(
            &ATTRIBUTE_VALUE,
            format!("AttributeFlags {flags:#x} lacks NDIS_WDM"),
        );
    }
    let mut attributes = adapter.attributes.lock();
    attributes.context = context;
    attributes.flags = flags;
    attributes.registered = true;
    sys::NDIS_STATUS_SUCCESS
}

fn set_general(adapter: &Adapter, at: usize) -> NDIS_STATUS {
    let general = read_general(at as *mut GeneralAttributes, adapter.driver.minor);
    let faults = general.faults();
    if !faults.is_empty() {
        rules::violate(&ATTRIBUTE_VALUE, faults.join("; "));
    }
    if let Some(rss) = &general.rss
        && rss.messages == 0
    {
        return sys::NDIS_STATUS_INVALID_PARAMETER;
    }
    adapter.statuses.start(&general);
    let mut attributes = adapter.attributes.lock();
    attributes.longest_mtu = general.mtu;
    attributes.general = Some(general);
    sys::NDIS_STATUS_SUCCESS
}

fn read_general(at: *mut GeneralAttributes, minor: u8) -> General {
    let raw = Guest::from(at).load();
    let address = |bytes: [u8; 32]| [bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]];
    let length = raw.SupportedOidListLength;
    let list = Guest::<u32>::new(raw.SupportedOidList as usize);
    let oids = if list.is_null() {
        Vec::new()
    } else {
        (0..length.min(4096) as usize / 4)
            .map(|index| list.index(index).load())
            .collect()
    };
    General {
        media: raw.MediaType,
        physical_medium: raw.PhysicalMediumType,
        mtu: raw.MtuSize,
        max_speeds: [raw.MaxXmitLinkSpeed, raw.MaxRcvLinkSpeed],
        speeds: [raw.XmitLinkSpeed, raw.RcvLinkSpeed],
        connect_state: raw.MediaConnectState,
        lookahead: raw.LookaheadSize,
        mac_options: raw.MacOptions,
        filters: raw.SupportedPacketFilters,
        multicast_size: raw.MaxMulticastListSize,
        address_length: raw.MacAddressLength,
        permanent_address: address(raw.PermanentMacAddress),
        current_address: address(raw.CurrentMacAddress),
        types: [raw.AccessType, raw.DirectionType, raw.ConnectionType],
        interface_type: raw.IfType,
        connector: raw.IfConnectorPresent,
        statistics: raw.SupportedStatistics,
        oids,
        oids_length: length,
        rss: read_rss(raw.RecvScaleCapabilities, minor),
        power: read_power(raw.PowerManagementCapabilitiesEx, minor),
    }
}

fn read_rss(at: *mut NDIS_RECEIVE_SCALE_CAPABILITIES, minor: u8) -> Option<Rss> {
    if at.is_null() || !header::RSS_CAPABILITIES.accept(at as usize, minor) {
        return None;
    }
    Some(Rss {
        flags: field!(at, NDIS_RECEIVE_SCALE_CAPABILITIES, CapabilitiesFlags).load(),
        messages: field!(
            at,
            NDIS_RECEIVE_SCALE_CAPABILITIES,
            NumberOfInterruptMessages
        )
        .load(),
        queues: field!(at, NDIS_RECEIVE_SCALE_CAPABILITIES, NumberOfReceiveQueues).load(),
        entries: field!(
            at,
            NDIS_RECEIVE_SCALE_CAPABILITIES,
            NumberOfIndirectionTableEntries
        )
        .load(),
    })
}

fn read_power(at: *mut NDIS_PM_CAPABILITIES, minor: u8) -> Option<Power> {
    if at.is_null() || !header::PM_CAPABILITIES.accept(at as usize, minor) {
        return None;
    }
    let raw = Guest::from(at).load();
    Some(Power {
        flags: raw.Flags,
        patterns: raw.SupportedWoLPacketPatterns,
        offloads: raw.SupportedProtocolOffloads,
        wake: [
            raw.MinMagicPacketWakeUp,
            raw.MinPatternWakeUp,
            raw.MinLinkChangeWakeUp,
        ],
    })
}

/// Reads an `NDIS_OFFLOAD`; `None` if its header is wrong.
pub(crate) fn read_offload(at: usize, minor: u8) -> Option<Vec<u8>> {
    if !header::OFFLOAD.accept(at, minor) {
        return None;
    }
    let (_, size) = header::OFFLOAD.shape(minor);
    let mut bytes = vec![0; usize::from(size)];
    read_bytes(at, &mut bytes);
    Some(bytes)
}

fn set_offload(adapter: &Adapter, at: usize) -> NDIS_STATUS {
    if adapter.attributes.lock().general.is_none() {
        rules::violate(
            &ATTRIBUTE_ORDER,
            "offload attributes before the general ones",
        );
    }
    let at = at as *mut OffloadAttributes;
    let in_force = field!(at, OffloadAttributes, DefaultOffloadConfiguration).load() as usize;
    let possible = field!(at, OffloadAttributes, HardwareOffloadCapabilities).load() as usize;
    let connection = [
        field!(
            at,
            OffloadAttributes,
            DefaultTcpConnectionOffloadConfiguration
        )
        .load() as usize,
        field!(
            at,
            OffloadAttributes,
            TcpConnectionOffloadHardwareCapabilities
        )
        .load() as usize,
    ];
    if connection != [0, 0] {
        rules::violate(
            &ATTRIBUTE_VALUE,
            "connection offload is gone: its pointers must be null",
        );
    }
    if in_force == 0 || possible == 0 {
        rules::violate(
            &ATTRIBUTE_VALUE,
            "offload attributes with a null NDIS_OFFLOAD",
        );
        return sys::NDIS_STATUS_INVALID_PARAMETER;
    }
    let minor = adapter.driver.minor;
    let (Some(in_force), Some(possible)) =
        (read_offload(in_force, minor), read_offload(possible, minor))
    else {
        return sys::NDIS_STATUS_BAD_VERSION;
    };
    adapter.attributes.lock().offload = Some([in_force, possible]);
    sys::NDIS_STATUS_SUCCESS
}

extern "win64" fn device_property(
    handle: usize,
    physical: *mut usize,
    functional: *mut usize,
    next: *mut usize,
    resources: *mut usize,
    translated: *mut usize,
) {
    let adapter = adapter::of(handle, "NdisMGetDeviceProperty");
    let devices = adapter.devices;
    let values = [devices.physical, devices.functional, devices.next, 0, 0];
    for (out, value) in [physical, functional, next, resources, translated]
        .into_iter()
        .zip(values)
    {
        if !out.is_null() {
            Guest::from(out).store(value);
        }
    }
}

/// A paravirtual adapter has no DMA engine; scatter-gather lists are not simulated.
extern "win64" fn register_dma(handle: usize, description: usize, _out: *mut usize) -> NDIS_STATUS {
    let _ = told_to_fail();
    let adapter = adapter::of(handle, "NdisMRegisterScatterGatherDma");
    if adapter.state() != State::Initializing {
        rules::violate(
            &ATTRIBUTE_ORDER,
            "NdisMRegisterScatterGatherDma outside MiniportInitializeEx",
        );
    }
    let _ = header::SG_DMA.accept(description, adapter.driver.minor);
    sys::NDIS_STATUS_RESOURCES
}

extern "win64" fn deregister_dma(handle: usize) {
    rules::violate(
        &super::contract::HANDLE,
        format!("{handle:#x} is no DMA handle: none was given out"),
    );
}

extern "win64" fn allocate_list(handle: usize) -> NDIS_STATUS {
    let _ = told_to_fail();
    deregister_dma(handle);
    sys::NDIS_STATUS_RESOURCES
}

extern "win64" fn free_list(handle: usize) {
    deregister_dma(handle);
}
