//! Event channels as the other domains use them.

use alloc::vec::Vec;

use super::PortState;
use crate::abi::{EINVAL, Errno};
use crate::machine::Machine;

impl Machine {
    /// Binds a port of domain `domid` to the guest's unbound port. The new port starts pending.
    ///
    /// Fails with `EINVAL` when the guest's port does not wait for that domain.
    pub fn backend_bind(&mut self, domid: u16, guest_port: u32) -> Result<u32, Errno> {
        if self.channels.port(guest_port)?.state != (PortState::Unbound { remote: domid }) {
            return Err(EINVAL);
        }
        let port = self.channels.add_remote(domid, Some(guest_port));
        self.channels.port_mut(guest_port)?.state = PortState::Interdomain {
            remote: domid,
            port,
        };
        if let Some(entry) = self.channels.remote.get_mut(&port) {
            entry.pending = true;
        }
        Ok(port)
    }

    /// Allocates a port of domain `domid` that the guest may bind to.
    pub fn backend_alloc_unbound(&mut self, domid: u16) -> u32 {
        self.channels.add_remote(domid, None)
    }

    /// Sends from the other domain's `port`; false when no guest port is connected to it.
    pub fn backend_notify(&mut self, port: u32) -> bool {
        let peer = self.channels.remote.get(&port).and_then(|p| p.peer);
        if let Some(peer) = peer {
            self.raise_port(peer);
            self.update_callback_line();
        }
        peer.is_some()
    }

    /// Takes the pending state of the other domain's `port`.
    pub fn backend_take(&mut self, port: u32) -> bool {
        self.channels
            .remote
            .get_mut(&port)
            .is_some_and(|p| core::mem::take(&mut p.pending))
    }

    /// The other domains' ports that are pending, in order.
    pub fn backend_pending(&self) -> Vec<u32> {
        self.channels
            .remote
            .iter()
            .filter(|(_, p)| p.pending)
            .map(|(&port, _)| port)
            .collect()
    }

    /// Whether the other domain's `port` is connected to a guest port.
    pub fn backend_connected(&self, port: u32) -> bool {
        self.channels
            .remote
            .get(&port)
            .is_some_and(|p| p.peer.is_some())
    }

    /// Closes the other domain's `port`; the guest's end goes back to unbound.
    pub fn backend_close(&mut self, port: u32) {
        let Some(entry) = self.channels.remote.remove(&port) else {
            return;
        };
        if let Some(peer) = entry.peer.and_then(|p| self.channels.port_mut(p).ok()) {
            peer.state = PortState::Unbound {
                remote: entry.domid,
            };
        }
    }
}
