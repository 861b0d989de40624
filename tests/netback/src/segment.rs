//! Cutting a GSO frame into segments, for wires and frontends that take none.

use crate::frame::{L3, Sum, complete_checksum, parse};
use crate::wire::Gso;

const FIN_PSH: u8 = 0x09;

/// The segments of a GSO frame, complete with lengths, identification, sequence numbers and checksums.
/// `None` when the frame is not the TCP packet that `gso` says.
pub fn segment(frame: &[u8], gso: Gso) -> Option<Vec<Vec<u8>>> {
    let h = parse(frame).filter(|h| h.protocol == 6 && !h.fragment && gso.size > 0)?;
    let tcp = usize::from(*frame.get(h.l4 + 12)? >> 4) * 4;
    let start = h.l4 + tcp;
    let payload = frame.get(start..)?;
    if tcp < 20 || payload.is_empty() {
        return None;
    }
    let sequence = u32::from_be_bytes(frame[h.l4 + 4..h.l4 + 8].try_into().ok()?);
    let pieces = payload.chunks(usize::from(gso.size));
    let last = pieces.len() - 1;
    pieces
        .enumerate()
        .map(|(n, piece)| {
            let mut out = frame[..start].to_vec();
            out.extend_from_slice(piece);
            let at = sequence.wrapping_add((n * usize::from(gso.size)) as u32);
            out[h.l4 + 4..h.l4 + 8].copy_from_slice(&at.to_be_bytes());
            if n != last {
                out[h.l4 + 13] &= !FIN_PSH;
            }
            match h.l3 {
                L3::V4 => fix_v4(&mut out, h.ip, h.l4, n),
                L3::V6 => {
                    let len = (out.len() - h.ip - 40) as u16;
                    out[h.ip + 4..h.ip + 6].copy_from_slice(&len.to_be_bytes());
                }
            }
            let pseudo = h.pseudo_sum(&out, out.len() - h.l4);
            out[h.l4 + 16..h.l4 + 18].copy_from_slice(&pseudo.to_be_bytes());
            complete_checksum(&mut out).ok()?;
            Some(out)
        })
        .collect()
}

fn fix_v4(out: &mut [u8], ip: usize, l4: usize, n: usize) {
    let len = (out.len() - ip) as u16;
    out[ip + 2..ip + 4].copy_from_slice(&len.to_be_bytes());
    let id = u16::from_be_bytes([out[ip + 4], out[ip + 5]]).wrapping_add(n as u16);
    out[ip + 4..ip + 6].copy_from_slice(&id.to_be_bytes());
    out[ip + 10..ip + 12].fill(0);
    let mut sum = Sum::default();
    sum.add(&out[ip..l4]);
    out[ip + 10..ip + 12].copy_from_slice(&(!sum.fold()).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::tests::{tcp4, verifies};
    use xen_abi::netif::GsoType;

    #[test]
    fn segments_carry_the_payload_and_verify() {
        let payload: Vec<u8> = (0..3000_u32).map(|i| i as u8).collect();
        let gso = Gso {
            size: 1448,
            kind: GsoType::TCPV4,
        };
        let parts = segment(&tcp4(&payload), gso).unwrap();
        assert_eq!(
            parts.iter().map(Vec::len).collect::<Vec<_>>(),
            [1502, 1502, 158]
        );
        assert!(parts.iter().all(|p| verifies(p)));
        let joined: Vec<u8> = parts.iter().flat_map(|p| p[54..].to_vec()).collect();
        assert_eq!(joined, payload);
    }
}
