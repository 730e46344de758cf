//! The password of the new user: asked for on a terminal, without an echo, else the first
//! line of standard input.

use std::io::{BufRead as _, IsTerminal as _};

use console::Term;
use secrecy::{ExposeSecret as _, SecretString};

/// The password; `None` when there is none, or when the second one differs.
pub(super) fn read() -> std::io::Result<Option<SecretString>> {
    let password = if std::io::stdin().is_terminal() { ask()? } else { Some(first_line()?) };
    Ok(password.filter(|password| !password.expose_secret().is_empty()))
}

/// Twice: nobody sees what is typed, and a lost password cannot be had again.
fn ask() -> std::io::Result<Option<SecretString>> {
    let [first, second] = ["Password: ", "Password again: "].map(|prompt| {
        let terminal = Term::stderr();
        terminal.write_str(prompt)?;
        terminal.read_secure_line().map(SecretString::from)
    });
    let (first, second) = (first?, second?);
    let same = first.expose_secret() == second.expose_secret();
    Ok(same.then_some(first))
}

fn first_line() -> std::io::Result<SecretString> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line.into())
}
