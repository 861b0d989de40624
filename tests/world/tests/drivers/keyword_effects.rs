//! Every setting of `netfront.sys` takes effect when the adapter restarts, for all its values: seen from outside
//! the driver, by NDIS, the protocol above it, the backend or Xen.

use harness::Value;
use harness::ndis::{Frame, Received, SendList, SendOptions};
use keywords::{Integer, Keyword, Kind, TABLE, table};
use ndis_sys as sys;
use netback_model::{FrameMeta, Gso, Preset, ResponseMode};
use world::packet::Packet;
use world::{Tap, World};
use xen_abi::netif::GsoType;

/// Payload that the toolstack allows: more than any setting.
const STORE_MTU: u16 = 9100;
/// Bytes of an Ethernet header.
const HEADER: u32 = 14;
/// Bytes of a segment, which fit behind a header of IPv6 too.
const SEGMENT: u64 = 1428;
/// Processors, and so the most queues; the backend has as many.
const CPUS: u32 = table::MAX_QUEUES;

/// A system with one adapter, which is restarted for each setting.
struct Bench {
    world: World,
    tap: Tap,
}

impl Bench {
    fn new(cpus: u32) -> Self {
        Self::with(cpus, ResponseMode::Immediate)
    }

    fn with(cpus: u32, response: ResponseMode) -> Self {
        let mut world = World::builder().cpus(cpus).seed(400).build();
        let tap = Tap::default();
        let mut config = World::vif_config(Preset::Linux, 0);
        config.mtu = STORE_MTU;
        config.responses = response;
        config.features.max_queues = u16::try_from(cpus).unwrap_or(1).max(8);
        world.add_vif(config, tap.clone());
        world.boot();
        world.wait_connected(0);
        world.settle();
        Self { world, tap }
    }

    /// Restarts the adapter with these keywords and no others but few pages, which makes it quick.
    fn restart(&mut self, keywords: &[(&str, &Value)]) {
        let device = self.world.interfaces()[0];
        self.world.disable_interface(device);
        let few = Value::text("384");
        let few = [("*ReceiveBuffers", &few)];
        for keyword in TABLE {
            let mut all = keywords.iter().chain(&few);
            let value = all.find(|(name, _)| *name == keyword.name);
            let value = value.map(|(_, value)| (*value).clone());
            self.world
                .harness()
                .set_default_keyword(keyword.name, value);
        }
        self.world.enable_interface(device);
        self.world.wait_connected(0);
        self.world.settle();
        self.tap.take();
    }

    fn general(&self) -> harness::ndis::General {
        let protocol = self.world.protocol(self.world.interfaces()[0]);
        protocol.attributes().general.expect("general attributes")
    }

    fn query(&self, oid: u32) -> u32 {
        let protocol = self.world.protocol(self.world.interfaces()[0]);
        let result = protocol.query(oid, 8).expect("the request ends");
        result.number().expect("a number")
    }

    /// Sends a frame, with a tag beside it: priority and VLAN. Its status, and what came out.
    fn send(&mut self, bytes: usize, tag: (u64, u64)) -> (i32, Option<Vec<u8>>) {
        let mut frame = vec![0xFF; 6];
        frame.extend([0, 0x16, 0x3E, 0, 1, 0, 0x88, 0xB5]);
        frame.resize(bytes, 0x5A);
        let (priority, vid) = tag;
        let slot = sys::Ieee8021QNetBufferListInfo;
        let list = SendList::one(Frame::new(frame)).with_info(slot, priority | vid << 4);
        let device = self.world.interfaces()[0];
        let protocol = self.world.protocol(device);
        let sent = protocol.send(vec![list], SendOptions::default());
        assert!(sent.is_ok(), "{}", self.world.story());
        self.world.settle();
        let mut sent = self.world.protocol(device).take_sent();
        let status = sent.pop().expect("the send ended").status;
        (status, self.tap.take().pop().map(|(frame, _)| frame))
    }

    /// The tag of a frame that is sent with one beside it.
    fn outgoing_tag(&mut self, priority: u64, vid: u64) -> Option<(u16, u16)> {
        let (status, frame) = self.send(100, (priority, vid));
        assert_eq!(status, 0, "{}", self.world.story());
        let frame = frame.expect("the frame came out");
        let word = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        (word(12) == 0x8100).then(|| (word(14) >> 13, word(14) & 0xFFF))
    }

    /// What the protocol receives of a frame that the backend brings.
    fn receive(&mut self, frame: Vec<u8>, meta: FrameMeta) -> Vec<Received> {
        let device = self.world.interfaces()[0];
        let _ = self.world.protocol(device).take_received();
        self.tap.put(frame, meta);
        self.world.pass(harness::SECOND / 100);
        self.world.protocol(device).take_received()
    }

    /// A 32-bit field of the offloads in force, as NDIS was told at the start.
    fn offload(&self, at: usize) -> u32 {
        let attributes = self.world.protocol(self.world.interfaces()[0]).attributes();
        let [in_force, _] = attributes.offload.expect("offload attributes");
        u32::from_le_bytes(in_force[at..at + 4].try_into().expect("4 bytes"))
    }

    /// Grants of the guest.
    fn grants(&self) -> usize {
        self.world.xen(|xen| xen.machine.leaks().grants.len())
    }

    fn queues(&self) -> usize {
        self.world.xen(|xen| xen.vifs[&0].backend.queue_count())
    }

    /// Pages that the driver has allocated.
    fn pages(&self) -> usize {
        let blocks = self.world.harness().pool_blocks("netfront.sys");
        blocks.into_iter().filter(|size| *size == 4096).count()
    }

    fn end(mut self) {
        self.world.tear_down();
        self.world.assert_nothing_left();
    }
}

/// All values of an enumeration; of a number the limits, the default and what is next to them.
fn values(keyword: &Keyword) -> Vec<u32> {
    match keyword.kind {
        Kind::Enumeration(enumeration) => enumeration.choices.iter().map(|c| c.value).collect(),
        Kind::Integer(Integer {
            default,
            min,
            max,
            step,
            ..
        }) => {
            let mut values = vec![min, min + step, default, max - step, max];
            values.sort_unstable();
            values.dedup();
            values
        }
        Kind::Edit(_) => Vec::new(),
    }
}

/// Restarts the adapter for each value of a keyword, written as Device Manager does, and looks.
fn for_each_value(cpus: u32, keyword: &Keyword, mut look: impl FnMut(&mut Bench, u32)) {
    let mut bench = Bench::new(cpus);
    for value in values(keyword) {
        bench.restart(&[(keyword.name, &Value::text(&value.to_string()))]);
        look(&mut bench, value);
    }
    bench.end();
}

/// A setting without a test of its effect, or a test without a setting, is found here.
#[test]
fn every_setting_has_a_test_here() {
    let tested = [
        &table::JUMBO_PACKET,
        &table::RECEIVE_BUFFERS,
        &table::TRANSMIT_BUFFERS,
        &table::SEND_IN_PLACE,
        &table::PRIORITY_VLAN_TAG,
        &table::VLAN_ID,
        &table::RSS,
        &table::NUM_RSS_QUEUES,
        &table::IP_CHECKSUM_IPV4,
        &table::TCP_CHECKSUM_IPV4,
        &table::TCP_CHECKSUM_IPV6,
        &table::UDP_CHECKSUM_IPV4,
        &table::UDP_CHECKSUM_IPV6,
        &table::LSO_V2_IPV4,
        &table::LSO_V2_IPV6,
        &table::RSC_IPV4,
        &table::RSC_IPV6,
        &table::INTERRUPT_MODERATION,
        &table::NETWORK_ADDRESS,
    ];
    // In tests/rss/keywords.rs.
    let scaling = [
        &table::RSS_PROFILE,
        &table::MAX_RSS_PROCESSORS,
        &table::RSS_BASE_PROC_NUMBER,
        &table::RSS_BASE_PROC_GROUP,
        &table::RSS_MAX_PROC_NUMBER,
        &table::RSS_MAX_PROC_GROUP,
        &table::NUMA_NODE_ID,
        &table::RSS_HASH_UDP,
    ];
    let tested: Vec<&Keyword> = tested.into_iter().chain(scaling).collect();
    for keyword in TABLE {
        assert!(
            tested.contains(keyword),
            "{} is in the table: show here that each of its values takes effect, then name it above",
            keyword.name
        );
    }
    assert_eq!(tested.len(), TABLE.len());
}

#[test]
fn jumbo_packet_is_the_largest_frame() {
    for_each_value(1, &table::JUMBO_PACKET, |bench, value| {
        assert_eq!(bench.general().mtu, value - HEADER);
        assert_eq!(bench.query(sys::OID_GEN_MAXIMUM_TOTAL_SIZE), value);
        let (status, frame) = bench.send(value as usize, (0, 0));
        assert_eq!(status, 0, "{}", bench.world.story());
        assert_eq!(frame.map(|frame| frame.len()), Some(value as usize));
        let (status, frame) = bench.send(value as usize + 1, (0, 0));
        assert_eq!(status, sys::NDIS_STATUS_INVALID_LENGTH);
        assert_eq!(frame, None);
    });
}

#[test]
fn receive_buffers_are_pages_the_driver_has() {
    let mut all = Vec::new();
    for_each_value(1, &table::RECEIVE_BUFFERS, |bench, value| {
        assert_eq!(bench.query(sys::OID_GEN_RECEIVE_BUFFER_SPACE) / 4096, value);
        all.push((value as usize, bench.pages()));
    });
    let (value, pages) = all[0];
    for (other, their_pages) in &all {
        assert_eq!(pages - value, their_pages - other, "{all:?}");
    }
}

#[test]
fn transmit_buffers_are_granted_once_and_for_all() {
    let mut all = Vec::new();
    for_each_value(1, &table::TRANSMIT_BUFFERS, |bench, value| {
        assert_eq!(
            bench.query(sys::OID_GEN_TRANSMIT_BUFFER_SPACE) / 4096,
            value
        );
        all.push((value as usize, bench.grants()));
    });
    let (value, grants) = all[0];
    for (other, their_grants) in &all {
        assert_eq!(grants - value, their_grants - other, "{all:?}");
    }
}

#[test]
fn priority_and_vlan_travel_as_set() {
    for_each_value(1, &table::PRIORITY_VLAN_TAG, |bench, value| {
        let options = bench.general().mac_options;
        let has = |option| options & option != 0;
        assert_eq!(has(sys::NDIS_MAC_OPTION_8021P_PRIORITY), value != 0);
        assert_eq!(has(sys::NDIS_MAC_OPTION_8021Q_VLAN), value & 2 != 0);
        let wanted = match value {
            0 => None,
            1 => Some((5, 0)),
            2 => Some((0, 7)),
            _ => Some((5, 7)),
        };
        assert_eq!(bench.outgoing_tag(5, 7), wanted, "{value}");
    });
}

#[test]
fn vlan_id_tags_every_frame() {
    for_each_value(1, &table::VLAN_ID, |bench, value| {
        let vid = u16::try_from(value).expect("12 bits");
        let wanted = (vid != 0).then_some((0, vid));
        assert_eq!(bench.outgoing_tag(0, 0), wanted);
        // Frames of other VLANs are not ours.
        let mac = bench.general().current_address;
        for other in [vid, if vid == 100 { 101 } else { 100 }] {
            let mut frame = mac.to_vec();
            frame.extend([2, 0, 0, 0, 0, 1, 0x81, 0]);
            frame.extend(other.to_be_bytes());
            frame.extend([0x88, 0xB5]);
            frame.resize(100, 0xA5);
            let received = bench.receive(frame, FrameMeta::default());
            assert_eq!(received.len(), usize::from(vid == 0 || other == vid));
        }
    });
}

#[test]
fn rss_is_offered_or_not() {
    for_each_value(2, &table::RSS, |bench, value| {
        assert_eq!(bench.general().rss.is_some(), value == 1);
    });
}

#[test]
fn num_rss_queues_is_the_number_of_queues() {
    let mut bench = Bench::new(CPUS);
    for value in values(&table::NUM_RSS_QUEUES) {
        let queues = Value::text(&value.to_string());
        bench.restart(&[("*NumRssQueues", &queues)]);
        assert_eq!(bench.queues(), value as usize, "{}", bench.world.story());
    }
    bench.end();
}

#[test]
fn network_address_is_the_address_in_use() {
    let mut bench = Bench::new(1);
    let own = World::vif_config(Preset::Linux, 0).mac;
    for (text, wanted) in [
        ("02163EABCDEF", [0x02, 0x16, 0x3E, 0xAB, 0xCD, 0xEF]),
        ("fefefefefefe", [0xFE; 6]),
        ("02-16-3e-ab-cd-ef", [0x02, 0x16, 0x3E, 0xAB, 0xCD, 0xEF]),
        // No address: the vif's own.
        ("", own),
        ("02163EABCDE", own),
        ("02163EABCDEF0", own),
        ("02163EABCDEG", own),
        ("02:16:3E:AB:CD:EF", own),
        ("01163EABCDEF", own),
        ("FFFFFFFFFFFF", own),
        ("000000000000", own),
    ] {
        bench.restart(&[("NetworkAddress", &Value::text(text))]);
        let general = bench.general();
        assert_eq!(general.current_address, wanted, "{text}");
        assert_eq!(general.permanent_address, own, "{text}");
        // Frames to it arrive, and frames to another do not.
        let other = if wanted == own { [0x02; 6] } else { own };
        for to in [wanted, other] {
            let mut frame = to.to_vec();
            frame.extend([2, 0, 0, 0, 0, 1, 0x88, 0xB5]);
            frame.resize(100, 0xA5);
            let received = bench.receive(frame, FrameMeta::default());
            assert_eq!(received.len(), usize::from(to == wanted), "{text}");
        }
    }
    bench.end();
}

/// Where the fields of `NDIS_OFFLOAD` are.
mod field {
    use core::mem::offset_of;

    use super::sys::{
        NDIS_OFFLOAD, NDIS_TCP_IP_CHECKSUM_OFFLOAD as Checksum,
        NDIS_TCP_LARGE_SEND_OFFLOAD_V2 as Lso, NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD as Rsc,
    };

    /// The two-bit fields behind the encapsulation.
    const BITS: usize = 4;
    pub(super) const V4: [usize; 2] = [
        offset_of!(NDIS_OFFLOAD, Checksum) + offset_of!(Checksum, IPv4Transmit) + BITS,
        offset_of!(NDIS_OFFLOAD, Checksum) + offset_of!(Checksum, IPv4Receive) + BITS,
    ];
    pub(super) const V6: [usize; 2] = [
        offset_of!(NDIS_OFFLOAD, Checksum) + offset_of!(Checksum, IPv6Transmit) + BITS,
        offset_of!(NDIS_OFFLOAD, Checksum) + offset_of!(Checksum, IPv6Receive) + BITS,
    ];
    /// `MaxOffLoadSize`, behind the encapsulation.
    pub(super) const LSO_V4: usize = offset_of!(NDIS_OFFLOAD, LsoV2) + offset_of!(Lso, IPv4) + 4;
    pub(super) const LSO_V6: usize = offset_of!(NDIS_OFFLOAD, LsoV2) + offset_of!(Lso, IPv6) + 4;
    pub(super) const RSC_V4: usize = offset_of!(NDIS_OFFLOAD, Rsc) + offset_of!(Rsc, IPv4);
    pub(super) const RSC_V6: usize = offset_of!(NDIS_OFFLOAD, Rsc) + offset_of!(Rsc, IPv6);
    pub(super) const TCP: u32 = 4;
    pub(super) const UDP: u32 = 6;
    pub(super) const IP: u32 = 8;
}

/// Bits of a received frame's checksum slot.
const TCP_GOOD: u64 = 1 << 3;
const UDP_GOOD: u64 = 1 << 4;
const IP_GOOD: u64 = 1 << 5;

#[test]
fn checksums_are_made_and_checked_in_the_directions_set() {
    let v4 = Packet::tcp(
        World::vif_config(Preset::Linux, 0).mac,
        [2, 0, 0, 0, 0, 9],
        700,
    );
    let v6 = v4.clone().six();
    let mut bench = Bench::new(1);
    for (keyword, [transmit, receive], shift, packet, good) in [
        (
            &table::IP_CHECKSUM_IPV4,
            field::V4,
            field::IP,
            v4.clone(),
            IP_GOOD,
        ),
        (
            &table::TCP_CHECKSUM_IPV4,
            field::V4,
            field::TCP,
            v4.clone(),
            TCP_GOOD,
        ),
        (
            &table::UDP_CHECKSUM_IPV4,
            field::V4,
            field::UDP,
            v4.udp(),
            UDP_GOOD,
        ),
        (
            &table::TCP_CHECKSUM_IPV6,
            field::V6,
            field::TCP,
            v6.clone(),
            TCP_GOOD,
        ),
        (
            &table::UDP_CHECKSUM_IPV6,
            field::V6,
            field::UDP,
            v6.udp(),
            UDP_GOOD,
        ),
    ] {
        for value in values(keyword) {
            bench.restart(&[(keyword.name, &Value::text(&value.to_string()))]);
            // NDIS_OFFLOAD_SUPPORTED is 1: what NDIS was told of each direction.
            let told = |at| (bench.offload(at) >> shift & 3) != 0;
            assert_eq!(told(transmit), value & 1 != 0, "{} {value}", keyword.name);
            assert_eq!(told(receive), value & 2 != 0, "{} {value}", keyword.name);
            let validated = FrameMeta {
                data_validated: true,
                ..FrameMeta::default()
            };
            let received = bench.receive(packet.whole(), validated);
            assert_eq!(received.len(), 1, "{}", bench.world.story());
            let slot = received[0].slot(sys::TcpIpChecksumNetBufferListInfo);
            assert_eq!(slot & good != 0, value & 2 != 0, "{} {value}", keyword.name);
        }
    }
    bench.end();
}

#[test]
fn large_sends_are_offered_and_taken_or_not() {
    for (keyword, at, six) in [
        (&table::LSO_V2_IPV4, field::LSO_V4, false),
        (&table::LSO_V2_IPV6, field::LSO_V6, true),
    ] {
        for_each_value(1, keyword, |bench, value| {
            assert_eq!(bench.offload(at) != 0, value == 1, "{}", keyword.name);
            let own = bench.general().current_address;
            let packet = Packet::tcp([2, 0, 0, 0, 0, 9], own, 9000);
            let packet = if six { packet.six() } else { packet };
            let header = packet.header();
            // Segments of 1428 bytes, which fit behind either header; type LSO version 2, and IP version, as NDIS has them.
            let info = SEGMENT | (packet.transport() as u64) << 20 | 1 << 30 | u64::from(six) << 31;
            let mut frame = Frame::new(packet.large());
            frame.layout = harness::ndis::Layout::Pieces(vec![header, 4096]);
            let list = SendList::one(frame).with_info(sys::TcpLargeSendNetBufferListInfo, info);
            let device = bench.world.interfaces()[0];
            let sent = bench
                .world
                .protocol(device)
                .send(vec![list], SendOptions::default());
            assert!(sent.is_ok());
            bench.world.settle();
            let status = bench.world.protocol(device).take_sent()[0].status;
            assert_eq!(status == 0, value == 1, "{} {value}", keyword.name);
            assert_eq!(bench.tap.take().len(), usize::from(value == 1));
        });
    }
}

#[test]
fn received_segments_are_units_or_not() {
    for (keyword, at, six) in [
        (&table::RSC_IPV4, field::RSC_V4, false),
        (&table::RSC_IPV6, field::RSC_V6, true),
    ] {
        for_each_value(1, keyword, |bench, value| {
            assert_eq!(bench.offload(at) & 0xFF, value, "{}", keyword.name);
            let own = bench.general().current_address;
            let packet = Packet::tcp(own, [2, 0, 0, 0, 0, 9], 5000);
            let (packet, kind) = if six {
                (packet.six(), GsoType::TCPV6)
            } else {
                (packet, GsoType::TCPV4)
            };
            let meta = FrameMeta {
                csum_blank: true,
                data_validated: true,
                gso: Some(Gso { size: 1428, kind }),
                ..FrameMeta::default()
            };
            let received = bench.receive(packet.blank_with_header(), meta);
            let frames = if value == 1 { 1 } else { 4 };
            assert_eq!(received.len(), frames, "{} {value}", keyword.name);
        });
    }
}

/// Has the backend answer held slots.
fn release(bench: &mut Bench, slots: usize) {
    bench
        .world
        .xen(|xen| xen.vifs.get_mut(&0).expect("vif 0").backend.release(slots));
    bench.world.pass(harness::SECOND / 100);
}

/// A long frame whose pages the backend has is not complete; one that was copied is.
#[test]
fn long_frames_are_copied_or_lent() {
    let mut bench = Bench::with(1, ResponseMode::Held);
    for value in values(&table::SEND_IN_PLACE) {
        let jumbo = Value::text("9014");
        let in_place = Value::text(&value.to_string());
        bench.restart(&[("*JumboPacket", &jumbo), ("SendInPlace", &in_place)]);
        let device = bench.world.interfaces()[0];
        let list = SendList::one(Frame::new(vec![0xFF; 9014]));
        let sent = bench
            .world
            .protocol(device)
            .send(vec![list], SendOptions::default());
        assert!(sent.is_ok());
        bench.world.settle();
        let done = bench.world.protocol(device).take_sent().len();
        assert_eq!(done, usize::from(value == 0), "in place {value}");
        release(&mut bench, 10);
        let later = bench.world.protocol(device).take_sent().len();
        assert_eq!(done + later, 1);
    }
    bench.end();
}

#[test]
fn interrupts_are_moderated_or_not() {
    let mut bench = Bench::with(1, ResponseMode::Held);
    for value in values(&table::INTERRUPT_MODERATION) {
        bench.restart(&[("*InterruptModeration", &Value::text(&value.to_string()))]);
        let device = bench.world.interfaces()[0];
        let told = bench
            .world
            .protocol(device)
            .query(sys::OID_GEN_INTERRUPT_MODERATION, 12);
        // Behind header and flags: NdisInterruptModerationEnabled 2, Disabled 3.
        let data = told.expect("the request ends").data;
        assert_eq!(data[8], if value == 1 { 2 } else { 3 });

        let notifies = |bench: &Bench| {
            bench
                .world
                .xen(|xen| xen.vifs[&0].backend.counters().tx_notifies)
        };
        let before = notifies(&bench);
        let lists = (0..32)
            .map(|_| SendList::one(Frame::new(vec![0xFF; 100])))
            .collect();
        let sent = bench
            .world
            .protocol(device)
            .send(lists, SendOptions::default());
        assert!(sent.is_ok());
        bench.world.settle();
        // The ring was idle: the first answer is told in any case. Of the next with moderation only
        // half of them are worth an event.
        release(&mut bench, 1);
        assert_eq!(notifies(&bench) - before, 1);
        release(&mut bench, 1);
        let second = notifies(&bench) - before - 1;
        assert_eq!(second, u64::from(value == 0), "moderation {value}");
        release(&mut bench, 30);
        assert!(notifies(&bench) - before > 1);
    }
    bench.end();
}
