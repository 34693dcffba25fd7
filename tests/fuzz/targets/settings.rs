//! An `.env` file: what it sets is within its bounds, what is wrong is told, and no secret is repeated.

use std::io::Write;
use std::path::Path;

use companion::config::{Flags, MaintConfig, ServerConfig};

const SECRETS: [&str; 3] = ["ACCESS_TOKEN", "ADMIN_TOKEN", "METRICS_TOKEN"];

pub fn target(data: &[u8]) {
    // The files that a setting names are somebody else's.
    if data.windows(5).any(|part| part.eq_ignore_ascii_case(b"_FILE")) {
        return;
    }
    written(data, |path| {
        let flags = || Flags { env_file: Some(path.to_owned()), overrides: Vec::new() };
        let told = match ServerConfig::load(flags()) {
            Ok(config) => {
                check(&config);
                format!("{config:?}")
            }
            Err(problems) => {
                assert!(problems.to_string().lines().count() > 1, "a problem is named");
                problems.to_string()
            }
        };
        assert!(secret(data).is_none_or(|secret| !told.contains(&secret)), "a secret is repeated: {told}");
        if let Err(problems) = MaintConfig::load(flags()) {
            assert!(problems.to_string().lines().count() > 1, "a problem is named");
        }
    });
}

fn check(config: &ServerConfig) {
    let limits = &config.limits;
    assert!(limits.max_inflight_body_bytes >= limits.max_request_bytes && limits.max_request_bytes >= 1024);
    assert!(limits.max_message_chars >= 1 && limits.max_connections >= 1 && limits.max_turns >= 1);
    assert!(limits.max_turns_per_person >= 1 && limits.session_queue <= 1000);
    assert!(
        limits.body_idle.as_secs() >= 1 && limits.body_total.as_secs() >= 1 && config.drain.as_secs() <= 3600
    );
    let site = |origin: &String| origin.starts_with("http://") || origin.starts_with("https://");
    assert!(config.allowed_origins.iter().all(site), "{:?}", config.allowed_origins);
}

/// A secret in a line of its own that nothing else in the file resembles.
fn secret(data: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(data).ok()?;
    let (name, value) =
        text.lines().filter_map(|line| line.split_once('=')).find(|(name, _)| SECRETS.contains(name))?;
    // Nothing is special between these quotes.
    let value = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(value);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" -_.".contains(&byte);
    let once = value.len() >= 8 && text.matches(value).count() == 1 && !name.contains(value);
    let unmistakable = value.bytes().all(plain) && value.contains('-');
    // A value that is shown is shown in part.
    (once && unmistakable).then(|| value.chars().take(40).collect())
}

/// Calls with the path of a file that holds these bytes.
pub fn written(data: &[u8], look: impl FnOnce(&Path)) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(data).unwrap();
    look(file.path());
}
