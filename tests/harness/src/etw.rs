//! Event tracing (`Etw`): providers and captured events.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use spin::Mutex;

use crate::ex::pool::calling_driver;
use crate::export::{Module, exports};
use crate::host::context::kernel;
use crate::mem::guest::{Guest, read_bytes};
use crate::rules;

const STATUS_INVALID_HANDLE: i32 = 0xC000_0008_u32.cast_signed();

exports! { Module::Ntoskrnl;
    EtwRegister = register, 0..=0;
    EtwUnregister = unregister, 0..=0;
    EtwWrite = write, 0..=15;
    EtwWriteTransfer = write_transfer, 0..=15;
    EtwProviderEnabled = provider_enabled, 0..=15;
    EtwEventEnabled = event_enabled, 0..=15;
    EtwSetInformation = set_information, 0..=1;
}

/// One captured event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceEvent {
    /// Virtual time, 100 ns units.
    pub time: u64,
    /// The provider's GUID, as in memory.
    pub provider: [u8; 16],
    /// Event id of the descriptor.
    pub id: u16,
    /// Payload, all pieces joined.
    pub data: Vec<u8>,
}

/// Providers by handle, and what they wrote.
#[derive(Debug, Default)]
pub(crate) struct Etw {
    providers: Mutex<BTreeMap<u64, ([u8; 16], String)>>,
    events: Mutex<Vec<TraceEvent>>,
}

impl Etw {
    pub(crate) fn events(&self) -> Vec<TraceEvent> {
        self.events.lock().clone()
    }

    pub(crate) fn owned_by(&self, owner: &str) -> usize {
        self.providers
            .lock()
            .values()
            .filter(|(_, by)| by == owner)
            .count()
    }
}

extern "win64" fn register(guid: usize, _callback: usize, _context: usize, out: *mut u64) -> i32 {
    let mut bytes = [0; 16];
    read_bytes(guid, &mut bytes);
    let etw = &kernel().etw;
    let handle = etw
        .providers
        .lock()
        .keys()
        .next_back()
        .copied()
        .unwrap_or(0x1000)
        + 8;
    etw.providers
        .lock()
        .insert(handle, (bytes, calling_driver()));
    Guest::from(out).store(handle);
    0
}

extern "win64" fn unregister(handle: u64) -> i32 {
    if kernel().etw.providers.lock().remove(&handle).is_some() {
        return 0;
    }
    rules::violate(
        &rules::OBJECT,
        format!("EtwUnregister: {handle:#x} is not registered"),
    );
    STATUS_INVALID_HANDLE
}

extern "win64" fn write(
    handle: u64,
    descriptor: usize,
    _activity: usize,
    count: u32,
    data: usize,
) -> i32 {
    let kernel = kernel();
    let provider = kernel
        .etw
        .providers
        .lock()
        .get(&handle)
        .map(|(guid, _)| *guid);
    let Some(provider) = provider else {
        return STATUS_INVALID_HANDLE;
    };
    let mut all = Vec::new();
    for index in 0..count.min(128) as usize {
        // EVENT_DATA_DESCRIPTOR: pointer, size, reserved.
        let piece = data + index * 16;
        let mut bytes = vec![0; Guest::<u32>::new(piece + 8).load() as usize];
        read_bytes(Guest::<usize>::new(piece).load(), &mut bytes);
        all.extend_from_slice(&bytes);
    }
    let id = Guest::<u16>::new(descriptor).load();
    kernel.etw.events.lock().push(TraceEvent {
        time: kernel.sched.now(),
        provider,
        id,
        data: all,
    });
    0
}

extern "win64" fn write_transfer(
    handle: u64,
    descriptor: usize,
    activity: usize,
    _related: usize,
    count: u32,
    data: usize,
) -> i32 {
    write(handle, descriptor, activity, count, data)
}

extern "win64" fn provider_enabled(_handle: u64, _level: u8, _keyword: u64) -> u8 {
    1
}

extern "win64" fn event_enabled(_handle: u64, _descriptor: usize) -> u8 {
    1
}

extern "win64" fn set_information(_handle: u64, _class: i32, _data: usize, _len: u32) -> i32 {
    0
}
