//! What every answer carries, and which pages may read it.

use onboard::services::names;
use reqwest::Method;
use reqwest::header::HeaderMap;

use super::header;
use crate::harness::{App, Options};

const PAGE: &str = "https://app.example.com";
const ALLOWED: &str = "access-control-allow-origin";

async fn ask(app: &App, service: &str, method: Method, origin: &str) -> HeaderMap {
    let url = format!("{}/api/v1/registrations/x", app.url(service));
    let request = app.http.request(method, url).header("origin", origin);
    let request = request
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,idempotency-key");
    request.send().await.unwrap().headers().clone()
}

#[tokio::test]
async fn every_answer_carries_the_security_headers_and_names_no_server() {
    let app = App::start_with(Options::default()).await;
    for service in names() {
        for path in ["/healthz", "/nothing", "/problems/internal"] {
            let answer = app.http.get(format!("{}{path}", app.url(service))).send().await.unwrap();
            let headers = answer.headers();
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("cache-control", "no-store"),
                ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
                ("referrer-policy", "no-referrer"),
                ("x-frame-options", "DENY"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                assert_eq!(header(headers, name), value, "{service}{path}");
            }
            for name in ["server", "x-powered-by", "via"] {
                assert!(!headers.contains_key(name), "{service}{path} {name}");
            }
        }
        let headers = ask(&app, service, Method::OPTIONS, PAGE).await;
        let cors = headers.keys().filter(|name| name.as_str().starts_with("access-control"));
        assert_eq!(cors.count(), 0, "{service}: no page may, unless it is told so");
    }
    app.finish().await;
}

#[tokio::test]
async fn only_pages_of_the_listed_origins_may_read_answers() {
    let options = Options::only(&["auth", "todo"])
        .with("CORS_ORIGINS", "https://app.example.com,http://localhost:3000")
        .with("RATE_LIMIT_API", "2/1h")
        .with("RATE_LIMIT_EXEMPT", "");
    let app = App::start_with(options).await;
    for service in ["auth", "todo"] {
        for origin in [PAGE, "http://localhost:3000"] {
            let preflight = ask(&app, service, Method::OPTIONS, origin).await;
            assert_eq!(header(&preflight, ALLOWED), origin);
            assert!(header(&preflight, "access-control-allow-headers").contains("idempotency-key"));
            assert!(!preflight.contains_key("access-control-allow-credentials"));
        }
        for other in ["https://evil.example", "http://app.example.com", "null"] {
            let preflight = ask(&app, service, Method::OPTIONS, other).await;
            assert_eq!(header(&preflight, ALLOWED), "", "{other}");
        }
        for _ in 0..3 {
            let answer = ask(&app, service, Method::GET, PAGE).await;
            assert_eq!(header(&answer, ALLOWED), PAGE, "also when it is refused");
            assert!(header(&answer, "access-control-expose-headers").contains("retry-after"));
        }
        let refused = ask(&app, service, Method::GET, PAGE).await;
        assert!(refused.contains_key("retry-after"), "the third was too many");
    }
    app.remove().await;
}
