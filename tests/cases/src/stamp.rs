//! What a peer sent after a given moment, told by what it says and not by a clock.
//!
//! With TCP's timestamps (RFC 7323) each segment carries a value of its sender's, and the last one that came from the other
//! end. The values here are no times but count moments: a segment that brings one back was sent after a segment that was
//! made after that moment.

use core::sync::atomic::{AtomicU32, Ordering};

use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, TcpOption, TcpPacket,
};

/// The last moment. One for all stacks: it is enough that the count never goes back.
static MOMENT: AtomicU32 = AtomicU32::new(1);

/// The value of a segment that is made now.
pub(crate) fn now() -> u32 {
    MOMENT.load(Ordering::SeqCst)
}

/// A new moment, whose value no segment has that was made before this.
pub(crate) fn next() -> u32 {
    MOMENT.fetch_add(1, Ordering::SeqCst) + 1
}

/// The value that an Ethernet frame brings back; `None` if it carries no TCP over IPv4 or no timestamps.
pub(crate) fn echoed(frame: &[u8]) -> Option<u32> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    if ethernet.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let ip = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
    if ip.next_header() != IpProtocol::Tcp || ip.frag_offset() > 0 {
        return None;
    }
    let tcp = TcpPacket::new_checked(ip.payload()).ok()?;
    let mut options = tcp.options();
    while let Ok((rest, option)) = TcpOption::parse(options) {
        match option {
            TcpOption::TimeStamp { tsecr, .. } => return Some(tsecr),
            TcpOption::EndOfList => break,
            _ => options = rest,
        }
    }
    None
}

#[cfg(test)]
pub(crate) mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::{echoed, next, now};

    /// A frame that brings this value back.
    pub(crate) fn frame(value: u32) -> Vec<u8> {
        let mut bytes = vec![0; 14 + 20 + 32];
        bytes[12] = 8;
        bytes[14] = 0x45;
        bytes[17] = 52;
        bytes[23] = 6;
        let tcp = &mut bytes[34..];
        tcp[12] = 8 << 4;
        tcp[13] = 0x10;
        tcp[20..24].copy_from_slice(&[1, 1, 8, 10]);
        tcp[28..32].copy_from_slice(&value.to_be_bytes());
        bytes
    }

    #[test]
    fn a_frame_says_what_it_brings_back() {
        let mut bytes = frame(0x0102_0304);
        assert_eq!(echoed(&bytes), Some(0x0102_0304));
        bytes[34 + 12] = 5 << 4;
        assert_eq!(echoed(&bytes), None);
        bytes[23] = 17;
        assert_eq!(echoed(&bytes), None);
    }

    #[test]
    fn moments_follow_each_other() {
        let before = now();
        let moment = next();
        assert!(before < moment && moment <= now());
    }
}
