//! The probe crate: a table of what the compiler for Windows makes of a binding.
//!
//! Each [`Request`] becomes one row of two 64-bit numbers in a static that has a link section of
//! its own. The probe is compiled to a library, never linked and never run; [`read_table`] finds
//! the section in the archive's object files.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use object::read::archive::ArchiveFile;
use object::{Object, ObjectSection};

/// The target whose layouts count.
pub const TARGET: &str = "x86_64-pc-windows-msvc";
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

/// A crate on disk that depends on the binding crates.
#[derive(Clone, Debug)]
pub struct Probe {
    folder: PathBuf,
}

/// A binding crate that was built, and where its sources are.
#[derive(Clone, Debug)]
pub struct BuiltCrate {
    /// Root source file.
    pub root: PathBuf,
    /// The build script's output folder, if it has one.
    pub out_dir: Option<PathBuf>,
}

impl Probe {
    /// Writes an empty probe into `workspace/target/layout-probe`. `dependencies` are lines of a
    /// `[dependencies]` table.
    pub fn create(workspace: &Path, dependencies: &str) -> Result<Self, ProbeError> {
        let folder = workspace.join("target/layout-probe");
        let write = |path: PathBuf, text: &str| {
            std::fs::write(&path, text).map_err(|error| ProbeError::Io(path, error))
        };
        let source = folder.join("src");
        std::fs::create_dir_all(&source).map_err(|error| ProbeError::Io(source, error))?;
        let wdk_build = workspace.join("cross/wdk-build");
        let manifest = format!(
            "[package]\nname = \"layout-probe\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
             publish = false\n\n[workspace]\n\n\
             [workspace.metadata.wdk.driver-model]\ndriver-type = \"WDM\"\n\n\
             [package.metadata.wdk.driver-model]\ndriver-type = \"WDM\"\n\n\
             [profile.dev]\npanic = \"abort\"\ndebug = false\nincremental = false\n\n\
             [dependencies]\n{dependencies}\n\
             [patch.crates-io]\nwdk-build = {{ path = '{}' }}\n",
            wdk_build.display()
        );
        write(folder.join("Cargo.toml"), &manifest)?;
        write(folder.join("src/lib.rs"), HEAD)?;
        // The workspace's own versions of everything.
        let (from, to) = (workspace.join("Cargo.lock"), folder.join("Cargo.lock"));
        std::fs::copy(&from, to).map_err(|error| ProbeError::Io(from, error))?;
        Ok(Self { folder })
    }

    /// Builds the probe as it stands and finds the crate `name` among its dependencies.
    pub fn find_crate(&self, name: &str) -> Result<BuiltCrate, ProbeError> {
        let messages = self.build()?;
        let of_crate = |message: &&serde_json::Value| {
            let id = message["package_id"].as_str().unwrap_or_default();
            // `registry+…#name@version`, or `path+file:///…/name#version`.
            id.contains(&format!("#{name}@")) || id.contains(&format!("/{name}#"))
        };
        let with_reason = |reason: &'static str| {
            messages
                .iter()
                .filter(of_crate)
                .filter(move |message| message["reason"] == reason)
        };
        let root = with_reason("compiler-artifact")
            .filter(|message| {
                let kinds = message["target"]["kind"].as_array();
                kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == "lib"))
            })
            .find_map(|message| message["target"]["src_path"].as_str())
            .ok_or_else(|| ProbeError::Missing(format!("crate {name}")))?;
        let out_dir = with_reason("build-script-executed")
            .find_map(|message| message["out_dir"].as_str())
            .map(PathBuf::from);
        Ok(BuiltCrate {
            root: PathBuf::from(root),
            out_dir,
        })
    }

    /// Asks the compiler.
    pub fn ask(&self, requests: &[Request]) -> Result<Vec<Row>, ProbeError> {
        let file = self.folder.join("src/lib.rs");
        std::fs::write(&file, source_of(requests)).map_err(|error| ProbeError::Io(file, error))?;
        let messages = self.build()?;
        let library = messages
            .iter()
            .filter(|message| message["target"]["name"] == "layout_probe")
            .filter_map(|message| message["filenames"].as_array())
            .flatten()
            .filter_map(serde_json::Value::as_str)
            .find(|name| {
                let extension = Path::new(name).extension();
                extension.is_some_and(|extension| extension == "rlib")
            })
            .ok_or_else(|| ProbeError::Missing("the probe's library".to_owned()))?;
        let library = PathBuf::from(library);
        let bytes =
            std::fs::read(&library).map_err(|error| ProbeError::Io(library.clone(), error))?;
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

    /// The source of the dependency `name` with its macros expanded, so that what macros declare
    /// is seen, too. Only an unstable option of the compiler gives that; it is allowed for this
    /// one crate, and nothing is built from the result.
    pub fn expand(&self, name: &str) -> Result<String, ProbeError> {
        let mut cargo = self.cargo("rustc");
        cargo.args([
            "--quiet",
            "--lib",
            "--package",
            name,
            "--",
            "-Zunpretty=expanded",
        ]);
        let output = run(&mut cargo)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let messages = String::from_utf8_lossy(&output.stderr);
        Err(ProbeError::Build(messages.into_owned()))
    }

    fn cargo(&self, command: &str) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .current_dir(&self.folder)
            // Set for every call, or cargo would build all again when it changes.
            .env("RUSTC_BOOTSTRAP", "ndis_sys")
            .args([command, "--target", TARGET, "--target-dir"])
            .arg(self.folder.join("target"));
        cargo
    }

    fn build(&self) -> Result<Vec<serde_json::Value>, ProbeError> {
        let mut cargo = self.cargo("build");
        let output = run(cargo.arg("--message-format=json"))?;
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
}

fn run(command: &mut Command) -> Result<std::process::Output, ProbeError> {
    let program = PathBuf::from(command.get_program());
    command
        .output()
        .map_err(|error| ProbeError::Io(program, error))
}

/// The rows in an `.rlib` or object file.
pub fn read_table(bytes: &[u8]) -> Result<Vec<Row>, ProbeError> {
    let table = |reason: &str| ProbeError::Table(reason.to_owned());
    if let Ok(archive) = ArchiveFile::parse(bytes) {
        for member in archive.members() {
            let member = member.map_err(|error| ProbeError::Table(error.to_string()))?;
            let data = member
                .data(bytes)
                .map_err(|error| ProbeError::Table(error.to_string()))?;
            if let Some(rows) = rows_of_object(data)? {
                return Ok(rows);
            }
        }
        return Err(table("no member of the library has it"));
    }
    rows_of_object(bytes)?.ok_or_else(|| table("the object file has none"))
}

fn rows_of_object(bytes: &[u8]) -> Result<Option<Vec<Row>>, ProbeError> {
    // Members that are no object file hold the compiler's metadata.
    let Ok(file) = object::File::parse(bytes) else {
        return Ok(None);
    };
    let Some(section) = file.section_by_name(SECTION) else {
        return Ok(None);
    };
    let data = section
        .data()
        .map_err(|error| ProbeError::Table(error.to_string()))?;
    let (words, _) = data.as_chunks::<8>();
    let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let (rows, _) = words.as_chunks::<2>();
    match rows {
        [[MARK, count], rest @ ..] if usize::try_from(*count) == Ok(rest.len()) => {
            Ok(Some(rest.to_vec()))
        }
        _ => Err(ProbeError::Table("damaged section".to_owned())),
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
    fn bytes_that_are_no_library_are_refused() {
        let error = read_table(b"not a library").expect_err("garbage");
        assert!(error.to_string().contains("has none"), "{error}");
    }
}
