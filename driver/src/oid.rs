//! OID requests, all answered at once (ndis-contract 1.9).

use ndis::Status;
use ndis::addresses::AddressList;
use ndis::object::NdisObject;
use ndis::offload::{self, OffloadRejection};
use ndis::request::{Kind, OidRequest};
use ndis::rss::{self, Processor, RssRejection, RssUpdate};
use ndis_sys as sys;
use ndis_sys::NDIS_OID;
use netfront_core::report::{
    self, HashReport, OID_QUEUE_REPORT, QUEUES_MAX, QueueReport, REPORT_MAX,
};
use nt::irql::Passive;

use crate::adapter::Adapter;
use crate::attributes::MAX_MULTICAST;
use crate::entry::DRIVER_VERSION;
use crate::frame_kind::{Filter, MulticastList};
use crate::power::PowerState;
use crate::scaling::{Hashing, index, limits};

/// Bytes of a block of buffer space, as NDIS counts it: a page.
const BLOCK: u32 = 4096;
/// "No IEEE code" of `OID_GEN_VENDOR_ID`.
const NO_VENDOR: u32 = 0x00FF_FFFF;
/// What administrators see.
const DESCRIPTION: &[u8] = b"Xen PV Network Adapter\0";
/// `NdisHardwareStatusReady`.
const HARDWARE_READY: u32 = 0;
/// `OID_GEN_MAXIMUM_SEND_PACKETS` means nothing to NDIS 6; any number will do.
const SEND_PACKETS: u32 = 64;

/// Bytes of the power management parameters that are set, revision 1.
const PM_PARAMETERS_LEAST: u32 = 0x10;
const _: () =
    assert!(PM_PARAMETERS_LEAST as usize == sys::NDIS_SIZEOF_NDIS_PM_PARAMETERS_REVISION_1);
/// Bytes of those that are answered, revision 2.
const PM_PARAMETERS_SIZE: u16 = 0x14;
const _: () =
    assert!(PM_PARAMETERS_SIZE as usize == sys::NDIS_SIZEOF_NDIS_PM_PARAMETERS_REVISION_2);

/// Every OID answered. NDIS answers some itself; tools ask for each one listed.
pub(crate) static SUPPORTED: [NDIS_OID; 60] = [
    sys::OID_GEN_SUPPORTED_LIST,
    sys::OID_GEN_HARDWARE_STATUS,
    sys::OID_GEN_MEDIA_SUPPORTED,
    sys::OID_GEN_MEDIA_IN_USE,
    sys::OID_GEN_MAXIMUM_LOOKAHEAD,
    sys::OID_GEN_MAXIMUM_FRAME_SIZE,
    sys::OID_GEN_TRANSMIT_BUFFER_SPACE,
    sys::OID_GEN_RECEIVE_BUFFER_SPACE,
    sys::OID_GEN_TRANSMIT_BLOCK_SIZE,
    sys::OID_GEN_RECEIVE_BLOCK_SIZE,
    sys::OID_GEN_VENDOR_ID,
    sys::OID_GEN_VENDOR_DESCRIPTION,
    sys::OID_GEN_CURRENT_PACKET_FILTER,
    sys::OID_GEN_CURRENT_LOOKAHEAD,
    sys::OID_GEN_DRIVER_VERSION,
    sys::OID_GEN_MAXIMUM_TOTAL_SIZE,
    sys::OID_GEN_MAC_OPTIONS,
    sys::OID_GEN_MEDIA_CONNECT_STATUS,
    sys::OID_GEN_MAXIMUM_SEND_PACKETS,
    sys::OID_GEN_VENDOR_DRIVER_VERSION,
    sys::OID_GEN_PHYSICAL_MEDIUM,
    sys::OID_GEN_MAX_LINK_SPEED,
    sys::OID_GEN_INTERRUPT_MODERATION,
    sys::OID_GEN_NETWORK_LAYER_ADDRESSES,
    sys::OID_TCP_OFFLOAD_PARAMETERS,
    sys::OID_OFFLOAD_ENCAPSULATION,
    sys::OID_TCP_RSC_STATISTICS,
    sys::OID_GEN_RECEIVE_SCALE_PARAMETERS,
    sys::OID_GEN_RECEIVE_HASH,
    sys::OID_GEN_XMIT_OK,
    sys::OID_GEN_RCV_OK,
    sys::OID_GEN_XMIT_ERROR,
    sys::OID_GEN_RCV_ERROR,
    sys::OID_GEN_RCV_NO_BUFFER,
    sys::OID_GEN_STATISTICS,
    sys::OID_GEN_DIRECTED_BYTES_XMIT,
    sys::OID_GEN_DIRECTED_FRAMES_XMIT,
    sys::OID_GEN_MULTICAST_BYTES_XMIT,
    sys::OID_GEN_MULTICAST_FRAMES_XMIT,
    sys::OID_GEN_BROADCAST_BYTES_XMIT,
    sys::OID_GEN_BROADCAST_FRAMES_XMIT,
    sys::OID_GEN_DIRECTED_BYTES_RCV,
    sys::OID_GEN_DIRECTED_FRAMES_RCV,
    sys::OID_GEN_MULTICAST_BYTES_RCV,
    sys::OID_GEN_MULTICAST_FRAMES_RCV,
    sys::OID_GEN_BROADCAST_BYTES_RCV,
    sys::OID_GEN_BROADCAST_FRAMES_RCV,
    sys::OID_GEN_BYTES_RCV,
    sys::OID_GEN_BYTES_XMIT,
    sys::OID_GEN_RCV_DISCARDS,
    sys::OID_GEN_XMIT_DISCARDS,
    sys::OID_GEN_RCV_CRC_ERROR,
    sys::OID_GEN_TRANSMIT_QUEUE_LENGTH,
    sys::OID_802_3_PERMANENT_ADDRESS,
    sys::OID_802_3_CURRENT_ADDRESS,
    sys::OID_802_3_MULTICAST_LIST,
    sys::OID_802_3_MAXIMUM_LIST_SIZE,
    sys::OID_PNP_SET_POWER,
    sys::OID_PNP_QUERY_POWER,
    sys::OID_PM_PARAMETERS,
];

/// Answers a request.
pub(crate) fn handle(
    adapter: &Adapter,
    request: &mut OidRequest<'_>,
    irql: &mut Passive<'_>,
) -> Status {
    if adapter.is_removed() {
        return Status::NOT_ACCEPTED;
    }
    match request.kind() {
        Kind::Query => query(adapter, request, irql),
        Kind::Set => set(adapter, request, irql),
        Kind::Method | Kind::Other => Status::NOT_SUPPORTED,
    }
}

fn query(adapter: &Adapter, request: &mut OidRequest<'_>, irql: &mut Passive<'_>) -> Status {
    let identity = adapter.identity();
    match request.oid() {
        sys::OID_GEN_SUPPORTED_LIST => request.answer(&list_bytes()),
        sys::OID_GEN_HARDWARE_STATUS => request.answer_u32(HARDWARE_READY),
        sys::OID_GEN_MEDIA_SUPPORTED | sys::OID_GEN_MEDIA_IN_USE => {
            request.answer_u32(sys::NdisMedium802_3.cast_unsigned())
        }
        sys::OID_GEN_PHYSICAL_MEDIUM => {
            request.answer_u32(sys::NdisPhysicalMedium802_3.cast_unsigned())
        }
        sys::OID_GEN_MAXIMUM_LOOKAHEAD
        | sys::OID_GEN_CURRENT_LOOKAHEAD
        | sys::OID_GEN_MAXIMUM_FRAME_SIZE => request.answer_u32(adapter.mtu()),
        sys::OID_GEN_MAXIMUM_TOTAL_SIZE => request.answer_u32(adapter.max_frame()),
        sys::OID_GEN_TRANSMIT_BUFFER_SPACE => {
            request.answer_u32(adapter.keywords().transmit_buffers().saturating_mul(BLOCK))
        }
        sys::OID_GEN_RECEIVE_BUFFER_SPACE => {
            request.answer_u32(adapter.keywords().receive_buffers().saturating_mul(BLOCK))
        }
        sys::OID_GEN_TRANSMIT_BLOCK_SIZE | sys::OID_GEN_RECEIVE_BLOCK_SIZE => {
            request.answer_u32(BLOCK)
        }
        sys::OID_GEN_VENDOR_ID => request.answer_u32(NO_VENDOR),
        sys::OID_GEN_VENDOR_DESCRIPTION => request.answer(DESCRIPTION),
        sys::OID_GEN_VENDOR_DRIVER_VERSION => {
            let (major, minor) = DRIVER_VERSION;
            request.answer_u32(u32::from(major) << 16 | u32::from(minor))
        }
        sys::OID_GEN_DRIVER_VERSION => {
            let version = adapter.version();
            request.answer(&[version.minor(), version.major()])
        }
        sys::OID_GEN_MAC_OPTIONS => request.answer_u32(identity.mac_options()),
        // NdisMediaStateConnected is 0, NdisMediaStateDisconnected 1.
        sys::OID_GEN_MEDIA_CONNECT_STATUS => request.answer_u32(u32::from(!adapter.is_link_up())),
        sys::OID_GEN_MAXIMUM_SEND_PACKETS => request.answer_u32(SEND_PACKETS),
        // Two speeds, transmit and receive.
        sys::OID_GEN_MAX_LINK_SPEED => {
            let speed = identity.max_speed().to_le_bytes();
            let mut both = [0; 16];
            for (place, byte) in both.iter_mut().zip(speed.into_iter().chain(speed)) {
                *place = byte;
            }
            request.answer(&both)
        }
        sys::OID_GEN_INTERRUPT_MODERATION => {
            let mut answer = sys::NDIS_INTERRUPT_MODERATION_PARAMETERS::new(adapter.version());
            answer.InterruptModeration = if adapter.is_moderated() {
                sys::NdisInterruptModerationEnabled
            } else {
                sys::NdisInterruptModerationDisabled
            };
            request.answer_object(&answer)
        }
        sys::OID_GEN_CURRENT_PACKET_FILTER => request.answer_u32(adapter.filter(irql).types),
        sys::OID_802_3_MULTICAST_LIST => {
            let filter = adapter.filter(irql);
            request.answer(filter.groups.addresses().as_flattened())
        }
        sys::OID_802_3_MAXIMUM_LIST_SIZE => request.answer_u32(MAX_MULTICAST),
        sys::OID_802_3_PERMANENT_ADDRESS => request.answer(&identity.permanent),
        sys::OID_802_3_CURRENT_ADDRESS => request.answer(&identity.current),
        // A query asks whether the state could be entered: always.
        sys::OID_PNP_QUERY_POWER => Status::SUCCESS,
        sys::OID_PM_PARAMETERS => request.answer(&pm_parameters()),
        sys::OID_GEN_RECEIVE_HASH => {
            let hashing = adapter.hashing(irql);
            let parameters = match &hashing {
                Hashing::Hash(parameters) => Some(parameters),
                Hashing::Off | Hashing::Scale(_) => None,
            };
            request.answer(&rss::describe_hash(parameters))
        }
        OID_QUEUE_REPORT => report(adapter, request, irql),
        sys::OID_TCP_RSC_STATISTICS => {
            let coalescing = adapter.coalescing(irql);
            request.answer_object(&coalescing.to_ndis(adapter.version()))
        }
        oid => count(adapter, oid, request, irql),
    }
}

/// What each queue does, and how the hashes fare.
fn report(adapter: &Adapter, request: &mut OidRequest<'_>, irql: &mut Passive<'_>) -> Status {
    let (wanted, negotiated) = adapter.hash_types(irql);
    let mut hash = HashReport {
        wanted,
        negotiated,
        ..HashReport::default()
    };
    let mut queues = [QueueReport::default(); QUEUES_MAX];
    let active = adapter.active_queues();
    for (place, queue) in queues.iter_mut().zip(adapter.queues()) {
        let statistics = queue.statistics(irql);
        let (events, processor) = queue.events();
        *place = QueueReport {
            processor,
            tx_frames: statistics.tx.frames(),
            rx_frames: statistics.rx.frames(),
            events,
        };
        let (hashes, _) = queue.hashes(irql);
        hash.from_backend = hash.from_backend.wrapping_add(hashes.from_backend);
        hash.computed = hash.computed.wrapping_add(hashes.computed);
        hash.checked = hash.checked.wrapping_add(hashes.checked);
        hash.mismatches = hash.mismatches.wrapping_add(hashes.mismatches);
    }
    let queues = queues.iter().take(active).copied();
    request.answer(report::write(&mut [0; REPORT_MAX], &hash, queues))
}

/// Counters.
fn count(
    adapter: &Adapter,
    oid: NDIS_OID,
    request: &mut OidRequest<'_>,
    irql: &mut Passive<'_>,
) -> Status {
    let statistics = adapter.statistics(irql);
    let (tx, rx) = (&statistics.tx, &statistics.rx);
    let value = match oid {
        sys::OID_GEN_STATISTICS => {
            return request.answer_object(&statistics.to_ndis(adapter.version()));
        }
        sys::OID_GEN_XMIT_OK => tx.frames(),
        sys::OID_GEN_RCV_OK => rx.frames(),
        sys::OID_GEN_XMIT_ERROR => tx.errors,
        sys::OID_GEN_RCV_ERROR => rx.errors,
        sys::OID_GEN_RCV_NO_BUFFER | sys::OID_GEN_RCV_DISCARDS => rx.discards,
        sys::OID_GEN_XMIT_DISCARDS => tx.discards,
        sys::OID_GEN_RCV_CRC_ERROR => 0,
        sys::OID_GEN_TRANSMIT_QUEUE_LENGTH => adapter.waiting_lists(irql),
        sys::OID_GEN_DIRECTED_BYTES_XMIT => tx.unicast.bytes,
        sys::OID_GEN_DIRECTED_FRAMES_XMIT => tx.unicast.frames,
        sys::OID_GEN_MULTICAST_BYTES_XMIT => tx.multicast.bytes,
        sys::OID_GEN_MULTICAST_FRAMES_XMIT => tx.multicast.frames,
        sys::OID_GEN_BROADCAST_BYTES_XMIT => tx.broadcast.bytes,
        sys::OID_GEN_BROADCAST_FRAMES_XMIT => tx.broadcast.frames,
        sys::OID_GEN_DIRECTED_BYTES_RCV => rx.unicast.bytes,
        sys::OID_GEN_DIRECTED_FRAMES_RCV => rx.unicast.frames,
        sys::OID_GEN_MULTICAST_BYTES_RCV => rx.multicast.bytes,
        sys::OID_GEN_MULTICAST_FRAMES_RCV => rx.multicast.frames,
        sys::OID_GEN_BROADCAST_BYTES_RCV => rx.broadcast.bytes,
        sys::OID_GEN_BROADCAST_FRAMES_RCV => rx.broadcast.frames,
        sys::OID_GEN_BYTES_RCV => rx.bytes(),
        sys::OID_GEN_BYTES_XMIT => tx.bytes(),
        _ => return Status::NOT_SUPPORTED,
    };
    request.answer_counter(value)
}

fn set(adapter: &Adapter, request: &mut OidRequest<'_>, irql: &mut Passive<'_>) -> Status {
    match request.oid() {
        sys::OID_GEN_CURRENT_PACKET_FILTER => match request.input_u32() {
            Ok(types) if Filter::can_be(types) => {
                adapter.change_filter(irql, |filter| filter.types = types);
                Status::SUCCESS
            }
            Ok(_) => {
                request.refuse_set(0);
                Status::NOT_SUPPORTED
            }
            Err(status) => status,
        },
        // All of a frame is always shown, so any lookahead is satisfied.
        sys::OID_GEN_CURRENT_LOOKAHEAD => {
            request.input_u32().map_or_else(|e| e, |_| Status::SUCCESS)
        }
        sys::OID_802_3_MULTICAST_LIST => set_groups(adapter, request, irql),
        sys::OID_PNP_SET_POWER => {
            // Must not fail, whatever the buffer holds.
            let state = request.input_u32().unwrap_or_default();
            adapter.set_power(PowerState::from_ndis(state), irql);
            Status::SUCCESS
        }
        sys::OID_GEN_RECEIVE_SCALE_PARAMETERS if adapter.identity().rss_queues > 0 => {
            set_rss(adapter, request, irql)
        }
        sys::OID_GEN_RECEIVE_HASH if adapter.identity().rss_queues > 0 => {
            set_hash(adapter, request, irql)
        }
        sys::OID_PM_PARAMETERS => set_pm_parameters(request),
        sys::OID_GEN_INTERRUPT_MODERATION => set_moderation(adapter, request, irql),
        sys::OID_GEN_NETWORK_LAYER_ADDRESSES => {
            let parsed = request.input(6).map(AddressList::parse);
            match parsed {
                Ok(Some(list)) => {
                    adapter.set_addresses(&list, irql);
                    Status::SUCCESS
                }
                Ok(None) => Status::INVALID_LENGTH,
                Err(status) => status,
            }
        }
        sys::OID_TCP_OFFLOAD_PARAMETERS => set_offloads(adapter, request, irql),
        sys::OID_OFFLOAD_ENCAPSULATION => set_encapsulation(adapter, request, irql),
        _ => Status::NOT_SUPPORTED,
    }
}

fn set_groups(adapter: &Adapter, request: &mut OidRequest<'_>, irql: &mut Passive<'_>) -> Status {
    let parsed = match request.input(0) {
        Ok(bytes) if bytes.len().is_multiple_of(6) => MulticastList::parse(bytes),
        Ok(_) => {
            request.refuse_set(6);
            return Status::INVALID_LENGTH;
        }
        Err(status) => return status,
    };
    let Ok(groups) = parsed else {
        request.refuse_set(MAX_MULTICAST.saturating_mul(6));
        return Status::MULTICAST_FULL;
    };
    adapter.change_filter(irql, |filter| filter.groups = groups);
    Status::SUCCESS
}

fn set_rss(adapter: &Adapter, request: &mut OidRequest<'_>, irql: &mut Passive<'_>) -> Status {
    let previous = adapter.hashing(irql);
    let limits = limits(adapter.identity().rss_udp);
    let parsed = match request.input(0) {
        Ok(buffer) => rss::parse(buffer, &limits, previous.scaling(), is_active),
        Err(status) => return status,
    };
    match (parsed, previous) {
        // Hashing alone has no processors to go back to: it stays.
        (Ok(RssUpdate::Disable), Hashing::Hash(_)) => {}
        (Ok(RssUpdate::Disable), _) => adapter.set_hashing(&Hashing::Off, irql),
        // One or the other (OID_GEN_RECEIVE_HASH).
        (Ok(RssUpdate::Enable(_)), Hashing::Hash(_)) => {
            request.refuse_set(0);
            return Status::NOT_SUPPORTED;
        }
        (Ok(RssUpdate::Enable(parameters)), _) => {
            adapter.set_hashing(&Hashing::Scale(parameters), irql);
        }
        (Err(rejection), _) => return refuse_rss(request, rejection),
    }
    request.set_supported_revision(sys::NDIS_RECEIVE_SCALE_PARAMETERS_REVISION_3);
    Status::SUCCESS
}

fn set_hash(adapter: &Adapter, request: &mut OidRequest<'_>, irql: &mut Passive<'_>) -> Status {
    let previous = adapter.hashing(irql);
    let limits = limits(adapter.identity().rss_udp);
    let in_force = match &previous {
        Hashing::Hash(parameters) => Some(parameters),
        Hashing::Off | Hashing::Scale(_) => None,
    };
    let parsed = match request.input(0) {
        Ok(buffer) => rss::parse_hash(buffer, &limits, in_force),
        Err(status) => return status,
    };
    match (parsed, previous) {
        (Ok(None), Hashing::Scale(_)) => {}
        (Ok(None), _) => adapter.set_hashing(&Hashing::Off, irql),
        (Ok(Some(_)), Hashing::Scale(_)) => {
            request.refuse_set(0);
            return Status::NOT_SUPPORTED;
        }
        (Ok(Some(parameters)), _) => adapter.set_hashing(&Hashing::Hash(parameters), irql),
        (Err(rejection), _) => return refuse_rss(request, rejection),
    }
    request.set_supported_revision(sys::NDIS_RECEIVE_HASH_PARAMETERS_REVISION_1);
    Status::SUCCESS
}

fn set_offloads(adapter: &Adapter, request: &mut OidRequest<'_>, irql: &mut Passive<'_>) -> Status {
    let state = adapter.offloads(irql);
    let parsed = match request.input(0) {
        Ok(buffer) => offload::parse_parameters(buffer, state.wishes(), state.possible()),
        Err(status) => return status,
    };
    match parsed {
        Ok(wishes) => {
            adapter.change_offloads(irql, |state| state.set_wishes(wishes));
            finish_indications(irql);
        }
        Err(rejection) => return refuse_offloads(request, rejection),
    }
    adapter.tell_offloads(irql);
    request.set_supported_revision(sys::NDIS_OFFLOAD_PARAMETERS_REVISION_5);
    Status::SUCCESS
}

/// Waits until all that was received before has been indicated: no coalesced unit may come after the request that turned
/// them off ("Querying and Changing RSC State").
fn finish_indications(irql: &Passive<'_>) {
    // First the DPCs that take frames from the rings, then those they have handed lists to.
    nt::dpc::flush(irql);
    nt::dpc::flush(irql);
}

fn set_encapsulation(
    adapter: &Adapter,
    request: &mut OidRequest<'_>,
    irql: &mut Passive<'_>,
) -> Status {
    let parsed = match request.input(0) {
        Ok(buffer) => offload::parse_encapsulation(buffer),
        Err(status) => return status,
    };
    match parsed {
        Ok(which) => adapter.change_offloads(irql, |state| state.set_encapsulated(which)),
        Err(rejection) => return refuse_offloads(request, rejection),
    }
    adapter.tell_offloads(irql);
    request.set_supported_revision(sys::NDIS_OFFLOAD_ENCAPSULATION_REVISION_1);
    Status::SUCCESS
}

fn refuse_offloads(request: &mut OidRequest<'_>, rejection: OffloadRejection) -> Status {
    let needed = match rejection {
        OffloadRejection::TooShort(needed) => u32::try_from(needed).unwrap_or(u32::MAX),
        _ => 0,
    };
    request.refuse_set(needed);
    rejection.status()
}

/// Nothing has changed.
fn refuse_rss(request: &mut OidRequest<'_>, rejection: RssRejection) -> Status {
    let needed = match rejection {
        RssRejection::TooShort(needed) => u32::try_from(needed).unwrap_or(u32::MAX),
        _ => 0,
    };
    request.refuse_set(needed);
    rejection.status()
}

/// Turns interrupt moderation on or off.
fn set_moderation(
    adapter: &Adapter,
    request: &mut OidRequest<'_>,
    irql: &mut Passive<'_>,
) -> Status {
    const SIZE: usize = sys::NDIS_SIZEOF_INTERRUPT_MODERATION_PARAMETERS_REVISION_1;
    let at = core::mem::offset_of!(
        sys::NDIS_INTERRUPT_MODERATION_PARAMETERS,
        InterruptModeration
    );
    let asked = match request.input(u32::try_from(SIZE).unwrap_or(u32::MAX)) {
        Ok(bytes) => bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()),
        Err(status) => return status,
    };
    let on = match asked.map(|bytes| i32::from_le_bytes(*bytes)) {
        Some(sys::NdisInterruptModerationEnabled) => true,
        Some(sys::NdisInterruptModerationDisabled) => false,
        _ => {
            request.refuse_set(0);
            return Status::INVALID_DATA;
        }
    };
    adapter.set_moderated(on, irql);
    request.set_supported_revision(sys::NDIS_INTERRUPT_MODERATION_PARAMETERS_REVISION_1);
    Status::SUCCESS
}

/// Whether a processor is running.
fn is_active(processor: Processor) -> bool {
    index(processor).is_some()
}

/// No wake-up of any kind is offered, so none can be enabled.
fn set_pm_parameters(request: &mut OidRequest<'_>) -> Status {
    let wanted = match request.input(PM_PARAMETERS_LEAST) {
        Ok(bytes) => bytes
            .get(size_of::<sys::NDIS_OBJECT_HEADER>()..)
            .unwrap_or_default()
            .iter()
            .any(|byte| *byte != 0),
        Err(status) => return status,
    };
    if wanted {
        request.refuse_set(0);
        return Status::INVALID_PARAMETER;
    }
    request.set_supported_revision(sys::NDIS_PM_PARAMETERS_REVISION_2);
    Status::SUCCESS
}

/// Power management parameters with nothing enabled, revision 2.
fn pm_parameters() -> [u8; sys::NDIS_SIZEOF_NDIS_PM_PARAMETERS_REVISION_2] {
    let mut bytes = [0; sys::NDIS_SIZEOF_NDIS_PM_PARAMETERS_REVISION_2];
    let [low, high] = PM_PARAMETERS_SIZE.to_le_bytes();
    let header = [
        sys::NDIS_OBJECT_TYPE_DEFAULT,
        sys::NDIS_PM_PARAMETERS_REVISION_2,
        low,
        high,
    ];
    for (place, byte) in bytes.iter_mut().zip(header) {
        *place = byte;
    }
    bytes
}

/// The supported OIDs as bytes.
fn list_bytes() -> [u8; SUPPORTED.len() * 4] {
    let mut bytes = [0; SUPPORTED.len() * 4];
    let (places, _) = bytes.as_chunks_mut::<4>();
    for (place, oid) in places.iter_mut().zip(SUPPORTED) {
        *place = oid.to_le_bytes();
    }
    bytes
}
