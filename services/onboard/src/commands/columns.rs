//! How wide the output may be: the columns of the terminal; in a pipe there is no edge,
//! so that no line is cut or folded there.

use console::Term;
use textwrap::{Options, WordSplitter};

/// The columns of a terminal that does not say how many it has.
const USUAL: usize = 80;

/// The columns of standard output.
pub(crate) fn columns() -> usize {
    of(&Term::stdout())
}

/// The columns of standard error.
pub(crate) fn columns_of_errors() -> usize {
    of(&Term::stderr())
}

fn of(term: &Term) -> usize {
    match term.size_checked() {
        Some((_, columns)) => columns.into(),
        None if term.is_term() => USUAL,
        None => usize::MAX,
    }
}

/// Words that fill the columns; each line but the first begins with this indent.
pub(crate) fn folded(words: &str, indent: usize, columns: usize) -> String {
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    lines(&words, columns.saturating_sub(indent), true).join(&format!("\n{:indent$}", ""))
}

/// A command that the shell takes as it stands there: each line but the last ends with
/// a backslash, and no word is broken.
pub(crate) fn folded_command(command: &str, indent: usize, columns: usize) -> String {
    const MORE: &str = " \\";
    let room = columns.saturating_sub(indent + MORE.len());
    lines(command, room, false).join(&format!("{MORE}\n{:indent$}", ""))
}

/// A line of a table with words at its end; where they do not fit, they follow on lines
/// of their own.
pub(crate) fn row(start: &str, words: &str, columns: usize) -> String {
    const INDENT: usize = 2;
    let whole = format!("{start}{words}");
    if whole.chars().count() <= columns {
        return whole.trim_end().to_owned();
    }
    format!("{}\n{:INDENT$}{}", start.trim_end(), "", folded(words, INDENT, columns))
}

/// Sentences, a line each: those that do not fit are folded, two columns further in.
pub(crate) fn fitted(text: &str, columns: usize) -> String {
    let fit = |line: &str| {
        if line.chars().count() <= columns {
            return format!("{line}\n");
        }
        let indent = line.len() - line.trim_start().len();
        let words = folded(line.trim_start(), indent + 2, columns);
        format!("{:indent$}{words}\n", "")
    };
    text.lines().map(fit).collect()
}

fn lines(words: &str, room: usize, break_words: bool) -> Vec<String> {
    let options = Options::new(room.max(1))
        .break_words(break_words)
        .word_splitter(WordSplitter::NoHyphenation);
    textwrap::wrap(words, options).into_iter().map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded_at_the_edge_and_not_at_all_without_one() {
        let words = "one --dry-run two";
        assert_eq!(folded(words, 2, 12), "one\n  --dry-run\n  two");
        assert_eq!(folded(words, 2, usize::MAX), words);
        assert_eq!(folded("abcdefgh", 0, 5), "abcde\nfgh");
    }

    #[test]
    fn a_command_stays_one_command() {
        assert_eq!(folded_command("run --all x", 2, 12), "run \\\n  --all x");
        assert_eq!(folded_command("run --all x", 2, usize::MAX), "run --all x");
        assert_eq!(folded_command("abcdefgh", 0, 5), "abcdefgh");
    }

    #[test]
    fn only_lines_that_are_too_long_are_folded() {
        let text = "a  table\n  and some words\n";
        assert_eq!(fitted(text, 10), "a  table\n  and\n    some\n    words\n");
        assert_eq!(fitted(text, usize::MAX), text);
    }

    #[test]
    fn what_does_not_fit_behind_a_row_follows_below_it() {
        assert_eq!(row("id ", "a cause", 10), "id a cause");
        assert_eq!(row("id ", "a cause", 9), "id\n  a cause");
        assert_eq!(row("id ", "", 9), "id");
        assert_eq!(row("id ", "a longer cause", usize::MAX), "id a longer cause");
    }
}
