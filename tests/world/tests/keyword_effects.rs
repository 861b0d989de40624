//! Every setting of `netfront.sys` takes effect when the adapter restarts, for all its values: seen from outside
//! the driver, by NDIS, the protocol above it, the backend or Xen.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use harness::Value;
use harness::ndis::{Frame, SendList, SendOptions};
use keywords::{Integer, Keyword, Kind, TABLE, table};
use ndis_sys as sys;
use netback_model::{FrameMeta, Preset, Wire};
use world::{Network, World};

/// Payload that the toolstack allows: more than any setting.
const STORE_MTU: u16 = 9100;
/// Bytes of an Ethernet header.
const HEADER: u32 = 14;
/// Processors, and so the most queues.
const CPUS: u32 = 8;

/// The wire: frames of the guest are kept, and the guest is sent what is queued.
#[derive(Clone, Debug, Default)]
struct Line(Arc<Mutex<Ends>>);

#[derive(Debug, Default)]
struct Ends {
    sent: Vec<Vec<u8>>,
    to_guest: VecDeque<Vec<u8>>,
}

impl Line {
    fn ends<R>(&self, body: impl FnOnce(&mut Ends) -> R) -> R {
        body(&mut self.0.lock().expect("nobody panicked"))
    }
}

impl Wire for Line {
    fn from_guest(&mut self, frame: &[u8], _meta: FrameMeta) {
        self.ends(|ends| ends.sent.push(frame.to_vec()));
    }

    fn to_guest(&mut self) -> Option<(Vec<u8>, FrameMeta)> {
        let frame = self.ends(|ends| ends.to_guest.pop_front())?;
        Some((frame, FrameMeta::default()))
    }
}

impl Network for Line {}

/// A system with one adapter, which is restarted for each setting.
struct Bench {
    world: World,
    line: Line,
}

impl Bench {
    fn new(cpus: u32) -> Self {
        let mut world = World::builder().cpus(cpus).seed(400).build();
        let line = Line::default();
        let mut config = World::vif_config(Preset::Linux, 0);
        config.mtu = STORE_MTU;
        world.add_vif(config, line.clone());
        world.boot();
        world.wait_connected(0);
        world.settle();
        Self { world, line }
    }

    /// Restarts the adapter with these keywords and no others.
    fn restart(&mut self, keywords: &[(&str, &Value)]) {
        let device = self.world.interfaces()[0];
        self.world.disable_interface(device);
        for keyword in TABLE {
            let value = keywords.iter().find(|(name, _)| *name == keyword.name);
            let value = value.map(|(_, value)| (*value).clone());
            self.world
                .harness()
                .set_default_keyword(keyword.name, value);
        }
        self.world.enable_interface(device);
        self.world.wait_connected(0);
        self.world.settle();
        self.line.ends(|ends| *ends = Ends::default());
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
        (status, self.line.ends(|ends| ends.sent.pop()))
    }

    /// The tag of a frame that is sent with one beside it.
    fn outgoing_tag(&mut self, priority: u64, vid: u64) -> Option<(u16, u16)> {
        let (status, frame) = self.send(100, (priority, vid));
        assert_eq!(status, 0, "{}", self.world.story());
        let frame = frame.expect("the frame came out");
        let word = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        (word(12) == 0x8100).then(|| (word(14) >> 13, word(14) & 0xFFF))
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
        &table::PRIORITY_VLAN_TAG,
        &table::VLAN_ID,
        &table::RSS,
        &table::NUM_RSS_QUEUES,
        &table::NETWORK_ADDRESS,
    ];
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
        let device = bench.world.interfaces()[0];
        let mac = bench.general().current_address;
        let tagged = |vid: u16| {
            let mut frame = mac.to_vec();
            frame.extend([2, 0, 0, 0, 0, 1, 0x81, 0]);
            frame.extend(vid.to_be_bytes());
            frame.extend([0x88, 0xB5]);
            frame.resize(100, 0xA5);
            frame
        };
        let _ = bench.world.protocol(device).take_received();
        for other in [vid, if vid == 100 { 101 } else { 100 }] {
            let frame = tagged(other);
            bench.line.ends(|ends| ends.to_guest.push_back(frame));
        }
        bench.world.pass(harness::SECOND / 10);
        let received = bench.world.protocol(device).take_received().len();
        assert_eq!(received, if vid == 0 { 2 } else { 1 }, "{vid}");
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
    for_each_value(CPUS, &table::NUM_RSS_QUEUES, |bench, value| {
        assert_eq!(bench.queues(), value as usize, "{}", bench.world.story());
    });
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
        // Frames to it arrive, and frames to the other do not.
        let device = bench.world.interfaces()[0];
        let other = if wanted == own { [0x02; 6] } else { own };
        for to in [wanted, other] {
            let mut frame = to.to_vec();
            frame.extend([2, 0, 0, 0, 0, 1, 0x88, 0xB5]);
            frame.resize(100, 0xA5);
            bench.line.ends(|ends| ends.to_guest.push_back(frame));
        }
        let _ = bench.world.protocol(device).take_received();
        bench.world.pass(harness::SECOND / 10);
        let received = bench.world.protocol(device).take_received();
        let to: Vec<&[u8]> = received.iter().map(|frame| &frame.bytes[..6]).collect();
        assert_eq!(to, [wanted], "{text}");
    }
    bench.end();
}
