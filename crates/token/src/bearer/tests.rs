use super::*;
use crate::{KeyRing, PublicKeys, Role, Signer, SigningKey, Subject, TokenArgs};
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Router, response::Response};
use onboard_runtime::{Problems, clock};
use std::time::Duration;
use tower::ServiceExt;

struct App(Verifier);

impl Authority for App {
    fn verifier(&self) -> &Verifier {
        &self.0
    }
}

struct Bench {
    router: Router,
    token: String,
}

fn bench() -> Bench {
    let key = SigningKey::read(&SigningKey::generate().unwrap()).unwrap();
    let public = *key.public();
    let keys = PublicKeys::new("test", move || async move { Ok(KeyRing::from_iter([public])) });
    let config = TokenArgs::default().check("onboard-auth", &mut Problems::default());
    let subject = Subject {
        user: clock::random_id().into(),
        roles: vec![Role::User],
        session: clock::random_id().into(),
    };
    let signer = Signer::new(config.clone(), Duration::from_mins(15));
    let token = signer.sign(&key, &subject, clock::now_ms()).token;
    let state = Arc::new(App(Verifier::new(config, keys)));
    let whoami = async |Bearer(identity): Bearer| identity.user.to_string();
    Bench { router: Router::new().route("/", get(whoami)).with_state(state), token }
}

impl Bench {
    async fn ask(&self, uri: &str, authorization: &[&str]) -> Response {
        let mut request = Request::builder().uri(uri);
        for value in authorization {
            request = request.header(header::AUTHORIZATION, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }
}

fn challenge(response: &Response) -> (StatusCode, &str) {
    (response.status(), response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap())
}

#[tokio::test]
async fn exactly_one_bearer_token_is_let_in() {
    let bench = bench();
    let good = format!("Bearer {}", bench.token);
    for spelling in [good.clone(), good.replace("Bearer", "bearer")] {
        assert_eq!(bench.ask("/", &[&spelling]).await.status(), StatusCode::OK);
    }
    let none = (StatusCode::UNAUTHORIZED, r#"Bearer realm="onboard""#);
    assert_eq!(challenge(&bench.ask("/", &[]).await), none);
    assert_eq!(challenge(&bench.ask("/", &["Basic YTpi"]).await), none);
    let query = format!("/?access_token={}", bench.token);
    assert_eq!(challenge(&bench.ask(&query, &[]).await), none);
    let invalid = (StatusCode::UNAUTHORIZED, r#"Bearer realm="onboard", error="invalid_token""#);
    let double_space = good.replacen(' ', "  ", 1);
    let listed = format!("{good}, {good}");
    for bad in [
        &[good.as_str(), good.as_str()][..],
        &[&good, "Basic YTpi"],
        &["Basic YTpi", &good],
        &["Bearer"],
        &["Bearer "],
        &["Bearer x.y.z"],
        &[&double_space],
        &[&listed],
        &[&bench.token],
    ] {
        assert_eq!(challenge(&bench.ask("/", bad).await), invalid, "{bad:?}");
    }
}

#[tokio::test]
async fn without_keys_the_answer_is_to_come_back() {
    let keys = PublicKeys::new("test", || async { Err("away".to_owned()) });
    let config = TokenArgs::default().check("onboard-auth", &mut Problems::default());
    let mut bench = bench();
    let state = Arc::new(App(Verifier::new(config, keys)));
    bench.router = Router::new().route("/", get(async |Bearer(_): Bearer| ())).with_state(state);
    let answer = bench.ask("/", &[&format!("Bearer {}", bench.token)]).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()[header::RETRY_AFTER], "5");
    assert!(!answer.headers().contains_key(header::WWW_AUTHENTICATE));
}
