//! Clocks and time spans.

use core::time::Duration;

use wdk_sys::{LARGE_INTEGER, ntddk};

use crate::imports;

/// Nanoseconds in a unit of NT's clocks.
const UNIT_NS: u128 = 100;

/// Time since boot without time asleep, at the resolution of the clock tick (1 to 16 ms). Cheap;
/// for timeouts. Any IRQL.
pub fn since_boot() -> Duration {
    // SAFETY: reads a clock; callable at any IRQL.
    let units = unsafe { ntddk::KeQueryUnbiasedInterruptTime() };
    from_units(units)
}

/// A reading of the high-resolution counter and its frequency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// Ticks since some fixed moment.
    pub ticks: u64,
    /// Ticks in a second; constant from boot on.
    pub frequency: u64,
}

impl Counter {
    /// The counter now. Any IRQL.
    pub fn now() -> Self {
        let mut frequency = LARGE_INTEGER::default();
        // SAFETY: writes the frequency to a live variable; callable at any IRQL.
        let ticks = unsafe { ntddk::KeQueryPerformanceCounter(&raw mut frequency) };
        Self {
            ticks: quad(ticks).cast_unsigned(),
            frequency: quad(frequency).cast_unsigned(),
        }
    }

    /// Time from `earlier` to this reading; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        let ticks = u128::from(self.ticks.saturating_sub(earlier.ticks));
        let nanoseconds = ticks
            .saturating_mul(1_000_000_000)
            .checked_div(u128::from(self.frequency))
            .unwrap_or(0);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

/// System time: 100 ns units since 1601, UTC. May jump. Any IRQL.
pub fn system_time() -> u64 {
    let mut time = LARGE_INTEGER::default();
    // SAFETY: writes the time to a live variable; callable at any IRQL.
    unsafe { imports::KeQuerySystemTimePrecise(&raw mut time) };
    quad(time).cast_unsigned()
}

/// `after` as the kernel takes a span from now: negative, in 100 ns units, rounded up.
pub(crate) fn relative(after: Duration) -> LARGE_INTEGER {
    let units = i64::try_from(after.as_nanos().div_ceil(UNIT_NS)).unwrap_or(i64::MAX);
    LARGE_INTEGER {
        QuadPart: units.saturating_neg(),
    }
}

/// The signed value of `number`.
pub(crate) fn quad(number: LARGE_INTEGER) -> i64 {
    // SAFETY: every view of the union is plain bits of the same 8 bytes.
    unsafe { number.QuadPart }
}

fn from_units(units: u64) -> Duration {
    // 2^64 units are 58,000 years, more than u64 nanoseconds hold; a boot is not that long ago.
    Duration::from_nanos(units.saturating_mul(100))
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{Counter, from_units, quad, relative};

    #[test]
    fn spans_are_negative_and_rounded_up() {
        assert_eq!(quad(relative(Duration::from_millis(1))), -10_000);
        assert_eq!(quad(relative(Duration::from_nanos(1))), -1);
        assert_eq!(quad(relative(Duration::ZERO)), 0);
        assert_eq!(quad(relative(Duration::MAX)), -i64::MAX);
    }

    #[test]
    fn clock_units_are_100_ns() {
        assert_eq!(from_units(10_000_000), Duration::from_secs(1));
        assert_eq!(from_units(u64::MAX), Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn counters_differ_by_a_time() {
        let at = |ticks| Counter {
            ticks,
            frequency: 10_000_000,
        };
        assert_eq!(at(15_000_000).since(at(5_000_000)), Duration::from_secs(1));
        assert_eq!(at(1).since(at(2)), Duration::ZERO);
        let stopped = Counter {
            ticks: 9,
            frequency: 0,
        };
        assert_eq!(stopped.since(at(1)), Duration::ZERO);
    }
}
