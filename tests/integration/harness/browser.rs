//! A headless Chromium, driven by its `chromedriver`.

use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{ONBOARD, eventually};

/// What the driver says once it listens.
const LISTENS: &str = "was started successfully on port ";

/// A browser with one page; it ends with the test.
pub(crate) struct Browser {
    session: String,
    http: reqwest::Client,
    _driver: Child,
    _home: TempDir,
}

impl Browser {
    /// Starts one.
    pub(crate) async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        // Through the guard, so that it ends with the tests however they end.
        let mut driver = Command::new(ONBOARD)
            .args(["guard", &std::process::id().to_string(), "--", "chromedriver", "--port=0"])
            .env("HOME", home.path())
            .env("TMPDIR", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver is installed (Debian: chromium-driver)");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next_line().await.unwrap().expect("chromedriver is installed");
            if let Some((_, port)) = line.split_once(LISTENS) {
                break port.trim_end_matches('.').to_owned();
            }
        };
        let http = reqwest::Client::new();
        let arguments =
            ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": { "args": arguments },
        } } });
        let place = format!("http://127.0.0.1:{port}/session");
        let made: Value =
            http.post(&place).json(&wanted).send().await.unwrap().json().await.unwrap();
        let id = made["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("{made:#}"));
        let session = format!("{place}/{id}");
        Self { session, http, _driver: driver, _home: home }
    }

    /// Goes to a page.
    pub(crate) async fn open(&self, url: &str) {
        self.ask("url", json!({ "url": url })).await;
    }

    /// What a script returns.
    pub(crate) async fn run(&self, script: &str, arguments: &[&str]) -> Value {
        self.ask("execute/sync", json!({ "script": script, "args": arguments })).await
    }

    /// Clicks on the first element that this selector finds, as soon as there is one.
    pub(crate) async fn click(&self, selector: &str) {
        const CLICK: &str = "const found = document.querySelector(arguments[0]); \
            if (found) { found.scrollIntoView(); found.click(); } return !!found;";
        eventually(&format!("{selector} can be clicked"), async || {
            if self.run(CLICK, &[selector]).await == true { Ok(()) } else { Err("not there") }
        })
        .await;
    }

    /// The text of the first element that this selector finds, as soon as there is one.
    pub(crate) async fn text(&self, selector: &str) -> String {
        const TEXT: &str = "const found = document.querySelector(arguments[0]); \
            return found && (found.value ?? found.textContent);";
        eventually(&format!("{selector} has a text"), async || {
            match self.run(TEXT, &[selector]).await {
                Value::String(text) if !text.is_empty() => Ok(text),
                other => Err(other),
            }
        })
        .await
    }

    /// Types into an element.
    pub(crate) async fn type_into(&self, selector: &str, text: &str) {
        let found =
            self.ask("element", json!({ "using": "css selector", "value": selector })).await;
        let element = found.as_object().unwrap().values().next().unwrap().as_str().unwrap();
        self.ask(&format!("element/{element}/value"), json!({ "text": text })).await;
    }

    /// Ends it.
    pub(crate) async fn close(self) {
        self.http.delete(&self.session).send().await.unwrap();
    }

    async fn ask(&self, command: &str, body: Value) -> Value {
        let answer = self.http.post(format!("{}/{command}", self.session)).json(&body).send();
        let mut answer: Value = answer.await.unwrap().json().await.unwrap();
        assert!(answer["value"]["error"].is_null(), "{command} {body}: {answer:#}");
        answer["value"].take()
    }
}
