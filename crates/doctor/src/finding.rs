//! One check: what was found, and what to do about it.

use serde::Serialize;

/// The check that a server answers at all.
pub(crate) const REACHABLE: &str = "reachable";

/// Whose check it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Area {
    /// MongoDB.
    Mongo,
    /// RabbitMQ.
    RabbitMq,
    /// Temporal.
    Temporal,
    /// The signing keys.
    Keys,
    /// This process and its machine.
    Process,
}

impl Area {
    /// The servers.
    pub const SERVERS: [Self; 3] = [Self::Mongo, Self::RabbitMq, Self::Temporal];

    /// The word for people and for JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mongo => "mongo",
            Self::RabbitMq => "rabbitmq",
            Self::Temporal => "temporal",
            Self::Keys => "keys",
            Self::Process => "process",
        }
    }
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works; somebody should look at it.
    Warn,
    /// It does not work, or will lose something one day.
    Fail,
    /// It could not be asked.
    NotChecked,
}

impl Verdict {
    /// The word for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::NotChecked => "-",
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Whose.
    pub area: Area,
    /// What was checked.
    pub check: &'static str,
    /// What it came to.
    pub verdict: Verdict,
    /// What there is.
    pub found: String,
    /// What to do; nothing when it is as it should be.
    pub advice: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn ok(area: Area, check: &'static str, found: impl Into<String>) -> Self {
        Self { area, check, verdict: Verdict::Ok, found: found.into(), advice: None }
    }

    /// Somebody should look.
    pub fn warn(
        area: Area,
        check: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let advice = Some(advice.into());
        Self { area, check, verdict: Verdict::Warn, found: found.into(), advice }
    }

    /// It will not do.
    pub fn fail(
        area: Area,
        check: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let advice = Some(advice.into());
        Self { area, check, verdict: Verdict::Fail, found: found.into(), advice }
    }

    /// It could not be asked, and why.
    pub fn not_checked(area: Area, check: &'static str, why: impl Into<String>) -> Self {
        let verdict = Verdict::NotChecked;
        Self { area, check, verdict, found: format!("not checked: {}", why.into()), advice: None }
    }

    /// Whether it is a failure.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.verdict == Verdict::Fail
    }
}
