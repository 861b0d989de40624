//! The C program that prints what the headers say.
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::{CName, Fact, Row};

const PROLOGUE: &str = r"
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <xen/xen.h>
#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/elfnote.h>
#include <xen/grant_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/hvm/pvdrivers.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>
#include <xen/arch-x86/cpuid.h>
#include <xen/arch-x86/hvm/start_info.h>
#include <xen/io/ring.h>
#include <xen/io/netif.h>
#include <xen/io/xenbus.h>
#include <xen/io/xs_wire.h>

#define PRODUCT(name, number) { name, number },
static const struct { const char *name; long number; } products[] = { PVDRIVERS_PRODUCT_LIST(PRODUCT) };
static long pvdrivers_product(const char *name)
{
    for (size_t i = 0; i < sizeof products / sizeof products[0]; i++)
        if (strcmp(products[i].name, name) == 0)
            return products[i].number;
    return -1;
}

int main(void)
{
";

/// The program's text: one `printf` per item that a header names.
///
/// # Errors
/// An item whose C name has the wrong form for its kind, or a field whose struct has no C name.
pub fn text(rows: &[Row], names: &BTreeMap<String, CName>) -> Result<String, String> {
    let mut out = String::from(PROLOGUE);
    for row in rows {
        let item = row.item;
        let statement = match (row.fact, names.get(item)) {
            (_, None | Some(CName::Nowhere(_))) => continue,
            (Fact::Type { .. }, Some(CName::Is(c))) => {
                format!("printf(\"{item} %zu %zu\\n\", sizeof({c}), _Alignof({c}));")
            }
            (Fact::Field { .. }, Some(CName::Is(member))) => {
                let of = item.split('.').next().unwrap_or_default();
                let Some(CName::Is(c)) = names.get(of) else {
                    return Err(format!("{item}: {of} has no C name"));
                };
                format!(
                    "printf(\"{item} %zu %zu\\n\", offsetof({c}, {member}), sizeof((({c} *)0)->{member}));"
                )
            }
            (Fact::Alias { .. }, Some(CName::Size(c))) => {
                format!("printf(\"{item} %zu\\n\", (size_t)({c}));")
            }
            (Fact::Value(v), Some(CName::Is(c))) if v > i128::from(i64::MAX) => {
                format!("printf(\"{item} %llu\\n\", (unsigned long long)({c}));")
            }
            (Fact::Value(_), Some(CName::Is(c))) => {
                format!("printf(\"{item} %lld\\n\", (long long)({c}));")
            }
            (Fact::Names(_), Some(CName::Is(c))) => format!(
                "printf(\"{item}\"); for (size_t i = 0; i < sizeof {c} / sizeof {c}[0]; i++) \
                 printf(\" %s=%d\", {c}[i].errstring, {c}[i].errnum); printf(\"\\n\");"
            ),
            (_, Some(other)) => return Err(format!("{item}: C name of the wrong form: {other:?}")),
        };
        writeln!(out, "    {statement}").map_err(|e| e.to_string())?;
    }
    out.push_str("    return 0;\n}\n");
    Ok(out)
}

/// Compiles the program with `cc`, runs it, and returns what it printed.
///
/// # Errors
/// The headers or the compiler are missing (says what to install), or the compiler's messages.
pub fn run(text: &str, directory: &Path) -> Result<String, String> {
    if !Path::new("/usr/include/xen/xen.h").exists() {
        return Err("Xen's headers are missing: apt-get install libxen-dev".to_owned());
    }
    let source: PathBuf = directory.join("xen-headers.c");
    let binary = directory.join("xen-headers");
    fs::write(&source, text).map_err(|e| format!("{}: {e}", source.display()))?;
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let outcome = Command::new(&compiler)
        .args(["-std=gnu11", "-m64", "-o"])
        .arg(&binary)
        .arg(&source)
        .output()
        .map_err(|e| {
            format!(
                "no C compiler ({}: {e}): apt-get install gcc libc6-dev",
                compiler.display()
            )
        })?;
    if !outcome.status.success() {
        return Err(format!(
            "the C program does not compile:\n{}",
            String::from_utf8_lossy(&outcome.stderr)
        ));
    }
    let ran = Command::new(&binary)
        .output()
        .map_err(|e| format!("{}: {e}", binary.display()))?;
    String::from_utf8(ran.stdout).map_err(|e| e.to_string())
}
