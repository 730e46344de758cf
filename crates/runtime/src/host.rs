//! What this machine is called.

/// Where the kernel says it.
const HOSTNAME: &str = "/proc/sys/kernel/hostname";

/// The name of this machine; `localhost` where the kernel says none.
#[must_use]
pub fn name() -> String {
    let name = std::fs::read_to_string(HOSTNAME).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}
