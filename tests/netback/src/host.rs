//! What the model needs from the hypervisor and from XenStore.

/// A grant operation's failure: a negative `GNTST_*` number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GntStatus(pub i16);

/// A mapped page that the guest may change at any time. Offsets stay inside 4096 bytes.
pub trait SharedPage {
    /// Reads the aligned word at `offset`, once, ordered before later accesses.
    fn read_u32(&self, offset: usize) -> u32;
    /// Writes the aligned word at `offset`, ordered after earlier accesses.
    fn write_u32(&self, offset: usize, value: u32);
    /// Copies bytes out of the page.
    fn read(&self, offset: usize, out: &mut [u8]);
    /// Copies bytes into the page.
    fn write(&self, offset: usize, bytes: &[u8]);
}

/// The guest's grant table as another domain may use it. `domid` is the *granting* domain.
pub trait Grants {
    /// A mapping; given back by [`Grants::unmap`].
    type Page: SharedPage;
    /// Maps a granted page.
    fn map(&mut self, domid: u16, gref: u32, readonly: bool) -> Result<Self::Page, GntStatus>;
    /// Ends a mapping.
    fn unmap(&mut self, page: Self::Page) -> Result<(), GntStatus>;
    /// Copies from a granted page, as `GNTTABOP_copy`.
    fn copy_from(
        &mut self,
        domid: u16,
        gref: u32,
        offset: usize,
        out: &mut [u8],
    ) -> Result<(), GntStatus>;
    /// Copies to a granted page, as `GNTTABOP_copy`.
    fn copy_to(
        &mut self,
        domid: u16,
        gref: u32,
        offset: usize,
        bytes: &[u8],
    ) -> Result<(), GntStatus>;
}

/// Event channels of the backend's domain.
pub trait Events {
    /// Binds to `remote_port` of domain `domid`; the new local port starts pending. Fails with a Linux
    /// error number (positive).
    fn bind_interdomain(&mut self, domid: u16, remote_port: u32) -> Result<u32, i32>;
    /// Closes a local port.
    fn close(&mut self, port: u32);
    /// Sends an event through a local port.
    fn notify(&mut self, port: u32);
    /// Takes a local port's pending state.
    fn take_pending(&mut self, port: u32) -> bool;
}

/// A watch of one path, made by [`Store::watch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatchId(pub u64);

/// XenStore with the backend's rights. Paths are absolute.
pub trait Store {
    /// The value of a node; `None` when it does not exist.
    fn read(&mut self, path: &str) -> Option<String>;
    /// Writes a node, making its parents.
    fn write(&mut self, path: &str, value: &str);
    /// Removes a node and all below it.
    fn rm(&mut self, path: &str);
    /// Watches a path and everything below it. It fires once at once.
    fn watch(&mut self, path: &str) -> WatchId;
    /// Ends a watch.
    fn unwatch(&mut self, watch: WatchId);
    /// Whether the watch fired since this was last asked.
    fn take_fired(&mut self, watch: WatchId) -> bool;
}

/// Everything below the model.
pub trait Host: Grants + Events + Store {}
impl<T: Grants + Events + Store> Host for T {}
