//! What a person sees on standard error while something takes long.

use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use std::{io::IsTerminal, time::Duration};

/// Steps of a long command: the current one on a spinner or bar, or a line each where standard error is no terminal.
#[derive(Debug)]
pub struct Steps {
    terminal: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl Default for Steps {
    fn default() -> Self {
        Self::new()
    }
}

impl Steps {
    /// Nothing is shown yet.
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), bar: Mutex::new(None) }
    }

    /// The former step is done, this one starts.
    pub fn begin(&self, what: &str) {
        self.show(what, |bar| bar.enable_steady_tick(Duration::from_millis(100)), ProgressBar::new_spinner);
    }

    /// As [`Self::begin`], for a step that tells how far it is through [`Self::set_of`].
    pub fn begin_counted(&self, what: &str) {
        self.show(
            what,
            |bar| {
                let style = ProgressStyle::with_template("{msg} [{bar:30}] {percent} % {eta}");
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            },
            || ProgressBar::new(0),
        );
    }

    /// How far the current step is.
    pub fn set_of(&self, done: u64, total: u64) {
        if let Some(bar) = &*self.bar.lock() {
            bar.set_length(total);
            bar.set_position(done);
        }
    }

    /// Says more of the current step, where standard error is a terminal.
    pub fn tell(&self, what: &str) {
        if let Some(bar) = &*self.bar.lock() {
            bar.set_message(what.to_owned());
        }
    }

    /// Prints without disturbing the spinner.
    pub fn pause<T>(&self, print: impl FnOnce() -> T) -> T {
        match &*self.bar.lock() {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// All is done; the screen is left clean.
    pub fn finish(&self) {
        if let Some(bar) = self.bar.lock().take() {
            bar.finish_and_clear();
        }
    }

    fn show(&self, what: &str, style: impl FnOnce(&ProgressBar), make: impl FnOnce() -> ProgressBar) {
        self.finish();
        if self.terminal {
            let bar = make();
            style(&bar);
            bar.set_message(what.to_owned());
            *self.bar.lock() = Some(bar);
        } else {
            eprintln!("{what}");
        }
    }
}
