//! A real Prometheus that watches a stack, with our own rules.
//!
//! The rules are those of `deploy/observability/alerts.yml`, in a hurry: no
//! alert waits (`for`), and every window is 720 times shorter, so that three
//! days pass in six minutes and five minutes in some seconds. What an
//! expression says, of which metric and with which threshold, stays as it is.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use onboard_stack::ports::Lease;
use onboard_stack::{Events, cache, install};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::{ONBOARD, eventually};

/// The rules that are delivered.
pub(crate) const RULES: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/observability/alerts.yml");
const HURRY: u64 = 720;
/// Enough samples for a rate, a second apart, on a busy machine.
const WINDOW_MIN_S: u64 = 8;

/// The directory of `prometheus` and `promtool`, fetched when missing.
pub(crate) async fn tools() -> PathBuf {
    install::prometheus(&cache::default_dir().unwrap(), &Events::silent()).await.unwrap()
}

/// A running Prometheus; ends with the test.
pub(crate) struct Prometheus {
    url: String,
    http: reqwest::Client,
    _home: tempfile::TempDir,
    _process: Child,
    _lease: Lease,
}

impl Prometheus {
    /// Watches these: name of the service and base URL.
    pub(crate) async fn watch(targets: &[(&str, String)]) -> Self {
        let lease = Lease::any().unwrap();
        let home = tempfile::tempdir().unwrap();
        let rules = hurried(&std::fs::read_to_string(RULES).unwrap());
        std::fs::write(home.path().join("alerts.yml"), rules).unwrap();
        std::fs::write(home.path().join("prometheus.yml"), config(targets)).unwrap();
        let address = format!("127.0.0.1:{}", lease.port());
        let log = std::fs::File::create(home.path().join("log")).unwrap();
        // Through the guard, so that it ends with the tests however they end.
        let process = Command::new(ONBOARD)
            .args(["guard", &std::process::id().to_string(), "--"])
            .arg(tools().await.join("prometheus"))
            .arg(format!("--config.file={}", home.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", home.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let url = format!("http://{address}");
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
        let this = Self { url, http, _home: home, _process: process, _lease: lease };
        eventually("Prometheus is ready", async || this.ask("-/ready", "").await.map(drop)).await;
        this
    }

    /// Waits until the alert fires.
    pub(crate) async fn fires(&self, alert: &str) {
        let what = format!("{alert} fires");
        eventually(&what, async || match self.firing(alert).await {
            seen if seen.is_empty() => Err(self.all_firing().await),
            _ => Ok(()),
        })
        .await;
    }

    /// Waits until the alert fires no more, and is still looked at.
    pub(crate) async fn ends(&self, alert: &str) {
        let what = format!("{alert} ends");
        eventually(&what, async || match self.firing(alert).await {
            seen if seen.is_empty() => Ok(()),
            seen => Err(seen),
        })
        .await;
        let evaluated = self.query("time() - timestamp(max(up))").await;
        assert!(!evaluated.is_empty(), "nothing is scraped, so nothing was seen to end");
    }

    /// The series of an alert that fires now.
    pub(crate) async fn firing(&self, alert: &str) -> Vec<Value> {
        self.query(&format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}")).await
    }

    /// The names of all that fires now.
    pub(crate) async fn all_firing(&self) -> Vec<String> {
        let series = self.query("ALERTS{alertstate=\"firing\"}").await;
        series.iter().map(|one| one["metric"]["alertname"].to_string()).collect()
    }

    /// The result of an instant query; what does not parse fails the test.
    pub(crate) async fn query(&self, expression: &str) -> Vec<Value> {
        let body = format!("query={}", encoded(expression));
        let answer = self.ask("api/v1/query", &body).await.unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        answer["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    /// The rules as Prometheus has read them.
    pub(crate) async fn rules(&self) -> Vec<Value> {
        let answer: Value =
            serde_json::from_str(&self.ask("api/v1/rules", "").await.unwrap()).unwrap();
        let groups = answer["data"]["groups"].as_array().unwrap();
        groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
    }

    /// GET, or POST when there is something to say.
    async fn ask(&self, path: &str, body: &str) -> Result<String, String> {
        let url = format!("{}/{path}", self.url);
        let request = if body.is_empty() {
            self.http.get(url)
        } else {
            let form = "application/x-www-form-urlencoded";
            self.http.post(url).header("content-type", form).body(body.to_owned())
        };
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let (ready, path) = (answer.status() != 503, path.to_owned());
        let text = answer.text().await.map_err(|error| error.to_string())?;
        if ready { Ok(text) } else { Err(format!("{path}: {text}")) }
    }
}

fn config(targets: &[(&str, String)]) -> String {
    let mut config =
        "global: { scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }\n\
         rule_files: [alerts.yml]\n\
         scrape_configs:\n  - job_name: onboard\n    static_configs:\n"
            .to_owned();
    for (service, url) in targets {
        let address = url.trim_start_matches("http://");
        let line =
            format!("      - {{ targets: ['{address}'], labels: {{ service: {service} }} }}\n");
        config.push_str(&line);
    }
    config
}

/// The rules without waiting and with short windows.
fn hurried(rules: &str) -> String {
    let mut hurried = String::new();
    for line in rules.lines() {
        let waits = line.trim_start().starts_with("for: ");
        let line = if waits { String::new() } else { shortened(&shortened(line, "["), "offset ") };
        hurried.push_str(&line);
        hurried.push('\n');
    }
    hurried
}

/// Every duration after `before` is divided.
fn shortened(line: &str, before: &str) -> String {
    let mut parts = line.split(before);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(before);
        let digits = part.find(|char: char| !char.is_ascii_digit()).unwrap_or_default();
        let unit = match part[digits..].chars().next() {
            Some('m') => 60,
            Some('h') => 60 * 60,
            Some('d') => 24 * 60 * 60,
            _ => 0,
        };
        match part[..digits].parse::<u64>() {
            Ok(count) if unit > 0 => {
                let seconds = (count * unit / HURRY).max(WINDOW_MIN_S);
                text.push_str(&seconds.to_string());
                text.push('s');
                text.push_str(&part[digits + 1..]);
            }
            _ => text.push_str(part),
        }
    }
    text
}

/// Everything but letters and digits, percent-encoded.
fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}
