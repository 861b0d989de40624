//! What can be wrong with a table.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A table could not be read, with where.
#[derive(Debug)]
pub struct FactError {
    /// The file.
    pub file: PathBuf,
    /// Line in the file, from 1; 0 for the whole file.
    pub line: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a table.
#[derive(Debug)]
pub enum Problem {
    /// The file could not be read.
    Io(io::Error),
    /// The first line is not the one this table must have.
    Header {
        /// What it must be.
        expected: &'static str,
    },
    /// A row has the wrong number of columns.
    Columns {
        /// How many it must have.
        expected: usize,
        /// How many it has.
        found: usize,
    },
    /// A column that must hold a number does not.
    Number {
        /// Which column.
        column: &'static str,
        /// What it holds.
        text: String,
    },
    /// A structure, macro or enumerator appears twice.
    Duplicate(String),
    /// A field comes before the row with the size of its structure.
    FieldBeforeStruct(String),
    /// A name has one value in one table and another in the other.
    TwoValues(String),
    /// The structure's alignment is not a power of two.
    Alignment(u64),
    /// The field lies outside its structure.
    Outside(String),
}

impl fmt::Display for FactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file.display(), self.line)?;
        match &self.problem {
            Problem::Io(error) => write!(f, "{error}"),
            Problem::Header { expected } => write!(f, "the first line must be `{expected}`"),
            Problem::Columns { expected, found } => {
                write!(f, "{found} columns where {expected} are due")
            }
            Problem::Number { column, text } => {
                write!(f, "column `{column}` is no number: `{text}`")
            }
            Problem::Duplicate(name) => write!(f, "`{name}` appears twice"),
            Problem::FieldBeforeStruct(name) => {
                write!(f, "field of `{name}` before the row with its size")
            }
            Problem::TwoValues(name) => write!(f, "`{name}` has two different values"),
            Problem::Alignment(align) => write!(f, "alignment {align} is no power of two"),
            Problem::Outside(path) => write!(f, "field `{path}` lies outside its structure"),
        }
    }
}

impl std::error::Error for FactError {}
