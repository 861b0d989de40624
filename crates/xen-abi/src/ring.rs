//! The shared ring page: four indices, private bytes, then slots.
//!
//! Indices run freely and wrap at 2^32; slot = index mod entries. The frontend starts with both producers 0, both events 1, the rest 0.
//!
//! From Xen's public headers: `xen/io/ring.h`.

use core::sync::atomic::AtomicU32;

/// A ring page as shared memory: 1024 words that the peer may change at any time.
pub type RingPage = [AtomicU32; 1024];

/// Bytes of a ring page, whatever the guest's page size.
pub const PAGE_SIZE: usize = 4096;
/// Byte offset: requests produced; written by the frontend.
pub const REQ_PROD: usize = 0;
/// Byte offset: the backend wants a notification when `req_prod` passes this.
pub const REQ_EVENT: usize = 4;
/// Byte offset: responses produced; written by the backend.
pub const RSP_PROD: usize = 8;
/// Byte offset: the frontend wants a notification when `rsp_prod` passes this.
pub const RSP_EVENT: usize = 12;
/// Byte offset of the first slot.
pub const SLOTS: usize = 64;
/// Slots of a netif TX ring.
pub const TX_ENTRIES: usize = 256;
/// Slots of a netif RX ring.
pub const RX_ENTRIES: usize = 256;
/// Slots of a netif control ring.
pub const CTRL_ENTRIES: usize = 128;
/// Bytes of a TX slot.
pub const TX_SLOT_SIZE: usize = 12;
/// Bytes of an RX slot.
pub const RX_SLOT_SIZE: usize = 8;
/// Bytes of a control slot.
pub const CTRL_SLOT_SIZE: usize = 16;
