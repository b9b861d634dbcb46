//! The compute pod: evaluate, prove, and check one's own proof before anybody
//! else sees it (POD-2, POD-3).

mod circuits;
mod matrices;
mod run;
mod work;

pub use circuits::Circuits;
pub use run::{Pod, PollError, Report, poll};
pub use work::{Finished, Job, PodError, Stage, matrix_words, run};
