//! Spin locks. The lock word holds the owning processor's number plus one, so no table is searched.

use alloc::collections::BTreeSet;
use alloc::format;
use core::sync::atomic::Ordering;

use spin::Mutex;
use wdk_sys::{KLOCK_QUEUE_HANDLE, KSPIN_LOCK};

use super::irql::DISPATCH;
use crate::Harness;
use crate::export::{Module, exports};
use crate::field;
use crate::host::context::kernel;
use crate::mem::guest::Guest;
use crate::rules;
use crate::sched::cpu::HeldLock;
use crate::sched::deliver;

exports! { Module::Ntoskrnl;
    KeInitializeSpinLock = initialize, 0..=15;
    KeAcquireSpinLockRaiseToDpc = acquire_raise, 0..=2;
    KeReleaseSpinLock = release_lower, 2..=2;
    KeAcquireSpinLockAtDpcLevel = acquire_at_dispatch, 2..=15;
    KeReleaseSpinLockFromDpcLevel = release_from_dispatch, 2..=15;
    KeTryToAcquireSpinLockAtDpcLevel = try_acquire, 2..=15;
    KeTestSpinLock = test, 2..=15;
    KeAcquireInStackQueuedSpinLock = acquire_queued, 0..=2;
    KeReleaseInStackQueuedSpinLock = release_queued, 2..=2;
    KeAcquireInStackQueuedSpinLockAtDpcLevel = acquire_queued_at_dispatch, 2..=15;
    KeReleaseInStackQueuedSpinLockFromDpcLevel = release_queued_from_dispatch, 2..=15;
}

/// Pairs (held, then taken) seen so far; the reverse pair is a possible deadlock.
#[derive(Debug, Default)]
pub(crate) struct LockOrder(Mutex<BTreeSet<(usize, usize)>>);

/// Addresses of the locks taken, while a test wants to know.
#[derive(Debug, Default)]
pub(crate) struct LocksTaken(Mutex<Option<BTreeSet<usize>>>);

impl LocksTaken {
    fn note(&self, lock: usize) {
        if let Some(taken) = self.0.lock().as_mut() {
            taken.insert(lock);
        }
    }
}

impl Harness {
    /// Notes from now on which spin locks drivers take.
    pub fn begin_noting_locks(&self) {
        *self.kernel.io.locks_taken.0.lock() = Some(BTreeSet::new());
    }

    /// Addresses of the spin locks taken since [`Harness::begin_noting_locks`]; no more are noted.
    #[must_use]
    pub fn take_noted_locks(&self) -> BTreeSet<usize> {
        self.kernel
            .io
            .locks_taken
            .0
            .lock()
            .take()
            .unwrap_or_default()
    }
}

impl LockOrder {
    fn taken(&self, held: &[HeldLock], lock: usize) -> Option<usize> {
        let mut seen = self.0.lock();
        for outer in held {
            seen.insert((outer.address, lock));
        }
        held.iter()
            .map(|outer| outer.address)
            .find(|outer| seen.contains(&(lock, *outer)))
    }

    /// Forgets locks in memory that is freed.
    pub(crate) fn forget(&self, from: usize, to: usize) {
        let range = from..to;
        self.0
            .lock()
            .retain(|(a, b)| !range.contains(a) && !range.contains(b));
    }
}

type Lock = *mut KSPIN_LOCK;

extern "win64" fn initialize(lock: Lock) {
    Guest::from(lock).store(0);
}

/// Takes the lock; the level must be `DISPATCH_LEVEL` or above already.
pub(crate) fn acquire(lock: usize) {
    let kernel = kernel();
    let (_, caller) = kernel.sched.current().last_call();
    let word = Guest::<u64>::new(lock).atomic();
    let me = u64::from(kernel.sched.cpu().index) + 1;
    loop {
        match word.compare_exchange(0, me, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => break,
            Err(owner) if owner == me => {
                rules::die(
                    &rules::LOCK_RECURSION,
                    format!("spin lock {lock:#x} is already held here"),
                );
            }
            Err(owner) if owner > kernel.sched.cpus().len() as u64 => {
                rules::die(
                    &rules::OBJECT,
                    format!("{lock:#x} is no spin lock: it holds {owner:#x}"),
                );
            }
            Err(_) => kernel.sched.spin_once(),
        }
    }
    let mut held = kernel.sched.cpu().held.lock();
    let inverted = kernel.io.lock_order.taken(&held, lock);
    kernel.io.locks_taken.note(lock);
    held.push(HeldLock {
        address: lock,
        caller,
    });
    drop(held);
    if let Some(other) = inverted {
        rules::violate(
            &rules::DEADLOCK,
            format!("spin locks {lock:#x} and {other:#x} are taken in both orders"),
        );
    }
}

/// Gives the lock back.
pub(crate) fn release(lock: usize) {
    let kernel = kernel();
    let cpu = kernel.sched.cpu();
    let mut held = cpu.held.lock();
    let Some(index) = held.iter().rposition(|entry| entry.address == lock) else {
        drop(held);
        rules::die(
            &rules::LOCK_OWNER,
            format!("spin lock {lock:#x} is not held by this processor"),
        );
    };
    held.remove(index);
    drop(held);
    Guest::<u64>::new(lock).atomic().store(0, Ordering::Release);
}

extern "win64" fn acquire_raise(lock: Lock) -> u8 {
    let before = kernel().sched.cpu().set_irql(DISPATCH);
    acquire(lock as usize);
    before
}

extern "win64" fn release_lower(lock: Lock, irql: u8) {
    release(lock as usize);
    if irql > DISPATCH {
        rules::violate(
            &rules::IRQL_DIRECTION,
            format!("KeReleaseSpinLock to IRQL {irql}"),
        );
        return;
    }
    if irql < DISPATCH && !kernel().sched.cpu().held.lock().is_empty() {
        rules::violate(
            &rules::LOCK_BALANCE,
            "lowered the IRQL while another spin lock is held",
        );
    }
    deliver::lower(&kernel().sched, irql);
}

extern "win64" fn acquire_at_dispatch(lock: Lock) {
    acquire(lock as usize);
}

extern "win64" fn release_from_dispatch(lock: Lock) {
    release(lock as usize);
}

extern "win64" fn try_acquire(lock: Lock) -> u8 {
    if Guest::<u64>::new(lock as usize)
        .atomic()
        .load(Ordering::Acquire)
        != 0
    {
        return 0;
    }
    acquire(lock as usize);
    1
}

extern "win64" fn test(lock: Lock) -> u8 {
    u8::from(Guest::from(lock).load() == 0)
}

extern "win64" fn acquire_queued(lock: Lock, handle: *mut KLOCK_QUEUE_HANDLE) {
    let before = kernel().sched.cpu().set_irql(DISPATCH);
    acquire(lock as usize);
    field!(handle, KLOCK_QUEUE_HANDLE, OldIrql).store(before);
    field!(handle, KLOCK_QUEUE_HANDLE, LockQueue.Lock).store(lock);
}

extern "win64" fn release_queued(handle: *mut KLOCK_QUEUE_HANDLE) {
    let lock = field!(handle, KLOCK_QUEUE_HANDLE, LockQueue.Lock).load();
    release_lower(lock, field!(handle, KLOCK_QUEUE_HANDLE, OldIrql).load());
}

extern "win64" fn acquire_queued_at_dispatch(lock: Lock, handle: *mut KLOCK_QUEUE_HANDLE) {
    acquire(lock as usize);
    field!(handle, KLOCK_QUEUE_HANDLE, LockQueue.Lock).store(lock);
}

extern "win64" fn release_queued_from_dispatch(handle: *mut KLOCK_QUEUE_HANDLE) {
    release(field!(handle, KLOCK_QUEUE_HANDLE, LockQueue.Lock).load() as usize);
}
