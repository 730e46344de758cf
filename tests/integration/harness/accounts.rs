//! What a test does as a user: register, log in, refresh, call with a token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Response;
use serde_json::{Value, json};

use super::app::{App, PASSWORD};

/// Somebody who is registered.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) email: String,
    pub(crate) user_id: String,
}

/// What a login or a refresh answered.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Tokens {
    pub(crate) fn read(answer: &Value) -> Self {
        let text = |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("{answer}"));
        Self { access: text("accessToken").to_owned(), refresh: text("refreshToken").to_owned() }
    }
}

impl App {
    /// Registers a fresh address.
    pub(crate) async fn account(&self) -> Account {
        let email = self.address();
        let answer = self.post_register(&email).await;
        assert_eq!(answer.status(), 201);
        let answer: Value = answer.json().await.unwrap();
        Account { email, user_id: answer["userId"].as_str().unwrap().to_owned() }
    }

    /// Sends a JSON body to a component.
    pub(crate) async fn post(&self, component: &str, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.try_post(component, path, body).await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// The same, where the component may be gone.
    pub(crate) async fn try_post(
        &self,
        component: &str,
        path: &str,
        body: &Value,
    ) -> reqwest::Result<Response> {
        self.http.post(format!("{}{path}", self.url(component))).json(body).send().await
    }

    /// Asks a component with a token.
    pub(crate) async fn ask(&self, component: &str, path: &str, token: &str) -> Response {
        let url = format!("{}{path}", self.url(component));
        self.http.get(url).bearer_auth(token).send().await.unwrap()
    }

    /// Logs in, which must succeed.
    pub(crate) async fn log_in(&self, account: &Account) -> Tokens {
        self.log_in_at("auth", account).await
    }

    /// Logs in at another auth service.
    pub(crate) async fn log_in_at(&self, component: &str, account: &Account) -> Tokens {
        let body = json!({ "email": account.email, "password": PASSWORD });
        let (status, answer) = self.post(component, "/api/v1/auth/login", &body).await;
        assert_eq!(status, 200, "{answer}");
        Tokens::read(&answer)
    }

    /// Uses a refresh token.
    pub(crate) async fn refresh(&self, token: &str) -> (u16, Value) {
        self.post("auth", "/api/v1/auth/refresh", &json!({ "refreshToken": token })).await
    }

    /// The status of `GET /api/v1/users/me`.
    pub(crate) async fn me(&self, token: &str) -> u16 {
        self.ask("auth", "/api/v1/users/me", token).await.status().as_u16()
    }

    /// The published keys.
    pub(crate) async fn jwks(&self) -> Value {
        let url = format!("{}/.well-known/jwks.json", self.url("auth"));
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }

    /// A setting of the application.
    pub(crate) fn setting(&self, name: &str) -> String {
        let command = self.command(&[]);
        let mut all = command.as_std().get_envs().filter(|(set, _)| *set == name);
        all.next().unwrap().1.unwrap().to_str().unwrap().to_owned()
    }
}

/// The header of a token.
pub(crate) fn header(token: &str) -> Value {
    part(token, 0)
}

/// The claims of a token.
pub(crate) fn claims(token: &str) -> Value {
    part(token, 1)
}

fn part(token: &str, index: usize) -> Value {
    let part = URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap();
    serde_json::from_slice(&part).unwrap()
}
