//! What looks into frames: the hash, what is made of received ones, what is done to sent ones.

use offload::IpVersion;
use offload::rx::{Facts, Plan, Told, Wanted};
use offload::segment::Segmenter;
use offload::settings::Offloads;
use offload::tx::{Able, Checksum, Head, LargeSend, Request, prepare as prepare_frame};
use rss::{HashType, HashTypes, Toeplitz, hash_frame};

use crate::acts::Acts;

/// The target `hash`: types enabled, then the frame.
pub(crate) fn hash(bytes: &[u8]) {
    thread_local! {
        static TOEPLITZ: Box<Toeplitz> = Box::new(Toeplitz::new(&[0x6D; 40]));
    }
    let mut acts = Acts::new(bytes);
    let bits = acts.half();
    let enabled = HashType::ALL
        .into_iter()
        .enumerate()
        .filter(|(nth, _)| bits >> nth & 1 != 0)
        .fold(HashTypes::NONE, |set, (_, one)| set | one);
    let frame = acts.rest();
    TOEPLITZ.with(|toeplitz| {
        let found = hash_frame(toeplitz, frame, enabled);
        if let Some(found) = found {
            assert!(enabled.contains(found.hash_type), "{found:?}");
        }
        // What fewer types find, all find.
        assert!(found.is_none() || hash_frame(toeplitz, frame, HashTypes::ALL).is_some());
    });
}

/// Segments follow each other and end with the frame.
fn check_cut(segmenter: &Segmenter, length: usize) {
    let mut at = 0;
    for nth in 0..segmenter.count() {
        let segment = segmenter.segment(nth).expect("as many as it says");
        assert_eq!(segment.from, at, "segment {nth}");
        assert!(segment.length > 0);
        at += segment.length;
    }
    assert!(segmenter.header() + at as usize <= length);
    assert!(segmenter.checksum_field() + 2 <= segmenter.header());
    assert!(segmenter.segment(segmenter.count()).is_none());
}

/// The target `coalesced`: what the backend says, then the head.
pub(crate) fn coalesced(bytes: &[u8]) {
    let mut acts = Acts::new(bytes);
    let said = acts.byte();
    let (mss, more) = (acts.half(), acts.half());
    let head = acts.take(offload::HEAD_BYTES);
    let version = if said & 1 == 0 {
        IpVersion::V4
    } else {
        IpVersion::V6
    };
    let length = head.len() + usize::from(more);
    let facts = Facts {
        length: u32::try_from(length).expect("a few bytes more than 64 KiB"),
        checksum: [Told::Nothing, Told::Validated, Told::Blank, Told::Blank]
            [usize::from(said >> 1 & 3)],
        gso: (said & 8 != 0).then_some((version, mss)),
    };
    let wanted = Wanted {
        offloads: if said & 16 == 0 {
            Offloads::ALL
        } else {
            Offloads::default()
        },
        recorded: said & 32 != 0,
    };
    match offload::rx::plan(head, &facts, &wanted, 1518) {
        Plan::Deliver(deliver) => {
            if let Some(c) = deliver.complete {
                assert!(c.from <= c.field && c.field + 2 <= c.to && c.to <= length);
                assert!(c.field + 2 <= head.len());
            }
            assert!(deliver.unit.is_none_or(|unit| unit.segments > 1));
        }
        Plan::Cut(segmenter, _) => {
            check_cut(&segmenter, length);
            for nth in [0, segmenter.count() - 1] {
                let mut head = head[..segmenter.header()].to_vec();
                segmenter.write(&mut head, nth);
            }
        }
        Plan::Drop => {}
    }
}

/// The target `prepare`: what is asked, then the frame.
pub(crate) fn prepare(bytes: &[u8]) {
    let mut acts = Acts::new(bytes);
    let (asked, able) = (acts.byte(), acts.byte());
    let tag = acts.half();
    let large_send = (asked & 8 != 0).then(|| LargeSend {
        mss: acts.word(),
        tcp_header: acts.half(),
    });
    let request = Request {
        ip: asked & 1 != 0,
        tcp: asked & 2 != 0,
        udp: asked & 4 != 0,
        large_send,
    };
    let able = Able {
        checksum: [able & 1 != 0, able & 2 != 0],
        gso: [able & 4 != 0, able & 8 != 0],
    };
    let more = if asked & 32 == 0 { 0 } else { acts.half() };
    let frame = acts.rest();
    let mut head = Head::default();
    let given = frame.len() + usize::from(more);
    let room = head.fill(given);
    let count = room.len().min(frame.len());
    room[..count].copy_from_slice(&frame[..count]);
    let mut length = given;
    if asked & 16 != 0 {
        head.insert_tag(tag);
        length += 4;
    }
    let Ok(prepared) = prepare_frame(&mut head, length, request, able) else {
        return;
    };
    assert!(head.replaced() <= given, "more is replaced than there is");
    assert!(head.changed().len() <= length);
    if let Checksum::Compute {
        from, to, field, ..
    } = prepared.checksum
    {
        assert!(from <= field && field + 2 <= to && to <= length);
    }
    assert!(prepared.frames > 0);
    if let Some(segmenter) = prepared.segments {
        check_cut(&segmenter, length);
        assert_eq!(segmenter.count(), prepared.frames);
    }
}
