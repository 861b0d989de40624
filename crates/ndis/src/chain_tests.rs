use super::*;
use std::boxed::Box;
use std::cell::RefCell;
use std::vec::Vec;

/// A list of zeros, marked with a number in its cancel slot.
fn nbl(mark: u64) -> Nbl {
    // SAFETY: a list of zeros is a valid value.
    let list: Box<NET_BUFFER_LIST> = Box::new(unsafe { core::mem::zeroed() });
    // SAFETY: freshly made and owned.
    let mut n = unsafe { Nbl::from_raw(NonNull::from(Box::leak(list))) };
    n.set_info(sys::NetBufferListCancelId, mark);
    n
}

fn free(n: Nbl) -> (u64, i32) {
    let out = (n.cancel_id(), n.raw().Status);
    // SAFETY: made by `nbl`.
    drop(unsafe { Box::from_raw(n.into_raw().as_ptr()) });
    out
}

fn chain(marks: &[u64]) -> NblChain {
    let mut c = NblChain::new();
    for m in marks {
        c.push_back(nbl(*m));
    }
    c
}

fn marks(mut c: NblChain) -> Vec<u64> {
    let mut out = Vec::new();
    while let Some(n) = c.pop_front() {
        out.push(free(n).0);
    }
    assert_eq!((c.len(), c.tail), (0, None));
    out
}

#[derive(Default)]
struct Recorder(RefCell<Vec<Vec<(u64, i32)>>>);

impl CompletionSink for &Recorder {
    fn complete(&self, mut chain: NblChain) {
        let mut batch = Vec::new();
        while let Some(n) = chain.pop_front() {
            batch.push(free(n));
        }
        self.0.borrow_mut().push(batch);
    }
}

#[test]
fn keeps_order_and_count() {
    let mut c = chain(&[1, 2]);
    c.append(chain(&[]));
    c.append(chain(&[3]));
    let mut d = NblChain::new();
    d.append(c);
    assert_eq!(d.len(), 3);
    assert_eq!(marks(d), [1, 2, 3]);
}

#[test]
fn survives_the_way_through_raw_pointers() {
    let (head, count) = chain(&[4, 5, 6]).into_raw();
    assert_eq!(count, 3);
    // SAFETY: the chain was given up just above.
    let mut back = unsafe { NblChain::from_raw(head) };
    back.push_back(nbl(7));
    assert_eq!(marks(back), [4, 5, 6, 7]);
    // SAFETY: null is the empty chain.
    assert!(unsafe { NblChain::from_raw(ptr::null_mut()) }.is_empty());
}

#[test]
fn extracts_by_cancel_id() {
    let mut c = chain(&[1, 9, 2, 9]);
    let taken = c.extract_if(|n| n.cancel_id() == 9);
    assert_eq!(marks(taken), [9, 9]);
    assert_eq!(marks(c), [1, 2]);
}

#[test]
fn dropped_sends_complete_with_a_failure_as_one_chain() {
    let sink = Recorder::default();
    let mut sends = SendChain::new(chain(&[1, 2, 3]), &sink, Status::FAILURE);
    let first = sends.take().map(free);
    assert_eq!(first, Some((1, 0)));
    drop(sends);
    let fail = Status::FAILURE.0;
    assert_eq!(*sink.0.borrow(), [[(2, fail), (3, fail)]]);
}

#[test]
fn failing_sends_tells_the_reason_and_an_empty_chain_nothing() {
    let sink = Recorder::default();
    SendChain::new(chain(&[1]), &sink, Status::FAILURE).fail(Status::PAUSED);
    drop(SendChain::new(NblChain::new(), &sink, Status::FAILURE));
    assert_eq!(*sink.0.borrow(), [[(1, Status::PAUSED.0)]]);
}

#[test]
fn slots_outside_the_array_are_ignored() {
    let mut n = nbl(1);
    n.set_info(sys::MaxNetBufferListInfo, 7);
    n.set_info(-1, 7);
    assert_eq!((n.info(sys::MaxNetBufferListInfo), n.info(-1)), (0, 0));
    free(n);
}

#[test]
fn a_hash_needs_a_type() {
    let mut n = nbl(1);
    n.set_info(sys::NetBufferListHashValue, 0x51cc_c178);
    assert_eq!(n.hash(), None);
    n.set_hash(0x51cc_c178, sys::NDIS_HASH_TCP_IPV4);
    assert_eq!(n.hash(), Some((0x51cc_c178, sys::NDIS_HASH_TCP_IPV4 | 1)));
    n.clear_info();
    assert_eq!(n.hash(), None);
    free(n);
}

#[test]
fn frames_of_a_list_come_in_order() {
    let mut frames: [NET_BUFFER; 2] =
        // SAFETY: frames of zeros are valid values.
        unsafe { core::mem::zeroed() };
    frames[0].stDataLength = 60;
    frames[1].stDataLength = 1514;
    let base = frames.as_mut_ptr();
    // SAFETY: the second element is in bounds.
    let second = unsafe { base.add(1) };
    // SAFETY: the first element is in bounds and not borrowed.
    unsafe { (*base).Next = second };
    let mut n = nbl(1);
    n.raw_mut().FirstNetBuffer = base;
    let lengths: Vec<u32> = n.frames().map(|f| f.len()).collect();
    assert_eq!(lengths, [60, 1514]);
    n.raw_mut().FirstNetBuffer = ptr::null_mut();
    free(n);
}
