//! An adapter's beginning and end.
#![allow(
    unsafe_code,
    reason = "gives NDIS and the bus driver the adapter's address; each block says why it may"
)]

use alloc::vec::Vec;
use core::ffi::c_void;
use core::ptr::NonNull;

use interface::SuspendRegistration;
use ndis::configuration::Configuration;
use ndis::{NdisVersion, Status};
use ndis_sys as sys;
use ndis_sys::{NDIS_ERROR_CODE, NDIS_HANDLE};
use netif::features::Features;
use nt::dpc::{Dpc, More};
use nt::irql::{Dispatch, Passive};
use nt::pool::{OutOfMemory, PoolBox};
use nt::thread::Thread;

use crate::adapter::{Adapter, AdapterRef, NdisHandle, Parts};
use crate::attributes::{self, DEFAULT_SPEED, Identity};
use crate::bus::{self, Bus, QueryError, StoreError};
use crate::keywords::{Keywords, MAX_QUEUES, MtuLimits};
use crate::mail::{Mail, Messages};
use crate::offload::OffloadState;
use crate::queue::{Queue, QueueSpec, Targets};
use crate::{TAG, callbacks, connection, entry, oid, processors};

/// Why an adapter could not be initialised.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "the log shows the fields")]
enum InitError {
    /// NDIS refused something.
    Ndis(Status),
    /// There is no bus driver of ours below.
    Bus(QueryError),
    /// XenStore cannot be read.
    Store(StoreError),
    /// The vif has no usable address.
    NoAddress,
    /// No memory or other resource.
    Resources,
}

impl InitError {
    /// What NDIS is told.
    fn status(self) -> Status {
        match self {
            Self::Ndis(status) => status,
            Self::Bus(_) => Status(sys::NDIS_STATUS_ADAPTER_NOT_FOUND),
            Self::Store(_) => Status(sys::NDIS_STATUS_DEVICE_FAILED),
            Self::NoAddress => Status::INVALID_DATA,
            Self::Resources => Status::RESOURCES,
        }
    }

    /// What the event log is told.
    fn code(self) -> NDIS_ERROR_CODE {
        match self {
            Self::Ndis(_) => sys::NDIS_ERROR_CODE_DRIVER_FAILURE,
            Self::Bus(_) => sys::NDIS_ERROR_CODE_ADAPTER_NOT_FOUND,
            Self::Store(_) => sys::NDIS_ERROR_CODE_HARDWARE_FAILURE,
            Self::NoAddress => sys::NDIS_ERROR_CODE_NETWORK_ADDRESS,
            Self::Resources => sys::NDIS_ERROR_CODE_OUT_OF_RESOURCES,
        }
    }
}

impl From<OutOfMemory> for InitError {
    fn from(OutOfMemory: OutOfMemory) -> Self {
        Self::Resources
    }
}

impl From<StoreError> for InitError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What NDIS has as the adapter's context.
#[derive(Default)]
pub(crate) struct Miniport {
    adapter: Option<PoolBox<Adapter>>,
    thread: Option<Thread>,
    suspend: Option<SuspendRegistration>,
}

impl Miniport {
    /// The adapter; there is one from the end of `MiniportInitializeEx` on.
    pub(crate) fn adapter(&self) -> Option<&Adapter> {
        self.adapter.as_deref()
    }

    /// What `MiniportInitializeEx` does. On failure all is undone, and the event log told.
    ///
    /// # Safety
    /// `handle` is the one passed to that handler.
    pub(crate) unsafe fn initialize(handle: NDIS_HANDLE, irql: &mut Passive<'_>) -> Status {
        let Ok(mut miniport) = PoolBox::try_new(TAG, Self::default()) else {
            // SAFETY: the caller's handle.
            unsafe { fail(handle, InitError::Resources) };
            return Status::RESOURCES;
        };
        let context = PoolBox::as_non_null(&miniport).as_ptr().cast();
        // SAFETY: the caller's handle; the context lives until the halt if all goes well.
        let begun = unsafe { miniport.begin(handle, context, irql) };
        match begun {
            Ok(()) => {
                // Given back in `halt`.
                let _context = PoolBox::into_raw(miniport);
                Status::SUCCESS
            }
            Err(error) => {
                miniport.end(irql);
                // SAFETY: the caller's handle.
                unsafe { fail(handle, error) };
                error.status()
            }
        }
    }

    /// What `MiniportHaltEx` does.
    ///
    /// # Safety
    /// `context` is what a successful [`Miniport::initialize`] registered, given up here.
    pub(crate) unsafe fn halt(context: NonNull<Self>, irql: &mut Passive<'_>) {
        // SAFETY: made with this tag in `initialize`, and taken back once.
        let mut miniport: PoolBox<Self> = unsafe { PoolBox::from_raw(context, TAG) };
        miniport.end(irql);
    }

    /// # Safety
    /// As for [`Miniport::initialize`]; `context` is this miniport, which stays where it is.
    #[inline(never)]
    unsafe fn begin(
        &mut self,
        handle: NDIS_HANDLE,
        context: *mut c_void,
        irql: &mut Passive<'_>,
    ) -> Result<(), InitError> {
        let version = entry::ndis_version();
        // SAFETY: the caller's promise.
        unsafe { attributes::register(handle, version, context) }.map_err(InitError::Ndis)?;
        // SAFETY: the caller's handle.
        let parts = unsafe { gather(handle, version, irql) }?;
        // SAFETY: the caller's handle, registered above.
        unsafe { attributes::describe(handle, version, &parts.identity, &oid::SUPPORTED) }
            .map_err(InitError::Ndis)?;
        // SAFETY: as above.
        unsafe { attributes::offload(handle, version, &parts.offload) }.map_err(InitError::Ndis)?;
        let adapter = self.adapter.insert(boxed(parts)?);
        let address = PoolBox::as_non_null(adapter);
        for index in 0..adapter.queues().len() {
            let home = adapter.home(index);
            // SAFETY: the adapter does not move, and `end` closes the DPC before it is dropped.
            let reference = unsafe { AdapterRef::new(address) };
            if let Some(queue) = adapter.queues_mut().get_mut(index) {
                let attached = queue.attach(reference, index, home);
                attached.map_err(|_| InitError::Resources)?;
            }
        }
        // SAFETY: as for the queues.
        let reference = || unsafe { AdapterRef::new(address) };
        let attached = adapter.targets_mut().attach(reference);
        attached.map_err(|_| InitError::Resources)?;
        // SAFETY: as for the queues.
        let control = Dpc::try_new(TAG, unsafe { AdapterRef::new(address) }, wake_for_control)?;
        adapter.set_control_dpc(control);
        let cookie = address.as_ptr().cast();
        // SAFETY: the callback expects an adapter; `end` ends the registration before it goes.
        let suspend = unsafe {
            adapter
                .bus()
                .suspend_register(callbacks::suspend, cookie, irql)
        };
        self.suspend = Some(suspend.map_err(|_| InitError::Resources)?);
        adapter.change_offloads(irql, |_| ());
        adapter.mail().connect(irql);
        // SAFETY: `end` waits for the thread before the adapter is dropped.
        let adapter = unsafe { AdapterRef::new(address) };
        let thread = Thread::spawn(TAG, adapter, connection::run, irql);
        self.thread = Some(thread.map_err(|_| InitError::Resources)?);
        Ok(())
    }

    /// Undoes [`Miniport::begin`], however far it got.
    fn end(&mut self, irql: &mut Passive<'_>) {
        let Some(mut adapter) = self.adapter.take() else {
            return;
        };
        if let Some(thread) = self.thread.take() {
            adapter.halt(irql);
            thread.join(irql);
        }
        if let Some(registration) = self.suspend.take() {
            // SAFETY: from `suspend_register`, given up here.
            unsafe { adapter.bus().suspend_unregister(registration, irql) };
        }
        for queue in adapter.queues_mut() {
            queue.detach(irql);
        }
        adapter.targets_mut().detach(irql);
        if let Some(dpc) = adapter.take_control_dpc() {
            dpc.close(irql);
        }
    }
}

/// The DPC of the control ring's channel: the thread does the work.
fn wake_for_control(adapter: &AdapterRef, irql: &Dispatch<'_>) -> More {
    adapter.get().mail().send(Messages::CONTROL, irql);
    More::No
}

/// The adapter, in its place. Not inlined: on the way there it takes much of a page of stack.
#[inline(never)]
fn boxed(parts: Parts) -> Result<PoolBox<Adapter>, OutOfMemory> {
    PoolBox::try_new(TAG, Adapter::new(parts))
}

/// Finds out all about the adapter.
///
/// # Safety
/// As for [`Miniport::initialize`].
#[inline(never)]
unsafe fn gather(
    handle: NDIS_HANDLE,
    version: NdisVersion,
    irql: &mut Passive<'_>,
) -> Result<Parts, InitError> {
    // SAFETY: the caller's handle.
    let bus = unsafe { Bus::query(handle, irql) }.map_err(InitError::Bus)?;
    // SAFETY: the caller's handle; used here only.
    let device = unsafe { bus::physical_device(handle) };
    let keywords = {
        // SAFETY: the caller's handle, at PASSIVE_LEVEL as the token proves.
        let configuration = unsafe { Configuration::open(handle, version) };
        let configuration = configuration.map_err(InitError::Ndis)?;
        Keywords::read(&configuration, device, irql)
    };
    let frontend = bus.frontend_path()?;
    let settings = connection::settings(&bus, &frontend, irql)?;
    let permanent = settings.mac.ok_or(InitError::NoAddress)?.bytes();
    let backend = connection::offered(&bus, &frontend, irql);
    let mtu_limits = MtuLimits {
        store: settings.mtu,
        scatter_gather: backend.has(Features::SG),
    };
    let mut identity = Identity {
        permanent,
        current: keywords.network_address().unwrap_or(permanent),
        mtu: keywords.mtu(mtu_limits),
        speed: settings.speed.unwrap_or(DEFAULT_SPEED),
        vlan: keywords.vlan(),
        rss_queues: 0,
        rss_udp: keywords.rss_udp(),
    };
    // SAFETY: the caller's handle; the adapter, and with it this, ends before the halt returns.
    let handle = unsafe { NdisHandle::new(handle) };
    let processors = processors::for_queues(handle)?;
    let queues = queues(
        handle,
        version,
        &keywords,
        &identity,
        processors.len(),
        irql,
    )?;
    // With one queue too: then frames are sorted here.
    if keywords.rss() && nt::processor::active_count() > 1 {
        identity.rss_queues = u32::try_from(queues.len()).unwrap_or(0);
    }
    Ok(Parts {
        offload: OffloadState::new(backend, keywords.offloads()),
        handle,
        version,
        bus,
        frontend,
        identity,
        keywords,
        processors,
        queues,
        targets: Targets::try_new().map_err(InitError::Ndis)?,
        mail: Mail::try_new()?,
        mtu_limits,
    })
}

/// Makes the queues: as many as there is memory for, at least one.
#[inline(never)]
fn queues(
    adapter: NdisHandle,
    version: NdisVersion,
    keywords: &Keywords,
    identity: &Identity,
    processors: usize,
    irql: &Passive<'_>,
) -> Result<Vec<Queue>, InitError> {
    let wanted = u16::try_from(keywords.queues().max(1)).unwrap_or(MAX_QUEUES);
    let useful = u16::try_from(processors.max(1)).unwrap_or(MAX_QUEUES);
    let count = wanted.min(useful).min(MAX_QUEUES);
    let mut queues = Vec::new();
    queues
        .try_reserve_exact(count.into())
        .map_err(|_| InitError::Resources)?;
    for index in 0..count {
        let spec = QueueSpec {
            adapter,
            version,
            index,
            pages: keywords.receive_buffers(),
            max_frame: identity.max_frame(),
            address: identity.current,
            vlan: identity.vlan,
        };
        match Queue::try_new(&spec, irql) {
            Ok(queue) => queues.push(queue),
            Err(status) if index == 0 => return Err(InitError::Ndis(status)),
            Err(status) => {
                nt::log_warn!("{index} queues instead of {count}: {status:?}");
                break;
            }
        }
    }
    Ok(queues)
}

/// Tells the event log of a failed initialisation.
///
/// # Safety
/// As for [`Miniport::initialize`].
unsafe fn fail(handle: NDIS_HANDLE, error: InitError) {
    nt::log_error!("the adapter cannot be initialised: {error:?}");
    // SAFETY: the caller's handle.
    unsafe { crate::error_log::write(handle, error.code()) };
}
