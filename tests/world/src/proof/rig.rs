//! The network behind the backend under proof: keeps what comes, and sends what it is given.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use netback_model::{FrameMeta, Wire};

use crate::machine::lock;
use crate::network::Network;

#[derive(Debug, Default)]
struct Inside {
    arrived: Vec<(Vec<u8>, FrameMeta)>,
    waiting: VecDeque<(Vec<u8>, FrameMeta)>,
}

/// The network. Clones are the same network.
#[derive(Clone, Debug, Default)]
pub struct Rig(Arc<Mutex<Inside>>);

impl Rig {
    /// Frames that came since the last call.
    pub fn take_arrived(&self) -> Vec<(Vec<u8>, FrameMeta)> {
        core::mem::take(&mut lock(&self.0).arrived)
    }

    /// Puts a frame on the wire for the guest.
    pub fn send(&self, frame: Vec<u8>, meta: FrameMeta) {
        lock(&self.0).waiting.push_back((frame, meta));
    }
}

impl Wire for Rig {
    fn from_guest(&mut self, frame: &[u8], meta: FrameMeta) {
        lock(&self.0).arrived.push((frame.to_vec(), meta));
    }

    fn to_guest(&mut self) -> Option<(Vec<u8>, FrameMeta)> {
        lock(&self.0).waiting.pop_front()
    }
}

impl Network for Rig {}
