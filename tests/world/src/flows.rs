//! Flows of frames towards the guest: every kind that hashes tell apart, each frame with its flow's number and its own.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use netback_model::{FrameMeta, Wire};

use crate::machine::lock;
use crate::network::Network;
use crate::rss::Hashable;

/// Kinds of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv4 with options in the IP header.
    Tcp4Options,
    /// TCP over IPv4 in a frame with VLAN tag.
    Tcp4Tagged,
    /// UDP over IPv4.
    Udp4,
    /// ICMP.
    Icmp4,
    /// A first fragment of TCP over IPv4.
    First4,
    /// A later fragment of UDP over IPv4.
    Later4,
    /// TCP over IPv6.
    Tcp6,
    /// TCP over IPv6 behind a hop-by-hop header with padding.
    Tcp6Padded,
    /// UDP over IPv6.
    Udp6,
    /// ICMP version 6.
    Icmp6,
    /// A fragment of TCP over IPv6.
    Fragment6,
    /// TCP over IPv6 behind a routing header of type 0.
    Tcp6Route0,
    /// UDP over IPv6 behind a routing header of type 2.
    Udp6Route2,
    /// TCP over IPv6 behind a home address option.
    Tcp6Home,
    /// No IP at all.
    Raw,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::Tcp4,
        Self::Tcp4Options,
        Self::Tcp4Tagged,
        Self::Udp4,
        Self::Icmp4,
        Self::First4,
        Self::Later4,
        Self::Tcp6,
        Self::Tcp6Padded,
        Self::Udp6,
        Self::Icmp6,
        Self::Fragment6,
        Self::Tcp6Route0,
        Self::Udp6Route2,
        Self::Tcp6Home,
        Self::Raw,
    ];
}

/// A flow.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Its kind.
    pub kind: Kind,
    /// What of its frames may be hashed.
    pub hashable: Hashable,
    head: Vec<u8>,
    number: u16,
}

/// Marks the numbers in a frame's last bytes.
const MARK: u32 = 0x464C_4F57;

impl Flow {
    /// Flow `number` of this kind, to the station `mac`.
    #[must_use]
    pub fn new(kind: Kind, number: u16, mac: [u8; 6]) -> Self {
        let mut head = mac.to_vec();
        head.extend([0x02, 0, 0, 0, 0, 0x99]);
        let [high, low] = number.to_be_bytes();
        let ports = [high ^ 0x40, low, 0x01, 0xBB];
        let v4 = [10, 1, high, low, 10, 0, 0, 2];
        let address = |last: [u8; 2], net: u8| {
            let mut bytes = [0xFD, net, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            bytes[14..].copy_from_slice(&last);
            bytes
        };
        let v6 = [address([high, low], 1), address([0, 2], 1)].concat();
        let (hashable, rest) = match kind {
            Kind::Tcp4 => plain4(v4, 6, ports, &[], 0),
            Kind::Tcp4Options => plain4(v4, 6, ports, &[1, 1, 1, 1, 7, 4, 4, 0], 0),
            Kind::Tcp4Tagged => {
                head.extend([0x81, 0, 0x60, 5]);
                plain4(v4, 6, ports, &[], 0)
            }
            Kind::Udp4 => plain4(v4, 17, ports, &[], 0),
            Kind::Icmp4 => plain4(v4, 1, ports, &[], 0),
            Kind::First4 => plain4(v4, 6, ports, &[], 0x2000),
            Kind::Later4 => plain4(v4, 17, ports, &[], 0x0010),
            Kind::Tcp6 => plain6(&v6, 6, ports, &[]),
            Kind::Tcp6Padded => plain6(&v6, 6, ports, &[(0, vec![1, 4, 0, 0, 0, 0])]),
            Kind::Udp6 => plain6(&v6, 17, ports, &[]),
            Kind::Icmp6 => plain6(&v6, 58, ports, &[]),
            Kind::Fragment6 => plain6(&v6, 6, ports, &[(44, vec![0, 1, 0, 0, 0, 9])]),
            Kind::Tcp6Route0 => {
                let mut body = vec![0, 1, 0, 0, 0, 0];
                body.extend(address([7, 7], 3));
                plain6(&v6, 6, ports, &[(43, body)])
            }
            Kind::Udp6Route2 => {
                let home = address([high, low], 4);
                let mut body = vec![2, 1, 0, 0, 0, 0];
                body.extend(home);
                let (mut hashable, rest) = plain6(&v6, 17, ports, &[(43, body)]);
                hashable.mobile = Some([&v6[..16], &home].concat());
                (hashable, rest)
            }
            Kind::Tcp6Home => {
                let home = address([low, high], 5);
                // Padding, so that the address ends where the header does: 2 + 2 + 2 + 16 + 2.
                let mut body = vec![1, 0, 0xC9, 16];
                body.extend(home);
                body.extend([1, 0]);
                let (mut hashable, rest) = plain6(&v6, 6, ports, &[(60, body)]);
                hashable.mobile = Some([&home[..], &v6[16..]].concat());
                (hashable, rest)
            }
            Kind::Raw => (Hashable::default(), vec![0x88, 0xB5, high, low]),
        };
        head.extend(rest);
        Self {
            kind,
            hashable,
            head,
            number,
        }
    }

    /// Frame `sequence` of the flow.
    #[must_use]
    pub fn frame(&self, sequence: u32) -> Vec<u8> {
        let mut frame = self.head.clone();
        // Some frames are copied by the driver, others lent.
        let room = if sequence.is_multiple_of(3) { 600 } else { 60 };
        frame.resize(frame.len() + room, 0x55);
        frame.extend(MARK.to_be_bytes());
        frame.extend(self.number.to_be_bytes());
        frame.extend(sequence.to_be_bytes());
        frame
    }
}

/// The numbers of flow and frame, if it is one of ours.
#[must_use]
pub fn numbers(frame: &[u8]) -> Option<(u16, u32)> {
    let (mark, rest) = frame.get(frame.len().checked_sub(10)?..)?.split_at(4);
    let (flow, sequence) = rest.split_at(2);
    let known = mark == MARK.to_be_bytes();
    let flow = u16::from_be_bytes(flow.try_into().ok()?);
    let sequence = u32::from_be_bytes(sequence.try_into().ok()?);
    known.then_some((flow, sequence))
}

/// A length that leaves the rest of the frame inside the packet: more than any frame here has.
const LENGTH: u16 = 1400;

fn plain4(
    addresses: [u8; 8],
    protocol: u8,
    ports: [u8; 4],
    options: &[u8],
    fragment: u16,
) -> (Hashable, Vec<u8>) {
    let words = u8::try_from(5 + options.len() / 4).unwrap_or(5);
    let mut bytes = vec![0x08, 0x00, 0x40 | words, 0];
    bytes.extend(LENGTH.to_be_bytes());
    bytes.extend([0, 1]);
    bytes.extend(fragment.to_be_bytes());
    bytes.extend([64, protocol, 0, 0]);
    bytes.extend(addresses);
    bytes.extend(options);
    bytes.extend(ports);
    bytes.extend([0; 16]);
    let with_ports = fragment == 0 && matches!(protocol, 6 | 17);
    let hashable = Hashable {
        addresses: addresses.to_vec(),
        mobile: None,
        ports: with_ports.then_some((protocol, ports)),
    };
    (hashable, bytes)
}

/// `extensions`: number and body, without the two bytes of next header and length.
fn plain6(
    addresses: &[u8],
    protocol: u8,
    ports: [u8; 4],
    extensions: &[(u8, Vec<u8>)],
) -> (Hashable, Vec<u8>) {
    let first = extensions.first().map_or(protocol, |(kind, _)| *kind);
    let mut bytes = vec![0x86, 0xDD, 0x60, 0, 0, 0];
    bytes.extend(LENGTH.to_be_bytes());
    bytes.extend([first, 64]);
    bytes.extend(addresses);
    for (nth, (_, body)) in extensions.iter().enumerate() {
        let next = extensions.get(nth + 1).map_or(protocol, |(kind, _)| *kind);
        let units = u8::try_from((body.len() + 2) / 8 - 1).unwrap_or(0);
        bytes.extend([next, units]);
        bytes.extend(body);
    }
    bytes.extend(ports);
    bytes.extend([0; 16]);
    let fragment = extensions.iter().any(|(kind, _)| *kind == 44);
    let hashable = Hashable {
        addresses: addresses.to_vec(),
        mobile: None,
        ports: (!fragment && matches!(protocol, 6 | 17)).then_some((protocol, ports)),
    };
    (hashable, bytes)
}

#[derive(Debug, Default)]
struct Inside {
    waiting: VecDeque<(Vec<u8>, FrameMeta)>,
    arrived: Vec<(Vec<u8>, FrameMeta)>,
}

/// The network behind a backend as a list of frames. Clones are the same network.
#[derive(Clone, Debug, Default)]
pub struct Script(Arc<Mutex<Inside>>);

impl Script {
    /// A frame for the guest.
    pub fn push(&self, frame: Vec<u8>) {
        self.push_with(frame, FrameMeta::default());
    }

    /// A frame for the guest with what travels beside it.
    pub fn push_with(&self, frame: Vec<u8>, meta: FrameMeta) {
        lock(&self.0).waiting.push_back((frame, meta));
    }

    /// Frames that came from the guest.
    #[must_use]
    pub fn take_arrived(&self) -> Vec<(Vec<u8>, FrameMeta)> {
        core::mem::take(&mut lock(&self.0).arrived)
    }
}

impl Wire for Script {
    fn from_guest(&mut self, frame: &[u8], meta: FrameMeta) {
        lock(&self.0).arrived.push((frame.to_vec(), meta));
    }

    fn to_guest(&mut self) -> Option<(Vec<u8>, FrameMeta)> {
        lock(&self.0).waiting.pop_front()
    }
}

impl Network for Script {}
