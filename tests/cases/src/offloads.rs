//! TCP both ways with the offloads on, and with each off in turn.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::mem::offset_of;

use large_frames::Use;
use ndis_sys::{NDIS_OFFLOAD_PARAMETERS as Parameters, OID_TCP_OFFLOAD_PARAMETERS};

use crate::Machine;
use crate::demo::{Plan, transfer};
use crate::traffic::{GuestStack, Moved};

/// Offloads that are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is switched for itself")]
pub struct Offloads {
    /// Checksums of what is sent.
    pub tx_checksums: bool,
    /// Checksums of what is received.
    pub rx_checksums: bool,
    /// Large sends.
    pub large_sends: bool,
    /// Coalesced units.
    pub coalescing: bool,
}

const ALL: Offloads = Offloads::ALL;

/// The sections of the case: their names, and what is on. Large sends need checksums.
pub const SECTIONS: [(&str, Offloads); 5] = [
    ("all", ALL),
    (
        "no-large-sends",
        Offloads {
            large_sends: false,
            ..ALL
        },
    ),
    (
        "no-checksums",
        Offloads {
            tx_checksums: false,
            rx_checksums: false,
            large_sends: false,
            ..ALL
        },
    ),
    (
        "no-coalescing",
        Offloads {
            coalescing: false,
            ..ALL
        },
    ),
    (
        "nothing",
        Offloads {
            tx_checksums: false,
            rx_checksums: false,
            large_sends: false,
            coalescing: false,
        },
    ),
];

impl Offloads {
    /// All of them.
    pub const ALL: Self = Self {
        tx_checksums: true,
        rx_checksums: true,
        large_sends: true,
        coalescing: true,
    };

    /// `NDIS_OFFLOAD_PARAMETERS` of revision 5 that turn these on and the others off.
    #[must_use]
    pub fn parameters(self) -> Vec<u8> {
        let mut bytes = vec![0; 34];
        bytes[..4].copy_from_slice(&[0x80, 5, 34, 0]);
        let checksum = match (self.tx_checksums, self.rx_checksums) {
            (false, false) => 1,
            (true, false) => 2,
            (false, true) => 3,
            (true, true) => 4,
        };
        for at in [
            offset_of!(Parameters, IPv4Checksum),
            offset_of!(Parameters, TCPIPv4Checksum),
            offset_of!(Parameters, UDPIPv4Checksum),
            offset_of!(Parameters, TCPIPv6Checksum),
            offset_of!(Parameters, UDPIPv6Checksum),
        ] {
            bytes[at] = checksum;
        }
        for (at, on) in [
            (offset_of!(Parameters, LsoV2IPv4), self.large_sends),
            (offset_of!(Parameters, LsoV2IPv6), self.large_sends),
            (offset_of!(Parameters, RscIPv4), self.coalescing),
            (offset_of!(Parameters, RscIPv6), self.coalescing),
        ] {
            bytes[at] = 1 + u8::from(on);
        }
        bytes
    }

    /// What is wrong with what moved under these.
    fn fault(self, moved: &Moved) -> Option<String> {
        let units = self.coalescing && self.rx_checksums;
        let counts = [
            ("large sends", moved.large_sends, self.large_sends),
            ("checksums left to the card", moved.blank, self.tx_checksums),
            ("checksums told as right", moved.verified, self.rx_checksums),
            // A unit's checksum is not looked at by anyone else: without that of the card there are no units.
            ("coalesced units", moved.units, units),
        ];
        if moved.failed > 0 {
            return Some(format!("{} sends failed", moved.failed));
        }
        let wrong = counts
            .into_iter()
            .find(|(_, count, on)| (*count > 0) != *on);
        wrong.map(|(what, count, on)| format!("{count} {what}, which are {}", on_or_off(on)))
    }
}

const fn on_or_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// Runs one section: what moved.
///
/// # Errors
/// The driver refuses, the transfer fails, or what moved did not use what is on, or used what is off.
pub fn section(
    machine: &mut impl Machine,
    guest: &mut GuestStack,
    plan: &Plan,
    on: Offloads,
) -> Result<Moved, String> {
    // What is still on its way belongs to the section before.
    let _time_is_up = guest.try_run(machine, 1, |_, _| false);
    let set = machine
        .system()
        .protocol(guest.device)
        .set(OID_TCP_OFFLOAD_PARAMETERS, on.parameters());
    let status = set.map(|result| result.status);
    if status != Ok(0) {
        return Err(format!("OID_TCP_OFFLOAD_PARAMETERS: {status:?}"));
    }
    guest.offloads = Use {
        checksums: on.tx_checksums,
        large_sends: on.large_sends,
    };
    guest.moved = Moved::default();
    transfer(machine, guest, plan)?;
    let moved = core::mem::take(&mut guest.moved);
    on.fault(&moved).map_or(Ok(moved), Err)
}
