//! What is asked about each binding, and whether the answers agree with the facts.

mod bits;
mod expect;
mod plan;

use std::fmt;

pub use plan::Plan;

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Structures compared.
    pub structs: usize,
    /// Fields compared.
    pub fields: usize,
    /// Constants compared.
    pub constants: usize,
    /// Of all these, how many with the list of sourced items instead of the fact tables.
    pub from_sourced_list: usize,
    /// Bit fields and integers that hold bit fields: only their place was looked at.
    pub bit_fields: usize,
    /// Private fields and padding: covered by offsets and sizes around them only.
    pub hidden: usize,
    /// Strings and tables, which no number can be compared with.
    pub texts: usize,
    /// Everything that is wrong.
    pub findings: Vec<Finding>,
}

/// Something that is wrong with a binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Rust path of the item.
    pub item: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Size and alignment differ.
    Layout {
        /// What the facts say.
        expected: (u64, u64),
        /// What the compiler says.
        found: (u64, u64),
    },
    /// Offset and size differ.
    Field {
        /// What the facts say, in words: a C name may mean two fields.
        expected: String,
        /// What the compiler says.
        found: (u64, u64),
    },
    /// A value differs.
    Value {
        /// What the facts say.
        expected: i128,
        /// The constant's bits.
        found: u64,
        /// Its size in bytes.
        size: u64,
    },
    /// The fact tables and the list of sourced items disagree.
    Contradiction,
    /// Neither a fact table nor the list of sourced items has it.
    Unknown,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.item)?;
        match &self.problem {
            Problem::Layout { expected, found } => write!(
                f,
                "size {} and alignment {}, but it must be {} and {}",
                found.0, found.1, expected.0, expected.1
            ),
            Problem::Field { expected, found } => write!(
                f,
                "offset {} and size {}, but it must be {expected}",
                found.0, found.1
            ),
            Problem::Value {
                expected,
                found,
                size,
            } => {
                write!(
                    f,
                    "{found:#x} in {size} bytes, but it must be {expected:#x}"
                )
            }
            Problem::Contradiction => {
                write!(
                    f,
                    "the fact tables and tests/data/sourced-items.csv disagree"
                )
            }
            Problem::Unknown => {
                write!(
                    f,
                    "in no fact table, and tests/data/sourced-items.csv has no source"
                )
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "compared {} structs, {} fields, {} constants ({} of them with the sourced list); \
             skipped {} bit fields, {} private fields, {} texts; {} findings",
            self.structs,
            self.fields,
            self.constants,
            self.from_sourced_list,
            self.bit_fields,
            self.hidden,
            self.texts,
            self.findings.len()
        )
    }
}
