//! Hands the kernel's layout to the linker.

fn main() {
    println!("cargo::rerun-if-changed=layout.ld");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        let here = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
        println!("cargo::rustc-link-arg-bins=-T{here}/layout.ld");
        println!("cargo::rustc-link-arg-bins=--build-id=none");
    }
}
