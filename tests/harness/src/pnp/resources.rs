//! Hardware resources: what a root device has, what its driver asks for, what it is given.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use wdk_sys::{
    CM_PARTIAL_RESOURCE_DESCRIPTOR, CM_RESOURCE_LIST, IO_RESOURCE_DESCRIPTOR,
    IO_RESOURCE_REQUIREMENTS_LIST,
};

use super::{minor, request};
use crate::field;
use crate::host::context::kernel;
use crate::mem::guest::Guest;
use crate::rules;

/// Resource types: `CmResourceTypePort`, `Interrupt`, `Memory`.
const PORT: u8 = 1;
const INTERRUPT: u8 = 2;
const MEMORY: u8 = 3;
/// `CM_RESOURCE_INTERRUPT_LATCHED` and `CM_RESOURCE_INTERRUPT_MESSAGE`.
const LATCHED: u16 = 1;
const MESSAGE: u16 = 2;
/// Vector of the legacy line; its IRQL, as every vector's here, is the vector divided by 16.
pub const LINE_VECTOR: u32 = 0x39;
const FIRST_MESSAGE_VECTOR: u32 = 0x51;

/// One granted interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interrupt {
    pub vector: u32,
    pub irql: u8,
    pub affinity: u64,
    pub message: bool,
}

/// What a native device has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resources {
    /// Guest-physical start and length of its memory.
    pub memory: Option<(u64, u32)>,
    /// First port and number of ports.
    pub ports: Option<(u16, u32)>,
    /// It has the legacy interrupt line.
    pub line: bool,
    /// The interrupt controller's input of the line, if it is not the vector.
    pub input: Option<u32>,
    /// Requests to filter the requirements fail.
    pub line_only: bool,
    /// Interrupts granted at the last start.
    pub granted: Vec<Interrupt>,
}

const DESCRIPTOR: usize = size_of::<IO_RESOURCE_DESCRIPTOR>();

/// Builds the requirements list of a device in pool memory that drivers may free and replace.
fn requirements(resources: &Resources) -> usize {
    let mut wanted: Vec<(u8, u16, [u64; 3])> = Vec::new();
    if let Some((start, len)) = resources.memory {
        wanted.push((
            MEMORY,
            0,
            [
                u64::from(len) | (1 << 32),
                start,
                start + u64::from(len) - 1,
            ],
        ));
    }
    if let Some((first, count)) = resources.ports {
        let last = u64::from(first) + u64::from(count) - 1;
        wanted.push((
            PORT,
            1,
            [u64::from(count) | (1 << 32), u64::from(first), last],
        ));
    }
    if resources.line {
        wanted.push((
            INTERRUPT,
            0,
            [
                u64::from(LINE_VECTOR) | (u64::from(LINE_VECTOR) << 32),
                0,
                0,
            ],
        ));
    }
    let head = core::mem::offset_of!(IO_RESOURCE_REQUIREMENTS_LIST, List) + 8;
    let size = head + wanted.len().max(1) * DESCRIPTOR;
    let tag = u32::from_le_bytes(*b"PnpR");
    let kernel = kernel();
    let at = kernel
        .pool
        .allocate(size, tag, true, String::new())
        .expect("guest memory");
    crate::mem::guest::write_bytes(at, &vec![0; size]);
    let list = at as *mut IO_RESOURCE_REQUIREMENTS_LIST;
    field!(list, IO_RESOURCE_REQUIREMENTS_LIST, ListSize).store(u32::try_from(size).unwrap_or(0));
    field!(list, IO_RESOURCE_REQUIREMENTS_LIST, InterfaceType).store(5);
    field!(list, IO_RESOURCE_REQUIREMENTS_LIST, AlternativeLists).store(1);
    // IO_RESOURCE_LIST: version, revision, count.
    let inner = at + head - 8;
    Guest::<u16>::new(inner).store(1);
    Guest::<u16>::new(inner + 2).store(1);
    Guest::<u32>::new(inner + 4).store(u32::try_from(wanted.len()).unwrap_or(0));
    for (index, (kind, flags, words)) in wanted.into_iter().enumerate() {
        let slot = at + head + index * DESCRIPTOR;
        Guest::<u8>::new(slot + 1).store(kind);
        Guest::<u8>::new(slot + 2).store(if kind == INTERRUPT { 3 } else { 1 });
        Guest::<u16>::new(slot + 4).store(flags);
        for (word, value) in words.into_iter().enumerate() {
            Guest::<u64>::new(slot + 8).index(word).store(value);
        }
    }
    at
}

/// One resource as it is granted: type, flags, three words of `u`.
#[derive(Clone, Debug)]
struct Grant {
    kind: u8,
    flags: u16,
    words: [u32; 4],
}

impl Grant {
    /// The resource as the bus sees it: of the line, the input it is connected to, for level and for vector.
    fn raw(&self, resources: &Resources) -> Self {
        let mut raw = self.clone();
        if let Some(input) = resources.input
            && self.kind == INTERRUPT
            && self.flags & MESSAGE == 0
        {
            let group = self.words[0] & 0xFFFF_0000;
            raw.words[0] = group | input & 0xFFFF;
            raw.words[1] = input;
        }
        raw
    }
}

fn grant(list: usize, resources: &mut Resources) -> Vec<Grant> {
    let head = core::mem::offset_of!(IO_RESOURCE_REQUIREMENTS_LIST, List) + 8;
    let count = Guest::<u32>::new(list + head - 4).load() as usize;
    resources.granted.clear();
    let mut grants = Vec::new();
    let mut vector = FIRST_MESSAGE_VECTOR;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "descriptors hold 64-bit values as two words"
    )]
    let halves = |value: u64| [value as u32, (value >> 32) as u32];
    for index in 0..count.min(256) {
        let slot = list + head + index * DESCRIPTOR;
        // Alternatives to the descriptor before are not taken: the first choice is always free here.
        if Guest::<u8>::new(slot).load() & 8 != 0 {
            continue;
        }
        let kind = Guest::<u8>::new(slot + 1).load();
        let flags = Guest::<u16>::new(slot + 4).load();
        match kind {
            MEMORY | PORT => {
                let start = halves(Guest::<u64>::new(slot + 16).load());
                let len = Guest::<u32>::new(slot + 8).load();
                grants.push(Grant {
                    kind,
                    flags,
                    words: [start[0], start[1], len, 0],
                });
            }
            INTERRUPT => {
                let message = flags & MESSAGE != 0;
                let targeted = Guest::<u64>::new(slot + 24).load();
                let group = Guest::<u16>::new(slot + 18).load();
                let affinity = if targeted == 0 {
                    crate::ke::processor::mask_of(group)
                } else {
                    targeted
                };
                let number = if message { vector } else { LINE_VECTOR };
                vector += u32::from(message);
                if vector > 0xDF {
                    // The next free vector of each class wraps into another IRQL; NT would refuse.
                    break;
                }
                let irql = u8::try_from(number / 16).unwrap_or(3);
                resources.granted.push(Interrupt {
                    vector: number,
                    irql,
                    affinity,
                    message,
                });
                let mask = halves(affinity);
                let flags = if message { LATCHED | MESSAGE } else { flags };
                grants.push(Grant {
                    kind,
                    flags,
                    words: [
                        u32::from(irql) | u32::from(group) << 16,
                        number,
                        mask[0],
                        mask[1],
                    ],
                });
            }
            _ => {}
        }
    }
    grants
}

/// Writes a `CM_RESOURCE_LIST` to fresh guest memory.
fn resource_list(grants: &[Grant]) -> usize {
    let entry = size_of::<CM_PARTIAL_RESOURCE_DESCRIPTOR>();
    let head = core::mem::offset_of!(CM_RESOURCE_LIST, List) + 16;
    let at = kernel()
        .pool
        .allocate_own(head + entry * grants.len().max(1));
    Guest::<u32>::new(at).store(1);
    Guest::<u32>::new(at + 4).store(5);
    Guest::<u16>::new(at + 12).store(1);
    Guest::<u16>::new(at + 14).store(1);
    Guest::<u32>::new(at + 16).store(u32::try_from(grants.len()).unwrap_or(0));
    for (index, grant) in grants.iter().enumerate() {
        let slot = at + head + index * entry;
        Guest::<u8>::new(slot).store(grant.kind);
        Guest::<u8>::new(slot + 1).store(if grant.kind == INTERRUPT { 3 } else { 1 });
        Guest::<u16>::new(slot + 2).store(grant.flags);
        for (word, value) in grant.words.into_iter().enumerate() {
            Guest::<u32>::new(slot + 4).index(word).store(value);
        }
    }
    at
}

/// Asks the stack to filter its requirements, grants what it asks for, and starts the device.
pub(crate) fn start(device: usize) -> i32 {
    let kernel = kernel();
    let resources = kernel
        .io
        .devices
        .lock()
        .get(&device)
        .map(|device| device.resources.clone());
    let mut resources = resources.unwrap_or_default();
    let has_any = resources.memory.is_some() || resources.ports.is_some() || resources.line;
    let mut lists = [0, 0];
    if has_any {
        let list = requirements(&resources);
        let (status, information) =
            request(device, minor::FILTER_REQUIREMENTS, [list, 0, 0, 0], list);
        let chosen = if status >= 0 && information != 0 {
            information
        } else {
            list
        };
        if kernel.pool.size_of(chosen).is_none() {
            rules::violate(
                &rules::PNP,
                format!("filtered requirements at {chosen:#x} are no pool block"),
            );
            return super::STATUS_NOT_SUPPORTED;
        }
        let grants = grant(chosen, &mut resources);
        for block in [list, chosen] {
            if kernel.pool.size_of(block).is_some() {
                kernel.pool.free(block, None);
            }
        }
        let raw: Vec<Grant> = grants.iter().map(|grant| grant.raw(&resources)).collect();
        lists = [resource_list(&raw), resource_list(&grants)];
        if let Some(record) = kernel.io.devices.lock().get_mut(&device) {
            record.resources = resources;
        }
    }
    let (status, _) = request(device, minor::START, [lists[0], lists[1], 0, 0], 0);
    for list in lists.into_iter().filter(|list| *list != 0) {
        // Good only during the request: a driver that keeps a pointer into it is caught.
        kernel.pool.free(list, None);
    }
    status
}
