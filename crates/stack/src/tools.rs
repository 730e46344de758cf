//! The servers' own tools for whoever operates this stack: `.onboard/bin` has
//! `onboard`, `temporal`, `mongod` and `RabbitMQ`'s tools, the last told which
//! node is meant. `onboard env` puts the directory first in `PATH`.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::home::Home;
use crate::install::RabbitmqFiles;
use crate::ports::Ports;
use crate::rabbitmq;

const RABBITMQ_TOOLS: [&str; 3] = ["rabbitmqctl", "rabbitmq-diagnostics", "rabbitmq-queues"];

/// Where the tools of the stack on `home` are.
#[must_use]
pub fn dir(home: &Path) -> PathBuf {
    home.join("bin")
}

/// Links a program under a name of its own; an older link gives way.
pub(crate) fn link(home: &Home, name: &str, program: &Path) -> anyhow::Result<()> {
    let file = place(home, name)?;
    symlink(program, &file).with_context(|| format!("{} cannot be made", file.display()))
}

/// Writes `RabbitMQ`'s tools: each a shell script with the node's environment.
pub(crate) fn rabbitmq(home: &Home, ports: &Ports, files: &RabbitmqFiles) -> anyhow::Result<()> {
    let env = rabbitmq::env(&home.data("rabbitmq")?, ports, files);
    for name in RABBITMQ_TOOLS {
        let Some(program) = files.server.parent().map(|dir| dir.join(name)) else { continue };
        let file = place(home, name)?;
        std::fs::write(&file, script(&env, &program))
            .and_then(|()| std::fs::set_permissions(&file, Permissions::from_mode(0o755)))
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(())
}

fn place(home: &Home, name: &str) -> anyhow::Result<PathBuf> {
    let dir = dir(home.dir());
    std::fs::create_dir_all(&dir).with_context(|| format!("{} cannot be made", dir.display()))?;
    let file = dir.join(name);
    if file.is_symlink() || file.exists() {
        std::fs::remove_file(&file)
            .with_context(|| format!("{} cannot be replaced", file.display()))?;
    }
    Ok(file)
}

fn script(env: &[(String, OsString)], program: &Path) -> String {
    let mut script =
        String::from("#!/bin/sh\n# Made by `onboard up`: the tool, for its own node.\n");
    for (name, value) in env {
        // A string takes any text.
        writeln!(script, "export {name}={}", quoted(&value.to_string_lossy())).ok();
    }
    writeln!(script, "exec {} \"$@\"", quoted(&program.display().to_string())).ok();
    script
}

/// A word that the shell takes as it is.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_is_one_word_to_the_shell() {
        let odd = "it's $HOME `and` \"more\" \\";
        let told = std::process::Command::new("/bin/sh")
            .args(["-c", &format!("printf %s {}", quoted(odd))])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(told.stdout).unwrap(), odd);
    }
}
