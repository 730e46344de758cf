//! What is in the memory of auth, and who can read it.
//!
//! The memory is read as a debugger would, from `/proc/<pid>/mem`, so these tests want root, or
//! the capability `CAP_SYS_PTRACE`: the services let nobody else look.

use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use memchr::memmem::Finder;
use reqwest::Client;
use serde_json::Value;
use uuid::Uuid;

use crate::harness::{App, ONBOARD, Options, Tokens, eventually, processes_below, shared_servers};

const CHUNK: usize = 1 << 20;

/// A part of memory that the process may have written, by its name in `/proc/<pid>/maps`.
struct Part {
    name: String,
    from: u64,
    to: u64,
}

fn parts(pid: u32) -> Vec<Part> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let read = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (from, to) = words.next()?.split_once('-')?;
        words.next()?.starts_with("rw").then_some(())?;
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let name = words.nth(3).unwrap_or("anonymous").to_owned();
        Some(Part { name, from: number(from), to: number(to) })
    };
    maps.lines().filter_map(read).collect()
}

/// Where in the memory of the process each of these is, in words without their values.
fn found_in(pid: u32, sought: &[(&str, String)]) -> Vec<String> {
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let longest = sought.iter().map(|(_, text)| text.len()).max().unwrap();
    let finders: Vec<_> = sought.iter().map(|(what, text)| (what, Finder::new(text))).collect();
    let (mut found, mut bytes) = (Vec::new(), vec![0; CHUNK + longest]);
    for Part { name, from, to } in parts(pid) {
        let mut at = from;
        while at < to {
            let size = bytes.len().min(usize::try_from(to - at).unwrap());
            // A part that went away meanwhile holds nothing.
            if memory.read_exact_at(&mut bytes[..size], at).is_err() {
                break;
            }
            for (what, finder) in &finders {
                for offset in finder.find_iter(&bytes[..size]) {
                    found.push(format!("{what} in {name} at {:#x}", at + offset as u64));
                }
            }
            at += CHUNK as u64;
        }
    }
    found
}

fn pid(app: &App, service: &str) -> u32 {
    app.component(service).status().pid.unwrap()
}

/// A client whose one connection to auth stays open.
struct Kept<'a> {
    app: &'a App,
    client: Client,
}

impl Kept<'_> {
    /// Sends a body as it stands.
    async fn send(&self, path: &str, body: String, key: Option<&str>) -> (u16, Value) {
        let url = format!("{}/api/v1/auth/{path}", self.app.url("auth"));
        let mut request = self.client.post(url).header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer = request.body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn refresh(&self, token: &str) -> Tokens {
        let body = format!(r#"{{"refreshToken":"{token}"}}"#);
        let (status, answer) = self.send("refresh", body, None).await;
        assert_eq!(status, 200, "{answer}");
        Tokens::read(&answer)
    }
}

/// A text that is nowhere else, so that each half of it can be sought.
fn canary() -> String {
    Uuid::new_v4().simple().to_string()
}

#[tokio::test]
async fn no_password_and_no_refresh_token_is_left_in_memory_after_the_answer() {
    let app = App::start_with(Options::only(&["auth"])).await;
    let kept = Kept { app: &app, client: Client::new() };
    let (right, wrong, keyed) = (canary(), canary(), canary());
    let body = |email: &str, canary: &str| {
        // An escape, which has the parser copy, and a letter in two parts, which has the
        // password prepared.
        format!(r#"{{"email":"{email}","password":"e\u0301\u0021 {canary} end"}}"#)
    };
    let email = app.address();
    assert_eq!(kept.send("register", body(&email, &right), None).await.0, 201);
    let other = body(&app.address(), &keyed);
    assert_eq!(kept.send("register", other, Some("a-key")).await.0, 201);
    assert_eq!(kept.send("register", body(&email, &wrong), None).await.0, 409);
    assert_eq!(kept.send("login", body(&email, &wrong), None).await.0, 401);
    let (status, answer) = kept.send("login", body(&email, &right), None).await;
    assert_eq!(status, 200, "{answer}");
    let first = Tokens::read(&answer);
    let second = kept.refresh(&first.refresh).await;
    let malformed = format!(r#"{{"password":"{wrong}"#);
    assert_eq!(kept.send("login", malformed, None).await.0, 400);

    let secret = std::fs::read_to_string(shared_servers().await.home().secret_file()).unwrap();
    let mut sought = Vec::new();
    for (what, text) in [
        ("the right password", right),
        ("a wrong password", wrong),
        ("a password with a key", keyed),
        ("a used refresh token", first.refresh),
        ("a refresh token", second.refresh),
        ("AUTH_SECRET", secret.trim().to_owned()),
    ] {
        let (one, two) = text.split_at(text.len() / 2);
        sought.extend([(what, one.to_owned()), (what, two.to_owned())]);
    }
    let pid = pid(&app, "auth");
    // A database name is in use as long as there are connections.
    let database = format!("auth-{}", app.names);
    assert!(!found_in(pid, &[("in use", database)]).is_empty(), "the search finds what is there");
    eventually("nothing is left", async || match found_in(pid, &sought) {
        left if left.is_empty() => Ok(()),
        left => Err(left),
    })
    .await;
    app.remove().await;
}

#[tokio::test]
async fn no_crash_of_a_service_writes_its_memory_to_a_file() {
    let app = App::start_with(Options::default().each_apart()).await;
    for service in ["auth", "relay", "worker", "todo"] {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", pid(&app, service)));
        let limits = limits.unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        assert_eq!(words[4..], ["0", "0", "bytes"], "{service}: {line}");
    }
    app.finish().await;
}

/// Each waits for a server that takes the connection and says nothing.
#[tokio::test]
async fn no_crash_of_a_tool_writes_its_memory_to_a_file() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    for args in [&["list"][..], &["doctor"], &["audit"], &["users", "list"], &["setup"]] {
        let mut tool = tokio::process::Command::new(ONBOARD)
            .args(args)
            .env_clear()
            .env("ONBOARD_ENVIRONMENT", "local")
            .env("MONGODB_URI", format!("mongodb://{address}/?directConnection=true"))
            .env("AMQP_URL", format!("amqp://{address}/%2f"))
            .env("TEMPORAL_ADDRESS", address.to_string())
            .env("AUTH_SECRET", "0123456789abcdef0123456789abcdef")
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let limits = format!("/proc/{}/limits", tool.id().unwrap());
        eventually("its core files are limited", async || {
            let limits = std::fs::read_to_string(&limits).map_err(|error| error.to_string())?;
            let core = limits.lines().find(|line| line.starts_with("Max core file size"));
            let words: Vec<_> = core.unwrap_or_default().split_ascii_whitespace().collect();
            if words.ends_with(&["0", "0", "bytes"]) { Ok(()) } else { Err(limits) }
        })
        .await;
        tool.kill().await.unwrap();
    }
}

/// Of every process that these tests have started, servers and their tools among them.
#[tokio::test]
async fn no_secret_is_in_a_command_line() {
    let app = App::start_with(Options::default().each_apart()).await;
    let home = shared_servers().await.home().dir().to_owned();
    let mut secrets = vec![("the well-known password".to_owned(), "guest:guest".to_owned())];
    let files = eventually("the secrets of the servers are there", async || {
        let files = secret_files(&home);
        if files.len() >= 2 { Ok(files) } else { Err(files) }
    });
    for file in files.await {
        let text = std::fs::read_to_string(&file).unwrap();
        secrets.push((file.display().to_string(), text.trim().to_owned()));
    }
    let lines = processes_below(std::process::id());
    assert!(lines.iter().any(|line| line.contains(ONBOARD)), "services are among them: {lines:?}");
    assert!(lines.iter().any(|line| line.contains("mongod")), "servers are among them: {lines:?}");
    let mut said = String::new();
    for line in &lines {
        for (what, secret) in secrets.iter().filter(|(_, secret)| line.contains(secret)) {
            writeln!(said, "{what}: {}", line.replace(secret, "***")).unwrap();
        }
    }
    assert_eq!(said, "");
    app.finish().await;
}

/// Passwords and tokens reach `curl` on standard input, and tools ask for a password: what
/// people copy from the documents is seen by every user of their machine.
#[test]
fn no_command_in_the_documents_has_a_password_or_a_token_among_its_arguments() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut documents = vec![root.join("services/onboard/src/commands/up/greeting.rs")];
    let mut folders: Vec<_> = ["docs", "deploy", "examples", "services", "temporal", "tests"]
        .map(|folder| root.join(folder))
        .into();
    documents.extend(std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()));
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder { folders.push(entry.path()) } else { documents.push(entry.path()) }
        }
    }
    documents.retain(|file| file.extension().is_some_and(|end| end == "md" || end == "rs"));
    documents.retain(|file| !file.ends_with("memory.rs"));
    assert!(documents.len() > 100, "{documents:?}");
    for file in documents.iter().filter(|file| !file.starts_with(root.join("tests/integration"))) {
        let text = std::fs::read_to_string(file).unwrap();
        for line in text.lines() {
            let body = line.contains("-d '{") || line.contains("-d \"{");
            let named = line.contains("password\\\"") || line.contains("password\"");
            let secret = body && named;
            let token = line.contains("-H \"authorization:");
            let user = line.contains("add_user ") && line.contains("<password>");
            assert!(!secret && !token && !user, "{}: {line}", file.display());
        }
    }
}

/// `AUTH_SECRET` of the local stack and the cookie of the RabbitMQ node.
fn secret_files(home: &Path) -> Vec<std::path::PathBuf> {
    let (mut folders, mut found) = (vec![home.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            } else if name == ".erlang.cookie" || name.ends_with("secret") {
                found.push(entry.path());
            }
        }
    }
    found
}
