//! `event_channel_op`.

use super::{PortState, RemotePort};
use crate::abi::{
    self, DOMID_SELF, EBUSY, EEXIST, EINVAL, ENOENT, ENOSYS, EPERM, ESRCH, Errno, NR_VIRQS,
};
use crate::machine::Machine;

/// Timer, debug, xenoprof and PMU interrupts belong to a vCPU (xen.h).
pub(super) fn is_per_vcpu(virq: u32) -> bool {
    matches!(virq, 0 | 1 | 7 | 13)
}

fn u32_at(raw: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]])
}

fn u16_at(raw: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([raw[at], raw[at + 1]])
}

impl Machine {
    pub(crate) fn event_channel_op(&mut self, _vcpu: u32, op: u64, arg: u64) -> Result<i64, Errno> {
        match op {
            abi::EVTCHNOP_ALLOC_UNBOUND => self.op_alloc_unbound(arg),
            abi::EVTCHNOP_BIND_INTERDOMAIN => self.op_bind_interdomain(arg),
            abi::EVTCHNOP_BIND_VIRQ => self.op_bind_virq(arg),
            abi::EVTCHNOP_BIND_PIRQ => Err(EPERM),
            abi::EVTCHNOP_BIND_IPI => self.op_bind_ipi(arg),
            abi::EVTCHNOP_CLOSE => {
                let port = self.port_arg(arg)?;
                self.close_port(port)
            }
            abi::EVTCHNOP_SEND => {
                let port = self.port_arg(arg)?;
                self.send(port)
            }
            abi::EVTCHNOP_STATUS => self.op_status(arg),
            abi::EVTCHNOP_BIND_VCPU => self.op_bind_vcpu(arg),
            abi::EVTCHNOP_UNMASK => {
                let port = self.port_arg(arg)?;
                self.channels.port(port)?;
                if self.is_fifo() {
                    self.fifo_unmask(port);
                } else {
                    self.two_level_unmask(port);
                }
                Ok(0)
            }
            abi::EVTCHNOP_RESET => self.op_reset(arg),
            abi::EVTCHNOP_INIT_CONTROL => {
                let raw: [u8; 24] = self.memory.read_guest(arg)?;
                let pfn = u64::from(u32_at(&raw, 0)) | (u64::from(u32_at(&raw, 4)) << 32);
                self.fifo_init_control(pfn, u32_at(&raw, 8), u32_at(&raw, 12))?;
                let bits = abi::EVTCHN_FIFO_LINK_BITS as u8;
                self.memory
                    .write_guest(arg.wrapping_add(16), &[bits])
                    .map(|()| 0)
            }
            abi::EVTCHNOP_EXPAND_ARRAY => {
                let pfn = u64::from_le_bytes(self.memory.read_guest(arg)?);
                self.fifo_expand_array(pfn).map(|()| 0)
            }
            abi::EVTCHNOP_SET_PRIORITY => {
                let raw: [u8; 8] = self.memory.read_guest(arg)?;
                self.fifo_set_priority(u32_at(&raw, 0), u32_at(&raw, 4))
                    .map(|()| 0)
            }
            _ => Err(ENOSYS),
        }
    }

    fn port_arg(&self, arg: u64) -> Result<u32, Errno> {
        Ok(u32::from_le_bytes(self.memory.read_guest(arg)?))
    }

    fn op_alloc_unbound(&mut self, arg: u64) -> Result<i64, Errno> {
        let raw: [u8; 8] = self.memory.read_guest(arg)?;
        let (dom, remote) = (u16_at(&raw, 0), u16_at(&raw, 2));
        if dom != DOMID_SELF && dom != self.config.domid {
            return Err(if dom >= abi::DOMID_FIRST_RESERVED {
                ESRCH
            } else {
                EPERM
            });
        }
        let remote = if remote == DOMID_SELF {
            self.config.domid
        } else {
            remote
        };
        let port = self.channels.alloc_unbound(remote)?;
        self.memory
            .write_guest(arg.wrapping_add(4), &port.to_le_bytes())
            .map(|()| 0)
    }

    fn op_bind_interdomain(&mut self, arg: u64) -> Result<i64, Errno> {
        let raw: [u8; 12] = self.memory.read_guest(arg)?;
        let (remote, remote_port) = (u16_at(&raw, 0), u32_at(&raw, 4));
        let own = self.config.domid;
        let remote = if remote == DOMID_SELF { own } else { remote };
        let free = if remote == own {
            self.channels.port(remote_port)?.state == (PortState::Unbound { remote: own })
        } else {
            let entry = self.channels.remote.get(&remote_port);
            matches!(entry, Some(RemotePort { domid, peer: None, .. }) if *domid == remote)
        };
        if !free {
            return Err(EINVAL);
        }
        let local = self.channels.allocate(
            PortState::Interdomain {
                remote,
                port: remote_port,
            },
            0,
        )?;
        if remote == own {
            self.channels.port_mut(remote_port)?.state = PortState::Interdomain {
                remote: own,
                port: local,
            };
        } else if let Some(entry) = self.channels.remote.get_mut(&remote_port) {
            entry.peer = Some(local);
        }
        // The peer may have sent before the bind, so the new end always starts pending.
        self.raise_port(local);
        self.memory
            .write_guest(arg.wrapping_add(8), &local.to_le_bytes())
            .map(|()| 0)
    }

    fn op_bind_virq(&mut self, arg: u64) -> Result<i64, Errno> {
        let raw: [u8; 12] = self.memory.read_guest(arg)?;
        let (virq, vcpu) = (u32_at(&raw, 0), u32_at(&raw, 4));
        if virq >= NR_VIRQS || (!is_per_vcpu(virq) && vcpu != 0) {
            return Err(EINVAL);
        }
        if vcpu >= self.config.vcpus {
            return Err(ENOENT);
        }
        let taken =
            self.channels.ports.iter().any(|p| {
                p.state == PortState::Virq(virq) && (!is_per_vcpu(virq) || p.vcpu == vcpu)
            });
        if taken {
            return Err(EEXIST);
        }
        let port = self.channels.allocate(PortState::Virq(virq), vcpu)?;
        self.memory
            .write_guest(arg.wrapping_add(8), &port.to_le_bytes())
            .map(|()| 0)
    }

    fn op_bind_ipi(&mut self, arg: u64) -> Result<i64, Errno> {
        let vcpu = self.port_arg(arg)?;
        if vcpu >= self.config.vcpus {
            return Err(ENOENT);
        }
        let port = self.channels.allocate(PortState::Ipi, vcpu)?;
        self.memory
            .write_guest(arg.wrapping_add(4), &port.to_le_bytes())
            .map(|()| 0)
    }

    pub(super) fn close_port(&mut self, port: u32) -> Result<i64, Errno> {
        let state = self.channels.port(port)?.state;
        match state {
            PortState::Closed => return Err(EINVAL),
            PortState::Interdomain { remote, port: peer } if remote == self.config.domid => {
                self.channels.port_mut(peer)?.state = PortState::Unbound { remote };
            }
            PortState::Interdomain { port: peer, .. } => {
                if let Some(entry) = self.channels.remote.get_mut(&peer) {
                    entry.peer = None;
                }
            }
            PortState::Unbound { .. } | PortState::Virq(_) | PortState::Ipi => {}
        }
        if self.is_fifo() {
            self.fifo_clear(port);
        } else {
            self.two_level_clear(port);
        }
        let entry = self.channels.port_mut(port)?;
        let last_queue = entry.last_queue;
        *entry = super::Port {
            last_queue,
            ..super::Port::CLOSED
        };
        Ok(0)
    }

    fn send(&mut self, port: u32) -> Result<i64, Errno> {
        match self.channels.port(port)?.state {
            PortState::Interdomain { remote, port: peer } if remote == self.config.domid => {
                self.raise_port(peer);
            }
            PortState::Interdomain { port: peer, .. } => {
                if let Some(entry) = self.channels.remote.get_mut(&peer) {
                    entry.pending = true;
                }
            }
            PortState::Ipi => self.raise_port(port),
            // Nobody listens yet: dropped without an error.
            PortState::Unbound { .. } => {}
            PortState::Closed | PortState::Virq(_) => return Err(EINVAL),
        }
        Ok(0)
    }

    fn op_status(&mut self, arg: u64) -> Result<i64, Errno> {
        let raw: [u8; 24] = self.memory.read_guest(arg)?;
        let (dom, port) = (u16_at(&raw, 0), u32_at(&raw, 4));
        if dom != DOMID_SELF && dom != self.config.domid {
            return Err(EPERM);
        }
        let entry = *self.channels.port(port)?;
        let (status, detail): (u32, [u32; 2]) = match entry.state {
            PortState::Closed => (0, [0, 0]),
            PortState::Unbound { remote } => (1, [u32::from(remote), 0]),
            PortState::Interdomain { remote, port } => (2, [u32::from(remote), port]),
            PortState::Virq(virq) => (4, [virq, 0]),
            PortState::Ipi => (5, [0, 0]),
        };
        for (at, value) in [
            (8, status),
            (12, entry.vcpu),
            (16, detail[0]),
            (20, detail[1]),
        ] {
            self.memory
                .write_guest(arg.wrapping_add(at), &value.to_le_bytes())?;
        }
        Ok(0)
    }

    fn op_bind_vcpu(&mut self, arg: u64) -> Result<i64, Errno> {
        let raw: [u8; 8] = self.memory.read_guest(arg)?;
        let (port, vcpu) = (u32_at(&raw, 0), u32_at(&raw, 4));
        if vcpu >= self.config.vcpus {
            return Err(ENOENT);
        }
        let entry = self.channels.port_mut(port)?;
        match entry.state {
            PortState::Unbound { .. } | PortState::Interdomain { .. } => entry.vcpu = vcpu,
            PortState::Virq(virq) if !is_per_vcpu(virq) => entry.vcpu = vcpu,
            PortState::Closed | PortState::Virq(_) | PortState::Ipi => return Err(EINVAL),
        }
        Ok(0)
    }

    fn op_reset(&mut self, arg: u64) -> Result<i64, Errno> {
        let dom = u16::from_le_bytes(self.memory.read_guest(arg)?);
        if dom != DOMID_SELF && dom != self.config.domid {
            return Err(if dom >= abi::DOMID_FIRST_RESERVED {
                ESRCH
            } else {
                EPERM
            });
        }
        for port in 1..self.channels.ports.len() as u32 {
            if self.channels.port(port)?.state != PortState::Closed {
                self.close_port(port).map_err(|_| EBUSY)?;
            }
        }
        self.fifo_stop();
        Ok(0)
    }
}
