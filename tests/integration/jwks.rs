//! The keys of tokens, fetched over TLS: who is believed, which keys are used, and for
//! how long.

use std::path::Path;

use onboard_runtime::Problems;
use onboard_token::{JwksArgs, NoKeys, PublicKeys};
use reqwest::StatusCode;

use crate::harness::{App, Authority, Issuer, Options, eventually};

/// The keys at a URL, as the todo service has them.
fn keys(url: &str, ca: Option<&Path>) -> PublicKeys {
    let (jwks_url, jwks_ca_file) = (Some(url.to_owned()), ca.map(Into::into));
    let args = JwksArgs { jwks_url, jwks_ca_file, ..JwksArgs::default() };
    let mut problems = Problems::default();
    let config = args.check(&mut problems);
    PublicKeys::remote(&problems.finish(config).unwrap(), "the issuer")
}

#[tokio::test]
async fn whoever_cannot_prove_to_be_the_host_is_not_believed() {
    let (ours, other) = (Authority::new(), Authority::new());
    let good = Issuer::secure(ours.server("127.0.0.1")).await;
    let key = *good.key().public();
    // On a busy machine a fetch may take longer than it is given.
    let ready = keys(good.url(), Some(ours.file()));
    eventually(
        "the keys are fetched",
        async || {
            if ready.refresh().await { Ok(()) } else { Err("not yet") }
        },
    )
    .await;
    assert_eq!(ready.find(&key.id()).await, Ok(Some(key)));
    for (what, server, ca) in [
        ("another CA", other.server("127.0.0.1"), Some(ours.file())),
        ("a CA that the system does not know", ours.server("127.0.0.1"), None),
        ("expired", ours.expired_server("127.0.0.1"), Some(ours.file())),
        ("another name", ours.server("auth.example.com"), Some(ours.file())),
    ] {
        let issuer = Issuer::secure(server).await;
        let found = keys(issuer.url(), ca).find(&issuer.key().public().id()).await;
        assert_eq!(found, Err(NoKeys), "{what}");
        assert_eq!(issuer.asked(), 1, "{what}: it was asked");
    }
    let plain = Issuer::start().await;
    let url = plain.url().replace("http://", "https://");
    let found = keys(&url, Some(ours.file())).find(&plain.key().public().id()).await;
    assert_eq!((found, plain.asked()), (Err(NoKeys), 1), "no TLS at all");
}

#[tokio::test]
async fn nobody_is_followed_to_another_place() {
    let ours = Authority::new();
    let targets = [Issuer::start().await, Issuer::secure(ours.server("127.0.0.1")).await];
    for target in &targets {
        for tls in [None, Some(ours.server("127.0.0.1"))] {
            let ca = tls.as_ref().map(|_| ours.file());
            let sends = Issuer::redirecting(tls, target.url()).await;
            let found = keys(sends.url(), ca).find(&target.key().public().id()).await;
            assert_eq!((found, sends.asked()), (Err(NoKeys), 1), "{}", sends.url());
        }
        assert_eq!(target.asked(), 0, "{}", target.url());
    }
}

/// One service, over TLS, with a pinned key: another key is not used, and the pinned one
/// not for ever.
#[tokio::test]
async fn a_pinned_key_is_good_for_its_time_and_another_key_is_not() {
    let ours = Authority::new();
    let issuer = Issuer::secure(ours.server("127.0.0.1")).await;
    let pinned = issuer.key().public().id();
    let options = Options::only(&["todo"])
        .with_for("todo", "JWKS_URL", issuer.url())
        .with("JWKS_CA_FILE", ours.file().to_str().unwrap())
        .with("JWKS_THUMBPRINTS", &pinned)
        .with("JWKS_REFRESH", "1s")
        .with("JWKS_KEYS_AGE_MAX", "8s");
    let app = App::start_with(options).await;
    let ada = app.person(&issuer, onboard_runtime::clock::random_id().into());
    ada.add("with the pinned key").await;

    issuer.rotate();
    let forged = app.person(&issuer, ada.id).list("").await;
    assert_eq!(forged.status, StatusCode::UNAUTHORIZED, "{forged:?}");
    assert!(app.counter("todo", "keys_not_pinned_total", "").await > 0);
    let unpinned = issuer.key().public().id();
    let log = std::fs::read_to_string(app.component("todo").log()).unwrap();
    let named = log.lines().filter(|line| line.contains(&unpinned)).count();
    assert_eq!(named, 1, "{unpinned} is named once: {log}");
    assert_eq!(ada.list("").await.status, StatusCode::OK, "the pinned key goes on");

    issuer.switch(false);
    let answer = eventually("the keys are too old", async || {
        let list = ada.list("").await;
        if list.status == StatusCode::OK { Err(list) } else { Ok(list) }
    })
    .await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    eventually("the age is told", async || {
        let too_old = app.gauge("todo", "keys_age_seconds").await;
        if too_old > app.gauge("todo", "keys_age_max_seconds").await {
            Ok(())
        } else {
            Err(too_old)
        }
    })
    .await;
    app.ready("todo").await;
    issuer.switch(true);
    eventually("the keys are fetched again", async || {
        let list = ada.list("").await;
        if list.status == StatusCode::OK { Ok(()) } else { Err(list) }
    })
    .await;
    app.remove().await;
}
