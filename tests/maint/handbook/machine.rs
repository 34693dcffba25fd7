//! A machine made of a directory: what a section's commands run on. Needs root, for namespaces and mounts of its own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::story::{Section, missing};
use crate::support::House;

/// The user of an installation with systemd, and that of a container.
pub const SERVICE: u32 = 990;
pub const CONTAINER: u32 = 10001;
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What a shell at night may be expected to have, and the handbook uses. Anything else is either a stub or an error.
const TOOLS: [&str; 38] = [
    "[",
    "age",
    "age-keygen",
    "awk",
    "cat",
    "chown",
    "cp",
    "curl",
    "date",
    "df",
    "du",
    "env",
    "find",
    "grep",
    "head",
    "install",
    "ls",
    "lslocks",
    "mkdir",
    "mktemp",
    "mv",
    "rm",
    "rmdir",
    "runuser",
    "sed",
    "sh",
    "sha256sum",
    "sort",
    "sqlite3",
    "tail",
    "tar",
    "test",
    "touch",
    "true",
    "uname",
    "useradd",
    "wc",
    "zstd",
];
const STUBS: [&str; 7] = ["cargo", "crontab", "docker", "journalctl", "kubectl", "systemctl", "timedatectl"];

/// The machine. Its files are gone when it is dropped.
pub struct Machine {
    root: TempDir,
}

impl Machine {
    /// A machine with the source checked out at /root/companion, and nothing installed.
    pub fn bare() -> Self {
        let root = TempDir::new().unwrap();
        open_to_all(root.path());
        let machine = Self { root };
        for dir in [
            "usr",
            "proc",
            "dev",
            "programs",
            "own-bin",
            "run",
            "out",
            "scene",
            "stubs",
            "tools",
            "root/companion/src",
            "etc/systemd/system",
            "var/tmp",
            "var/lib",
            "var/log",
            "var/cache",
            "mnt/offsite",
            "mnt/other-disk",
            "mnt/stick",
            "mnt/transfer",
            "srv/predecessor",
            "qdrant",
        ] {
            fs::create_dir_all(machine.path(dir)).unwrap();
        }
        fs::create_dir(machine.path("tmp")).unwrap();
        fs::set_permissions(machine.path("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
        for name in ["bin", "sbin", "lib", "lib64"] {
            symlink(format!("usr/{name}"), machine.path(name)).unwrap();
        }
        machine.furnish();
        machine
    }

    fn furnish(&self) {
        let users = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/usr/sbin/nologin\n";
        fs::write(self.path("etc/passwd"), users).unwrap();
        fs::write(self.path("etc/group"), "root:x:0:\nnogroup:x:65534:\n").unwrap();
        for file in
            ["/etc/pam.d", "/etc/security", "/etc/login.defs", "/etc/alternatives", "/etc/ld.so.cache"]
        {
            copy(Path::new(file), &self.path("etc"));
        }
        for name in ["deploy", "crontab.example", "Cargo.toml", "Cargo.lock"] {
            copy(&Path::new(ROOT).join(name), &self.path("root/companion"));
        }
        for name in STUBS.iter().chain(&["containers"]) {
            copy(&Path::new(ROOT).join("tests/maint/handbook/stubs").join(name), &self.path("stubs"));
        }
        for tool in TOOLS {
            let place =
                ["usr/bin", "usr/sbin"].into_iter().find(|dir| Path::new("/").join(dir).join(tool).exists());
            let place = place.unwrap_or_else(|| panic!("the test needs the program {tool}"));
            symlink(format!("/{place}/{tool}"), self.path("tools").join(tool)).unwrap();
        }
    }

    /// A machine as "Install with systemd" leaves it, without a data directory.
    pub fn installed() -> Self {
        let machine = Self::bare();
        append(&machine.path("etc/passwd"), "companion:x:990:990::/var/lib/companion:/usr/sbin/nologin\n");
        append(&machine.path("etc/group"), "companion:x:990:\n");
        for name in ["companion", "companion-maint"] {
            symlink(format!("/programs/{name}"), machine.path("own-bin").join(name)).unwrap();
        }
        let units = fs::read_dir(Path::new(ROOT).join("deploy/systemd")).unwrap();
        for unit in units
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end != "env"))
        {
            copy(&unit, &machine.path("etc/systemd/system"));
        }
        fs::create_dir(machine.path("etc/companion")).unwrap();
        copy(&Path::new(ROOT).join("deploy/systemd/companion.env"), &machine.path("etc/companion"));
        fs::create_dir(machine.path("run/units")).unwrap();
        fs::write(machine.path("run/units/loaded"), "").unwrap();
        machine
    }

    /// A place on the machine, as seen from outside.
    pub fn path(&self, within: &str) -> PathBuf {
        self.root.path().join(within)
    }

    /// The data of an installation with systemd, or of a container.
    pub fn house(&self, user: u32) -> House {
        if user == SERVICE {
            return House::at(self.path("var/lib/companion"));
        }
        fs::create_dir_all(self.path("data")).unwrap();
        fs::create_dir_all(self.path("backups")).unwrap();
        let backups = self.path("backups/companion");
        House::at(self.path("data/companion")).with("BACKUP_DIR", backups.to_str().unwrap())
    }

    /// Everything in the data directory belongs to the service's user from now on.
    pub fn hand_over(&self, user: u32) {
        let places: &[&str] = if user == SERVICE { &["var/lib/companion"] } else { &["data", "backups"] };
        for place in places.iter().map(|place| self.path(place)).filter(|place| place.exists()) {
            let done =
                Command::new("chown").args(["-R", &format!("{user}:{user}")]).arg(place).status().unwrap();
            assert!(done.success(), "the tests of the handbook need root");
        }
    }

    /// Runs the commands of a section in one shell, after `prelude`, and holds what they do against what is shown.
    pub fn tell(&self, section: &Section, prelude: &str) {
        let mut script = format!("cd /root/companion\n({prelude}\n:) >/out/prelude 2>&1 </dev/null\n");
        let commands: Vec<_> = section.steps.iter().flat_map(|step| &step.commands).collect();
        for (number, command) in commands.iter().enumerate() {
            let (text, exit) = (&command.text, command.exit);
            script += &format!("{{ {text}\n}} >/out/{number} 2>&1 </dev/null\n");
            script += &format!("code=$?; echo $code >/out/{number}.code; [ $code = {exit} ] || exit 0\n");
        }
        // All ends with the shell. A server that has only just started is still keeping the page's files.
        script += "i=0; while [ $i -lt 200 ]; do i=$((i + 1)); set -- /var/lib/companion/assets/.companion-tmp-* \\\n";
        script += "/data/companion/assets/.companion-tmp-*; [ -e \"$1\" ] || [ -e \"$2\" ] || break; /usr/bin/sleep 0.05; done\n";
        fs::write(self.path("story.sh"), script).unwrap();
        let programs = Path::new(env!("CARGO_BIN_EXE_companion")).parent().unwrap();
        let inside = Path::new(ROOT).join("tests/maint/handbook/inside.sh");
        let qdrant = Path::new(ROOT).join("target/venv-qdrant");
        let mut shell = Command::new("timeout");
        shell.args([
            "--signal=KILL",
            "180",
            "unshare",
            "--mount",
            "--pid",
            "--net",
            "--fork",
            "--kill-child",
            "sh",
        ]);
        let output = shell.arg(inside).arg(self.root.path()).arg(programs).arg(qdrant).output().unwrap();
        let around = format!("{}{}", self.read("out/prelude"), String::from_utf8_lossy(&output.stderr));
        self.judge(section, &around);
    }

    fn read(&self, within: &str) -> String {
        fs::read(self.path(within))
            .map_or_else(|_| String::new(), |text| String::from_utf8_lossy(&text).into_owned())
    }

    fn judge(&self, section: &Section, around: &str) {
        let mut number = 0;
        for step in &section.steps {
            let mut told = String::new();
            for command in &step.commands {
                let output = self.read(&format!("out/{number}"));
                let code = self.read(&format!("out/{number}.code")).trim().parse().unwrap_or(-1);
                assert!(
                    code == command.exit,
                    "{}: $ {}\nended with {code}, not {}\n{output}\nbefore it: {told}\naround it: {around}",
                    section.title,
                    command.text,
                    command.exit
                );
                told += &output;
                // What curl gets has no end of line.
                told.push('\n');
                number += 1;
            }
            if let Some(line) = missing(&step.shown, &told) {
                panic!("{}: the handbook shows {line:?}, what was told is\n{told}", section.title);
            }
        }
    }
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn append(path: &Path, text: &str) {
    let before = fs::read_to_string(path).unwrap();
    fs::write(path, before + text).unwrap();
}

/// A file or a directory into a directory, with its modes.
pub fn copy(from: &Path, into: &Path) {
    let done = Command::new("cp").args(["-a", "--"]).arg(from).arg(into).status().unwrap();
    assert!(done.success(), "{} could not be copied", from.display());
}
