//! The verification suite of Microsoft's "Verifying the RSS Hash Calculation", through whole frames.
mod frames;

use frames::{KEY, ipv4, ipv6, tcp};
use rss::{FrameHash, HashType, HashTypes, Toeplitz, hash_frame};

struct Vector {
    source: &'static str,
    destination: &'static str,
    source_port: u16,
    destination_port: u16,
    addresses_hash: u32,
    tcp_hash: u32,
}

const VECTORS: [Vector; 8] = [
    vector(
        "66.9.149.187",
        2794,
        "161.142.100.80",
        1766,
        0x323e_8fc2,
        0x51cc_c178,
    ),
    vector(
        "199.92.111.2",
        14230,
        "65.69.140.83",
        4739,
        0xd718_262a,
        0xc626_b0ea,
    ),
    vector(
        "24.19.198.95",
        12898,
        "12.22.207.184",
        38024,
        0xd2d0_a5de,
        0x5c2b_394a,
    ),
    vector(
        "38.27.205.30",
        48228,
        "209.142.163.6",
        2217,
        0x8298_9176,
        0xafc7_327f,
    ),
    vector(
        "153.39.163.191",
        44251,
        "202.188.127.2",
        1303,
        0x5d18_09c5,
        0x10e8_28a2,
    ),
    vector(
        "3ffe:2501:200:1fff::7",
        2794,
        "3ffe:2501:200:3::1",
        1766,
        0x2cc1_8cd5,
        0x4020_7d3d,
    ),
    vector(
        "3ffe:501:8::260:97ff:fe40:efab",
        14230,
        "ff02::1",
        4739,
        0x0f0c_461c,
        0xdde5_1bbf,
    ),
    vector(
        "3ffe:1900:4545:3:200:f8ff:fe21:67cf",
        44251,
        "fe80::200:f8ff:fe21:67cf",
        38024,
        0x4b61_e985,
        0x02d1_feef,
    ),
];

const fn vector(
    source: &'static str,
    source_port: u16,
    destination: &'static str,
    destination_port: u16,
    addresses_hash: u32,
    tcp_hash: u32,
) -> Vector {
    Vector {
        source,
        destination,
        source_port,
        destination_port,
        addresses_hash,
        tcp_hash,
    }
}

#[test]
fn all_sixteen_values() {
    let toeplitz = Toeplitz::new(&KEY);
    let mut checked = 0;
    for v in &VECTORS {
        let segment = tcp(v.source_port, v.destination_port);
        let (frame, tcp_type, ip_type) = match (v.source.parse(), v.destination.parse()) {
            (Ok(source), Ok(destination)) => (
                ipv4(source, destination, 6, &segment),
                HashType::TcpIpv4,
                HashType::Ipv4,
            ),
            _ => (
                ipv6(
                    v.source.parse().unwrap(),
                    v.destination.parse().unwrap(),
                    6,
                    &segment,
                ),
                HashType::TcpIpv6,
                HashType::Ipv6,
            ),
        };
        for (hash_type, value) in [(tcp_type, v.tcp_hash), (ip_type, v.addresses_hash)] {
            assert_eq!(
                hash_frame(&toeplitz, &frame, HashTypes::from(hash_type)),
                Some(FrameHash { value, hash_type }),
                "{} -> {}",
                v.source,
                v.destination
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 16);
}
