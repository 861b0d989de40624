//! The smallest frontend: every slot is written by hand.

use netback_model::{SharedPage, Store};

use super::world::{Page, World};

/// A ring page as a frontend sees it.
pub struct FrontRing {
    pub page: Page,
    pub gref: u32,
    pub prod: u32,
    pub rsp_cons: u32,
    entries: u32,
    slot: usize,
}

impl FrontRing {
    pub fn new(world: &mut World, entries: u32, slot: usize, start: u32) -> Self {
        let page = Page::new();
        page.write_u32(0, start);
        page.write_u32(4, start.wrapping_add(1));
        page.write_u32(8, start);
        page.write_u32(12, start.wrapping_add(1));
        let gref = world.grant(&page, false);
        Self {
            page,
            gref,
            prod: start,
            rsp_cons: start,
            entries,
            slot,
        }
    }

    fn at(&self, index: u32) -> usize {
        64 + (index % self.entries) as usize * self.slot
    }

    pub fn put(&mut self, words: &[u32]) {
        let at = self.at(self.prod);
        for (n, word) in words.iter().enumerate() {
            self.page.write_u32(at + n * 4, *word);
        }
        self.prod = self.prod.wrapping_add(1);
    }

    /// Publishes; whether the backend asked to be told.
    pub fn push(&mut self) -> bool {
        let old = self.page.read_u32(0);
        self.page.write_u32(0, self.prod);
        let event = self.page.read_u32(4);
        self.prod.wrapping_sub(event) < self.prod.wrapping_sub(old)
    }

    /// The words of each new response; asks to be told of the next.
    pub fn take<const N: usize>(&mut self) -> Vec<[u32; N]> {
        let prod = self.page.read_u32(8);
        let mut out = Vec::new();
        while self.rsp_cons != prod && out.len() < 1000 {
            let at = self.at(self.rsp_cons);
            out.push(std::array::from_fn(|n| self.page.read_u32(at + n * 4)));
            self.rsp_cons = self.rsp_cons.wrapping_add(1);
        }
        self.page.write_u32(12, self.rsp_cons.wrapping_add(1));
        out
    }
}

/// How the guest connects.
#[derive(Clone)]
pub struct Plan {
    pub queues: u32,
    pub split: bool,
    pub ctrl: bool,
    pub rx_posted: u32,
    /// First index of the rings.
    pub start: u32,
    /// Keys written beside rings and ports.
    pub keys: Vec<(&'static str, &'static str)>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            queues: 1,
            split: true,
            ctrl: false,
            rx_posted: 256,
            start: 0,
            keys: vec![
                ("request-rx-copy", "1"),
                ("feature-rx-notify", "1"),
                ("feature-sg", "1"),
                ("feature-gso-tcpv4", "1"),
                ("feature-ipv6-csum-offload", "1"),
            ],
        }
    }
}

pub struct GuestQueue {
    pub tx: FrontRing,
    pub rx: FrontRing,
    pub tx_port: u32,
    pub rx_port: u32,
    /// Page of each posted RX request, by ring index.
    pub buffers: Vec<Option<Page>>,
}

pub struct Guest {
    pub dir: String,
    pub queues: Vec<GuestQueue>,
    pub ctrl: Option<(FrontRing, u32)>,
}

/// A data slot: content, or the size to claim.
pub fn slot(gref: u32, offset: u16, flags: u16, id: u16, size: u16) -> [u32; 3] {
    let pair = |low: u16, high: u16| u32::from(low) | u32::from(high) << 16;
    [gref, pair(offset, flags), pair(id, size)]
}

/// An extra slot: 8 bytes.
pub fn extra(bytes: [u8; 8]) -> [u32; 2] {
    std::array::from_fn(|n| u32::from_le_bytes(bytes[n * 4..n * 4 + 4].try_into().unwrap()))
}

impl Guest {
    pub fn set_state(&self, world: &mut World, state: u32) {
        world.write(&format!("{}/state", self.dir), &state.to_string());
    }

    /// Makes rings and keys, posts RX buffers, says Connected.
    pub fn connect(world: &mut World, dir: &str, plan: &Plan) -> Self {
        let mut guest = Self {
            dir: dir.into(),
            queues: Vec::new(),
            ctrl: None,
        };
        for stale in ["tx-ring-ref", "rx-ring-ref", "event-channel"] {
            world.rm(&format!("{dir}/{stale}"));
        }
        let mut keys: Vec<(String, String)> = Vec::new();
        for n in 0..plan.queues {
            let mut queue = GuestQueue {
                tx: FrontRing::new(world, 256, 12, plan.start),
                rx: FrontRing::new(world, 256, 8, plan.start),
                tx_port: world.guest_port(),
                rx_port: world.guest_port(),
                buffers: vec![None; 256],
            };
            queue.post_rx(world, plan.rx_posted);
            queue.rx.push();
            let at = if plan.queues == 1 {
                String::new()
            } else {
                format!("queue-{n}/")
            };
            let mut key =
                |name: &str, value: u32| keys.push((format!("{at}{name}"), value.to_string()));
            key("tx-ring-ref", queue.tx.gref);
            key("rx-ring-ref", queue.rx.gref);
            if plan.split {
                key("event-channel-tx", queue.tx_port);
                key("event-channel-rx", queue.rx_port);
            } else {
                queue.rx_port = queue.tx_port;
                key("event-channel", queue.tx_port);
            }
            guest.queues.push(queue);
        }
        if plan.queues > 1 {
            keys.push(("multi-queue-num-queues".into(), plan.queues.to_string()));
        }
        if plan.ctrl {
            let ring = FrontRing::new(world, 128, 16, plan.start);
            let port = world.guest_port();
            keys.push(("ctrl-ring-ref".into(), ring.gref.to_string()));
            keys.push(("event-channel-ctrl".into(), port.to_string()));
            guest.ctrl = Some((ring, port));
        }
        let given = plan.keys.iter().map(|&(k, v)| (k.into(), v.into()));
        for (name, value) in keys.into_iter().chain(given) {
            let path = format!("{dir}/{name}");
            if value == "-" {
                world.rm(&path);
            } else {
                world.write(&path, &value);
            }
        }
        guest.set_state(world, 4);
        guest
    }

    /// Publishes TX slots of queue `q`.
    pub fn push_tx(&mut self, world: &mut World, q: usize) {
        let queue = &mut self.queues[q];
        if queue.tx.push() {
            world.guest_notify(queue.tx_port);
        }
    }

    pub fn push_rx(&mut self, world: &mut World, q: usize) {
        let queue = &mut self.queues[q];
        if queue.rx.push() {
            world.guest_notify(queue.rx_port);
        }
    }

    pub fn push_ctrl(&mut self, world: &mut World) {
        let (ring, port) = self.ctrl.as_mut().unwrap();
        if ring.push() {
            world.guest_notify(*port);
        }
    }
}

impl GuestQueue {
    /// Writes (does not publish) `count` RX requests with fresh pages; id = slot.
    pub fn post_rx(&mut self, world: &mut World, count: u32) {
        for _ in 0..count {
            let page = Page::new();
            let gref = world.grant(&page, false);
            let id = self.rx.prod % 256;
            self.buffers[id as usize] = Some(page);
            self.rx.put(&[id, gref]);
        }
    }

    /// Id and status of each new TX response.
    pub fn tx_responses(&mut self) -> Vec<(u16, i16)> {
        let words = self.tx.take::<1>();
        words
            .into_iter()
            .map(|[w]| (w as u16, (w >> 16) as i16))
            .collect()
    }

    /// Each new RX response: id, offset, flags, status, and the slot's page.
    pub fn rx_responses(&mut self) -> Vec<RxResponse> {
        let first = self.rx.rsp_cons;
        let words = self.rx.take::<2>();
        let index = (0..).map(|n| first.wrapping_add(n));
        index
            .zip(words)
            .map(|(index, [low, high])| RxResponse {
                id: low as u16,
                offset: (low >> 16) as u16,
                flags: high as u16,
                status: (high >> 16) as i16,
                raw: [low, high],
                page: self.buffers[(index % 256) as usize].clone(),
            })
            .collect()
    }
}

#[derive(Debug)]
pub struct RxResponse {
    pub id: u16,
    pub offset: u16,
    pub flags: u16,
    pub status: i16,
    pub raw: [u32; 2],
    pub page: Option<Page>,
}

impl RxResponse {
    pub fn data(&self) -> Vec<u8> {
        let page = self.page.as_ref().expect("a posted buffer");
        page.bytes(usize::from(self.offset), self.status.max(0) as usize)
    }

    pub fn bytes(&self) -> [u8; 8] {
        let [low, high] = self.raw.map(u32::to_le_bytes);
        [
            low[0], low[1], low[2], low[3], high[0], high[1], high[2], high[3],
        ]
    }
}
