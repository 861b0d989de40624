//! What the model backend needs from the hypervisor and XenStore, given by the simulated ones.

use netback_model::{Events, GntStatus, Grants, SharedPage, WatchId};
use xen_sim::{MappedGrant, Page};
use xenstored_sim::{Store, Watch};

/// The other domains' view of Xen and XenStore.
#[derive(Debug)]
pub(crate) struct Host<'a> {
    machine: &'a mut xen_sim::Machine,
    store: &'a mut Store,
}

impl<'a> Host<'a> {
    pub(crate) fn new(machine: &'a mut xen_sim::Machine, store: &'a mut Store) -> Self {
        Self { machine, store }
    }
}

/// A granted page that a backend has mapped.
#[derive(Debug)]
pub struct HostPage(MappedGrant);

impl HostPage {
    const fn page(&self) -> &Page {
        &self.0.page
    }
}

impl SharedPage for HostPage {
    fn read_u32(&self, offset: usize) -> u32 {
        self.page().read_u32(offset)
    }

    fn write_u32(&self, offset: usize, value: u32) {
        self.page().write_u32(offset, value);
    }

    fn read(&self, offset: usize, out: &mut [u8]) {
        self.page().read(offset, out);
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        self.page().write(offset, bytes);
    }
}

const fn status(error: xen_sim::GrantError) -> GntStatus {
    GntStatus(error.0)
}

/// The backend's domain. All backends are served by domain 0.
const BACKEND: u16 = 0;

impl Grants for Host<'_> {
    type Page = HostPage;

    fn map(&mut self, _domid: u16, gref: u32, readonly: bool) -> Result<HostPage, GntStatus> {
        self.machine
            .map_grant(BACKEND, gref, readonly)
            .map(HostPage)
            .map_err(status)
    }

    fn unmap(&mut self, page: HostPage) -> Result<(), GntStatus> {
        self.machine.unmap_grant(page.0).map_err(status)
    }

    fn copy_from(
        &mut self,
        _domid: u16,
        gref: u32,
        offset: usize,
        out: &mut [u8],
    ) -> Result<(), GntStatus> {
        self.machine
            .copy_from_grant(BACKEND, gref, offset, out)
            .map_err(status)
    }

    fn copy_to(
        &mut self,
        _domid: u16,
        gref: u32,
        offset: usize,
        bytes: &[u8],
    ) -> Result<(), GntStatus> {
        self.machine
            .copy_to_grant(BACKEND, gref, offset, bytes)
            .map_err(status)
    }
}

impl Events for Host<'_> {
    fn bind_interdomain(&mut self, _domid: u16, remote_port: u32) -> Result<u32, i32> {
        self.machine
            .backend_bind(BACKEND, remote_port)
            .map_err(|error| error.0)
    }

    fn close(&mut self, port: u32) {
        self.machine.backend_close(port);
    }

    fn notify(&mut self, port: u32) {
        self.machine.backend_notify(port);
    }

    fn take_pending(&mut self, port: u32) -> bool {
        self.machine.backend_take(port)
    }
}

impl netback_model::Store for Host<'_> {
    fn read(&mut self, path: &str) -> Option<String> {
        self.store.read(path)
    }

    fn write(&mut self, path: &str, value: &str) {
        self.store.write(path, value);
    }

    fn rm(&mut self, path: &str) {
        self.store.rm(path);
    }

    fn watch(&mut self, path: &str) -> WatchId {
        WatchId(self.store.watch(path).0)
    }

    fn unwatch(&mut self, watch: WatchId) {
        self.store.unwatch(Watch(watch.0));
    }

    fn take_fired(&mut self, watch: WatchId) -> bool {
        self.store.take_fired(Watch(watch.0))
    }
}
