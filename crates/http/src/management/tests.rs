use axum::Router;
use axum::routing::get;
use onboard_runtime::Check;
use reqwest::StatusCode;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::*;
use crate::{Drain, EdgeArgs, Server};

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn checked(
    text: Option<&str>,
    environment: Environment,
    http: &str,
) -> Result<Option<String>, String> {
    let mut problems = Problems::default();
    let args = ManagementArgs { management_address: text.map(str::to_owned) };
    let config = args.check(environment, true, http.parse().unwrap(), &mut problems);
    let config = problems.finish(Some(config)).map_err(|error| error.to_string())?;
    Ok(config.address.map(|address| address.to_string()))
}

#[test]
fn in_production_there_is_one_and_locally_there_is_none_unless_it_is_said() {
    use Environment::{Local, Production};
    const HTTP: &str = "0.0.0.0:4001";
    assert_eq!(checked(None, Production, HTTP), Ok(Some("0.0.0.0:4101".to_owned())));
    assert_eq!(checked(None, Local, HTTP), Ok(None));
    for (http, beside) in [
        ("127.0.0.1:4001", "127.0.0.1:4101"),
        ("127.0.0.1:8080", "127.0.0.1:8180"),
        ("[::1]:4001", "[::1]:4101"),
        ("127.0.0.1:0", "127.0.0.1:0"),
    ] {
        assert_eq!(checked(None, Production, http), Ok(Some(beside.to_owned())));
    }
    let none = checked(None, Production, "127.0.0.1:65500").unwrap_err();
    assert!(none.contains("ONBOARD_MANAGEMENT_ADDRESS: is needed"), "{none}");
    for environment in [Production, Local] {
        let said = checked(Some("127.0.0.1:9100"), environment, HTTP);
        assert_eq!(said, Ok(Some("127.0.0.1:9100".to_owned())));
        let same = checked(Some(HTTP), environment, HTTP).unwrap_err();
        assert!(same.contains("ONBOARD_MANAGEMENT_ADDRESS: is the address of"), "{same}");
        let junk = checked(Some("9100"), environment, HTTP).unwrap_err();
        assert!(junk.contains("ONBOARD_MANAGEMENT_ADDRESS: "), "{junk}");
        assert!(checked(Some("127.0.0.1:0"), environment, "127.0.0.1:0").is_ok());
    }
}

/// Both listeners, as a service in production has them.
struct Running {
    http: SocketAddr,
    management: SocketAddr,
    shutdown: Shutdown,
    /// Holds the work that goes on when the first listener has closed.
    work: oneshot::Sender<()>,
    end: tokio::task::JoinHandle<Drain>,
}

impl Running {
    async fn start(args: &EdgeArgs) -> Self {
        Self::start_at(any(), args).await
    }

    /// `at` has no port: each listener takes one of that host.
    async fn start_at(at: SocketAddr, args: &EdgeArgs) -> Self {
        let mut problems = Problems::default();
        let edge = args.check(Environment::Production, &mut problems);
        problems.finish(Some(())).unwrap();
        let checks = vec![Check::new("mongo", || async { Err("is away".to_owned()) })];
        let readiness = Readiness::new(checks);
        let config = ManagementConfig { address: Some(at) };
        let management = Management::bind(config, &readiness).await.unwrap();
        let api = Router::new().route("/api", get(async || "api"));
        let server = Server::bind(at, api, readiness).await.unwrap().with_edge(edge);
        let (http, second) = (server.local_addr(), management.local_addr().unwrap());
        let (shutdown, (work, done)) = (Shutdown::new(), oneshot::channel());
        let stop = shutdown.clone();
        #[expect(clippy::disallowed_methods, reason = "the test awaits it")]
        let end = tokio::spawn(async move {
            let work = async {
                let drained = server.serve(stop.clone()).await.unwrap();
                done.await.ok();
                drained
            };
            management.during(&stop, work).await
        });
        Self { http, management: second, shutdown, work, end }
    }
}

async fn ask(address: SocketAddr, path: &str) -> (StatusCode, String) {
    let answer = reqwest::get(format!("http://{address}{path}")).await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test]
async fn in_production_the_paths_are_on_the_second_listener_alone() {
    let running = Running::start(&EdgeArgs::default()).await;
    for path in ["/readyz", "/metrics"] {
        let (status, body) = ask(running.http, path).await;
        assert_eq!(status, 404, "{path}");
        assert!(body.contains("/problems/not-found"), "{body}");
    }
    assert_eq!(ask(running.http, "/api").await, (StatusCode::OK, "api".to_owned()));
    assert_eq!(ask(running.http, "/healthz").await.0, 200, "for a balancer");
    assert_eq!(ask(running.management, "/api").await.0, 404, "no API there");
    assert_eq!(ask(running.management, "/healthz").await.0, 200);
    let (status, body) = ask(running.management, "/readyz").await;
    assert!(status == 503 && body.contains("is away"), "{body}");
    assert!(ask(running.management, "/metrics").await.1.contains("http_requests_total"));
    running.shutdown.begin();
    running.work.send(()).unwrap();
    assert_eq!(running.end.await.unwrap(), Drain::Graceful);
}

#[tokio::test]
async fn the_second_listener_closes_when_all_else_has_ended() {
    // A host that no other test has: nobody else takes the port when it is free again.
    let host = "127.0.63.1:0".parse().unwrap();
    let running = Running::start_at(host, &EdgeArgs::default()).await;
    running.shutdown.begin();
    let closed = async {
        while TcpStream::connect(running.http).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closed).await.expect("the first one closes");
    assert_eq!(ask(running.management, "/healthz").await.0, 200);
    let (status, body) = ask(running.management, "/readyz").await;
    assert!(status == 503 && body.contains("stopping"), "{body}");
    assert!(!running.end.is_finished());
    running.work.send(()).unwrap();
    assert_eq!(running.end.await.unwrap(), Drain::Graceful);
    assert!(TcpStream::connect(running.management).await.is_err(), "nothing listens any more");
}

#[tokio::test]
async fn a_flood_of_the_first_listener_leaves_the_second_one_alone() {
    let args = EdgeArgs { connections_max: Some("2".to_owned()), ..EdgeArgs::default() };
    let running = Running::start(&args).await;
    let mut held = Vec::new();
    for _ in 0..50 {
        held.push(TcpStream::connect(running.http).await.unwrap());
    }
    let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).build().unwrap();
    let full = client.get(format!("http://{}/healthz", running.http)).send().await;
    assert!(full.unwrap_err().is_timeout(), "the first has no room");
    assert_eq!(ask(running.management, "/healthz").await.0, 200);
    drop(held);
    running.shutdown.begin();
    running.work.send(()).unwrap();
    running.end.await.unwrap();
}

#[tokio::test]
async fn a_taken_address_is_an_error_that_names_address_and_setting() {
    let taken = Listener::bind(any()).await.unwrap();
    let config = ManagementConfig { address: Some(taken.address()) };
    let error = Management::bind(config, &Readiness::default()).await.unwrap_err().to_string();
    let said = format!("cannot listen on {} for health and metrics", taken.address());
    assert!(error.starts_with(&said) && error.contains("ONBOARD_MANAGEMENT_ADDRESS"), "{error}");
}
