//! The probe crate: a table of what the compiler for Windows makes of a binding.
//!
//! Each [`Request`] becomes one row of two 64-bit numbers in a static that has a link section of
//! its own. The probe is compiled, never linked and never run; [`read_table`] finds the section in
//! the object file.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use object::{Object, ObjectSection};

/// The target whose layouts count.
pub const TARGET: &str = "x86_64-pc-windows-msvc";
/// The profile the drivers are built with.
const PROFILE: &str = "driver";
/// Name of the section: eight bytes at most, or COFF moves it to the string table.
const SECTION: &str = ".layout";
/// First row of the table: it marks the section as ours and holds the number of rows after it.
const MARK: u64 = u64::from_le_bytes(*b"NTLAYOUT");

/// One question to the compiler. Paths are Rust paths from the probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Size and alignment of a type.
    Layout {
        /// The type.
        path: String,
    },
    /// Offset and size of a field.
    Field {
        /// The type.
        path: String,
        /// Path to the field, with dots.
        field: String,
    },
    /// Bits and size of a constant.
    Constant {
        /// The constant.
        path: String,
        /// Whether it is a variant of a Rust enum.
        is_variant: bool,
    },
}

/// The answer: size and alignment, offset and size, or bits and size.
pub type Row = [u64; 2];

/// The probe could not be built or read.
#[derive(Debug)]
pub enum ProbeError {
    /// A file could not be written or read, or cargo could not be started.
    Io(PathBuf, std::io::Error),
    /// Cargo failed; its messages.
    Build(String),
    /// The crate or its build output is not in cargo's messages.
    Missing(String),
    /// The library holds no table, or a damaged one.
    Table(String),
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Build(messages) => write!(f, "the probe does not build:\n{messages}"),
            Self::Missing(what) => write!(f, "{what} is not among what cargo built"),
            Self::Table(reason) => write!(f, "the probe's table: {reason}"),
        }
    }
}

impl std::error::Error for ProbeError {}

/// Source of the probe for these requests.
pub fn source_of(requests: &[Request]) -> String {
    let mut text = String::from(HEAD);
    let rows = requests.len() + 1;
    let _ = writeln!(
        text,
        "#[used]\n#[unsafe(link_section = \"{SECTION}\")]\n\
         pub static TABLE: [[u64; 2]; {rows}] = [\n    [{MARK}, {}],",
        requests.len()
    );
    for request in requests {
        let _ = match request {
            Request::Layout { path } => writeln!(
                text,
                "    [core::mem::size_of::<{path}>() as u64, core::mem::align_of::<{path}>() as u64],"
            ),
            Request::Field { path, field } => writeln!(
                text,
                "    [core::mem::offset_of!({path}, {field}) as u64, {{
        let place = core::mem::MaybeUninit::<{path}>::uninit();
        // SAFETY: nothing is read; the place is inside the memory that is named above.
        pointee(unsafe {{ &raw const (*place.as_ptr()).{field} }})
    }}],"
            ),
            Request::Constant { path, is_variant } => {
                let cast = if *is_variant { " as i64" } else { "" };
                writeln!(text, "    bits({path}{cast}),")
            }
        };
    }
    text.push_str("];\n");
    text
}

const HEAD: &str = "\
#![no_std]
#![allow(warnings)]
const fn pointee<T>(_: *const T) -> u64 {
    core::mem::size_of::<T>() as u64
}
const fn bits<T: Copy>(value: T) -> [u64; 2] {
    let size = core::mem::size_of::<T>();
    // SAFETY: a number of as many bytes as the value has, which is one of Rust's or C's integers.
    let bits = unsafe {
        match size {
            1 => core::mem::transmute_copy::<T, u8>(&value) as u64,
            2 => core::mem::transmute_copy::<T, u16>(&value) as u64,
            4 => core::mem::transmute_copy::<T, u32>(&value) as u64,
            8 => core::mem::transmute_copy::<T, u64>(&value),
            _ => panic!(\"a constant of this size is no number\"),
        }
    };
    [bits, size as u64]
}
";

/// A crate on disk that depends on the binding crates. It is built as the drivers are, with their profile and into
/// their folder: what runs at build time (bindgen above all) is there already when they were built.
#[derive(Clone, Debug)]
pub struct Probe {
    folder: PathBuf,
    target_dir: PathBuf,
    /// What cargo said of each crate.
    messages: Vec<serde_json::Value>,
}

/// A binding crate that was built, and where its sources are.
#[derive(Clone, Debug)]
pub struct BuiltCrate {
    /// Root source file.
    pub root: PathBuf,
    /// The library.
    pub library: PathBuf,
    /// The build script's output folder, if it has one.
    pub out_dir: Option<PathBuf>,
}

impl Probe {
    /// Writes an empty probe, and builds it with all it depends on, into the folder `layout-probe` of `target_dir`, the
    /// folder that the drivers of `workspace` are built into. `dependencies` are lines of a `[dependencies]` table.
    pub fn create(
        workspace: &Path,
        target_dir: &Path,
        dependencies: &str,
    ) -> Result<Self, ProbeError> {
        let folder = target_dir.join("layout-probe");
        let write = |path: PathBuf, text: &str| {
            std::fs::write(&path, text).map_err(|error| ProbeError::Io(path, error))
        };
        let source = folder.join("src");
        std::fs::create_dir_all(&source).map_err(|error| ProbeError::Io(source, error))?;
        // Cargo looks at the profile for build dependencies, too. Those of the drivers are there for the same features of
        // what both have in common.
        let from = workspace.join("Cargo.toml");
        let root = std::fs::read_to_string(&from).map_err(|error| ProbeError::Io(from, error))?;
        let manifest = format!(
            "[package]\nname = \"layout-probe\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
             publish = false\n\n[workspace]\n\n\
             [workspace.metadata.wdk.driver-model]\ndriver-type = \"WDM\"\n\n\
             [package.metadata.wdk.driver-model]\ndriver-type = \"WDM\"\n\n\
             {profile}\n\n\
             [dependencies]\n{dependencies}\n\
             [build-dependencies]\nimport-libraries = {{ path = '{implib}' }}\n\n\
             [patch.crates-io]\nwdk-build = {{ path = '{wdk_build}' }}\n",
            profile = table(&root, &format!("[profile.{PROFILE}]")),
            implib = workspace.join("cross/implib").display(),
            wdk_build = workspace.join("cross/wdk-build").display(),
        );
        write(folder.join("Cargo.toml"), &manifest)?;
        write(folder.join("build.rs"), "fn main() {}\n")?;
        write(folder.join("src/lib.rs"), HEAD)?;
        // The workspace's own versions of everything.
        let (from, to) = (workspace.join("Cargo.lock"), folder.join("Cargo.lock"));
        std::fs::copy(&from, to).map_err(|error| ProbeError::Io(from, error))?;
        let messages = build(&folder, target_dir)?;
        Ok(Self {
            folder,
            target_dir: target_dir.to_owned(),
            messages,
        })
    }

    /// The crate `name` among the probe's dependencies.
    pub fn find_crate(&self, name: &str) -> Result<BuiltCrate, ProbeError> {
        let of_crate = |message: &&serde_json::Value| {
            let id = message["package_id"].as_str().unwrap_or_default();
            // `registry+…#name@version`, or `path+file:///…/name#version`.
            id.contains(&format!("#{name}@")) || id.contains(&format!("/{name}#"))
        };
        let with_reason = |reason: &'static str| {
            self.messages
                .iter()
                .filter(of_crate)
                .filter(move |message| message["reason"] == reason)
        };
        let missing = || ProbeError::Missing(format!("crate {name}"));
        let artifact = with_reason("compiler-artifact")
            .find(|message| {
                let kinds = message["target"]["kind"].as_array();
                kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == "lib"))
            })
            .ok_or_else(missing)?;
        let root = artifact["target"]["src_path"]
            .as_str()
            .ok_or_else(missing)?;
        let out_dir = with_reason("build-script-executed")
            .find_map(|message| message["out_dir"].as_str())
            .map(PathBuf::from);
        Ok(BuiltCrate {
            root: PathBuf::from(root),
            library: library(artifact).ok_or_else(missing)?,
            out_dir,
        })
    }

    /// Asks the compiler. Paths in `requests` begin with a crate of `on`.
    pub fn ask(&self, requests: &[Request], on: &[&str]) -> Result<Vec<Row>, ProbeError> {
        let write = |path: &Path, text: String| {
            std::fs::write(path, text).map_err(|error| ProbeError::Io(path.to_owned(), error))
        };
        let (source, object) = (self.folder.join("table.rs"), self.folder.join("table.o"));
        write(&source, source_of(requests))?;
        let mut rustc = self.rustc("layout_probe", on)?;
        rustc.arg("--emit=obj").arg("-o").arg(&object).arg(source);
        succeeded(&run(&mut rustc)?)?;
        let bytes = std::fs::read(&object).map_err(|error| ProbeError::Io(object, error))?;
        let rows = read_table(&bytes)?;
        if rows.len() != requests.len() {
            return Err(ProbeError::Table(format!(
                "{} rows for {} requests",
                rows.len(),
                requests.len()
            )));
        }
        Ok(rows)
    }

    /// The source of `name`, which depends on `on`, with its macros expanded, so that what macros declare is seen, too.
    /// Only an unstable option of the compiler gives that; nothing is built from the result.
    pub fn expand(&self, name: &str, on: &[&str]) -> Result<String, ProbeError> {
        let mut rustc = self.rustc(&name.replace('-', "_"), on)?;
        rustc.arg("-Zunpretty=expanded").env("RUSTC_BOOTSTRAP", "1");
        let output = run(rustc.arg(self.find_crate(name)?.root))?;
        succeeded(&output)
    }

    /// The compiler, for a crate `name` that depends on `on`. It is called without cargo: for that the variable which
    /// allows unstable options is a reason to build other crates again, and it leaves no object file in libraries for
    /// link-time optimization.
    fn rustc(&self, name: &str, on: &[&str]) -> Result<Command, ProbeError> {
        let mut rustc = Command::new("rustc");
        rustc
            .args(["--edition=2024", "--crate-type=lib", "-Cpanic=abort"])
            .args(["--target", TARGET, "--crate-name", name]);
        // Libraries for the target, and macros for the host.
        let folders = [
            self.target_dir.join(TARGET).join(PROFILE).join("deps"),
            self.target_dir.join(PROFILE).join("deps"),
        ];
        for folder in folders {
            rustc
                .arg("-L")
                .arg(format!("dependency={}", folder.display()));
        }
        for dependency in on {
            let library = self.find_crate(dependency)?.library;
            let name = dependency.replace('-', "_");
            rustc.arg("--extern");
            rustc.arg(format!("{name}={}", library.display()));
        }
        Ok(rustc)
    }
}

/// Builds the probe in `folder`; cargo's messages.
fn build(folder: &Path, target_dir: &Path) -> Result<Vec<serde_json::Value>, ProbeError> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(folder)
        .args(["build", "--message-format=json", "--profile", PROFILE])
        .args(["--target", TARGET, "--target-dir"])
        .arg(target_dir);
    let output = run(&mut cargo)?;
    let lines = String::from_utf8_lossy(&output.stdout);
    let messages: Vec<serde_json::Value> = lines
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    if output.status.success() {
        return Ok(messages);
    }
    let rendered: String = messages
        .iter()
        .filter(|message| message["message"]["level"] == "error")
        .filter_map(|message| message["message"]["rendered"].as_str())
        .take(20)
        .collect();
    let progress = String::from_utf8_lossy(&output.stderr);
    Err(ProbeError::Build(format!("{rendered}{progress}")))
}

/// What a program printed, if all went well.
fn succeeded(output: &std::process::Output) -> Result<String, ProbeError> {
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(said(&output.stdout))
    } else {
        Err(ProbeError::Build(said(&output.stderr)))
    }
}

/// The table `name` of a manifest, up to the next empty line.
fn table<'a>(manifest: &'a str, name: &str) -> &'a str {
    let start = manifest.find(name).unwrap_or(manifest.len());
    let rest = manifest.get(start..).unwrap_or_default();
    rest.split("\n\n").next().unwrap_or_default()
}

/// The library among the files that a message of cargo's names.
fn library(artifact: &serde_json::Value) -> Option<PathBuf> {
    let names = artifact["filenames"].as_array()?.iter();
    names
        .filter_map(serde_json::Value::as_str)
        .map(PathBuf::from)
        .find(|name| {
            name.extension()
                .is_some_and(|extension| extension == "rlib")
        })
}

fn run(command: &mut Command) -> Result<std::process::Output, ProbeError> {
    let program = PathBuf::from(command.get_program());
    command
        .output()
        .map_err(|error| ProbeError::Io(program, error))
}

/// The rows in an object file.
pub fn read_table(bytes: &[u8]) -> Result<Vec<Row>, ProbeError> {
    let table = |reason: &str| ProbeError::Table(reason.to_owned());
    let file = object::File::parse(bytes).map_err(|error| table(&error.to_string()))?;
    let Some(section) = file.section_by_name(SECTION) else {
        return Err(table("the object file has none"));
    };
    let data = section.data().map_err(|error| table(&error.to_string()))?;
    let (words, _) = data.as_chunks::<8>();
    let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let (rows, _) = words.as_chunks::<2>();
    match rows {
        [[MARK, count], rest @ ..] if usize::try_from(*count) == Ok(rest.len()) => {
            Ok(rest.to_vec())
        }
        _ => Err(table("damaged section")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compiles a source that needs no dependency, for the Windows target, and reads its table.
    fn compile(tag: &str, source: &str) -> Vec<Row> {
        let folder = std::env::temp_dir().join(format!("layout-{tag}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("temporary folder");
        let (input, output) = (folder.join("probe.rs"), folder.join("probe.o"));
        std::fs::write(&input, source).expect("temporary file");
        let status = Command::new("rustc")
            .args([
                "--edition=2024",
                "--crate-type=lib",
                "--emit=obj",
                "-Cpanic=abort",
            ])
            .args(["--target", TARGET, "-o"])
            .args([&output, &input])
            .status()
            .expect("rustc starts");
        assert!(status.success());
        let rows = read_table(&std::fs::read(&output).expect("object file")).expect("table");
        std::fs::remove_dir_all(&folder).expect("own folder");
        rows
    }

    #[test]
    fn compiler_answers_layouts_fields_and_constants() {
        let requests = [
            Request::Layout {
                path: "S".to_owned(),
            },
            Request::Field {
                path: "S".to_owned(),
                field: "u.Inner.B".to_owned(),
            },
            Request::Field {
                path: "P".to_owned(),
                field: "B".to_owned(),
            },
            Request::Constant {
                path: "MINUS".to_owned(),
                is_variant: false,
            },
            Request::Constant {
                path: "NEWTYPE".to_owned(),
                is_variant: false,
            },
            Request::Constant {
                path: "E::Two".to_owned(),
                is_variant: true,
            },
        ];
        let source = source_of(&requests)
            + "#[repr(C)] pub struct S { A: u8, u: U }
               #[repr(C)] #[derive(Clone, Copy)] pub union U { Word: u64, Inner: I }
               #[repr(C)] #[derive(Clone, Copy)] pub struct I { A: u32, B: u16 }
               #[repr(C, packed)] pub struct P { A: u8, B: u32 }
               pub const MINUS: i32 = -1;
               #[derive(Clone, Copy)] pub struct N(u16); pub const NEWTYPE: N = N(7);
               #[repr(i32)] pub enum E { Two = 2 }";
        let rows = compile("answers", &source);
        let expected: [Row; 6] = [[16, 8], [12, 2], [1, 4], [0xffff_ffff, 4], [7, 2], [2, 8]];
        assert_eq!(rows, expected);
    }

    #[test]
    fn windows_long_is_asked_for_and_not_the_hosts() {
        let requests = [Request::Layout {
            path: "core::ffi::c_long".to_owned(),
        }];
        assert_eq!(compile("long", &source_of(&requests)), [[4, 4]]);
    }

    #[test]
    fn bytes_that_are_no_object_file_are_refused() {
        let error = read_table(b"not an object file").expect_err("garbage");
        assert!(matches!(error, ProbeError::Table(_)), "{error}");
    }
}
