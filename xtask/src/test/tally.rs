//! Counts what test runners say they ran.

use std::ops::AddAssign;

/// Tests that passed, failed, and were left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Tally {
    /// Sums the closing lines of `cargo test` in `output`.
    pub(crate) fn of(output: &str) -> Self {
        let mut sum = Self::default();
        for line in output
            .lines()
            .filter_map(|line| line.trim().strip_prefix("test result: "))
        {
            sum += Self {
                passed: count(line, " passed"),
                failed: count(line, " failed"),
                skipped: count(line, " ignored"),
            };
        }
        sum
    }

    /// One test that passed, or failed.
    pub(crate) fn one(passed: bool) -> Self {
        Self {
            passed: u64::from(passed),
            failed: u64::from(!passed),
            skipped: 0,
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// The number before `label` in `line`, 0 if there is none.
fn count(line: &str, label: &str) -> u64 {
    line.split(label)
        .next()
        .filter(|before| before.len() < line.len())
        .and_then(|before| before.split_whitespace().last())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn closing_lines_are_summed() {
        let output = "running 3 tests\n\
            test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 1 filtered out\n\
            test result: FAILED. 10 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(
            Tally::of(output),
            Tally {
                passed: 13,
                failed: 2,
                skipped: 1
            }
        );
    }

    #[test]
    fn other_output_counts_nothing() {
        assert_eq!(Tally::of("3 passed, 4 failed\nok\n"), Tally::default());
    }
}
