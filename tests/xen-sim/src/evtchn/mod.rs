//! Event channels: the port tables of the guest and of the domains it talks to.
//!
//! How a pending port is shown to the guest is the business of [`two_level`] or [`fifo`].

mod backend;
mod fifo;
mod ops;
mod two_level;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::abi::{EINVAL, ENOSPC, EVTCHN_2L_PORTS, EVTCHN_FIFO_DEFAULT_PRIORITY, Errno};
use crate::machine::{Config, Machine};
use fifo::Fifo;

/// The state of a guest port (`EVTCHNSTAT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortState {
    /// Free.
    Closed,
    /// Waits for `remote` to bind.
    Unbound {
        /// Domain that may bind.
        remote: u16,
    },
    /// Connected.
    Interdomain {
        /// Domain at the other end.
        remote: u16,
        /// Port at the other end.
        port: u32,
    },
    /// Bound to a virtual interrupt.
    Virq(u32),
    /// Bound to its own vCPU.
    Ipi,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Port {
    pub(crate) state: PortState,
    pub(crate) vcpu: u32,
    pub(crate) reserved: bool,
    priority: u8,
    /// Queue the event was last linked on: vCPU and priority.
    last_queue: (u32, u8),
    /// Raised before its word existed.
    early: bool,
}

impl Port {
    const CLOSED: Self = Self {
        state: PortState::Closed,
        vcpu: 0,
        reserved: false,
        priority: EVTCHN_FIFO_DEFAULT_PRIORITY,
        last_queue: (0, EVTCHN_FIFO_DEFAULT_PRIORITY),
        early: false,
    };
}

/// A port of another domain that is, or may be, connected to the guest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RemotePort {
    pub(crate) domid: u16,
    /// Guest port at the other end; `None` while unbound.
    pub(crate) peer: Option<u32>,
    pub(crate) pending: bool,
}

#[derive(Debug)]
pub(crate) struct Channels {
    pub(crate) ports: Vec<Port>,
    pub(crate) remote: BTreeMap<u32, RemotePort>,
    next_remote: u32,
    max_port: u32,
    fifo: Option<Fifo>,
    fifo_offered: bool,
}

impl Channels {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            // Port 0 is never handed out.
            ports: alloc::vec![Port::CLOSED],
            remote: BTreeMap::new(),
            next_remote: 1,
            max_port: config.max_port,
            fifo: None,
            fifo_offered: config.fifo,
        }
    }

    fn limit(&self) -> u32 {
        let abi = if self.fifo.is_some() {
            1 << 17
        } else {
            EVTCHN_2L_PORTS
        };
        abi.min(self.max_port.saturating_add(1))
    }

    pub(crate) fn port(&self, port: u32) -> Result<&Port, Errno> {
        self.ports.get(port as usize).ok_or(EINVAL)
    }

    fn port_mut(&mut self, port: u32) -> Result<&mut Port, Errno> {
        self.ports.get_mut(port as usize).ok_or(EINVAL)
    }

    /// The lowest free port. One still linked in a FIFO queue is passed over, as Xen does.
    fn allocate(&mut self, state: PortState, vcpu: u32) -> Result<u32, Errno> {
        for port in 1..self.limit() {
            if port as usize == self.ports.len() {
                self.ports.push(Port::CLOSED);
            }
            let linked = self.fifo.as_ref().is_some_and(|f| f.is_linked(port));
            let entry = self.port_mut(port)?;
            if entry.state == PortState::Closed && !linked {
                *entry = Port {
                    state,
                    vcpu,
                    last_queue: entry.last_queue,
                    ..Port::CLOSED
                };
                return Ok(port);
            }
        }
        Err(ENOSPC)
    }

    pub(crate) fn alloc_unbound(&mut self, remote: u16) -> Result<u32, Errno> {
        self.allocate(PortState::Unbound { remote }, 0)
    }

    /// Marks a port as the toolstack's: not counted as a leak.
    pub(crate) fn set_reserved(&mut self, port: u32) {
        if let Ok(entry) = self.port_mut(port) {
            entry.reserved = true;
        }
    }

    fn add_remote(&mut self, domid: u16, peer: Option<u32>) -> u32 {
        let port = self.next_remote;
        self.next_remote += 1;
        self.remote.insert(
            port,
            RemotePort {
                domid,
                peer,
                pending: false,
            },
        );
        port
    }
}

impl Machine {
    /// Makes guest port `port` pending.
    pub(crate) fn raise_port(&mut self, port: u32) {
        if self.channels.fifo.is_some() {
            self.fifo_raise(port);
        } else {
            self.two_level_raise(port);
        }
    }

    /// Whether the guest uses the FIFO ABI.
    pub fn is_fifo(&self) -> bool {
        self.channels.fifo.is_some()
    }

    /// The state of guest port `port` and the vCPU it notifies.
    pub fn port_state(&self, port: u32) -> (PortState, u32) {
        self.channels
            .port(port)
            .map_or((PortState::Closed, 0), |p| (p.state, p.vcpu))
    }

    /// Raises `virq` on `vcpu` (0 for a global one), if a port is bound to it.
    pub fn raise_virq(&mut self, vcpu: u32, virq: u32) -> bool {
        let per_vcpu = ops::is_per_vcpu(virq);
        let found = self
            .channels
            .ports
            .iter()
            .position(|p| p.state == PortState::Virq(virq) && (!per_vcpu || p.vcpu == vcpu));
        if let Some(port) = found {
            self.raise_port(port as u32);
        }
        found.is_some()
    }
}
