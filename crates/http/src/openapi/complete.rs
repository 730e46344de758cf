//! What holds for every operation, so that no handler has to repeat it: the
//! answers that come from the server around the handlers, and how a client
//! shows who it is.

use utoipa::PartialSchema as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder,
};

use crate::problem::MEDIA_TYPE;
use crate::{FieldError, Kind, ProblemBody};

/// The name of the security scheme that operations refer to.
const BEARER: &str = "bearer";

/// What any operation may answer.
const ALWAYS: [Kind; 3] = [Kind::RateLimited, Kind::Internal, Kind::Unavailable];
/// What an operation with a body may answer besides.
const WITH_BODY: [Kind; 4] =
    [Kind::MalformedJson, Kind::TooLarge, Kind::UnsupportedMediaType, Kind::ValidationFailed];
/// What an operation that asks for a token may answer besides.
const WITH_TOKEN: [Kind; 1] = [Kind::InvalidToken];

/// The description with everything that its operations have in common. An
/// answer that an operation describes itself is kept.
#[must_use]
pub fn complete(mut description: OpenApi) -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("The `accessToken` that logging in answers."))
        .build();
    let components = description.components.take().unwrap_or_default();
    description.components = Some(
        ComponentsBuilder::from(components)
            .security_scheme(BEARER, SecurityScheme::Http(bearer))
            .schema("Problem", ProblemBody::schema())
            .schema("FieldError", FieldError::schema())
            .build(),
    );
    for item in description.paths.paths.values_mut() {
        for operation in operations(item) {
            complete_operation(operation);
        }
    }
    description
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

fn complete_operation(operation: &mut Operation) {
    let mut kinds = ALWAYS.to_vec();
    if operation.request_body.is_some() {
        kinds.extend(WITH_BODY);
    }
    if operation.security.is_some() {
        kinds.extend(WITH_TOKEN);
    }
    for kind in kinds {
        let status = kind.status().as_str().to_owned();
        operation.responses.responses.entry(status).or_insert_with(|| answer(kind));
    }
}

fn answer(kind: Kind) -> RefOr<Response> {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let description = format!("{}: `/problems/{}`.", kind.title(), kind.slug());
    ResponseBuilder::new().description(description).content(MEDIA_TYPE, problem).build().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use utoipa::OpenApi as _;

    #[utoipa::path(post, path = "/things", request_body = String, security(("bearer" = [])),
        responses((status = 201, description = "Made."), (status = 429, description = "Its own.")))]
    fn _make() {}

    #[derive(utoipa::OpenApi)]
    #[openapi(paths(_make))]
    struct Description;

    #[test]
    fn every_operation_says_what_the_server_around_it_may_answer() {
        let json = serde_json::to_value(complete(Description::openapi())).unwrap();
        let post = &json["paths"]["/things"]["post"];
        let answers: Vec<&String> = post["responses"].as_object().unwrap().keys().collect();
        let expected = ["201", "400", "401", "413", "415", "422", "429", "500", "503"];
        assert_eq!(answers, expected);
        assert_eq!(post["responses"]["429"]["description"], "Its own.");
        let schema = &post["responses"]["413"]["content"][MEDIA_TYPE]["schema"]["$ref"];
        assert_eq!(schema, "#/components/schemas/Problem");
        assert_eq!(json["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    }
}
