//! A persona file: one that is taken is whole, one that is not is explained.

use companion::config::{Flags, ServerConfig};

use super::settings::written;

pub fn target(data: &[u8]) {
    written(data, |path| {
        let overrides = vec![("PERSONA_FILE", path.display().to_string())];
        // Some other environment is none of this target's business.
        match ServerConfig::load(Flags { env_file: Some("/dev/null".into()), overrides }) {
            Ok(config) => {
                let persona = config.persona;
                let full = |text: &String| !text.trim().is_empty();
                assert!(full(&persona.name) && full(&persona.honesty) && full(&persona.crisis.help));
                assert!(!persona.greetings.is_empty() && persona.greetings.iter().all(full));
                assert!(!persona.crisis.answers.is_empty() && persona.crisis.answers.iter().all(full));
            }
            Err(problems) => assert!(problems.to_string().contains("PERSONA_FILE"), "{problems}"),
        }
    });
}
