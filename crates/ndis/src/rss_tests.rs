use super::*;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

const LIMITS: RssLimits = RssLimits {
    hash_types: sys::NDIS_HASH_IPV4 | sys::NDIS_HASH_TCP_IPV4,
    entries: 128,
};

/// A revision 3 buffer: fixed part 44, key at 44, table of `cpus` at 84.
fn buffer(cpus: &[u8]) -> Vec<u8> {
    let mut b = vec![0u8; 44];
    b[0] = sys::NDIS_OBJECT_TYPE_RSS_PARAMETERS;
    b[1] = 3;
    b[2] = 44;
    put32(&mut b, 8, sys::NdisHashFunctionToeplitz | LIMITS.hash_types);
    put16(&mut b, 12, u16::try_from(4 * cpus.len()).unwrap());
    put32(&mut b, 16, 84);
    put16(&mut b, 20, 40);
    put32(&mut b, 24, 44);
    b.extend(0..40u8);
    for c in cpus {
        b.extend([0, 0, *c, 0]);
    }
    b
}

fn put16(b: &mut [u8], at: usize, v: u16) {
    b[at..at + 2].copy_from_slice(&v.to_le_bytes());
}

fn put32(b: &mut [u8], at: usize, v: u32) {
    b[at..at + 4].copy_from_slice(&v.to_le_bytes());
}

fn four_cpus(p: Processor) -> bool {
    p.group == 0 && p.number < 4
}

fn set(b: &[u8], old: Option<&RssParameters>) -> Result<RssUpdate, RssRejection> {
    parse(b, &LIMITS, old, four_cpus)
}

fn enabled(b: &[u8], old: Option<&RssParameters>) -> RssParameters {
    match set(b, old) {
        Ok(RssUpdate::Enable(p)) => p,
        other => panic!("{other:?}"),
    }
}

#[test]
fn accepts_a_whole_set() {
    let p = enabled(&buffer(&[0, 1, 2, 3]), None);
    assert_eq!(p.hash_types, LIMITS.hash_types);
    assert_eq!((p.key[0], p.key[39]), (0, 39));
    assert_eq!(
        p.table().iter().map(|p| p.number).collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );
    assert_eq!(
        p.default_processor,
        Some(Processor {
            group: 0,
            number: 0
        })
    );
}

#[test]
fn revision_2_has_no_default_processor() {
    let mut b = buffer(&[0, 1]);
    b[1] = 2;
    b[2] = 40;
    assert_eq!(enabled(&b, None).default_processor, None);
}

#[test]
fn disable_ignores_every_other_field() {
    let mut b = buffer(&[9]);
    b[4] = 0x10;
    b.truncate(44);
    assert_eq!(set(&b, None), Ok(RssUpdate::Disable));
    let mut b = buffer(&[0]);
    put32(&mut b, 8, 0);
    assert_eq!(set(&b, None), Ok(RssUpdate::Disable));
}

#[test]
fn unchanged_fields_come_from_the_settings_in_force() {
    let old = enabled(&buffer(&[0, 1, 2, 3]), None);
    let mut b = buffer(&[3, 3]);
    b[4] = 2 | 8;
    let new = enabled(&b, Some(&old));
    assert_eq!((new.hash_types, new.key), (old.hash_types, old.key));
    assert_eq!(new.table().len(), 2);
    assert_eq!(set(&b, None), Err(RssRejection::NothingToKeep));
}

#[test]
fn refuses_bad_hashes() {
    for info in [
        2 | LIMITS.hash_types,
        1,
        1 | sys::NDIS_HASH_IPV6,
        1 | 1 << 24 | 0x100,
    ] {
        let mut b = buffer(&[0]);
        put32(&mut b, 8, info);
        assert_eq!(set(&b, None), Err(RssRejection::Hash), "{info:#x}");
    }
}

#[test]
fn refuses_bad_keys() {
    for (size, offset) in [
        (39, 44),
        (41, 44),
        (0, 44),
        (40, 49),
        (40, u32::MAX),
        (40, u32::MAX - 20),
    ] {
        let mut b = buffer(&[0]);
        put16(&mut b, 20, size);
        put32(&mut b, 24, offset);
        assert_eq!(set(&b, None), Err(RssRejection::Key), "{size} {offset}");
    }
}

#[test]
fn refuses_bad_tables() {
    for (size, offset) in [
        (0, 84),
        (12, 84),
        (3, 84),
        (16, 85),
        (16, u32::MAX),
        (1024, 84),
    ] {
        let mut b = buffer(&[0, 1, 2, 3]);
        put16(&mut b, 12, size);
        put32(&mut b, 16, offset);
        assert_eq!(set(&b, None), Err(RssRejection::Table), "{size} {offset}");
    }
    let many = [0u8; 64];
    let small = RssLimits {
        entries: 32,
        ..LIMITS
    };
    assert_eq!(
        parse(&buffer(&many), &small, None, four_cpus),
        Err(RssRejection::Table)
    );
}

#[test]
fn refuses_processors_that_do_not_run() {
    assert_eq!(set(&buffer(&[0, 4]), None), Err(RssRejection::Processor));
    let mut b = buffer(&[0]);
    b[42] = 9;
    assert_eq!(set(&b, None), Err(RssRejection::Processor));
    // More processors than the adapter has queues is none of the parser's business.
    assert_eq!(enabled(&buffer(&[0, 1, 2, 3]), None).table().len(), 4);
}

#[test]
fn refuses_bad_headers_and_short_buffers() {
    let good = buffer(&[0]);
    for n in 0..44 {
        assert!(
            matches!(set(&good[..n], None), Err(RssRejection::TooShort(40 | 44))),
            "{n}"
        );
    }
    for (at, v) in [(0, 0x88), (1, 1), (1, 0), (2, 43)] {
        let mut b = good.clone();
        b[at] = v;
        assert_eq!(set(&b, None), Err(RssRejection::Header));
    }
}

/// A buffer of `OID_GEN_RECEIVE_HASH`: fixed part 20, key at 20.
fn hash_buffer() -> Vec<u8> {
    let mut b = vec![0u8; 20];
    b[0] = sys::NDIS_OBJECT_TYPE_DEFAULT;
    b[1] = 1;
    b[2] = 20;
    b[4] = 1;
    put32(&mut b, 8, sys::NdisHashFunctionToeplitz | LIMITS.hash_types);
    put16(&mut b, 12, 40);
    put32(&mut b, 16, 20);
    b.extend(0..40u8);
    b
}

#[test]
fn hashing_alone_is_accepted_disabled_and_described() {
    let good = hash_buffer();
    let set = parse_hash(&good, &LIMITS, None).unwrap().unwrap();
    assert_eq!((set.hash_types, set.key[39]), (LIMITS.hash_types, 39));
    assert_eq!(describe_hash(Some(&set))[..], good[..]);
    let mut off = good.clone();
    off[4] = 0;
    off.truncate(20);
    assert_eq!(parse_hash(&off, &LIMITS, Some(&set)), Ok(None));
    assert_eq!(describe_hash(None)[4..], [0; 56]);
    let mut off = good.clone();
    put32(&mut off, 8, 0);
    assert_eq!(parse_hash(&off, &LIMITS, Some(&set)), Ok(None));
}

#[test]
fn hashing_alone_keeps_what_did_not_change_and_refuses_what_is_wrong() {
    let good = hash_buffer();
    let set = parse_hash(&good, &LIMITS, None).unwrap().unwrap();
    let mut kept = good.clone();
    kept[4] = 1 | 2 | 4;
    kept.truncate(20);
    assert_eq!(parse_hash(&kept, &LIMITS, Some(&set)), Ok(Some(set)));
    assert_eq!(
        parse_hash(&kept, &LIMITS, None),
        Err(RssRejection::NothingToKeep)
    );
    for n in 0..20 {
        assert_eq!(
            parse_hash(&good[..n], &LIMITS, None),
            Err(RssRejection::TooShort(20)),
            "{n}"
        );
    }
    let wrong = |at: usize, value: u8| {
        let mut b = good.clone();
        b[at] = value;
        parse_hash(&b, &LIMITS, Some(&set)).unwrap_err()
    };
    for (at, value) in [(0, 0x89), (1, 0), (2, 19)] {
        assert_eq!(wrong(at, value), RssRejection::Header, "{at}");
    }
    for (at, value) in [(8, 2), (9, 0), (9, 0x4), (11, 1)] {
        assert_eq!(wrong(at, value), RssRejection::Hash, "{at}");
    }
    for (at, value) in [(12, 39), (12, 41), (12, 0), (16, 21), (19, 0xFF)] {
        assert_eq!(wrong(at, value), RssRejection::Key, "{at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 16 } else { 512 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn any_bytes_are_safe_and_what_is_accepted_is_valid(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..700), fix in any::<bool>())
    {
        if fix {
            let good = buffer(&[0, 1, 2, 3]);
            let n = bytes.len().min(8);
            bytes[..n].copy_from_slice(&good[..n]);
        }
        if let Ok(RssUpdate::Enable(p)) = set(&bytes, None) {
            prop_assert!(p.table().len().is_power_of_two());
            prop_assert!(p.table().iter().all(|c| four_cpus(*c)));
            prop_assert_eq!(p.hash_types & !LIMITS.hash_types, 0);
        }
    }
}
