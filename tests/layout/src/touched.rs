//! Which structures of a binding our own sources reach into.
//!
//! A scan of tokens, not of types, so it errs on the side of more structures. One is touched by
//! a crate when the crate
//! - names it, or an alias of it (then its size matters); or
//! - names a pointer to it (`PIRP`), or holds one through a field it names, and also names one
//!   of its fields.
//!
//! A structure reached only through the return value of a function, without its name appearing
//! anywhere in the crate, is not found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::str::FromStr;

use proc_macro2::{TokenStream, TokenTree};

use crate::source::{Bindings, SourceError, Target};

/// Identifiers in Rust sources.
#[derive(Clone, Debug, Default)]
pub struct Identifiers(BTreeSet<String>);

impl Identifiers {
    /// Adds those of one file's text.
    pub fn add_text(&mut self, file: &Path, text: &str) -> Result<(), SourceError> {
        let tokens = TokenStream::from_str(text).map_err(|error| SourceError {
            file: file.to_owned(),
            reason: error.to_string(),
        })?;
        self.add_tokens(tokens);
        Ok(())
    }

    /// Adds those of every `.rs` file below `folder`. A folder that does not exist adds nothing.
    pub fn add_folder(&mut self, folder: &Path) -> Result<(), SourceError> {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return Ok(());
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                self.add_folder(&path)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).map_err(|error| SourceError {
                    file: path.clone(),
                    reason: error.to_string(),
                })?;
                self.add_text(&path, &text)?;
            }
        }
        Ok(())
    }

    /// Whether this identifier is among them.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    fn add_tokens(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.add_tokens(group.stream()),
                TokenTree::Ident(ident) => {
                    self.0.insert(ident.to_string());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    /// Structures of `bindings` these identifiers touch.
    pub fn touched<'a>(&self, bindings: &'a Bindings) -> BTreeSet<&'a str> {
        let mut touched = BTreeSet::new();
        // Reached by pointer; touched once one of their fields is named.
        let mut by_pointer = BTreeSet::new();
        for name in &self.0 {
            let target = Target::Value(name.clone());
            if let Some((found, _, through_pointer)) = bindings.aggregate_or_pointee(&target) {
                let set = if through_pointer {
                    &mut by_pointer
                } else {
                    &mut touched
                };
                set.insert(found);
            }
        }
        let mut pending: Vec<&str> = touched.iter().chain(&by_pointer).copied().collect();
        while let Some(name) = pending.pop() {
            let mut named_here = false;
            for (field, target) in self.named_fields(bindings, name, &mut BTreeSet::new()) {
                named_here |= !field.starts_with("__bindgen");
                let next = bindings.aggregate_or_pointee(target);
                if let Some((next, _, _)) = next
                    && by_pointer.insert(next)
                    && !touched.contains(next)
                {
                    pending.push(next);
                }
            }
            if named_here && by_pointer.contains(name) {
                touched.insert(name);
            }
        }
        touched
    }

    /// Fields of a structure, and of its anonymous parts, that are named in the sources.
    fn named_fields<'a>(
        &self,
        bindings: &'a Bindings,
        name: &str,
        seen: &mut BTreeSet<&'a str>,
    ) -> BTreeMap<&'a str, &'a Target> {
        let mut named = BTreeMap::new();
        let Some((key, aggregate)) = bindings.aggregate(name) else {
            return named;
        };
        if !seen.insert(key) {
            return named;
        }
        for field in &aggregate.fields {
            if field.name.starts_with("__bindgen_anon") {
                if let Target::Value(inner) = &field.target {
                    named.extend(self.named_fields(bindings, inner, seen));
                }
            } else if self.0.contains(&field.name) {
                named.insert(&field.name, &field.target);
            }
        }
        named
    }
}

/// Whether a structure is a part of another that C left without a name.
pub fn is_anonymous_part(name: &str) -> bool {
    name.contains("__bindgen_ty_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BINDINGS: &str = "
        pub struct _IRP { pub Tail: _IRP__bindgen_ty_1, pub Flags: u32 }
        pub union _IRP__bindgen_ty_1 { pub Overlay: u64, pub Stack: PIO_STACK }
        pub struct _IO_STACK { pub Major: u8 }
        pub struct _OPAQUE { pub Inside: u8 }
        pub struct _KEVENT { pub Header: u64 }
        pub type IRP = _IRP; pub type PIRP = *mut IRP; pub type PIO_STACK = *mut _IO_STACK;
        pub type POPAQUE = *mut _OPAQUE; pub type KEVENT = _KEVENT;";

    fn touched(code: &str) -> Vec<String> {
        let mut bindings = Bindings::default();
        bindings
            .add_text(Path::new("sys.rs"), "sys", BINDINGS)
            .expect("parses");
        let mut identifiers = Identifiers::default();
        identifiers
            .add_text(Path::new("code.rs"), code)
            .expect("parses");
        let touched = identifiers.touched(&bindings);
        touched.into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn a_structure_held_by_value_is_touched() {
        assert_eq!(touched("struct Event(UnsafeCell<KEVENT>);"), ["_KEVENT"]);
    }

    #[test]
    fn a_pointer_alone_touches_nothing() {
        assert!(touched("fn f(irp: PIRP, o: POPAQUE) {}").is_empty());
    }

    #[test]
    fn a_field_behind_a_pointer_touches() {
        assert_eq!(touched("fn f(irp: PIRP) -> u32 { (*irp).Flags }"), ["_IRP"]);
    }

    #[test]
    fn structures_are_followed_through_named_fields() {
        let code = "fn f(irp: PIRP) -> u8 { (*(*irp).Tail.Stack).Major }";
        assert_eq!(touched(code), ["_IO_STACK", "_IRP", "_IRP__bindgen_ty_1"]);
    }

    #[test]
    fn comments_and_strings_do_not_count() {
        assert!(touched("// KEVENT\nconst A: &str = \"KEVENT\";").is_empty());
    }
}
