//! Progress bars on standard error; nothing when it is no terminal or the
//! output is for programs.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{collections::HashMap, sync::Mutex, sync::PoisonError};
use veilbourse_client::http::Progress;
use veilbourse_verify::terminal::printable;

/// A bar for each stage.
#[derive(Debug, Default)]
pub struct Bars {
    quiet: bool,
    bars: Mutex<HashMap<String, ProgressBar>>,
}

impl Bars {
    /// Draws unless `quiet`.
    pub fn new(quiet: bool) -> Self {
        Self {
            quiet,
            bars: Mutex::default(),
        }
    }

    /// Sets a stage's position and text.
    pub fn set(&self, stage: &str, done: u64, total: u64, text: &str) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bars.entry(stage.to_owned()).or_insert_with(|| {
            let target = if self.quiet {
                ProgressDrawTarget::hidden()
            } else {
                ProgressDrawTarget::stderr()
            };
            let bar = ProgressBar::with_draw_target(Some(total), target);
            if let Ok(style) = ProgressStyle::with_template(
                "  {prefix:<10} [{bar:32}] {pos}/{len} {elapsed} {msg}",
            ) {
                bar.set_style(style.progress_chars("█▌ "));
            }
            bar.set_prefix(stage.to_owned());
            bar
        });
        bar.set_length(total);
        bar.set_message(printable(text));
        bar.set_position(done);
        if done >= total {
            bar.finish();
            bars.remove(stage);
        }
    }
}

impl Progress for Bars {
    fn step(&self, stage: &str, done: u64, total: u64) {
        self.set(stage, done, total, "");
    }
}
