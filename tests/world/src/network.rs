//! The network behind a backend.

use netback_model::{FrameMeta, Wire};

/// Who lives behind a backend.
pub trait Network: Wire + Send {
    /// Does what is due at `now` (100 ns units); whether it did anything.
    fn poll(&mut self, now: u64) -> bool {
        let _ = now;
        false
    }

    /// When it wants to be polled again, 100 ns units.
    fn next_deadline(&self) -> Option<u64> {
        None
    }
}

/// Nobody: frames from the guest are counted and dropped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody {
    /// Frames from the guest.
    pub frames: u64,
}

impl Wire for Nobody {
    fn from_guest(&mut self, _frame: &[u8], _meta: FrameMeta) {
        self.frames += 1;
    }

    fn to_guest(&mut self) -> Option<(Vec<u8>, FrameMeta)> {
        None
    }
}

impl Network for Nobody {}
