//! The description of an API (OpenAPI 3.1), made from the code, and a page to
//! read and try it on.
//!
//! `/openapi.json` is the description; `/docs` shows it. The page and all it
//! needs are in the program: nothing is loaded from elsewhere.

mod complete;
mod page;

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::get;
use utoipa::openapi::OpenApi;

pub use complete::complete;

/// Adds `/openapi.json` and `/docs` for a description that is
/// [complete](complete()).
pub fn serve(router: Router, description: &OpenApi) -> Router {
    // Made of strings and maps of strings: it can always be written.
    let json = Bytes::from(description.to_pretty_json().unwrap_or_default());
    let answer = async move || ([(header::CONTENT_TYPE, "application/json")], json);
    router.route("/openapi.json", get(answer)).merge(page::routes())
}
