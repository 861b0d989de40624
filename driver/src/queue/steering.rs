//! The hash of a received frame, and the processor it is for.

use core::sync::atomic::Ordering;

use ndis::chain::Nbl;
use netfront_core::rx::RxPacket;
use nt::pool::{OutOfMemory, Pages, PoolSlice};
use rss::{ByteTables, FrameHash, INPUT_MAX, Steered, Steering};

use super::stock::{self, Piece};
use crate::{TAG, scaling};

/// Bytes of a frame that are looked at: no longer chain of headers is hashed but by its addresses.
const WINDOW: usize = 256;
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

/// The first bytes of a frame.
struct Window {
    bytes: [u8; WINDOW],
    len: usize,
}

impl Window {
    fn of(page: &Pages, first: &Piece) -> Self {
        let mut window = Self {
            bytes: [0; WINDOW],
            len: 0,
        };
        let bytes = page.bytes().get(first.offset as usize..);
        let bytes = bytes.unwrap_or_default().iter().take(first.length as usize);
        for (place, byte) in window.bytes.iter_mut().zip(bytes) {
            *place = byte.load(Ordering::Relaxed);
            window.len = window.len.saturating_add(1);
        }
        window
    }
}

impl AsRef<[u8]> for Window {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Finds a frame's hash and the processor it is for. `first` is the frame's first piece, in `page`, without VLAN tag; it is
/// no longer the backend's.
pub(super) fn steer(
    steering: &mut Steering<HashTables>,
    packet: &RxPacket<'_>,
    page: &Pages,
    first: &Piece,
) -> Steered {
    let told = packet.hash.map(|(kind, value)| FrameHash {
        value,
        hash_type: scaling::hash_type(kind),
    });
    let at = (first.offset as usize).saturating_add(ETHERTYPE);
    let [high, low, ..] = crate::shared_page::address_at(page, at);
    let ethertype = u16::from_be_bytes([high, low]);
    steering.steer(told, ethertype, || Window::of(page, first))
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
