//! Settings are read as text and checked all together, so that a person sees
//! every problem at once and the process exits with 64.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;

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
pub struct Problems(Vec<String>);

impl Problems {
    /// Notes a problem with a setting.
    pub fn push(&mut self, setting: &str, problem: impl fmt::Display) {
        self.0.push(format!("{setting}: {problem}"));
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
            (Some(value), None) => Some(value),
            (None, Some(path)) => self.secret_file(setting, path),
            (None, None) => {
                self.push(setting, format!("is not set (nor is {setting}_FILE)"));
                None
            }
        }
    }

    fn secret_file(&mut self, setting: &str, path: &Path) -> Option<SecretString> {
        match std::fs::read_to_string(path) {
            Ok(text) => Some(SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned())),
            Err(error) => {
                self.push(&format!("{setting}_FILE"), format!("{}: {error}", path.display()));
                None
            }
        }
    }

    /// The configuration, if nothing was wrong with it.
    ///
    /// # Errors
    /// There was a problem.
    pub fn finish<T>(self, config: Option<T>) -> Result<T, ConfigError> {
        match config {
            Some(config) if self.0.is_empty() => Ok(config),
            _ => Err(ConfigError(self.0)),
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
}
