//! Which type and input a frame is hashed under.
mod frames;

use std::net::{Ipv4Addr, Ipv6Addr};

use frames::{
    ethernet, extension, home_address, ipv4, ipv4_packet, ipv6, routing_2, tagged, tcp, udp,
};
use rss::{HashType, HashTypes, classify};

const S4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const D4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const S6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const D6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
const HOME: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 7);
const PORTS: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
const UDP: u8 = 17;
const TCP: u8 = 6;

fn transport_tcp() -> Vec<u8> {
    tcp(0x1234, 0x5678)
}

fn input4(ports: &[u8]) -> Vec<u8> {
    [&S4.octets(), &D4.octets(), ports].concat()
}

fn input6(source: Ipv6Addr, destination: Ipv6Addr, ports: &[u8]) -> Vec<u8> {
    [&source.octets(), &destination.octets(), ports].concat()
}

#[expect(clippy::needless_pass_by_value, reason = "keeps the calls short")]
#[track_caller]
fn expect(frame: &[u8], enabled: HashTypes, want: Option<(HashType, Vec<u8>)>) {
    let found = classify(frame, enabled).map(|flow| (flow.hash_type(), flow.input().to_vec()));
    assert_eq!(found, want);
}

#[test]
fn tcp_and_udp_over_ipv4() {
    let frame = ipv4(S4, D4, TCP, &transport_tcp());
    expect(
        &frame,
        HashTypes::ALL,
        Some((HashType::TcpIpv4, input4(&PORTS))),
    );
    let frame = ipv4(S4, D4, UDP, &udp(0x1234, 0x5678));
    expect(
        &frame,
        HashTypes::ALL,
        Some((HashType::UdpIpv4, input4(&PORTS))),
    );
}

#[test]
fn a_type_not_enabled_is_replaced_by_addresses() {
    let frame = ipv4(S4, D4, UDP, &udp(0x1234, 0x5678));
    expect(
        &frame,
        HashTypes::NETIF,
        Some((HashType::Ipv4, input4(&[]))),
    );
    expect(&frame, HashType::TcpIpv4.into(), None);
    expect(&frame, HashTypes::NONE, None);
}

#[test]
fn another_protocol_is_hashed_by_addresses() {
    let frame = ipv4(S4, D4, 47, &transport_tcp());
    expect(&frame, HashTypes::ALL, Some((HashType::Ipv4, input4(&[]))));
    let frame = ipv6(S6, D6, 50, &transport_tcp());
    expect(
        &frame,
        HashTypes::ALL,
        Some((HashType::Ipv6, input6(S6, D6, &[]))),
    );
}

#[test]
fn fragments_are_hashed_by_addresses_the_first_too() {
    for fragment in [0x2000, 0x2001, 0x0001, 0x1FFF] {
        let packet = ipv4_packet(S4, D4, TCP, &[], fragment, &transport_tcp());
        let frame = ethernet(0x0800, &packet);
        expect(&frame, HashTypes::ALL, Some((HashType::Ipv4, input4(&[]))));
        expect(&frame, HashType::TcpIpv4.into(), None);
    }
    for offset in [0x0001_u16, 0x0008, 0x0009] {
        let mut body = offset.to_be_bytes().to_vec();
        body.extend([0; 4]);
        let mut payload = extension(TCP, &body);
        payload[1] = 0xFF; // reserved in a fragment header, not a length
        payload.extend(transport_tcp());
        let frame = ipv6(S6, D6, 44, &payload);
        expect(
            &frame,
            HashTypes::ALL,
            Some((HashType::Ipv6, input6(S6, D6, &[]))),
        );
    }
}

#[test]
fn ipv4_options_are_skipped() {
    for words in [1, 5, 10] {
        let packet = ipv4_packet(S4, D4, TCP, &vec![1; words * 4], 0, &transport_tcp());
        let frame = ethernet(0x0800, &packet);
        expect(
            &frame,
            HashTypes::ALL,
            Some((HashType::TcpIpv4, input4(&PORTS))),
        );
    }
}

#[test]
fn tags_are_skipped() {
    let plain = ipv4(S4, D4, TCP, &transport_tcp());
    let one = tagged(&plain, 0x8100);
    let two = tagged(&one, 0x88A8);
    let want = Some((HashType::TcpIpv4, input4(&PORTS)));
    expect(&one, HashTypes::ALL, want.clone());
    expect(&two, HashTypes::ALL, want);
    expect(&tagged(&two, 0x88A8), HashTypes::ALL, None);
}

#[test]
fn padding_after_the_packet_is_not_ports() {
    let mut frame = ipv4(S4, D4, TCP, &[]);
    frame.extend([0xEE; 26]);
    expect(&frame, HashTypes::ALL, Some((HashType::Ipv4, input4(&[]))));
    let mut frame = ipv6(S6, D6, UDP, &[9, 9]);
    frame.extend([0xEE; 26]);
    expect(
        &frame,
        HashTypes::ALL,
        Some((HashType::Ipv6, input6(S6, D6, &[]))),
    );
}

#[test]
fn a_length_of_zero_left_for_segmentation_does_not_hide_ports() {
    let mut packet = ipv4_packet(S4, D4, TCP, &[], 0, &transport_tcp());
    packet[2..4].fill(0);
    let frame = ethernet(0x0800, &packet);
    expect(
        &frame,
        HashTypes::ALL,
        Some((HashType::TcpIpv4, input4(&PORTS))),
    );
}

#[test]
fn wrong_versions_and_header_lengths_are_no_ip() {
    let good = ipv4_packet(S4, D4, TCP, &[], 0, &transport_tcp());
    for first in [0x44, 0x40, 0x65, 0x55] {
        let mut packet = good.clone();
        packet[0] = first;
        expect(&ethernet(0x0800, &packet), HashTypes::ALL, None);
    }
    expect(&ethernet(0x86DD, &good), HashTypes::ALL, None);
    expect(&ethernet(0x0806, &good), HashTypes::ALL, None);
}

#[test]
fn ipv6_extension_headers_are_skipped() {
    let mut payload = extension(60, &[1, 4, 0, 0, 0, 0]);
    payload.extend(extension(43, &[1, 4, 0, 0, 0, 0, 0, 0]));
    payload.extend(extension(43, &[0, 0, 0, 0, 0, 0]));
    payload.extend(transport_tcp());
    // The chain written above: hop-by-hop -> destination -> routing -> routing is TCP.
    payload[0] = 60;
    payload[8] = 43;
    let second_routing = 8 + 16;
    payload[second_routing] = TCP;
    let frame = ipv6(S6, D6, 0, &payload);
    expect(
        &frame,
        HashTypes::ALL,
        Some((HashType::TcpIpv6, input6(S6, D6, &PORTS))),
    );
}

#[test]
fn a_home_address_stands_for_the_source_under_ex_types_only() {
    let mut payload = home_address(TCP, HOME);
    payload.extend(transport_tcp());
    let frame = ipv6(S6, D6, 60, &payload);
    expect(
        &frame,
        HashTypes::ALL,
        Some((HashType::TcpIpv6Ex, input6(HOME, D6, &PORTS))),
    );
    expect(
        &frame,
        HashType::TcpIpv6.into(),
        Some((HashType::TcpIpv6, input6(S6, D6, &PORTS))),
    );
    expect(
        &frame,
        HashType::Ipv6Ex.into(),
        Some((HashType::Ipv6Ex, input6(HOME, D6, &[]))),
    );
}

#[test]
fn a_type_2_routing_header_stands_for_the_destination_under_ex_types_only() {
    let mut payload = routing_2(UDP, HOME);
    payload.extend(udp(0x1234, 0x5678));
    let frame = ipv6(S6, D6, 43, &payload);
    expect(
        &frame,
        HashTypes::ALL,
        Some((HashType::UdpIpv6Ex, input6(S6, HOME, &PORTS))),
    );
    expect(
        &frame,
        HashType::UdpIpv6.into(),
        Some((HashType::UdpIpv6, input6(S6, D6, &PORTS))),
    );
    expect(
        &frame,
        HashType::Ipv6.into(),
        Some((HashType::Ipv6, input6(S6, D6, &[]))),
    );
}

#[test]
fn without_mobility_headers_the_plain_type_is_preferred_and_ex_has_its_value() {
    let frame = ipv6(S6, D6, TCP, &transport_tcp());
    let both = HashTypes::from(HashType::TcpIpv6) | HashType::TcpIpv6Ex;
    expect(
        &frame,
        both,
        Some((HashType::TcpIpv6, input6(S6, D6, &PORTS))),
    );
    let want = Some((HashType::TcpIpv6Ex, input6(S6, D6, &PORTS)));
    expect(&frame, HashType::TcpIpv6Ex.into(), want);
}

#[test]
fn a_chain_cut_by_the_window_is_hashed_by_addresses_but_not_under_ex() {
    let mut payload = home_address(TCP, HOME);
    payload.extend(transport_tcp());
    let frame = ipv6(S6, D6, 60, &payload);
    let window = &frame[..14 + 40 + 10];
    expect(
        window,
        HashTypes::ALL,
        Some((HashType::Ipv6, input6(S6, D6, &[]))),
    );
    expect(window, HashType::Ipv6Ex.into(), None);
}

#[test]
fn an_endless_chain_ends() {
    let payload: Vec<u8> = [0_u8, 0, 1, 4, 0, 0, 0, 0].repeat(100);
    let frame = ipv6(S6, D6, 0, &payload);
    expect(
        &frame,
        HashTypes::ALL,
        Some((HashType::Ipv6, input6(S6, D6, &[]))),
    );
}
