//! The maintenance tool: reads the command line and the settings, runs one job, prints its report.

use std::io::{IsTerminal, Write};
use std::num::NonZeroU32;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use args::{
    Arguments, BackupDb, Changing, CleanupAudio, CleanupSessions, Command, Common, Doctor, ImportLanggraph,
    ReindexMemories, RestoreDb, VerifyBackups,
};
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use companion::adapters::disk;
use companion::config::{Flags, LogFormat, MaintConfig, Problems};
use companion::domain::clock::SystemClock;
use companion::maint::stop::Stop;
use companion::maint::{
    ItemError, Report, Run, backup, cleanup_audio, cleanup_sessions, doctor, import_langgraph, list_backups,
    reindex_memories, restore, status, verify_backups,
};
use companion::telemetry::causes::told_once;
use companion::telemetry::logs;
use progress::Shown;
use render::Readable;
use serde::Serialize;
use telling::{Nothing, Telling, not_begun};
use tracing::level_filters::LevelFilter;

mod args;
mod misuse;
mod progress;
mod render;
mod telling;

const HOUR: Duration = Duration::from_secs(60 * 60);
/// For commands that change nothing.
const LOOKING: Changing = Changing { dry_run: false, force: false };

/// The pieces every job's run is made of.
struct Setting<'a> {
    common: &'a Common,
    config: &'a MaintConfig,
    stop: &'a Stop,
    progress: &'a Shown,
    telling: &'a Telling,
}

fn main() -> ExitCode {
    disk::keep_owners_rights();
    let understood = Arguments::command()
        .try_get_matches()
        .and_then(|matches| Arguments::from_arg_matches(&matches).map(|arguments| (matches, arguments)));
    let (matches, arguments) = match understood {
        Ok(understood) => understood,
        Err(error) => return misuse::told(&error),
    };
    // The process ends soon after; the name may as well stay.
    let job: &'static str = matches.subcommand_name().unwrap_or_default().to_owned().leak();
    let dry_run = matches.subcommand().is_some_and(|(_, of_job)| is_dry(of_job));
    let mut telling = Telling { ping: None, metrics: arguments.common.metrics_file.clone() };
    let asked = telling.ping_as_asked(&arguments.common);
    let code = asked.and_then(|()| start(&arguments, &telling)).unwrap_or_else(|error| {
        logs::init(LevelFilter::WARN, logs::Format::Console);
        telling.turned_away(&turned_away(&arguments, (job, dry_run), &error));
        2
    });
    telling.ended(code);
    ExitCode::from(code)
}

/// Whether a job was asked to change nothing; those that never do are not.
fn is_dry(of_job: &ArgMatches) -> bool {
    matches!(of_job.try_get_one::<bool>("dry_run"), Ok(Some(true)))
}

/// Tells why nothing was begun, and gives the report of that.
fn turned_away(
    arguments: &Arguments,
    (job, dry_run): (&'static str, bool),
    error: &anyhow::Error,
) -> Report<Nothing> {
    let told = told_once(error.as_ref());
    let one = |item: &str, error: String| ItemError { item: item.to_owned(), error };
    let errors = match error.downcast_ref::<Problems>() {
        Some(problems) => problems.list().iter().map(|problem| one("settings", problem.clone())).collect(),
        None => vec![one("command line", told.clone())],
    };
    complain(&told);
    let report = not_begun(job, dry_run, errors);
    let into_pipe = matches!(&arguments.command, Command::BackupDb(asked) if asked.stdout);
    if arguments.common.json {
        let document = serde_json::to_string(&report).unwrap_or_default();
        if into_pipe { deliver_beside(&document) } else { drop(deliver(&document)) }
    }
    report
}

/// Fails only before anything was touched.
fn start(arguments: &Arguments, telling: &Telling) -> anyhow::Result<u8> {
    let common = &arguments.common;
    let overrides = common.data_dir.clone().map(|dir| ("DATA_DIR", dir)).into_iter().collect();
    let flags = Flags { env_file: common.env_file.clone(), overrides };
    let config = MaintConfig::load(flags)?;
    start_logs(common, &config);
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        // The second one ends the process at once, as an impatient operator expects.
        signal_hook::flag::register_conditional_default(signal, asked.clone())
            .context("cannot listen for signals")?;
        signal_hook::flag::register(signal, asked.clone()).context("cannot listen for signals")?;
    }
    // Where files may not grow (LimitFSIZE, ulimit -f) a write fails, as on a full disk; it does not end the run.
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default())
        .context("cannot listen for signals")?;
    telling.started();
    let stop = Stop::new(asked, common.max_runtime);
    let progress = Shown::new(std::io::stderr().is_terminal() && !common.quiet);
    let setting = Setting { common, config: &config, stop: &stop, progress: &progress, telling };
    Ok(match &arguments.command {
        Command::CleanupSessions(asked) => setting.clean_up_sessions(asked),
        Command::CleanupAudio(asked) => setting.clean_up_audio(asked),
        Command::BackupDb(asked) => setting.back_up(asked)?,
        Command::RestoreDb(asked) => setting.restore(asked)?,
        Command::ListBackups => setting.print(&list_backups::run(&setting.run(&LOOKING))),
        Command::VerifyBackups(asked) => setting.verify_backups(asked),
        Command::Doctor(asked) => setting.examine(asked),
        Command::ImportLanggraph(asked) => setting.import(asked),
        Command::ReindexMemories(asked) => setting.reindex(asked),
        Command::Status => setting.print(&status::run(&setting.run(&LOOKING))),
    })
}

fn start_logs(common: &Common, config: &MaintConfig) {
    let level = match (common.quiet, common.verbose) {
        (true, _) => config.log.level.min(LevelFilter::WARN),
        (_, true) => config.log.level.max(LevelFilter::DEBUG),
        _ => config.log.level,
    };
    let format = match config.log.format {
        LogFormat::Console => logs::Format::Console,
        LogFormat::Json => logs::Format::Json,
    };
    logs::init(level, format);
}

impl Setting<'_> {
    fn run(&self, changing: &Changing) -> Run<'_> {
        Run {
            config: self.config,
            clock: &SystemClock,
            dry_run: changing.dry_run,
            force: changing.force,
            stop: self.stop,
            wait_lock: self.common.wait_lock,
            progress: self.progress,
        }
    }

    fn clean_up_sessions(&self, asked: &CleanupSessions) -> u8 {
        let options = cleanup_sessions::Options {
            retention: asked.retention_days,
            batch_size: usize::try_from(asked.batch_size).unwrap_or(usize::MAX),
            max_delete_percent: asked.max_delete_percent,
            compact: !asked.no_compact,
        };
        self.print(&cleanup_sessions::run(&self.run(&asked.changing), options))
    }

    fn clean_up_audio(&self, asked: &CleanupAudio) -> u8 {
        let options = cleanup_audio::Options {
            max_age: asked.max_age_hours.and_then(|hours| Some(HOUR * u32::try_from(hours).ok()?)),
            max_total_bytes: asked.max_total_bytes,
            orphans: asked.orphans,
            max_delete_percent: asked.max_delete_percent,
        };
        self.print(&cleanup_audio::run(&self.run(&asked.changing), options))
    }

    fn back_up(&self, asked: &BackupDb) -> anyhow::Result<u8> {
        let destination = if asked.stdout {
            let stdout = std::io::stdout();
            anyhow::ensure!(
                !stdout.is_terminal(),
                "--stdout writes a binary file: send it into a pipe or a file"
            );
            let pipe = stdout.as_fd().try_clone_to_owned().context("cannot write to stdout")?;
            backup::Destination::Pipe(pipe.into())
        } else {
            backup::Destination::Directory(asked.output_dir.clone())
        };
        let keep = backup::Keep {
            newest: asked.keep.and_then(NonZeroU32::new),
            daily: asked.keep_daily,
            weekly: asked.keep_weekly,
            monthly: asked.keep_monthly,
        };
        let options = backup::Options { keep, destination };
        let report = backup::run(&self.run(&asked.changing), options);
        if asked.stdout {
            self.progress.finish();
            let report = self.telling.measured(self.config, &report);
            if !self.common.quiet || report.exit_code != 0 {
                deliver_beside(&self.text(&report));
            }
            return Ok(report.exit_code);
        }
        Ok(self.print(&report))
    }

    fn restore(&self, asked: &RestoreDb) -> anyhow::Result<u8> {
        let options = restore::Options { backup: asked.backup.clone(), identity: asked.identity.clone() };
        let sure = asked.yes || asked.changing.dry_run || self.is_sure(&asked.backup)?;
        anyhow::ensure!(sure, "nothing was restored");
        Ok(self.print(&restore::run(&self.run(&asked.changing), &options)))
    }

    /// Asks whoever is at the terminal.
    fn is_sure(&self, backup: &str) -> anyhow::Result<bool> {
        anyhow::ensure!(
            std::io::stdin().is_terminal(),
            "restore-db replaces the database in {}; add --yes to say that this is meant",
            self.config.storage.data_dir.display()
        );
        ask(&format!(
            "This replaces the database in {} with the backup {backup}; the present one is set aside. Type yes to go on: ",
            self.config.storage.data_dir.display()
        ));
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).context("cannot read the answer")?;
        Ok(answer.trim() == "yes")
    }

    fn verify_backups(&self, asked: &VerifyBackups) -> u8 {
        let options =
            verify_backups::Options { drill: asked.restore_drill, identity: asked.identity.clone() };
        self.print(&verify_backups::run(&self.run(&LOOKING), &options))
    }

    fn examine(&self, asked: &Doctor) -> u8 {
        let changing = Changing { dry_run: asked.dry_run, force: false };
        self.print(&doctor::run(&self.run(&changing), doctor::Options { repair: asked.repair }))
    }

    fn reindex(&self, asked: &ReindexMemories) -> u8 {
        let only = asked.only.map(|index| match index {
            args::Index::Embedded => reindex_memories::Index::Embedded,
            args::Index::Qdrant => reindex_memories::Index::Qdrant,
        });
        self.print(&reindex_memories::run(&self.run(&asked.changing), reindex_memories::Options { only }))
    }

    fn import(&self, asked: &ImportLanggraph) -> u8 {
        let options = import_langgraph::Options {
            source: asked.source.clone(),
            person_token_file: asked.person_token_file.clone(),
            pin: asked.pin,
        };
        self.print(&import_langgraph::run(&self.run(&asked.changing), &options))
    }

    /// Prints the report and returns the exit code.
    fn print<C: Readable + Serialize + Clone>(&self, report: &Report<C>) -> u8 {
        self.progress.finish();
        let report = self.telling.measured(self.config, report);
        let wanted = !self.common.quiet || report.exit_code != 0 || report.counts.must_be_told();
        let told = if wanted { deliver(&self.text(&report)) } else { Ok(()) };
        match told {
            Err(error) if report.exit_code == 0 => {
                complain(&format!("the work is done, but its report could not be written: {error}"));
                1
            }
            _ => report.exit_code,
        }
    }

    fn text<C: Readable + Serialize>(&self, report: &Report<C>) -> String {
        if self.common.json {
            serde_json::to_string(report).unwrap_or_default()
        } else {
            render::text(report)
        }
    }
}

/// Writes the report to stdout. A reader that closed the pipe early has seen what it wanted to.
fn deliver(report: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match writeln!(stdout, "{report}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Writes the report to stderr, for what else is in stdout. Where it cannot be written, the exit code has to do.
fn deliver_beside(report: &str) {
    drop(writeln!(std::io::stderr(), "{report}"));
}

fn ask(question: &str) {
    drop(write!(std::io::stderr(), "{question}"));
}

/// Where this cannot be written, the exit code has to do.
fn complain(message: &str) {
    drop(writeln!(std::io::stderr(), "companion-maint: {message}"));
}
