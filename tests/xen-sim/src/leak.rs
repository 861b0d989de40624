//! What the guest left behind, and the rules it broke.

use alloc::vec::Vec;

use crate::evtchn::PortState;
use crate::machine::Machine;

/// A rule of the Xen ABI that the guest broke where Xen itself would not have told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A grant entry was cleared or retyped while Xen showed it in use (`grant_table.h`: revoke with
    /// a compare-and-exchange only while neither reading nor writing is set).
    RevokedInUse {
        /// The grant.
        gref: u32,
        /// Its flags as found.
        flags: u16,
    },
    /// The frame of a grant entry was changed while in use.
    FrameChangedInUse {
        /// The grant.
        gref: u32,
    },
    /// A frame mapped by a backend was given back to Xen.
    MappedFrameFreed {
        /// The frame.
        pfn: u64,
    },
    /// An event for a vCPU past the 32nd that never registered its `vcpu_info`: lost.
    NoVcpuInfo {
        /// The vCPU.
        vcpu: u32,
    },
    /// A FIFO event for a vCPU without control block: lost.
    NoControlBlock {
        /// The vCPU.
        vcpu: u32,
        /// The port.
        port: u32,
    },
    /// The hypercall page MSR was written (XSA-466: Xen must not write code into the guest).
    HypercallPageRequested {
        /// Value written.
        value: u64,
    },
    /// Devices were unplugged without reading the magic number first (hvm-emulated-unplug).
    UnplugWithoutMagic,
}

/// What is still in use: all empty after a clean unload, but for what the toolstack owns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeakReport {
    /// Open guest ports that the toolstack did not make.
    pub ports: Vec<(u32, PortState)>,
    /// Grant entries with flags set beyond the reserved ones: gref, flags.
    pub grants: Vec<(u32, u16)>,
    /// Grants that backends have mapped: handle, gref.
    pub maps: Vec<(u32, u32)>,
    /// Ports of other domains that are not closed, the reserved channels' apart.
    pub backend_ports: Vec<u32>,
}

impl LeakReport {
    /// Nothing is left.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

impl Machine {
    /// What the guest (and the backends) have not given back.
    pub fn leaks(&self) -> LeakReport {
        let store = self.store_port();
        let console = self.console_port();
        let own = |port: u32| {
            port == store || port == console || self.channels.port(port).is_ok_and(|p| p.reserved)
        };
        let ports = (1_u32..)
            .zip(self.channels.ports.iter().skip(1))
            .filter(|&(port, p)| p.state != PortState::Closed && !own(port))
            .map(|(port, p)| (port, p.state))
            .collect();
        let remote = self.channels.remote.iter();
        LeakReport {
            ports,
            grants: self.grants.used(),
            maps: self.grants.mapped(),
            backend_ports: remote
                .filter(|(_, p)| p.peer.is_none_or(|peer| !own(peer)))
                .map(|(&port, _)| port)
                .collect(),
        }
    }

    fn console_port(&self) -> u32 {
        self.hvm
            .params
            .get(&crate::abi::HVM_PARAM_CONSOLE_EVTCHN)
            .copied()
            .unwrap_or(0) as u32
    }
}
