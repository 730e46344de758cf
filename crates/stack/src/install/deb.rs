//! `RabbitMQ` and Erlang from Debian's packages: as installed, or unpacked
//! into the cache without root. Shared libraries likewise.
//!
//! Debian's `erl` script names `/usr/lib/erlang` outright; in an unpacked
//! copy it is made to look beside itself instead.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use tokio::process::Command;

use super::folder::put_in_place;
use super::whole::may_run;
use super::{folder, growth};
use crate::event::Events;
use crate::process::Check;

const DOWNLOAD_BYTES_ABOUT: u64 = 35_000_000;
const LIBRARIES_BYTES_ABOUT: u64 = 4_000_000;
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
const BY_HAND: &str = "sudo apt-get install --no-install-recommends rabbitmq-server";

/// The parts of an installation that are needed to run a private node.
#[derive(Debug, Clone)]
pub struct RabbitmqFiles {
    pub(crate) server: PathBuf,
    pub(crate) epmd: PathBuf,
    pub(crate) erlang_bin: PathBuf,
    pub(crate) libraries: Option<PathBuf>,
    /// The copy in the cache that the files above are in.
    root: Option<PathBuf>,
}

impl RabbitmqFiles {
    /// What must hold before each start, when it is from the cache.
    pub(crate) fn check(&self) -> Option<Check> {
        self.root.clone().map(Check::Folder)
    }

    /// The folder of the server's code: `/usr/lib/rabbitmq/lib`.
    pub(crate) fn lib(&self) -> PathBuf {
        self.server.parent().unwrap_or(&self.server).with_file_name("lib")
    }
}

/// Shared libraries that were unpacked into the cache.
#[derive(Debug, Clone)]
pub struct Libraries {
    dir: PathBuf,
    /// The copy in the cache that they are in.
    root: PathBuf,
}

impl Libraries {
    pub(crate) fn below(root: PathBuf) -> Self {
        Self { dir: root.join(LIBRARIES), root }
    }

    /// The directory they are in.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What must hold before each start of a program that loads them.
    pub(crate) fn check(&self) -> Check {
        Check::Folder(self.root.clone())
    }
}

/// The place of a package's copy. The number says how a copy is kept: those without it, of
/// earlier builds, have no record of their files. A server of such a build may run on one, so
/// it stays where it is.
fn place(package: &str, cache: &Path) -> PathBuf {
    cache.join(format!("{package}-debian-2"))
}

/// What is installed below `root`, when it is complete.
pub(super) fn installed(root: &Path) -> Option<RabbitmqFiles> {
    let erlang_bin = root.join("usr/lib/erlang/bin");
    // Not the wrapper in /usr/sbin: that one changes the user.
    let server = root.join("usr/lib/rabbitmq/bin/rabbitmq-server");
    let epmd = erlang_bin.join("epmd");
    let complete = [&server, &epmd, &erlang_bin.join("erl")].iter().all(|file| may_run(file));
    complete.then_some(RabbitmqFiles { server, epmd, erlang_bin, libraries: None, root: None })
}

/// The copy in the cache; call it with the cache's lock.
pub(super) async fn find_or_unpack(cache: &Path, events: &Events) -> anyhow::Result<RabbitmqFiles> {
    let root = place("rabbitmq", cache);
    if !is_whole("rabbitmq", &root, events).await? || installed(&root).is_none() {
        unpack(cache, &root, events)
            .await
            .with_context(|| format!("RabbitMQ cannot be had without root; type: {BY_HAND}"))?;
    }
    let mut files = installed(&root).context("the unpacked RabbitMQ is not complete")?;
    files.libraries = Some(root.join(LIBRARIES)).filter(|dir| dir.is_dir());
    files.root = Some(root);
    Ok(files)
}

/// A library and those of its dependencies that this machine does not have,
/// unpacked into the cache.
pub(super) async fn library(
    package: &str,
    cache: &Path,
    events: &Events,
) -> anyhow::Result<Libraries> {
    let root = place(package, cache);
    if !is_whole(package, &root, events).await? {
        unpack_library(package, cache, &root, events).await?;
    }
    Ok(Libraries::below(root))
}

/// The same in place of a copy that is whole and does not serve.
pub(super) async fn library_anew(
    package: &str,
    cache: &Path,
    events: &Events,
) -> anyhow::Result<Libraries> {
    let root = place(package, cache);
    events.note(format!("{package}: {} does not serve; it is fetched again", root.display()));
    unpack_library(package, cache, &root, events).await?;
    Ok(Libraries::below(root))
}

async fn unpack_library(
    package: &str,
    cache: &Path,
    root: &Path,
    events: &Events,
) -> anyhow::Result<()> {
    need_lists(package, events).await?;
    let mut packages = vec![package.to_owned()];
    for name in depends(&packages, true).await?.lines() {
        if name.starts_with("lib") && name != package && !is_installed(name).await {
            packages.push(name.to_owned());
        }
    }
    let work = download(&packages, (package, LIBRARIES_BYTES_ABOUT), cache, events).await?;
    put_in_place(&extract(work.path()).await?, root)
}

/// Whether the copy in the cache is as it was unpacked; says why not when there is one.
async fn is_whole(tool: &str, root: &Path, events: &Events) -> anyhow::Result<bool> {
    if !root.is_dir() {
        return Ok(false);
    }
    let place = root.to_owned();
    let compared = tokio::task::spawn_blocking(move || folder::check(&place));
    let compared = compared.await.context("the look into the cache was lost")?;
    if let Err(why) = &compared {
        events.note(format!("{tool}: {} {why:#}; it is unpacked again", root.display()));
    }
    Ok(compared.is_ok())
}

/// A package that needs no other, unpacked into the cache; the root it is in.
pub(super) async fn alone(
    package: &str,
    bytes_about: u64,
    cache: &Path,
    events: &Events,
) -> anyhow::Result<PathBuf> {
    let root = place(package, cache);
    if !is_whole(package, &root, events).await? {
        need_lists(package, events).await?;
        let packages = [package.to_owned()];
        let work = download(&packages, (package, bytes_about), cache, events).await?;
        put_in_place(&extract(work.path()).await?, &root)?;
    }
    Ok(root)
}

async fn unpack(cache: &Path, root: &Path, events: &Events) -> anyhow::Result<()> {
    let packages = missing_packages(events).await?;
    let work = download(&packages, ("rabbitmq", DOWNLOAD_BYTES_ABOUT), cache, events).await?;
    let unpacked = extract(work.path()).await?;
    make_movable(&unpacked)?;
    try_out(&unpacked).await?;
    put_in_place(&unpacked, root)
}

async fn download(
    packages: &[String],
    (tool, bytes_about): (&str, u64),
    cache: &Path,
    events: &Events,
) -> anyhow::Result<tempfile::TempDir> {
    let megabytes = bytes_about / 1_000_000;
    events.note(format!(
        "{tool}: downloading {} Debian packages (about {megabytes} MB)",
        packages.len()
    ));
    let work = tempfile::tempdir_in(cache).context("the cache cannot be written")?;
    let mut download = Command::new("apt-get");
    download.args(["download", "-q"]).args(packages).current_dir(work.path());
    let output = growth::watch(&mut download, (tool, bytes_about), work.path(), events).await?;
    if !output.status.success() {
        bail!("apt-get download: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(work)
}

async fn extract(work: &Path) -> anyhow::Result<PathBuf> {
    let unpacked = work.join("root");
    for entry in std::fs::read_dir(work).context("the download cannot be read")?.flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg").arg("-x").arg(entry.path()).arg(&unpacked)).await?;
        }
    }
    merge(&unpacked.join("lib/x86_64-linux-gnu"), &unpacked.join(LIBRARIES))?;
    Ok(unpacked)
}

/// Debian 12 installs `/lib` into `/usr/lib`, but packages still name `/lib`.
fn merge(from: &Path, into: &Path) -> anyhow::Result<()> {
    let Ok(libraries) = std::fs::read_dir(from) else { return Ok(()) };
    std::fs::create_dir_all(into).context("the libraries cannot be put together")?;
    for library in libraries.flatten() {
        std::fs::rename(library.path(), into.join(library.file_name()))
            .context("the libraries cannot be put together")?;
    }
    Ok(())
}

/// The server, all of Erlang it depends on, and those shared libraries of
/// theirs that this machine does not have.
async fn missing_packages(events: &Events) -> anyhow::Result<Vec<String>> {
    need_lists("rabbitmq-server", events).await?;
    let closure = depends(&["rabbitmq-server".to_owned()], true).await?;
    let mut packages: Vec<String> = closure
        .lines()
        .filter(|line| *line == "rabbitmq-server" || line.starts_with("erlang-"))
        .map(str::to_owned)
        .collect();
    for line in depends(&packages, false).await?.lines() {
        let library = line.trim().strip_prefix("Depends: ").filter(|name| name.starts_with("lib"));
        if let Some(library) = library.filter(|name| !packages.iter().any(|known| known == name)) {
            let library = library.to_owned();
            if !is_installed(&library).await {
                packages.push(library);
            }
        }
    }
    Ok(packages)
}

async fn depends(packages: &[String], recurse: bool) -> anyhow::Result<String> {
    let mut command = Command::new("apt-cache");
    command.args(["depends", "--no-recommends", "--no-suggests", "--no-conflicts"]);
    command.args(["--no-breaks", "--no-replaces", "--no-enhances"]);
    if recurse {
        command.arg("--recurse");
    }
    run(command.args(packages)).await
}

async fn is_installed(package: &str) -> bool {
    run(Command::new("dpkg").args(["-s", package])).await.is_ok()
}

async fn need_lists(package: &str, events: &Events) -> anyhow::Result<()> {
    if run(Command::new("apt-cache").args(["show", package])).await.is_err() {
        update_lists(events).await?;
    }
    Ok(())
}

/// Fetches them as root; asks nobody else for root's rights.
async fn update_lists(events: &Events) -> anyhow::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    if !std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0) {
        bail!("Debian's package lists are not on this machine; type: sudo apt-get update");
    }
    events.note("fetching Debian's package lists");
    run(Command::new("apt-get").args(["update", "-q"])).await.map(drop)
}

fn make_movable(root: &Path) -> anyhow::Result<()> {
    const FIXED: &str = "ROOTDIR=/usr/lib/erlang\n";
    let lib = root.join("usr/lib/erlang");
    for entry in std::fs::read_dir(&lib).context("there is no Erlang in the packages")?.flatten() {
        let name = entry.file_name();
        let script = match name.to_str() {
            Some("bin") => entry.path().join("erl"),
            Some(name) if name.starts_with("erts-") => entry.path().join("bin/erl"),
            _ => continue,
        };
        let up = if name == "bin" { ".." } else { "../.." };
        let beside =
            format!("ROOTDIR=\"$(cd \"$(dirname \"$(readlink -f \"$0\")\")/{up}\" && pwd)\"\n");
        let text = std::fs::read_to_string(&script)
            .with_context(|| format!("{} cannot be read", script.display()))?;
        std::fs::write(&script, text.replace(FIXED, &beside))
            .with_context(|| format!("{} cannot be written", script.display()))?;
    }
    Ok(())
}

async fn try_out(root: &Path) -> anyhow::Result<()> {
    let mut erl = Command::new(root.join("usr/lib/erlang/bin/erl"));
    erl.args([
        "-noshell",
        "-noinput",
        "-eval",
        "{ok, _} = application:ensure_all_started(crypto), halt().",
    ]);
    erl.env("HOME", root).env("LD_LIBRARY_PATH", root.join(LIBRARIES));
    run(&mut erl).await.map(drop).context("the unpacked Erlang does not run here")
}

async fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output
        .with_context(|| format!("{} cannot be run", command.as_std().get_program().display()))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A build before the records unpacked into `<package>-debian`.
    #[tokio::test]
    async fn a_copy_of_an_earlier_build_is_neither_taken_nor_touched() {
        let cache = tempfile::tempdir().unwrap();
        let earlier = cache.path().join("tool-debian");
        std::fs::create_dir(&earlier).unwrap();
        std::fs::write(earlier.join("file"), "earlier").unwrap();
        let root = place("tool", cache.path());
        let (events, mut told) = Events::channel();
        assert!(!is_whole("tool", &root, &events).await.unwrap());
        assert!(told.try_recv().is_err(), "nothing is damaged");

        let unpacked = cache.path().join("work");
        std::fs::create_dir(&unpacked).unwrap();
        std::fs::write(unpacked.join("file"), "today's").unwrap();
        put_in_place(&unpacked, &root).unwrap();
        assert!(is_whole("tool", &root, &events).await.unwrap());
        assert_eq!(std::fs::read_to_string(earlier.join("file")).unwrap(), "earlier");
    }
}
