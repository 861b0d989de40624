//! Back to the state firmware left: all ports closed but those of XenStore and the console, the
//! 2-level ABI, and no page of ours with Xen.
#![allow(
    unsafe_code,
    reason = "tells Xen the new ports of the store and the console; each block states its reason"
)]

use hypervisor::{HypercallError, Hypervisor};
use nt::log_error;
use xen_abi::domid::DomId;
use xen_abi::event_channel::{ChannelStatus, Port};
use xen_abi::hvm::{HVM_PARAM_CONSOLE_EVTCHN, HVM_PARAM_STORE_EVTCHN};

/// A port that the toolstack opened for us, and that a reset closes too.
struct Given {
    param: u32,
    port: Port,
    remote: DomId,
    remote_port: Port,
}

impl Given {
    /// The port a parameter names, if it is connected.
    fn find(xen: Hypervisor, param: u32) -> Option<Self> {
        let port = Port(u32::try_from(xen.hvm_param(param).ok()?).ok()?);
        if port == Port(0) {
            return None;
        }
        let status = xen.port_status(port).ok()?;
        if status.status != ChannelStatus::INTERDOMAIN {
            return None;
        }
        let [remote, remote_port] = status.detail;
        Some(Self {
            param,
            port,
            remote: DomId(u16::try_from(remote & 0xFFFF).ok()?),
            remote_port: Port(remote_port),
        })
    }

    /// Connects it again: the other end waits for that when ours is closed.
    fn restore(&self, xen: Hypervisor) -> Result<(), HypercallError> {
        let port = xen.bind_interdomain(self.remote, self.remote_port)?;
        if port == self.port {
            return Ok(());
        }
        // SAFETY: the parameter only says which port it is.
        unsafe { xen.set_hvm_param(self.param, u64::from(port.0)) }
    }
}

/// Resets the event channels. Whatever had a port has none afterwards.
pub(super) fn reset(xen: Hypervisor) -> Result<(), HypercallError> {
    let store = Given::find(xen, HVM_PARAM_STORE_EVTCHN);
    let console = Given::find(xen, HVM_PARAM_CONSOLE_EVTCHN);
    xen.reset_event_channels()?;
    for given in [store, console].into_iter().flatten() {
        if let Err(error) = given.restore(xen) {
            log_error!("parameter {} has no port: {error:?}", given.param);
        }
    }
    Ok(())
}
