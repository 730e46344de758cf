//! A flood of auth under the memory limit and the settings that are shipped.
//!
//! The process is put under the limit as a container is, in a cgroup. Where this machine gives
//! none, the test compares what the process has used with the limit.

mod group;

use std::process::Stdio;
use std::time::{Duration, Instant};

use futures::future::{join_all, try_join_all};
use onboard_stack::ports::Lease;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, Command};

use self::group::Group;
use crate::deployment::shipped;
use crate::harness::{App, ONBOARD, Options, PASSWORD, eventually, whole_machine};

/// How long people log in meanwhile.
const LASTS: Duration = Duration::from_secs(4);
/// How many at once: more than are hashed, less than wait.
const LOGINS: usize = 60;
/// The largest head and the largest body that the server takes, in bytes.
const HEAD: usize = 15_000;
const BODY: usize = 16 * 1024;

/// Auth with the settings of its pod that decide about memory.
struct Flooded {
    process: Child,
    address: String,
    management: String,
    log: tempfile::NamedTempFile,
    group: Option<Group>,
    _leases: [Lease; 2],
}

impl Flooded {
    async fn start(app: &App, limit: u64, settings: &[(&str, &str)]) -> Self {
        let leases = [Lease::any().unwrap(), Lease::any().unwrap()];
        let [address, management] =
            leases.each_ref().map(|one| format!("127.0.0.1:{}", one.port()));
        let log = tempfile::NamedTempFile::new().unwrap();
        let group = Group::with(limit);
        let plain = app.command(&[]);
        let mut command = match &group {
            Some(group) => {
                let mut shell = Command::new("bash");
                shell
                    .args(["-c", r#"echo $$ > "$0" && exec "$@""#])
                    .arg(group.procs())
                    .arg(ONBOARD);
                shell
            }
            None => Command::new(ONBOARD),
        };
        let env = plain.as_std().get_envs().filter_map(|(name, value)| Some((name, value?)));
        let process = command
            .arg("auth")
            .envs(env)
            .envs(settings.iter().copied())
            .env("ONBOARD_HTTP_ADDRESS", &address)
            .env("ONBOARD_MANAGEMENT_ADDRESS", &management)
            .stderr(Stdio::from(log.reopen().unwrap()))
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let flooded = Self { process, address, management, log, group, _leases: leases };
        eventually("it is ready", async || {
            let url = format!("http://{}/readyz", flooded.management);
            match app.http.get(url).send().await {
                Ok(answer) if answer.status() == 200 => Ok(()),
                other => Err(format!("{other:?}: {}", flooded.said())),
            }
        })
        .await;
        flooded
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    async fn connect(&self) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        // The kernel takes little of what is not read.
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(self.address.parse().unwrap()).await.unwrap()
    }

    /// The most it has had in memory, in bytes.
    fn peak(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.id().unwrap());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    async fn end(mut self) {
        self.process.kill().await.unwrap();
        if let Some(group) = self.group.take() {
            eventually("the group is empty", async || group.remove()).await;
        }
    }
}

/// Headers of so many bytes, in as many lines as there may be.
fn headers(bytes: usize) -> String {
    (0..50)
        .fold(String::new(), |lines, n| lines + &format!("x-{n}: {}\r\n", "h".repeat(bytes / 50)))
}

/// A connection on which a request stays unfinished, or an answer does.
async fn held(flooded: &Flooded, request: String, answers: bool) -> std::io::Result<TcpStream> {
    let mut stream = flooded.connect().await;
    stream.write_all(request.as_bytes()).await?;
    if answers {
        let mut status = [0; 12];
        stream.read_exact(&mut status).await?;
        assert_eq!(&status, b"HTTP/1.1 200");
    }
    Ok(stream)
}

/// So many connections of each kind: the answer lasts, the head has no end, the body lacks
/// its last byte, the largest answer is not read.
async fn hold(flooded: &Flooded, path: &str, each: usize) -> Vec<TcpStream> {
    let lines = headers(HEAD);
    let stream = format!("GET {path}/events HTTP/1.1\r\nhost: x\r\n{lines}\r\n");
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\n{lines}");
    let body = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {BODY}\r\n{lines}\r\n{}",
        " ".repeat(BODY - 1)
    );
    let unread = format!("GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: x\r\n{lines}\r\n");
    let all = [(stream, true), (head, false), (body, false), (unread, true)];
    let all = all.iter().flat_map(|one| std::iter::repeat_n(one, each));
    let holding = all.map(|(request, answers)| held(flooded, request.clone(), *answers));
    try_join_all(holding).await.unwrap()
}

async fn log_in(app: &App, flooded: &Flooded) -> u16 {
    let url = format!("http://{}/api/v1/auth/login", flooded.address);
    let body = json!({ "email": app.address(), "password": PASSWORD });
    app.http.post(url).json(&body).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn the_largest_flood_fits_the_memory_limit_that_is_shipped() {
    let (limit, settings) = shipped("auth");
    let (connections, threads) = (&settings["CONNECTIONS_MAX"], &settings["HASH_THREADS"]);
    let _alone = whole_machine().await;
    let app = App::start_with(Options::only(&[])).await;
    let settings = [
        ("CONNECTIONS_MAX", connections.as_str()),
        ("HASH_THREADS", threads.as_str()),
        ("ARGON2_MEMORY_KIB", "19456"),
        ("ARGON2_ITERATIONS", "2"),
    ];
    let flooded = Flooded::start(&app, limit, &settings).await;
    assert!(!flooded.said().contains("a flood may take"), "{}", flooded.said());
    let url = format!("http://{}/api/v1/auth/register", flooded.address);
    let body = json!({ "email": app.address(), "password": PASSWORD });
    let registered = app.http.post(url).json(&body).send().await.unwrap();
    let path = registered.headers()["location"].to_str().unwrap().to_owned();
    drop(registered);

    // Room for the logins; all else is taken.
    let each = (connections.parse::<usize>().unwrap() - LOGINS) / 4;
    let holding = hold(&flooded, &path, each).await;
    let begun = Instant::now();
    let lane = async |_| {
        let mut statuses = Vec::new();
        while begun.elapsed() < LASTS {
            statuses.push(log_in(&app, &flooded).await);
        }
        statuses
    };
    let statuses = join_all((0..LOGINS).map(lane)).await.concat();
    assert!(statuses.iter().all(|status| [401, 503].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&401), "passwords are hashed meanwhile");
    let alive = app.http.get(format!("http://{}/healthz", flooded.management)).send().await;
    assert_eq!(alive.unwrap().status(), 200);
    let peak = flooded.peak();
    eprintln!(
        "a flood of {connections} connections took {} MiB of {} MiB; under a cgroup: {}",
        peak >> 20,
        limit >> 20,
        flooded.group.is_some()
    );
    assert!(peak <= limit, "{peak} of {limit}");
    drop(holding);
    eventually("it goes on as before", async || match log_in(&app, &flooded).await {
        401 => Ok(()),
        other => Err(other),
    })
    .await;
    flooded.end().await;

    // Settings that could take more than the limit are said.
    if Group::with(limit).is_some_and(|group| group.remove().is_ok()) {
        let flooded = Flooded::start(&app, limit, &[("CONNECTIONS_MAX", "8192")]).await;
        let said = flooded.said();
        assert!(
            said.contains("a flood may take") && said.contains("CONNECTIONS_MAX 768"),
            "{said}"
        );
        flooded.end().await;
    }
    app.remove().await;
}
