//! A progress bar on a terminal, nothing in a pipe.

use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use skybru_client::storage::{Progress, Transferred};

use crate::print::Printer;

/// Shows how far a transfer has come.
pub(crate) struct Bar {
    bar: ProgressBar,
    total: AtomicU64,
}

impl Bar {
    /// A bar if somebody is looking.
    pub(crate) fn new(printer: &Printer) -> Self {
        let bar = if printer.shows_progress() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let template = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, total: AtomicU64::new(0) }
    }

    /// Takes the bar away and says what was done.
    pub(crate) fn done(&self, printer: &Printer, done: Transferred) {
        self.clear();
        printer.say(&format!("copied {}, {}", files(done.files), indicatif::HumanBytes(done.bytes)));
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// A number of files, in words.
pub(crate) fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

impl Progress for Bar {
    fn started(&self, total: Option<u64>) {
        let added = total.unwrap_or(0);
        self.bar.set_length(self.total.fetch_add(added, Ordering::Relaxed) + added);
    }

    fn advanced(&self, bytes: u64) {
        self.bar.inc(bytes);
    }
}
