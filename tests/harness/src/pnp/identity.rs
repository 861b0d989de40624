//! What a bus driver says about a child: ids, capabilities, text, bus.

use super::{minor, request, take_answer};
use crate::host::context::kernel;
use crate::mem::guest::Guest;
use crate::rtl::log::read_wide;
use crate::rules;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A device's identification, from its bus driver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// `DeviceID`, such as `XENBUS\VIF`.
    pub device: String,
    /// `InstanceID`.
    pub instance: String,
    /// Hardware ids, most specific first.
    pub hardware: Vec<String>,
    /// Compatible ids.
    pub compatible: Vec<String>,
    /// Description shown to people.
    pub description: String,
    /// Location shown to people.
    pub location: String,
}

/// `MAX_DEVICE_ID_LEN`, including the NUL.
const LIMIT: usize = 200;

fn check(id: &str, what: &str, backslashes: Option<usize>) {
    let mut problems = Vec::new();
    if id.is_empty() || id.encode_utf16().count() + 1 > LIMIT {
        problems.push("its length");
    }
    if id.chars().any(|c| c <= ' ' || c > '\u{7F}' || c == ',') {
        problems.push("a character that ids must not have");
    }
    if backslashes.is_some_and(|count| id.matches('\\').count() != count) {
        problems.push("its number of backslashes");
    }
    for problem in problems {
        rules::violate(&rules::PNP_ID, format!("{what} {id:?}: {problem}"));
    }
}

/// The answer of a driver that lacks the memory for one: no fault of its own. The device is not used then.
const STATUS_INSUFFICIENT_RESOURCES: i32 = 0xC000_009A_u32.cast_signed();

/// Reports a child that gave no answer it must give, unless it could not.
fn missing(device: usize, status: i32, what: &str) {
    if status != STATUS_INSUFFICIENT_RESOURCES {
        rules::violate(&rules::PNP, format!("child {device:#x} has no {what}"));
    }
}

fn single(device: usize, kind: usize, what: &str) -> Option<String> {
    let (status, answer) = request(device, minor::QUERY_ID, [kind, 0, 0, 0], 0);
    if status < 0 || answer == 0 {
        missing(device, status, what);
    }
    (status >= 0 && answer != 0).then(|| take_answer(answer, what, |at| read_wide(at, 512)))
}

fn multiple(device: usize, kind: usize, what: &str) -> Vec<String> {
    let (status, answer) = request(device, minor::QUERY_ID, [kind, 0, 0, 0], 0);
    if status < 0 || answer == 0 {
        if kind == 1 {
            missing(device, status, what);
        }
        return Vec::new();
    }
    take_answer(answer, what, |at| {
        let mut list = Vec::new();
        let mut next = at;
        loop {
            let id = read_wide(next, 512);
            if id.is_empty() || list.len() > 64 {
                return list;
            }
            next += (id.encode_utf16().count() + 1) * 2;
            check(&id, what, None);
            list.push(id);
        }
    })
}

/// Asks a child for everything that identifies it, and checks the answers.
pub(crate) fn query(device: usize) -> Identity {
    let text = |kind: usize| {
        let (status, answer) = request(device, minor::QUERY_TEXT, [kind, 0x409, 0, 0], 0);
        if status < 0 || answer == 0 {
            return String::new();
        }
        take_answer(answer, "QUERY_DEVICE_TEXT", |at| read_wide(at, 512))
    };
    let device_id = single(device, 0, "DeviceID");
    if let Some(id) = &device_id {
        check(id, "DeviceID", Some(1));
    }
    let instance = single(device, 3, "InstanceID");
    if let Some(id) = &instance {
        check(id, "InstanceID", Some(0));
    }
    let hardware = multiple(device, 1, "HardwareID");
    let identity = Identity {
        device: device_id.unwrap_or_default(),
        instance: instance.unwrap_or_default(),
        hardware,
        compatible: multiple(device, 2, "CompatibleID"),
        description: text(0),
        location: text(1),
    };
    bus(device);
    capabilities(device);
    let (status, answer) = request(device, minor::QUERY_REQUIREMENTS, [0; 4], 0);
    if status >= 0 && answer != 0 {
        take_answer(answer, "QUERY_RESOURCE_REQUIREMENTS", |_| ());
    }
    identity
}

fn bus(device: usize) {
    let (status, answer) = request(device, minor::QUERY_BUS, [0; 4], 0);
    if status < 0 || answer == 0 {
        missing(device, status, "answer to QUERY_BUS_INFORMATION");
        return;
    }
    // PNP_BUS_INFORMATION: GUID, legacy type, number.
    take_answer(answer, "QUERY_BUS_INFORMATION", |at| {
        Guest::<u32>::new(at + 16).load()
    });
}

/// `DEVICE_CAPABILITIES`: size, version, bits, address, number, states.
fn capabilities(device: usize) {
    let size = size_of::<wdk_sys::DEVICE_CAPABILITIES>();
    let at = kernel().pool.allocate_own(size);
    Guest::<u16>::new(at).store(u16::try_from(size).unwrap_or(64));
    Guest::<u16>::new(at + 2).store(1);
    Guest::<u32>::new(at + 8).store(u32::MAX);
    Guest::<u32>::new(at + 12).store(u32::MAX);
    let (status, _) = request(device, minor::QUERY_CAPABILITIES, [at, 0, 0, 0], 0);
    let state = Guest::<u32>::new(at + 16);
    if status < 0 {
        rules::violate(
            &rules::PNP,
            format!("child {device:#x} does not answer QUERY_CAPABILITIES"),
        );
    } else if state.index(1).load() != 1 {
        // DeviceState[PowerSystemWorking] must be PowerDeviceD0.
        rules::violate(
            &rules::PNP,
            format!(
                "child {device:#x}: DeviceState[S0] is {}, not D0",
                state.index(1).load()
            ),
        );
    }
    kernel().pool.free(at, None);
}
