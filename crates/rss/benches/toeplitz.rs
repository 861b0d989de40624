//! How fast the hash is, as ratios in one run: against the definition, bit by bit, and against a plain copy of the input.
//!
//! Writes JSON to the file named by the first argument that is no option; `cargo xtask bench` names target/bench/toeplitz.json.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use rss::{HashTypes, INPUT_MAX, KEY_LEN, Toeplitz, hash_frame};

/// Measured for at least this long each.
const LEAST: Duration = Duration::from_millis(200);
/// Best of so many.
const ROUNDS: usize = 5;
/// Different inputs, so that no branch and no load is learnt.
const INPUTS: usize = 256;

/// The definition: for each set bit of the input the 32 key bits from its place on.
fn bitwise(key: &[u8; KEY_LEN], input: &[u8]) -> u32 {
    let mut window = u64::from_be_bytes(key[..8].try_into().unwrap());
    let mut hash = 0;
    for (at, byte) in input.iter().enumerate() {
        for bit in (0..8).rev() {
            if byte >> bit & 1 == 1 {
                hash ^= u32::try_from(window >> 32).unwrap();
            }
            window <<= 1;
        }
        let next = key.get(at + 8).copied().unwrap_or(0);
        window |= u64::from(next);
    }
    hash
}

/// Nanoseconds of one call, the best round.
fn measure(mut call: impl FnMut(usize)) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let (start, mut calls) = (Instant::now(), 0_u32);
        while start.elapsed() < LEAST {
            for nth in 0..INPUTS {
                call(nth);
            }
            calls += 256;
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(calls));
    }
    best
}

fn main() {
    let mut seed = 1_u64;
    let mut byte = || {
        seed = seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        (seed >> 56) as u8
    };
    let mut key = [0; KEY_LEN];
    key.fill_with(&mut byte);
    let mut inputs = vec![[0; INPUT_MAX]; INPUTS];
    for input in &mut inputs {
        input.fill_with(&mut byte);
    }
    let toeplitz = Toeplitz::new(&key);
    assert_eq!(toeplitz.hash(&inputs[0]), bitwise(&key, &inputs[0]));
    let mut rows = String::new();
    for (name, len) in [
        ("ipv4", 8),
        ("tcp-ipv4", 12),
        ("ipv6", 32),
        ("tcp-ipv6", 36),
    ] {
        let tables = measure(|nth| {
            black_box(toeplitz.hash(black_box(&inputs[nth][..len])));
        });
        let bits = measure(|nth| {
            black_box(bitwise(&key, black_box(&inputs[nth][..len])));
        });
        let copy = measure(|nth| {
            let mut to = [0; INPUT_MAX];
            to[..len].copy_from_slice(black_box(&inputs[nth][..len]));
            black_box(&to);
        });
        let (faster, copies) = (bits / tables, tables / copy);
        println!(
            "{name:9} {len:2} bytes: {tables:6.1} ns by tables, {bits:6.1} ns bit by bit ({faster:.1} times as long), \
             {copy:5.1} ns for a copy (the hash takes {copies:.1} times as long)"
        );
        let comma = if rows.is_empty() { "" } else { ",\n" };
        let _ = write!(
            rows,
            "{comma}    {{\"input\": \"{name}\", \"bytes\": {len}, \"tables_ns\": {tables:.2}, \"bitwise_ns\": {bits:.2}, \"copy_ns\": {copy:.2}, \"bitwise_to_tables\": {faster:.2}, \"tables_to_copy\": {copies:.2}}}"
        );
    }
    let mut frame = vec![0_u8; 74];
    frame[12..15].copy_from_slice(&[0x08, 0x00, 0x45]);
    frame[23] = 6;
    let whole = measure(|nth| {
        frame[26..38].copy_from_slice(&inputs[nth][..12]);
        black_box(hash_frame(&toeplitz, black_box(&frame), HashTypes::ALL));
    });
    let mut other = Toeplitz::new(&key);
    let set_key = measure(|nth| {
        key[nth % KEY_LEN] ^= 1;
        other.set_key(black_box(&key));
    });
    println!("a TCP/IPv4 frame, headers and hash: {whole:.1} ns; a new key: {set_key:.0} ns");
    let json = format!(
        "{{\n  \"hash\": [\n{rows}\n  ],\n  \"frame_tcp_ipv4_ns\": {whole:.2},\n  \"new_key_ns\": {set_key:.1}\n}}\n"
    );
    if let Some(path) = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'))
    {
        std::fs::write(&path, json).expect("the file can be written");
        println!("{path}");
    }
}
