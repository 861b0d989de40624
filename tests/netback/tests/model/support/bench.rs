//! Guest, backend, network and clock on one table; and frames.

use std::collections::VecDeque;

use netback_model::{Config, FrameMeta, Netback, Preset, SharedPage, Wire, toolstack};

use super::guest::{Guest, Plan, extra, slot};
use super::world::{Mapped, Page, World};

#[derive(Default)]
pub struct Net {
    pub out: Vec<(Vec<u8>, FrameMeta)>,
    pub into: VecDeque<(Vec<u8>, FrameMeta)>,
}

impl Wire for Net {
    fn from_guest(&mut self, frame: &[u8], meta: FrameMeta) {
        self.out.push((frame.to_vec(), meta));
    }
    fn to_guest(&mut self) -> Option<(Vec<u8>, FrameMeta)> {
        self.into.pop_front()
    }
}

pub struct Bench {
    pub world: World,
    pub guest: Guest,
    pub back: Netback<Mapped>,
    pub net: Net,
    pub now: u64,
}

pub const MS: u64 = 1_000_000;

impl Bench {
    pub fn linux() -> Self {
        Self::with(Preset::Linux, &Plan::default())
    }

    pub fn with(preset: Preset, plan: &Plan) -> Self {
        Self::new(&Config::preset(preset, 5, 0), plan)
    }

    /// Connected, hotplug done, everything settled.
    pub fn new(config: &Config, plan: &Plan) -> Self {
        let mut world = World::default();
        toolstack::publish(&mut world, config);
        toolstack::hotplug_done(&mut world, config);
        let back = Netback::probe(&mut world, config.clone());
        let guest = Guest::connect(&mut world, &toolstack::frontend_dir(config), plan);
        let mut bench = Self {
            world,
            guest,
            back,
            net: Net::default(),
            now: 0,
        };
        bench.settle();
        bench
    }

    /// Polls until there is nothing to do.
    pub fn settle(&mut self) {
        for _ in 0..1000 {
            if !self.back.poll(&mut self.world, &mut self.net, self.now) {
                return;
            }
        }
        panic!("the backend never comes to rest");
    }

    pub fn advance(&mut self, ms: u64) {
        self.now += ms * MS;
        self.settle();
    }

    pub fn back_state(&self) -> String {
        let dir = toolstack::backend_dir(self.back.config());
        self.world
            .nodes
            .get(&format!("{dir}/state"))
            .cloned()
            .unwrap_or_default()
    }

    /// Writes (does not publish) a frame cut into slots of these sizes, extras after the first; ids count up
    /// from `id`. The grants used.
    pub fn put_frame(
        &mut self,
        id: u16,
        frame: &[u8],
        sizes: &[usize],
        flags: u16,
        extras: &[[u8; 8]],
    ) -> Vec<Page> {
        assert_eq!(sizes.iter().sum::<usize>(), frame.len());
        let mut rest = frame;
        let mut pages = Vec::new();
        for (n, &size) in sizes.iter().enumerate() {
            let page = Page::new();
            let (piece, after) = rest.split_at(size);
            rest = after;
            page.write(0, piece);
            let gref = self.world.grant(&page, true);
            pages.push(page);
            let more = if n + 1 < sizes.len() { 4 } else { 0 };
            let (flags, size) = if n == 0 {
                let extra = if extras.is_empty() { 0 } else { 8 };
                (flags | more | extra, frame.len())
            } else {
                (more, size)
            };
            let tx = &mut self.guest.queues[0].tx;
            tx.put(&slot(gref, 0, flags, id + n as u16, size as u16));
            if n == 0 {
                for bytes in extras {
                    tx.put(&extra(*bytes));
                }
            }
        }
        pages
    }

    pub fn send(
        &mut self,
        id: u16,
        frame: &[u8],
        sizes: &[usize],
        flags: u16,
        extras: &[[u8; 8]],
    ) -> Vec<Page> {
        let pages = self.put_frame(id, frame, sizes, flags, extras);
        self.guest.push_tx(&mut self.world, 0);
        self.settle();
        pages
    }

    /// Puts raw TX slots and lets the backend look.
    pub fn send_raw(&mut self, slots: &[&[u32]]) {
        for words in slots {
            self.guest.queues[0].tx.put(words);
        }
        self.guest.push_tx(&mut self.world, 0);
        self.settle();
    }

    /// A granted page with something in it.
    pub fn page(&mut self) -> u32 {
        let page = Page::new();
        page.write(0, &[0x5A; 4096]);
        self.world.grant(&page, true)
    }

    pub fn receive(&mut self, frame: &[u8], meta: FrameMeta) {
        self.net.into.push_back((frame.to_vec(), meta));
        self.settle();
    }

    /// One control exchange: status and data.
    pub fn ctrl(&mut self, kind: u16, data: [u32; 3]) -> (u32, u32) {
        let (ring, _) = self.guest.ctrl.as_mut().unwrap();
        ring.put(&[7 | u32::from(kind) << 16, data[0], data[1], data[2]]);
        self.guest.push_ctrl(&mut self.world);
        self.settle();
        let answers = self.guest.ctrl.as_mut().unwrap().0.take::<3>();
        assert_eq!(answers.len(), 1, "one answer per request");
        assert_eq!(answers[0][0], 7 | u32::from(kind) << 16);
        (answers[0][1], answers[0][2])
    }
}

/// A broadcast frame of `len` bytes that is not IP.
pub fn plain(len: usize) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..len).map(|n| n as u8).collect();
    frame[..14].copy_from_slice(&[
        0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2, 0, 0, 0, 0, 1, 0x88, 0xB5,
    ]);
    frame
}

fn sum(bytes: &[u8]) -> u32 {
    let words = bytes
        .chunks(2)
        .map(|p| u32::from(p[0]) << 8 | u32::from(*p.get(1).unwrap_or(&0)));
    words.sum()
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum as u16
}

/// TCP over IPv4 from port `port`, with the pseudo-header sum in the checksum field.
pub fn tcp4(port: u16, payload: usize) -> Vec<u8> {
    let total = (40 + payload) as u16;
    let mut f = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    f.extend(total.to_be_bytes());
    f.extend([0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    let header = !fold(sum(&f[14..34]));
    f[24..26].copy_from_slice(&header.to_be_bytes());
    f.extend(port.to_be_bytes());
    f.extend([0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0]);
    let pseudo = fold(sum(&f[26..34]) + 6 + u32::from(total) - 20);
    f.extend(pseudo.to_be_bytes());
    f.extend([0, 0]);
    f.extend((0..payload).map(|n| (n * 7) as u8));
    f
}

/// Whether the TCP checksum of a frame made by [`tcp4`] is right.
pub fn tcp4_verifies(f: &[u8]) -> bool {
    let end = 14 + usize::from(u16::from_be_bytes([f[16], f[17]]));
    fold(sum(&f[26..34]) + 6 + (end - 34) as u32 + sum(&f[34..end])) == 0xFFFF
}
