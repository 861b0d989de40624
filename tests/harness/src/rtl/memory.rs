//! Memory routines: `memcpy` and its family, as exported by ntoskrnl.exe.

use crate::export::{Module, exports};
use crate::mem::guest::{read_bytes, write_bytes};
use alloc::vec;
use alloc::vec::Vec;

exports! { Module::Ntoskrnl;
    memcpy = copy, 0..=15;
    memmove = copy, 0..=15;
    memset = set, 0..=15;
    memcmp = compare, 0..=15;
    RtlCompareMemory = equal_prefix, 0..=15;
    RtlCopyMemory = copy, 0..=15;
    RtlMoveMemory = copy, 0..=15;
    RtlFillMemory = fill, 0..=15;
    RtlZeroMemory = zero, 0..=15;
}

extern "win64" fn copy(to: usize, from: usize, len: usize) -> usize {
    let mut bytes = vec![0; len];
    read_bytes(from, &mut bytes);
    write_bytes(to, &bytes);
    to
}

extern "win64" fn set(to: usize, byte: i32, len: usize) -> usize {
    let byte = u8::try_from(byte & 0xFF).unwrap_or(0);
    write_bytes(to, &vec![byte; len]);
    to
}

extern "win64" fn fill(to: usize, len: usize, byte: u8) {
    write_bytes(to, &vec![byte; len]);
}

extern "win64" fn zero(to: usize, len: usize) {
    write_bytes(to, &vec![0; len]);
}

fn pair(a: usize, b: usize, len: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut left, mut right) = (vec![0; len], vec![0; len]);
    read_bytes(a, &mut left);
    read_bytes(b, &mut right);
    (left, right)
}

extern "win64" fn compare(a: usize, b: usize, len: usize) -> i32 {
    let (left, right) = pair(a, b, len);
    left.cmp(&right) as i32
}

extern "win64" fn equal_prefix(a: usize, b: usize, len: usize) -> usize {
    let (left, right) = pair(a, b, len);
    left.iter()
        .zip(&right)
        .take_while(|(left, right)| left == right)
        .count()
}
