//! The hash of a received frame, and the processor it is for.

use ndis::chain::Nbl;
use netfront_core::rx::RxPacket;
use nt::pool::{OutOfMemory, PoolSlice};
use rss::{ByteTables, FrameHash, INPUT_MAX, Steered, Steering};

use super::stock;
use crate::{TAG, scaling};

/// Where the Ethertype is in a frame without tag.
const ETHERTYPE: usize = 12;

/// The hash function's tables, off the stack.
#[derive(Debug)]
pub(crate) struct HashTables(PoolSlice<ByteTables>);

impl HashTables {
    pub(super) fn try_new() -> Result<Self, OutOfMemory> {
        PoolSlice::try_from_fn(TAG, INPUT_MAX, |_| ByteTables::ZERO).map(Self)
    }
}

impl AsRef<[ByteTables]> for HashTables {
    fn as_ref(&self) -> &[ByteTables] {
        &self.0
    }
}

impl AsMut<[ByteTables]> for HashTables {
    fn as_mut(&mut self) -> &mut [ByteTables] {
        &mut self.0
    }
}

/// Finds a frame's hash and the processor it is for. `head` is its first bytes without VLAN tag: no longer chain of headers is
/// hashed but by its addresses.
pub(super) fn steer(
    steering: &mut Steering<HashTables>,
    packet: &RxPacket<'_>,
    head: &[u8],
) -> Steered {
    let told = packet.hash.map(|(kind, value)| FrameHash {
        value,
        hash_type: scaling::hash_type(kind),
    });
    let ethertype = head.get(ETHERTYPE..).and_then(<[u8]>::first_chunk::<2>);
    let ethertype = ethertype.map_or(0, |bytes| u16::from_be_bytes(*bytes));
    steering.steer(told, ethertype, || head)
}

/// Writes what was found to the frame's list.
pub(super) fn note(steered: Steered, list: &mut Nbl) {
    if let Some(FrameHash { value, hash_type }) = steered.hash {
        list.set_hash(value, hash_type.bit());
    }
    if let Some(processor) = steered.processor {
        stock::set_target(list, processor);
    }
}
