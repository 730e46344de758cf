//! Where downloads are kept between runs and between projects.

use std::path::PathBuf;

use anyhow::Context as _;

/// `$ONBOARD_CACHE`, else `$XDG_CACHE_HOME/onboard`, else `~/.cache/onboard`.
///
/// # Errors
/// When neither variable nor `HOME` is set.
pub fn default_dir() -> anyhow::Result<PathBuf> {
    let set =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("ONBOARD_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("onboard")))
        .or_else(|| set("HOME").map(|dir| dir.join(".cache/onboard")))
        .context("no place for downloads: set ONBOARD_CACHE")
}
