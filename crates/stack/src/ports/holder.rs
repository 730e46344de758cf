//! Who listens on a port, from `/proc`: `net/tcp` gives the socket's inode,
//! `<pid>/fd` the process that has it open.

use std::fs;

/// The holder of a port in words, for an error message.
pub(super) fn describe(port: u16) -> String {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let inodes: Vec<u64> = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|text| listeners(&text, port))
        .collect();
    match inodes.iter().find_map(|inode| process_with(*inode)) {
        Some((pid, command)) => format!("held by process {pid}: {command}"),
        None if inodes.is_empty() => "held by somebody who does not listen (yet)".to_owned(),
        None => "held by a process that this user may not look into".to_owned(),
    }
}

/// The inodes of the sockets that listen on `port`. Format: proc(5), and
/// `Documentation/networking/proc_net_tcp.rst` of Linux.
fn listeners(table: &str, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    let port = format!(":{port:04X}");
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let local = fields.nth(1)?;
            let state = fields.nth(1)?;
            let inode = fields.nth(5)?;
            (local.ends_with(&port) && state == LISTEN).then(|| inode.parse().ok()).flatten()
        })
        .collect()
}

fn process_with(inode: u64) -> Option<(u32, String)> {
    let wanted = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let mut open = fs::read_dir(entry.path().join("fd")).ok()?.flatten();
        open.any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == wanted.as_str()))
            .then(|| (pid, command_of(pid)))
    })
}

fn command_of(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = bytes.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    words.join(" ").trim().chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::listeners;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:6989 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 24891 1 0000000000000000 100 0 0 10 0
   1: 0100007F:6989 0100007F:A2C4 01 00000000:00000000 00:00000000 00000000     0        0 24999 1 0000000000000000 20 4 30 10 -1
   2: 00000000:1628 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 31337 1 0000000000000000 100 0 0 10 0
";

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        assert_eq!(listeners(TABLE, 27017), [24891]);
        assert_eq!(listeners(TABLE, 5672), [31337]);
        assert!(listeners(TABLE, 41668).is_empty());
    }

    #[test]
    fn a_mangled_table_names_nobody() {
        assert!(listeners("", 1).is_empty());
        assert!(listeners("head\n 0: 0100007F:0001\n", 1).is_empty());
    }
}
