//! Event channel operations (`xen/event_channel.h`).
#![allow(unsafe_code, reason = "each operation vouches for its argument")]
use xen_abi::domid::DomId;
use xen_abi::event_channel as abi;
use xen_abi::event_channel::Port;
use xen_abi::hypercall::EVENT_CHANNEL_OP;

use crate::call::{Call, Hypervisor};
use crate::error::HypercallError;

impl<C: Call> Hypervisor<C> {
    /// Allocates a port that domain `remote` may bind to.
    pub fn alloc_unbound(&self, remote: DomId) -> Result<Port, HypercallError> {
        let mut arg = abi::AllocUnbound {
            dom: DomId::SELF,
            remote_dom: remote,
            port: Port(0),
        };
        // SAFETY: the argument of this command; it holds no address.
        unsafe { self.command(EVENT_CHANNEL_OP, abi::EVTCHNOP_ALLOC_UNBOUND, &mut arg) }?;
        Ok(arg.port)
    }

    /// Connects to `remote_port`, which domain `remote` allocated for us.
    pub fn bind_interdomain(
        &self,
        remote: DomId,
        remote_port: Port,
    ) -> Result<Port, HypercallError> {
        let mut arg = abi::BindInterdomain {
            remote_dom: remote,
            remote_port,
            local_port: Port(0),
        };
        // SAFETY: the argument of this command; it holds no address.
        unsafe { self.command(EVENT_CHANNEL_OP, abi::EVTCHNOP_BIND_INTERDOMAIN, &mut arg) }?;
        Ok(arg.local_port)
    }

    /// Binds a virtual interrupt (`VIRQ_*`) of a vCPU.
    pub fn bind_virq(&self, virq: u32, vcpu: u32) -> Result<Port, HypercallError> {
        let mut arg = abi::BindVirq {
            virq,
            vcpu,
            port: Port(0),
        };
        // SAFETY: the argument of this command; it holds no address.
        unsafe { self.command(EVENT_CHANNEL_OP, abi::EVTCHNOP_BIND_VIRQ, &mut arg) }?;
        Ok(arg.port)
    }

    /// Allocates a port to signal a vCPU of our own.
    pub fn bind_ipi(&self, vcpu: u32) -> Result<Port, HypercallError> {
        let mut arg = abi::BindIpi {
            vcpu,
            port: Port(0),
        };
        // SAFETY: the argument of this command; it holds no address.
        unsafe { self.command(EVENT_CHANNEL_OP, abi::EVTCHNOP_BIND_IPI, &mut arg) }?;
        Ok(arg.port)
    }

    /// Closes a port.
    pub fn close_port(&self, port: Port) -> Result<(), HypercallError> {
        let mut arg = abi::Close { port };
        // SAFETY: the argument of this command; it holds no address.
        unsafe { self.command(EVENT_CHANNEL_OP, abi::EVTCHNOP_CLOSE, &mut arg) }.map(drop)
    }

    /// Signals the other end of a port.
    #[inline]
    pub fn send_event(&self, port: Port) -> Result<(), HypercallError> {
        let mut arg = abi::SendEvent { port };
        // SAFETY: the argument of this command; it holds no address.
        unsafe { self.command(EVENT_CHANNEL_OP, abi::EVTCHNOP_SEND, &mut arg) }.map(drop)
    }

    /// What a port of ours is connected to.
    pub fn port_status(&self, port: Port) -> Result<abi::Status, HypercallError> {
        let mut arg = abi::Status {
            dom: DomId::SELF,
            port,
            ..abi::Status::default()
        };
        // SAFETY: the argument of this command; it holds no address.
        unsafe { self.command(EVENT_CHANNEL_OP, abi::EVTCHNOP_STATUS, &mut arg) }?;
        Ok(arg)
    }

    /// Chooses the vCPU (Xen's id) that a port notifies.
    pub fn bind_vcpu(&self, port: Port, vcpu: u32) -> Result<(), HypercallError> {
        let mut arg = abi::BindVcpu { port, vcpu };
        // SAFETY: the argument of this command; it holds no address.
        unsafe { self.command(EVENT_CHANNEL_OP, abi::EVTCHNOP_BIND_VCPU, &mut arg) }.map(drop)
    }

    /// Unmasks a port, and delivers its event if one is pending.
    pub fn unmask_port(&self, port: Port) -> Result<(), HypercallError> {
        let mut arg = abi::Unmask { port };
        // SAFETY: the argument of this command; it holds no address.
        unsafe { self.command(EVENT_CHANNEL_OP, abi::EVTCHNOP_UNMASK, &mut arg) }.map(drop)
    }

    /// Closes all ports and returns to the 2-level ABI; the control blocks and the array are ours again.
    pub fn reset_event_channels(&self) -> Result<(), HypercallError> {
        let mut arg = abi::Reset { dom: DomId::SELF };
        // SAFETY: the argument of this command; it holds no address.
        unsafe { self.command(EVENT_CHANNEL_OP, abi::EVTCHNOP_RESET, &mut arg) }.map(drop)
    }

    /// Sets a port's priority, 0 (highest) to 15 (FIFO ABI only).
    pub fn set_priority(&self, port: Port, priority: u32) -> Result<(), HypercallError> {
        let mut arg = abi::SetPriority { port, priority };
        // SAFETY: the argument of this command; it holds no address.
        unsafe { self.command(EVENT_CHANNEL_OP, abi::EVTCHNOP_SET_PRIORITY, &mut arg) }.map(drop)
    }

    /// Registers the control block of a vCPU, which changes the domain to the FIFO ABI. Returns the width of the
    /// link field.
    ///
    /// # Safety
    /// Bytes `offset..offset + 72` of frame `gfn` are a `FifoControlBlock` nobody else uses, until
    /// [`Hypervisor::reset_event_channels`].
    pub unsafe fn init_control(
        &self,
        gfn: u64,
        offset: u32,
        vcpu: u32,
    ) -> Result<u8, HypercallError> {
        let mut arg = abi::InitControl {
            control_gfn: gfn,
            offset,
            vcpu,
            ..abi::InitControl::default()
        };
        // SAFETY: the argument of this command; the frame is the caller's promise.
        unsafe { self.command(EVENT_CHANNEL_OP, abi::EVTCHNOP_INIT_CONTROL, &mut arg) }?;
        Ok(arg.link_bits)
    }

    /// Adds a page to the event array (FIFO ABI).
    ///
    /// # Safety
    /// Frame `gfn` is a page of event words nobody else uses, until [`Hypervisor::reset_event_channels`].
    pub unsafe fn expand_array(&self, gfn: u64) -> Result<(), HypercallError> {
        let mut arg = abi::ExpandArray { array_gfn: gfn };
        // SAFETY: the argument of this command; the frame is the caller's promise.
        unsafe { self.command(EVENT_CHANNEL_OP, abi::EVTCHNOP_EXPAND_ARRAY, &mut arg) }.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::tests::Expect;

    #[test]
    fn alloc_unbound_names_the_remote_and_returns_the_port() {
        let xen = Expect::new(32, 6, |arg: &mut abi::AllocUnbound, _| {
            assert_eq!((arg.dom, arg.remote_dom), (DomId(0x7FF0), DomId(3)));
            arg.port = Port(41);
            0
        });
        assert_eq!(Hypervisor::with(&xen).alloc_unbound(DomId(3)), Ok(Port(41)));
        assert_eq!(xen.calls(), 1);
    }

    #[test]
    fn a_failed_call_returns_no_port() {
        let xen = Expect::new(32, 6, |_: &mut abi::AllocUnbound, _| -28);
        assert_eq!(
            Hypervisor::with(&xen).alloc_unbound(DomId(0)),
            Err(HypercallError::Exhausted)
        );
    }

    #[test]
    fn send_passes_the_port() {
        let xen = Expect::new(32, 4, |arg: &mut abi::SendEvent, _| {
            assert_eq!(arg.port, Port(7));
            0
        });
        assert_eq!(Hypervisor::with(&xen).send_event(Port(7)), Ok(()));
    }

    #[test]
    fn fifo_is_refused_where_xen_has_none() {
        let xen = Expect::new(32, 11, |arg: &mut abi::InitControl, _| {
            assert_eq!((arg.control_gfn, arg.offset, arg.vcpu), (0x1234, 64, 2));
            -38
        });
        // SAFETY: no Xen takes the frame.
        let answer = unsafe { Hypervisor::with(&xen).init_control(0x1234, 64, 2) };
        assert_eq!(answer, Err(HypercallError::NotSupported));
    }
}
