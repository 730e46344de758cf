//! Where code from elsewhere comes in: what is known of the crates, what pip imports, and
//! who is asked before sudo runs.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::pty::openpty;
use nix::unistd::Uid;

use super::steps;
use crate::harness::text;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A lock file, a list of weaknesses and an index, each with what is said of one crate.
struct Gate {
    dir: tempfile::TempDir,
    version: &'static str,
    day: &'static str,
}

impl Gate {
    /// The crate `leaky`, whose version 1.2.3 mends a weakness of 1.1.0 to 1.2.2.
    fn of(version: &'static str) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), version, day: "2026-12-31" }
    }

    fn on(self, day: &'static str) -> Self {
        Self { day, ..self }
    }

    fn judge(&self) -> (Option<i32>, String) {
        self.judge_by(&["crates.io"], &[])
    }

    /// With the indexes of several registries, of which some are older than the yank.
    fn judge_by(&self, indexes: &[&str], stale: &[&str]) -> (Option<i32>, String) {
        let source = "registry+https://github.com/rust-lang/crates.io-index";
        let lock = format!(
            "version = 4\n\n[[package]]\nname = \"leaky\"\nversion = \"{}\"\nsource = \"{source}\"\n\n\
             [[package]]\nname = \"our-own\"\nversion = \"0.1.0\"\n",
            self.version
        );
        let list = "reviewed = 2026-12-01\n\
            weaknesses = [[\"RUSTSEC-2026-9999\", \"leaky\", \">= 1.1.0, < 1.2.3 | < 0.9.1\"]]\n\
            looked_up = \"leaky\"\n";
        for name in indexes {
            let kept = self.dir.path().join(name).join(".cache/le/ak");
            std::fs::create_dir_all(&kept).unwrap();
            std::fs::write(kept.join("leaky"), Self::index(!stale.contains(name))).unwrap();
        }
        std::fs::write(self.dir.path().join("lock"), lock).unwrap();
        std::fs::write(self.dir.path().join("list"), list).unwrap();
        self.run()
    }

    /// As cargo keeps it: a head, then version and JSON by turns. 1.2.4 was yanked late.
    fn index(knows_of_the_yank: bool) -> String {
        let mut index = String::from("\u{3}\0\u{2}\0\0\0etag: 1\0");
        for version in ["0.9.0", "1.0.0", "1.2.2", "1.2.3-rc.1", "1.2.3", "1.2.4", "1.10.0"] {
            let yanked = version == "1.2.4" && knows_of_the_yank;
            let row = serde_json::json!({ "name": "leaky", "vers": version, "yanked": yanked });
            write!(index, "{version}\0{row}\0").unwrap();
        }
        index
    }

    fn run(&self) -> (Option<i32>, String) {
        let mut gate = Command::new("python3");
        gate.arg("-I").arg(Path::new(ROOT).join(".ci/advisories")).args(["--today", self.day]);
        for (option, file) in [("--lock", "lock"), ("--file", "list"), ("--index", "")] {
            gate.arg(option).arg(self.dir.path().join(file));
        }
        let output = gate.output().unwrap();
        (output.status.code(), text(&output))
    }
}

#[test]
fn a_version_with_a_weakness_a_yanked_one_and_an_old_list_are_refused() {
    for version in ["1.2.3", "1.10.0", "1.0.0"] {
        assert_eq!(Gate::of(version).judge().0, Some(0), "{version}");
    }
    for version in ["1.2.2", "0.9.0", "1.2.3-rc.1"] {
        let (code, said) = Gate::of(version).judge();
        assert_eq!(code, Some(1), "{version}: {said}");
        assert!(said.contains(&format!("leaky {version}: RUSTSEC-2026-9999")), "{said}");
    }
    for (version, words) in [("1.2.4", "was yanked"), ("1.9.9", "not in the index")] {
        let (code, said) = Gate::of(version).judge();
        assert!(code == Some(1) && said.contains(words), "{said}");
    }
    assert_eq!(Gate::of("1.2.3").on("2027-03-01").judge().0, Some(0), "90 days");
    for (day, words) in [("2027-03-02", "91 days ago"), ("2026-11-30", "is to come")] {
        let (code, said) = Gate::of("1.2.3").on(day).judge();
        assert!(code == Some(1) && said.contains(words), "{said}");
    }
}

/// In whatever order the file system lists them.
#[test]
fn a_yank_that_one_index_knows_is_not_hidden_by_a_stale_one() {
    let names = ["a", "b", "c", "d", "e", "f"];
    for knows in names {
        let stale: Vec<&str> = names.into_iter().filter(|name| *name != knows).collect();
        let (code, said) = Gate::of("1.2.4").judge_by(&names, &stale);
        assert!(code == Some(1) && said.contains("was yanked"), "{knows}: {said}");
    }
    assert_eq!(Gate::of("1.2.3").judge_by(&names, &names).0, Some(0));
}

#[test]
fn a_crate_that_nobody_has_looked_up_is_refused() {
    let gate = Gate::of("1.2.3");
    gate.judge();
    let list = gate.dir.path().join("list");
    let names = std::fs::read_to_string(&list).unwrap().replace("= \"leaky\"", "= \"other\"");
    std::fs::write(list, names).unwrap();
    let (code, said) = gate.run();
    assert!(code == Some(1) && said.contains("nobody has looked up"), "{said}");
}

/// Files that a person or CI runs, and those that say how.
fn delivered() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    let listed = Command::new("git").arg("-C").arg(root).args(["ls-files", "-z"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let files = listed.split('\0').filter(|name| !name.is_empty());
    // The records tell what once was, and this file what must not be.
    let files = files.filter(|name| !name.starts_with("docs/adr/") && !name.ends_with("supply.rs"));
    files.map(|name| root.join(name)).collect()
}

#[test]
fn no_python_that_runs_pip_or_a_line_of_code_imports_from_the_working_directory() {
    let mut isolated = 0;
    for file in delivered() {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        for line in text.lines() {
            for bad in ["python3 -m", "python3 -c", "python3 - ", "python -m", "PYTHONPATH=\"$"] {
                assert!(!line.contains(bad), "{}: {line}", file.display());
            }
            let module = file.extension().is_some_and(|end| end == "rs") && line.contains("\"-m\"");
            assert!(!module || line.contains("\"-I\""), "{}: {line}", file.display());
            isolated += line.matches("python3 -I").count();
        }
    }
    assert!(isolated > 5, "{isolated}");
}

#[test]
fn python_packages_are_pinned_by_their_hashes() {
    for file in
        [".ci/kubernetes.txt", ".ci/schemathesis.txt", "examples/python-consumer/requirements.txt"]
    {
        let text = std::fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
        for one in text.replace("\\\n", " ").lines() {
            assert!(one.contains("==") && one.contains("--hash=sha256:"), "{file}: {one}");
        }
    }
}

#[test]
fn no_program_of_ours_runs_sudo() {
    let root = Path::new(ROOT);
    for file in ["crates", "services"].iter().flat_map(|code| steps::sources(&root.join(code))) {
        let source = std::fs::read_to_string(&file).unwrap();
        for line in source.lines().filter(|line| line.contains("sudo")) {
            // A sentence that tells a person what to type.
            let told = line.contains("type: sudo ") || line.contains("BY_HAND: &str = \"sudo ");
            assert!(told, "{}: {line}", file.display());
        }
    }
}

/// What npm brings in without a lock file, named exactly.
#[test]
fn what_npm_installs_has_an_exact_version() {
    let mut seen = 0;
    for file in delivered() {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        for line in text.lines().filter(|line| line.contains("npm install")) {
            let name = line.rsplit(['@', ' ']).next().unwrap().trim_matches('"');
            let version = name.strip_prefix('$').and_then(|name| {
                text.lines().find_map(|line| line.strip_prefix(&format!("{name}=")))
            });
            let parts: Vec<&str> = version.unwrap_or(name).split('.').collect();
            let exact = parts.iter().all(|part| part.parse::<u32>().is_ok());
            assert!(exact && parts.len() == 3, "{}: {line}", file.display());
            seen += 1;
        }
    }
    assert_eq!(seen, 1);
}

/// Who is not root, and has nothing that `.ci/run` needs.
fn install_as_somebody(path: &Path) -> Command {
    let mut install = Command::new("/bin/bash");
    // As text: somebody else may not be allowed to read the file.
    install.arg("-c").arg(include_str!("../../../.ci/install")).env_clear().env("PATH", path);
    if Uid::effective().is_root() {
        install.uid(65534).gid(65534);
    }
    install.stdin(Stdio::null());
    install
}

/// A folder for `PATH` with a `sudo` that writes down in `ran` what it is to run.
fn fakes() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    // Not by the umask: somebody else writes here.
    std::fs::set_permissions(dir.path(), world()).unwrap();
    for tool in ["sudo", "apt-get"] {
        let file = dir.path().join(tool);
        let ran = dir.path().join("ran");
        std::fs::write(&file, format!("#!/bin/sh\necho \"$@\" >> '{}'\n", ran.display())).unwrap();
        std::fs::set_permissions(&file, world()).unwrap();
    }
    std::os::unix::fs::symlink("/usr/bin/id", dir.path().join("id")).unwrap();
    dir
}

#[test]
fn what_is_missing_is_told_and_sudo_runs_for_nobody_who_has_not_agreed() {
    let dir = fakes();
    let output = install_as_somebody(dir.path()).output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for words in ["sudo apt-get update", "apt-get install", "chromium-driver", "CI_INSTALL=yes"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    for no in ["no", "0", "n"] {
        let output = install_as_somebody(dir.path()).env("CI_INSTALL", no).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{no}: {}", text(&output));
    }
    assert!(!dir.path().join("ran").exists(), "{said}");
}

/// On a terminal, where this is typed.
fn agree(path: &Path, typed: &str) -> Option<i32> {
    let terminal = openpty(None, None).unwrap();
    let mut install = install_as_somebody(path);
    let slave = || Stdio::from(terminal.slave.try_clone().unwrap());
    install.stdin(slave()).stdout(slave()).stderr(slave());
    std::fs::File::from(terminal.master.try_clone().unwrap())
        .write_all(format!("{typed}\n").as_bytes())
        .unwrap();
    install.status().unwrap().code()
}

#[test]
fn who_agrees_on_a_terminal_or_in_advance_has_the_packages_installed() {
    let dir = fakes();
    let ran = dir.path().join("ran");
    let installed = || {
        let commands = std::fs::read_to_string(&ran).unwrap_or_default();
        std::fs::remove_file(&ran).ok();
        let lines: Vec<&str> = commands.lines().collect();
        matches!(lines.as_slice(), [update, install]
            if update.starts_with("apt-get update") && install.contains("apt-get install"))
    };
    let output = install_as_somebody(dir.path()).env("CI_INSTALL", "yes").output().unwrap();
    assert!(output.status.success() && installed(), "{}", text(&output));
    for typed in ["y", "Y", "yes"] {
        assert_eq!(agree(dir.path(), typed), Some(0), "{typed}");
        assert!(installed(), "{typed}");
    }
    for typed in ["", "n", "no", "yesterday"] {
        assert_eq!(agree(dir.path(), typed), Some(1), "{typed}");
        assert!(!installed(), "{typed}");
    }
}

fn world() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o777)
}
