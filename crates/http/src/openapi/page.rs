//! `/docs`: Swagger UI, from the copy inside the program.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa_swagger_ui::{Config, serve};

use crate::{IdPath, Kind, Problem};

/// The page runs its own scripts, and reaches this service alone. Swagger UI
/// sets styles on elements and has images in its style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Onboard API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>The description itself is at <a href="/openapi.json">/openapi.json</a>.</noscript>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"#;

/// Starts Swagger UI. It checks a description at a public validator unless it
/// is told not to.
const START: &str = r##"SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
"##;

/// What the page needs, and nothing else of the package.
const FILES: [&str; 3] = ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"];

pub(super) fn routes() -> Router {
    Router::new()
        .route("/docs", get(async || page()))
        .route("/docs/", get(async || page()))
        .route("/docs/start.js", get(async || content("text/javascript", START)))
        .route("/docs/{file}", get(file))
}

fn page() -> Response {
    let mut response = content("text/html; charset=utf-8", PAGE);
    let policy = HeaderValue::from_static(POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

async fn file(IdPath(name): IdPath<String>) -> Response {
    let Some(name) = FILES.into_iter().find(|file| Some(*file) == name.as_deref()) else {
        return Problem::new(Kind::NotFound).into_response();
    };
    match serve(name, Arc::new(Config::default())) {
        Ok(Some(file)) => {
            let kind = [(header::CONTENT_TYPE, file.content_type)];
            (StatusCode::OK, kind, shared(file.bytes)).into_response()
        }
        Ok(None) | Err(_) => Problem::new(Kind::NotFound).into_response(),
    }
}

/// The file itself: a client that does not read it holds no copy of 1.5 MB.
fn shared(bytes: Cow<'static, [u8]>) -> Bytes {
    match bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    }
}

fn content(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::extract::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn read(path: &str) -> (StatusCode, String, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = routes().oneshot(request).await.unwrap();
        let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, kind, String::from_utf8_lossy(&bytes).into_owned())
    }

    #[tokio::test]
    async fn the_page_needs_nothing_from_elsewhere() {
        let (status, kind, page) = read("/docs").await;
        assert_eq!((status, kind.as_str()), (StatusCode::OK, "text/html; charset=utf-8"));
        assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("//"));
        let mut needed = 0;
        for part in page.split(['"', '\'']).filter(|part| part.starts_with("/docs/")) {
            let (status, _, body) = read(part).await;
            assert_eq!(status, StatusCode::OK, "{part}");
            assert!(body.len() > 100, "{part}");
            needed += 1;
        }
        assert_eq!(needed, 4);
    }

    #[tokio::test]
    async fn every_answer_is_the_same_memory() {
        let description = utoipa::openapi::OpenApi::default();
        let router = super::super::serve(Router::new(), &description);
        for path in ["/openapi.json", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"] {
            let get = async || {
                let request = Request::get(path).body(Body::empty()).unwrap();
                let response = router.clone().oneshot(request).await.unwrap();
                response.into_body().collect().await.unwrap().to_bytes()
            };
            let (one, other) = (get().await, get().await);
            assert!(!one.is_empty(), "{path}");
            assert_eq!(one.as_ptr(), other.as_ptr(), "{path}: a copy for each request");
        }
    }

    #[tokio::test]
    async fn other_files_of_the_package_are_not_served() {
        for path in ["/docs/index.html", "/docs/oauth2-redirect.html", "/docs/..%2fCargo.toml"] {
            assert_eq!(read(path).await.0, StatusCode::NOT_FOUND, "{path}");
        }
    }
}
