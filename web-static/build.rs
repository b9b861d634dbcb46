//! Makes the table of what is embedded (WEB-1): `index.html` and everything in
//! `assets/`, each with its content type and, where that is shorter, compressed
//! once here instead of at every request (WEB-3).

#![allow(clippy::print_stdout)] // how a build script speaks to cargo

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
};

/// Content types by extension; a file of another kind stops the build.
const TYPES: &[(&str, &str)] = &[
    ("html", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("svg", "image/svg+xml"),
    ("wasm", "application/wasm"),
    ("txt", "text/plain; charset=utf-8"),
    ("png", "image/png"),
    ("woff2", "font/woff2"),
];
/// Shorter files are sent as they are: a packet holds them.
const WORTH_IT: usize = 1024;

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    // New files in a folder change its time.
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder).expect("a folder of the crate") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|n| n.to_str()).expect("a name");
        if name.starts_with('.') || name.ends_with(".d.ts") {
            continue;
        }
        if path.is_dir() {
            walk(&path, found);
        } else {
            println!("cargo::rerun-if-changed={}", path.display());
            found.push(path);
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(bytes).expect("memory");
    out.finish().expect("memory")
}

fn brotli(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: 9,
        size_hint: bytes.len(),
        ..Default::default()
    };
    brotli::BrotliCompress(&mut &bytes[..], &mut out, &parameters).expect("memory");
    out
}

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo says it"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo says it"));
    println!("cargo::rerun-if-changed=build.rs");
    let index = root.join("index.html");
    println!("cargo::rerun-if-changed={}", index.display());
    let mut files = vec![index];
    walk(&root.join("assets"), &mut files);
    files.sort();
    let mut table = String::from("static FILES: &[File] = &[\n");
    for (number, path) in files.iter().enumerate() {
        let name = path.strip_prefix(&root).expect("below the root");
        let name = name.to_str().expect("UTF-8").replace('\\', "/");
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        let (_, kind) = TYPES
            .iter()
            .find(|(e, _)| *e == extension)
            .unwrap_or_else(|| panic!("{name}: no content type is known for it"));
        let bytes = fs::read(path).expect("readable");
        let text = matches!(
            extension,
            "html" | "css" | "js" | "json" | "svg" | "wasm" | "txt"
        );
        let packed = |suffix: &str, pack: fn(&[u8]) -> Vec<u8>| -> String {
            if !text || bytes.len() < WORTH_IT {
                return "None".into();
            }
            let packed = pack(&bytes);
            if packed.len() >= bytes.len() {
                return "None".into();
            }
            let file = out.join(format!("{number}.{suffix}"));
            fs::write(&file, packed).expect("writable");
            format!("Some(include_bytes!({:?}))", file.display().to_string())
        };
        let (br, gz) = (packed("br", brotli), packed("gz", gzip));
        let plain = path.display().to_string();
        table += &format!(
            "    File {{ name: {name:?}, kind: {kind:?}, plain: include_bytes!({plain:?}), br: {br}, gz: {gz} }},\n"
        );
    }
    table += "];\n";
    fs::write(out.join("files.rs"), table).expect("writable");
}
