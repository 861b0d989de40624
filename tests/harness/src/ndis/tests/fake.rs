//! A miniport that loops frames back, and can be told to make a mistake.
#![allow(
    unsafe_code,
    reason = "plays a driver: raw pointers from NDIS, structures of plain data"
)]

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use ndis_sys::{
    self as sys, NDIS_CONFIGURATION_OBJECT, NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES as General,
    NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES as Registration,
    NDIS_MINIPORT_DRIVER_CHARACTERISTICS as Characteristics, NDIS_OBJECT_HEADER,
    NDIS_PM_CAPABILITIES, NET_BUFFER as Buffer, NET_BUFFER_LIST as List,
    NET_BUFFER_LIST_POOL_PARAMETERS,
};
use spin::Mutex;
use wdk_sys::{DRIVER_OBJECT, UNICODE_STRING};

use super::mistakes::Mistake;
use crate::field;
use crate::host::call::call_win64;
use crate::host::context::kernel;
use crate::host::memory::{Access, PAGE};
use crate::image::Image;
use crate::io::driver_object::{self, Driver};
use crate::mem::space::Frames;
use crate::ndis::{list, mdl};

const TAG: u32 = u32::from_le_bytes(*b"Fake");
const LISTS: usize = 8;
const ROOM: usize = 2048;
/// Address of the adapter, locally administered.
pub(super) const ADDRESS: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// Calls an export of ndis.sys.
pub(super) fn ndis(name: &'static str, arguments: &[usize]) -> usize {
    let mut all = [0; 8];
    for (to, from) in all.iter_mut().zip(arguments) {
        *to = *from;
    }
    call_win64(
        crate::export::resolve("ndis.sys", name).expect("exported"),
        all,
    )
}

fn status(value: usize) -> i32 {
    crate::low_status(value)
}

/// A structure of integers and pointers, all zero, with its header.
pub(super) fn structure<T: Copy>(kind: u8, revision: u8, size: usize) -> T {
    // SAFETY: used for C structures of integers, pointers and optional functions only.
    let mut value: T = unsafe { core::mem::zeroed() };
    let size = u16::try_from(size).expect("small");
    let header = NDIS_OBJECT_HEADER {
        Type: kind,
        Revision: revision,
        Size: size,
    };
    // SAFETY: every such structure begins with the header.
    unsafe { (&raw mut value).cast::<NDIS_OBJECT_HEADER>().write(header) };
    value
}

/// The driver and its one adapter.
#[derive(Debug)]
pub(super) struct Fake {
    pub(super) mistake: Mistake,
    pub(super) minor: u8,
    driver: AtomicUsize,
    pub(super) adapter: AtomicUsize,
    pool: AtomicUsize,
    pub(super) running: AtomicBool,
    /// `MiniportHaltEx` indicates a status.
    pub(super) halting: AtomicBool,
    pausing: AtomicBool,
    pub(super) filter: AtomicU32,
    free: Mutex<Vec<usize>>,
    blocks: Mutex<BTreeMap<usize, (usize, usize)>>,
    out: AtomicUsize,
    pub(super) timer: AtomicUsize,
    pub(super) item: AtomicUsize,
    pub(super) pended: AtomicUsize,
    pub(super) kept: Mutex<Vec<usize>>,
    pub(super) lock: Mutex<usize>,
    pub(super) notes: Mutex<Vec<String>>,
}

static DRIVERS: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

/// The fake whose address a handler was given.
pub(super) fn of(context: usize) -> &'static Fake {
    // SAFETY: contexts are the addresses of leaked fakes.
    unsafe { &*(context as *const Fake) }
}

impl Fake {
    pub(super) fn new(mistake: Mistake, minor: u8) -> &'static Self {
        Box::leak(Box::new(Self {
            mistake,
            minor,
            driver: AtomicUsize::new(0),
            adapter: AtomicUsize::new(0),
            pool: AtomicUsize::new(0),
            running: AtomicBool::new(false),
            halting: AtomicBool::new(false),
            pausing: AtomicBool::new(false),
            filter: AtomicU32::new(0),
            free: Mutex::default(),
            blocks: Mutex::default(),
            out: AtomicUsize::new(0),
            timer: AtomicUsize::new(0),
            item: AtomicUsize::new(0),
            pended: AtomicUsize::new(0),
            kept: Mutex::default(),
            lock: Mutex::new(0),
            notes: Mutex::default(),
        }))
    }

    pub(super) fn handle(&self) -> usize {
        self.adapter.load(Ordering::Acquire)
    }

    fn address(&'static self) -> usize {
        core::ptr::from_ref(self) as usize
    }

    pub(super) fn does(&self, mistake: Mistake) -> bool {
        self.mistake == mistake
    }

    /// Makes a driver object whose code jumps to the functions here. On a system thread.
    pub(super) fn load(&'static self) -> Driver {
        let targets: [usize; 16] = [
            driver_entry as *const () as usize,
            initialize as *const () as usize,
            halt as *const () as usize,
            unload as *const () as usize,
            pause as *const () as usize,
            restart as *const () as usize,
            super::script::oid_request as *const () as usize,
            send as *const () as usize,
            return_lists as *const () as usize,
            nothing as *const () as usize,
            nothing as *const () as usize,
            nothing as *const () as usize,
            super::script::cancel_oid as *const () as usize,
            super::script::timer as *const () as usize,
            super::script::work as *const () as usize,
            nothing as *const () as usize,
        ];
        let kernel = kernel();
        let page = kernel
            .space
            .allocate(1, Frames::Contiguous, Access::ReadExecute, 0xCC)
            .expect("memory");
        for (index, target) in targets.into_iter().enumerate() {
            // mov rax, target / jmp rax
            let mut code = vec![0x48, 0xB8];
            code.extend_from_slice(&target.to_le_bytes());
            code.extend_from_slice(&[0xFF, 0xE0]);
            kernel
                .space
                .write(page + index * 16, &code)
                .expect("mapped");
        }
        let image = Arc::new(Image {
            name: "fake.sys".into(),
            base: page,
            size: PAGE,
            entry: page,
            targets: None,
            sites: BTreeMap::new(),
            functions: Vec::new(),
        });
        kernel.images.lock().insert(page, Arc::clone(&image));
        let driver = driver_object::create(image, "fake");
        DRIVERS.lock().insert(driver.object, self.address());
        self.driver.store(page, Ordering::Release);
        driver
    }

    /// Address of trampoline `index` of [`Fake::load`].
    pub(super) fn code(&self, index: usize) -> usize {
        self.driver.load(Ordering::Acquire) + index * 16
    }
}

extern "win64" fn nothing(_a: usize, _b: usize) {}

extern "win64" fn driver_entry(object: *mut DRIVER_OBJECT, path: *mut UNICODE_STRING) -> i32 {
    let context = DRIVERS
        .lock()
        .get(&(object as usize))
        .copied()
        .expect("loaded");
    let fake = of(context);
    let (revision, size) = if fake.does(Mistake::OldCharacteristics) {
        (2, 152)
    } else {
        (3, 160)
    };
    let mut c: Characteristics = structure(
        sys::NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS,
        revision,
        size,
    );
    c.MajorNdisVersion = 6;
    c.MinorNdisVersion = fake.minor;
    c.Flags = sys::NDIS_WDM_DRIVER;
    let first = &raw mut c.SetOptionsHandler as usize;
    let put = |place: usize, code: usize| {
        crate::Guest::<usize>::new(first).index(place).store(code);
    };
    // Trampolines 1 to 9 are the handlers from InitializeEx to CancelSend.
    for place in 1..=9 {
        put(place, fake.code(place));
    }
    put(12, fake.code(10));
    put(13, fake.code(11));
    if !fake.does(Mistake::HandlerMissing) {
        put(14, fake.code(12));
    }
    let mut handle = 0_usize;
    let arguments = [
        object as usize,
        path as usize,
        context,
        &raw mut c as usize,
        &raw mut handle as usize,
    ];
    let result = status(ndis("NdisMRegisterMiniportDriver", &arguments));
    fake.lock_handle(handle);
    if fake.does(Mistake::DispatchReplaced) {
        field!(object, DRIVER_OBJECT, MajorFunction)
            .cast::<usize>()
            .index(3)
            .store(fake.code(9));
    }
    if fake.does(Mistake::OptionsOutside) {
        let mut header = NDIS_OBJECT_HEADER {
            Type: 0x92,
            Revision: 1,
            Size: 44,
        };
        ndis(
            "NdisSetOptionalHandlers",
            &[handle, &raw mut header as usize],
        );
    }
    result
}

impl Fake {
    fn lock_handle(&self, handle: usize) {
        *self.lock.lock() = handle;
    }
}

extern "win64" fn unload(object: usize) {
    let context = DRIVERS.lock().remove(&object).expect("loaded");
    let fake = of(context);
    if !fake.does(Mistake::NotDeregistered) {
        let handle = *fake.lock.lock();
        ndis("NdisMDeregisterMiniportDriver", &[handle]);
    }
}

fn set_registration(fake: &'static Fake, adapter: usize) -> i32 {
    let mut r: Registration = structure(
        sys::NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
        2,
        28,
    );
    r.MiniportAdapterContext = fake.address() as *mut _;
    r.AttributeFlags = sys::NDIS_MINIPORT_ATTRIBUTES_NDIS_WDM
        | sys::NDIS_MINIPORT_ATTRIBUTES_SURPRISE_REMOVE_OK
        | sys::NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND;
    status(ndis(
        "NdisMSetMiniportAttributes",
        &[adapter, &raw mut r as usize],
    ))
}

fn set_general(fake: &'static Fake, adapter: usize) -> i32 {
    let sound = crate::ndis::attribute_rules::sound();
    let mut power: NDIS_PM_CAPABILITIES = structure(sys::NDIS_OBJECT_TYPE_DEFAULT, 2, 60);
    let mut oids = [
        sys::OID_GEN_CURRENT_PACKET_FILTER,
        sys::OID_GEN_VENDOR_ID,
        sys::OID_GEN_XMIT_OK,
    ];
    let mut g: General = structure(
        sys::NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
        2,
        224,
    );
    g.MediaType = sound.media;
    g.PhysicalMediumType = sound.physical_medium;
    g.MtuSize = if fake.does(Mistake::MtuZero) {
        0
    } else {
        sound.mtu
    };
    [g.MaxXmitLinkSpeed, g.MaxRcvLinkSpeed] = sound.max_speeds;
    [g.XmitLinkSpeed, g.RcvLinkSpeed] = sound.max_speeds;
    g.MediaConnectState = sys::MediaConnectStateConnected;
    g.LookaheadSize = sound.lookahead;
    g.MacOptions = sound.mac_options;
    g.SupportedPacketFilters = sound.filters;
    g.MaxMulticastListSize = sound.multicast_size;
    g.MacAddressLength = 6;
    g.PermanentMacAddress[..6].copy_from_slice(&ADDRESS);
    g.CurrentMacAddress[..6].copy_from_slice(&ADDRESS);
    [g.AccessType, g.DirectionType, g.ConnectionType] = sound.types;
    g.IfType = 6;
    g.SupportedStatistics = sound.statistics;
    g.SupportedOidList = oids.as_mut_ptr();
    g.SupportedOidListLength = 12;
    g.PowerManagementCapabilitiesEx = &raw mut power;
    status(ndis(
        "NdisMSetMiniportAttributes",
        &[adapter, &raw mut g as usize],
    ))
}

fn read_configuration(fake: &Fake, adapter: usize) {
    let mut object: NDIS_CONFIGURATION_OBJECT = structure(0xA9, 1, 20);
    object.NdisHandle = adapter as *mut _;
    let mut handle = 0_usize;
    ndis(
        "NdisOpenConfigurationEx",
        &[&raw mut object as usize, &raw mut handle as usize],
    );
    let mut name: Vec<u16> = Vec::new();
    name.extend("*JumboPacket".encode_utf16());
    let text = kernel().pool.allocate_own(64);
    let bytes: Vec<u8> = name.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    crate::mem::guest::write_bytes(text, &bytes);
    let len = u16::try_from(bytes.len()).expect("short");
    let mut keyword = UNICODE_STRING {
        Length: len,
        MaximumLength: len,
        Buffer: text as *mut u16,
    };
    let (mut result, mut value) = (0_i32, 0_usize);
    let kind = usize::try_from(sys::NdisParameterInteger).expect("small");
    let arguments = [
        &raw mut result as usize,
        &raw mut value as usize,
        handle,
        &raw mut keyword as usize,
        kind,
    ];
    ndis("NdisReadConfiguration", &arguments);
    if result == 0 {
        let number = crate::Guest::<u32>::new(value + 8).load();
        fake.notes.lock().push(format!("*JumboPacket {number}"));
    }
    kernel().pool.free(text, None);
    if !fake.does(Mistake::ConfigurationOpen) {
        ndis("NdisCloseConfiguration", &[handle]);
    }
}

extern "win64" fn initialize(adapter: usize, driver: usize, _parameters: usize) -> i32 {
    let fake = of(driver);
    fake.adapter.store(adapter, Ordering::Release);
    if fake.does(Mistake::GeneralFirst) {
        set_general(fake, adapter);
    }
    let done = [set_registration(fake, adapter), set_general(fake, adapter)];
    if let Some(failed) = done.into_iter().find(|status| *status != 0) {
        return failed;
    }
    read_configuration(fake, adapter);
    make_lists(fake, adapter);
    super::script::make_timer(fake);
    fake.item.store(
        ndis("NdisAllocateIoWorkItem", &[adapter]),
        Ordering::Release,
    );
    super::script::after_initialize(fake);
    0
}

fn make_lists(fake: &Fake, adapter: usize) {
    let mut parameters: NET_BUFFER_LIST_POOL_PARAMETERS = structure(0x80, 1, 16);
    parameters.fAllocateNetBuffer = 1;
    parameters.PoolTag = TAG;
    let pool = ndis(
        "NdisAllocateNetBufferListPool",
        &[adapter, &raw mut parameters as usize],
    );
    fake.pool.store(pool, Ordering::Release);
    for _ in 0..LISTS {
        let data = ndis(
            "NdisAllocateMemoryWithTagPriority",
            &[adapter, ROOM, TAG as usize, 0],
        );
        let mdl = ndis("NdisAllocateMdl", &[adapter, data, ROOM]);
        let list = ndis(
            "NdisAllocateNetBufferAndNetBufferList",
            &[pool, 0, 0, mdl, 0, 0],
        );
        field!(list as *mut List, List, SourceHandle)
            .cast::<usize>()
            .store(adapter);
        fake.blocks.lock().insert(list, (data, mdl));
        fake.free.lock().push(list);
    }
}

extern "win64" fn halt(context: usize, _action: i32) {
    let fake = of(context);
    // Nothing is wrong with an indication before the handler returns.
    fake.halting.store(true, Ordering::Release);
    super::script::tell_link(fake, ndis_sys::MediaConnectStateDisconnected);
    fake.halting.store(false, Ordering::Release);
    let blocks = core::mem::take(&mut *fake.blocks.lock());
    if fake.does(Mistake::PoolFirst) {
        ndis(
            "NdisFreeNetBufferListPool",
            &[fake.pool.load(Ordering::Acquire)],
        );
    }
    for (index, (list, (data, mdl))) in blocks.into_iter().enumerate() {
        ndis("NdisFreeNetBufferList", &[list]);
        if !(fake.does(Mistake::MdlLeaked) && index == 0) {
            ndis("NdisFreeMdl", &[mdl]);
        }
        ndis("NdisFreeMemory", &[data, 0, 0]);
    }
    fake.free.lock().clear();
    if !fake.does(Mistake::PoolFirst) {
        ndis(
            "NdisFreeNetBufferListPool",
            &[fake.pool.load(Ordering::Acquire)],
        );
    }
    super::script::free_timer(fake);
    ndis("NdisFreeIoWorkItem", &[fake.item.load(Ordering::Acquire)]);
}

extern "win64" fn restart(context: usize, _parameters: usize) -> i32 {
    let fake = of(context);
    fake.running.store(true, Ordering::Release);
    0
}

extern "win64" fn pause(context: usize, _parameters: usize) -> i32 {
    let fake = of(context);
    fake.running.store(false, Ordering::Release);
    if let Some(status) = super::script::pause(fake) {
        return status;
    }
    fake.pausing.store(true, Ordering::Release);
    if fake.out.load(Ordering::Acquire) == 0 && fake.pausing.swap(false, Ordering::AcqRel) {
        return 0;
    }
    sys::NDIS_STATUS_PENDING
}

/// Takes a free list and fills it with a frame; `None` if there is none.
pub(super) fn fill(fake: &Fake, frame: &[u8]) -> Option<usize> {
    let at = fake.free.lock().pop()?;
    let (data, _) = *fake.blocks.lock().get(&at)?;
    crate::mem::guest::write_bytes(data, &frame[..frame.len().min(ROOM)]);
    let raw = at as *mut List;
    field!(raw, List, Next).store(core::ptr::null_mut());
    field!(raw, List, Status).store(0);
    let buffer = field!(raw, List, FirstNetBuffer).load();
    field!(buffer, Buffer, stDataLength).store(frame.len());
    if !fake.does(Mistake::OobLeft) {
        for slot in 0..27 {
            list::slot_of(at, slot).store(0);
        }
    }
    Some(at)
}

/// Indicates one filled list.
pub(super) fn indicate(fake: &Fake, at: usize, count: usize, flags: u32) {
    if flags & sys::NDIS_RECEIVE_FLAGS_RESOURCES == 0 {
        fake.out.fetch_add(1, Ordering::AcqRel);
    }
    ndis(
        "NdisMIndicateReceiveNetBufferLists",
        &[fake.handle(), at, 0, count, flags as usize],
    );
    if flags & sys::NDIS_RECEIVE_FLAGS_RESOURCES != 0 {
        fake.free.lock().push(at);
    }
}

extern "win64" fn return_lists(context: usize, first: usize, _flags: u32) {
    let fake = of(context);
    let mut at = first;
    while at != 0 {
        let next = field!(at as *mut List, List, Next).load() as usize;
        fake.free.lock().push(at);
        fake.leave();
        at = next;
    }
}

impl Fake {
    /// One thing less that a pause must wait for.
    fn leave(&self) {
        let left = self.out.fetch_sub(1, Ordering::AcqRel) - 1;
        if left == 0 && self.pausing.swap(false, Ordering::AcqRel) {
            ndis("NdisMPauseComplete", &[self.handle()]);
        }
    }
}

/// Bytes of a `NET_BUFFER`'s frame.
fn frame_of(buffer: *mut Buffer) -> Vec<u8> {
    let current = field!(buffer, Buffer, CurrentMdl).load() as usize;
    let offset = field!(buffer, Buffer, CurrentMdlOffset).load() as usize;
    let len = field!(buffer, Buffer, stDataLength).cast::<u32>().load() as usize;
    mdl::read_chain(current, offset, len).expect("NDIS sends whole frames")
}

extern "win64" fn send(context: usize, first: usize, _port: u32, flags: u32) {
    let fake = of(context);
    let dispatch = flags & sys::NDIS_SEND_FLAGS_DISPATCH_LEVEL;
    fake.out.fetch_add(1, Ordering::AcqRel);
    let mut frames = Vec::new();
    let mut at = first;
    while at != 0 {
        let raw = at as *mut List;
        let running = fake.running.load(Ordering::Acquire);
        let mut buffer = field!(raw, List, FirstNetBuffer).load();
        while !buffer.is_null() {
            frames.push(frame_of(buffer));
            buffer = field!(buffer, Buffer, Next).load();
        }
        if list::slot_of(at, 2).load() & (1 << 30) != 0 && !fake.does(Mistake::LsoKept) {
            list::slot_of(at, 2).store(1 << 30);
        }
        let result = if running {
            sys::NDIS_STATUS_SUCCESS
        } else {
            sys::NDIS_STATUS_PAUSED
        };
        if !fake.does(Mistake::StatusUnset) {
            field!(raw, List, Status).store(result);
        }
        at = field!(raw, List, Next).load() as usize;
    }
    super::script::complete_sends(fake, first, dispatch);
    if fake.running.load(Ordering::Acquire) && fake.filter.load(Ordering::Acquire) != 0 {
        for frame in frames {
            super::script::echo(fake, &frame, dispatch);
        }
    }
    fake.leave();
}
