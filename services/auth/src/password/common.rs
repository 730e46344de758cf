//! The passwords that are guessed first: a list sorted by bytes, in lower
//! case, one on a line, searched where it lies in the program.
//!
//! Where it comes from is written in `common.LICENSE.md`.

const COMMON: &str = include_str!("common.txt");

/// Whether the password, in lower case, is one of the most common ones.
pub(super) fn is_common(lower: &str) -> bool {
    // A line break ends an entry; a password that holds one is none.
    contains(COMMON.as_bytes(), lower.as_bytes())
}

fn contains(sorted: &[u8], word: &[u8]) -> bool {
    let mut rest = sorted;
    while !rest.is_empty() {
        let (before, line, after) = middle(rest);
        rest = match line.cmp(word) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => after,
            std::cmp::Ordering::Greater => before,
        };
    }
    false
}

/// The line that holds the middle of the text, and what lies around it.
fn middle(text: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let (head, tail) = text.split_at(text.len() / 2);
    let start = head.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let (before, from_start) = text.split_at(start);
    let half = head.len() - start;
    let length = tail.iter().position(|byte| *byte == b'\n').map_or(tail.len(), |at| at);
    let (line, after) = from_start.split_at(half + length);
    (before, line, after.get(1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_lower_case_and_of_acceptable_length() {
        let lines: Vec<&str> = COMMON.lines().collect();
        assert!(lines.len() > 8_000, "{}", lines.len());
        assert!(lines.is_sorted_by(|a, b| a.as_bytes() < b.as_bytes()), "sorted, each once");
        for line in &lines {
            assert!(line.chars().count() >= super::super::CHARS_MIN, "{line}");
            assert_eq!(*line, line.to_lowercase());
        }
        assert!(COMMON.ends_with('\n'));
    }

    #[test]
    fn every_entry_is_found_and_its_neighbours_are_not() {
        for line in COMMON.lines() {
            assert!(is_common(line), "{line}");
        }
        let lines: Vec<&str> = COMMON.lines().collect();
        let known = |text: &str| lines.binary_search(&text).is_ok();
        for line in &lines {
            for other in [format!("{line}~"), line.chars().skip(1).collect()] {
                assert_eq!(is_common(&other), known(&other), "{other}");
            }
        }
        for word in
            ["", "\n", "password\n", "\npassword", "correct horse battery", "~~~~~~~~", "\0"]
        {
            assert!(!is_common(word), "{word:?}");
        }
    }

    #[test]
    fn lists_of_every_small_size_are_searched_to_their_ends() {
        for size in 0..6 {
            let lines: Vec<String> = (1..=size).map(|n| "b".repeat(n) + "\n").collect();
            let text = lines.concat();
            for n in 0..8 {
                assert_eq!(
                    contains(text.as_bytes(), "b".repeat(n).as_bytes()),
                    (1..=size).contains(&n)
                );
            }
            assert!(!contains(text.as_bytes(), b"a") && !contains(text.as_bytes(), b"c"));
        }
    }
}
