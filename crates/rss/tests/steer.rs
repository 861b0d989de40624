//! Where frames go, and whose hash they carry.
mod frames;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use frames::{KEY, ethernet, ipv4_packet, ipv6, tcp, udp};
use rss::{
    FrameHash, HashType, HashTypes, IndirectionTable, SAMPLE, Steered, Steering, SteeringConfig,
    Toeplitz, WRONG_MAX, hash_frame,
};

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// Frames that are steered by settings which stay as they are.
const MANY: u16 = if cfg!(miri) { 20 } else { 100 };

fn frame(port: u16) -> Vec<u8> {
    ethernet(0x0800, &ipv4_packet(A, B, 6, &[], 0, &tcp(port, 80)))
}

fn table() -> IndirectionTable<u16> {
    IndirectionTable::new(&[10, 11, 12, 13]).unwrap()
}

fn on(types: HashTypes) -> Steering {
    let mut steering = Steering::new();
    let config = SteeringConfig {
        types,
        key: &KEY,
        table: Some(table()),
        default: Some(7),
    };
    steering.set(&config);
    steering
}

/// The backend hashes for what `on` has set.
fn believe(steering: &mut Steering, set: HashTypes) {
    steering.believe(HashTypes::NETIF, set, &KEY);
}

/// Lets the backend be right for as long as each hash is checked.
fn settle(steering: &mut Steering) {
    let told = truth(&frame(9), HashTypes::NETIF);
    for _ in 0..32 {
        let _ = steering.steer(Some(told), 0x0800, || frame(9));
    }
}

fn truth(frame: &[u8], types: HashTypes) -> FrameHash {
    // Its table is made once: under Miri that takes seconds.
    static HASH: LazyLock<Toeplitz> = LazyLock::new(|| Toeplitz::new(&KEY));
    hash_frame(&HASH, frame, types).expect("a frame that is hashed")
}

/// So many frames, and the hash each has.
fn frames(count: u16) -> impl Iterator<Item = (&'static [u8], FrameHash)> {
    // Made once, and under Miri few: there it takes longer than all that is done with them.
    static FRAMES: LazyLock<Vec<(Vec<u8>, FrameHash)>> = LazyLock::new(|| {
        let ports = 1..=if cfg!(miri) { 8 } else { 4096 };
        let frames = ports.map(frame);
        frames
            .map(|frame| (frame.clone(), truth(&frame, HashTypes::NETIF)))
            .collect()
    });
    let all = FRAMES.iter().cycle().take(count.into());
    all.map(|(frame, right)| (&frame[..], *right))
}

#[test]
fn nothing_is_steered_while_off() {
    let mut steering = Steering::new();
    let told = truth(&frame(1), HashTypes::ALL);
    let steered = steering.steer(Some(told), 0x0800, || frame(1));
    assert_eq!((steered.hash, steered.processor), (None, None));
    let mut steering = on(HashTypes::ALL);
    steering.clear();
    assert_eq!(steering.steer(None, 0x0800, || frame(1)).hash, None);
}

#[test]
fn hashes_are_computed_until_the_backend_is_believed() {
    let mut steering = on(HashTypes::NETIF);
    let wrong = FrameHash {
        value: 1,
        hash_type: HashType::TcpIpv4,
    };
    for (frame, right) in frames(MANY) {
        let steered = steering.steer(Some(wrong), 0x0800, || frame);
        assert_eq!(steered.hash, Some(right));
        assert_eq!(steered.processor, Some(table().lookup(right.value)));
    }
    let counters = steering.counters();
    assert_eq!((counters.checked, counters.mismatches), (0, 0), "not asked");
    assert_eq!(counters.computed, u64::from(MANY));
}

#[test]
fn a_believed_backend_is_sampled() {
    let mut steering = on(HashTypes::NETIF);
    believe(&mut steering, HashTypes::NETIF);
    settle(&mut steering);
    let before = steering.counters().checked;
    let mut looked = 0_u32;
    let count: u16 = if cfg!(miri) { 160 } else { 3200 };
    for (frame, told) in frames(count) {
        let steered = steering.steer(Some(told), 0x0800, || {
            looked += 1;
            frame
        });
        assert_eq!(steered.hash, Some(told));
    }
    assert_eq!(u64::from(looked), steering.counters().checked - before);
    assert_eq!(looked, u32::from(count) / SAMPLE);
    assert_eq!(steering.counters().mismatches, 0);
}

#[test]
fn wrong_hashes_are_put_right_counted_and_end_the_belief() {
    let mut steering = on(HashTypes::NETIF);
    believe(&mut steering, HashTypes::NETIF);
    settle(&mut steering);
    let count: u16 = if cfg!(miri) { 280 } else { 400 };
    let mut put_right = 0;
    for (frame, right) in frames(count) {
        let wrong = FrameHash {
            value: !right.value,
            ..right
        };
        let steered = steering.steer(Some(wrong), 0x0800, || frame);
        put_right += u32::from(steered.hash == Some(right));
    }
    assert!(steering.is_deceived());
    assert_eq!(steering.counters().mismatches, u64::from(WRONG_MAX));
    // One in SAMPLE until it was enough, then all.
    assert_eq!(put_right, WRONG_MAX + u32::from(count) - WRONG_MAX * SAMPLE);
    // A new start.
    believe(&mut steering, HashTypes::NETIF);
    assert!(!steering.is_deceived());
}

#[test]
fn frames_from_before_a_change_are_no_mismatches() {
    let mut steering = on(HashTypes::NETIF);
    believe(&mut steering, HashTypes::NETIF);
    for (frame, right) in frames(if cfg!(miri) { 40 } else { 200 }) {
        let old = FrameHash {
            value: right.value ^ 5,
            ..right
        };
        assert_eq!(
            steering.steer(Some(old), 0x0800, || frame).hash,
            Some(right)
        );
    }
    assert_eq!(steering.counters().mismatches, 0);
    assert!(!steering.is_deceived());
    // They cannot go on for ever, though.
    let wrong = FrameHash {
        value: 0,
        hash_type: HashType::TcpIpv4,
    };
    for (frame, _) in frames(if cfg!(miri) { 520 } else { 1000 }) {
        let _ = steering.steer(Some(wrong), 0x0800, || frame);
    }
    assert!(steering.is_deceived());
}

#[test]
fn a_new_table_alone_keeps_the_belief() {
    let mut steering = on(HashTypes::NETIF);
    believe(&mut steering, HashTypes::NETIF);
    settle(&mut steering);
    let config = SteeringConfig {
        types: HashTypes::NETIF,
        key: &KEY,
        table: Some(IndirectionTable::new(&[3, 4]).unwrap()),
        default: None,
    };
    steering.set(&config);
    for (frame, told) in frames(MANY) {
        let steered = steering.steer(Some(told), 0x0800, || frame);
        assert_eq!(
            steered.processor,
            Some(if told.value & 1 == 0 { 3 } else { 4 })
        );
    }
    assert!(steering.counters().from_backend > 0);
}

/// A request and what the backend has agreed to cross: what it says of settings that are no longer in force is old.
#[test]
fn news_of_other_settings_changes_nothing() {
    let other = HashTypes::NETIF | HashType::UdpIpv4;
    let mut steering = on(other);
    believe(&mut steering, HashTypes::NETIF);
    steering.believe(HashTypes::NETIF, other, &[9; KEY.len()]);
    steering.clear();
    believe(&mut steering, other);
    let config = SteeringConfig {
        types: other,
        key: &KEY,
        table: None,
        default: None,
    };
    steering.set(&config);
    let wrong = FrameHash {
        value: 1,
        hash_type: HashType::TcpIpv4,
    };
    for (frame, _) in frames(MANY) {
        let steered = steering.steer(Some(wrong), 0x0800, || frame);
        assert_eq!(steered.hash, Some(truth(frame, other)));
    }
    assert_eq!(steering.counters().checked, 0);
    believe(&mut steering, other);
    settle(&mut steering);
    assert!(steering.counters().checked > 0);
    steering.disbelieve();
    let before = steering.counters();
    settle(&mut steering);
    assert_eq!(steering.counters().checked, before.checked);
}

/// What is left of a frame that was steered before a change goes where the settings of now say.
#[test]
fn the_rest_of_a_frame_follows_a_change() {
    let mut steering = on(HashTypes::NETIF);
    let steered = steering.steer(None, 0x0800, || frame(1));
    let value = steered.hash.map(|hash| hash.value);
    assert_eq!(steering.again(steered), steered);
    let config = SteeringConfig {
        types: HashTypes::NETIF,
        key: &KEY,
        table: Some(IndirectionTable::new(&[20, 20]).unwrap()),
        default: Some(21),
    };
    steering.set(&config);
    let again = steering.again(steered);
    assert_eq!(again.hash.map(|hash| hash.value), value);
    assert_eq!(again.processor, Some(20));
    let unhashed = Steered {
        hash: None,
        processor: Some(7),
    };
    assert_eq!(steering.again(unhashed).processor, Some(21));
    steering.clear();
    let again = steering.again(steered);
    assert_eq!((again.hash, again.processor), (None, None));
}

/// The backend knows no UDP types: where they are wanted its value by addresses is not the answer.
#[test]
fn types_the_backend_cannot_tell_apart_are_computed() {
    let packet = ipv4_packet(A, B, 17, &[], 0, &udp(5, 6));
    let datagram = ethernet(0x0800, &packet);
    let by_addresses = truth(&datagram, HashTypes::NETIF);
    assert_eq!(by_addresses.hash_type, HashType::Ipv4);
    let mut steering = on(HashTypes::ALL);
    believe(&mut steering, HashTypes::ALL);
    settle(&mut steering);
    for _ in 0..MANY {
        let steered = steering.steer(Some(by_addresses), 0x0800, || datagram.clone());
        assert_eq!(steered.hash, Some(truth(&datagram, HashTypes::ALL)));
    }
    assert_eq!(steering.counters().mismatches, 0);
    // TCP over IPv4 needs no second look even so.
    for (frame, told) in frames(MANY) {
        assert_eq!(
            steering.steer(Some(told), 0x0800, || frame).hash,
            Some(told)
        );
    }
    assert!(steering.counters().from_backend > 0);
}

/// netback gives whatever is not IPv4 an IPv6 type.
#[test]
fn a_frame_that_is_no_ip_has_no_hash_whatever_the_backend_says() {
    let told = FrameHash {
        value: 0x1234_5678,
        hash_type: HashType::Ipv6,
    };
    let arp = ethernet(0x0806, &[0; 28]);
    let mut steering = on(HashTypes::NETIF);
    believe(&mut steering, HashTypes::NETIF);
    settle(&mut steering);
    for _ in 0..MANY {
        let steered = steering.steer(Some(told), 0x0806, || arp.clone());
        assert_eq!((steered.hash, steered.processor), (None, Some(7)));
    }
}

#[test]
fn hashing_without_a_table_steers_nothing() {
    let mut steering = Steering::new();
    let config = SteeringConfig {
        types: HashTypes::ALL,
        key: &KEY,
        table: None,
        default: None,
    };
    steering.set(&config);
    let address = |last| Ipv6Addr::new(0xFE80, 0, 0, 0, 0, 0, 0, last);
    let frame = ipv6(address(1), address(2), 17, &udp(1, 2));
    let steered = steering.steer(None, 0x86DD, || frame.clone());
    let hash_type = steered.hash.map(|hash| hash.hash_type);
    assert_eq!(
        (hash_type, steered.processor),
        (Some(HashType::UdpIpv6), None)
    );
}
