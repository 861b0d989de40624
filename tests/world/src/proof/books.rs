//! The proof itself: traffic both ways, and the books over it.

use std::collections::{BTreeMap, VecDeque};

use harness::ndis::{ReceivePolicy, Received, SendOptions};
use harness::{DeviceId, SECOND, Value};
use netback_model::{Config, FrameMeta};
use oracle::generate::{Generator, Rng, Towards};
use oracle::ledger::{FromGuest, ListFault, ToGuest, WireFault};
use oracle::packet::Version;
use oracle::receive::{Came, Filter, Terms, Told};
use oracle::slots;
use oracle::transmit::{Asked, Offered, OnWire, Tagging};
use xen_abi::netif::GsoType;

use super::offer::{Agreed, Offer};
use super::request::{Allowed, Ask};
use super::rig::Rig;
use crate::world::{Builder, World};

/// Something wrong with a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// On its way from the guest.
    Wire(WireFault),
    /// On its way to the guest.
    List(ListFault),
    /// A send that had to succeed did not: its status.
    Failed(i32),
}

/// What passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Frames on the wire that were right.
    pub sent: u64,
    /// Of those, the ones that the peer finished: checksums, segments.
    pub offloaded: u64,
    /// Lists received that were right.
    pub received: u64,
    /// Of those, coalesced units.
    pub units: u64,
    /// Of those, segments that the driver cut.
    pub cut: u64,
    /// Of those, with a checksum told to be right.
    pub verified: u64,
    /// Of those, with a hash.
    pub hashed: u64,
    /// Frames on the wire that the guest must not see, and did not.
    pub unwanted: u64,
}

impl Report {
    /// Frames judged, both ways.
    pub const fn frames(&self) -> u64 {
        self.sent + self.received + self.unwanted
    }
}

/// An interface under proof.
#[derive(Debug)]
pub struct Proof {
    /// The machine.
    pub world: World,
    /// Its only interface.
    pub device: DeviceId,
    /// The other side.
    pub rig: Rig,
    /// What is sent.
    pub ask: Ask,
    /// What is received.
    pub offer: Offer,
    /// Terms of what is received.
    pub terms: Terms,
    /// What the backend does with what is sent.
    pub offered: Offered,
    rng: Rng,
    sent: FromGuest,
    received: ToGuest,
    tagging: Tagging,
    hashes_ignored: bool,
    /// The last frames for the guest, for the message when one is wrong.
    recent: VecDeque<(Came, FrameMeta)>,
}

/// Frames for the guest that are remembered.
const RECENT: usize = 256;
/// Bytes for the guest in one round: less than the backend keeps for a queue.
const ROUND: usize = 300 * 1024;

impl Proof {
    /// Boots a machine whose interface `config` describes, with these keywords, and brings the interface up. The
    /// toolstack says that an `untrusted` backend may see no other bytes of the guest.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn new(
        builder: Builder,
        seed: u64,
        config: &Config,
        keywords: &[(&str, &str)],
        untrusted: bool,
    ) -> Self {
        let mut world = builder.seed(seed).build();
        for (keyword, value) in keywords {
            let value = Some(Value::text(value));
            world.harness().set_default_keyword(keyword, value);
        }
        let rig = Rig::default();
        world.add_vif(config.clone(), rig.clone());
        if untrusted {
            let front = netback_model::toolstack::frontend_dir(config);
            world.xen(|xen| xen.store.write(&format!("{front}/trusted"), "0"));
        }
        world.boot();
        world.wait_connected(config.handle);
        world.settle();
        let device = world.interfaces()[0];
        let general = world.protocol(device).attributes().general;
        let general = general.unwrap_or_else(|| panic!("no attributes\n{}", world.story()));
        let longest = general.mtu as usize + 14;
        let own = general.current_address;
        let features = config.features;
        let mut proof = Self {
            ask: Ask {
                generator: Generator::new(seed ^ 0x5EED, own, Towards::Wire),
                longest,
                allowed: Allowed::default(),
                tags: true,
            },
            offer: Offer {
                generator: Generator::new(seed ^ 0xFACE, own, Towards::Guest),
                longest,
                agreed: agreed(&world, config),
                shapes: features.sg,
            },
            terms: Terms {
                filter: Filter {
                    types: 0xB,
                    own,
                    groups: Vec::new(),
                },
                longest,
                ..Terms::default()
            },
            offered: Offered {
                csum_v4: !features.no_csum_offload,
                csum_v6: features.ipv6_csum_offload,
                gso_v4: features.gso_tcpv4,
                gso_v6: features.gso_tcpv6,
            },
            rng: Rng::new(seed),
            sent: FromGuest::default(),
            received: ToGuest::default(),
            tagging: Tagging::default(),
            hashes_ignored: false,
            recent: VecDeque::new(),
            world,
            device,
            rig,
        };
        proof.follow_offloads();
        proof
    }

    /// Takes over the offloads that the driver has said are in force.
    pub fn follow_offloads(&mut self) {
        let protocol = self.world.protocol(self.device);
        let first = protocol.attributes().offload.map(|[in_force, _]| in_force);
        let code = ndis_sys::NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG;
        let told = protocol
            .statuses()
            .into_iter()
            .rev()
            .find(|status| status.code == code)
            .map(|status| status.data);
        let allowed = told
            .or(first)
            .map_or_else(Allowed::default, |bytes| Allowed::read(&bytes));
        self.ask.allowed = allowed;
        self.terms.verified = allowed.verified();
        self.terms.rsc = allowed.coalesce;
    }

    /// How tags are treated, as the keywords say.
    pub const fn set_tagging(&mut self, tagging: Tagging) {
        self.tagging = tagging;
        self.terms.tagging = tagging;
    }

    /// The groups that are received.
    ///
    /// # Panics
    /// When the driver refuses.
    pub fn set_groups(&mut self, groups: Vec<[u8; 6]>) {
        let result = self
            .world
            .protocol(self.device)
            .set(ndis_sys::OID_802_3_MULTICAST_LIST, groups.concat());
        assert_eq!(
            result.map(|result| result.status),
            Ok(0),
            "{}",
            self.world.story()
        );
        self.world.settle();
        self.terms.filter.groups = groups;
    }

    /// Sets the packet filter.
    ///
    /// # Panics
    /// When the driver refuses.
    pub fn set_filter(&mut self, types: u32) {
        let result = self.world.protocol(self.device).set_filter(types);
        assert_eq!(
            result.map(|result| result.status),
            Ok(0),
            "{}",
            self.world.story()
        );
        self.world.settle();
        self.terms.filter.types = types;
    }

    /// What passed so far.
    pub const fn report(&self) -> Report {
        Report {
            sent: self.sent.good,
            offloaded: self.sent.offloaded,
            received: self.received.good,
            units: self.received.units,
            cut: self.received.cut,
            verified: self.received.verified,
            hashed: self.received.hashed,
            unwanted: self.received.unwanted,
        }
    }

    /// Random traffic until `frames` more frames were judged.
    ///
    /// # Panics
    /// When one is wrong: the message has the seed and the frame.
    pub fn run(&mut self, frames: u64) {
        let end = self.report().frames() + frames;
        while self.report().frames() < end {
            self.round();
        }
        self.close();
    }

    /// One round: some sends, some frames for the guest, and what came of them.
    pub fn round(&mut self) {
        let policies = [
            ReceivePolicy::Either,
            ReceivePolicy::Inside,
            ReceivePolicy::Later,
        ];
        let policy = self.rng.pick(&policies);
        self.world.protocol(self.device).set_receive_policy(policy);
        let mut bytes = 0;
        for _ in 0..self.rng.below(64) {
            let (frame, meta, came) = self.offer.frame();
            bytes += frame.len();
            if bytes > ROUND {
                break;
            }
            self.received.offered(&came, &self.terms);
            if self.recent.len() == RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back((came, meta));
            self.rig.send(frame, meta);
        }
        for _ in 0..self.rng.below(4) {
            let mut lists = Vec::new();
            for _ in 0..self.rng.between(1, 16) {
                let request = self.ask.list();
                for asked in &request.asked {
                    assert!(
                        self.sent.sent(asked, self.tagging),
                        "{asked:?} makes no sense"
                    );
                }
                lists.push(request.list);
            }
            let done = self
                .world
                .protocol(self.device)
                .send(lists, SendOptions::default());
            assert!(done.is_ok(), "sending: {done:?}\n{}", self.world.story());
        }
        self.world.settle();
        self.collect();
    }

    /// Puts a frame on the wire for the guest, and what must come of it in the books.
    pub fn offer_frame(&mut self, came: &Came, meta: FrameMeta) {
        self.received.offered(came, &self.terms);
        self.rig.send(came.bytes.clone(), meta);
    }

    /// Enters a frame that the test is about to send.
    ///
    /// # Panics
    /// When the request makes no sense.
    pub fn expect_on_wire(&mut self, asked: &Asked) {
        assert!(
            self.sent.sent(asked, self.tagging),
            "{asked:?} makes no sense"
        );
    }

    /// Hashes are told from now on, and not looked at.
    pub const fn ignore_hashes(&mut self) {
        self.hashes_ignored = true;
    }

    /// Judges what came out on both sides.
    ///
    /// # Panics
    /// When it is wrong.
    pub fn collect(&mut self) {
        for (bytes, meta) in self.rig.take_arrived() {
            let wire = on_wire(bytes, meta);
            if let Err(fault) = self.sent.arrived(wire.clone(), self.offered) {
                self.fail(&Fault::Wire(fault), &wire);
            }
        }
        let lists = self.world.protocol(self.device).take_received();
        for list in lists {
            let mut told = told(&list);
            if self.hashes_ignored {
                told.slots[slots::HASH_INFO] = 0;
                told.slots[slots::HASH_VALUE] = 0;
            }
            if let Err(fault) = self.received.told(&told, &self.terms) {
                let came = self.came_of(&told);
                self.fail(&Fault::List(fault), &(told, came));
            }
        }
        let sends = self.world.protocol(self.device).take_sent();
        for sent in sends {
            if !sent.is_success() {
                self.fail(&Fault::Failed(sent.status), &sent);
            }
        }
    }

    /// Of recent frames, the ones that a list may be of: same addresses and ports, and so many bytes.
    fn came_of(&self, told: &Told) -> Vec<(FrameMeta, usize)> {
        let flow = oracle::packet::flow(&told.bytes);
        self.recent
            .iter()
            .filter(|(came, _)| oracle::packet::flow(&came.bytes) == flow)
            .map(|(came, meta)| (*meta, came.bytes.len()))
            .collect()
    }

    fn fail(&self, fault: &Fault, what: &dyn core::fmt::Debug) -> ! {
        let due = (self.sent.first_missing(), self.received.first_missing());
        panic!(
            "{fault:?}\nfound {what:02x?}\ndue {due:02x?}\n{:?}\n{:?}\n{}",
            self.report(),
            self.ask.allowed,
            self.world.story()
        );
    }

    /// Waits for what is still on its way, and sees that nothing is missing.
    ///
    /// # Panics
    /// When something is.
    pub fn close(&mut self) {
        for _ in 0..20 {
            if self.sent.missing() == 0 && self.received.missing() == 0 {
                break;
            }
            self.world.pass(SECOND / 10);
            self.collect();
        }
        let missing = (self.sent.missing(), self.received.missing());
        assert!(
            missing == (0, 0),
            "missing on the wire and at the guest: {missing:?}, first {:02x?} {:02x?}\n{}",
            self.sent.first_missing(),
            self.received.first_missing(),
            self.world.story()
        );
        self.world.assert_clean();
    }

    /// Ends the machine, and sees that it leaves nothing behind.
    pub fn end(mut self) -> Report {
        self.close();
        let report = self.report();
        self.world.tear_down();
        self.world.assert_nothing_left();
        report
    }
}

/// A frame that came out of the backend.
pub(crate) fn on_wire(bytes: Vec<u8>, meta: FrameMeta) -> OnWire {
    OnWire {
        bytes,
        csum_blank: meta.csum_blank,
        gso: meta.gso.map(|gso| {
            let version = if gso.kind == GsoType::TCPV6 {
                Version::V6
            } else {
                Version::V4
            };
            (gso.size, version)
        }),
    }
}

/// A list as the oracle takes it.
pub(crate) fn told(list: &Received) -> Told {
    let mut all = [0; slots::COUNT];
    for (slot, value) in all.iter_mut().zip(list.info) {
        *slot = value;
    }
    Told {
        bytes: list.bytes.clone(),
        slots: all,
    }
}

/// What the frontend said that it can receive, and the backend does.
fn agreed(world: &World, config: &Config) -> Agreed {
    let keys = world.xen(|xen| {
        let front = netback_model::toolstack::frontend_dir(config);
        let names = [
            "feature-sg",
            "feature-gso-tcpv4",
            "feature-gso-tcpv6",
            "feature-no-csum-offload",
            "feature-ipv6-csum-offload",
        ];
        names
            .into_iter()
            .filter(|key| xen.store.read(&format!("{front}/{key}")).as_deref() == Some("1"))
            .map(|key| (key, true))
            .collect::<BTreeMap<_, _>>()
    });
    let has = |key: &str| keys.contains_key(key);
    let flags = config.rx_csum_flags;
    Agreed {
        sg: has("feature-sg"),
        gso_v4: has("feature-gso-tcpv4") && has("feature-sg") && config.rx_gso,
        gso_v6: has("feature-gso-tcpv6") && has("feature-sg") && config.rx_gso,
        blank_v4: flags && !has("feature-no-csum-offload"),
        blank_v6: flags && has("feature-ipv6-csum-offload"),
        flags,
    }
}
