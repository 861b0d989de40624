//! Coalesced units (RSC): several TCP segments that the driver hands up as one frame.

use harness::ndis::Received;
use ndis_sys::{NDIS_RSC_NBL_INFO as Rsc, NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO as Checksum};
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket,
};

/// Puts right checksums into a unit for which the driver vouches without having computed any. Windows's TCP/IP goes by the
/// flags and does not look at the fields (`TcpChecksumValueInvalid`, `IpChecksumValueInvalid`); the stack here always looks.
/// Any other frame stays as it is, so that its fields must be right.
pub(crate) fn complete(frame: &mut Received) {
    let told = frame.slot(ndis_sys::TcpIpChecksumNetBufferListInfo);
    let segments = frame.slot(ndis_sys::TcpRecvSegCoalesceInfo) & Rsc::COALESCED_SEG_COUNT_MASK;
    let good = Checksum::RECEIVE_TCP_CHECKSUM_SUCCEEDED;
    let stale = Checksum::RECEIVE_TCP_CHECKSUM_VALUE_INVALID;
    if segments == 0 || told & good == 0 || told & stale == 0 {
        return;
    }
    let Ok(mut ethernet) = EthernetFrame::new_checked(&mut frame.bytes[..]) else {
        return;
    };
    match ethernet.ethertype() {
        EthernetProtocol::Ipv4 => {
            let Ok(mut ip) = Ipv4Packet::new_checked(ethernet.payload_mut()) else {
                return;
            };
            let ends = (ip.src_addr().into(), ip.dst_addr().into());
            let protocol = ip.next_header();
            if told & Checksum::RECEIVE_IP_CHECKSUM_VALUE_INVALID != 0 {
                ip.fill_checksum();
            }
            complete_tcp(ip.payload_mut(), protocol, ends);
        }
        EthernetProtocol::Ipv6 => {
            let Ok(mut ip) = Ipv6Packet::new_checked(ethernet.payload_mut()) else {
                return;
            };
            let ends = (ip.src_addr().into(), ip.dst_addr().into());
            let protocol = ip.next_header();
            complete_tcp(ip.payload_mut(), protocol, ends);
        }
        _ => {}
    }
}

fn complete_tcp(segment: &mut [u8], protocol: IpProtocol, ends: (IpAddress, IpAddress)) {
    if protocol == IpProtocol::Tcp
        && let Ok(mut tcp) = TcpPacket::new_checked(segment)
    {
        tcp.fill_checksum(&ends.0, &ends.1);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use harness::ndis::Received;
    use smoltcp::wire::{IpAddress, Ipv4Packet, TcpPacket};

    use super::{Checksum, complete};

    /// A TCP segment of 3,000 bytes over IPv4 without checksums, and what the driver says of it.
    fn unit(segments: u64, told: u64) -> Received {
        let mut bytes = vec![7; 14 + 20 + 20 + 3000];
        bytes[12..14].copy_from_slice(&[8, 0]);
        bytes[14..34].copy_from_slice(&[
            0x45, 0, 0x0B, 0xE0, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ]);
        bytes[34 + 12] = 0x50;
        bytes[50..52].fill(0);
        let mut info = [0; 27];
        let slot = |which: i32| usize::try_from(which).expect("a slot");
        info[slot(ndis_sys::TcpIpChecksumNetBufferListInfo)] = told;
        info[slot(ndis_sys::TcpRecvSegCoalesceInfo)] = segments;
        Received {
            bytes,
            info,
            flags: 0,
            cpu: 0,
            time: 0,
        }
    }

    fn is_right(bytes: &[u8]) -> bool {
        let ip = Ipv4Packet::new_checked(&bytes[14..]).expect("IPv4");
        let tcp = TcpPacket::new_checked(ip.payload()).expect("TCP");
        let ends: Vec<IpAddress> = vec![ip.src_addr().into(), ip.dst_addr().into()];
        ip.verify_checksum() && tcp.verify_checksum(&ends[0], &ends[1])
    }

    #[test]
    fn only_what_the_driver_vouches_for_is_completed() {
        let good =
            Checksum::RECEIVE_TCP_CHECKSUM_SUCCEEDED | Checksum::RECEIVE_IP_CHECKSUM_SUCCEEDED;
        let stale = Checksum::RECEIVE_TCP_CHECKSUM_VALUE_INVALID
            | Checksum::RECEIVE_IP_CHECKSUM_VALUE_INVALID;
        for (segments, told, right) in [
            (3, good | stale, true),
            (3, good, false),
            (3, stale, false),
            (0, good | stale, false),
        ] {
            let mut frame = unit(segments, told);
            assert!(!is_right(&frame.bytes));
            complete(&mut frame);
            assert_eq!(is_right(&frame.bytes), right, "{segments} {told:#x}");
        }
    }
}
