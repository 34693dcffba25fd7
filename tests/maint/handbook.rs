//! `deploy/README.md`: every command in it is run, every broken installation in it is broken for real, and what it says of
//! reports, codes, flags and alerts is all there is.

mod machine;
mod promises;
mod said;
mod scenes;
mod story;

use scenes::Scene;
use story::Section;

const HANDBOOK: &str = include_str!("../../deploy/README.md");
/// What the old host's section leaves for the new one.
const TAKEN_ALONG: [&str; 2] = ["companion.env", "companion.tar"];

fn section(title: &str) -> Section {
    story::sections(HANDBOOK).into_iter().find(|section| section.title == title).unwrap()
}

/// Runs a section in its scene; gives the scene back, so that what it left can be looked at.
fn run(section: &Section, scene: Scene) -> Scene {
    scene.machine.hand_over(scene.user);
    scene.machine.tell(section, &scene.prelude);
    scenes::assert_settled(&scene);
    scene
}

/// The sections, split over some tests so that they run side by side. All that fail are told, not the first alone, and
/// what each did in place of what it says.
fn run_share(share: usize, of: usize) {
    let sections = story::sections(HANDBOOK);
    assert!(sections.len() > 25, "the sections were not found");
    let ours = sections.iter().skip(share).step_by(of).filter(|section| can_run(&section.title));
    let failed: Vec<_> = ours
        .filter_map(|section| {
            let ran = std::panic::catch_unwind(|| drop(run(section, scenes::of(&section.title))));
            ran.err().map(|panic| format!("{}: {}", section.title, message(panic)))
        })
        .collect();
    assert!(failed.is_empty(), "these sections do not do what they say:\n{}", failed.join("\n"));
}

fn message(panic: Box<dyn std::any::Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => other.downcast_ref::<&str>().unwrap_or(&"see above").to_string(),
    }
}

#[test]
fn without_the_disk_of_the_backups_the_server_runs_and_only_the_backup_fails() {
    let title = "Backups on another disk";
    let scene = run(&section(title), scenes::of(title));
    let moved = scene.machine.path("mnt/other-disk/companion");
    assert!(!scene.machine.path("var/lib/companion/backups").exists(), "nothing is left behind");
    assert!(moved.join(".companion-installation").exists());
    let backups = crate::support::names(&moved, ".db.zst");
    assert_eq!(backups.len(), 2, "the one from before, and one made there: {backups:?}");
    let unplugged = "## Unplugged\n```sh
mv /mnt/other-disk/companion /mnt/elsewhere
echo /mnt/other-disk > /run/units/unmounted
systemctl start companion.service
curl -s --retry 20 --retry-connrefused --retry-delay 1 http://127.0.0.1:8000/readyz
systemctl start companion-cleanup-sessions.service
systemctl start companion-backup-db.service # exit 1
journalctl -u companion-backup-db.service -o cat -n 1
ls -A /mnt/other-disk
```\n```text
{\"degraded\":[],\"status\":\"ready\"}
companion-backup-db.service: Dependency failed
```\n";
    let after_a_reboot = "rm -f /run/units/*.pid";
    scene.machine.tell(&story::sections(unplugged).remove(0), after_a_reboot);
    assert!(!moved.exists(), "nothing is written below the mount point");
}

#[test]
fn after_an_accident_the_handbook_rotates_nothing_away_before_anyone_has_decided() {
    let title = "Most rows have gone";
    let scene = scenes::of(title);
    let before = scene.house().backups();
    assert!(before.len() > 7, "more than the rules keep");
    let scene = run(&section(title), scene);
    assert!(before.iter().all(|backup| backup.exists()), "one of those from before is gone");
    assert_eq!(scene.house().backups().len(), before.len() + 1, "the night's own, and no other");
}

/// The section about the predecessor waits for its command; every other one is run.
fn can_run(title: &str) -> bool {
    title != "Coming from the Python predecessor"
        || promises::commands().iter().any(|name| name == promises::IMPORT)
}

#[test]
fn every_command_is_run_first_half() {
    run_share(0, 2);
}

#[test]
fn every_command_is_run_second_half() {
    run_share(1, 2);
}

#[test]
fn commands_within_sentences_are_run_with_systemd() {
    let mut commands = said::commands(HANDBOOK, "systemctl ");
    commands.extend(said::commands(HANDBOOK, "journalctl "));
    assert!(commands.len() > 4, "{commands:?}");
    run(&said::section("Said of systemd", ":", commands), scenes::of("Look first"));
}

#[test]
fn commands_within_sentences_are_run_with_containers() {
    let (before, after) = ("Restore with Docker Compose", "Restore in Kubernetes");
    for (program, first, title) in [
        ("docker ", "cd deploy; mkdir /mnt/away; OFFSITE=/mnt/away", before),
        (
            "kubectl ",
            "printf one >admin-token; printf two >access-token; mkdir /mnt/away; OFFSITE=/mnt/away",
            after,
        ),
    ] {
        let commands = said::commands(HANDBOOK, program);
        assert!(commands.len() > 4, "{commands:?}");
        let scene = run(&said::section(program, first, commands), scenes::of(title).ending_with(6));
        let away = crate::support::names(&scene.machine.path("mnt/away"), ".db.zst");
        assert_eq!(away.len(), 1, "{program}: the backup was brought away");
    }
}
