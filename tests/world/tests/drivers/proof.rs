//! Every frame between NDIS and the wire, judged by the oracle: random frames under every kind of interface.

use std::sync::atomic::{AtomicUsize, Ordering};

use netback_model::{FrameMeta, Gso};
use oracle::checksum;
use oracle::generate::{Generator, Large, Towards};
use oracle::packet::{self, Version};
use oracle::receive::Came;
use world::proof::{CASES, Report};
use xen_abi::netif::GsoType;

/// Frames judged under each kind of interface: 100,000 and more in all.
const FRAMES: u64 = 3_800;

#[test]
fn a_hundred_thousand_random_frames_pass_unharmed() {
    let next = AtomicUsize::new(0);
    let judged: Vec<Report> = std::thread::scope(|scope| {
        let worker = || {
            let mut reports = Vec::new();
            while let Some((index, case)) = CASES
                .iter()
                .enumerate()
                .nth(next.fetch_add(1, Ordering::Relaxed))
            {
                println!("{}", case.name);
                reports.push(case.run(7000 + index as u64, FRAMES));
            }
            reports
        };
        let workers = [scope.spawn(worker), scope.spawn(worker)];
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("a case failed"))
            .collect()
    });
    assert_eq!(judged.len(), CASES.len());
    let frames: u64 = judged.iter().map(Report::frames).sum();
    assert!(frames >= 100_000, "{frames} frames");
    let mut all = Report::default();
    for report in judged {
        println!("{report:?}");
        assert!(report.sent > 300 && report.received > 200, "{report:?}");
        all.offloaded += report.offloaded;
        all.units += report.units;
        all.cut += report.cut;
        all.verified += report.verified;
    }
    // Nothing of it is left out because it was not offered.
    let enough =
        all.offloaded > 10_000 && all.units > 300 && all.cut > 1_000 && all.verified > 3_000;
    assert!(enough, "{all:?}");
}

/// As `MirageOS` forwards what is shorter than a segment: marked as GSO, the checksum blank, and no flag that says so.
/// Handed up as it is, the system would drop it.
#[test]
fn a_gso_frame_of_one_segment_is_completed_without_flags() {
    let mut proof = CASES[0].start(7100);
    let own = proof.terms.filter.own;
    let mut generator = Generator::new(7100, own, Towards::Guest);
    for version in [Version::V4, Version::V6] {
        let mut bytes = generator.large(Large {
            version,
            payload: 466,
            ip_options: false,
            tcp_options: false,
            any_flags: false,
        });
        let found = packet::ip(&bytes).expect("a TCP frame");
        let tcp = found.transport(&bytes).expect("a TCP frame");
        checksum::blank(&mut bytes, &found, &tcp, found.end - tcp.start);
        let came = Came {
            bytes,
            gso: Some((1460, version)),
            ..Came::default()
        };
        let kind = match version {
            Version::V4 => GsoType::TCPV4,
            Version::V6 => GsoType::TCPV6,
        };
        let meta = FrameMeta {
            gso: Some(Gso { size: 1460, kind }),
            ..FrameMeta::default()
        };
        proof.offer_frame(&came, meta);
    }
    proof.world.settle();
    proof.close();
    assert_eq!(proof.report().received, 2);
    proof.end();
}
