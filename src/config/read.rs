//! From texts to values: one reader for each kind of value, all collecting their problems.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use age::x25519::Recipient;
use ipnet::IpNet;
use tracing::level_filters::LevelFilter;

use crate::config::problems::{Origin, Problems};
use crate::config::raw::{Flags, Given};
use crate::config::{CommandLine, LogConfig, LogFormat, RetentionConfig};
use crate::domain::address::{BaseUrl, is_host};
use crate::domain::retention::RetentionDays;
use crate::domain::secret::{ApiKey, Secret};

/// The longest secret, in characters.
const MOST_SECRET: usize = 512;

/// Reads what was given and collects what is wrong.
pub(crate) struct Reader {
    given: Given,
    pub problems: Problems,
}

impl Reader {
    pub fn new(flags: Flags) -> Self {
        let mut problems = Problems::default();
        let given = Given::collect(flags, &mut problems);
        Self { given, problems }
    }

    pub fn of(given: Given, problems: Problems) -> Self {
        Self { given, problems }
    }

    pub fn ignored(&self) -> Vec<String> {
        self.given.ignored.clone()
    }

    pub fn value(&self, name: &str) -> Option<(String, Origin)> {
        self.given.values.get(name).cloned()
    }

    /// The value as `parse` reads it, or `default`; `must` says what would be right.
    fn parsed<T>(&mut self, name: &str, default: T, must: &str, parse: impl FnOnce(&str) -> Option<T>) -> T {
        let Some((value, origin)) = self.value(name) else { return default };
        parse(&value).unwrap_or_else(|| {
            self.problems.add_value(name, &value, &origin, must);
            default
        })
    }

    /// A whole number within `range`, in plain digits.
    pub fn number(&mut self, name: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let must = format!("must be a whole number from {} to {}", range.start(), range.end());
        // The predecessor's file has whole ones as `30.0`.
        let whole = |text: &str| digits(text.strip_suffix(".0").unwrap_or(text));
        self.parsed(name, default, &must, |text| whole(text).filter(|number| range.contains(number)))
    }

    pub fn count(&mut self, name: &str, default: u64, most: u64) -> usize {
        usize::try_from(self.number(name, default, 1..=most)).unwrap_or(usize::MAX)
    }

    pub fn text(&self, name: &str, default: &str) -> String {
        self.value(name).map_or_else(|| default.to_owned(), |(value, _)| value)
    }

    /// An address to listen on, or the name of a machine.
    pub fn host(&mut self, name: &str, default: &str) -> String {
        let must = "must be an IP address without brackets, or the name of a machine";
        self.parsed(name, default.to_owned(), must, |host| is_host(host).then(|| host.to_owned()))
    }

    pub fn path(&self, name: &str, default: PathBuf) -> PathBuf {
        self.value(name).map_or(default, |(value, _)| PathBuf::from(value))
    }

    /// A program and its arguments, as a shell would take them apart.
    pub fn command(&mut self, name: &str) -> Option<CommandLine> {
        let must = "must be a program and its arguments, quoted as for a shell";
        self.parsed(name, None, must, |text| {
            let mut words = shlex::split(text)?.into_iter();
            let program = words.next().filter(|program| !program.is_empty())?;
            Some(Some(CommandLine { program, arguments: words.collect() }))
        })
    }

    pub fn path_if_given(&self, name: &str) -> Option<PathBuf> {
        self.value(name).map(|(value, _)| PathBuf::from(value))
    }

    pub fn is_given(&self, name: &str) -> bool {
        self.given.values.contains_key(name)
    }

    /// The address of an API. One that is wrong is not repeated: it may hold a key.
    pub fn base_url(&mut self, name: &str) -> Option<BaseUrl> {
        let (value, origin) = self.value(name)?;
        let read = value.parse::<BaseUrl>();
        read.map_err(|error| self.problems.add_value(name, "(not shown)", &origin, &error.to_string())).ok()
    }

    /// The address of a service without a path, at `usual` where it names no port.
    pub fn base_url_with_port(&mut self, name: &str, usual: u16) -> Option<BaseUrl> {
        let (value, origin) = self.value(name)?;
        let must = format!(
            "must be an address like http://127.0.0.1:{usual} (http or https, without a user, ? or #)"
        );
        let read = BaseUrl::parse(&value, Some(usual));
        read.map_err(|_| self.problems.add_value(name, "(not shown)", &origin, &must)).ok()
    }

    /// The name of a collection in Qdrant.
    pub fn collection(&mut self, name: &str, default: &str) -> String {
        let must = "must be 1 to 200 letters, digits, _ and -";
        self.parsed(name, default.to_owned(), must, |text| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            ((1..=200).contains(&text.len()) && text.bytes().all(plain)).then(|| text.to_owned())
        })
    }

    /// A name as a service outside knows it.
    pub fn plain_name(&mut self, name: &str, default: &str) -> String {
        let must = "must be 1 to 200 letters, digits and signs of ASCII, without spaces";
        self.parsed(name, default.to_owned(), must, |text| {
            let plain = text.len() <= 200 && text.bytes().all(|byte| byte.is_ascii_graphic());
            plain.then(|| text.to_owned())
        })
    }

    /// The name of a voice, which becomes a part of an address; empty when it is not given.
    pub fn voice_id(&mut self, name: &str) -> String {
        let must = "must be the id of a voice: letters and digits";
        self.parsed(name, String::new(), must, |text| {
            let plain =
                text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            plain.then(|| text.to_owned())
        })
    }

    pub fn seconds(&mut self, name: &str, default: u64) -> Duration {
        Duration::from_secs(self.number(name, default, 1..=3600))
    }

    /// The budget of all bodies; it has to hold the largest one.
    pub fn inflight_body_bytes(&mut self, largest: u64) -> u64 {
        let bytes = self.number("MAX_INFLIGHT_BODY_BYTES", 64 << 20, 1024..=1 << 40);
        if bytes < largest {
            let told = format!("MAX_INFLIGHT_BODY_BYTES: must be at least MAX_REQUEST_SIZE, {largest}");
            self.problems.add(told);
        }
        bytes
    }

    pub fn rate_limit(&mut self) -> Option<NonZeroU32> {
        let per_minute = self.number("RATE_LIMIT_PER_MINUTE", 30, 1..=1_000_000);
        let per_minute = u32::try_from(per_minute).ok().and_then(NonZeroU32::new);
        per_minute.filter(|_| self.yes_or_no("RATE_LIMIT_ENABLED", true))
    }

    pub fn yes_or_no(&mut self, name: &str, default: bool) -> bool {
        self.parsed(name, default, "must be true or false", |text| match text.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        })
    }

    /// `None` without a limit.
    pub fn turns_a_day(&mut self) -> Option<NonZeroU32> {
        let must = "must be a whole number from 1 to 1000000, or off";
        self.parsed("DAILY_TURNS_PER_PERSON", None, must, |text| match text {
            "off" => Some(None),
            _ => digits(text)
                .filter(|turns| *turns <= 1_000_000)
                .and_then(|turns| u32::try_from(turns).ok().and_then(NonZeroU32::new).map(Some)),
        })
    }

    fn days(&mut self, name: &str, default: Option<u32>) -> Option<RetentionDays> {
        let must = "must be a whole number of days from 1 to 36500, or off";
        self.parsed(name, default.and_then(RetentionDays::new), must, |text| match text {
            "off" => Some(None),
            days => days.parse().ok().map(Some),
        })
    }

    pub fn memories_per_person(&mut self) -> u32 {
        u32::try_from(self.number("MAX_MEMORIES_PER_PERSON", 10_000, 1..=100_000)).unwrap_or(u32::MAX)
    }

    pub fn networks(&mut self, name: &str) -> Vec<IpNet> {
        let must = "must be addresses or networks like 10.0.0.0/8, separated by commas";
        let network = |text: &str| -> Option<IpNet> {
            text.parse().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from))
        };
        self.parsed(name, Vec::new(), must, |text| {
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(network).collect()
        })
    }

    /// Origins as browsers write them. Not `*`, by which any page could talk in a person's name: it is told as ignored.
    pub fn origins(&mut self, name: &str) -> Vec<String> {
        if self.value(name).is_some_and(|(value, _)| value.trim() == "*") {
            self.given.ignored.push(format!("{name}=*"));
            return Vec::new();
        }
        let must = "must be origins like https://app.example.org, separated by commas";
        let origin = |text: &str| {
            let site = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
            (!site.is_empty() && site.bytes().all(plain)).then(|| text.to_ascii_lowercase())
        };
        self.parsed(name, Vec::new(), must, |text| {
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(origin).collect()
        })
    }

    /// A public key; one that cannot be read is not repeated, because it may be the secret one.
    pub fn recipient(&mut self, name: &str) -> Option<Recipient> {
        let (value, origin) = self.value(name)?;
        let read = value.parse().ok();
        if read.is_none() {
            let must = "must be a public key of age: age1..., as age-keygen prints it";
            self.problems.add_value(name, "(not shown)", &origin, must);
        }
        read
    }

    /// A secret that is compared.
    pub fn secret(&mut self, name: &str, in_file: &str) -> Option<Secret> {
        self.secret_text(name, in_file).map(|text| Secret::new(&text))
    }

    /// A secret that is sent to a service outside.
    pub fn api_key(&mut self, name: &str, in_file: &str) -> Option<ApiKey> {
        self.secret_text(name, in_file).map(ApiKey::new)
    }

    /// A secret, given itself or as the name of a file that holds it. It is never repeated.
    fn secret_text(&mut self, name: &str, in_file: &str) -> Option<String> {
        let (text, origin, given_as) = match (self.value(name), self.value(in_file)) {
            (None, None) => return None,
            (Some(_), Some(_)) => {
                self.problems.add(format!("{name} and {in_file} are both given; keep one"));
                return None;
            }
            (Some((text, origin)), None) => (text, origin, name),
            (None, Some((path, origin))) => match read_secret(&path) {
                Ok(text) => (text, origin, in_file),
                Err(error) => {
                    self.problems.add_value(in_file, &path, &origin, &format!("cannot be read: {error}"));
                    return None;
                }
            },
        };
        if (1..=MOST_SECRET).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Some(text);
        }
        let must = format!("must be 1 to {MOST_SECRET} letters, digits and signs of ASCII, without spaces");
        self.problems.add_value(given_as, "(not shown)", &origin, &must);
        None
    }

    pub fn retention(&mut self) -> RetentionConfig {
        let keep = self.number("BACKUP_KEEP", 7, 1..=10_000);
        let keep = u32::try_from(keep).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        RetentionConfig {
            session_days: self.days("SESSION_RETENTION_DAYS", Some(7)),
            person_days: self.days("PERSON_RETENTION_DAYS", Some(400)),
            memory_days: self.days("MEMORY_RETENTION_DAYS", None),
            audio_max_age: Duration::from_secs(self.audio_hours() * 60 * 60),
            audio_max_total_bytes: self.number("AUDIO_MAX_TOTAL_BYTES", 1024 * 1024 * 1024, 0..=u64::MAX),
            backup_keep: keep,
            backup_keep_daily: self.keep_of("BACKUP_KEEP_DAILY", 100_000),
            backup_keep_weekly: self.keep_of("BACKUP_KEEP_WEEKLY", 10_000),
            backup_keep_monthly: self.keep_of("BACKUP_KEEP_MONTHLY", 10_000),
        }
    }

    /// How many periods a keep rule wants; 0 is no rule.
    fn keep_of(&mut self, name: &str, most: u64) -> u32 {
        u32::try_from(self.number(name, 0, 0..=most)).unwrap_or(0)
    }

    /// The predecessor's name counts when ours is not given.
    fn audio_hours(&mut self) -> u64 {
        const OURS: &str = "AUDIO_MAX_AGE_HOURS";
        const THEIRS: &str = "AUDIO_CLEANUP_MAX_AGE_HOURS";
        let hours = 1..=876_000;
        match (self.value(OURS), self.value(THEIRS)) {
            (Some((ours, _)), Some((theirs, origin))) if ours != theirs => {
                self.problems.add_value(
                    THEIRS,
                    &theirs,
                    &origin,
                    "differs from AUDIO_MAX_AGE_HOURS, its new name; keep one",
                );
                self.number(OURS, 24, hours)
            }
            (None, Some(_)) => self.number(THEIRS, 24, hours),
            _ => self.number(OURS, 24, hours),
        }
    }

    pub fn log(&mut self) -> LogConfig {
        let must = "must be TRACE, DEBUG, INFO, WARNING or ERROR";
        let level = self.parsed("LOG_LEVEL", LevelFilter::INFO, must, |text| {
            Some(match text.to_ascii_lowercase().as_str() {
                "trace" => LevelFilter::TRACE,
                "debug" => LevelFilter::DEBUG,
                "info" => LevelFilter::INFO,
                "warn" | "warning" => LevelFilter::WARN,
                "error" | "critical" => LevelFilter::ERROR,
                _ => return None,
            })
        });
        let usual = if std::io::stderr().is_terminal() { LogFormat::Console } else { LogFormat::Json };
        let format = self.parsed("LOG_FORMAT", usual, "must be console or json", |text| match text {
            "console" => Some(LogFormat::Console),
            "json" => Some(LogFormat::Json),
            _ => None,
        });
        LogConfig { level, format }
    }
}

/// The text of a file, without the end of its line.
fn read_secret(path: &str) -> std::io::Result<String> {
    let mut text = String::new();
    // More than a secret may have is enough to refuse it.
    File::open(path)?.take(MOST_SECRET as u64 + 3).read_to_string(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}
