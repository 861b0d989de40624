//! Where the pages shared with Xen go: into the platform device's memory BAR, which has addresses but no memory.
//!
//! ```text
//!   BAR:  | shared info | grant frame 0 | grant frame 1 | .. | free |      4 KiB each
//! ```

/// Bytes in a page.
pub const PAGE_SIZE: u64 = 4096;

/// Why the pages cannot be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// The range does not begin at a page, or wraps around the address space.
    BadRange,
    /// Not even the shared info page and one grant frame fit.
    TooSmall,
}

/// The pages' places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoleLayout {
    first_gfn: u64,
    grant_frames: u32,
}

impl HoleLayout {
    /// Lays out a range of `len` bytes at physical address `base` for up to `max_grant_frames` (from
    /// `GNTTABOP_query_size`); a small range gives fewer.
    pub fn plan(base: u64, len: u64, max_grant_frames: u32) -> Result<Self, LayoutError> {
        if !base.is_multiple_of(PAGE_SIZE) || base == 0 || base.checked_add(len).is_none() {
            return Err(LayoutError::BadRange);
        }
        let room = (len / PAGE_SIZE)
            .checked_sub(1)
            .ok_or(LayoutError::TooSmall)?;
        let room = u32::try_from(room).unwrap_or(u32::MAX);
        let grant_frames = room.min(max_grant_frames);
        if grant_frames == 0 {
            return Err(LayoutError::TooSmall);
        }
        Ok(Self {
            first_gfn: base / PAGE_SIZE,
            grant_frames,
        })
    }

    /// Guest frame of the shared info page.
    pub fn shared_info(&self) -> u64 {
        self.first_gfn
    }

    /// Most grant frames there is room for: the limit for the grant allocator.
    pub fn grant_frames(&self) -> u32 {
        self.grant_frames
    }

    /// Guest frame of grant frame `index`.
    pub fn grant_frame(&self, index: u32) -> Option<u64> {
        if index >= self.grant_frames {
            return None;
        }
        self.first_gfn.checked_add(1)?.checked_add(u64::from(index))
    }

    /// Bytes used, from the start of the range.
    pub fn len_bytes(&self) -> u64 {
        u64::from(self.grant_frames)
            .saturating_add(1)
            .saturating_mul(PAGE_SIZE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another_inside_the_range() {
        let hole = HoleLayout::plan(0xF200_0000, 16 << 20, 64).unwrap();
        assert_eq!(hole.shared_info(), 0xF2000);
        assert_eq!(
            (hole.grant_frame(0), hole.grant_frame(63)),
            (Some(0xF2001), Some(0xF2040))
        );
        assert_eq!((hole.grant_frame(64), hole.len_bytes()), (None, 65 * 4096));
    }

    #[test]
    fn a_small_range_gives_fewer_frames_and_too_small_a_one_none() {
        assert_eq!(
            HoleLayout::plan(0x10_0000, 3 * 4096 + 100, 64)
                .unwrap()
                .grant_frames(),
            2
        );
        for len in [0, 4095, 4096, 2 * 4096 - 1] {
            assert_eq!(
                HoleLayout::plan(0x10_0000, len, 64),
                Err(LayoutError::TooSmall)
            );
        }
        assert_eq!(
            HoleLayout::plan(0x10_0000, 1 << 20, 0),
            Err(LayoutError::TooSmall)
        );
    }

    #[test]
    fn ranges_that_make_no_sense_are_refused() {
        for (base, len) in [(0, 1 << 20), (0x1001, 1 << 20), (u64::MAX - 4095, 8192)] {
            assert_eq!(HoleLayout::plan(base, len, 64), Err(LayoutError::BadRange));
        }
    }
}
