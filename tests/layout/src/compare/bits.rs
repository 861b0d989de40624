//! Constants that stand for C bit fields.
//!
//! Rust has no bit fields, so `ndis-sys` gives a type constants named after C's: `X_SHIFT` is the
//! lowest bit, `X_MASK` the value of all its bits after the shift, and plain `X` its lowest bit in
//! place. `X` is the field's path or last name without regard to case and underscores; a field's
//! ending `Supported` may be left out.

use facts::{Extent, Layout};

/// What a constant of this name must be, for each bit field below `prefix` that it may mean.
pub(super) fn values(layout: &Layout, prefix: &str, name: &str) -> Vec<i128> {
    let (stem, form) = if let Some(stem) = name.strip_suffix("_SHIFT") {
        (stem, Form::Shift)
    } else if let Some(stem) = name.strip_suffix("_MASK") {
        (stem, Form::Mask)
    } else {
        (name, Form::InPlace)
    };
    let stem = plain(stem);
    let mut values = Vec::new();
    for field in &layout.fields {
        let Some(path) = field.path.strip_prefix(prefix) else {
            continue;
        };
        // A field of one or two whole bytes is got at the same way.
        let (first, count) = match (field.extent, &form) {
            (Extent::Bits { first, count }, _) => (first, count),
            (Extent::Bytes(1), Form::Shift | Form::Mask) => (0, 8),
            (Extent::Bytes(2), Form::Shift | Form::Mask) => (0, 16),
            _ => continue,
        };
        let last = path.rsplit('.').next().unwrap_or(path);
        let names = [plain(path), plain(last)];
        let means =
            |name: &String| *name == stem || name.strip_suffix("SUPPORTED") == Some(stem.as_str());
        if names.iter().any(means) {
            // Bit fields of C are in units of 32 bits.
            let shift = u32::try_from(field.offset % 4).unwrap_or(0) * 8 + first;
            let value = match form {
                Form::Shift => i128::from(shift),
                Form::Mask => (1 << count) - 1,
                Form::InPlace => 1 << shift,
            };
            if !values.contains(&value) {
                values.push(value);
            }
        }
    }
    values
}

enum Form {
    Shift,
    Mask,
    InPlace,
}

/// Upper case, without dots and underscores.
fn plain(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use facts::Facts;

    fn of(owner: &str, prefix: &str, name: &str) -> Vec<i128> {
        let facts = Facts::load(&Facts::checked_in_folder()).expect("checked in");
        values(facts.layout(owner).expect("known"), prefix, name)
    }

    const CHECKSUM: &str = "NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO";

    #[test]
    fn flags_shifts_and_masks_follow_from_bit_fields() {
        assert_eq!(of(CHECKSUM, "", "TRANSMIT_IS_IPV6"), [2]);
        assert_eq!(
            of(CHECKSUM, "", "RECEIVE_IP_CHECKSUM_VALUE_INVALID"),
            [1 << 8]
        );
        assert_eq!(of(CHECKSUM, "", "TRANSMIT_TCP_HEADER_OFFSET_SHIFT"), [16]);
        assert_eq!(of(CHECKSUM, "", "TRANSMIT_TCP_HEADER_OFFSET_MASK"), [0x3ff]);
        assert!(of(CHECKSUM, "", "NO_SUCH_FIELD").is_empty());
    }

    #[test]
    fn fields_of_whole_bytes_have_shifts_and_masks_but_no_flags() {
        assert_eq!(of("NDIS_RSC_NBL_INFO", "", "DUP_ACK_COUNT_SHIFT"), [16]);
        assert_eq!(
            of("NDIS_RSC_NBL_INFO", "", "COALESCED_SEG_COUNT_MASK"),
            [0xffff]
        );
        assert!(of("NDIS_RSC_NBL_INFO", "", "DUP_ACK_COUNT").is_empty());
    }

    #[test]
    fn a_part_is_looked_at_below_its_field() {
        let owner = "NDIS_TCP_IP_CHECKSUM_OFFLOAD";
        assert_eq!(of(owner, "IPv4Transmit.", "TCP_OPTIONS_SHIFT"), [2]);
        assert_eq!(of(owner, "IPv4Transmit.", "IP_CHECKSUM_SHIFT"), [8]);
        assert!(of(owner, "IPv6Transmit.", "IP_CHECKSUM_SHIFT").is_empty());
    }
}
