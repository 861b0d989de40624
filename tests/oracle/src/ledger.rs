//! Books over both directions: what must still come, flow by flow, in order.

use std::collections::{BTreeMap, VecDeque};

use crate::packet::{Flow, flow};
use crate::receive::{self, Came, Fate, Lists, Told};
use crate::transmit::{self, Asked, Difference, OnWire, Unfinished};

/// Frames of a flow that are remembered after they came.
const REMEMBERED: usize = 64;

/// What was wrong with a frame on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireFault {
    /// An honest peer cannot finish it.
    Unfinished(Unfinished),
    /// It is not the frame that was due.
    Differs(Difference),
    /// Frames of its flow that were due before it: this many.
    OutOfOrder(usize),
    /// It has come before.
    Doubled,
    /// Nothing of its flow was due.
    Unexpected,
}

#[derive(Debug)]
struct Line<T> {
    due: VecDeque<T>,
    past: VecDeque<Vec<u8>>,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            due: VecDeque::new(),
            past: VecDeque::new(),
        }
    }
}

impl<T> Line<T> {
    fn remember(&mut self, frame: Vec<u8>) {
        if self.past.len() == REMEMBERED {
            self.past.pop_front();
        }
        self.past.push_back(frame);
    }
}

/// Frames from the guest.
#[derive(Debug, Default)]
pub struct FromGuest {
    flows: BTreeMap<Flow, Line<Vec<u8>>>,
    /// Frames that came as they should.
    pub good: u64,
    /// Of those, the ones that were segments of large sends, or completed by the peer.
    pub offloaded: u64,
}

impl FromGuest {
    /// NDIS handed over a frame. False if the driver must fail it: nothing is due then.
    pub fn sent(&mut self, asked: &Asked, tagging: transmit::Tagging) -> bool {
        let Some(frames) = transmit::expected(asked, tagging) else {
            return false;
        };
        for frame in frames {
            self.flows
                .entry(flow(&frame))
                .or_default()
                .due
                .push_back(frame);
        }
        true
    }

    /// A frame came out at the wire.
    pub fn arrived(&mut self, wire: OnWire, offered: transmit::Offered) -> Result<(), WireFault> {
        let offloaded = wire.csum_blank || wire.gso.is_some();
        for frame in transmit::finish(wire, offered).map_err(WireFault::Unfinished)? {
            self.settle(frame)?;
            self.offloaded += u64::from(offloaded);
        }
        Ok(())
    }

    fn settle(&mut self, frame: Vec<u8>) -> Result<(), WireFault> {
        let Some(line) = self.flows.get_mut(&flow(&frame)) else {
            return Err(WireFault::Unexpected);
        };
        if line.due.front() == Some(&frame) {
            line.due.pop_front();
            line.remember(frame);
            self.good += 1;
            return Ok(());
        }
        if let Some(at) = line.due.iter().position(|due| *due == frame) {
            line.due.remove(at);
            line.remember(frame);
            return Err(WireFault::OutOfOrder(at));
        }
        if line.past.contains(&frame) {
            return Err(WireFault::Doubled);
        }
        let Some(due) = line.due.front() else {
            return Err(WireFault::Unexpected);
        };
        let difference = transmit::difference(due, &frame);
        difference.map_or(Ok(()), |difference| Err(WireFault::Differs(difference)))
    }

    /// Frames that have not come.
    pub fn missing(&self) -> usize {
        self.flows.values().map(|line| line.due.len()).sum()
    }

    /// One of the frames that have not come.
    pub fn first_missing(&self) -> Option<&[u8]> {
        self.flows
            .values()
            .find_map(|line| line.due.front())
            .map(Vec::as_slice)
    }
}

/// What was wrong with a received list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListFault {
    /// The list itself.
    Wrong(receive::Fault),
    /// Lists of its flow that were due before it: this many.
    OutOfOrder(usize),
    /// It has come before.
    Doubled,
    /// Nothing of its flow was due: not wanted, or not sent.
    Unexpected,
}

/// A frame that is due: what is left of it, and the terms it came under.
#[derive(Debug)]
struct Due {
    lists: Lists,
    next: usize,
}

/// Frames to the guest.
#[derive(Debug, Default)]
pub struct ToGuest {
    flows: BTreeMap<Flow, Line<Due>>,
    /// Lists that came as they should.
    pub good: u64,
    /// Of those, the coalesced units.
    pub units: u64,
    /// Of those, the segments that the driver cut itself.
    pub cut: u64,
    /// Of those, the ones with a checksum told to be right.
    pub verified: u64,
    /// Of those, the ones with a hash.
    pub hashed: u64,
    /// Frames that NDIS must not see.
    pub unwanted: u64,
}

impl ToGuest {
    /// A frame for the guest is on the wire.
    pub fn offered(&mut self, came: &Came, terms: &receive::Terms) {
        match receive::fate(came, terms) {
            Fate::Nothing => self.unwanted += 1,
            Fate::Lists(lists) => {
                if let Some(first) = lists.frames.first() {
                    let line = self.flows.entry(flow(first)).or_default();
                    line.due.push_back(Due { lists, next: 0 });
                }
            }
        }
    }

    /// NDIS was told of a list.
    pub fn told(&mut self, told: &Told, terms: &receive::Terms) -> Result<(), ListFault> {
        let Some(line) = self.flows.get_mut(&flow(&told.bytes)) else {
            return Err(ListFault::Unexpected);
        };
        let Some(due) = line.due.front_mut() else {
            let again = line.past.contains(&told.bytes);
            return Err(if again {
                ListFault::Doubled
            } else {
                ListFault::Unexpected
            });
        };
        let count = told.slots[crate::slots::COALESCED] & 0xFFFF;
        let whole =
            due.lists.unit.as_ref().filter(|_| {
                due.next == 0 && count > 1 || count == 1 && due.lists.frames.len() == 1
            });
        let (result, unit) = match whole {
            Some((unit, segments)) => {
                let judged = receive::judge(unit, *segments, &due.lists, told, terms);
                (judged, true)
            }
            None if count > 1 => (Err(receive::Fault::NoUnit), true),
            None => {
                let frame = &due.lists.frames[due.next];
                (receive::judge(frame, 0, &due.lists, told, terms), false)
            }
        };
        if let Err(fault) = result {
            return Err(Self::diagnose(line, told, fault));
        }
        self.good += 1;
        self.units += u64::from(unit);
        self.cut += u64::from(!unit && due.lists.frames.len() > 1);
        self.verified += u64::from(told.slots[crate::slots::CHECKSUM] & 0x18 != 0);
        self.hashed += u64::from(told.slots[crate::slots::HASH_INFO] != 0);
        due.next += 1;
        if unit || due.next == due.lists.frames.len() {
            line.due.pop_front();
        }
        line.remember(told.bytes.clone());
        Ok(())
    }

    /// Why the head of the line does not match: perhaps another one does.
    fn diagnose(line: &mut Line<Due>, told: &Told, fault: receive::Fault) -> ListFault {
        let same = |due: &Due| due.lists.frames.contains(&told.bytes);
        if let receive::Fault::Differs(_) = fault {
            if line.past.contains(&told.bytes) {
                return ListFault::Doubled;
            }
            if let Some(at) = line.due.iter().skip(1).position(same) {
                line.due.remove(at + 1);
                return ListFault::OutOfOrder(at + 1);
            }
        }
        line.due.pop_front();
        ListFault::Wrong(fault)
    }

    /// Lists that have not come; segments of a large frame count as one.
    pub fn missing(&self) -> usize {
        self.flows.values().map(|line| line.due.len()).sum()
    }

    /// The first frame that has not come.
    pub fn first_missing(&self) -> Option<&[u8]> {
        let due = self.flows.values().find_map(|line| line.due.front())?;
        due.lists.frames.get(due.next).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receive::Terms;
    use crate::samples;
    use crate::slots::COUNT;
    use crate::transmit::{Offered, Tagging};

    fn sent(frames: &[Vec<u8>]) -> FromGuest {
        let mut book = FromGuest::default();
        for bytes in frames {
            let asked = Asked {
                bytes: bytes.clone(),
                ..Asked::default()
            };
            assert!(book.sent(&asked, Tagging::default()));
        }
        book
    }

    fn arrive(book: &mut FromGuest, bytes: &[u8]) -> Result<(), WireFault> {
        let wire = OnWire {
            bytes: bytes.to_vec(),
            ..OnWire::default()
        };
        book.arrived(wire, Offered::default())
    }

    fn frames() -> [Vec<u8>; 3] {
        [b"the first frame", b"the next frame.", b"the last frame."]
            .map(|payload| samples::tcp4(payload))
    }

    #[test]
    fn frames_of_one_flow_come_in_order_and_of_two_in_any() {
        let [a, b, c] = frames();
        let other = samples::udp4(b"another flow, another");
        let mut book = sent(&[a.clone(), b.clone(), other.clone(), c.clone()]);
        for frame in [&other, &a, &b] {
            assert_eq!(arrive(&mut book, frame), Ok(()));
        }
        assert_eq!((book.missing(), book.good), (1, 3));
        assert_eq!(book.first_missing(), Some(&c[..]));
    }

    #[test]
    fn lost_doubled_disordered_changed_and_strange_frames_are_told_apart() {
        let [a, b, c] = frames();
        let mut book = sent(&[a.clone(), b.clone(), c.clone()]);
        assert_eq!(arrive(&mut book, &b), Err(WireFault::OutOfOrder(1)));
        assert_eq!(arrive(&mut book, &a), Ok(()));
        assert_eq!(arrive(&mut book, &a), Err(WireFault::Doubled));
        let mut changed = c.clone();
        changed[60] ^= 1;
        let fault = arrive(&mut book, &changed);
        assert_eq!(fault, Err(WireFault::Differs(Difference::Payload(60))));
        let strange = samples::udp4(b"nobody sent this one");
        assert_eq!(arrive(&mut book, &strange), Err(WireFault::Unexpected));
        assert_eq!(book.missing(), 1);
    }

    #[test]
    fn stale_bytes_in_the_padding_are_seen() {
        let mut short = samples::tcp4(b"");
        short.truncate(54);
        let mut book = sent(&[short.clone()]);
        let mut padded = short;
        padded.resize(60, 0);
        padded[58] = 0xEE;
        let fault = arrive(&mut book, &padded);
        assert_eq!(fault, Err(WireFault::Differs(Difference::Padding(58))));
    }

    fn terms() -> Terms {
        Terms {
            filter: receive::Filter {
                types: 1,
                own: [0, 0x16, 0x3E, 0, 1, 0],
                groups: Vec::new(),
            },
            longest: 1514,
            ..Terms::default()
        }
    }

    fn list(bytes: &[u8]) -> Told {
        Told {
            bytes: bytes.to_vec(),
            slots: [0; COUNT],
        }
    }

    fn offered(frames: &[Vec<u8>], gso: Option<(u16, crate::packet::Version)>) -> ToGuest {
        let mut book = ToGuest::default();
        for bytes in frames {
            let came = Came {
                bytes: bytes.clone(),
                gso,
                ..Came::default()
            };
            book.offered(&came, &terms());
        }
        book
    }

    #[test]
    fn received_lists_are_kept_in_order_too() {
        let [a, b, c] = frames();
        let mut book = offered(&[a.clone(), b.clone(), c.clone()], None);
        assert_eq!(
            book.told(&list(&b), &terms()),
            Err(ListFault::OutOfOrder(1))
        );
        assert_eq!(book.told(&list(&a), &terms()), Ok(()));
        assert_eq!(
            book.told(&list(&b), &terms()),
            Err(ListFault::Wrong(receive::Fault::Differs(
                Difference::Payload(58)
            )))
        );
        assert_eq!((book.good, book.missing()), (1, 0));
        assert_eq!(book.told(&list(&a), &terms()), Err(ListFault::Doubled));
        let strange = samples::udp4(b"nobody sent this one");
        assert_eq!(
            book.told(&list(&strange), &terms()),
            Err(ListFault::Unexpected)
        );
    }

    #[test]
    fn a_large_frame_without_coalescing_comes_as_its_segments() {
        let whole = samples::tcp4(&samples::noise(2500));
        let gso = Some((1000, crate::packet::Version::V4));
        let parts = crate::segment::segments(&whole, 1000).expect("TCP");
        let mut book = offered(core::slice::from_ref(&whole), gso);
        for part in &parts {
            assert_eq!(book.told(&list(part), &terms()), Ok(()));
        }
        assert_eq!((book.missing(), book.cut, book.units), (0, 3, 0));

        let mut book = offered(core::slice::from_ref(&whole), gso);
        assert_eq!(book.told(&list(&parts[0]), &terms()), Ok(()));
        let fault = book.told(&list(&parts[2]), &terms());
        assert!(
            matches!(fault, Err(ListFault::Wrong(receive::Fault::Differs(_)))),
            "{fault:?}"
        );

        let mut book = offered(core::slice::from_ref(&whole), gso);
        let mut unit = list(&whole);
        unit.slots[crate::slots::COALESCED] = 3;
        let fault = book.told(&unit, &terms());
        assert_eq!(fault, Err(ListFault::Wrong(receive::Fault::NoUnit)));
    }

    #[test]
    fn frames_that_are_not_wanted_are_due_to_nobody() {
        let mut foreign = frames()[0].clone();
        foreign[5] = 9;
        let mut book = offered(&[foreign.clone()], None);
        assert_eq!((book.unwanted, book.missing()), (1, 0));
        assert_eq!(
            book.told(&list(&foreign), &terms()),
            Err(ListFault::Unexpected)
        );
    }
}
