//! Secrets and where the program refuses to run with the wrong ones.
//!
//! Nothing here reaches a server: the settings are judged before.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use onboard::services::names;
use onboard_runtime::secret::DEVELOPMENT;
use tokio::process::Command;

use crate::harness::{ONBOARD, text};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// Nothing listens there.
const MONGO: &str = "mongodb://u:hunter2@127.0.0.1:1/?replicaSet=rs0";
const AMQP: &str = "amqp://onboard:hunter2@127.0.0.1:1/%2f";

/// Runs a command with these settings and no others, to its end.
async fn run(args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(ONBOARD);
    command.args(args).env_clear().envs(env.iter().copied()).kill_on_drop(true);
    let ended = tokio::time::timeout(Duration::from_mins(1), command.output()).await;
    ended.expect("it ends").unwrap()
}

/// The settings a service needs, all good, and these over them.
fn settings<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut env = vec![
        ("ONBOARD_HTTP_ADDRESS", "127.0.0.1:0"),
        ("ONBOARD_MANAGEMENT_ADDRESS", "127.0.0.1:0"),
        ("MONGODB_URI", MONGO),
        ("AMQP_URL", AMQP),
        ("AUTH_SECRET", SECRET),
        ("JWKS_URL", "http://127.0.0.1:1/.well-known/jwks.json"),
        ("ALLOW_UNPROTECTED", "mongodb,rabbitmq,temporal,jwks"),
        ("ONBOARD_LOG_FORMAT", "json"),
    ];
    env.extend(more);
    env
}

/// Runs a service that has to refuse, and returns what it says.
async fn refusal(service: &str, env: &[(&str, &str)]) -> String {
    let output = run(&[service], env).await;
    let said = text(&output);
    assert_eq!(output.status.code(), Some(64), "{service}: {said}");
    for secret in ["hunter2", SECRET, DEVELOPMENT, "guest:guest"] {
        assert!(!said.contains(secret), "{service} prints a secret: {said}");
    }
    said
}

/// Whether the service gets past its settings: it listens.
async fn starts(service: &str, env: &[(&str, &str)]) -> String {
    starts_with(&[service], env).await
}

async fn starts_with(args: &[&str], env: &[(&str, &str)]) -> String {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let mut command = Command::new(ONBOARD);
    command.args(args).env_clear().envs(env.iter().copied()).kill_on_drop(true);
    let mut running = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(running.stderr.take().unwrap()).lines();
    let mut said = String::new();
    let listens = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            said.push_str(&line);
            said.push('\n');
            if line.contains("listening for HTTP") {
                return true;
            }
        }
        false
    };
    let listens = tokio::time::timeout(Duration::from_mins(1), listens).await.unwrap_or_default();
    running.kill().await.unwrap();
    assert!(listens, "{args:?}: {said}");
    said
}

const WRONG: [(&str, &str); 8] = [
    ("MONGODB_URI", "mongodb://u:hunter2@127.0.0.1:1/?w=1&journal=false&tlsInsecure=true"),
    ("AMQP_URL", "amqp://guest:guest@127.0.0.1:1/%2f"),
    ("AUTH_SECRET", DEVELOPMENT),
    ("ONBOARD_INSECURE_HASHING", "yes"),
    ("CORS_ORIGINS", "*"),
    ("TRUSTED_PROXIES", "0.0.0.0/0"),
    ("RATE_LIMIT_EXEMPT", "::/0"),
    ("TRACEPARENT_FROM", "everybody"),
];

#[tokio::test]
async fn production_refuses_what_only_the_local_stack_may_use_and_names_all_of_it() {
    let mongo = ["MONGODB_URI: w must", "MONGODB_URI: journal must", "MONGODB_URI: certificates"];
    let amqp = ["AMQP_URL: guest"];
    let edge = [
        "CORS_ORIGINS: *",
        "TRUSTED_PROXIES: the whole",
        "RATE_LIMIT_EXEMPT: the whole",
        "TRACEPARENT_FROM: everybody",
    ];
    let accounts = ["AUTH_SECRET: is the one of", "ONBOARD_INSECURE_HASHING: is refused"];
    let table = [
        ("auth", [&mongo[..], &edge, &accounts].concat()),
        ("relay", mongo.to_vec()),
        ("worker", [&mongo[..], &amqp].concat()),
        ("todo", [&mongo[..], &amqp, &edge].concat()),
    ];
    for (service, expected) in table {
        let unset = refusal(service, &settings(&WRONG)).await;
        let mut said = settings(&WRONG);
        said.push(("ONBOARD_ENVIRONMENT", "production"));
        assert_eq!(refusal(service, &said).await, unset, "production is the default");
        for problem in &expected {
            assert!(unset.contains(problem), "{service} says {problem}: {unset}");
        }
        let problems = unset.lines().filter(|line| line.starts_with("  - ")).count();
        assert_eq!(problems, expected.len(), "{service}: {unset}");
    }
}

#[tokio::test]
async fn the_local_stack_may_use_them_and_production_may_use_others() {
    let mut local = settings(&WRONG);
    local.push(("ONBOARD_ENVIRONMENT", "local"));
    // Nothing needs to be allowed there.
    local.push(("ALLOW_UNPROTECTED", ""));
    local.retain(|(name, value)| *name != "MONGODB_URI" || !value.contains("tlsInsecure"));
    local.push(("MONGODB_URI", "mongodb://127.0.0.1:1/?w=1"));
    for service in names() {
        starts(service, &local).await;
        let said = starts(service, &settings(&[])).await;
        assert!(!said.contains("hunter2") && !said.contains(SECRET), "{service}: {said}");
    }
}

#[tokio::test]
async fn a_secret_among_the_arguments_is_warned_of_and_not_repeated() {
    let command = |args: &'static [&'static str]| async move {
        let mut env = settings(&[]);
        env.retain(|(name, _)| !["AUTH_SECRET", "MONGODB_URI"].contains(name));
        starts_with(args, &env).await
    };
    let said = command(&["auth", "--auth-secret", SECRET, "--mongodb-uri", MONGO]).await;
    for setting in ["AUTH_SECRET: stands in the command line", "MONGODB_URI: stands in the"] {
        assert!(said.contains(setting), "{setting}: {said}");
    }
    assert!(!said.contains("hunter2") && !said.contains(SECRET), "{said}");
    let said = starts("auth", &settings(&[])).await;
    assert!(!said.contains("stands in the command line"), "{said}");

    // Tools refuse these servers, and warn before.
    let uri = ["--mongodb-uri", MONGO];
    let secret = ["--auth-secret", SECRET];
    let url = ["--amqp-management-url", "http://u:hunter2@127.0.0.1:1"];
    for (tool, settings) in [
        (&["doctor"][..], [uri, secret, url].concat()),
        (&["setup"], [uri, secret, url].concat()),
        (&["keys", "list"], [uri, secret].concat()),
        (&["users", "list"], uri.to_vec()),
        (&["events"], uri.to_vec()),
        (&["list"], uri.to_vec()),
    ] {
        let args = [&tool[..1], &settings[..], &tool[1..]].concat();
        let output = run(&args, &[]).await;
        let said = text(&output);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {said}");
        for setting in settings.iter().filter_map(|arg| arg.strip_prefix("--")) {
            let name = setting.to_uppercase().replace('-', "_");
            assert!(
                said.contains(&format!("{name}: stands in the command line")),
                "{name}: {said}"
            );
        }
        assert!(!said.contains("hunter2") && !said.contains(SECRET), "{said}");
    }
}

#[tokio::test]
async fn an_environment_that_is_none_is_refused() {
    for service in names() {
        let said = refusal(service, &settings(&[("ONBOARD_ENVIRONMENT", "Local")])).await;
        assert!(said.contains("ONBOARD_ENVIRONMENT: \"Local\""), "{said}");
    }
}

#[tokio::test]
async fn nothing_secret_has_a_default() {
    let none = [("ONBOARD_HTTP_ADDRESS", "127.0.0.1:0")];
    for (service, needed) in [
        ("auth", &["MONGODB_URI", "AUTH_SECRET"][..]),
        ("relay", &["MONGODB_URI"]),
        ("worker", &["MONGODB_URI", "AMQP_URL"]),
        ("todo", &["MONGODB_URI", "AMQP_URL"]),
    ] {
        let said = refusal(service, &none).await;
        for name in needed {
            assert!(said.contains(&format!("{name}: is not set (nor is {name}_FILE)")), "{said}");
        }
    }
}

/// Files with these contents, in a directory that goes away with them.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: &[u8], mode: u32) -> String {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        path.display().to_string()
    }
}

/// The settings that may stand in a file, for the services that know each.
const FILES: [(&str, &str, &[&str]); 4] = [
    ("MONGODB_URI", MONGO, &["auth", "relay", "worker", "todo"]),
    ("AMQP_URL", AMQP, &["worker", "todo"]),
    ("AUTH_SECRET", SECRET, &["auth"]),
    ("TEMPORAL_API_KEY", "hunter2", &["relay", "worker", "todo"]),
];

#[tokio::test]
async fn every_secret_may_stand_in_a_file() {
    let files = Files::new();
    for (name, value, services) in FILES {
        let path = files.write(name, format!("{value}\n").as_bytes(), 0o600);
        let setting = format!("{name}_FILE");
        for service in services {
            let mut env = settings(&[(&setting, &path)]);
            env.retain(|(other, _)| *other != name);
            let said = starts(service, &env).await;
            assert!(!said.contains("every user"), "{service} {name}: {said}");
        }
    }
}

#[tokio::test]
async fn a_file_that_holds_no_secret_is_a_clear_problem() {
    let files = Files::new();
    let missing = files.0.path().join("missing").display().to_string();
    let cases = [
        (files.write("empty", b"", 0o600), "is empty"),
        (files.write("blank", b" \n\t\n", 0o600), "is empty"),
        (files.write("binary", &[0xff, 0xfe, 0x00], 0o600), "UTF-8"),
        (missing, "No such file"),
        (files.0.path().display().to_string(), "directory"),
    ];
    for (name, _, services) in FILES {
        let setting = format!("{name}_FILE");
        for (path, words) in &cases {
            let mut env = settings(&[(&setting, path)]);
            env.retain(|(other, _)| *other != name);
            let said = refusal(services[0], &env).await;
            let line = said.lines().find(|line| line.contains(&setting)).unwrap_or_default();
            assert!(line.contains(words), "{name} {words}: {said}");
        }
        let path = files.write("both", b"0123456789abcdef0123456789abcdef", 0o600);
        let mut env = settings(&[(&setting, &path)]);
        env.push((name, "amqp://a:b@c/d 0123456789abcdef"));
        let said = refusal(services[0], &env).await;
        assert!(said.contains(&format!("{name}: is set beside {setting}")), "{said}");
    }
}

#[tokio::test]
async fn a_file_that_every_user_can_read_is_warned_of() {
    let files = Files::new();
    let path = files.write("open", MONGO.as_bytes(), 0o644);
    let mut env = settings(&[("MONGODB_URI_FILE", &path)]);
    env.retain(|(other, _)| *other != "MONGODB_URI");
    let said = starts("relay", &env).await;
    let warned = said.lines().find(|line| line.contains("MONGODB_URI_FILE")).unwrap_or_default();
    assert!(warned.contains("every user of this machine can read"), "{said}");
    assert!(warned.contains("WARN") && !said.contains("hunter2"), "{said}");
}

/// Servers with a user and TLS. `WRONG` apart, production takes these as they are.
const PROTECTED: [(&str, &str); 6] = [
    ("ALLOW_UNPROTECTED", ""),
    ("MONGODB_URI", "mongodb://u:hunter2@127.0.0.1:1/?replicaSet=rs0&tls=true"),
    ("AMQP_URL", "amqps://onboard:hunter2@127.0.0.1:1,127.0.0.2:1/%2f"),
    ("TEMPORAL_TLS", "true"),
    ("TEMPORAL_API_KEY", "hunter2"),
    ("JWKS_URL", "https://127.0.0.1:1/.well-known/jwks.json"),
];

/// The setting of each server, and who reaches the server.
const REACHED: [(&str, &str, &[&str]); 4] = [
    ("MONGODB_URI", "mongodb", &["auth", "relay", "worker", "todo", "list", "audit", "doctor"]),
    ("AMQP_URL", "rabbitmq", &["worker", "todo", "list", "audit", "doctor"]),
    ("TEMPORAL_ADDRESS", "temporal", &["relay", "worker", "todo", "list", "audit", "doctor"]),
    ("JWKS_URL", "jwks", &["todo"]),
];

/// The lines in which a process that has to refuse names servers without protection.
async fn unprotected(process: &str, env: &[(&str, &str)]) -> Vec<String> {
    let said = refusal(process, env).await;
    let lines = said.lines().filter(|line| line.contains("which production refuses"));
    lines.map(str::to_owned).collect()
}

#[tokio::test]
async fn production_refuses_every_server_without_protection_that_no_setting_names() {
    let plain = settings(&[("ALLOW_UNPROTECTED", "")]);
    for process in ["auth", "relay", "worker", "todo", "list", "audit", "doctor"] {
        let reached: Vec<_> =
            REACHED.iter().filter(|(_, _, processes)| processes.contains(&process)).collect();
        let lines = unprotected(process, &plain).await;
        assert_eq!(lines.len(), reached.len(), "{process}: {lines:#?}");
        for (setting, server, _) in &reached {
            let line = lines.iter().find(|line| line.contains(&format!("{setting}: ")));
            let line = line.unwrap_or_else(|| panic!("{process} {setting}: {lines:#?}"));
            assert!(line.contains("without TLS"), "{line}");
            assert!(line.contains(&format!("add {server} to ALLOW_UNPROTECTED")), "{line}");
        }
        // One that is named is allowed, and the others are not.
        for (setting, server, _) in reached.iter().filter(|_| reached.len() > 1) {
            let lines = unprotected(process, &settings(&[("ALLOW_UNPROTECTED", server)])).await;
            let named = lines.iter().any(|line| line.contains(&format!("{setting}: ")));
            assert!(!named, "{process} {server}: {lines:#?}");
        }
    }
}

#[tokio::test]
async fn servers_with_a_user_and_tls_need_no_exception_and_one_without_does() {
    for service in names() {
        let said = starts(service, &settings(&PROTECTED)).await;
        assert!(!said.contains("ALLOW_UNPROTECTED"), "{service}: {said}");
    }
    let own = "mongodb://u:hunter2@127.0.0.1:1/";
    for (bad, services) in [
        (("MONGODB_URI", "mongodb://127.0.0.1:1/?tls=true"), &["auth", "relay"][..]),
        (("MONGODB_URI", "mongodb://u:hunter2@127.0.0.1:1/?tls=false"), &["auth"]),
        (("AUTH_MONGODB_URI", own), &["auth", "relay", "worker"]),
        (("TODO_MONGODB_URI", own), &["worker", "todo"]),
        (("AMQP_URL", "amqp://onboard:hunter2@127.0.0.1:5671,127.0.0.2:5671/v"), &["worker"]),
        (("AMQP_URL", "amqps://onboard:hunter2@127.0.0.1:1/v?auth_mechanism=anonymous"), &["todo"]),
        (("TEMPORAL_TLS", "false"), &["relay", "worker", "todo"]),
        (("TEMPORAL_API_KEY", ""), &["relay"]),
        (("TEMPORAL_ADDRESS", "http://127.0.0.1:7233"), &["relay"]),
        (("JWKS_URL", "http://127.0.0.1:1/.well-known/jwks.json"), &["todo"]),
    ] {
        let mut env = settings(&PROTECTED);
        env.push(bad);
        for service in services {
            let lines = unprotected(service, &env).await;
            let setting = bad.0.replace("_TLS", "_ADDRESS").replace("_API_KEY", "_ADDRESS");
            assert_eq!(lines.len(), 1, "{service} {bad:?}: {lines:#?}");
            assert!(lines[0].contains(&format!("{setting}: ")), "{service} {bad:?}: {lines:#?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_exist_cannot_be_allowed() {
    for process in ["auth", "todo", "list", "setup"] {
        for environment in ["production", "local"] {
            let odd = [
                ("ONBOARD_ENVIRONMENT", environment),
                ("ALLOW_UNPROTECTED", "mongodb,rabbitmq,temporal,jwks,ldap"),
            ];
            let said = refusal(process, &settings(&odd)).await;
            let words = "ALLOW_UNPROTECTED: \"ldap\" is no server; write some of mongodb";
            assert!(said.contains(words), "{process}: {said}");
        }
    }
}

#[tokio::test]
async fn what_is_allowed_is_warned_of() {
    let said = starts("relay", &settings(&[])).await;
    let warned: Vec<_> =
        said.lines().filter(|line| line.contains("which ALLOW_UNPROTECTED allows")).collect();
    assert_eq!(warned.len(), 2, "{said}");
    assert!(warned.iter().all(|line| line.contains("WARN")), "{said}");
}

#[tokio::test]
async fn the_tools_refuse_nothing_else() {
    let wrong = settings(&WRONG);
    for args in [&["list"][..], &["audit"]] {
        let output = run(args, &wrong).await;
        let said = text(&output);
        assert_ne!(output.status.code(), Some(64), "{args:?}: {said}");
        assert!(!said.contains("hunter2") && !said.contains("guest:guest"), "{args:?}: {said}");
    }
}
