//! A network that keeps what the guest sends and gives it what a test puts in.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use netback_model::{FrameMeta, Wire};

use crate::machine::lock;
use crate::network::Network;

#[derive(Debug, Default)]
struct Inside {
    seen: Vec<(Vec<u8>, FrameMeta)>,
    waiting: VecDeque<(Vec<u8>, FrameMeta)>,
}

/// The network. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Tap(Arc<Mutex<Inside>>);

impl Tap {
    /// Takes what the guest has sent.
    pub fn take(&self) -> Vec<(Vec<u8>, FrameMeta)> {
        core::mem::take(&mut lock(&self.0).seen)
    }

    /// Has a frame sent to the guest.
    pub fn put(&self, frame: Vec<u8>, meta: FrameMeta) {
        lock(&self.0).waiting.push_back((frame, meta));
    }
}

impl Wire for Tap {
    fn from_guest(&mut self, frame: &[u8], meta: FrameMeta) {
        lock(&self.0).seen.push((frame.to_vec(), meta));
    }

    fn to_guest(&mut self) -> Option<(Vec<u8>, FrameMeta)> {
        lock(&self.0).waiting.pop_front()
    }
}

impl Network for Tap {}
