//! How far the work is: a bar on a terminal, a log line every 10 s otherwise.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use companion::maint::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const LINE_EVERY: Duration = Duration::from_secs(10);

/// A bar, or lines.
pub struct Shown {
    bar: Option<ProgressBar>,
    stage: RefCell<String>,
    last_line: Cell<Instant>,
}

impl Shown {
    /// A bar when `on_terminal`, else lines.
    pub fn new(on_terminal: bool) -> Self {
        let bar = on_terminal.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{msg:<20} {wide_bar} {percent:>3}% {elapsed}");
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, stage: RefCell::default(), last_line: Cell::new(Instant::now()) }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Shown {
    fn advance(&self, what: &str, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            if *self.stage.borrow() != what {
                what.clone_into(&mut self.stage.borrow_mut());
                bar.reset();
                bar.set_message(what.to_owned());
            }
            bar.set_length(total.max(done));
            bar.set_position(done);
        } else if self.last_line.get().elapsed() >= LINE_EVERY {
            self.last_line.set(Instant::now());
            tracing::info!(done, total, "Still at work: {what}");
        }
    }
}
