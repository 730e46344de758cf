//! Settings are read as text and checked all together, so that a person sees
//! every problem at once and the process exits with 64.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

/// Everything that is wrong with the settings, in words.
#[derive(Debug)]
pub struct ConfigError(Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is not usable:")?;
        for problem in &self.0 {
            write!(f, "\n  - {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Collects problems while a configuration is read.
#[derive(Debug, Default)]
pub struct Problems {
    problems: Vec<String>,
    warnings: Vec<String>,
}

impl Problems {
    /// Notes a problem with a setting.
    pub fn push(&mut self, setting: &str, problem: impl fmt::Display) {
        self.problems.push(format!("{setting}: {problem}"));
    }

    /// Notes what somebody should look at although it is usable.
    pub fn warn(&mut self, setting: &str, warning: impl fmt::Display) {
        self.warnings.push(format!("{setting}: {warning}"));
    }

    /// What was warned of. The settings are read before there are logs, so
    /// whoever installs those says it.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// The value, or a problem that says it is missing.
    pub fn require<T>(&mut self, setting: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.push(setting, "is not set");
        }
        value
    }

    /// Parses the value, or the default when it is not set.
    pub fn parse_or<T>(&mut self, setting: &str, value: Option<&str>, default: T) -> T
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        match value.map(str::parse) {
            None => default,
            Some(Ok(parsed)) => parsed,
            Some(Err(error)) => {
                self.push(setting, error);
                default
            }
        }
    }

    /// Parses a whole number within bounds, or takes the default.
    pub fn number_or(
        &mut self,
        setting: &str,
        value: Option<&str>,
        default: u32,
        bounds: std::ops::RangeInclusive<u32>,
    ) -> u32 {
        let number = self.parse_or(setting, value, default);
        if bounds.contains(&number) {
            return number;
        }
        self.push(setting, format!("must lie between {} and {}", bounds.start(), bounds.end()));
        default
    }

    /// Parses a duration such as `90s`, `5m` or `2h` within bounds, or takes
    /// the default.
    pub fn duration_or(
        &mut self,
        setting: &str,
        value: Option<&str>,
        default: Duration,
        bounds: std::ops::RangeInclusive<Duration>,
    ) -> Duration {
        match value.map(humantime::parse_duration) {
            None => default,
            Some(Ok(parsed)) if bounds.contains(&parsed) => parsed,
            Some(Ok(_)) => {
                let (low, high) = (bounds.start(), bounds.end());
                self.push(setting, format!("must lie between {low:?} and {high:?}"));
                default
            }
            Some(Err(error)) => {
                self.push(setting, format!("{error}; write for example 90s, 5m or 2h"));
                default
            }
        }
    }

    /// A secret from the variable itself or from the file that `<NAME>_FILE`
    /// names; both at once, or neither, is a problem.
    pub fn secret(
        &mut self,
        setting: &str,
        value: Option<SecretString>,
        file: Option<&Path>,
    ) -> Option<SecretString> {
        match (value, file) {
            (Some(_), Some(_)) => {
                self.push(setting, format!("is set beside {setting}_FILE; keep one"));
                None
            }
            (Some(value), None) => self.not_blank(setting, value),
            (None, Some(path)) => self.secret_file(setting, path),
            (None, None) => {
                self.push(setting, format!("is not set (nor is {setting}_FILE)"));
                None
            }
        }
    }

    fn secret_file(&mut self, setting: &str, path: &Path) -> Option<SecretString> {
        let setting = format!("{setting}_FILE");
        match std::fs::read_to_string(path) {
            Ok(text) => {
                self.warn_if_readable_by_others(&setting, path);
                let line = text.trim_end_matches(['\r', '\n']).to_owned();
                self.not_blank(&setting, SecretString::from(line))
            }
            Err(error) => {
                self.push(&setting, format!("{}: {error}", path.display()));
                None
            }
        }
    }

    fn not_blank(&mut self, setting: &str, secret: SecretString) -> Option<SecretString> {
        if secret.expose_secret().trim().is_empty() {
            self.push(setting, "is empty");
            return None;
        }
        Some(secret)
    }

    fn warn_if_readable_by_others(&mut self, setting: &str, path: &Path) {
        let mode = std::fs::metadata(path).map(|file| file.permissions().mode());
        if mode.is_ok_and(|mode| mode & 0o004 != 0) {
            self.warn(setting, format!("every user of this machine can read {}", path.display()));
        }
    }

    /// The configuration, if nothing was wrong with it.
    ///
    /// # Errors
    /// There was a problem.
    pub fn finish<T>(self, config: Option<T>) -> Result<T, ConfigError> {
        match config {
            Some(config) if self.problems.is_empty() => Ok(config),
            _ => Err(ConfigError(self.problems)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn all_problems_are_said_at_once() {
        let mut problems = Problems::default();
        problems.require::<String>("A", None);
        problems.number_or("B", Some("many"), 1, 1..=9);
        problems.number_or("C", Some("10"), 1, 1..=9);
        let second = Duration::from_secs(1);
        problems.duration_or("D", Some("soon"), second, second..=second);
        let text = problems.finish(Some(())).unwrap_err().to_string();
        for setting in ["A: is not set", "B: invalid digit", "C: must lie", "D: "] {
            assert!(text.contains(setting), "{text}");
        }
    }

    #[test]
    fn a_secret_comes_from_one_place() {
        let file = std::env::temp_dir().join(format!("secret-{}", crate::clock::random_id()));
        std::fs::write(&file, "s3cret\n").unwrap();
        let mut problems = Problems::default();
        let read = problems.secret("K", None, Some(&file)).unwrap();
        assert_eq!(read.expose_secret(), "s3cret");
        assert!(problems.secret("K", Some("x".into()), Some(&file)).is_none());
        assert!(problems.secret("L", None, None).is_none());
        std::fs::remove_file(&file).unwrap();
        let text = problems.finish(Some(())).unwrap_err().to_string();
        assert!(text.contains("keep one") && text.contains("L: is not set"), "{text}");
    }

    #[test]
    fn a_secret_that_cannot_be_one_is_a_problem() {
        let path = |name: &str| std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        let (blank, binary, missing) = (path("blank"), path("binary"), path("missing"));
        std::fs::write(&blank, " \t\r\n\n").unwrap();
        std::fs::write(&binary, [0xff, 0xfe]).unwrap();
        let mut problems = Problems::default();
        assert!(problems.secret("VALUE", Some("  ".into()), None).is_none());
        assert!(problems.secret("BLANK", None, Some(&blank)).is_none());
        assert!(problems.secret("BINARY", None, Some(&binary)).is_none());
        assert!(problems.secret("MISSING", None, Some(&missing)).is_none());
        assert!(problems.secret("FOLDER", None, Some(&std::env::temp_dir())).is_none());
        for file in [blank, binary] {
            std::fs::remove_file(file).unwrap();
        }
        let text = problems.finish(Some(())).unwrap_err().to_string();
        for said in ["VALUE: is empty", "BLANK_FILE: is empty", "BINARY_FILE: ", "UTF-8"] {
            assert!(text.contains(said), "{said}: {text}");
        }
        for said in ["MISSING_FILE: ", "No such file", "FOLDER_FILE: "] {
            assert!(text.contains(said), "{said}: {text}");
        }
    }

    #[test]
    fn a_secret_that_everybody_can_read_is_warned_of() {
        let file = std::env::temp_dir().join(format!("mode-{}", crate::clock::random_id()));
        std::fs::write(&file, "s3cret").unwrap();
        let warned = |mode| {
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
            let mut problems = Problems::default();
            assert!(problems.secret("K", None, Some(&file)).is_some());
            problems.take_warnings()
        };
        assert_eq!(warned(0o600), Vec::<String>::new());
        assert_eq!(warned(0o640), Vec::<String>::new());
        let open = warned(0o644);
        assert!(open[0].starts_with("K_FILE: every user") && !open[0].contains("s3cret"));
        std::fs::remove_file(&file).unwrap();
    }
}
