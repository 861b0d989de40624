//! Lists every public type, field and constant of `crates/xen-abi`, from its sources, as a Rust table of their
//! sizes, offsets and values. An item of a kind this program does not know stops the build, so that nothing
//! escapes the comparison.
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use quote::ToTokens as _;
use syn::{Fields, ImplItem, Item, Type, Visibility};

fn main() {
    let source = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("set by cargo"))
        .join("../../crates/xen-abi/src");
    println!("cargo::rerun-if-changed={}", source.display());
    let mut out = String::from("&[\n");
    for module in modules(&source) {
        let file = parse(&source.join(format!("{module}.rs")));
        for item in &file.items {
            list_item(&module, item, &mut out);
        }
    }
    out.push(']');
    let target = PathBuf::from(env::var("OUT_DIR").expect("set by cargo")).join("items.rs");
    fs::write(target, out).expect("cannot write items.rs");
}

fn parse(path: &Path) -> syn::File {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The modules `lib.rs` declares; it may hold nothing else, and no file may be left out.
fn modules(source: &Path) -> Vec<String> {
    let mut names: Vec<String> = parse(&source.join("lib.rs"))
        .items
        .iter()
        .map(|item| match item {
            Item::Mod(m) if m.content.is_none() => m.ident.to_string(),
            other => panic!(
                "lib.rs holds more than modules: {}",
                other.to_token_stream()
            ),
        })
        .collect();
    names.sort();
    let mut files: Vec<String> = fs::read_dir(source)
        .expect("xen-abi/src")
        .map(|entry| entry.expect("directory entry").path())
        .map(|path| {
            path.file_stem()
                .expect("file name")
                .to_string_lossy()
                .into_owned()
        })
        .filter(|stem| stem != "lib")
        .collect();
    files.sort();
    assert_eq!(
        names, files,
        "modules declared in lib.rs and files in src differ"
    );
    names
}

fn is_public(vis: &Visibility) -> bool {
    matches!(vis, Visibility::Public(_))
}

fn list_item(module: &str, item: &Item, out: &mut String) {
    match item {
        Item::Use(_) => {}
        Item::Struct(s) => list_struct(module, s, out),
        Item::Const(c) if is_public(&c.vis) => {
            list_const(&format!("{module}::{}", c.ident), &c.ty, out);
        }
        Item::Type(t) if is_public(&t.vis) => {
            let path = format!("{module}::{}", t.ident);
            let rust = format!("xen_abi::{path}");
            write_row(
                out,
                &path,
                &format!("Fact::Alias {{ size: size_of::<{rust}>() }}"),
            );
        }
        Item::Impl(i) if i.trait_.is_none() => {
            let Type::Path(of) = &*i.self_ty else {
                panic!("{module}: impl of an unknown form: {}", i.to_token_stream());
            };
            let name = of.path.get_ident().expect("impl of a type of the module");
            for inner in &i.items {
                match inner {
                    ImplItem::Const(c) => {
                        list_const(&format!("{module}::{name}::{}", c.ident), &c.ty, out);
                    }
                    other => panic!(
                        "{module}::{name}: not a constant: {}",
                        other.to_token_stream()
                    ),
                }
            }
        }
        other => panic!(
            "{module}: item of an unknown kind: {}",
            other.to_token_stream()
        ),
    }
}

fn list_struct(module: &str, s: &syn::ItemStruct, out: &mut String) {
    assert!(is_public(&s.vis), "{module}::{} is not public", s.ident);
    let path = format!("{module}::{}", s.ident);
    let rust = format!("xen_abi::{path}");
    write_row(
        out,
        &path,
        &format!("Fact::Type {{ size: size_of::<{rust}>(), align: align_of::<{rust}>() }}"),
    );
    match &s.fields {
        Fields::Named(fields) => {
            for field in &fields.named {
                let name = field.ident.as_ref().expect("named");
                assert!(is_public(&field.vis), "{path}.{name} is not public");
                write_row(
                    out,
                    &format!("{path}.{name}"),
                    &format!(
                        "Fact::Field {{ offset: offset_of!({rust}, {name}), \
                         size: field_size(|x: &{rust}| &x.{name}) }}"
                    ),
                );
            }
        }
        Fields::Unnamed(fields) => assert_eq!(fields.unnamed.len(), 1, "{path}: not a newtype"),
        Fields::Unit => panic!("{path}: a unit struct has no C counterpart"),
    }
}

fn list_const(path: &str, ty: &Type, out: &mut String) {
    let rust = format!("xen_abi::{path}");
    let fact = match ty {
        Type::Path(p) if p.path.is_ident("Self") => format!("Fact::Value({rust}.0 as i128)"),
        Type::Path(_) => format!("Fact::Value({rust} as i128)"),
        Type::Array(_) => format!("Fact::Names(&{rust})"),
        other => panic!(
            "{path}: constant of an unknown type: {}",
            other.to_token_stream()
        ),
    };
    write_row(out, path, &fact);
}

fn write_row(out: &mut String, path: &str, fact: &str) {
    writeln!(out, "    Row {{ item: {path:?}, fact: {fact} }},").expect("writing to a string");
}
