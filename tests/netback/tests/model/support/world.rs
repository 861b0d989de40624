//! Grants, event channels and XenStore in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use netback_model::{Events, GntStatus, Grants, SharedPage, Store, WatchId};

/// A page; clones name the same one.
#[derive(Clone, Debug)]
pub struct Page(Rc<RefCell<Vec<u8>>>);

impl Page {
    pub fn new() -> Self {
        Self(Rc::new(RefCell::new(vec![0; 4096])))
    }

    pub fn bytes(&self, at: usize, len: usize) -> Vec<u8> {
        self.0.borrow()[at..at + len].to_vec()
    }
}

impl SharedPage for Page {
    fn read_u32(&self, at: usize) -> u32 {
        let bytes = self.0.borrow();
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }
    fn write_u32(&self, at: usize, value: u32) {
        self.write(at, &value.to_le_bytes());
    }
    fn read(&self, at: usize, out: &mut [u8]) {
        out.copy_from_slice(&self.0.borrow()[at..at + out.len()]);
    }
    fn write(&self, at: usize, bytes: &[u8]) {
        self.0.borrow_mut()[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// A mapping, which knows its grant.
#[derive(Debug)]
pub struct Mapped {
    pub gref: u32,
    page: Page,
}

impl SharedPage for Mapped {
    fn read_u32(&self, at: usize) -> u32 {
        self.page.read_u32(at)
    }
    fn write_u32(&self, at: usize, value: u32) {
        self.page.write_u32(at, value);
    }
    fn read(&self, at: usize, out: &mut [u8]) {
        self.page.read(at, out);
    }
    fn write(&self, at: usize, bytes: &[u8]) {
        self.page.write(at, bytes);
    }
}

#[derive(Debug)]
struct Grant {
    page: Page,
    readonly: bool,
    maps: u32,
}

#[derive(Debug, Default)]
pub struct World {
    grants: BTreeMap<u32, Grant>,
    next: u32,
    /// Guest port to (our port, pending at the guest).
    guest_ports: BTreeMap<u32, (Option<u32>, bool)>,
    /// Our port to (guest port, pending here).
    ports: BTreeMap<u32, (u32, bool)>,
    pub nodes: BTreeMap<String, String>,
    watches: BTreeMap<u64, (String, bool)>,
    /// Every value written to a node named `state`, in order.
    pub states: Vec<(String, String)>,
}

pub const BAD_GREF: i16 = -3;
pub const GENERAL_ERROR: i16 = -1;

impl World {
    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next + 7
    }

    /// The guest grants a page.
    pub fn grant(&mut self, page: &Page, readonly: bool) -> u32 {
        let gref = self.number();
        let grant = Grant {
            page: page.clone(),
            readonly,
            maps: 0,
        };
        self.grants.insert(gref, grant);
        gref
    }

    /// Mappings the backend holds.
    pub fn mapped(&self) -> u32 {
        self.grants.values().map(|g| g.maps).sum()
    }

    /// Ports the backend holds.
    pub fn bound(&self) -> usize {
        self.ports.len()
    }

    pub fn watch_count(&self) -> usize {
        self.watches.len()
    }

    pub fn guest_port(&mut self) -> u32 {
        let port = self.number();
        self.guest_ports.insert(port, (None, false));
        port
    }

    pub fn guest_notify(&mut self, port: u32) {
        if let Some((Some(ours), _)) = self.guest_ports.get(&port)
            && let Some(entry) = self.ports.get_mut(ours)
        {
            entry.1 = true;
        }
    }

    pub fn guest_take(&mut self, port: u32) -> bool {
        let entry = self.guest_ports.get_mut(&port).expect("the guest's port");
        std::mem::take(&mut entry.1)
    }

    fn fire(&mut self, path: &str) {
        for (at, fired) in self.watches.values_mut() {
            let below = path.strip_prefix(at.as_str());
            *fired |= below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        }
    }
}

impl Grants for World {
    type Page = Mapped;
    fn map(&mut self, _: u16, gref: u32, readonly: bool) -> Result<Mapped, GntStatus> {
        let grant = self.grants.get_mut(&gref).ok_or(GntStatus(BAD_GREF))?;
        if grant.readonly && !readonly {
            return Err(GntStatus(GENERAL_ERROR));
        }
        grant.maps += 1;
        Ok(Mapped {
            gref,
            page: grant.page.clone(),
        })
    }
    fn unmap(&mut self, page: Mapped) -> Result<(), GntStatus> {
        let grant = self.grants.get_mut(&page.gref).expect("a mapped grant");
        grant.maps = grant.maps.checked_sub(1).expect("mapped");
        Ok(())
    }
    fn copy_from(&mut self, d: u16, gref: u32, at: usize, out: &mut [u8]) -> Result<(), GntStatus> {
        let page = self.map(d, gref, true)?;
        page.read(at, out);
        self.unmap(page)
    }
    fn copy_to(&mut self, d: u16, gref: u32, at: usize, bytes: &[u8]) -> Result<(), GntStatus> {
        let page = self.map(d, gref, false)?;
        page.write(at, bytes);
        self.unmap(page)
    }
}

impl Events for World {
    fn bind_interdomain(&mut self, _: u16, remote: u32) -> Result<u32, i32> {
        let ours = self.number();
        let guest = self.guest_ports.get_mut(&remote).ok_or(22)?;
        if guest.0.is_some() {
            return Err(22);
        }
        guest.0 = Some(ours);
        self.ports.insert(ours, (remote, true));
        Ok(ours)
    }
    fn close(&mut self, port: u32) {
        let (remote, _) = self.ports.remove(&port).expect("a bound port");
        if let Some(guest) = self.guest_ports.get_mut(&remote) {
            guest.0 = None;
        }
    }
    fn notify(&mut self, port: u32) {
        let (remote, _) = self.ports[&port];
        if let Some(guest) = self.guest_ports.get_mut(&remote) {
            guest.1 = true;
        }
    }
    fn take_pending(&mut self, port: u32) -> bool {
        let entry = self.ports.get_mut(&port).expect("a bound port");
        std::mem::take(&mut entry.1)
    }
}

impl Store for World {
    fn read(&mut self, path: &str) -> Option<String> {
        self.nodes.get(path).cloned()
    }
    fn write(&mut self, path: &str, value: &str) {
        if path.ends_with("/state") {
            self.states.push((path.into(), value.into()));
        }
        self.nodes.insert(path.into(), value.into());
        self.fire(path);
    }
    fn rm(&mut self, path: &str) {
        let below = format!("{path}/");
        self.nodes
            .retain(|node, _| node != path && !node.starts_with(&below));
        self.fire(path);
        // What was below fires too.
        for (at, fired) in self.watches.values_mut() {
            *fired |= at.starts_with(&below);
        }
    }
    fn watch(&mut self, path: &str) -> WatchId {
        let id = u64::from(self.number());
        self.watches.insert(id, (path.into(), true));
        WatchId(id)
    }
    fn unwatch(&mut self, watch: WatchId) {
        self.watches.remove(&watch.0).expect("a watch");
    }
    fn take_fired(&mut self, watch: WatchId) -> bool {
        let entry = self.watches.get_mut(&watch.0).expect("a watch");
        std::mem::take(&mut entry.1)
    }
}
