//! A program on a terminal, or in a pipe: what a person sees of it.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};
use tokio::process::Command;

use super::eventually;

/// What a library, and no sentence of ours, would print.
const INTERNALS: [&str; 11] = [
    "Error(",
    "Error {",
    "Kind: ",
    "Some(",
    "os error",
    "ERROR",
    "\"level\"",
    "panicked",
    "tonic",
    "lapin",
    "labels: {",
];

/// How long a tool may take, its questions included.
const ENDS_WITHIN: Duration = Duration::from_mins(2);

/// What a program has printed, standard error included.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

impl Printed {
    /// Runs it on a terminal of so many columns, and types an answer to each prompt.
    pub(crate) async fn on_terminal(
        mut command: Command,
        columns: u16,
        answers: &[(&str, &str)],
    ) -> Self {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let terminal = openpty(Some(&size), None).unwrap();
        let slave = || Stdio::from(terminal.slave.try_clone().unwrap());
        command.stdin(slave()).stdout(slave()).stderr(slave()).env("TERM", "xterm");
        let mut child = command.spawn().unwrap();
        // The other end is closed when the program alone has it, and ends.
        drop(command);
        drop(terminal.slave);
        let answers: Vec<(String, String)> =
            answers.iter().map(|(prompt, line)| ((*prompt).into(), (*line).into())).collect();
        let typed = std::thread::spawn(move || converse(terminal.master.into(), answers));
        let ended = tokio::time::timeout(ENDS_WITHIN, child.wait()).await;
        let status = ended.expect("it ends, and asks for nothing more").unwrap();
        eventually("all is read", async || typed.is_finished().then_some(()).ok_or(())).await;
        Self { code: status.code(), text: plain(&typed.join().unwrap()) }
    }

    /// Runs it in a pipe.
    pub(crate) async fn in_pipe(mut command: Command) -> Self {
        let output = command.stdin(Stdio::null()).output().await.unwrap();
        Self { code: output.status.code(), text: super::text(&output) }
    }

    /// What it says, wherever its lines end.
    pub(crate) fn words(&self) -> String {
        self.text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// No line is wider than this, but for one that is an address.
    pub(crate) fn fits(&self, columns: usize) -> bool {
        let fits = |line: &str| {
            line.chars().count() <= columns || line.trim_start().starts_with("http://127.0.0.1:")
        };
        self.text.split(['\n', '\r']).all(fits)
    }

    /// Sentences and tables only: nothing that a library would say, and nothing cut off.
    pub(crate) fn is_plain(&self) -> bool {
        let internal = INTERNALS.iter().any(|word| self.text.contains(word));
        // A path of Rust; an address of IPv6 goes on with a number or ends.
        let goes_on = |rest: &str| rest.starts_with(|next: char| next.is_ascii_alphabetic());
        let path = self.text.split("::").skip(1).any(goes_on);
        !internal && !path && !self.text.contains('…')
    }
}

/// Reads to the end; types each answer when its prompt has come.
fn converse(mut master: File, answers: Vec<(String, String)>) -> String {
    let (mut seen, mut answers) = (Vec::new(), answers.into_iter().peekable());
    let mut from = 0;
    let mut bytes = [0; 4096];
    // The end of a terminal is an error to those who read it.
    while let Ok(count @ 1..) = master.read(&mut bytes) {
        seen.extend_from_slice(&bytes[..count]);
        let said = String::from_utf8_lossy(&seen[from..]).into_owned();
        if let Some((prompt, line)) = answers.next_if(|(prompt, _)| said.contains(prompt.as_str()))
        {
            from = seen.len();
            // What is typed before the echo is off would be shown, and thrown away.
            while prompt.starts_with("Password") && echoes(&master) {
                std::thread::yield_now();
            }
            master.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
    }
    String::from_utf8_lossy(&seen).into_owned()
}

fn echoes(master: &File) -> bool {
    tcgetattr(master).unwrap().local_flags.contains(LocalFlags::ECHO)
}

/// The text without what moves the cursor or colours it.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            let end = characters.by_ref().skip(1).find(char::is_ascii_alphabetic);
            // All but a colour moves the cursor, or clears the line.
            if end != Some('m') {
                plain.push('\r');
            }
        } else {
            plain.push(character);
        }
    }
    plain.replace("\r\n", "\n")
}
