//! Frames that tests send, and how their bytes are spread over MDLs.

use crate::sched::rng::Rng;
use alloc::vec;
use alloc::vec::Vec;

/// How the bytes of a frame lie in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// One MDL.
    Whole,
    /// MDLs of these lengths; the last one takes the rest. Zero is a length.
    Pieces(Vec<usize>),
    /// The chain in full: what stands in it before and behind the frame too.
    Chain(Chain),
    /// What the seed chooses: any number of MDLs on any byte boundary, with the MAC header unsplit.
    #[default]
    Random,
}

/// A frame's MDL chain in full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Lengths of MDLs before `CurrentMdl`.
    pub before: Vec<usize>,
    /// `CurrentMdlOffset`: bytes of `CurrentMdl` before the frame.
    pub skip: usize,
    /// Bytes of the frame in each MDL from `CurrentMdl` on; the last takes the rest. Zero is a length.
    pub pieces: Vec<usize>,
    /// Bytes behind the frame in its last MDL.
    pub tail: usize,
    /// Lengths of MDLs after it.
    pub after: Vec<usize>,
}

/// One frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Bytes from the destination address on, without a frame check sequence.
    pub bytes: Vec<u8>,
    /// Where they are.
    pub layout: Layout,
    /// The MDLs have no kernel address: the driver must map them, or use the frames.
    pub unmapped: bool,
}

impl Frame {
    /// A frame whose layout the seed chooses.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            ..Self::default()
        }
    }

    /// The same frame in one piece.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.layout = Layout::Whole;
        self
    }
}

/// Frames that are sent as one `NET_BUFFER_LIST`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendList {
    /// At least one; exactly one for a large send.
    pub frames: Vec<Frame>,
    /// Out-of-band slots: number and value.
    pub info: Vec<(usize, u64)>,
}

impl SendList {
    /// A list of one frame, without out-of-band data.
    #[must_use]
    pub fn one(frame: Frame) -> Self {
        Self {
            frames: vec![frame],
            info: Vec::new(),
        }
    }

    /// The list with an out-of-band slot set.
    #[must_use]
    pub fn with_info(mut self, slot: i32, value: u64) -> Self {
        self.info
            .push((usize::try_from(slot).unwrap_or(usize::MAX), value));
        self
    }
}

/// Bytes of the MAC header with its VLAN tag, which no sender splits.
fn mac_header(bytes: &[u8]) -> usize {
    let tagged = bytes.get(12..14) == Some(&[0x81, 0x00]);
    (if tagged { 18 } else { 14 }).min(bytes.len())
}

/// Lengths of the MDLs of a frame; they add up to its length.
pub(crate) fn pieces(frame: &Frame, rng: &mut Rng) -> Vec<usize> {
    let total = frame.bytes.len();
    match &frame.layout {
        Layout::Whole => vec![total],
        Layout::Pieces(lens) => given(lens, total),
        Layout::Chain(chain) => given(&chain.pieces, total),
        Layout::Random => random(total, mac_header(&frame.bytes), rng),
    }
}

fn given(lens: &[usize], total: usize) -> Vec<usize> {
    let mut rest = total;
    let mut all: Vec<usize> = lens
        .iter()
        .map(|len| {
            let len = (*len).min(rest);
            rest -= len;
            len
        })
        .collect();
    if rest != 0 || all.is_empty() {
        all.push(rest);
    }
    all
}

/// The MDLs of a frame.
#[derive(Debug)]
pub(crate) struct Mdls {
    /// Bytes of each.
    pub(crate) contents: Vec<Vec<u8>>,
    /// Which one is `CurrentMdl`.
    pub(crate) current: usize,
    /// `CurrentMdlOffset`.
    pub(crate) skip: usize,
}

/// What is in a chain beside the frame.
const BESIDE: u8 = 0xB5;

/// The MDLs of a frame, with all that is in them.
pub(crate) fn mdls(frame: &Frame, rng: &mut Rng) -> Mdls {
    let mut rest = frame.bytes.as_slice();
    let mut contents: Vec<Vec<u8>> = pieces(frame, rng)
        .into_iter()
        .map(|len| {
            let (now, later) = rest.split_at(len.min(rest.len()));
            rest = later;
            now.to_vec()
        })
        .collect();
    let Layout::Chain(chain) = &frame.layout else {
        return Mdls {
            contents,
            current: 0,
            skip: 0,
        };
    };
    let filler = |len: &usize| vec![BESIDE; *len];
    if let Some(first) = contents.first_mut() {
        first.splice(0..0, filler(&chain.skip));
    }
    if let Some(last) = contents.last_mut() {
        last.extend(filler(&chain.tail));
    }
    contents.splice(0..0, chain.before.iter().map(filler));
    contents.extend(chain.after.iter().map(filler));
    Mdls {
        contents,
        current: chain.before.len(),
        skip: chain.skip,
    }
}

fn random(total: usize, first: usize, rng: &mut Rng) -> Vec<usize> {
    let below =
        |rng: &mut Rng, bound: usize| rng.below(u32::try_from(bound).unwrap_or(u32::MAX)) as usize;
    let mut all = Vec::new();
    let mut rest = total;
    // Half of all frames are in one or two pieces, as stacks send them; some are in many.
    let count = if rng.below(2) == 0 {
        1 + below(rng, 2)
    } else {
        1 + below(rng, 12)
    };
    for index in 1..count {
        let least = if index == 1 { first } else { 0 };
        let most = rest.saturating_sub(least);
        let len = (least + below(rng, most / 2 + 1)).min(rest);
        all.push(len);
        rest -= len;
    }
    all.push(rest);
    all
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::{Chain, Frame, Layout, mdls, pieces};
    use crate::sched::rng::Rng;

    #[test]
    fn given_pieces_are_kept_and_the_rest_follows() {
        let mut rng = Rng::new(1);
        let mut frame = Frame {
            bytes: vec![0; 100],
            layout: Layout::Pieces(vec![14, 0, 20]),
            unmapped: false,
        };
        assert_eq!(pieces(&frame, &mut rng), [14, 0, 20, 66]);
        frame.layout = Layout::Pieces(vec![60, 60]);
        assert_eq!(pieces(&frame, &mut rng), [60, 40]);
        frame.layout = Layout::Whole;
        assert_eq!(pieces(&frame, &mut rng), [100]);
    }

    #[test]
    fn a_chain_has_what_stands_beside_the_frame() {
        let frame = Frame {
            bytes: vec![7; 20],
            layout: Layout::Chain(Chain {
                before: vec![5, 0],
                skip: 3,
                pieces: vec![14, 0],
                tail: 2,
                after: vec![9],
            }),
            unmapped: false,
        };
        let made = mdls(&frame, &mut Rng::new(1));
        let lens: Vec<usize> = made.contents.iter().map(Vec::len).collect();
        assert_eq!(lens, [5, 0, 17, 0, 8, 9]);
        assert_eq!((made.current, made.skip), (2, 3));
        assert_eq!(made.contents[2][..4], [0xB5, 0xB5, 0xB5, 7]);
        assert_eq!(made.contents[4], [7, 7, 7, 7, 7, 7, 0xB5, 0xB5]);
    }

    #[test]
    fn random_pieces_add_up_never_split_the_mac_header_and_differ() {
        let mut rng = Rng::new(7);
        let mut seen = alloc::collections::BTreeSet::new();
        for round in 0..400_usize {
            let mut bytes = vec![0; 14 + round * 7 % 1600];
            if round % 2 == 0 && bytes.len() >= 18 {
                bytes[12] = 0x81;
            }
            let header = super::mac_header(&bytes);
            let total = bytes.len();
            let lens = pieces(&Frame::new(bytes), &mut rng);
            assert_eq!(lens.iter().sum::<usize>(), total);
            assert!(
                lens[0] >= header,
                "{lens:?} splits the MAC header of {header} bytes"
            );
            seen.insert(lens.len());
        }
        assert!(
            seen.len() >= 6 && seen.contains(&1),
            "numbers of pieces: {seen:?}"
        );
    }
}
