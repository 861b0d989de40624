//! What holds for every input.
mod frames;

use proptest::collection::vec;
use proptest::prelude::*;
use rss::{
    HashType, HashTypes, INPUT_MAX, IndirectionTable, KEY_LEN, Toeplitz, classify, hash_frame,
};

/// The definition, bit by bit.
fn reference(key: &[u8; KEY_LEN], input: &[u8]) -> u32 {
    let key_bit = |i: usize| u32::from(key[i / 8] >> (7 - i % 8) & 1);
    let mut hash = 0;
    for bit in 0..input.len() * 8 {
        if input[bit / 8] >> (7 - bit % 8) & 1 == 1 {
            hash ^= (0..32).fold(0, |window, i| window << 1 | key_bit(bit + i));
        }
    }
    hash
}

fn cases() -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 1 } else { 100 },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Bytes that mean something in a header; about half of those below are among them.
const COMMON: [u8; 9] = [0, 1, 2, 6, 17, 43, 44, 60, 0xC9];

/// Bytes that often look like headers, so that deep paths are reached.
fn frame_like() -> impl Strategy<Value = Vec<u8>> {
    let ethertype = prop_oneof![
        Just(vec![0x08, 0x00, 0x45]),
        Just(vec![0x08, 0x00, 0x4F]),
        Just(vec![0x86, 0xDD, 0x60]),
        Just(vec![0x81, 0x00, 0x00, 0x01, 0x86, 0xDD, 0x60]),
    ];
    let byte = any::<(u8, u8)>().prop_map(|(pick, other)| {
        COMMON
            .get(usize::from(pick) % (2 * COMMON.len()))
            .copied()
            .unwrap_or(other)
    });
    (ethertype, vec(byte, 0..120))
        .prop_map(|(ethertype, rest)| [vec![0; 12], ethertype, rest].concat())
}

fn key() -> impl Strategy<Value = [u8; KEY_LEN]> {
    vec(any::<u8>(), KEY_LEN).prop_map(|v| v.try_into().expect("KEY_LEN bytes"))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn tables_agree_with_the_definition(key in key(), input in vec(any::<u8>(), 0..=INPUT_MAX)) {
        prop_assert_eq!(Toeplitz::new(&key).hash(&input), reference(&key, &input));
    }

    #[test]
    fn any_bytes_are_classified_within_the_enabled_types(frame in vec(any::<u8>(), 0..300), bits in any::<u32>()) {
        let enabled = HashTypes::from_bits(bits & HashTypes::ALL.bits()).expect("masked");
        if let Some(flow) = classify(&frame, enabled) {
            prop_assert!(enabled.contains(flow.hash_type()));
        }
    }

    #[test]
    fn header_like_bytes_are_classified_with_the_input_their_type_calls_for(
        frame in frame_like(),
        bits in any::<u32>(),
    ) {
        let enabled = HashTypes::from_bits(bits & HashTypes::ALL.bits()).expect("masked");
        if let Some(flow) = classify(&frame, enabled) {
            prop_assert!(enabled.contains(flow.hash_type()));
            let len = match flow.hash_type() {
                HashType::Ipv4 => 8,
                HashType::TcpIpv4 | HashType::UdpIpv4 => 12,
                HashType::Ipv6 | HashType::Ipv6Ex => 32,
                _ => 36,
            };
            prop_assert_eq!(flow.input().len(), len);
            let toeplitz = Toeplitz::new(&frames::KEY);
            let hash = hash_frame(&toeplitz, &frame, enabled).expect("classified");
            prop_assert_eq!(hash.value, reference(&frames::KEY, flow.input()));
        }
    }

    #[test]
    fn more_enabled_types_never_lose_a_frame(frame in frame_like(), bits in any::<u32>()) {
        let some = HashTypes::from_bits(bits & HashTypes::ALL.bits()).expect("masked");
        if classify(&frame, some).is_some() {
            prop_assert!(classify(&frame, HashTypes::ALL).is_some());
        }
    }

    #[test]
    fn lookup_is_the_hash_modulo_the_length(power in 1_u32..=7, hash in any::<u32>()) {
        let len = 1_u32 << power;
        let list: Vec<u32> = (0..len).collect();
        let table = IndirectionTable::new(&list).expect("power of two");
        prop_assert_eq!(table.lookup(hash), hash % len);
    }
}

#[test]
fn each_single_bit_finds_its_window() {
    let toeplitz = Toeplitz::new(&frames::KEY);
    for byte in (0..INPUT_MAX).step_by(if cfg!(miri) { 17 } else { 1 }) {
        for bit in 0..8 {
            let mut input = [0; INPUT_MAX];
            input[byte] = 1 << bit;
            assert_eq!(
                toeplitz.hash(&input),
                reference(&frames::KEY, &input),
                "byte {byte} bit {bit}"
            );
        }
    }
}
