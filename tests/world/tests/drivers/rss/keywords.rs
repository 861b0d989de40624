//! Every value of the keywords of receive-side scaling takes effect when the adapter restarts.
//!
//! NDIS reads most of them itself and tells the driver processors; the effect is where the queues live, and on which
//! processors frames of a table that TCP/IP would make of them arrive.

use ::keywords::{Integer, Keyword, Kind, table};
use ndis_sys as sys;
use world::rss::{ALL_TYPES, Setting};

use super::support::{Bench, Rng};

/// Queues, where their number is not what is looked at.
const QUEUES: u16 = 4;
/// Bits of `HashInformation` for UDP.
const UDP_TYPES: u32 =
    sys::NDIS_HASH_UDP_IPV4 | sys::NDIS_HASH_UDP_IPV6 | sys::NDIS_HASH_UDP_IPV6_EX;

/// Limits, default and what is next to them.
fn numbers(keyword: &Keyword) -> Vec<u32> {
    let Kind::Integer(Integer {
        default,
        min,
        max,
        step,
        ..
    }) = keyword.kind
    else {
        panic!("{} is no number", keyword.name);
    };
    let around = |value: u32| [value.saturating_sub(step), value, value + step];
    let mut all: Vec<u32> = [min, default, max].into_iter().flat_map(around).collect();
    all.retain(|value| (min..=max).contains(value));
    all.sort_unstable();
    all.dedup();
    all
}

fn choices(keyword: &Keyword) -> Vec<u32> {
    let Kind::Enumeration(enumeration) = keyword.kind else {
        panic!("{} is no enumeration", keyword.name);
    };
    enumeration.choices.iter().map(|c| c.value).collect()
}

/// 64 processors, in groups of `group`.
fn machine(group: u32, seed: u64) -> Bench {
    Bench::new(QUEUES, 64, group, seed, true)
}

/// Frames of a table that has nothing but processor `index` arrive there.
fn assert_reachable(bench: &mut Bench, index: u32) {
    let number = bench.number(index);
    let mut setting = Setting::new(&[number]);
    setting.types = ALL_TYPES;
    bench.set(&setting);
    let mut rng = Rng(u64::from(index));
    bench.send(16, &mut rng);
    bench.settle();
    bench.check();
}

/// Processors of the queues.
fn homes(bench: &Bench) -> Vec<u32> {
    let (_, queues) = bench.report();
    queues.iter().map(|queue| queue.processor).collect()
}

#[test]
fn max_rss_processors() {
    let mut bench = machine(64, 530);
    for value in numbers(&table::MAX_RSS_PROCESSORS) {
        bench.restart(&[(table::MAX_RSS_PROCESSORS.name, value)]);
        // As many queues as processors at most.
        let queues = value.min(u32::from(QUEUES));
        assert_eq!(homes(&bench), (0..queues).collect::<Vec<_>>(), "{value}");
        let named = bench.rss_processors();
        assert_eq!(named, (0..value).collect::<Vec<_>>());
        assert_reachable(&mut bench, value - 1);
    }
    bench.end();
}

#[test]
fn rss_base_proc_number() {
    let mut bench = machine(64, 531);
    for value in numbers(&table::RSS_BASE_PROC_NUMBER) {
        bench.restart(&[
            (table::RSS_BASE_PROC_NUMBER.name, value),
            (table::MAX_RSS_PROCESSORS.name, 64),
        ]);
        let last = 63.min(value + u32::from(QUEUES) - 1);
        assert_eq!(homes(&bench), (value..=last).collect::<Vec<_>>());
        assert_eq!(bench.rss_processors().first(), Some(&value));
        assert_reachable(&mut bench, value);
    }
    bench.end();
}

#[test]
fn rss_max_proc_number() {
    let mut bench = machine(64, 532);
    for value in numbers(&table::RSS_MAX_PROC_NUMBER) {
        let base = value.saturating_sub(2);
        bench.restart(&[
            (table::RSS_BASE_PROC_NUMBER.name, base),
            (table::RSS_MAX_PROC_NUMBER.name, value),
        ]);
        assert_eq!(homes(&bench), (base..=value).collect::<Vec<_>>());
        assert_reachable(&mut bench, value);
    }
    bench.end();
}

/// Each processor is a group of its own.
#[test]
fn rss_base_proc_group() {
    let mut bench = machine(1, 533);
    for value in numbers(&table::RSS_BASE_PROC_GROUP) {
        bench.restart(&[
            (table::RSS_BASE_PROC_GROUP.name, value),
            (table::RSS_MAX_PROC_GROUP.name, 63),
        ]);
        let last = 63.min(value + u32::from(QUEUES) - 1);
        assert_eq!(homes(&bench), (value..=last).collect::<Vec<_>>());
        assert_reachable(&mut bench, value);
    }
    bench.end();
}

#[test]
fn rss_max_proc_group() {
    let mut bench = machine(1, 534);
    for value in numbers(&table::RSS_MAX_PROC_GROUP) {
        let base = value.saturating_sub(2);
        bench.restart(&[
            (table::RSS_BASE_PROC_GROUP.name, base),
            (table::RSS_MAX_PROC_GROUP.name, value),
        ]);
        assert_eq!(homes(&bench), (base..=value).collect::<Vec<_>>());
        assert_reachable(&mut bench, value);
    }
    bench.end();
}

/// Eight processors in four nodes, the adapter near node 2: queues live near the preferred node, which without such a
/// node is the adapter's own.
#[test]
fn numa_node_id() {
    let mut bench = Bench::new(QUEUES, 8, 64, 535, true);
    bench.world.harness().set_numa(2, 2);
    let mut values = numbers(&table::NUMA_NODE_ID);
    values.extend([2, 3, 4]);
    for value in values {
        bench.restart(&[
            (table::NUMA_NODE_ID.name, value),
            (table::RSS_PROFILE.name, 2),
        ]);
        let wanted: [u32; 4] = match value {
            0 => [0, 1, 2, 3],
            1 => [2, 3, 0, 1],
            3 => [6, 7, 4, 5],
            // Node 1 before node 3, which is as far.
            _ => [4, 5, 2, 3],
        };
        assert_eq!(homes(&bench), wanted, "node {value}");
        assert_reachable(&mut bench, wanted[0]);
    }
    bench.end();
}

/// The nearest processors, or the same number of each node. That TCP/IP moves flows while it runs with some of them, and
/// with the last uses few processors, is its own doing: it sets tables.
#[test]
fn rss_profile() {
    let mut bench = Bench::new(QUEUES, 8, 64, 536, true);
    bench.world.harness().set_numa(2, 2);
    for value in choices(&table::RSS_PROFILE) {
        for (most, nearest, across) in [
            (8, &[4, 5, 2, 3][..], &[4, 2, 0, 5][..]),
            (3, &[4, 5, 2], &[4, 2, 6]),
        ] {
            bench.restart(&[
                (table::RSS_PROFILE.name, value),
                (table::MAX_RSS_PROCESSORS.name, most),
            ]);
            let wanted = match value {
                3 | 4 => across,
                _ => nearest,
            };
            assert_eq!(homes(&bench), wanted, "profile {value}, {most} processors");
            let last = *wanted.last().expect("a processor");
            assert!(bench.rss_processors().contains(&last));
            assert_reachable(&mut bench, last);
        }
    }
    bench.end();
}

/// UDP frames are hashed by ports only if that is on; else NDIS is offered no such type, may set none, and they are hashed
/// by their addresses.
#[test]
fn rss_hash_udp() {
    let mut bench = Bench::new(QUEUES, 4, 64, 537, true);
    for value in choices(&table::RSS_HASH_UDP) {
        bench.restart(&[(table::RSS_HASH_UDP.name, value)]);
        let general = bench.protocol().attributes().general;
        let offered = general.and_then(|general| general.rss).expect("RSS");
        let udp = sys::NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV4
            | sys::NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV6
            | sys::NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV6_EX;
        assert_eq!(
            offered.flags & udp,
            if value == 1 { udp } else { 0 },
            "{value}"
        );
        let with = bench.plain(ALL_TYPES);
        let status = bench.set_bytes(with.bytes());
        assert_eq!(status == 0, value == 1, "{value}: {status:#x}");
        let types = if value == 1 {
            ALL_TYPES
        } else {
            ALL_TYPES & !UDP_TYPES
        };
        bench.set(&bench.plain(types));
        let mut rng = Rng(537);
        bench.send(200, &mut rng);
        bench.settle();
        bench.check();
    }
    bench.end();
}
