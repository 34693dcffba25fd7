//! Who the companion is: built in, or from the file `PERSONA_FILE` names.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::domain::chat::{Crisis, Persona};
use crate::domain::crisis;

const BUILT_IN: &str = include_str!("persona.toml");
/// A persona is a few pages; something larger is another file.
const MOST_BYTES: u64 = 256 * 1024;

/// Why there is no persona.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PersonaError {
    #[error("{path} cannot be read: {source}", path = path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{path} is larger than 256 KiB", path = .0.display())]
    TooLarge(PathBuf),
    #[error("{path} is not a persona: {why}", path = path.display())]
    Wrong { path: PathBuf, why: String },
}

/// The persona in the file at `path`, or the built-in one.
pub(crate) fn load(path: Option<&Path>) -> Result<Persona, PersonaError> {
    let built_in = parse(BUILT_IN, Path::new("the built-in persona"));
    let Some(path) = path else { return built_in };
    let unreadable = |source| PersonaError::Unreadable { path: path.to_owned(), source };
    let mut text = String::new();
    // What a file says of its size is not believed: a device says 0 and goes on for ever.
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text));
    if read.map_err(unreadable)? as u64 > MOST_BYTES {
        return Err(PersonaError::TooLarge(path.to_owned()));
    }
    let mut persona = parse(&text, path)?;
    // Files from before there was speech say nothing of it.
    if persona.silence.is_empty() {
        persona.silence = built_in?.silence;
    }
    Ok(persona)
}

fn parse(text: &str, path: &Path) -> Result<Persona, PersonaError> {
    let wrong = |why: String| PersonaError::Wrong { path: path.to_owned(), why };
    let persona: Persona = toml::from_str(text).map_err(|error| wrong(error.message().to_owned()))?;
    let texts = [
        ("name", &persona.name),
        ("honesty", &persona.honesty),
        ("honesty_with_model", &persona.honesty_with_model),
    ];
    if let Some((name, _)) = texts.iter().find(|(_, text)| text.trim().is_empty()) {
        return Err(wrong(format!("{name} must not be empty")));
    }
    if persona.silence.iter().any(|text| text.trim().is_empty()) {
        return Err(wrong("silence must have no empty text".to_owned()));
    }
    full("greetings", &persona.greetings).map_err(wrong)?;
    check_crisis("crisis", &persona.crisis).map_err(wrong)?;
    for (language, crisis) in &persona.crisis_in {
        check_crisis(&format!("crisis_in.{language}"), crisis).map_err(wrong)?;
        if !crisis::ANSWERED_IN.contains(&language.as_str()) {
            let known = crisis::ANSWERED_IN.join(", ");
            return Err(wrong(format!("crisis_in.{language} is never said: its languages are {known}")));
        }
    }
    Ok(persona)
}

fn check_crisis(name: &str, crisis: &Crisis) -> Result<(), String> {
    if crisis.help.trim().is_empty() {
        return Err(format!("{name}.help must not be empty"));
    }
    full(&format!("{name}.answers"), &crisis.answers)
}

fn full(name: &str, list: &[String]) -> Result<(), String> {
    if list.is_empty() || list.iter().any(|text| text.trim().is_empty()) {
        return Err(format!("{name} must have at least one text, and no empty one"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ops::Add;

    use super::*;

    #[test]
    fn the_built_in_persona_is_whole() {
        let persona = load(None).unwrap();
        for crisis in persona.crises() {
            assert!(crisis.answers.len() >= 2, "an answer must never come twice in a row");
        }
        let known: Vec<_> = persona.crisis_in.keys().map(String::as_str).collect();
        assert_eq!(known, crisis::ANSWERED_IN, "every language that is told apart is answered in itself");
    }

    #[test]
    fn a_broken_persona_is_explained() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.toml");
        let told = |text: &[u8]| {
            std::fs::write(&path, text).unwrap();
            load(Some(&path)).unwrap_err().to_string()
        };
        assert!(told(b"name = 'x'").contains("missing field"));
        assert!(told(&BUILT_IN.replace("honesty", "honestly").into_bytes()).contains("unknown field"));
        let german = "[crisis_in.de]\nanswers = ['Es tut mir leid.']\nhelp = '";
        let with =
            |more: &str| told(BUILT_IN.split_once("[crisis_in").unwrap().0.to_owned().add(more).as_bytes());
        assert!(with(&format!("{german}'")).contains("crisis_in.de.help must not be empty"));
        assert!(
            with(&format!("{}x'", german.replace(".de", ".tlh"))).contains("crisis_in.tlh is never said")
        );
        assert!(told(&[0xFF, 0xFE]).contains("cannot be read"));
        let sized = |bytes: usize| [BUILT_IN.as_bytes(), &vec![b'#'; bytes - BUILT_IN.len()]].concat();
        assert!(told(&sized((256 << 10) + 1)).contains("larger than"));
        std::fs::write(&path, sized(256 << 10)).unwrap();
        assert!(load(Some(&path)).is_ok());
        assert!(load(Some(Path::new("/dev/zero"))).unwrap_err().to_string().contains("larger than"));
        assert!(load(Some(Path::new("/no/such"))).is_err());
    }
}
