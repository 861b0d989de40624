//! What a binding crate declares, read from its sources.
//!
//! Names are those of C. A type is found under its own name, through type aliases, and with the
//! underscore that C puts before structure tags (`_IRP` for `IRP`).

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use quote::ToTokens;
use syn::{Attribute, Fields, ImplItem, Item, Type, Visibility};

/// The sources could not be read or parsed.
#[derive(Debug)]
pub struct SourceError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.reason)
    }
}

impl std::error::Error for SourceError {}

/// A field of a structure or union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What its type names.
    pub target: Target,
    /// Whether another crate can name it.
    pub public: bool,
}

/// What a type leads to, as far as layouts care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The type of this name, held by value.
    Value(String),
    /// A pointer to the type of this name.
    Pointer(String),
    /// Anything else: arrays, functions, tuples.
    Other,
}

/// A structure or union with named fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// Path from outside the crate, such as `ndis_sys::NET_BUFFER`.
    pub path: String,
    /// Its fields in order.
    pub fields: Vec<Field>,
}

/// A constant or enumerator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constant {
    /// Path from outside the crate, such as `wdk_sys::_POOL_TYPE::NonPagedPoolNx`.
    pub path: String,
    /// Its own name.
    pub name: String,
    /// The enum it belongs to, when it does.
    pub group: Option<String>,
    /// Whether it is a value that fits a register (else a string or table).
    pub scalar: bool,
    /// Whether `as` is needed to get at the number (Rust enums).
    pub is_variant: bool,
}

/// All that one crate declares publicly.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    /// Structures and unions by name.
    pub aggregates: BTreeMap<String, Aggregate>,
    /// Type aliases by name.
    pub aliases: BTreeMap<String, Target>,
    /// Constants by name; one of an enum is keyed `enum::name`.
    pub constants: BTreeMap<String, Constant>,
}

impl Bindings {
    /// Follows aliases, and C's tag underscore, from a type name to a structure held by value.
    pub fn aggregate(&self, name: &str) -> Option<(&str, &Aggregate)> {
        let mut name = name.to_owned();
        // An alias chain longer than this would be a cycle.
        for _ in 0..16 {
            if let Some((key, found)) = self.aggregates.get_key_value(&name) {
                return Some((key, found));
            }
            name = match self.aliases.get(&name) {
                Some(Target::Value(next)) => next.clone(),
                Some(_) => return None,
                None if name.starts_with('_') => return None,
                None => format!("_{name}"),
            };
        }
        None
    }

    /// Like [`Self::aggregate`], and through pointer aliases such as `PIRP`. Says whether a
    /// pointer was followed.
    pub fn aggregate_or_pointee(&self, target: &Target) -> Option<(&str, &Aggregate, bool)> {
        let mut target = target.clone();
        let mut through_pointer = false;
        for _ in 0..16 {
            let name = match target {
                Target::Value(name) => name,
                Target::Pointer(name) => {
                    through_pointer = true;
                    name
                }
                Target::Other => return None,
            };
            if let Some((key, found)) = self.aggregate(&name) {
                return Some((key, found, through_pointer));
            }
            target = self.aliases.get(&name)?.clone();
        }
        None
    }

    /// Adds what `text`, a whole crate or file whose items appear at `prefix`, declares. Modules
    /// must be inline; items of private ones count as re-exported at the nearest public level.
    pub fn add_text(&mut self, file: &Path, prefix: &str, text: &str) -> Result<(), SourceError> {
        let parsed = syn::parse_file(text).map_err(|error| {
            let at = error.span().start();
            SourceError {
                file: file.to_owned(),
                reason: format!("line {}: {error}", at.line),
            }
        })?;
        self.add_items(&parsed.items, prefix, None);
        Ok(())
    }

    fn add_items(&mut self, items: &[Item], prefix: &str, group: Option<&str>) {
        for item in items {
            match item {
                Item::Struct(item) if is_public(&item.vis) => {
                    self.add_struct(prefix, item);
                }
                Item::Union(item) if is_public(&item.vis) => {
                    let fields = named_fields(&item.fields);
                    self.add_aggregate(prefix, &item.ident.to_string(), fields);
                }
                Item::Type(item) if is_public(&item.vis) => {
                    let target = target_of(&item.ty);
                    self.aliases.entry(item.ident.to_string()).or_insert(target);
                }
                Item::Const(item) if is_public(&item.vis) => {
                    let scalar = matches!(*item.ty, Type::Path(_));
                    self.add_constant(prefix, &item.ident.to_string(), group, scalar, false);
                }
                Item::Enum(item) if is_public(&item.vis) => {
                    let name = item.ident.to_string();
                    let prefix = format!("{prefix}::{name}");
                    for variant in &item.variants {
                        let variant = variant.ident.to_string();
                        self.add_constant(&prefix, &variant, Some(&name), true, true);
                    }
                }
                Item::Impl(item) if item.trait_.is_none() => self.add_impl(prefix, item),
                Item::Mod(item) if !is_test_only(&item.attrs) => {
                    self.add_module(item, prefix);
                }
                _ => {}
            }
        }
    }

    fn add_module(&mut self, item: &syn::ItemMod, prefix: &str) {
        let Some((_, items)) = &item.content else {
            return;
        };
        let name = item.ident.to_string();
        let inner = if is_public(&item.vis) {
            format!("{prefix}::{name}")
        } else {
            prefix.to_owned()
        };
        // bindgen writes a C enum as a module with an alias `Type`.
        let is_enum = items
            .iter()
            .any(|item| matches!(item, Item::Type(alias) if alias.ident == "Type"));
        if !is_enum {
            return self.add_items(items, &inner, None);
        }
        let constants: Vec<Item> = items
            .iter()
            .filter(|item| matches!(item, Item::Const(_)))
            .cloned()
            .collect();
        self.add_items(&constants, &inner, Some(name.trim_start_matches('_')));
    }

    fn add_struct(&mut self, prefix: &str, item: &syn::ItemStruct) {
        // Generic and tuple structures are building blocks of bindings (newtypes, bit fields),
        // not C structures.
        if let (Fields::Named(fields), true) = (&item.fields, item.generics.params.is_empty()) {
            self.add_aggregate(prefix, &item.ident.to_string(), named_fields(fields));
        }
    }

    fn add_impl(&mut self, prefix: &str, item: &syn::ItemImpl) {
        let Target::Value(owner) = target_of(&item.self_ty) else {
            return;
        };
        let prefix = format!("{prefix}::{owner}");
        for item in &item.items {
            if let ImplItem::Const(item) = item
                && is_public(&item.vis)
            {
                let scalar = matches!(item.ty, Type::Path(_));
                self.add_constant(
                    &prefix,
                    &item.ident.to_string(),
                    Some(&owner),
                    scalar,
                    false,
                );
            }
        }
    }

    fn add_aggregate(&mut self, prefix: &str, name: &str, fields: Vec<Field>) {
        let path = format!("{prefix}::{name}");
        self.aggregates
            .entry(name.to_owned())
            .or_insert(Aggregate { path, fields });
    }

    fn add_constant(
        &mut self,
        prefix: &str,
        name: &str,
        group: Option<&str>,
        scalar: bool,
        is_variant: bool,
    ) {
        let key = match group {
            Some(group) => format!("{group}::{name}"),
            None => name.to_owned(),
        };
        self.constants.entry(key).or_insert(Constant {
            path: format!("{prefix}::{name}"),
            name: name.to_owned(),
            group: group.map(str::to_owned),
            scalar,
            is_variant,
        });
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .meta
                .to_token_stream()
                .to_string()
                .contains("test")
    })
}

fn named_fields(fields: &syn::FieldsNamed) -> Vec<Field> {
    let fields = fields.named.iter().filter_map(|field| {
        Some(Field {
            name: field.ident.as_ref()?.to_string(),
            target: target_of(&field.ty),
            public: is_public(&field.vis),
        })
    });
    fields.collect()
}

/// The last segment of a path, behind at most one pointer.
fn target_of(ty: &Type) -> Target {
    match ty {
        Type::Path(path) => match path.path.segments.last() {
            // `ManuallyDrop<T>` is how a union holds what is not `Copy`; it changes no layout.
            Some(segment) if segment.ident == "ManuallyDrop" => match &segment.arguments {
                syn::PathArguments::AngleBracketed(inner) => match inner.args.first() {
                    Some(syn::GenericArgument::Type(inner)) => target_of(inner),
                    _ => Target::Other,
                },
                _ => Target::Other,
            },
            Some(segment) if segment.arguments.is_empty() => {
                Target::Value(segment.ident.to_string())
            }
            _ => Target::Other,
        },
        Type::Ptr(pointer) => match target_of(&pointer.elem) {
            Target::Value(name) => Target::Pointer(name),
            _ => Target::Other,
        },
        _ => Target::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Bindings {
        let mut bindings = Bindings::default();
        bindings
            .add_text(Path::new("inline.rs"), "sys", text)
            .expect("the text parses");
        bindings
    }

    #[test]
    fn structs_unions_and_aliases_are_found() {
        let bindings = parse(
            "#[repr(C)] pub struct _A { pub Next: *mut _A, pub u: A_U, hidden: u8 }
             #[repr(C)] pub union A_U { pub X: u32, pub Y: [u8; 4] }
             pub type A = _A; pub type PA = *mut A; struct Private { x: u8 }",
        );
        let (name, a) = bindings.aggregate("A").expect("through the alias");
        assert_eq!((name, a.path.as_str()), ("_A", "sys::_A"));
        assert_eq!(a.fields[0].target, Target::Pointer("_A".to_owned()));
        assert!(!a.fields[2].public);
        let pointer = Target::Value("PA".to_owned());
        let (name, _, through_pointer) = bindings.aggregate_or_pointee(&pointer).expect("PA");
        assert_eq!((name, through_pointer), ("_A", true));
        assert!(bindings.aggregate("PA").is_none());
        assert!(bindings.aggregate("Private").is_none());
        assert_eq!(bindings.aggregates["A_U"].fields.len(), 2);
    }

    #[test]
    fn constants_of_every_form_are_found() {
        let bindings = parse(
            "pub const K: u32 = 1; pub const TEXT: &[u8; 2] = b\"x\\0\";
             pub mod _E { pub type Type = i32; pub const A: Type = 0; }
             #[repr(i32)] pub enum F { B = 2 }
             pub struct G(pub u32); impl G { pub const C: G = G(3); }",
        );
        let paths: Vec<&str> = bindings
            .constants
            .values()
            .map(|c| c.path.as_str())
            .collect();
        assert_eq!(
            paths,
            [
                "sys::_E::A",
                "sys::F::B",
                "sys::G::C",
                "sys::K",
                "sys::TEXT"
            ]
        );
        assert_eq!(bindings.constants["E::A"].group.as_deref(), Some("E"));
        assert!(bindings.constants["F::B"].is_variant);
        assert!(!bindings.constants["TEXT"].scalar);
    }

    #[test]
    fn private_modules_count_as_reexported_and_tests_do_not() {
        let bindings = parse(
            "mod a { pub const X: u8 = 1; } pub mod b { pub const Y: u8 = 1; }
             #[cfg(test)] mod tests { pub const Z: u8 = 1; }",
        );
        assert_eq!(bindings.constants["X"].path, "sys::X");
        assert_eq!(bindings.constants["Y"].path, "sys::b::Y");
        assert!(!bindings.constants.contains_key("Z"));
    }

    #[test]
    fn alias_cycles_end() {
        let bindings = parse("pub type A = B; pub type B = A;");
        assert!(bindings.aggregate("A").is_none());
        let target = Target::Value("A".to_owned());
        assert!(bindings.aggregate_or_pointee(&target).is_none());
    }

    #[test]
    fn syntax_errors_name_the_file_and_line() {
        let error = Bindings::default()
            .add_text(Path::new("inline.rs"), "sys", "pub struct A {\n pub x u8 }")
            .expect_err("broken");
        assert!(
            error.to_string().starts_with("inline.rs: line 2"),
            "{error}"
        );
    }
}
