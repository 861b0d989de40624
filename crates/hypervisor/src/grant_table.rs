//! Grant table operations (`xen/grant_table.h`).
#![allow(unsafe_code, reason = "each operation vouches for its argument")]
use xen_abi::domid::DomId;
use xen_abi::grant_table as abi;
use xen_abi::grant_table::GrantStatus;
use xen_abi::hypercall::GRANT_TABLE_OP;

use crate::call::{Call, Hypervisor};
use crate::error::HypercallError;

/// Why a grant operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantError {
    /// Xen refused the call.
    Hypercall(HypercallError),
    /// Xen took the call, and the operation ended with this status.
    Status(GrantStatus),
}

impl From<HypercallError> for GrantError {
    fn from(error: HypercallError) -> Self {
        Self::Hypercall(error)
    }
}

/// Frames of the grant table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSize {
    /// In use.
    pub frames: u32,
    /// Largest number.
    pub max_frames: u32,
}

impl<C: Call> Hypervisor<C> {
    /// Current and largest size of our grant table.
    pub fn query_table_size(&self) -> Result<TableSize, GrantError> {
        let mut arg = abi::QuerySize {
            dom: DomId::SELF,
            ..abi::QuerySize::default()
        };
        // SAFETY: the argument of this command; it holds no address.
        unsafe { self.grant_op(abi::GNTTABOP_QUERY_SIZE, core::slice::from_mut(&mut arg)) }?;
        done(arg.status)?;
        Ok(TableSize {
            frames: arg.nr_frames,
            max_frames: arg.max_nr_frames,
        })
    }

    /// The version of our grant table's entries, 1 or 2.
    pub fn table_version(&self) -> Result<u32, GrantError> {
        let mut arg = abi::GetVersion {
            dom: DomId::SELF,
            ..abi::GetVersion::default()
        };
        // SAFETY: the argument of this command; it holds no address.
        unsafe { self.grant_op(abi::GNTTABOP_GET_VERSION, core::slice::from_mut(&mut arg)) }?;
        Ok(arg.version)
    }

    /// Changes the version of our grant table's entries; returns the version in effect.
    ///
    /// # Safety
    /// No grant is active, and no entry is read or written in the old form from here on.
    pub unsafe fn set_table_version(&self, version: u32) -> Result<u32, GrantError> {
        let mut arg = abi::SetVersion { version };
        // SAFETY: the argument of this command; it holds no address.
        unsafe { self.grant_op(abi::GNTTABOP_SET_VERSION, core::slice::from_mut(&mut arg)) }?;
        Ok(arg.version)
    }

    /// Makes our grant table at least `frames.len()` frames long and lists their numbers.
    pub fn setup_table(&self, frames: &mut [u64]) -> Result<(), GrantError> {
        let Ok(nr_frames) = u32::try_from(frames.len()) else {
            return Err(HypercallError::Invalid.into());
        };
        let frame_list = frames.as_mut_ptr().expose_provenance() as u64;
        let mut arg = abi::SetupTable {
            dom: DomId::SELF,
            nr_frames,
            frame_list,
            ..Default::default()
        };
        // SAFETY: Xen writes `nr_frames` numbers to the slice, which is borrowed for the call.
        unsafe { self.grant_op(abi::GNTTABOP_SETUP_TABLE, core::slice::from_mut(&mut arg)) }?;
        done(arg.status)
    }

    /// Maps pages of other domains; each operation has its own status.
    ///
    /// # Safety
    /// Each `host_addr` is a guest physical page that nobody uses while it is mapped.
    pub unsafe fn map_grants(&self, ops: &mut [abi::MapGrantRef]) -> Result<(), HypercallError> {
        // SAFETY: the arguments of this command; the pages are the caller's promise.
        unsafe { self.grant_op(abi::GNTTABOP_MAP_GRANT_REF, ops) }
    }

    /// Undoes mappings; each operation has its own status.
    ///
    /// # Safety
    /// Nobody uses the mappings any more.
    pub unsafe fn unmap_grants(
        &self,
        ops: &mut [abi::UnmapGrantRef],
    ) -> Result<(), HypercallError> {
        // SAFETY: the arguments of this command; the pages are the caller's promise.
        unsafe { self.grant_op(abi::GNTTABOP_UNMAP_GRANT_REF, ops) }
    }

    /// Has Xen copy between pages; each operation has its own status.
    ///
    /// # Safety
    /// Destinations in our own memory are ours to write, sources ours to read.
    pub unsafe fn copy_grants(&self, ops: &mut [abi::GrantCopy]) -> Result<(), HypercallError> {
        // SAFETY: the arguments of this command; the pages are the caller's promise.
        unsafe { self.grant_op(abi::GNTTABOP_COPY, ops) }
    }

    /// # Safety
    /// `T` is the argument `command` defines, and its addresses satisfy [`Call::call`].
    unsafe fn grant_op<T>(&self, command: u32, ops: &mut [T]) -> Result<(), HypercallError> {
        let Ok(count) = u32::try_from(ops.len()) else {
            return Err(HypercallError::Invalid);
        };
        let address = ops.as_mut_ptr().expose_provenance() as u64;
        let args = [u64::from(command), address, u64::from(count), 0, 0];
        // SAFETY: the address is of `count` live `T`; the rest is the caller's promise.
        unsafe { self.raw(GRANT_TABLE_OP, args) }.map(drop)
    }
}

fn done(status: GrantStatus) -> Result<(), GrantError> {
    if status == GrantStatus::OKAY {
        Ok(())
    } else {
        Err(GrantError::Status(status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::tests::Expect;

    #[test]
    fn the_size_is_read_for_ourselves() {
        let xen = Expect::new(20, 6, |arg: &mut abi::QuerySize, args| {
            assert_eq!((arg.dom, args[2]), (DomId(0x7FF0), 1));
            (arg.nr_frames, arg.max_nr_frames) = (4, 64);
            0
        });
        let size = Hypervisor::with(&xen).query_table_size();
        assert_eq!(
            size,
            Ok(TableSize {
                frames: 4,
                max_frames: 64
            })
        );
    }

    #[test]
    fn a_status_is_an_error_though_the_call_succeeds() {
        let xen = Expect::new(20, 2, |arg: &mut abi::SetupTable, _| {
            assert_eq!(arg.nr_frames, 3);
            arg.status = GrantStatus::GENERAL_ERROR;
            0
        });
        let answer = Hypervisor::with(&xen).setup_table(&mut [0; 3]);
        assert_eq!(answer, Err(GrantError::Status(GrantStatus(-1))));
    }
}
