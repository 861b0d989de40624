//! Event tracing (`Etw`): providers and captured events.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use core::sync::atomic::{AtomicBool, Ordering};

use spin::Mutex;

use crate::ex::pool::calling_driver;
use crate::export::{Module, exports};
use crate::host::context::kernel;
use crate::mem::guest::{Guest, read_bytes};
use crate::rules;
use crate::trace_event::TraceEvent;

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

/// Providers by handle, and what they wrote.
#[derive(Debug, Default)]
pub(crate) struct Etw {
    providers: Mutex<BTreeMap<u64, ([u8; 16], String)>>,
    events: Mutex<Vec<TraceEvent>>,
    /// A session listens to every provider, from its registration on.
    listening: AtomicBool,
}

impl Etw {
    pub(crate) fn listen(&self) {
        self.listening.store(true, Ordering::Release);
    }

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

/// `EVENT_CONTROL_CODE_ENABLE_PROVIDER`, and `TRACE_LEVEL_VERBOSE`.
const ENABLE: usize = 1;
const VERBOSE: usize = 5;

extern "win64" fn register(guid: usize, callback: usize, context: usize, out: *mut u64) -> i32 {
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
    if callback != 0 && etw.listening.load(Ordering::Acquire) {
        let arguments = [guid, ENABLE, VERBOSE, usize::MAX, 0, 0, context];
        crate::driver::invoke("the provider's enable callback", callback, &arguments);
    }
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
    let mut event = TraceEvent {
        time: kernel.sched.now(),
        provider,
        id: Guest::<u16>::new(descriptor).load(),
        level: Guest::<u8>::new(descriptor + 4).load(),
        keyword: Guest::<u64>::new(descriptor + 8).load(),
        ..TraceEvent::default()
    };
    for index in 0..count.min(128) as usize {
        // EVENT_DATA_DESCRIPTOR: pointer, size, type and reserved bytes.
        let piece = data + index * 16;
        let mut bytes = vec![0; Guest::<u32>::new(piece + 8).load() as usize];
        read_bytes(Guest::<usize>::new(piece).load(), &mut bytes);
        match Guest::<u8>::new(piece + 12).load() {
            1 => event.event_metadata.extend_from_slice(&bytes),
            2 => event.provider_metadata.extend_from_slice(&bytes),
            _ => event.data.extend_from_slice(&bytes),
        }
    }
    kernel.etw.events.lock().push(event);
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
