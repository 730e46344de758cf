//! Ten thousand bodies of any kind. `ABUSE_SEED` repeats a run.

use futures::StreamExt;
use serde_json::{Map, Value, json};

use crate::harness::{App, Options, Random, seed};

const BODIES: usize = 10_000;
const AT_ONCE: usize = 16;

impl Random {
    fn text(&mut self) -> String {
        const ODD: [&str; 14] = [
            "",
            "a",
            "ada@example.com",
            "Ä@bücher.example",
            "\u{0}",
            "\u{202e}",
            "$gt",
            "a.b",
            "correct horse battery",
            "\u{1f980}",
            "' OR 1=1 --",
            "{{7*7}}",
            "%00",
            "\u{feff}",
        ];
        match self.below(4) {
            0 => self.pick(&ODD).to_owned(),
            1 => self.pick(&ODD).repeat(self.below(300)),
            2 => (0..self.below(40))
                .filter_map(|_| char::from_u32((self.next() % 0x11_0000) as u32))
                .collect(),
            _ => format!("{}@{}.example", self.next(), self.pick(&["a", "xn--", "-", "b.c"])),
        }
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 6 } else { 9 }) {
            0 => Value::Null,
            1 => json!(self.next().is_multiple_of(2)),
            2 => json!(self.next()),
            3 => json!(f64::from_bits(self.next())),
            4 | 5 => json!(self.text()),
            6 => (0..self.below(5)).map(|_| self.value(depth - 1)).collect(),
            _ => (0..self.below(5)).map(|_| (self.text(), self.value(depth - 1))).collect(),
        }
    }

    fn fields(&mut self) -> Value {
        const NAMES: [&str; 8] =
            ["email", "password", "title", "completed", "refreshToken", "$where", "", "email.a"];
        let pairs: Map<String, Value> =
            (0..self.below(6)).map(|_| (self.pick(&NAMES).to_owned(), self.value(2))).collect();
        Value::Object(pairs)
    }

    fn body(&mut self) -> Vec<u8> {
        let mut body = match self.below(6) {
            0 => (0..self.below(400)).map(|_| self.next().to_le_bytes()[0]).collect(),
            1 => self.value(4).to_string().into_bytes(),
            2 => json!({ "email": self.text(), "password": self.text(), "title": self.text() })
                .to_string()
                .into_bytes(),
            3 => "[".repeat(self.below(20_000)).into_bytes(),
            _ => self.fields().to_string().into_bytes(),
        };
        if self.below(4) == 0 && !body.is_empty() {
            // One bit wrong, or cut short.
            let at = self.below(body.len());
            body[at] ^= 1 << self.below(8);
            if self.below(2) == 0 {
                body.truncate(at);
            }
        }
        body
    }
}

/// The access token of a user, so that bodies are read where one is needed.
async fn token(app: &App) -> String {
    assert_eq!(app.post_register("token@example.com").await.status(), 201);
    let url = format!("{}/api/v1/auth/login", app.url("auth"));
    let body = json!({ "email": "token@example.com", "password": "correct horse battery" });
    let answer = app.http.post(url).json(&body).send().await.unwrap();
    let tokens: Value = answer.json().await.unwrap();
    tokens["accessToken"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn ten_thousand_random_bodies_hear_documented_answers_only() {
    let seed = seed("ABUSE_SEED");
    let app = App::start_with(Options::only(&["auth", "todo"]).apart(&["auth", "todo"])).await;
    let targets: [(&str, &str, &[u16]); 4] = [
        ("auth", "/api/v1/auth/register", &[201, 400, 409, 413, 422, 429]),
        ("auth", "/api/v1/auth/login", &[200, 400, 401, 413, 422, 429]),
        ("auth", "/api/v1/auth/refresh", &[200, 400, 401, 413, 422]),
        ("todo", "/api/v1/todos", &[201, 400, 413, 422]),
    ];
    let token = token(&app).await;
    let mut random = Random(seed);
    let requests = (0..BODIES).map(|n| {
        let (service, path, documented) = targets[n % targets.len()];
        let url = format!("{}{path}", app.url(service));
        let body = random.body();
        let request = app.http.post(url).header("content-type", "application/json");
        let request = request.bearer_auth(&token).body(body.clone());
        async move {
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            let body = String::from_utf8_lossy(&body);
            assert!(documented.contains(&status), "{path} {status}: {body} (seed {seed})");
            if status >= 400 {
                let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
                assert_eq!(kind, "application/problem+json", "{path} {status}: {body}");
            }
        }
    });
    let requests: Vec<_> = requests.collect();
    futures::stream::iter(requests).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    for service in ["auth", "todo"] {
        assert_eq!(app.counter(service, "http_requests_total", "status=\"500\"").await, 0);
        assert_eq!(
            app.http.get(format!("{}/readyz", app.url(service))).send().await.unwrap().status(),
            200
        );
    }
    app.remove().await;
}
