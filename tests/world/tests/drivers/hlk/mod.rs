//! Analogues of the HLK's LAN tests, each named after the one it stands for (docs/hlk.md has the table).

mod addresses;
mod offloads;
mod oids;
mod packets;
mod statistics;

use netback_model::{FrameMeta, Preset};
use oracle::receive::Came;
use world::World;
use world::proof::Proof;

/// An interface of the usual backend, with one queue.
fn start(seed: u64, keywords: &[(&str, &str)]) -> Proof {
    let mut all = vec![("*NumRssQueues", "1")];
    all.extend(keywords);
    let config = World::vif_config(Preset::Linux, 0);
    Proof::new(World::builder().cpus(2), seed, &config, &all, false)
}

/// A frame to `to`, `len` bytes, of an experimental type; `mark` makes it differ from others.
fn frame_to(to: [u8; 6], len: usize, mark: u32) -> Vec<u8> {
    let mut frame = to.to_vec();
    frame.extend([0x02, 0, 0, 0, 0, 0x99, 0x88, 0xB5]);
    frame.extend(mark.to_be_bytes());
    frame.extend((frame.len()..len.max(18)).map(|at| at.to_le_bytes()[0]));
    frame.truncate(len);
    frame
}

/// Puts frames on the wire for the guest, and judges what NDIS is told of them.
fn receive(proof: &mut Proof, frames: &[Vec<u8>]) {
    for bytes in frames {
        let came = Came {
            bytes: bytes.clone(),
            ..Came::default()
        };
        proof.offer_frame(&came, FrameMeta::default());
    }
    proof.world.settle();
    proof.collect();
}
