//! `NdisWriteErrorLogEntry`: what drivers write to the event log.

use super::adapter;
use super::contract::ERROR_LOG;
use crate::export::{Module, exports};
use crate::host::context::kernel;
use crate::rules;
use alloc::format;
use alloc::vec::Vec;

exports! { Module::Ndis;
    NdisWriteErrorLogEntry = write, 0..=2;
}

/// One entry of the event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorLogEntry {
    /// `NDIS_ERROR_CODE_*`.
    pub code: u32,
    /// The values that followed.
    pub values: Vec<u32>,
    /// Virtual time.
    pub time: u64,
}

/// A variadic function of C passes its arguments as any other; up to five values are taken.
#[expect(
    clippy::cast_possible_truncation,
    reason = "each value is a ULONG in a 64-bit slot"
)]
extern "win64" fn write(
    handle: usize,
    code: u32,
    count: u32,
    first: usize,
    second: usize,
    third: usize,
    fourth: usize,
    fifth: usize,
) {
    adapter::expect_handle(handle, "NdisWriteErrorLogEntry");
    let values: Vec<u32> = [first, second, third, fourth, fifth]
        .into_iter()
        .take(count as usize)
        .map(|value| value as u32)
        .collect();
    if count > 5 {
        rules::violate(
            &ERROR_LOG,
            format!("NdisWriteErrorLogEntry with {count} values"),
        );
    }
    // NDIS's codes are 5000 to 5015, with a severity on top.
    if !(0x1388..=0x13A0).contains(&(code & 0xFFFF)) {
        rules::violate(
            &ERROR_LOG,
            format!("NdisWriteErrorLogEntry with code {code:#x}"),
        );
    }
    let kernel = kernel();
    let entry = ErrorLogEntry {
        code,
        values,
        time: kernel.sched.now(),
    };
    kernel.ndis.errors.lock().push(entry);
}
