//! The id in a path. A handler answers a text that is no id as it answers an unknown
//! id, and not with the router's own refusal.

use std::convert::Infallible;
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

/// The one parameter of the path, if it is an id in its one spelling (in any
/// case).
#[derive(Debug)]
pub struct IdPath<T>(pub Option<T>);

impl<S: Send + Sync, T: FromStr + Display> FromRequestParts<S> for IdPath<T> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(path.ok().and_then(|Path(text)| parse(&text))))
    }
}

fn parse<T: FromStr + Display>(text: &str) -> Option<T> {
    let id: T = text.parse().ok()?;
    id.to_string().eq_ignore_ascii_case(text).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::extract::Request;
    use axum::http::StatusCode;
    use axum::routing::get;
    use onboard_contract::EventId;
    use tower::ServiceExt;

    #[test]
    fn an_id_has_one_spelling() {
        let id = "0190c1c4-7f6e-7d1a-8b1e-2f6f3a1b2c3d";
        assert_eq!(parse::<EventId>(id).unwrap().to_string(), id);
        assert_eq!(parse::<EventId>(&id.to_uppercase()), parse(id));
        let others = [
            &id.replace('-', ""),
            &format!("{{{id}}}"),
            &format!("urn:uuid:{id}"),
            "",
            "{\"$ne\":1}",
        ];
        for other in others {
            assert_eq!(parse::<EventId>(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn a_path_that_is_no_text_has_no_id() {
        let handler =
            async |IdPath(id): IdPath<String>| id.map_or(StatusCode::NOT_FOUND, |_| StatusCode::OK);
        let router = Router::new().route("/{id}", get(handler));
        for (path, status) in [("/x", StatusCode::OK), ("/%ff", StatusCode::NOT_FOUND)] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            assert_eq!(router.clone().oneshot(request).await.unwrap().status(), status, "{path}");
        }
    }
}
