//! Every frame between NDIS and the wire, judged by the oracle: random frames under every kind of interface.

use std::sync::atomic::{AtomicUsize, Ordering};

use world::proof::{CASES, Report};

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
    for report in judged {
        println!("{report:?}");
        assert!(report.sent > 500 && report.received > 500, "{report:?}");
    }
}
