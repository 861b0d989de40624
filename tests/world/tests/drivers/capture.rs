//! The capture: read by our parser of pcapng and by one of the protocols in it that is written here, from the formats'
//! descriptions, and by `tshark` where that is installed.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use netback_model::Preset;
use world::scenario::{PEER_MAC, exchange, few_buffers, guest_on};
use world::{Capture, Peer, Stack, World, captured};

const WINDOW: usize = 16 * 1024;

/// A big-endian number of 16 bits.
fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The Internet checksum; 0 over data that holds its own.
fn checksum(parts: &[&[u8]]) -> u16 {
    let bytes = parts.concat();
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded")
}

/// Bytes of TCP payload in a frame; panics if anything is malformed.
fn payload(frame: &[u8]) -> usize {
    assert!((42..=1514).contains(&frame.len()), "{} bytes", frame.len());
    match word(frame, 12) {
        0x0806 => {
            assert_eq!(
                (word(frame, 14), word(frame, 16)),
                (1, 0x0800),
                "ARP for IPv4 on Ethernet"
            );
            0
        }
        0x0800 => {
            let ip = &frame[14..];
            assert_eq!(ip[0], 0x45);
            let total = usize::from(word(ip, 2));
            assert!(total <= ip.len());
            assert_eq!(checksum(&[&ip[..20]]), 0, "IPv4 checksum");
            assert_eq!(ip[9], 6, "TCP only");
            let tcp = &ip[20..total];
            let length = u16::try_from(tcp.len()).expect("a frame").to_be_bytes();
            let pseudo = [&ip[12..20], &[0, 6], &length[..]].concat();
            assert_eq!(checksum(&[&pseudo, tcp]), 0, "TCP checksum");
            let header = usize::from(tcp[12] >> 4) * 4;
            assert!((20..=tcp.len()).contains(&header));
            tcp.len() - header
        }
        other => panic!("ethertype {other:#x}"),
    }
}

fn capture(path: &Path) -> u64 {
    let file = BufWriter::new(File::create(path).expect("a file in the target folder"));
    let capture = Capture::new(Box::new(file), 1 << 24).expect("a header");
    let mut world = World::builder().cpus(2).seed(900).build();
    few_buffers(&world, 1);
    let peer = Peer::new(Stack::new(PEER_MAC, 1, 1500, WINDOW, 7), Some(capture));
    world.add_vif(World::vif_config(Preset::Linux, 0), peer.clone());
    world.boot();
    world.wait_connected(0);
    let mut guest = guest_on(world.interfaces()[0], 0, WINDOW);
    exchange(&mut world, &peer, &mut guest, 5001, 200_000);
    world.tear_down();
    let capture = peer.take_capture().expect("it had one");
    let (frames, omitted) = capture.counts();
    assert_eq!(omitted, 0);
    capture.finish().expect("a file in the target folder");
    frames
}

/// `tshark`'s frames, and those it calls malformed or wrong.
fn tshark(path: &Path) -> Option<(usize, String)> {
    let run = |filter: &str| {
        let output = Command::new("tshark")
            .args(["-o", "tcp.check_checksum:TRUE", "-r"])
            .arg(path)
            .args(["-Y", filter])
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Some(text)
    };
    let all = run("frame")?;
    let bad = run("_ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0")?;
    Some((all.lines().count(), bad))
}

#[test]
fn the_capture_is_whole_and_nothing_in_it_is_malformed() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("capture.pcapng");
    let written = capture(&path);
    let frames = captured::parse(&std::fs::read(&path).expect("written just now"));
    assert_eq!(frames.len() as u64, written);
    assert!(frames.is_sorted_by_key(|frame| frame.nanoseconds));
    let carried = |outbound| -> usize {
        frames
            .iter()
            .filter(|frame| frame.outbound == outbound)
            .map(|frame| payload(&frame.bytes))
            .sum()
    };
    assert!(carried(true) >= 200_000 && carried(false) >= 200_000);
    match tshark(&path) {
        Some((count, bad)) => {
            assert_eq!(count as u64, written);
            assert_eq!(bad, "");
        }
        None => {
            // Not println!, which the test runner keeps to itself.
            let _ = writeln!(
                std::io::stderr(),
                "NOT RUN: tshark on the capture: not installed"
            );
        }
    }
}
