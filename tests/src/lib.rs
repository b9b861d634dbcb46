//! End-to-end, authorization, fault and architecture tests.
//!
//! The library holds what several of them share; the tests are in `tests/`.

use std::path::{Path, PathBuf};

/// The workspace's root folder.
pub fn root() -> PathBuf {
    // Of the checkout under test, also when build folders are shared.
    let own = std::env::var("CARGO_MANIFEST_DIR");
    Path::new(own.as_deref().unwrap_or(env!("CARGO_MANIFEST_DIR")))
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default()
}

/// All files below `dir` with the extension `ext`, build folders left out.
pub fn files(dir: &Path, ext: &str) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let Ok(entries) = std::fs::read_dir(dir) else {
        return out;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if path.is_dir() {
            if !hidden && entry.file_name() != "target" {
                out.extend(files(&path, ext));
            }
        } else if path.extension().is_some_and(|e| e == ext) {
            out.push(path);
        }
    }
    out.sort();
    out
}
