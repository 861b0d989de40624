//! Counters of a queue, and the adapter's as their sum. All only grow, over reconnects too.

use ndis::NdisVersion;
use ndis::object::NdisObject;
use ndis_sys as sys;

use crate::frame_kind::Destination;

/// Frames and bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Volume {
    /// Frames.
    pub(crate) frames: u64,
    /// Their bytes, headers included.
    pub(crate) bytes: u64,
}

impl Volume {
    fn add(&mut self, frames: u64, bytes: u64) {
        self.frames = self.frames.wrapping_add(frames);
        self.bytes = self.bytes.wrapping_add(bytes);
    }
}

/// Counters of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Direction {
    /// To one station.
    pub(crate) unicast: Volume,
    /// To groups.
    pub(crate) multicast: Volume,
    /// To all.
    pub(crate) broadcast: Volume,
    /// Frames with errors.
    pub(crate) errors: u64,
    /// Frames without errors that were dropped.
    pub(crate) discards: u64,
}

impl Direction {
    /// Counts one frame.
    pub(crate) fn count(&mut self, to: Destination, bytes: u32) {
        self.count_many(to, 1, bytes.into());
    }

    /// Counts frames as they are on the wire: the segments of a large one, with their headers.
    pub(crate) fn count_many(&mut self, to: Destination, frames: u64, bytes: u64) {
        let volume = match to {
            Destination::Unicast => &mut self.unicast,
            Destination::Multicast => &mut self.multicast,
            Destination::Broadcast => &mut self.broadcast,
        };
        volume.add(frames, bytes);
    }

    /// Counts frames with errors.
    pub(crate) fn count_errors(&mut self, frames: u64) {
        self.errors = self.errors.wrapping_add(frames);
    }

    /// Counts dropped frames.
    pub(crate) fn count_discards(&mut self, frames: u64) {
        self.discards = self.discards.wrapping_add(frames);
    }

    /// Adds another queue's counters.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.unicast, &other.unicast),
            (&mut self.multicast, &other.multicast),
            (&mut self.broadcast, &other.broadcast),
        ] {
            mine.add(theirs.frames, theirs.bytes);
        }
        self.count_errors(other.errors);
        self.count_discards(other.discards);
    }

    /// Frames without errors.
    pub(crate) fn frames(&self) -> u64 {
        [self.unicast, self.multicast, self.broadcast]
            .iter()
            .fold(0, |sum, volume| sum.wrapping_add(volume.frames))
    }

    /// Their bytes.
    pub(crate) fn bytes(&self) -> u64 {
        [self.unicast, self.multicast, self.broadcast]
            .iter()
            .fold(0, |sum, volume| sum.wrapping_add(volume.bytes))
    }
}

/// Counters of coalescing (`OID_TCP_RSC_STATISTICS`).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Coalescing {
    /// Segments that came in units.
    packets: u64,
    /// Their payload.
    octets: u64,
    /// Units.
    units: u64,
    /// Frames of several segments that were cut.
    aborts: u64,
}

impl Coalescing {
    /// Counts a unit.
    pub(crate) fn count(&mut self, segments: u16, payload: u32) {
        self.packets = self.packets.wrapping_add(segments.into());
        self.octets = self.octets.wrapping_add(payload.into());
        self.units = self.units.wrapping_add(1);
    }

    /// Counts a frame that was cut.
    pub(crate) fn count_abort(&mut self) {
        self.aborts = self.aborts.wrapping_add(1);
    }

    /// Adds another queue's.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.packets = self.packets.wrapping_add(other.packets);
        self.octets = self.octets.wrapping_add(other.octets);
        self.units = self.units.wrapping_add(other.units);
        self.aborts = self.aborts.wrapping_add(other.aborts);
    }

    /// As NDIS takes them.
    pub(crate) fn to_ndis(self, version: NdisVersion) -> sys::NDIS_RSC_STATISTICS_INFO {
        let mut info = sys::NDIS_RSC_STATISTICS_INFO::new(version);
        info.CoalescedPkts = self.packets;
        info.CoalescedOctets = self.octets;
        info.CoalesceEvents = self.units;
        info.Aborts = self.aborts;
        info
    }
}

/// Counters of both directions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Statistics {
    /// Sent.
    pub(crate) tx: Direction,
    /// Received.
    pub(crate) rx: Direction,
}

/// The bits that say that every field of the structure is valid.
const ALL_VALID: u32 = sys::NDIS_STATISTICS_FLAGS_VALID_DIRECTED_FRAMES_RCV
    | sys::NDIS_STATISTICS_FLAGS_VALID_MULTICAST_FRAMES_RCV
    | sys::NDIS_STATISTICS_FLAGS_VALID_BROADCAST_FRAMES_RCV
    | sys::NDIS_STATISTICS_FLAGS_VALID_BYTES_RCV
    | sys::NDIS_STATISTICS_FLAGS_VALID_RCV_DISCARDS
    | sys::NDIS_STATISTICS_FLAGS_VALID_RCV_ERROR
    | sys::NDIS_STATISTICS_FLAGS_VALID_DIRECTED_FRAMES_XMIT
    | sys::NDIS_STATISTICS_FLAGS_VALID_MULTICAST_FRAMES_XMIT
    | sys::NDIS_STATISTICS_FLAGS_VALID_BROADCAST_FRAMES_XMIT
    | sys::NDIS_STATISTICS_FLAGS_VALID_BYTES_XMIT
    | sys::NDIS_STATISTICS_FLAGS_VALID_XMIT_ERROR
    | sys::NDIS_STATISTICS_FLAGS_VALID_XMIT_DISCARDS
    | sys::NDIS_STATISTICS_FLAGS_VALID_DIRECTED_BYTES_RCV
    | sys::NDIS_STATISTICS_FLAGS_VALID_MULTICAST_BYTES_RCV
    | sys::NDIS_STATISTICS_FLAGS_VALID_BROADCAST_BYTES_RCV
    | sys::NDIS_STATISTICS_FLAGS_VALID_DIRECTED_BYTES_XMIT
    | sys::NDIS_STATISTICS_FLAGS_VALID_MULTICAST_BYTES_XMIT
    | sys::NDIS_STATISTICS_FLAGS_VALID_BROADCAST_BYTES_XMIT;

impl Statistics {
    /// As NDIS takes them.
    pub(crate) fn to_ndis(self, version: NdisVersion) -> sys::NDIS_STATISTICS_INFO {
        let Self { tx, rx } = self;
        let mut info = sys::NDIS_STATISTICS_INFO::new(version);
        info.SupportedStatistics = ALL_VALID;
        info.ifInDiscards = rx.discards;
        info.ifInErrors = rx.errors;
        info.ifHCInOctets = rx.bytes();
        info.ifHCInUcastPkts = rx.unicast.frames;
        info.ifHCInMulticastPkts = rx.multicast.frames;
        info.ifHCInBroadcastPkts = rx.broadcast.frames;
        info.ifHCOutOctets = tx.bytes();
        info.ifHCOutUcastPkts = tx.unicast.frames;
        info.ifHCOutMulticastPkts = tx.multicast.frames;
        info.ifHCOutBroadcastPkts = tx.broadcast.frames;
        info.ifOutErrors = tx.errors;
        info.ifOutDiscards = tx.discards;
        info.ifHCInUcastOctets = rx.unicast.bytes;
        info.ifHCInMulticastOctets = rx.multicast.bytes;
        info.ifHCInBroadcastOctets = rx.broadcast.bytes;
        info.ifHCOutUcastOctets = tx.unicast.bytes;
        info.ifHCOutMulticastOctets = tx.multicast.bytes;
        info.ifHCOutBroadcastOctets = tx.broadcast.bytes;
        info
    }
}
