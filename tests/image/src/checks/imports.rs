//! What the image imports, held against the reviewed lists and mingw-w64's libraries.

use object::LittleEndian as LE;
use object::pe::ImageNtHeaders64;
use object::read::pe::{Import, ImportTable};

use super::{Check, Findings};
use crate::image::{Directory, Image};
use crate::import_list::Exporter;
use crate::{Counts, Policy};

pub(super) fn check(
    image: &Image<'_>,
    policy: Policy<'_>,
    findings: &mut Findings,
    counts: &mut Counts,
) {
    let none = image.directory(Directory::DelayImport).is_none();
    findings.require(none, Check::DelayImport, || {
        "there are delayed imports".to_owned()
    });
    match imports(image) {
        Ok(imports) => {
            counts.imports = imports.len();
            for (source, name) in imports {
                check_one(&source, name.as_deref(), policy, findings);
            }
        }
        Err(error) => findings.add(Check::ImportTable, error.to_string()),
    }
}

/// Every import: the exporting image, and the name or `None` for a number.
fn imports(image: &Image<'_>) -> object::read::Result<Vec<(String, Option<String>)>> {
    let Some(table) = image.file.import_table()? else {
        return Ok(Vec::new());
    };
    let mut imports = Vec::new();
    let mut descriptors = table.descriptors()?;
    while let Some(descriptor) = descriptors.next()? {
        let source = text(table.name(descriptor.name.get(LE))?);
        // The lookup table, or where a linker made none, the address table.
        let lookup = match descriptor.original_first_thunk.get(LE) {
            0 => descriptor.first_thunk.get(LE),
            lookup => lookup,
        };
        for name in names(&table, lookup)? {
            imports.push((source.clone(), name));
        }
    }
    Ok(imports)
}

fn names(table: &ImportTable<'_>, lookup: u32) -> object::read::Result<Vec<Option<String>>> {
    let mut thunks = table.thunks(lookup)?;
    let mut names = Vec::new();
    while let Some(thunk) = thunks.next::<ImageNtHeaders64>()? {
        names.push(match table.import::<ImageNtHeaders64>(thunk)? {
            Import::Name(_, name) => Some(text(name)),
            Import::Ordinal(_) => None,
        });
    }
    Ok(names)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn check_one(source: &str, name: Option<&str>, policy: Policy<'_>, findings: &mut Findings) {
    let Some(exporter) = Exporter::of_image(source) else {
        findings.add(
            Check::ImportSource,
            format!("{source}!{}", name.unwrap_or("?")),
        );
        return;
    };
    let Some(name) = name else {
        findings.add(Check::ImportTable, format!("{source}: an import by number"));
        return;
    };
    let Some(entry) = policy.imports.get(exporter, name) else {
        findings.add(Check::ImportUnlisted, format!("{source}!{name}"));
        return;
    };
    let proven = policy.exports.has(exporter, name) || entry.since.is_some();
    findings.require(proven, Check::ImportUnproven, || format!("{source}!{name}"));
}
