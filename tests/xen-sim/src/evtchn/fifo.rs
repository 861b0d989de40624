//! The FIFO ABI: an event word per port, linked into queues by priority, one control block per vCPU.
//!
//! Control block: ready bitmap u32 at 0, reserved u32 at 4, sixteen heads u32 at 8. The guest consumes
//! from the head and clears LINKED; Xen appends at a tail it remembers, which it may only link from
//! while that word still says LINKED (else the queue ran empty and the head is rewritten).

use alloc::vec::Vec;

use crate::abi::{
    self, EINVAL, ENOENT, ENOSPC, ENOSYS, EOPNOTSUPP, EVTCHN_FIFO_BUSY, EVTCHN_FIFO_CONTROL_SIZE,
    EVTCHN_FIFO_LINK_MASK, EVTCHN_FIFO_LINKED, EVTCHN_FIFO_MASKED, EVTCHN_FIFO_PENDING, Errno,
    PAGE_SIZE,
};
use crate::leak::Violation;
use crate::machine::Machine;
use crate::mem::Page;

const WORDS_PER_PAGE: u32 = (PAGE_SIZE / 4) as u32;
const MAX_PAGES: usize = 128;
const QUEUES: usize = 16;

#[derive(Clone, Debug, Default)]
struct Vcpu {
    control: Option<(Page, usize)>,
    tails: [u32; QUEUES],
}

#[derive(Debug)]
pub(super) struct Fifo {
    vcpus: Vec<Vcpu>,
    pages: Vec<Page>,
}

impl Fifo {
    fn word(&self, port: u32) -> Option<(Page, usize)> {
        let page = self.pages.get((port / WORDS_PER_PAGE) as usize)?;
        Some((*page, (port % WORDS_PER_PAGE) as usize * 4))
    }

    pub(super) fn is_linked(&self, port: u32) -> bool {
        self.word(port)
            .is_some_and(|(page, at)| page.read_u32(at) & EVTCHN_FIFO_LINKED != 0)
    }

    /// Links `tail` to `port` if `tail` is still in its queue.
    fn append(&self, tail: u32, port: u32) -> bool {
        let Some((page, at)) = self.word(tail) else {
            return false;
        };
        loop {
            let old = page.read_u32(at);
            if old & EVTCHN_FIFO_LINKED == 0 {
                return false;
            }
            let new = (old & !(EVTCHN_FIFO_BUSY | EVTCHN_FIFO_LINK_MASK)) | port;
            if page.cas_u32(at, old, new).is_ok() {
                return true;
            }
        }
    }
}

impl Machine {
    /// `EVTCHNOP_init_control`: the first call switches the guest to the FIFO ABI.
    pub(super) fn fifo_init_control(
        &mut self,
        pfn: u64,
        offset: u32,
        vcpu: u32,
    ) -> Result<(), Errno> {
        if !self.channels.fifo_offered {
            return Err(ENOSYS);
        }
        if vcpu >= self.config.vcpus {
            return Err(ENOENT);
        }
        if offset > PAGE_SIZE as u32 - EVTCHN_FIFO_CONTROL_SIZE || !offset.is_multiple_of(8) {
            return Err(EINVAL);
        }
        let page = self.memory.frame(pfn).ok_or(EINVAL)?;
        if self.channels.fifo.is_none() {
            self.fifo_start();
        }
        let fifo = self.channels.fifo.as_mut().ok_or(EINVAL)?;
        let slot = fifo.vcpus.get_mut(vcpu as usize).ok_or(ENOENT)?;
        if slot.control.is_some() {
            return Err(EINVAL);
        }
        let at = offset as usize;
        // The ready word starts clear; heads are taken over as they are (the guest zeroes its page).
        page.write_u32(at, 0);
        slot.control = Some((page, at));
        Ok(())
    }

    fn fifo_start(&mut self) {
        for port in 1..self.channels.ports.len() as u32 {
            let pending = self.two_level_pending(port);
            if let Ok(entry) = self.channels.port_mut(port) {
                entry.early = pending;
                entry.priority = abi::EVTCHN_FIFO_DEFAULT_PRIORITY;
            }
        }
        let vcpus = alloc::vec![Vcpu::default(); self.config.vcpus as usize];
        self.channels.fifo = Some(Fifo {
            vcpus,
            pages: Vec::new(),
        });
    }

    pub(super) fn fifo_expand_array(&mut self, pfn: u64) -> Result<(), Errno> {
        let page = self.memory.frame(pfn);
        let Some(fifo) = self.channels.fifo.as_mut() else {
            return Err(if self.channels.fifo_offered {
                EOPNOTSUPP
            } else {
                ENOSYS
            });
        };
        if fifo.pages.len() >= MAX_PAGES {
            return Err(ENOSPC);
        }
        let first = fifo.pages.len() as u32 * WORDS_PER_PAGE;
        fifo.pages.push(page.ok_or(EINVAL)?);
        for port in first..(first + WORDS_PER_PAGE).min(self.channels.ports.len() as u32) {
            if self
                .channels
                .port_mut(port)
                .is_ok_and(|p| core::mem::take(&mut p.early))
            {
                self.fifo_raise(port);
            }
        }
        Ok(())
    }

    pub(super) fn fifo_raise(&mut self, port: u32) {
        let channels = &mut self.channels;
        let (Some(fifo), Some(entry)) = (&mut channels.fifo, channels.ports.get_mut(port as usize))
        else {
            return;
        };
        let Some((page, at)) = fifo.word(port) else {
            entry.early = true;
            return;
        };
        let vcpu = entry.vcpu;
        let Some((control, control_at)) = fifo.vcpus.get(vcpu as usize).and_then(|v| v.control)
        else {
            self.violations
                .push(Violation::NoControlBlock { vcpu, port });
            return;
        };
        let old = page.or_u32(at, EVTCHN_FIFO_PENDING);
        if old & EVTCHN_FIFO_MASKED != 0
            || page.or_u32(at, EVTCHN_FIFO_LINKED) & EVTCHN_FIFO_LINKED != 0
        {
            return;
        }
        let priority = entry.priority;
        // A tail that is this very event left its queue (it was not LINKED): that queue is empty now.
        let (last_vcpu, last_priority) = entry.last_queue;
        if let Some(tail) = tail_of(fifo, last_vcpu, last_priority)
            && *tail == port
        {
            *tail = 0;
        }
        entry.last_queue = (vcpu, priority);
        let tail = tail_of(fifo, vcpu, priority).map_or(0, |t| core::mem::replace(t, port));
        if tail != 0 && fifo.append(tail, port) {
            return;
        }
        control.write_u32(control_at + 8 + usize::from(priority) * 4, port);
        if control.or_u32(control_at, 1 << priority) & (1 << priority) == 0 {
            self.mark_events_pending(vcpu);
        }
    }

    pub(super) fn fifo_unmask(&mut self, port: u32) {
        let Some((page, at)) = self.channels.fifo.as_ref().and_then(|f| f.word(port)) else {
            return;
        };
        page.and_u32(at, !EVTCHN_FIFO_MASKED);
        if page.read_u32(at) & EVTCHN_FIFO_PENDING != 0 {
            self.fifo_raise(port);
        }
    }

    pub(super) fn fifo_clear(&mut self, port: u32) {
        if let Some((page, at)) = self.channels.fifo.as_ref().and_then(|f| f.word(port)) {
            page.and_u32(at, !EVTCHN_FIFO_PENDING);
        }
    }

    pub(super) fn fifo_set_priority(&mut self, port: u32, priority: u32) -> Result<(), Errno> {
        if !self.channels.fifo_offered || self.channels.fifo.is_none() {
            return Err(ENOSYS);
        }
        let entry = self.channels.port_mut(port)?;
        if priority > abi::EVTCHN_FIFO_LOWEST_PRIORITY {
            return Err(EINVAL);
        }
        entry.priority = priority as u8;
        Ok(())
    }

    /// Back to the 2-level ABI.
    pub(super) fn fifo_stop(&mut self) {
        self.channels.fifo = None;
    }
}

fn tail_of(fifo: &mut Fifo, vcpu: u32, priority: u8) -> Option<&mut u32> {
    fifo.vcpus
        .get_mut(vcpu as usize)?
        .tails
        .get_mut(usize::from(priority))
}
