//! Follows a registration by its events: one line, to which each stage is added as it
//! comes. A stream that ends early is opened again.

use std::io::Write as _;
use std::time::Duration;

use onboard_contract::{EventId, Stage};
use onboard_runtime::exit;
use onboard_runtime::plain::note;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use crate::commands::operate::{complain, print};

/// The wait before the stream is opened again.
const PAUSE: Duration = Duration::from_secs(1);

/// A registration that is followed.
pub(super) struct Following {
    pub(super) client: Client,
    pub(super) url: String,
    pub(super) id: EventId,
    pub(super) json: bool,
}

/// How a stream ended.
enum Ended {
    /// With the registration.
    Acknowledged,
    /// Before that.
    Early,
    /// The service does not know the registration any more.
    Unknown,
}

impl Following {
    /// Says each stage; the exit code says whether the last one came in time.
    pub(super) async fn to_its_end(&self, until: Instant) -> u8 {
        let known = json!({ "registrationId": self.id });
        let mut shown = Shown { line: !self.json, stage: None, last: known };
        shown.say(&self.id.to_string());
        let ended = timeout_at(until, self.follow(&mut shown)).await;
        shown.end();
        match ended {
            Ok(true) => exit::DONE,
            Ok(false) => {
                complain("the service does not know this registration any more");
                exit::NO
            }
            Err(_) => {
                complain(&format!(
                    "it is not at its end yet; `onboard show {}` says what it waits for",
                    self.id
                ));
                exit::NO
            }
        }
    }

    /// Whether the registration came to its end; false when nobody knows it.
    async fn follow(&self, shown: &mut Shown) -> bool {
        loop {
            match self.read(shown).await {
                Ok(Ended::Acknowledged) => return true,
                Ok(Ended::Unknown) => return false,
                Ok(Ended::Early) => (),
                Err(error) => note(&error),
            }
            sleep(PAUSE).await;
        }
    }

    async fn read(&self, shown: &mut Shown) -> reqwest::Result<Ended> {
        let url = format!("{}/api/v1/registrations/{}/events", self.url, self.id);
        let mut stream = self.client.get(url).send().await?;
        match stream.status() {
            StatusCode::OK => (),
            StatusCode::NOT_FOUND => return Ok(Ended::Unknown),
            _ => return Ok(Ended::Early),
        }
        let mut lines = Lines::default();
        while let Some(bytes) = stream.chunk().await? {
            for line in lines.feed(&bytes) {
                let Some(data) = line.strip_prefix("data:") else { continue };
                shown.stage(serde_json::from_str(data).unwrap_or_default());
                if shown.is_at_its_end() {
                    return Ok(Ended::Acknowledged);
                }
            }
        }
        Ok(Ended::Early)
    }
}

/// What has been said.
struct Shown {
    line: bool,
    stage: Option<String>,
    last: Value,
}

impl Shown {
    fn stage(&mut self, registration: Value) {
        let stage = registration.get("stage").and_then(Value::as_str).map(str::to_owned);
        if let Some(stage) = stage.as_deref().filter(|stage| self.stage.as_deref() != Some(*stage))
        {
            self.say(&format!(" {stage}"));
        }
        (self.stage, self.last) = (stage, registration);
    }

    fn is_at_its_end(&self) -> bool {
        self.stage.as_deref() == Some(Stage::Acknowledged.as_str())
    }

    /// At once, without the end of a line.
    fn say(&self, words: &str) {
        if self.line {
            print(words);
            std::io::stdout().flush().ok();
        }
    }

    fn end(&self) {
        print(&if self.line { "\n".to_owned() } else { format!("{:#}\n", self.last) });
    }
}

/// Bytes that become lines.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    /// The lines that these bytes complete.
    fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        self.0.extend_from_slice(bytes);
        let whole = self.0.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let whole: Vec<u8> = self.0.drain(..whole).collect();
        String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_come_in_pieces() {
        let mut lines = Lines::default();
        assert!(lines.feed(b"data: {\"a").is_empty());
        assert_eq!(lines.feed(b"\":1}\n\ndata"), ["data: {\"a\":1}", ""]);
        assert_eq!(lines.feed(b": 2\n"), ["data: 2"]);
    }
}
