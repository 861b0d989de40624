//! Functions that `ndis.sys` exports. Each is named with the highest IRQL it may be called at.
//!
//! All of them are in Windows 10 1809 and later. NDIS Poll is not here: see [`crate::poll`].

use core::ffi::c_void;

use wdk_sys::{
    CM_RESOURCE_LIST, DEVICE_OBJECT, DRIVER_OBJECT, MDL, SCATTER_GATHER_LIST, UNICODE_STRING,
};

use crate::attributes::NDIS_MINIPORT_ADAPTER_ATTRIBUTES;
use crate::configuration::{
    NDIS_CONFIGURATION_OBJECT, NDIS_CONFIGURATION_PARAMETER, NDIS_PARAMETER_TYPE,
};
use crate::dma::NDIS_SG_DMA_DESCRIPTION;
use crate::miniport::{NDIS_DRIVER_OPTIONAL_HANDLERS, NDIS_MINIPORT_DRIVER_CHARACTERISTICS};
use crate::net_buffer::{
    NET_BUFFER, NET_BUFFER_ALLOCATE_MDL_HANDLER, NET_BUFFER_FREE_MDL_HANDLER, NET_BUFFER_LIST,
    NET_BUFFER_LIST_POOL_PARAMETERS, NET_BUFFER_POOL_PARAMETERS,
};
use crate::request::{NDIS_OID_REQUEST, NDIS_STATUS_INDICATION};
use crate::rss::NDIS_RSS_PROCESSOR_INFO;
use crate::timer::{NDIS_IO_WORKITEM_FUNCTION, NDIS_TIMER_CHARACTERISTICS};
use crate::types::{
    BOOLEAN, NDIS_ERROR_CODE, NDIS_HANDLE, NDIS_PORT_NUMBER, NDIS_STATUS, NDIS_STRING,
};

#[cfg_attr(target_os = "windows", link(name = "ndis"))]
unsafe extern "win64" {
    /// Registers a miniport driver. IRQL: `PASSIVE_LEVEL`. NDIS 6.0.
    pub fn NdisMRegisterMiniportDriver(
        DriverObject: *mut DRIVER_OBJECT,
        RegistryPath: *mut UNICODE_STRING,
        MiniportDriverContext: NDIS_HANDLE,
        MiniportDriverCharacteristics: *mut NDIS_MINIPORT_DRIVER_CHARACTERISTICS,
        NdisMiniportDriverHandle: *mut NDIS_HANDLE,
    ) -> NDIS_STATUS;
    /// Undoes the registration; returns after every adapter is halted. IRQL: `PASSIVE_LEVEL`.
    /// NDIS 6.0.
    pub fn NdisMDeregisterMiniportDriver(NdisMiniportDriverHandle: NDIS_HANDLE);
    /// Sets optional handlers, inside `SetOptionsHandler` only. IRQL: `PASSIVE_LEVEL`. NDIS 6.0.
    pub fn NdisSetOptionalHandlers(
        NdisHandle: NDIS_HANDLE,
        OptionalHandlers: *mut NDIS_DRIVER_OPTIONAL_HANDLERS,
    ) -> NDIS_STATUS;
    /// Sets one group of adapter attributes. IRQL: `PASSIVE_LEVEL`. NDIS 6.0.
    pub fn NdisMSetMiniportAttributes(
        NdisMiniportHandle: NDIS_HANDLE,
        MiniportAttributes: *mut NDIS_MINIPORT_ADAPTER_ATTRIBUTES,
    ) -> NDIS_STATUS;
    /// Gives the device objects of an adapter; each pointer may be null. IRQL: `PASSIVE_LEVEL`.
    /// NDIS 6.0.
    pub fn NdisMGetDeviceProperty(
        MiniportAdapterHandle: NDIS_HANDLE,
        PhysicalDeviceObject: *mut *mut DEVICE_OBJECT,
        FunctionalDeviceObject: *mut *mut DEVICE_OBJECT,
        NextDeviceObject: *mut *mut DEVICE_OBJECT,
        AllocatedResources: *mut *mut CM_RESOURCE_LIST,
        AllocatedResourcesTranslated: *mut *mut CM_RESOURCE_LIST,
    );
    /// Asks NDIS to remove an adapter that failed for good. IRQL: at most `DISPATCH_LEVEL`. NDIS
    /// 6.0.
    pub fn NdisMRemoveMiniport(MiniportHandle: NDIS_HANDLE) -> NDIS_STATUS;
    /// Version of the running NDIS (`NDIS_RUNTIME_VERSION_*`). IRQL: at most `DISPATCH_LEVEL`.
    /// NDIS 6.0.
    pub fn NdisGetVersion() -> u32;
    /// Address of an NDIS function that older systems lack; null if absent. IRQL:
    /// `PASSIVE_LEVEL`. NDIS 6.0.
    pub fn NdisGetRoutineAddress(NdisRoutineName: *mut UNICODE_STRING) -> *mut c_void;
    /// Opens the adapter's registry parameters. IRQL: `PASSIVE_LEVEL`. NDIS 6.0.
    pub fn NdisOpenConfigurationEx(
        ConfigObject: *mut NDIS_CONFIGURATION_OBJECT,
        ConfigurationHandle: *mut NDIS_HANDLE,
    ) -> NDIS_STATUS;
    /// Reads one parameter; its memory lives until the configuration is closed. IRQL:
    /// `PASSIVE_LEVEL`. NDIS 6.0.
    pub fn NdisReadConfiguration(
        Status: *mut NDIS_STATUS,
        ParameterValue: *mut *mut NDIS_CONFIGURATION_PARAMETER,
        ConfigurationHandle: NDIS_HANDLE,
        Keyword: *mut NDIS_STRING,
        ParameterType: NDIS_PARAMETER_TYPE,
    );
    /// Reads the `NetworkAddress` keyword; NDIS does not validate it. IRQL: `PASSIVE_LEVEL`. NDIS
    /// 6.0.
    pub fn NdisReadNetworkAddress(
        Status: *mut NDIS_STATUS,
        NetworkAddress: *mut *mut c_void,
        NetworkAddressLength: *mut u32,
        ConfigurationHandle: NDIS_HANDLE,
    );
    /// Writes one parameter. IRQL: `PASSIVE_LEVEL`. NDIS 6.0.
    pub fn NdisWriteConfiguration(
        Status: *mut NDIS_STATUS,
        ConfigurationHandle: NDIS_HANDLE,
        Keyword: *mut NDIS_STRING,
        ParameterValue: *mut NDIS_CONFIGURATION_PARAMETER,
    );
    /// Closes the configuration and frees what was read from it. IRQL: `PASSIVE_LEVEL`. NDIS 6.0.
    pub fn NdisCloseConfiguration(ConfigurationHandle: NDIS_HANDLE);
    /// Tells a status to the drivers above; never after `MiniportHaltEx`. IRQL: at most
    /// `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisMIndicateStatusEx(
        MiniportAdapterHandle: NDIS_HANDLE,
        StatusIndication: *mut NDIS_STATUS_INDICATION,
    );
    /// Completes a pended request. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisMOidRequestComplete(
        MiniportAdapterHandle: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
        Status: NDIS_STATUS,
    );
    /// Completes a pended direct request. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.1.
    pub fn NdisMDirectOidRequestComplete(
        MiniportAdapterHandle: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
        Status: NDIS_STATUS,
    );
    /// Completes a pended pause. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisMPauseComplete(MiniportAdapterHandle: NDIS_HANDLE);
    /// Completes a pended restart. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisMRestartComplete(MiniportAdapterHandle: NDIS_HANDLE, Status: NDIS_STATUS);
    /// Gives sent lists back; not under a lock. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisMSendNetBufferListsComplete(
        MiniportAdapterHandle: NDIS_HANDLE,
        NetBufferList: *mut NET_BUFFER_LIST,
        SendCompleteFlags: u32,
    );
    /// Hands received lists up; not under a lock. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisMIndicateReceiveNetBufferLists(
        MiniportAdapterHandle: NDIS_HANDLE,
        NetBufferList: *mut NET_BUFFER_LIST,
        PortNumber: NDIS_PORT_NUMBER,
        NumberOfNetBufferLists: u32,
        ReceiveFlags: u32,
    );
    /// Makes a pool of lists; null on failure. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisAllocateNetBufferListPool(
        NdisHandle: NDIS_HANDLE,
        Parameters: *const NET_BUFFER_LIST_POOL_PARAMETERS,
    ) -> NDIS_HANDLE;
    /// Frees an empty pool. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisFreeNetBufferListPool(PoolHandle: NDIS_HANDLE);
    /// Makes a pool of frames; null on failure. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisAllocateNetBufferPool(
        NdisHandle: NDIS_HANDLE,
        Parameters: *const NET_BUFFER_POOL_PARAMETERS,
    ) -> NDIS_HANDLE;
    /// Frees an empty pool. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisFreeNetBufferPool(PoolHandle: NDIS_HANDLE);
    /// Allocates a list; null on failure. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisAllocateNetBufferList(
        PoolHandle: NDIS_HANDLE,
        ContextSize: u16,
        ContextBackFill: u16,
    ) -> *mut NET_BUFFER_LIST;
    /// Allocates a list with one frame over an MDL chain; null on failure. IRQL: at most
    /// `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisAllocateNetBufferAndNetBufferList(
        PoolHandle: NDIS_HANDLE,
        ContextSize: u16,
        ContextBackFill: u16,
        MdlChain: *mut MDL,
        DataOffset: u32,
        DataLength: usize,
    ) -> *mut NET_BUFFER_LIST;
    /// Frees a list (and the frame that came with it). IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisFreeNetBufferList(NetBufferList: *mut NET_BUFFER_LIST);
    /// Allocates a frame over an MDL chain; null on failure. IRQL: at most `DISPATCH_LEVEL`. NDIS
    /// 6.0.
    pub fn NdisAllocateNetBuffer(
        PoolHandle: NDIS_HANDLE,
        MdlChain: *mut MDL,
        DataOffset: u32,
        DataLength: usize,
    ) -> *mut NET_BUFFER;
    /// Frees a frame. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisFreeNetBuffer(NetBuffer: *mut NET_BUFFER);
    /// Adds context space to a list. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisAllocateNetBufferListContext(
        NetBufferList: *mut NET_BUFFER_LIST,
        ContextSize: u16,
        ContextBackFill: u16,
        PoolTag: u32,
    ) -> NDIS_STATUS;
    /// Frees context space. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisFreeNetBufferListContext(NetBufferList: *mut NET_BUFFER_LIST, ContextSize: u16);
    /// Gives a contiguous view of a frame's start, copied into `Storage` if it must; null on
    /// failure. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisGetDataBuffer(
        NetBuffer: *mut NET_BUFFER,
        BytesNeeded: u32,
        Storage: *mut c_void,
        AlignMultiple: u32,
        AlignOffset: u32,
    ) -> *mut c_void;
    /// Moves the start of the frame forward. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisAdvanceNetBufferDataStart(
        NetBuffer: *mut NET_BUFFER,
        DataOffsetDelta: u32,
        FreeMdl: BOOLEAN,
        FreeMdlHandler: Option<NET_BUFFER_FREE_MDL_HANDLER>,
    );
    /// Moves the start of the frame backward. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisRetreatNetBufferDataStart(
        NetBuffer: *mut NET_BUFFER,
        DataOffsetDelta: u32,
        DataBackFill: u32,
        AllocateMdlHandler: Option<NET_BUFFER_ALLOCATE_MDL_HANDLER>,
    ) -> NDIS_STATUS;
    /// Makes an MDL for non-paged memory; null on failure. IRQL: at most `DISPATCH_LEVEL`. NDIS
    /// 6.0.
    pub fn NdisAllocateMdl(
        NdisHandle: NDIS_HANDLE,
        VirtualAddress: *mut c_void,
        Length: u32,
    ) -> *mut MDL;
    /// Frees an MDL of `NdisAllocateMdl`. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisFreeMdl(Mdl: *mut MDL);
    /// Allocates non-paged memory; the priority is an `EX_POOL_PRIORITY`; null on failure.
    /// IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisAllocateMemoryWithTagPriority(
        NdisHandle: NDIS_HANDLE,
        Length: u32,
        Tag: u32,
        Priority: i32,
    ) -> *mut c_void;
    /// Frees memory of the NDIS allocators; length and flags are 0 for tagged memory. IRQL: at
    /// most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisFreeMemory(VirtualAddress: *mut c_void, Length: u32, MemoryFlags: u32);
    /// Gives the processors RSS may use; too short a buffer sets the size needed. IRQL: at most
    /// `DISPATCH_LEVEL`. NDIS 6.20.
    pub fn NdisGetRssProcessorInformation(
        NdisHandle: NDIS_HANDLE,
        RssProcessorInfo: *mut NDIS_RSS_PROCESSOR_INFO,
        Size: *mut usize,
    ) -> NDIS_STATUS;
    /// Opens a DMA channel. IRQL: `PASSIVE_LEVEL`. NDIS 6.0.
    pub fn NdisMRegisterScatterGatherDma(
        MiniportAdapterHandle: NDIS_HANDLE,
        DmaDescription: *mut NDIS_SG_DMA_DESCRIPTION,
        NdisMiniportDmaHandle: *mut NDIS_HANDLE,
    ) -> NDIS_STATUS;
    /// Closes a DMA channel. IRQL: `PASSIVE_LEVEL`. NDIS 6.0.
    pub fn NdisMDeregisterScatterGatherDma(NdisMiniportDmaHandle: NDIS_HANDLE);
    /// Starts mapping a frame; the list may arrive before the call returns. IRQL:
    /// `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisMAllocateNetBufferSGList(
        NdisMiniportDmaHandle: NDIS_HANDLE,
        NetBuffer: *mut NET_BUFFER,
        Context: *mut c_void,
        Flags: u32,
        ScatterGatherListBuffer: *mut c_void,
        ScatterGatherListBufferSize: u32,
    ) -> NDIS_STATUS;
    /// Frees a scatter-gather list. IRQL: `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisMFreeNetBufferSGList(
        NdisMiniportDmaHandle: NDIS_HANDLE,
        pSGL: *mut SCATTER_GATHER_LIST,
        NetBuffer: *mut NET_BUFFER,
    );
    /// Makes a timer. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisAllocateTimerObject(
        NdisHandle: NDIS_HANDLE,
        TimerCharacteristics: *mut NDIS_TIMER_CHARACTERISTICS,
        TimerObject: *mut NDIS_HANDLE,
    ) -> NDIS_STATUS;
    /// Starts a timer; the due time is in 100 ns units, relative if negative; true if it was
    /// already set. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisSetTimerObject(
        TimerObject: NDIS_HANDLE,
        DueTime: i64,
        MillisecondsPeriod: i32,
        FunctionContext: *mut c_void,
    ) -> BOOLEAN;
    /// Stops a timer; true if it was set. IRQL: at most `DISPATCH_LEVEL`; `PASSIVE_LEVEL` if
    /// periodic. NDIS 6.0.
    pub fn NdisCancelTimerObject(TimerObject: NDIS_HANDLE) -> BOOLEAN;
    /// Frees a stopped timer. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisFreeTimerObject(TimerObject: NDIS_HANDLE);
    /// Makes a work item; null on failure. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisAllocateIoWorkItem(NdisObjectHandle: NDIS_HANDLE) -> NDIS_HANDLE;
    /// Queues a work item that is not queued. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisQueueIoWorkItem(
        NdisIoWorkItemHandle: NDIS_HANDLE,
        Routine: NDIS_IO_WORKITEM_FUNCTION,
        WorkItemContext: *mut c_void,
    );
    /// Frees a work item that is not queued. IRQL: at most `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisFreeIoWorkItem(NdisIoWorkItemHandle: NDIS_HANDLE);
    /// Sleeps. IRQL: below `DISPATCH_LEVEL`. NDIS 6.0.
    pub fn NdisMSleep(MicrosecondsToSleep: u32);
    /// Writes an event-log entry; the values follow as 32-bit numbers. IRQL: at most `DISPATCH_LEVEL`.
    /// NDIS 6.0.
    pub fn NdisWriteErrorLogEntry(
        NdisAdapterHandle: NDIS_HANDLE,
        ErrorCode: NDIS_ERROR_CODE,
        NumberOfErrorValues: u32,
        ...
    );
}
