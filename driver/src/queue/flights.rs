//! Lists of which the backend still has pages: each is complete when its last frame has come back.

use ndis::Status;
use ndis::chain::{Nbl, NblChain};
use netfront_core::RING_SIZE;
use netfront_core::tx::{Cookie, TxDone, TxOutcome};
use nt::pool::{OutOfMemory, PoolSlice};

use super::stack::NumberStack;
use crate::TAG;

/// One more than frames can be on the ring: the list that is being sent may have none there.
const FLIGHTS: u32 = RING_SIZE + 1;

/// A list under way.
#[derive(Debug, Default)]
struct Flight {
    /// The list, once all of its frames have been on the ring.
    list: Option<Nbl>,
    /// Frames that are there now.
    frames: u32,
    /// Why a frame was not sent.
    failure: Option<Status>,
}

/// Number of a list under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlightId(u32);

impl FlightId {
    /// What the engine calls the list's frames.
    pub(crate) fn cookie(self) -> Cookie {
        Cookie(usize::try_from(self.0).unwrap_or(usize::MAX))
    }
}

/// All lists under way of a queue.
#[derive(Debug)]
pub(crate) struct Flights {
    table: PoolSlice<Flight>,
    free: NumberStack,
    /// Lists that wait for their frames.
    parked: u32,
}

impl Flights {
    /// None under way.
    pub(crate) fn try_new() -> Result<Self, OutOfMemory> {
        let len = usize::try_from(FLIGHTS).map_err(|_| OutOfMemory)?;
        let mut free = NumberStack::try_new(FLIGHTS)?;
        for number in 0..FLIGHTS {
            free.push(number);
        }
        Ok(Self {
            table: PoolSlice::try_from_fn(TAG, len, |_| Flight::default())?,
            free,
            parked: 0,
        })
    }

    /// Lists that wait for their frames.
    pub(crate) fn parked(&self) -> u32 {
        self.parked
    }

    /// Begins with a list.
    pub(crate) fn begin(&mut self) -> Option<FlightId> {
        self.free.pop().map(FlightId)
    }

    fn flight(&mut self, id: usize) -> Option<&mut Flight> {
        self.table.get_mut(id)
    }

    /// A frame of the list is on the ring.
    pub(crate) fn add_frame(&mut self, id: FlightId) {
        if let Some(flight) = self.flight(id.cookie().0) {
            flight.frames = flight.frames.saturating_add(1);
        }
    }

    /// All frames of the list were on the ring, or will never be: it goes to `done` at once, or
    /// when its last frame has come back.
    pub(crate) fn end(&mut self, id: FlightId, list: Nbl, status: Status, done: &mut NblChain) {
        let Some(flight) = self.flight(id.cookie().0) else {
            return;
        };
        if status != Status::SUCCESS {
            flight.failure = Some(status);
        }
        flight.list = Some(list);
        self.parked = self.parked.saturating_add(1);
        self.finish(id.cookie().0, done);
    }

    /// A frame has come back.
    pub(crate) fn frame_done(&mut self, frame: TxDone, done: &mut NblChain) {
        let Cookie(id) = frame.cookie;
        if let Some(flight) = self.flight(id) {
            flight.frames = flight.frames.saturating_sub(1);
            if frame.outcome != TxOutcome::Sent {
                flight.failure = Some(Status::FAILURE);
            }
        }
        self.finish(id, done);
    }

    /// Gives the list back if nothing of it is out.
    fn finish(&mut self, id: usize, done: &mut NblChain) {
        let Some(flight) = self.table.get_mut(id) else {
            return;
        };
        if flight.frames > 0 {
            return;
        }
        let Some(mut list) = flight.list.take() else {
            return;
        };
        list.set_status(flight.failure.take().unwrap_or(Status::SUCCESS));
        done.push_back(list);
        self.parked = self.parked.saturating_sub(1);
        if let Ok(number) = u32::try_from(id) {
            self.free.push(number);
        }
    }
}
