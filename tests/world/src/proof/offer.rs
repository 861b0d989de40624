//! Frames for the guest, in every form that its driver agreed to.

use netback_model::{FrameMeta, Gso, RxShape};
use oracle::checksum;
use oracle::generate::{Generator, Large};
use oracle::packet::{self, Version};
use oracle::receive::{Came, spoil_checksum};
use xen_abi::netif::{GsoType, NETRXF_CSUM_BLANK, NETRXF_DATA_VALIDATED};

/// What the frontend wrote that it can receive (netif-and-backends.md 1.6), as far as the backend does it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "keys of XenStore, one by one"
)]
pub struct Agreed {
    /// Frames of several slots.
    pub sg: bool,
    /// Large TCP frames over IPv4.
    pub gso_v4: bool,
    /// Large TCP frames over IPv6.
    pub gso_v6: bool,
    /// Blank checksums over IPv4.
    pub blank_v4: bool,
    /// Blank checksums over IPv6.
    pub blank_v6: bool,
    /// Flags of RX slots say something.
    pub flags: bool,
}

/// Most bytes of headers of a large frame: 14, 40 with 80 of extensions, 60.
pub(crate) const HEADERS: usize = 200;

/// Makes frames for the guest.
#[derive(Debug)]
pub struct Offer {
    pub(crate) generator: Generator,
    /// Longest frame with its header, without a tag.
    pub(crate) longest: usize,
    pub(crate) agreed: Agreed,
    /// Frames lie in slots of any kind.
    pub(crate) shapes: bool,
}

impl Offer {
    /// A random frame: for the wire, and for the oracle.
    pub(crate) fn frame(&mut self) -> (Vec<u8>, FrameMeta, Came) {
        let versions = [
            (Version::V4, self.agreed.gso_v4),
            (Version::V6, self.agreed.gso_v6),
        ];
        let (version, large) = self.generator.rng.pick(&versions);
        let mut came = if large && self.generator.rng.chance(4) {
            self.large(version)
        } else {
            self.plain()
        };
        if self.generator.rng.chance(6) {
            let control = self.generator.rng.pick(&[1, 5, 0x6000, 0xA005, 0x0FFE]);
            came.bytes = Generator::tagged(&came.bytes, control);
        }
        let mut flags = 0;
        if came.csum_blank {
            flags |= NETRXF_CSUM_BLANK;
        }
        if came.data_validated {
            flags |= NETRXF_DATA_VALIDATED;
        }
        let shape = self.shapes.then(|| RxShape {
            seed: self.generator.rng.number(),
            checksum_flags: self.agreed.flags.then_some(flags),
        });
        let meta = FrameMeta {
            csum_blank: came.csum_blank,
            data_validated: came.data_validated,
            gso: came.gso.map(|(size, version)| Gso {
                size,
                kind: match version {
                    Version::V4 => GsoType::TCPV4,
                    Version::V6 => GsoType::TCPV6,
                },
            }),
            shape,
            ..FrameMeta::default()
        };
        (came.bytes.clone(), meta, came)
    }

    /// A frame of one segment; its checksum right, wrong, blank, known or not.
    fn plain(&mut self) -> Came {
        let bytes = self.generator.frame(self.longest);
        let mut came = Came {
            bytes,
            ..Came::default()
        };
        let Some(found) = packet::ip(&came.bytes).filter(|found| !found.fragment) else {
            return came;
        };
        let Some(transport) = found.transport(&came.bytes) else {
            return came;
        };
        let blank = match found.version {
            Version::V4 => self.agreed.blank_v4,
            Version::V6 => self.agreed.blank_v6,
        };
        match self.generator.rng.below(4) {
            0 if blank => {
                let length = found.end - transport.start;
                checksum::blank(&mut came.bytes, &found, &transport, length);
                came.csum_blank = true;
                came.data_validated = !self.generator.rng.chance(4);
            }
            1 if self.agreed.flags => came.data_validated = true,
            2 => {
                let _ = spoil_checksum(&mut came.bytes);
            }
            _ => {}
        }
        came
    }

    /// A frame of many segments, with any mix of flags.
    fn large(&mut self, version: Version) -> Came {
        let rng = &mut self.generator.rng;
        let mss = match rng.below(3) {
            0 => rng.between(300, 536),
            _ => rng.between(536, self.longest - HEADERS),
        };
        let payload = match rng.below(4) {
            0 => 65_535 - HEADERS,
            1 => rng.between(1, mss),
            _ => rng.between(mss + 1, 65_535 - HEADERS),
        };
        let odd = rng.chance(4);
        let mut bytes = self.generator.large(Large {
            version,
            payload,
            ip_options: odd,
            tcp_options: odd,
            any_flags: odd,
        });
        let mut came = Came {
            gso: Some((u16::try_from(mss).unwrap_or(1), version)),
            ..Came::default()
        };
        // Linux leaves the checksum blank and says so; MirageOS left it blank or whole and said nothing.
        let kind = self.generator.rng.below(6);
        if kind < 4 {
            let found = packet::ip(&bytes).expect("a TCP frame");
            let tcp = found.transport(&bytes).expect("a TCP frame");
            checksum::blank(&mut bytes, &found, &tcp, found.end - tcp.start);
        }
        came.csum_blank = kind < 3;
        came.data_validated = kind < 2 || kind == 5;
        came.bytes = bytes;
        came
    }
}
