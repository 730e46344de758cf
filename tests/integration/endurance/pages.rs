//! `/docs` in a real browser: what the pages offer works as it stands there, and is the
//! same each time.

use serde_json::{Value, json};

use crate::harness::{App, Browser};

/// An operation on the page of Swagger UI.
struct Operation<'a> {
    browser: &'a Browser,
    id: String,
}

impl<'a> Operation<'a> {
    /// Opens it for a try.
    async fn open(browser: &'a Browser, tag: &str, name: &str) -> Self {
        let id = format!("#operations-{tag}-{name}");
        browser.click(&format!("{id} .opblock-summary-control")).await;
        browser.click(&format!("{id} .try-out__btn")).await;
        Self { browser, id }
    }

    /// The body that the page offers.
    async fn offered(&self) -> Value {
        let text = self.browser.text(&format!("{} .body-param__text", self.id)).await;
        serde_json::from_str(&text).unwrap()
    }

    /// Sends what the page offers; the status and the body of the answer.
    async fn execute(&self) -> (String, Value) {
        self.browser.click(&format!("{} .execute", self.id)).await;
        let answer = format!("{} .live-responses-table .response", self.id);
        let status = self.browser.text(&format!("{answer} .response-col_status")).await;
        let body = self.browser.text(&format!("{answer} .highlight-code code")).await;
        let status = status.chars().filter(char::is_ascii_digit).collect();
        (status, serde_json::from_str(&body).unwrap())
    }
}

/// Every example of the page, the times apart, which are those of now.
async fn examples(browser: &Browser, url: &str) -> String {
    const OPEN_ALL: &str = "const closed = document.querySelectorAll( \
        '.opblock:not(.is-open) .opblock-summary-control'); \
        closed.forEach((one) => one.click()); \
        return document.querySelectorAll('.opblock.is-open .responses-wrapper').length > 0 \
            && closed.length === 0;";
    const READ: &str = "return [...document.querySelectorAll('.opblock .example')] \
        .map((one) => one.textContent).join('\\n') \
        .replace(/\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z/g, 'a time');";
    browser.open(url).await;
    crate::harness::eventually("all operations are open", async || {
        if browser.run(OPEN_ALL, &[]).await == true { Ok(()) } else { Err("not yet") }
    })
    .await;
    browser.run(READ, &[]).await.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_the_pages_offer_works_as_it_stands_there() {
    let app = App::start().await;
    let (auth, todo) = (format!("{}/docs", app.url("auth")), format!("{}/docs", app.url("todo")));
    let browser = Browser::start().await;
    for page in [&auth, &todo] {
        let first = examples(&browser, page).await;
        assert!(first.len() > 500, "{page}: {first}");
        assert_eq!(examples(&browser, page).await, first, "{page}: nothing random");
    }

    browser.open(&auth).await;
    let register = Operation::open(&browser, "registration", "register").await;
    let ada = json!({ "email": "ada@example.com", "password": "a long enough secret" });
    assert_eq!(register.offered().await, ada);
    let (status, registered) = register.execute().await;
    assert_eq!((status.as_str(), &registered["email"]), ("201", &ada["email"]), "{registered}");
    let login = Operation::open(&browser, "sessions", "login").await;
    assert_eq!(login.offered().await, ada);
    let (status, tokens) = login.execute().await;
    assert_eq!(status, "200", "{tokens}");
    let registration = registered["registrationId"].as_str().unwrap().parse().unwrap();
    app.reaches(registration, "ACKNOWLEDGED").await;

    browser.open(&todo).await;
    browser.click(".authorize").await;
    browser.text(".auth-container h4").await;
    browser.type_into(".auth-container input", tokens["accessToken"].as_str().unwrap()).await;
    browser.click(".auth-btn-wrapper .authorize").await;
    browser.click(".auth-btn-wrapper .btn-done").await;
    let create = Operation::open(&browser, "todos", "create").await;
    assert_eq!(create.offered().await, json!({ "title": "Water the plants" }));
    let (status, created) = create.execute().await;
    assert_eq!((status.as_str(), &created["title"]), ("201", &json!("Water the plants")));
    let list = Operation::open(&browser, "todos", "list").await;
    let (status, todos) = list.execute().await;
    assert_eq!(status, "200", "{todos}");
    let titles: Vec<&Value> =
        todos["items"].as_array().unwrap().iter().map(|item| &item["title"]).collect();
    assert_eq!(titles, ["Water the plants", "Welcome to the App"]);
    browser.close().await;
    app.remove().await;
}
