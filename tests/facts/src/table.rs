//! The three file formats: comma-separated, no quoting, one header line.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{Extent, FactError, Facts, Field, Layout, Problem};

/// One row, with what an error needs to point at it.
struct Row<'a> {
    file: &'a Path,
    line: usize,
    columns: Vec<&'a str>,
}

impl Row<'_> {
    fn fail(&self, problem: Problem) -> FactError {
        FactError {
            file: self.file.to_owned(),
            line: self.line,
            problem,
        }
    }

    fn number(&self, column: &'static str, index: usize) -> Result<i128, FactError> {
        let text = self.columns[index];
        parse_number(text).ok_or_else(|| {
            self.fail(Problem::Number {
                column,
                text: text.to_owned(),
            })
        })
    }

    fn unsigned(&self, column: &'static str, index: usize) -> Result<u64, FactError> {
        u64::try_from(self.number(column, index)?).map_err(|_| {
            self.fail(Problem::Number {
                column,
                text: self.columns[index].to_owned(),
            })
        })
    }
}

/// Decimal with an optional sign, or hexadecimal after `0x`.
fn parse_number(text: &str) -> Option<i128> {
    match text.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn for_each_row(
    file: &Path,
    header: &'static str,
    mut visit: impl FnMut(&Row<'_>) -> Result<(), FactError>,
) -> Result<(), FactError> {
    let fail = |line, problem| FactError {
        file: file.to_owned(),
        line,
        problem,
    };
    let text = std::fs::read_to_string(file).map_err(|error| fail(0, Problem::Io(error)))?;
    let mut lines = text.lines();
    if lines.next() != Some(header) {
        return Err(fail(1, Problem::Header { expected: header }));
    }
    let expected = header.split(',').count();
    for (index, line) in lines.enumerate() {
        let row = Row {
            file,
            line: index + 2,
            columns: line.split(',').collect(),
        };
        let found = row.columns.len();
        if found != expected {
            return Err(row.fail(Problem::Columns { expected, found }));
        }
        visit(&row)?;
    }
    Ok(())
}

pub(crate) fn read_constants(
    file: &Path,
    constants: &mut BTreeMap<String, i128>,
) -> Result<(), FactError> {
    for_each_row(file, "name,value", |row| {
        let name = row.columns[0];
        let value = row.number("value", 1)?;
        match constants.insert(name.to_owned(), value) {
            Some(_) => Err(row.fail(Problem::Duplicate(name.to_owned()))),
            None => Ok(()),
        }
    })
}

pub(crate) fn read_enums(file: &Path, facts: &mut Facts) -> Result<(), FactError> {
    for_each_row(file, "enum,name,value", |row| {
        let (enum_name, name) = (row.columns[0], row.columns[1]);
        let value = row.number("value", 2)?;
        // Macro values are written as bit patterns of 32 bits, enumerators with their sign.
        if let Some(known) = facts.constant(name)
            && known & 0xffff_ffff != value & 0xffff_ffff
        {
            return Err(row.fail(Problem::TwoValues(name.to_owned())));
        }
        let enumerators = facts.enums.entry(enum_name.to_owned()).or_default();
        match enumerators.insert(name.to_owned(), value) {
            Some(_) => Err(row.fail(Problem::Duplicate(name.to_owned()))),
            None => Ok(()),
        }
    })
}

pub(crate) fn read_layouts(
    file: &Path,
    structs: &mut BTreeMap<String, Layout>,
) -> Result<(), FactError> {
    let header = "struct,size,align,field,offset,field_size_or_bits";
    for_each_row(file, header, |row| {
        let (name, path) = (row.columns[0], row.columns[3]);
        if path.is_empty() {
            let size = row.unsigned("size", 1)?;
            let align = row.unsigned("align", 2)?;
            if !align.is_power_of_two() {
                return Err(row.fail(Problem::Alignment(align)));
            }
            let layout = Layout {
                size,
                align,
                fields: Vec::new(),
            };
            return match structs.insert(name.to_owned(), layout) {
                Some(_) => Err(row.fail(Problem::Duplicate(name.to_owned()))),
                None => Ok(()),
            };
        }
        let field = Field {
            path: path.to_owned(),
            offset: row.unsigned("offset", 4)?,
            extent: extent(row)?,
        };
        let Some(layout) = structs.get_mut(name) else {
            return Err(row.fail(Problem::FieldBeforeStruct(name.to_owned())));
        };
        let end = match field.extent {
            Extent::Bytes(bytes) => field.offset.saturating_add(bytes),
            Extent::Bits { first, count } => field
                .offset
                .saturating_add(u64::from(first + count).div_ceil(8)),
            Extent::Flexible => field.offset,
        };
        if end > layout.size {
            return Err(row.fail(Problem::Outside(path.to_owned())));
        }
        layout.fields.push(field);
        Ok(())
    })
}

fn extent(row: &Row<'_>) -> Result<Extent, FactError> {
    let column = "field_size_or_bits";
    let text = row.columns[5];
    let malformed = || {
        row.fail(Problem::Number {
            column,
            text: text.to_owned(),
        })
    };
    if let Some(bits) = text.strip_prefix("bits:") {
        let (first, count) = bits.split_once('+').ok_or_else(malformed)?;
        return match (first.parse(), count.parse()) {
            (Ok(first @ 0..=7), Ok(count @ 1..=64)) => Ok(Extent::Bits { first, count }),
            _ => Err(malformed()),
        };
    }
    // The tables write the size of an array without a length as -2.
    if text == "-2" {
        return Ok(Extent::Flexible);
    }
    row.unsigned(column, 5).map(Extent::Bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// Loads the three tables with one replaced and gives back the error's text.
    fn error_of(file: &str, content: &str) -> String {
        let folder = folder_with(file, content);
        let error = Facts::load(&folder)
            .expect_err("the table is broken")
            .to_string();
        std::fs::remove_dir_all(&folder).expect("own folder");
        error
    }

    fn folder_with(file: &str, content: &str) -> PathBuf {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "facts-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("temporary folder");
        let valid = [
            (
                "nt-layout.csv",
                "struct,size,align,field,offset,field_size_or_bits\nS,4,2,,,\nS,,,A,0,2\n",
            ),
            ("nt-constants.csv", "name,value\nK,0x10\n"),
            ("nt-enums.csv", "enum,name,value\nE,Minus,-1\n"),
        ];
        for (name, text) in valid {
            let text = if name == file { content } else { text };
            std::fs::write(folder.join(name), text).expect("temporary file");
        }
        folder
    }

    #[test]
    fn negative_enumerators_and_hexadecimal_macros_parse() {
        let folder = folder_with("", "");
        let facts = Facts::load(&folder).expect("valid");
        std::fs::remove_dir_all(&folder).expect("own folder");
        assert_eq!(facts.constant("K"), Some(16));
        assert_eq!(facts.constant("Minus"), Some(-1));
    }

    #[test]
    fn wrong_header_is_refused() {
        let error = error_of("nt-constants.csv", "value,name\n");
        assert!(error.contains("nt-constants.csv:1: the first line must be `name,value`"));
    }

    #[test]
    fn wrong_column_count_is_refused() {
        let error = error_of("nt-constants.csv", "name,value\nA,1\nB\n");
        assert!(
            error.contains("nt-constants.csv:3: 1 columns where 2 are due"),
            "{error}"
        );
    }

    #[test]
    fn text_where_a_number_is_due_is_refused() {
        let error = error_of("nt-enums.csv", "enum,name,value\nE,A,zero\n");
        assert!(
            error.contains("column `value` is no number: `zero`"),
            "{error}"
        );
    }

    #[test]
    fn duplicates_are_refused() {
        let error = error_of("nt-constants.csv", "name,value\nA,1\nA,1\n");
        assert!(error.contains("`A` appears twice"), "{error}");
    }

    #[test]
    fn one_name_with_two_values_is_refused() {
        let error = error_of("nt-enums.csv", "enum,name,value\nE,K,17\n");
        assert!(error.contains("`K` has two different values"), "{error}");
    }

    #[test]
    fn field_before_its_struct_is_refused() {
        let error = error_of(
            "nt-layout.csv",
            "struct,size,align,field,offset,field_size_or_bits\nS,,,A,0,2\n",
        );
        assert!(
            error.contains("field of `S` before the row with its size"),
            "{error}"
        );
    }

    #[test]
    fn field_outside_its_struct_is_refused() {
        let error = error_of(
            "nt-layout.csv",
            "struct,size,align,field,offset,field_size_or_bits\nS,4,2,,,\nS,,,A,3,2\n",
        );
        assert!(error.contains("field `A` lies outside"), "{error}");
    }

    #[test]
    fn malformed_bit_field_and_alignment_are_refused() {
        let head = "struct,size,align,field,offset,field_size_or_bits\n";
        let bits = error_of(
            "nt-layout.csv",
            &format!("{head}S,4,2,,,\nS,,,A,0,bits:9+1\n"),
        );
        assert!(bits.contains("`bits:9+1`"), "{bits}");
        let align = error_of("nt-layout.csv", &format!("{head}S,4,3,,,\n"));
        assert!(align.contains("alignment 3"), "{align}");
    }
}
