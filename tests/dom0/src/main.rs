//! The program that dom0's init ends with: runs the plan in the shared folder, writes what happened
//! beside it.

mod command;
mod commands;
mod console;
mod domain;
mod journal;
mod observe;
mod peer;
mod script;
mod trouble;

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, Result};
use dom0::{
    event::Event,
    plan::{Case, Plan},
};

use crate::{command::Tool, commands::Commands, journal::Journal};

fn main() -> Result<()> {
    let share = PathBuf::from(
        std::env::args()
            .nth(1)
            .context("usage: dom0 SHARED_FOLDER")?,
    );
    let plan = std::fs::read(share.join("plan.json")).context("plan.json")?;
    let plan: Plan = serde_json::from_slice(&plan).context("plan.json")?;
    let journal = Arc::new(Journal::create(&share.join("events.jsonl"))?);
    let commands = Arc::new(Commands::default());
    peer::serve(&journal, &commands)?;
    journal.write(Event::Dom0 {
        xen: xen_version()?,
        linux: Tool::new("busybox")
            .args(["uname", "-r"])
            .run()?
            .trim()
            .to_owned(),
    });
    for case in &plan.cases {
        run(case, &share, &journal, &commands)?;
    }
    journal.write(Event::AllDone);
    Ok(())
}

fn run(
    case: &Case,
    share: &std::path::Path,
    journal: &Arc<Journal>,
    commands: &Commands,
) -> Result<()> {
    let folder = share.join(&case.name);
    std::fs::create_dir_all(&folder)?;
    commands.forget();
    journal.enter(&case.name);
    journal.write(Event::Begin);
    let (failure, left) = script::run(case, &folder, journal, commands);
    let lines = trouble::lines(&folder)?;
    if !lines.is_empty() {
        journal.write(Event::KernelTrouble { lines });
    }
    journal.write(Event::Finished { failure, left });
    journal.enter("");
    Ok(())
}

/// Xen's version, as its toolstack says it: `4.17.7`.
fn xen_version() -> Result<String> {
    let part = |name: &str| -> Result<String> {
        let path = format!("/sys/hypervisor/version/{name}");
        let text = std::fs::read_to_string(&path).context(path)?;
        Ok(text.trim().to_owned())
    };
    Ok(format!(
        "{}.{}{}",
        part("major")?,
        part("minor")?,
        part("extra")?
    ))
}
