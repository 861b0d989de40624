//! Every frame of a capture: the driver's hash is the backend's, and that of the script which made the capture.

use std::collections::BTreeSet;
use std::path::Path;

use ndis_sys as sys;
use netback_model::FrameMeta;
use world::captured;
use world::rss::{ALL_TYPES, KEY, NETIF_TYPES};

use super::support::Bench;

/// What tests/data/mixed-frames.py says of a frame, by its number.
struct Expected {
    kind: String,
    netif: Option<(u32, u32)>,
    ndis: Option<(u32, u32)>,
}

fn hash_type(name: &str) -> u32 {
    match name {
        "ipv4" => sys::NDIS_HASH_IPV4,
        "tcpv4" => sys::NDIS_HASH_TCP_IPV4,
        "udpv4" => sys::NDIS_HASH_UDP_IPV4,
        "ipv6" => sys::NDIS_HASH_IPV6,
        "tcpv6" => sys::NDIS_HASH_TCP_IPV6,
        "udpv6" => sys::NDIS_HASH_UDP_IPV6,
        "ipv6-ex" => sys::NDIS_HASH_IPV6_EX,
        "tcpv6-ex" => sys::NDIS_HASH_TCP_IPV6_EX,
        "udpv6-ex" => sys::NDIS_HASH_UDP_IPV6_EX,
        other => panic!("hash type {other}"),
    }
}

fn data(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data");
    std::fs::read(folder.join(name)).expect("a file of tests/data")
}

fn expected() -> Vec<Expected> {
    let text = String::from_utf8(data("mixed-frames.csv")).expect("text");
    text.lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let hash = |at: usize| {
                (cells[at] != "-").then(|| {
                    let value = u32::from_str_radix(cells[at + 1], 16).expect("a hash");
                    (hash_type(cells[at]), value)
                })
            };
            Expected {
                kind: cells[1].to_owned(),
                netif: hash(2),
                ndis: hash(4),
            }
        })
        .collect()
}

/// A frame's number: its last bytes, whatever a driver does to its beginning.
fn number(bytes: &[u8]) -> usize {
    let last: [u8; 4] = bytes[bytes.len() - 4..].try_into().expect("four bytes");
    usize::try_from(u32::from_be_bytes(last)).expect("a number")
}

#[test]
fn every_frame_of_a_mixed_capture_hashes_as_at_the_backend_and_in_the_script() {
    let frames = captured::parse(&data("mixed-frames.pcapng"));
    let expected = expected();
    assert_eq!(frames.len(), expected.len());
    let kinds: BTreeSet<&str> = expected.iter().map(|row| row.kind.as_str()).collect();
    assert!(frames.len() > 250 && kinds.len() == 29, "{kinds:?}");
    for (seed, types, ctrl_ring) in [
        (580, NETIF_TYPES, true),
        (582, ALL_TYPES, true),
        (583, ALL_TYPES, false),
    ] {
        let mut bench = Bench::new(4, 4, 64, seed, ctrl_ring);
        bench.set(&bench.plain(types));
        let mac = Bench::mac();
        for (nth, frame) in frames.iter().enumerate() {
            assert_eq!(number(&frame.bytes), nth);
            let mut bytes = frame.bytes.clone();
            bytes[..6].copy_from_slice(&mac);
            bench.push(bytes, FrameMeta::default());
            if nth % 32 == 31 {
                bench.settle();
            }
        }
        bench.settle();
        let mut seen = BTreeSet::new();
        let backend = bench
            .world
            .xen(|xen| xen.vifs[&0].backend.hash_state().clone());
        for frame in bench.received() {
            let nth = number(&frame.bytes);
            let row = &expected[nth];
            let information = frame.slot(sys::NetBufferListHashInfo);
            let value = frame.slot(sys::NetBufferListHashValue);
            let told = (information != 0).then(|| {
                assert_eq!(information & 0xFF, 1, "Toeplitz");
                let kind = u32::try_from(information & !0xFF).expect("a type");
                (kind, u32::try_from(value).expect("32 bits"))
            });
            let wanted = if types == NETIF_TYPES {
                row.netif
            } else {
                row.ndis
            };
            assert_eq!(told, wanted, "frame {nth}, {}, {types:#x}", row.kind);
            if types == NETIF_TYPES {
                // The driver has taken the tag off, behind which a backend does not look.
                let theirs = backend.hash(&frame.bytes).map(|hash| hash.value);
                assert_eq!(told.map(|(_, value)| value), theirs, "frame {nth}");
            }
            assert!(seen.insert(nth), "frame {nth} twice");
        }
        assert_eq!(seen.len(), frames.len(), "{}", bench.world.story());
        if ctrl_ring {
            assert_eq!((backend.algorithm, backend.key), (1, KEY));
            let (hash, _) = bench.report();
            assert_eq!(hash.mismatches, 0);
            // All but those with a tag come with a hash; the first ones are not believed without a look, and none is if a better
            // type could fit.
            let with_hash = hash.from_backend + hash.checked;
            assert!(types == ALL_TYPES || with_hash > 200, "{hash:?}");
        }
        bench.end();
    }
}
