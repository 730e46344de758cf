//! The description of the service's API, collected from the handlers.

use onboard_http::openapi::complete;
use utoipa::OpenApi as _;

/// The API as `/openapi.json` tells it.
#[must_use]
pub fn description() -> utoipa::openapi::OpenApi {
    complete(Description::openapi())
}

/// Every path of the API.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Onboard: todos",
        version = "1.0.0",
        description = "The todos of the signed-in user. Errors are problem details (RFC 9457); \
                       each problem's `type` is a path of this service that explains it.",
    ),
    paths(
        super::list::list,
        super::create::create,
        super::read::read,
        super::change::change,
        super::remove::remove,
    )
)]
struct Description;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_asks_for_a_token_and_says_what_it_answers() {
        let api = serde_json::to_value(description()).unwrap();
        let operations = [
            ("/api/v1/todos", "get", "200 401 422 429 500 503"),
            ("/api/v1/todos", "post", "201 400 401 409 413 415 422 429 500 503"),
            ("/api/v1/todos/{id}", "get", "200 304 401 404 429 500 503"),
            ("/api/v1/todos/{id}", "patch", "200 400 401 404 412 413 415 422 429 500 503"),
            ("/api/v1/todos/{id}", "delete", "204 401 404 412 429 500 503"),
        ];
        for (path, method, statuses) in operations {
            let operation = &api["paths"][path][method];
            assert_eq!(
                operation["security"][0]["bearer"],
                serde_json::json!([]),
                "{method} {path}"
            );
            let found: Vec<_> = operation["responses"].as_object().unwrap().keys().collect();
            let expected: Vec<_> = statuses.split(' ').collect();
            assert_eq!(found, expected, "{method} {path}");
        }
        let patch = &api["paths"]["/api/v1/todos/{id}"]["patch"]["requestBody"];
        assert_eq!(patch["required"], true);
        assert_eq!(patch["content"].as_object().unwrap().len(), 2);
        let schemas = &api["components"]["schemas"];
        let title = &schemas["NewTodo"]["properties"]["title"];
        assert_eq!((&title["minLength"], &title["maxLength"]), (&1.into(), &200.into()), "{title}");
        assert_eq!(schemas["TodoPatch"]["properties"]["title"], *title);
        assert!(schemas["TodoPatch"].get("required").is_none(), "{schemas}");
        let page = schemas["Todos"]["required"].to_string();
        assert_eq!(page, r#"["items","nextCursor"]"#);
    }
}
