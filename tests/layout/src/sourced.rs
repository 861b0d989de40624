//! `tests/data/sourced-items.csv`: layouts and values that no fact table has, each with the
//! document it was taken from.
//!
//! Columns: `name,value,source`. A value is one of
//! - a number, decimal or `0x`, of a constant; one that belongs to a type is `TYPE::NAME`;
//! - `@offset:size` of the field `STRUCT.Path`;
//! - `size=S:align=A` of a structure, then `;Path@offset:size` for each of its fields;
//! - `text` for a string or table, whose value is not compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// The list could not be read.
#[derive(Debug)]
pub struct SourcedError {
    /// The file.
    pub file: PathBuf,
    /// Line in it, from 1; 0 for the whole file.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for SourcedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.reason)
    }
}

impl std::error::Error for SourcedError {}

/// The list, by kind and name.
#[derive(Clone, Debug, Default)]
pub struct Sourced {
    /// Values of constants.
    pub constants: BTreeMap<String, i128>,
    /// Size and alignment of structures.
    pub structs: BTreeMap<String, (u64, u64)>,
    /// Offset and size of fields.
    pub fields: BTreeMap<String, (u64, u64)>,
    /// Strings and tables.
    pub texts: BTreeSet<String>,
}

impl Sourced {
    /// Reads the list from a file.
    pub fn load(file: &Path) -> Result<Self, SourcedError> {
        let text = std::fs::read_to_string(file).map_err(|error| SourcedError {
            file: file.to_owned(),
            line: 0,
            reason: error.to_string(),
        })?;
        Self::parse(file, &text)
    }

    /// Reads the list from its text; `file` is for messages.
    pub fn parse(file: &Path, text: &str) -> Result<Self, SourcedError> {
        let mut sourced = Self::default();
        let mut lines = text.lines().enumerate();
        let fail = |line, reason: String| SourcedError {
            file: file.to_owned(),
            line,
            reason,
        };
        let header = "name,value,source";
        if lines.next().map(|(_, line)| line) != Some(header) {
            return Err(fail(1, format!("the first line must be `{header}`")));
        }
        for (index, line) in lines {
            sourced
                .add(line)
                .map_err(|reason| fail(index + 1, reason))?;
        }
        Ok(sourced)
    }

    /// Adds one line. The source is the last column and may contain commas.
    fn add(&mut self, line: &str) -> Result<(), String> {
        let columns: Vec<&str> = line.splitn(3, ',').collect();
        let &[name, value, source] = columns.as_slice() else {
            return Err("three columns are due".to_owned());
        };
        if source.trim().len() < 8 {
            return Err(format!("`{name}` names no source"));
        }
        let bad_value = || format!("`{value}` is no value");
        let twice = if value == "text" {
            !self.texts.insert(name.to_owned())
        } else if let Some(place) = value.strip_prefix('@') {
            let place = pair(place).ok_or_else(bad_value)?;
            self.fields.insert(name.to_owned(), place).is_some()
        } else if value.starts_with("size=") {
            self.add_struct(name, value).ok_or_else(bad_value)?
        } else {
            let value = number(value).ok_or_else(bad_value)?;
            self.constants.insert(name.to_owned(), value).is_some()
        };
        if twice {
            return Err(format!("`{name}` appears twice"));
        }
        Ok(())
    }

    /// Adds a structure with its fields. Says whether it was there before.
    fn add_struct(&mut self, name: &str, value: &str) -> Option<bool> {
        let mut parts = value.split(';');
        let (size, align) = parts.next()?.split_once(':')?;
        let size = size.strip_prefix("size=")?.parse().ok()?;
        let align = align.strip_prefix("align=")?.parse().ok()?;
        let mut twice = self
            .structs
            .insert(name.to_owned(), (size, align))
            .is_some();
        for part in parts {
            let (field, place) = part.split_once('@')?;
            let field = format!("{name}.{field}");
            twice |= self.fields.insert(field, pair(place)?).is_some();
        }
        Some(twice)
    }
}

fn number(text: &str) -> Option<i128> {
    match text.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn pair(text: &str) -> Option<(u64, u64)> {
    let (first, second) = text.split_once(':')?;
    Some((first.parse().ok()?, second.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rows: &str) -> Result<Sourced, String> {
        let text = format!("name,value,source\n{rows}");
        Sourced::parse(Path::new("list.csv"), &text).map_err(|error| error.to_string())
    }

    #[test]
    fn every_kind_is_read() {
        let list = parse(
            "K,0x10,\"a document, page 3\"\nS,size=8:align=4;A@4:2;u.B@0:4,a document\n\
             R.A,@4:2,a document\nT,text,a document\n",
        )
        .expect("valid");
        assert_eq!(list.constants["K"], 16);
        assert_eq!(list.structs["S"], (8, 4));
        assert_eq!(list.fields["S.A"], (4, 2));
        assert_eq!(list.fields["S.u.B"], (0, 4));
        assert_eq!(list.fields["R.A"], (4, 2));
        assert!(list.texts.contains("T"));
    }

    #[test]
    fn an_item_without_a_source_is_refused() {
        let error = parse("K,1,\n").expect_err("no source");
        assert_eq!(error, "list.csv:2: `K` names no source");
    }

    #[test]
    fn bad_values_and_repeats_are_refused() {
        for value in [
            "one",
            "@4",
            "size=8",
            "size=8:align=4;A",
            "size=8:align=4;A@x:1",
        ] {
            let error = parse(&format!("K,{value},a document\n")).expect_err("value");
            assert_eq!(error, format!("list.csv:2: `{value}` is no value"));
        }
        let twice = parse("K,1,a document\nK,1,a document\n").expect_err("twice");
        assert!(twice.contains("list.csv:3: `K` appears twice"), "{twice}");
    }
}
