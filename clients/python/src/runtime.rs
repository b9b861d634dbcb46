//! Waiting for the network without holding the interpreter: other Python threads
//! go on, and Ctrl-C ends the wait.

use crate::failure::{Failure, raised};
use pyo3::prelude::*;
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::runtime::{Builder, Runtime};

/// How often a wait looks for signals.
const LOOK: Duration = Duration::from_millis(100);

/// One runtime a process: threads do not survive a fork, so a child makes its own.
static RUNTIME: Mutex<Option<(u32, &'static Runtime)>> = Mutex::new(None);

fn runtime() -> Result<&'static Runtime, Failure> {
    let process = std::process::id();
    let mut held = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    match *held {
        Some((of, runtime)) if of == process => Ok(runtime),
        _ => {
            let made = Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("veilbourse")
                .enable_all()
                .build()
                .map_err(|e| Failure::new("local", "RUNTIME", e.to_string()))?;
            // Never dropped: a fork's copy has no threads to join.
            let made: &'static Runtime = Box::leak(Box::new(made));
            *held = Some((process, made));
            Ok(made)
        }
    }
}

/// Runs a future to its end with the interpreter released.
pub fn wait<T, E, F, W>(py: Python<'_>, make: W) -> PyResult<T>
where
    W: FnOnce() -> F + Send,
    F: Future<Output = Result<T, E>>,
    T: Send,
    E: Into<Failure> + Send,
{
    let runtime = runtime().map_err(|e| raised(py, e))?;
    let ended = py.detach(|| {
        runtime.block_on(async {
            tokio::select! {
                ended = make() => Ok(ended),
                signal = interrupted() => Err(signal),
            }
        })
    });
    ended?.map_err(|e| raised(py, e))
}

/// Ends with the exception that a signal's handler raised.
async fn interrupted() -> PyErr {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Some(Err(e)) = Python::try_attach(|py| py.check_signals()) {
            return e;
        }
    }
}
