//! Runs the programs of dom0, each with a time limit.

use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// Seconds a program may take unless something else is said.
const SECONDS: u64 = 60;

/// A program and its arguments.
#[derive(Debug)]
pub(crate) struct Tool {
    name: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    seconds: u64,
}

impl Tool {
    /// A program by name.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            seconds: SECONDS,
        }
    }

    /// Adds arguments.
    pub(crate) fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds a variable to its environment.
    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Seconds it may take.
    pub(crate) fn seconds(mut self, seconds: u64) -> Self {
        self.seconds = seconds;
        self
    }

    /// Runs it to its end, and returns what it printed.
    ///
    /// # Errors
    /// It cannot be started, takes too long, or ends with another code than 0.
    pub(crate) fn run(&self) -> Result<String> {
        let output = self.output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        bail!(
            "{} {}: {}: {}{}",
            self.name,
            self.args.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stdout).trim(),
            String::from_utf8_lossy(&output.stderr).trim()
        )
    }

    /// Whether it ends with code 0.
    pub(crate) fn succeeds(&self) -> bool {
        self.output().is_ok_and(|output| output.status.success())
    }

    fn output(&self) -> Result<Output> {
        Command::new("busybox")
            .arg("timeout")
            .arg(self.seconds.to_string())
            .arg(&self.name)
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot start {}", self.name))
    }
}
