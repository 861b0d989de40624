//! A vif, flows towards it, and what must be true of every frame that arrives.

use std::collections::BTreeMap;

use harness::Value;
use harness::ndis::{Frame, Protocol, Received, SendList, SendOptions};
use keywords::{Keyword, table};
use netback_model::{Attack, Features, FrameHash, FrameMeta, Preset, toeplitz};
use netfront_core::report::{self, HashReport, OID_QUEUE_REPORT, QueueReport, REPORT_MAX};
use world::World;
use world::flows::{Flow, Kind, Script, numbers};
use world::rss::{ALL_TYPES, KEY, NETIF_TYPES, Number, Setting};

/// Keywords that a restart sets or removes.
const SCALING: [&Keyword; 8] = [
    &table::RSS_PROFILE,
    &table::MAX_RSS_PROCESSORS,
    &table::RSS_BASE_PROC_NUMBER,
    &table::RSS_BASE_PROC_GROUP,
    &table::RSS_MAX_PROC_NUMBER,
    &table::RSS_MAX_PROC_GROUP,
    &table::NUMA_NODE_ID,
    &table::RSS_HASH_UDP,
];

/// Flows of each kind.
const FLOWS_EACH: usize = 3;

/// Every block of pool is at least one mapping of this process, of which Linux allows 65530 unless told otherwise.
fn need_mappings() {
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
    let limit: u64 = limit.trim().parse().unwrap_or(u64::MAX);
    assert!(
        limit >= 262_144,
        "vm.max_map_count is {limit}: run cargo xtask setup, or sysctl vm.max_map_count=262144"
    );
}

/// A small generator of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(0x5851_F42D_4C95_7F2D)
            .wrapping_add(0x1405_7B7E_F767_814F);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit.max(1)
    }
}

/// What is in force.
#[derive(Clone, Debug)]
enum Force {
    Off,
    Scaling(Setting),
    Hashing(u32),
}

pub(crate) struct Bench {
    pub(crate) world: World,
    script: Script,
    flows: Vec<Flow>,
    next: Vec<u32>,
    /// The next frame of each flow that must arrive.
    due: BTreeMap<u16, u32>,
    taken: Vec<Received>,
    force: Force,
    cpus: u32,
    group: u32,
    only: Option<Kind>,
    ctrl_ring: bool,
    /// The backend tells hashes that are wrong.
    pub(crate) lie: bool,
}

impl Bench {
    pub(crate) fn new(queues: u16, cpus: u32, group: u32, seed: u64, ctrl_ring: bool) -> Self {
        Self::with_keywords(queues, cpus, group, seed, ctrl_ring, &[])
    }

    pub(crate) fn with_keywords(
        queues: u16,
        cpus: u32,
        group: u32,
        seed: u64,
        ctrl_ring: bool,
        keywords: &[(&str, &str)],
    ) -> Self {
        let builder = World::builder().cpus(cpus).group_size(group).seed(seed);
        let mut bench = Self::start(builder, (queues, cpus, group), ctrl_ring, keywords);
        bench.world.wait_connected(0);
        bench.world.settle();
        bench
    }

    /// A machine that Xen gives little to. It has had time to connect; whether it has is for the caller to see.
    pub(crate) fn scarce(
        queues: u16,
        cpus: u32,
        seed: u64,
        change: impl FnOnce(&mut xen_sim::Config),
    ) -> Self {
        let builder = World::builder().cpus(cpus).seed(seed).xen(change);
        let mut bench = Self::start(builder, (queues, cpus, 64), true, &[]);
        bench.world.pass(2 * harness::SECOND);
        bench
    }

    fn start(
        builder: world::Builder,
        (queues, cpus, group): (u16, u32, u32),
        ctrl_ring: bool,
        keywords: &[(&str, &str)],
    ) -> Self {
        if queues > 16 {
            need_mappings();
        }
        let mut world = builder.build();
        let count = queues.to_string();
        // The fewest pages there can be: every block of pool is a mapping of this process.
        for (keyword, value) in [("*NumRssQueues", &*count), ("*ReceiveBuffers", "384")]
            .iter()
            .chain(keywords)
        {
            world
                .harness()
                .set_default_keyword(keyword, Some(Value::text(value)));
        }
        let script = Script::default();
        let config = World::vif_config(Preset::Linux, 0);
        let features = Features {
            max_queues: queues,
            ctrl_ring,
            ..config.features
        };
        let mac = config.mac;
        world.add_vif(netback_model::Config { features, ..config }, script.clone());
        world.boot();
        let kinds = Kind::ALL.iter().cycle().take(Kind::ALL.len() * FLOWS_EACH);
        let flows: Vec<Flow> = (0..)
            .zip(kinds)
            .map(|(n, kind)| Flow::new(*kind, n, mac))
            .collect();
        Self {
            next: vec![0; flows.len()],
            flows,
            world,
            script,
            due: BTreeMap::new(),
            taken: Vec::new(),
            force: Force::Off,
            cpus,
            group,
            only: None,
            ctrl_ring,
            lie: false,
        }
    }

    /// Restarts the adapter with these keywords and no others of receive-side scaling.
    pub(crate) fn restart(&mut self, keywords: &[(&str, u32)]) {
        let device = self.world.interfaces()[0];
        self.world.disable_interface(device);
        for keyword in SCALING {
            let value = keywords.iter().find(|(name, _)| *name == keyword.name);
            let value = value.map(|(_, value)| Value::text(&value.to_string()));
            self.world
                .harness()
                .set_default_keyword(keyword.name, value);
        }
        self.world.enable_interface(device);
        self.world.wait_connected(0);
        self.force = Force::Off;
        self.settle();
    }

    /// Queues that the backend serves.
    pub(crate) fn queues(&self) -> usize {
        self.world.xen(|xen| xen.vifs[&0].backend.queue_count())
    }

    /// The backend's driver is loaded anew, and offers so many queues.
    pub(crate) fn restart_backend(&mut self, queues: u16) {
        self.world.xen(|xen| xen.unload_backend(0));
        self.world.pass(harness::SECOND);
        self.world
            .xen(|xen| xen.load_backend(0, |config| config.features.max_queues = queues));
        self.reconnected();
    }

    /// The guest is resumed on another host, whose backend offers so many queues.
    pub(crate) fn migrate(&mut self, queues: u16) {
        self.world.xen(|xen| {
            xen.on_resume(move |config| config.features.max_queues = queues);
            let outcome = xen_sim::SuspendOutcome::Resumed;
            xen.machine.set_suspend_outcome(outcome);
            xen.store
                .write("/local/domain/1/control/shutdown", "suspend");
        });
        self.world.pass(6 * harness::SECOND);
        let shutdowns = self.world.xen(|xen| xen.machine.take_shutdowns());
        assert_eq!(shutdowns, [2], "{}", self.world.story());
        self.reconnected();
    }

    fn reconnected(&mut self) {
        self.world.pass(2 * harness::SECOND);
        self.world.wait_connected(0);
        self.settle();
    }

    /// Indices of the processors that TCP/IP would make tables of.
    pub(crate) fn rss_processors(&self) -> Vec<u32> {
        let all = self.protocol().rss_processors();
        all.unwrap_or_else(|stop| panic!("{stop:?}\n{}", self.world.story()))
    }

    pub(crate) fn protocol(&self) -> Protocol<'_> {
        self.world.protocol(self.world.interfaces()[0])
    }

    /// Group and number of a processor.
    pub(crate) fn number(&self, index: u32) -> Number {
        let group = u16::try_from(index / self.group).unwrap_or(0);
        (group, u8::try_from(index % self.group).unwrap_or(0))
    }

    fn index(&self, (group, number): Number) -> u32 {
        u32::from(group) * self.group + u32::from(number)
    }

    fn all(&self) -> Vec<Number> {
        (0..self.cpus).map(|index| self.number(index)).collect()
    }

    /// Every processor in turn.
    pub(crate) fn plain(&self, types: u32) -> Setting {
        let mut setting = Setting::new(&self.all());
        setting.types = types;
        setting
    }

    /// Anything.
    pub(crate) fn random(&self, rng: &mut Rng) -> Setting {
        let mut setting = self.plain(0);
        random_types(&mut setting, rng);
        self.random_table(&mut setting, rng);
        random_key(&mut setting, rng);
        setting
    }

    fn random_table(&self, setting: &mut Setting, rng: &mut Rng) {
        let entries = 2 << rng.below(7);
        let all = self.all();
        // Of some processors only, sometimes.
        let some = 1 + rng.below(all.len());
        let first = rng.below(all.len());
        let one = |rng: &mut Rng| all[(first + rng.below(some)) % all.len()];
        setting.table = (0..entries).map(|_| one(rng)).collect();
        setting.default = all[rng.below(all.len())];
    }

    /// The setting in force with something else in it: the table, the key, the types, or all.
    pub(crate) fn change(&self, rng: &mut Rng) -> Setting {
        let Force::Scaling(now) = &self.force else {
            return self.random(rng);
        };
        let mut next = now.clone();
        match rng.below(5) {
            0 | 1 => self.random_table(&mut next, rng),
            2 => random_key(&mut next, rng),
            3 => random_types(&mut next, rng),
            _ => next = self.random(rng),
        }
        next
    }

    pub(crate) fn set_bytes(&self, bytes: Vec<u8>) -> i32 {
        let oid = ndis_sys::OID_GEN_RECEIVE_SCALE_PARAMETERS;
        let done = self.protocol().set(oid, bytes);
        done.unwrap_or_else(|stop| panic!("{stop:?}\n{}", self.world.story()))
            .status
    }

    /// Sets and lets it take effect.
    pub(crate) fn set(&mut self, setting: &Setting) {
        self.set_under_way(setting);
        self.settle();
    }

    /// Sets while frames are under way.
    pub(crate) fn set_under_way(&mut self, setting: &Setting) {
        assert_eq!(self.set_bytes(setting.bytes()), 0, "{}", self.world.story());
        self.now(setting);
    }

    pub(crate) fn now(&mut self, setting: &Setting) {
        self.force = Force::Scaling(setting.clone());
    }

    pub(crate) fn now_off(&mut self) {
        self.force = Force::Off;
    }

    pub(crate) fn now_hashing(&mut self, types: u32) {
        self.force = Force::Hashing(types);
    }

    /// `OID_GEN_RECEIVE_HASH`; without a key hashing is switched off.
    pub(crate) fn set_hash(&self, types: u32, key: Option<[u8; 40]>) -> i32 {
        let mut bytes = vec![0; 20];
        bytes[..4].copy_from_slice(&[ndis_sys::NDIS_OBJECT_TYPE_DEFAULT, 1, 20, 0]);
        bytes[8..12].copy_from_slice(&(types | 1).to_le_bytes());
        if let Some(key) = key {
            bytes[4] = 1;
            bytes[12] = 40;
            bytes[16] = 20;
            bytes.extend(key);
        }
        let done = self.protocol().set(ndis_sys::OID_GEN_RECEIVE_HASH, bytes);
        done.unwrap_or_else(|stop| panic!("{stop:?}\n{}", self.world.story()))
            .status
    }

    /// The vif's address.
    pub(crate) fn mac() -> [u8; 6] {
        World::vif_config(Preset::Linux, 0).mac
    }

    /// A frame for the guest that is of no flow.
    pub(crate) fn push(&self, frame: Vec<u8>, meta: FrameMeta) {
        self.script.push_with(frame, meta);
    }

    pub(crate) fn only(&mut self, kind: Kind) {
        self.only = Some(kind);
    }

    /// Frames for the guest, of flows chosen at random. They are under way when this returns.
    pub(crate) fn send(&mut self, count: usize, rng: &mut Rng) {
        for _ in 0..count {
            let mut at = rng.below(self.flows.len());
            while self.only.is_some_and(|kind| self.flows[at].kind != kind) {
                at = rng.below(self.flows.len());
            }
            let frame = self.flows[at].frame(self.next[at]);
            self.next[at] += 1;
            let hash = self.lie.then_some(FrameHash {
                hash_type: 1,
                value: 0xBAD0_BAD0,
            });
            self.script.push_with(
                frame,
                FrameMeta {
                    hash,
                    ..FrameMeta::default()
                },
            );
        }
        // The backend looks at its network when it is polled; how far it gets now is the seed's choice.
        let _ = self.world.harness().advance_time(0);
    }

    /// Flows whose frames belong to the queue that lives on this processor, with a table that names as many processors
    /// as there are queues.
    pub(crate) fn flows_of(&self, cpu: u32) -> Vec<usize> {
        let Force::Scaling(setting) = &self.force else {
            return Vec::new();
        };
        let named = |flow: &Flow| {
            let (_, input) = flow.hashable.best(setting.types)?;
            Some(self.index(setting.processor(toeplitz(&setting.key, &input))))
        };
        let all = self.flows.iter().enumerate();
        all.filter(|(_, flow)| named(flow) == Some(cpu))
            .map(|(at, _)| at)
            .collect()
    }

    pub(crate) fn kind(&self, flow: usize) -> Kind {
        self.flows[flow].kind
    }

    /// Frames for the guest of these flows.
    pub(crate) fn send_flows(&mut self, flows: &[usize], each: usize) {
        for _ in 0..each {
            for &at in flows {
                let frame = self.flows[at].frame(self.next[at]);
                self.next[at] += 1;
                self.script.push(frame);
            }
        }
    }

    /// Frames from the guest, with their hash, of these flows; `first` is the number of the first of each.
    pub(crate) fn transmit(&self, flows: &[usize], first: u32, each: u32) {
        let Force::Scaling(setting) = &self.force else {
            return;
        };
        let mut lists = Vec::new();
        for number in first..first + each {
            for &at in flows {
                let flow = &self.flows[at];
                let mut list = SendList::one(Frame::new(flow.frame(number)));
                if let Some((kind, input)) = flow.hashable.best(setting.types) {
                    let hash = toeplitz(&setting.key, &input);
                    list = list
                        .with_info(ndis_sys::NetBufferListHashValue, hash.into())
                        .with_info(ndis_sys::NetBufferListHashInfo, (kind | 1).into());
                }
                lists.push(list);
            }
        }
        let sent = self.protocol().send(lists, SendOptions::default());
        assert!(sent.is_ok(), "{sent:?}\n{}", self.world.story());
    }

    /// What came from the guest: flow, number of the frame, and what travels beside it.
    pub(crate) fn arrived(&self) -> Vec<(u16, u32, FrameMeta)> {
        let frames = self.script.take_arrived();
        frames
            .iter()
            .filter_map(|(frame, meta)| {
                let (flow, number) = numbers(frame)?;
                Some((flow, number, *meta))
            })
            .collect()
    }

    /// Lets everything arrive.
    pub(crate) fn settle(&mut self) {
        self.world.settle();
        self.world.pass(harness::SECOND / 50);
        let protocol = self.world.protocol(self.world.interfaces()[0]);
        let taken = protocol.take_received();
        self.taken.extend(taken);
    }

    /// What arrived since it was looked at.
    pub(crate) fn received(&mut self) -> Vec<Received> {
        core::mem::take(&mut self.taken)
    }

    /// Nothing that was sent is due any more.
    pub(crate) fn forget(&mut self) {
        for (flow, next) in (0..).zip(&self.next) {
            self.due.insert(flow, *next);
        }
    }

    /// Every frame has arrived, once; each flow in order.
    fn check_order(&mut self, frames: &[Received], strict: bool) {
        let mut seen: BTreeMap<u16, Vec<u32>> = BTreeMap::new();
        for frame in frames {
            let (flow, sequence) = numbers(&frame.bytes).expect("a frame of ours");
            seen.entry(flow).or_default().push(sequence);
        }
        for (flow, next) in (0..).zip(&self.next) {
            let due = self.due.insert(flow, *next).unwrap_or(0);
            let mut got = seen.remove(&flow).unwrap_or_default();
            if !strict {
                got.sort_unstable();
            }
            let wanted: Vec<u32> = (due..*next).collect();
            let kind = self.flows[usize::from(flow)].kind;
            assert_eq!(got, wanted, "flow {flow}, {kind:?}\n{}", self.world.story());
        }
    }

    /// After a change under traffic: nothing is lost, and flows that no backend moved kept their order.
    pub(crate) fn check_moving(&mut self) {
        let frames = self.received();
        // A backend that moves a flow to another ring may have both in use at once; NDIS allows frames to change
        // places then. Without a control ring it never does.
        self.check_order(&frames, !self.ctrl_ring);
    }

    /// Everything is as the parameters in force say.
    pub(crate) fn check(&mut self) {
        let frames = self.received();
        self.check_order(&frames, true);
        for frame in &frames {
            self.check_frame(frame);
        }
    }

    /// As [`Bench::check`], of frames sent while the backend may not have followed yet: order is as in
    /// [`Bench::check_moving`].
    pub(crate) fn check_at_once(&mut self) {
        let frames = self.received();
        self.check_order(&frames, !self.ctrl_ring);
        for frame in &frames {
            self.check_frame(frame);
        }
    }

    fn check_frame(&self, frame: &Received) {
        let (flow, _) = numbers(&frame.bytes).expect("a frame of ours");
        let flow = &self.flows[usize::from(flow)];
        let (types, key) = match &self.force {
            Force::Off => (0, KEY),
            Force::Scaling(setting) => (setting.types, setting.key),
            Force::Hashing(types) => (*types, KEY),
        };
        let best = flow.hashable.best(types);
        let right = best.map(|(kind, input)| (kind, toeplitz(&key, &input)));
        let information = frame.slot(ndis_sys::NetBufferListHashInfo);
        let value = frame.slot(ndis_sys::NetBufferListHashValue);
        let told = (information != 0).then(|| {
            assert_eq!(information & 0xFF, 1, "the function");
            let kind = u32::try_from(information & !0xFF).unwrap_or(0);
            (kind, u32::try_from(value).expect("32 bits"))
        });
        assert_eq!(
            told,
            right,
            "{:?} of types {types:#x}\n{}",
            flow.kind,
            self.world.story()
        );
        if let Force::Scaling(setting) = &self.force {
            let named = right.map_or(setting.default, |(_, hash)| setting.processor(hash));
            assert_eq!(
                frame.cpu,
                self.index(named),
                "{:?}\n{}",
                flow.kind,
                self.world.story()
            );
        }
    }

    /// What the driver tells of its queues.
    pub(crate) fn report(&self) -> (HashReport, Vec<QueueReport>) {
        let answer = self.protocol().query(OID_QUEUE_REPORT, REPORT_MAX);
        let answer = answer.unwrap_or_else(|stop| panic!("{stop:?}\n{}", self.world.story()));
        assert_eq!(answer.status, 0);
        let mut queues = Vec::new();
        let hash = report::read(&answer.data, |queue| queues.push(queue));
        (hash.expect("a report"), queues)
    }

    pub(crate) fn logged(&self, text: &str) -> bool {
        let log = self.world.harness().log();
        log.iter().any(|line| line.text.contains(text))
    }

    pub(crate) fn attack(&self, attack: Attack) {
        self.world.xen(|xen| {
            if let Some(vif) = xen.vifs.get_mut(&0) {
                vif.backend.attack(attack, u32::MAX);
            }
        });
    }

    /// From the answer after the next `skip` on, everything on the control ring is refused.
    pub(crate) fn refuse_after(&self, skip: u32) {
        self.world.xen(|xen| {
            if let Some(vif) = xen.vifs.get_mut(&0) {
                vif.backend.refuse_control(skip);
            }
        });
    }

    pub(crate) fn delay_control(&self, ns: u64) {
        self.world.xen(|xen| {
            if let Some(vif) = xen.vifs.get_mut(&0) {
                vif.backend.delay_control(ns);
            }
        });
    }

    pub(crate) fn end(mut self) {
        self.world.assert_clean();
        self.world.tear_down();
        self.world.assert_nothing_left();
    }

    /// As [`Bench::end`], with a backend that is honest again so that it lets go.
    pub(crate) fn end_hostile(mut self) {
        self.world.xen(|xen| {
            if let Some(vif) = xen.vifs.get_mut(&0) {
                vif.backend.calm();
            }
        });
        self.world.tear_down();
        self.world.assert_nothing_left();
    }
}

fn random_key(setting: &mut Setting, rng: &mut Rng) {
    for byte in &mut setting.key {
        *byte = u8::try_from(rng.below(256)).unwrap_or(0);
    }
}

/// Settings that break each rule of `OID_GEN_RECEIVE_SCALE_PARAMETERS` (ndis-contract.md 2.2), made from a good one.
pub(crate) fn wrong_settings(good: &Setting) -> Vec<(&'static str, Vec<u8>)> {
    let change = |at: usize, value: &[u8]| {
        let mut bytes = good.bytes();
        bytes[at..at + value.len()].copy_from_slice(value);
        bytes
    };
    let cut = |len: usize| {
        let mut bytes = good.bytes();
        bytes.truncate(len);
        bytes
    };
    let table = |table: Vec<Number>| {
        Setting {
            table,
            ..good.clone()
        }
        .bytes()
    };
    vec![
        ("no byte", vec![]),
        ("a buffer shorter than the structure", cut(39)),
        ("a buffer shorter than revision 3", cut(43)),
        ("another type of object", change(0, &[0x80])),
        ("revision 0", change(1, &[0])),
        ("revision 1", change(1, &[1])),
        (
            "a size in the header that is too small",
            change(2, &[39, 0]),
        ),
        ("another hash function", change(8, &[2])),
        ("two hash functions", change(8, &[3])),
        ("no hash type", change(9, &[0, 0])),
        ("an unknown hash type", change(10, &[0x03])),
        ("a bit outside function and types", change(11, &[1])),
        ("a table of no entries", change(12, &[0, 0])),
        (
            "a table that is no whole number of entries",
            change(12, &[3, 0]),
        ),
        ("a table of three entries", change(12, &[12, 0])),
        ("a table of 256 entries", change(12, &[0, 4])),
        (
            "a table that begins after the buffer",
            change(16, &[0xFF, 0xFF, 0, 0]),
        ),
        ("a table whose end overflows", change(16, &[0xFF; 4])),
        ("a key of 39 bytes", change(20, &[39, 0])),
        ("a key of 41 bytes", change(20, &[41, 0])),
        ("no key", change(20, &[0, 0])),
        (
            "a key that ends after the buffer",
            cut(good.bytes().len() - 1),
        ),
        (
            "a key whose end overflows",
            change(24, &[0xF0, 0xFF, 0xFF, 0xFF]),
        ),
        (
            "a processor that does not run",
            table(vec![(0, 0), (0, 63)]),
        ),
        ("a group that is not there", table(vec![(0, 0), (9, 0)])),
        (
            "a default processor that does not run",
            change(40, &[0, 0, 63]),
        ),
    ]
}

fn random_types(setting: &mut Setting, rng: &mut Rng) {
    setting.types = match rng.below(4) {
        0 => ALL_TYPES,
        1 => NETIF_TYPES,
        _ => (u32::try_from(rng.below(0x200)).unwrap_or(0) << 8).max(0x100),
    };
}
