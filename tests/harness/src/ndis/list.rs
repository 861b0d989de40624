//! `NET_BUFFER_LIST`s that NDIS passes down: built in guest memory, and compared when they come back.

use alloc::vec;
use alloc::vec::Vec;
use ndis_sys::{NET_BUFFER as Buffer, NET_BUFFER_LIST as List};
use wdk_sys::MDL;

use super::frame::{self, Mdls, SendList};
use super::{mdl, nt};
use crate::field;
use crate::host::context::kernel;
use crate::host::memory::{Access, PAGE};
use crate::mem::guest::{Guest, read_bytes};
use crate::mem::space::Frames;

/// `Status` of a list that the driver has not set. Customer and severity bits make it no code of NDIS.
pub(crate) const NO_STATUS: i32 = 0x6EAD_BEEF;
/// Contents of the areas that are the protocol's and NDIS's while the miniport has the list.
const NOT_YOURS: u8 = 0x9B;

/// One list in guest memory.
#[derive(Debug)]
pub(crate) struct Built {
    /// Address of the list.
    pub(crate) at: usize,
    block: usize,
    /// Contents of the block when it was handed over, and the parts of it that must come back so.
    before: Vec<u8>,
    fixed: Vec<(usize, usize, &'static str)>,
    mdls: Vec<usize>,
    /// Data of each frame: pages, and address and bytes of each piece.
    data: Vec<Data>,
}

#[derive(Debug)]
struct Data {
    pages: usize,
    count: usize,
    pieces: Vec<(usize, Vec<u8>)>,
}

/// Puts a frame's pieces in pages that the driver may read and not write, each on a byte boundary of the
/// seed's choice.
fn lay_out(contents: &[Vec<u8>]) -> Data {
    let kernel = kernel();
    let mut at = kernel.sched.rng.lock().below(64) as usize;
    let mut places = Vec::new();
    for bytes in contents {
        places.push(at);
        at += bytes.len();
        let mut rng = kernel.sched.rng.lock();
        // Sometimes the next piece follows closely, sometimes it is anywhere in another page.
        if rng.below(4) == 0 {
            at = at.next_multiple_of(PAGE) + rng.below(u32::try_from(PAGE).unwrap_or(0)) as usize;
        } else {
            at += rng.below(40) as usize;
        }
    }
    let count = at.div_ceil(PAGE).max(1);
    let pages = kernel
        .space
        .allocate(count, Frames::Scattered, Access::Read, 0xEE)
        .expect("guest memory: give the harness more RAM");
    let mut pieces = Vec::new();
    for (place, bytes) in places.into_iter().zip(contents) {
        let _ = kernel.space.write(pages + place, bytes);
        pieces.push((pages + place, bytes.clone()));
    }
    Data {
        pages,
        count,
        pieces,
    }
}

/// What stands where in a list's block.
struct Plan {
    buffers: Vec<usize>,
    mdls: Vec<Vec<usize>>,
    size: usize,
}

const BUFFERS: usize = size_of::<List>().next_multiple_of(16);

fn plan(data: &[Data]) -> Plan {
    let mut size = BUFFERS;
    let mut buffers = Vec::new();
    let mut mdls = Vec::new();
    for frame in data {
        buffers.push(size);
        size += size_of::<Buffer>().next_multiple_of(16);
        let mut own = Vec::new();
        for (address, bytes) in &frame.pieces {
            own.push(size);
            size += mdl::bytes_for(*address, bytes.len()).next_multiple_of(16);
        }
        mdls.push(own);
    }
    Plan {
        buffers,
        mdls,
        size,
    }
}

/// Builds the list. `source` is the handle of the binding that sends it.
pub(crate) fn build(list: &SendList, source: usize) -> Built {
    let kernel = kernel();
    let chains: Vec<Mdls> = list
        .frames
        .iter()
        .map(|frame| frame::mdls(frame, &mut kernel.sched.rng.lock()))
        .collect();
    let data: Vec<Data> = chains
        .iter()
        .map(|chain| lay_out(&chain.contents))
        .collect();
    let plan = plan(&data);
    let block = kernel.pool.allocate_own(plan.size);
    let mut fixed = Vec::new();
    let mut mdls = Vec::new();
    for (index, frame) in list.frames.iter().enumerate() {
        let own: Vec<usize> = plan.mdls[index]
            .iter()
            .map(|offset| block + offset)
            .collect();
        let flags = if frame.unmapped {
            mdl::LOCKED
        } else {
            mdl::NONPAGED
        };
        for ((place, bytes), at) in data[index].pieces.iter().zip(&own) {
            mdl::describe(*at, *place, bytes.len(), flags);
        }
        for pair in own.windows(2) {
            field!(pair[0] as *mut MDL, MDL, Next).store(pair[1] as *mut MDL);
        }
        for at in &own {
            let offset = at - block;
            fixed.push((offset, offset + 10, "MDL.Next or Size"));
            let start = offset + core::mem::offset_of!(MDL, StartVa);
            fixed.push((start, start + 16, "MDL.StartVa, ByteCount or ByteOffset"));
        }
        let next = plan
            .buffers
            .get(index + 1)
            .map_or(0, |offset| block + offset);
        let chain = &chains[index];
        let before = &chain.contents[..chain.current];
        let place = Place {
            chain: own[0],
            current: own[chain.current],
            skip: chain.skip,
            offset: before.iter().map(Vec::len).sum::<usize>() + chain.skip,
        };
        buffer(block + plan.buffers[index], next, place, frame.bytes.len());
        let offset = plan.buffers[index];
        fixed.push((
            offset,
            offset + core::mem::offset_of!(Buffer, HeaderPadding),
            "NET_BUFFER links or length",
        ));
        let reserved = core::mem::offset_of!(Buffer, NdisPoolHandle);
        let end = core::mem::offset_of!(Buffer, MiniportReserved);
        fixed.push((
            offset + reserved,
            offset + end,
            "NdisReserved or ProtocolReserved of a NET_BUFFER",
        ));
        mdls.extend(own);
    }
    header(block, block + plan.buffers[0], source, &list.info);
    let first = core::mem::offset_of!(List, FirstNetBuffer);
    fixed.push((
        first,
        core::mem::offset_of!(List, MiniportReserved),
        "NET_BUFFER_LIST links or reserved areas",
    ));
    let source = core::mem::offset_of!(List, SourceHandle);
    fixed.push((source, source + 8, "SourceHandle of a NET_BUFFER_LIST"));
    let mut before = vec![0; plan.size];
    read_bytes(block, &mut before);
    Built {
        at: block,
        block,
        before,
        fixed,
        mdls,
        data,
    }
}

fn poison(from: usize, to: usize) {
    crate::mem::guest::write_bytes(from, &vec![NOT_YOURS; to - from]);
}

/// Where a frame begins in its chain.
#[derive(Clone, Copy)]
struct Place {
    chain: usize,
    current: usize,
    skip: usize,
    offset: usize,
}

fn buffer(at: usize, next: usize, place: Place, len: usize) {
    let raw = at as *mut Buffer;
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    field!(raw, Buffer, Next).store(next as *mut Buffer);
    field!(raw, Buffer, CurrentMdl).store(place.current as *mut MDL);
    field!(raw, Buffer, CurrentMdlOffset).store(number(place.skip));
    field!(raw, Buffer, MdlChain).store(place.chain as *mut MDL);
    field!(raw, Buffer, DataOffset).store(number(place.offset));
    // Only the low half is the frame's length; the rest of the word is another union member's.
    field!(raw, Buffer, stDataLength).store(len);
    let reserved = core::mem::offset_of!(Buffer, NdisReserved);
    poison(
        at + reserved,
        at + core::mem::offset_of!(Buffer, MiniportReserved),
    );
}

fn header(at: usize, first: usize, source: usize, info: &[(usize, u64)]) {
    let raw = at as *mut List;
    field!(raw, List, FirstNetBuffer).store(first as *mut Buffer);
    field!(raw, List, SourceHandle)
        .cast::<usize>()
        .store(source);
    field!(raw, List, Status).store(NO_STATUS);
    let reserved = core::mem::offset_of!(List, NdisReserved);
    poison(
        at + reserved,
        at + core::mem::offset_of!(List, MiniportReserved),
    );
    for (slot, value) in info {
        slot_of(at, *slot).store(*value);
    }
}

/// An out-of-band slot of a list.
pub(crate) fn slot_of(list: usize, slot: usize) -> Guest<u64> {
    field!(list as *mut List, List, NetBufferListInfo)
        .cast::<u64>()
        .index(slot)
}

impl Built {
    /// The first thing of the list that is not as it was handed over, if there is one.
    pub(crate) fn changed(&self) -> Option<&'static str> {
        let mut after = vec![0; self.before.len()];
        read_bytes(self.block, &mut after);
        let differs = |from: usize, to: usize| after.get(from..to) != self.before.get(from..to);
        self.fixed
            .iter()
            .find(|(from, to, _)| differs(*from, *to))
            .map(|(_, _, what)| *what)
    }

    /// Whether a byte of the frames was changed.
    pub(crate) fn data_changed(&self) -> bool {
        self.data
            .iter()
            .flat_map(|frame| &frame.pieces)
            .any(|(at, bytes)| {
                let mut now = vec![0; bytes.len()];
                kernel().space.read(*at, &mut now).is_none() || now != *bytes
            })
    }

    /// Makes all of it inaccessible.
    pub(crate) fn free(self) {
        let kernel = kernel();
        for at in self.mdls {
            let piece = mdl::piece(at);
            let flags = field!(at as *mut MDL, MDL, MdlFlags).load();
            if flags & mdl::MAPPED != 0 {
                nt::call("MmUnmapLockedPages", &[piece.address, at]);
            }
        }
        kernel.pool.free(self.block, None);
        for frame in self.data {
            kernel.space.free(frame.pages, frame.count);
        }
    }
}
