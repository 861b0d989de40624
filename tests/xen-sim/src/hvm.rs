//! HVM parameters and how an event reaches a vCPU.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use crate::abi::{
    self, DOMID_SELF, EINVAL, ENOENT, ENOSYS, EPERM, ESRCH, Errno, HVM_PARAM_CALLBACK_IRQ,
};
use crate::machine::Machine;

/// An interrupt as the guest's platform sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// A vector delivered straight to the vCPU's local APIC: an edge.
    Vector(u8),
    /// A global system interrupt: a level.
    Gsi(u32),
    /// Pin `intx` (0 is INTA) of PCI device `device`: a level.
    IntX {
        /// Device number on bus 0.
        device: u8,
        /// Pin, 0..4.
        intx: u8,
    },
}

/// The guest's interrupt controller, told by Xen.
pub trait Interrupts: Send {
    /// Raises `line` towards `vcpu`. A level stays up until [`lower`](Self::lower).
    fn raise(&mut self, vcpu: u32, line: Line);
    /// Lowers a level.
    fn lower(&mut self, line: Line);
}

/// Interrupts that go nowhere: for tests that poll.
#[derive(Debug, Default)]
pub struct NoInterrupts;

impl Interrupts for NoInterrupts {
    fn raise(&mut self, _: u32, _: Line) {}
    fn lower(&mut self, _: Line) {}
}

/// Interrupts that only remember: which vCPUs were interrupted, and whether the level is up.
#[derive(Clone, Debug, Default)]
pub struct RecordedInterrupts {
    vcpus: Arc<AtomicU64>,
    level: Arc<AtomicBool>,
}

impl RecordedInterrupts {
    /// Takes the set of vCPUs interrupted by a vector, one bit each.
    pub fn take(&self) -> u64 {
        self.vcpus.swap(0, SeqCst)
    }

    /// Whether a level-triggered line is up.
    pub fn level(&self) -> bool {
        self.level.load(SeqCst)
    }
}

impl Interrupts for RecordedInterrupts {
    fn raise(&mut self, vcpu: u32, line: Line) {
        match line {
            Line::Vector(_) => {
                self.vcpus.fetch_or(1 << vcpu, SeqCst);
            }
            Line::Gsi(_) | Line::IntX { .. } => self.level.store(true, SeqCst),
        }
    }

    fn lower(&mut self, _: Line) {
        self.level.store(false, SeqCst);
    }
}

/// What `HVM_PARAM_CALLBACK_IRQ` selects (bits 63:56 are the type; hvm/params.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callback {
    /// No interrupt.
    None,
    /// A level on vCPU 0.
    Level(Line),
    /// The same vector on every vCPU.
    Vector(u8),
}

impl Callback {
    fn from_param(value: u64) -> Self {
        match value >> 56 {
            0 if value as u32 == 0 => Self::None,
            0 => Self::Level(Line::Gsi(value as u32)),
            1 => Self::Level(Line::IntX {
                device: ((value >> 11) & 0x1f) as u8,
                intx: (value & 3) as u8,
            }),
            2 => Self::Vector(value as u8),
            _ => Self::None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Hvm {
    pub(crate) params: BTreeMap<u32, u64>,
    /// Per-vCPU upcall vectors; 0 is none.
    pub(crate) vectors: Vec<u8>,
    asserted: Option<Line>,
}

impl Hvm {
    pub(crate) fn new(vcpus: u32) -> Self {
        Self {
            params: BTreeMap::new(),
            vectors: alloc::vec![0; vcpus as usize],
            asserted: None,
        }
    }
}

impl Machine {
    pub(crate) fn hvm_op(&mut self, op: u64, arg: u64) -> Result<i64, Errno> {
        match op {
            abi::HVMOP_SET_PARAM | abi::HVMOP_GET_PARAM => self.hvm_param(op, arg),
            abi::HVMOP_SET_EVTCHN_UPCALL_VECTOR => self.set_upcall_vector(arg),
            _ => Err(ENOSYS),
        }
    }

    fn hvm_param(&mut self, op: u64, arg: u64) -> Result<i64, Errno> {
        let raw: [u8; 16] = self.memory.read_guest(arg)?;
        let domid = u16::from_le_bytes([raw[0], raw[1]]);
        let index = u32::from_le_bytes([raw[4], raw[5], raw[6], raw[7]]);
        if index >= abi::HVM_NR_PARAMS {
            return Err(EINVAL);
        }
        if domid != DOMID_SELF && domid != self.config.domid {
            return Err(ESRCH);
        }
        if op == abi::HVMOP_GET_PARAM {
            return self.get_param(index, arg);
        }
        match index {
            HVM_PARAM_CALLBACK_IRQ
            | abi::HVM_PARAM_STORE_EVTCHN
            | abi::HVM_PARAM_CONSOLE_EVTCHN
            | abi::HVM_PARAM_VM_GENERATION_ID_ADDR => {}
            _ => return Err(EPERM),
        }
        let mut value = [0; 8];
        value.copy_from_slice(&raw[8..]);
        self.hvm.params.insert(index, u64::from_le_bytes(value));
        if index == HVM_PARAM_CALLBACK_IRQ {
            self.drop_line();
        }
        Ok(0)
    }

    fn get_param(&mut self, index: u32, arg: u64) -> Result<i64, Errno> {
        match index {
            HVM_PARAM_CALLBACK_IRQ
            | abi::HVM_PARAM_STORE_PFN
            | abi::HVM_PARAM_STORE_EVTCHN
            | abi::HVM_PARAM_CONSOLE_PFN
            | abi::HVM_PARAM_CONSOLE_EVTCHN
            | abi::HVM_PARAM_VM_GENERATION_ID_ADDR => {}
            _ => return Err(EPERM),
        }
        let value = self.hvm.params.get(&index).copied().unwrap_or(0);
        self.memory
            .write_guest(arg.wrapping_add(8), &value.to_le_bytes())
            .map(|()| 0)
    }

    fn set_upcall_vector(&mut self, arg: u64) -> Result<i64, Errno> {
        if !self.config.upcall_vector {
            return Err(ENOSYS);
        }
        let raw: [u8; 8] = self.memory.read_guest(arg)?;
        let vcpu = u32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]);
        if raw[4] < 0x10 {
            return Err(EINVAL);
        }
        *self.hvm.vectors.get_mut(vcpu as usize).ok_or(ENOENT)? = raw[4];
        if self.upcall_pending(vcpu) {
            self.interrupts.raise(vcpu, Line::Vector(raw[4]));
        }
        Ok(0)
    }

    /// How events reach the guest where no per-vCPU vector is set.
    pub fn callback(&self) -> Callback {
        Callback::from_param(
            self.hvm
                .params
                .get(&HVM_PARAM_CALLBACK_IRQ)
                .copied()
                .unwrap_or(0),
        )
    }

    /// The store event channel's guest port, as `HVM_PARAM_STORE_EVTCHN` has it now.
    pub fn store_port(&self) -> u32 {
        self.hvm
            .params
            .get(&abi::HVM_PARAM_STORE_EVTCHN)
            .copied()
            .unwrap_or(0) as u32
    }

    /// Interrupts `vcpu`, whose upcall-pending byte has just gone from 0 to 1.
    pub(crate) fn interrupt(&mut self, vcpu: u32) {
        let vector = self.hvm.vectors.get(vcpu as usize).copied().unwrap_or(0);
        if vector != 0 {
            self.interrupts.raise(vcpu, Line::Vector(vector));
            return;
        }
        match self.callback() {
            Callback::Vector(vector) => self.interrupts.raise(vcpu, Line::Vector(vector)),
            Callback::Level(_) | Callback::None => self.update_callback_line(),
        }
    }

    /// Sets the level-triggered callback line to vCPU 0's upcall-pending byte.
    ///
    /// Xen does this whenever a vCPU is entered; the harness calls it after the guest's interrupt
    /// handler, and every hypercall ends with it.
    pub fn update_callback_line(&mut self) {
        let Callback::Level(line) = self.callback() else {
            self.drop_line();
            return;
        };
        let wanted = self.hvm.vectors.first() == Some(&0) && self.upcall_pending(0);
        if wanted && self.hvm.asserted.is_none() {
            self.hvm.asserted = Some(line);
            self.interrupts.raise(0, line);
        } else if !wanted {
            self.drop_line();
        }
    }

    pub(crate) fn drop_line(&mut self) {
        if let Some(line) = self.hvm.asserted.take() {
            self.interrupts.lower(line);
        }
    }
}
