//! Date and version of a package: those of the commit, so that every build of it says the same.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::der;
use crate::process;

/// A commit, as the package names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    /// Time of the commit, in seconds since 1970.
    pub(crate) seconds: i64,
    /// Workspace version and number of commits: `w.x.y.z`.
    pub(crate) version: String,
}

impl Revision {
    /// That of the repository at `root`.
    ///
    /// # Errors
    /// It is no git repository.
    pub(crate) fn of(root: &Path) -> Result<Self> {
        let seconds = git(root, &["log", "-1", "--format=%ct"])?;
        let commits: u32 = git(root, &["rev-list", "--count", "HEAD"])?.parse()?;
        Ok(Self {
            seconds: seconds.parse()?,
            // Each part of DriverVer is a 16-bit number.
            version: format!("{}.{}", env!("CARGO_PKG_VERSION"), commits.min(65_535)),
        })
    }

    /// `mm/dd/yyyy,w.x.y.z`.
    pub(crate) fn driver_ver(&self) -> String {
        let (year, month, day) = der::date(self.seconds.div_euclid(86_400));
        format!("{month:02}/{day:02}/{year},{}", self.version)
    }

    /// The INF file with its `DriverVer` set.
    ///
    /// # Errors
    /// It does not have exactly one such line.
    pub(crate) fn stamp(&self, inf: &str) -> Result<String> {
        let is_driver_ver = |line: &str| {
            line.split_once('=')
                .is_some_and(|(key, _)| key.trim().eq_ignore_ascii_case("DriverVer"))
        };
        let count = inf.lines().filter(|line| is_driver_ver(line)).count();
        if count != 1 {
            bail!("{count} lines DriverVer, not one");
        }
        // Windows wants its own line ends of a text file.
        Ok(inf
            .lines()
            .map(|line| match line.split_once('=') {
                Some((key, _)) if is_driver_ver(line) => {
                    format!("{key}= {}\r\n", self.driver_ver())
                }
                _ => format!("{line}\r\n"),
            })
            .collect())
    }
}

fn git(root: &Path, arguments: &[&str]) -> Result<String> {
    let output = process::program("git")
        .current_dir(root)
        .args(arguments)
        .output()
        .context("cannot start git")?;
    if !output.status.success() {
        bail!(
            "git {arguments:?} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision() -> Revision {
        Revision {
            seconds: 1_709_251_199,
            version: "0.1.0.57".to_owned(),
        }
    }

    #[test]
    fn only_the_line_driver_ver_changes() {
        let stamped = revision()
            .stamp("; DriverVer is set\n[Version]\nDriverVer   = 01/01/2026,0.1.0.0\nClass = Net\n")
            .unwrap();
        assert_eq!(
            stamped,
            "; DriverVer is set\r\n[Version]\r\nDriverVer   = 02/29/2024,0.1.0.57\r\nClass = Net\r\n"
        );
    }

    #[test]
    fn a_file_without_the_line_or_with_two_is_refused() {
        assert!(revision().stamp("[Version]\n").is_err());
        assert!(revision().stamp("DriverVer=1\nDriverVer=2\n").is_err());
    }
}
