//! How an alignment the pool does not give is made.

use core::alloc::Layout;

use super::PAGE_SIZE;

/// Alignment of pool blocks smaller than a page (`MEMORY_ALLOCATION_ALIGNMENT` on x86-64).
const POOL_ALIGNMENT: usize = 16;

/// Room for the address of the block the pool gave, kept before the aligned part.
const BASE_SLOT: usize = size_of::<*mut u8>();

/// What to ask the pool for. The same layout always gives the same plan, so that a release finds
/// out again how the block was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// The pool's own alignment is enough.
    Direct {
        /// Bytes to ask for.
        bytes: usize,
    },
    /// Ask for more, move the start up, and keep the base before it.
    Shifted {
        /// Bytes to ask for.
        bytes: usize,
        /// Alignment the block must get, above 16.
        align: usize,
    },
}

impl Plan {
    /// The plan for `layout`; none when its size cannot be asked for.
    pub(super) fn of(layout: Layout) -> Option<Self> {
        let (size, align) = (layout.size(), layout.align());
        let page_aligned = size >= PAGE_SIZE && align <= PAGE_SIZE;
        if align <= POOL_ALIGNMENT || page_aligned {
            return Some(Self::Direct { bytes: size });
        }
        // The base is a multiple of 16 and the slot takes 8, so the shift is at most `align`.
        let bytes = size
            .checked_add(align)
            .filter(|bytes| isize::try_from(*bytes).is_ok())?;
        Some(Self::Shifted { bytes, align })
    }

    /// Bytes to ask the pool for.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Direct { bytes } | Self::Shifted { bytes, .. } => bytes,
        }
    }
}

/// Bytes from a block at `base` to the first multiple of `align` that leaves room for the slot.
pub(super) fn shift(base: usize, align: usize) -> Option<usize> {
    base.checked_add(BASE_SLOT)?
        .checked_next_multiple_of(align)?
        .checked_sub(base)
}

#[cfg(test)]
mod tests {
    use core::alloc::Layout;

    use proptest::prelude::*;

    use super::{BASE_SLOT, Plan, shift};

    fn plan(size: usize, align: usize) -> Option<Plan> {
        Plan::of(Layout::from_size_align(size, align).unwrap())
    }

    #[test]
    fn pool_and_page_alignment_need_no_shift() {
        assert_eq!(plan(1, 16), Some(Plan::Direct { bytes: 1 }));
        assert_eq!(plan(4096, 4096), Some(Plan::Direct { bytes: 4096 }));
        assert_eq!(plan(5000, 64), Some(Plan::Direct { bytes: 5000 }));
    }

    #[test]
    fn other_alignments_are_shifted() {
        let shifted = |bytes, align| Some(Plan::Shifted { bytes, align });
        assert_eq!(plan(1, 32), shifted(33, 32));
        assert_eq!(plan(4095, 4096), shifted(8191, 4096));
        assert_eq!(plan(4096, 8192), shifted(12288, 8192));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 16 } else { 512 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_shifted_block_is_aligned_and_fits(
            base in (1_usize..1 << 40).prop_map(|unit| unit * 16),
            size in 1_usize..10_000,
            power in 5_u32..20,
        ) {
            let align = 1_usize << power;
            let shift = shift(base, align).unwrap();
            prop_assert_eq!((base + shift) % align, 0);
            prop_assert!(shift >= BASE_SLOT);
            if let Some(Plan::Shifted { bytes, .. }) = plan(size, align) {
                prop_assert!(shift + size <= bytes);
            }
        }
    }
}
