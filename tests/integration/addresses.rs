//! Addresses: which are accepted, which are the same, and what becomes of accounts
//! that released builds have kept under another form.

use mongodb::bson::{DateTime, Document, doc};
use serde_json::json;

use crate::harness::{App, Options, PASSWORD, text};

async fn register(app: &App, email: &str) -> u16 {
    app.post_register(email).await.status().as_u16()
}

/// Who is logged in, if somebody is.
async fn log_in(app: &App, email: &str, password: &str) -> Result<String, u16> {
    let body = json!({ "email": email, "password": password });
    let (status, answer) = app.post("auth", "/api/v1/auth/login", &body).await;
    let token = answer["accessToken"].as_str().ok_or(status)?;
    Ok(crate::harness::claims(token)["sub"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn spellings_of_one_address_are_one_account() {
    let app = App::start_with(Options::only(&["auth"])).await;
    for (one, other) in [
        (
            "\u{39d}\u{399}\u{39a}\u{39f}\u{3a3}.\u{391}",
            "\u{3bd}\u{3b9}\u{3ba}\u{3bf}\u{3c2}.\u{3b1}",
        ),
        ("STRASSE", "stra\u{df}e"),
        ("me\u{17f}\u{17f}er", "messer"),
        ("\u{130}", "i\u{307}"),
        ("\u{ff21}\u{ff24}\u{ff21}", "ada"),
        ("Zoe\u{308}", "zo\u{eb}"),
        (
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            "\u{645}\u{6cc}\u{62e}\u{648}\u{627}\u{647}\u{645}",
        ),
    ] {
        let (one, other) = (format!("{one}@example.com"), format!("{other}@example.com"));
        for (first, second) in [(&one, &other), (&other, &one)] {
            assert_eq!(register(&app, first).await, 201, "{first}");
            assert_eq!(register(&app, second).await, 409, "{second} is {first}");
            let (a, b) =
                (log_in(&app, first, PASSWORD).await, log_in(&app, second, PASSWORD).await);
            assert!(a.is_ok() && a == b, "{first}: {a:?}, {second}: {b:?}");
            app.users().await.delete_many(doc! {}).await.unwrap();
        }
    }
    app.remove().await;
}

#[tokio::test]
async fn names_of_all_scripts_register_and_what_nobody_sees_is_refused() {
    let app = App::start_with(Options::only(&["auth"])).await;
    for local in [
        "\u{9b0}\u{9b9}\u{9bf}\u{9ae}",
        "\u{905}\u{928}\u{941}\u{937}\u{94d}\u{915}\u{93e}",
        "\u{ba4}\u{bae}\u{bbf}\u{bb4}\u{bcd}",
        "\u{e40}\u{e1a}\u{e49}\u{e32}",
        "\u{1019}\u{1031}\u{102c}\u{1004}\u{103a}",
        "\u{179f}\u{17bb}\u{1781}\u{17b6}",
        "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
        "\u{dc3}\u{dca}\u{200d}\u{dbb}\u{dd3}",
    ] {
        let email = format!("{local}@example.com");
        assert_eq!(register(&app, &email).await, 201, "{local}");
        assert!(log_in(&app, &email, PASSWORD).await.is_ok(), "{local}");
    }
    let before = app.counts().await;
    for invisible in
        ["\u{3164}", "\u{ffa0}", "\u{115f}", "\u{200b}", "\u{ad}", "\u{2800}", "\u{a0}"]
    {
        for local in [invisible.to_owned(), format!("ada{invisible}")] {
            assert_eq!(register(&app, &format!("{local}@example.com")).await, 422, "{local:?}");
        }
    }
    for local in ["a\u{200d}b", "a\u{200c}b", "\u{200d}ada"] {
        assert_eq!(register(&app, &format!("{local}@example.com")).await, 422, "{local:?}");
    }
    assert_eq!(app.counts().await, before);
    app.remove().await;
}

/// An account as a released build has kept it: its id.
async fn old(app: &App, email: &str, form: &str, password: &str, age_s: i64) -> String {
    let address = app.address();
    let made = app.register_with("auth", None, &address, password).await.unwrap();
    assert_eq!(made.status, 201);
    let created = DateTime::from_millis(DateTime::now().timestamp_millis() - age_s * 1_000);
    let set = doc! { "$set": { "email": email, "emailCanonical": form, "createdAt": created } };
    let users = app.users().await;
    users.update_one(doc! { "email": &address }, set).await.unwrap();
    made.body["userId"].as_str().unwrap().to_owned()
}

async fn form_of(app: &App, id: &str) -> String {
    let this = doc! { "_id": crate::harness::binary(id.parse().unwrap()) };
    let user: Document = app.users().await.find_one(this).await.unwrap().unwrap();
    user.get_str("emailCanonical").unwrap().to_owned()
}

async fn set_up(app: &App) {
    let output = app.onboard(&["setup"]).await;
    assert!(output.status.success(), "{}", text(&output));
}

#[tokio::test]
async fn accounts_that_collide_by_the_new_form_go_on_and_the_older_has_it() {
    let app = App::start_with(Options::only(&["auth"])).await;
    for sharp_is_older in [true, false] {
        let (sharp_age, plain_age) = if sharp_is_older { (90, 30) } else { (30, 90) };
        let (sharp, plain) = ("Stra\u{df}e@example.com", "Strasse@example.com");
        let form = "stra\u{df}e@example.com";
        let sharp_id = old(&app, sharp, form, "the password of sharp", sharp_age).await;
        let plain_id =
            old(&app, plain, "strasse@example.com", "the password of plain", plain_age).await;
        for round in ["before", "after", "after again"] {
            if round != "before" {
                set_up(&app).await;
            }
            for (email, password, id) in [
                (sharp, "the password of sharp", &sharp_id),
                ("stra\u{df}e@EXAMPLE.com", "the password of sharp", &sharp_id),
                (plain, "the password of plain", &plain_id),
                ("STRASSE@example.com", "the password of plain", &plain_id),
            ] {
                let found = log_in(&app, email, password).await;
                assert_eq!(found.as_ref(), Ok(id), "{round}: {email}, {sharp_is_older}");
            }
            for (email, password) in
                [(sharp, "the password of plain"), (plain, "the password of sharp")]
            {
                assert_eq!(log_in(&app, email, password).await, Err(401), "{round}: {email}");
            }
            for taken in [sharp, plain, "STRA\u{1e9e}E@example.com", "\u{ff33}trasse@example.com"] {
                assert_eq!(register(&app, taken).await, 409, "{round}: {taken}");
            }
        }
        let older = if sharp_is_older { &sharp_id } else { &plain_id };
        assert_eq!(form_of(&app, older).await, "strasse@example.com");
        let own = if sharp_is_older { "the password of sharp" } else { "the password of plain" };
        let third = log_in(&app, "\u{ff33}trasse@example.com", own).await;
        assert_eq!(third.as_ref(), Ok(older), "another spelling is the older one's");
        let shown = app.tool(&["users", "show", sharp]).await.yes();
        assert_eq!(shown["userId"], sharp_id);
        app.users().await.delete_many(doc! {}).await.unwrap();
    }
    app.remove().await;
}

#[tokio::test]
async fn an_address_that_is_refused_by_now_still_logs_in() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let blank = "ada\u{3164}@example.com";
    let id = old(&app, blank, blank, PASSWORD, 60).await;
    let ada = old(&app, "ada@example.com", "ada@example.com", "the password of ada", 30).await;
    for _ in 0..2 {
        assert_eq!(log_in(&app, blank, PASSWORD).await.as_ref(), Ok(&id));
        assert_eq!(log_in(&app, "ada@example.com", "the password of ada").await, Ok(ada.clone()));
        assert_eq!(register(&app, blank).await, 422);
        set_up(&app).await;
    }
    assert_eq!(form_of(&app, &id).await, blank);
    app.remove().await;
}
