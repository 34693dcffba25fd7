//! `deploy/README.md`: every command in it is run, every broken installation in it is broken for real, and what it says of
//! reports, codes, flags and alerts is all there is.

mod machine;
mod promises;
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

/// The sections, split over some tests so that they run side by side. All that fail are told, not the first alone.
fn run_share(share: usize, of: usize) {
    let sections = story::sections(HANDBOOK);
    assert!(sections.len() > 25, "the sections were not found");
    let ours = sections.iter().skip(share).step_by(of).filter(|section| can_run(&section.title));
    let failed: Vec<_> = ours
        .filter(|section| {
            std::panic::catch_unwind(|| drop(run(section, scenes::of(&section.title)))).is_err()
        })
        .map(|section| &section.title)
        .collect();
    assert!(failed.is_empty(), "these sections do not do what they say (see above): {failed:?}");
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
