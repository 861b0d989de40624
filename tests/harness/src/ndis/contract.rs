//! The rules that `ndis.sys` enforces on miniports. Numbers of the form `0x9....` are the codes that Driver
//! Verifier's NDIS/WIFI verification stops with.

use crate::rules::Rule;

macro_rules! contract {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $cite:literal;)+) => {
        $($(#[$doc])* pub static $name: Rule = Rule { id: $id, cite: $cite };)+

        /// Every rule of this file.
        pub static ALL: &[&Rule] = &[$(&$name),+];
    };
}

contract! {
    /// A handle that NDIS did not give out, or not for this.
    HANDLE = "ndis-handle", "ndis-contract 9.2; the function's page, handle parameter";
    /// Type, revision or size in an `NDIS_OBJECT_HEADER` is wrong for the registered version.
    HEADER = "ndis-header", "ndis-contract 1.3, 9.4; version-information-requirements-for-ndis";
    /// `NdisMRegisterMiniportDriver` used wrongly.
    REGISTER = "ndis-register", "ndis-contract 1.1; NDIS_MINIPORT_DRIVER_CHARACTERISTICS";
    /// `MiniportUnload` (or a failing `DriverEntry`) did not deregister, or it was done twice.
    DEREGISTER = "ndis-deregister", "ndis-contract 1.1: Unload must call NdisMDeregisterMiniportDriver";
    /// A miniport changed a dispatch entry that NDIS owns.
    DRIVER_OBJECT = "ndis-driver-object", "ndis-contract 8.4.1: the miniport must not change them afterwards";
    /// `NdisSetOptionalHandlers` outside `MiniportSetOptions`, or wrong structures.
    OPTIONS = "ndis-options", "ndis-contract 1.1: SetOptions row";
    /// Attributes set in the wrong order, at the wrong time, or not at all.
    ATTRIBUTE_ORDER = "ndis-attribute-order", "ndis-contract 1.4.1";
    /// A value in an attribute structure is not allowed for an Ethernet miniport.
    ATTRIBUTE_VALUE = "ndis-attribute-value", "ndis-contract 1.4.6 to 1.4.8";
    /// A handler returned a status it may not return.
    RETURN = "ndis-return", "ndis-contract 1.1: Pause and Restart rows; SDV MiniportPause_Return";
    /// Something was done in a state of the adapter that does not allow it.
    STATE = "ndis-state", "ndis-contract 1.2; miniport-adapter-states-and-operations";
    /// A pause or restart was completed that was not pending.
    STATE_COMPLETE = "ndis-state-complete", "ndis-contract 1.1: PENDING(+NdisMPauseComplete); SDV DoubleComplete";
    /// A pause, restart or halt does not come to an end.
    STATE_TIME = "ndis-state-time", "ndis-contract 8.4.7: Pause must complete although the backend is dead";
    /// Sends, received lists or requests were outstanding when pause completed or halt returned.
    OUTSTANDING = "ndis-outstanding", "ndis-contract 1.1: HaltEx row; 1.2: Pausing";
    /// Something was allocated when halt returned, or when initialisation failed.
    HALT_LEAK = "ndis-halt-leak", "ndis-contract 1.4.9, 4.7: freed before Halt returns";
    /// A configuration handle was left open, or used wrongly.
    CONFIGURATION = "ndis-configuration", "ndis-contract 1.5; SDV NdisOpenConfigurationEx";
    /// A request was completed twice, or was not pending.
    OID_DOUBLE = "ndis-oid-double", "0x91002 OidDoubleComplete; ndis-contract 1.8";
    /// A request took too long.
    OID_TIME = "ndis-oid-time", "0x92003 NdisTimedOidComplete: 12 s; ndis-contract 1.8";
    /// A request ended with a status that it may not end with.
    OID_STATUS = "ndis-oid-status", "0x91001 NdisOidComplete; ndis-contract 1.8";
    /// Byte counts of a completed request do not agree with its status.
    OID_COUNTS = "ndis-oid-counts", "ndis-contract 1.8: BytesWritten, BytesRead, BytesNeeded";
    /// A request's handler wrote outside the bytes it reports, or changed the request itself.
    OID_BUFFER = "ndis-oid-buffer", "ndis-contract 4.3 (2c_OidsNdisRequest), 9.4: canaries";
    /// A revisioned structure was set without telling the supported revision.
    OID_REVISION = "ndis-oid-revision", "ndis-contract 1.8: SupportedRevision";
    /// A status indication that must follow a request did not.
    OID_FOLLOWS = "ndis-oid-follows", "ndis-contract 1.10: TASK_OFFLOAD_CURRENT_CONFIG after every success";
    /// A send list was completed twice, or never was the miniport's.
    SEND_DOUBLE = "ndis-send-double", "ndis-contract 1.6: one completion per NBL exactly; 4.7 DoubleComplete";
    /// A send took too long.
    SEND_TIME = "ndis-send-time", "0x9200D NdisTimedDataSend: 30 s; ndis-contract 1.6";
    /// No send made progress for too long.
    SEND_HANG = "ndis-send-hang", "0x9200F NdisTimedDataHang: 22 s; ndis-contract 1.6";
    /// A list came back changed.
    SEND_LINKS = "ndis-send-links", "ndis-contract 1.6: MDL/NB links must be restored before completion";
    /// Data of a send was changed.
    SEND_DATA = "ndis-send-data", "ndis-contract 1.6: MDL buffers of others are read-only (invariant MDL)";
    /// A list was completed without a status, or with one that means nothing.
    SEND_STATUS = "ndis-send-status", "ndis-contract 1.6: Status on completion";
    /// A completed large send does not say so.
    SEND_LSO = "ndis-send-lso", "ndis-contract 3.4: LsoV2TransmitComplete";
    /// A flag says `DISPATCH_LEVEL` and the IRQL is another.
    FLAG_IRQL = "ndis-flag-irql", "SDV Flags_Irql; ndis-contract 1.6, 1.7";
    /// A spin lock was held across a call into NDIS that may call back.
    LOCK_HELD = "ndis-lock-held", "ndis-contract 1.7: no spin locks across indicate, complete, status";
    /// A received chain is malformed: count, source handle, frames per list, port.
    RECEIVE_CHAIN = "ndis-receive-chain", "ndis-contract 1.7; NdisMIndicateReceiveNetBufferLists";
    /// A received list is not the miniport's to indicate.
    RECEIVE_OWNER = "ndis-receive-owner", "ndis-contract 1.7: NBL/NB only from NDIS pools; ownership";
    /// A received frame's length or MDL chain is wrong.
    RECEIVE_LENGTH = "ndis-receive-length", "ndis-contract 1.7: DataLength; MDL chain";
    /// Out-of-band data of a received list is left over or contradicts itself.
    RECEIVE_OOB = "ndis-receive-oob", "ndis-contract 1.7: OOB slots; 3.3, 3.6; 2.2 (hash)";
    /// Frames came that the packet filter does not ask for.
    RECEIVE_FILTER = "ndis-receive-filter", "ndis-contract 1.7: nothing when filter=0; 1.9";
    /// A pool was made or used against its rules.
    POOL = "ndis-pool", "ndis-contract 1.7: pools, context size, free order";
    /// Something was freed that is not allocated, or is still in use.
    FREE = "ndis-free", "ndis-contract 1.7: Free; 4.7 (pool level)";
    /// `NdisGetDataBuffer`, `NdisAdvance...` or `NdisRetreat...` misused.
    DATA = "ndis-data", "NdisGetDataBuffer, NdisAdvanceNetBufferDataStart, Remarks";
    /// A status indication is malformed.
    STATUS = "ndis-status", "ndis-contract 1.10; of L2_MTU_SIZE_CHANGE: as NetAdapterCx indicates it";
    /// A status indication after `MiniportHaltEx`, or before the registration attributes.
    STATUS_STATE = "ndis-status-state", "ndis-contract 1.4.5, 1.10: nothing after HaltEx";
    /// A timer object was used wrongly.
    TIMER = "ndis-timer", "SDV CancelTimerObject, PeriodicTimer; ndis-contract 1.12";
    /// A work item was used wrongly.
    WORK_ITEM = "ndis-work-item", "SDV DoubleCompleteWorkItem, Init_*; ndis-contract 4.7";
    /// A power rule was broken.
    POWER = "ndis-power", "ndis-contract 1.11";
    /// An error log entry is malformed.
    ERROR_LOG = "ndis-error-log", "NdisWriteErrorLogEntry; SDV WriteErrorLog";
    /// Memory asked for without a tag, or of no bytes.
    MEMORY = "ndis-memory", "SDV NdisAllocateMemoryWithTagPriority: non-zero tag";
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn every_rule_has_its_own_id_and_a_citation() {
        for (index, rule) in ALL.iter().enumerate() {
            assert!(
                rule.id.starts_with("ndis-") && !rule.cite.is_empty(),
                "{rule:?}"
            );
            assert!(
                ALL[index + 1..].iter().all(|other| other.id != rule.id),
                "{rule:?}"
            );
            assert!(
                crate::rules::ALL.iter().all(|other| other.id != rule.id),
                "{rule:?}"
            );
        }
    }
}
