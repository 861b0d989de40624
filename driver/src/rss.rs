//! Receive-side scaling: from NDIS's processors to queues.
//!
//! NDIS names processors, the backend knows queues. Processors are dealt out to queues in the
//! order of the table, several to a queue when there are fewer queues, and each queue's events and
//! DPC go to its first processor.

use ndis::rss::{MAX_ENTRIES, Processor, RssLimits, RssParameters};
use ndis_sys as sys;
use netif::ctrl::{HashKind, HashTypes};
use nt::processor::ProcessorNumber;

use crate::keywords::MAX_QUEUES;

/// Hash types that can be set: those that the control ring knows.
const HASH_TYPES: u32 =
    sys::NDIS_HASH_IPV4 | sys::NDIS_HASH_TCP_IPV4 | sys::NDIS_HASH_IPV6 | sys::NDIS_HASH_TCP_IPV6;

/// What is offered to NDIS.
pub(crate) const LIMITS: RssLimits = RssLimits {
    hash_types: HASH_TYPES,
    entries: MAX_ENTRIES,
};

/// `NDIS_RSS_CAPS_*`: the algorithm and the types, and that frames are sorted before the DPC.
pub(crate) const CAPABILITIES: u32 = sys::NdisHashFunctionToeplitz
    | sys::NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV4
    | sys::NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV6
    | sys::NDIS_RSS_CAPS_CLASSIFICATION_AT_ISR
    | sys::NDIS_RSS_CAPS_CLASSIFICATION_AT_DPC;

/// The same types, as NDIS and as the control ring know them.
const PAIRS: [(u32, HashKind); 4] = [
    (sys::NDIS_HASH_IPV4, HashKind::Ipv4),
    (sys::NDIS_HASH_TCP_IPV4, HashKind::Ipv4Tcp),
    (sys::NDIS_HASH_IPV6, HashKind::Ipv6),
    (sys::NDIS_HASH_TCP_IPV6, HashKind::Ipv6Tcp),
];

/// NDIS's bit of a type.
pub(crate) fn ndis_type(kind: HashKind) -> u32 {
    PAIRS
        .iter()
        .find(|(_, other)| *other == kind)
        .map_or(0, |(bit, _)| *bit)
}

/// The type with NDIS's bit, if the protocol knows it.
pub(crate) fn kind(ndis_type: u32) -> Option<HashKind> {
    PAIRS
        .iter()
        .find(|(bit, _)| *bit == ndis_type)
        .map(|(_, kind)| *kind)
}

/// Types for the control ring.
pub(crate) fn to_netif(ndis_types: u32) -> HashTypes {
    PAIRS
        .iter()
        .filter(|(bit, _)| ndis_types & bit != 0)
        .fold(HashTypes::default(), |types, (_, kind)| {
            types.or(kind.types())
        })
}

/// Types for NDIS.
pub(crate) fn to_ndis(types: HashTypes) -> u32 {
    PAIRS
        .iter()
        .filter(|(_, kind)| types.has(*kind))
        .fold(0, |bits, (bit, _)| bits | bit)
}

/// Which queue and processor takes what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    /// Queue of each entry, as long as NDIS's table.
    mapping: [u16; MAX_ENTRIES],
    entries: usize,
    /// The processor of each queue, where the table names one.
    processors: [Option<ProcessorNumber>; MAX_QUEUES as usize],
}

impl Placement {
    /// Deals the processors of the table out to `queues` queues.
    pub(crate) fn new(parameters: &RssParameters, queues: usize) -> Self {
        let mut placement = Self {
            mapping: [0; MAX_ENTRIES],
            entries: parameters.table().len(),
            processors: [None; MAX_QUEUES as usize],
        };
        let mut seen = [Processor::default(); MAX_ENTRIES];
        let mut count = 0_usize;
        for (place, processor) in placement.mapping.iter_mut().zip(parameters.table()) {
            let known = seen.iter().take(count).position(|other| other == processor);
            let nth = known.unwrap_or(count);
            if known.is_none() {
                if let Some(place) = seen.get_mut(count) {
                    *place = *processor;
                }
                count = count.saturating_add(1);
            }
            let queue = nth.checked_rem(queues).unwrap_or(0);
            *place = u16::try_from(queue).unwrap_or(0);
            if let Some(place) = placement.processors.get_mut(queue) {
                place.get_or_insert(ProcessorNumber {
                    group: processor.group,
                    number: processor.number,
                });
            }
        }
        placement
    }

    /// Queue of each entry of the table.
    pub(crate) fn mapping(&self) -> &[u16] {
        self.mapping.get(..self.entries).unwrap_or_default()
    }

    /// The processor of a queue, if the table has one for it.
    pub(crate) fn processor(&self, queue: usize) -> Option<ProcessorNumber> {
        self.processors.get(queue).copied().flatten()
    }
}
