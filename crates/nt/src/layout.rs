//! The layouts this crate relies on, whatever headers the bindings came from. The numbers are those
//! of `tests/data/facts/nt-layout.csv`.

use core::mem::offset_of;

use wdk_sys::{
    DEVICE_OBJECT, GROUP_AFFINITY, IO_CONNECT_INTERRUPT_PARAMETERS, IO_STACK_LOCATION,
    IO_STATUS_BLOCK, IRP, KDPC, KEVENT, KEY_VALUE_PARTIAL_INFORMATION, KTIMER, MDL,
    OBJECT_ATTRIBUTES, PROCESSOR_NUMBER, UNICODE_STRING,
};

macro_rules! size {
    ($($ty:ident: $size:literal;)+) => {
        $(const _: () = assert!(size_of::<$ty>() == $size, concat!("size of ", stringify!($ty)));)+
    };
}

macro_rules! offset {
    ($($ty:ident, $($field:ident).+: $offset:literal;)+) => {
        $(const _: () = assert!(
            offset_of!($ty, $($field).+) == $offset,
            concat!("offset in ", stringify!($ty))
        );)+
    };
}

size! {
    GROUP_AFFINITY: 16;
    IO_CONNECT_INTERRUPT_PARAMETERS: 80;
    IO_STACK_LOCATION: 72;
    IO_STATUS_BLOCK: 16;
    IRP: 208;
    KDPC: 64;
    KEVENT: 24;
    KEY_VALUE_PARTIAL_INFORMATION: 16;
    KTIMER: 64;
    MDL: 48;
    OBJECT_ATTRIBUTES: 48;
    PROCESSOR_NUMBER: 4;
    UNICODE_STRING: 16;
}

offset! {
    DEVICE_OBJECT, Flags: 48;
    DEVICE_OBJECT, DeviceExtension: 64;
    DEVICE_OBJECT, StackSize: 76;
    IO_CONNECT_INTERRUPT_PARAMETERS, __bindgen_anon_1.FullySpecified: 8;
    IO_CONNECT_INTERRUPT_PARAMETERS, __bindgen_anon_1.LineBased: 8;
    IO_CONNECT_INTERRUPT_PARAMETERS, __bindgen_anon_1.MessageBased: 8;
    IO_STACK_LOCATION, Control: 3;
    IO_STACK_LOCATION, Parameters: 8;
    IO_STACK_LOCATION, Parameters.QueryInterface.InterfaceType: 8;
    IO_STACK_LOCATION, Parameters.QueryInterface.Size: 16;
    IO_STACK_LOCATION, Parameters.QueryInterface.Version: 18;
    IO_STACK_LOCATION, Parameters.QueryInterface.Interface: 24;
    IO_STACK_LOCATION, Parameters.QueryInterface.InterfaceSpecificData: 32;
    IO_STACK_LOCATION, DeviceObject: 40;
    IO_STACK_LOCATION, CompletionRoutine: 56;
    IO_STACK_LOCATION, Context: 64;
    IRP, IoStatus: 48;
    IRP, PendingReturned: 65;
    IRP, StackCount: 66;
    IRP, CurrentLocation: 67;
    IRP, Tail.Overlay.__bindgen_anon_2.__bindgen_anon_1.CurrentStackLocation: 184;
    KEY_VALUE_PARTIAL_INFORMATION, Type: 4;
    KEY_VALUE_PARTIAL_INFORMATION, DataLength: 8;
    KEY_VALUE_PARTIAL_INFORMATION, Data: 12;
    MDL, MdlFlags: 10;
    MDL, MappedSystemVa: 24;
    MDL, ByteCount: 40;
    MDL, ByteOffset: 44;
    UNICODE_STRING, Buffer: 8;
}
