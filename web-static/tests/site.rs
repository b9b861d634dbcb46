//! What the site answers, and what its files may not hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    path::Path,
};
use veilbourse_web::{Answer, Asked, CONTENT_SECURITY_POLICY, PAGES, answer, files};

fn get(path: &str) -> Option<Answer> {
    answer(&Asked {
        path,
        ..Asked::default()
    })
}

fn header<'a>(a: &'a Answer, name: &str) -> Option<&'a str> {
    let found = a.headers.iter().find(|(n, _)| *n == name)?;
    Some(found.1.as_str())
}

#[test]
fn every_answer_has_every_header() {
    // WEB-2
    for path in [
        "/",
        "/listings/x/query",
        "/assets/app.js",
        "/assets/style.css",
    ] {
        let a = get(path).expect(path);
        assert_eq!(a.status, 200);
        for (name, value) in [
            ("content-security-policy", CONTENT_SECURITY_POLICY),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-embedder-policy", "require-corp"),
            ("cross-origin-resource-policy", "same-origin"),
            ("x-frame-options", "DENY"),
            ("vary", "accept-encoding"),
            ("cache-control", "no-cache"),
        ] {
            assert_eq!(header(&a, name), Some(value), "{path}");
        }
        let denied = header(&a, "permissions-policy").expect("there");
        assert!(
            denied.contains("camera=()") && !denied.contains('*'),
            "{denied}"
        );
        let names: BTreeSet<_> = a.headers.iter().map(|h| h.0).collect();
        assert_eq!(names.len(), a.headers.len(), "{path}: a header twice");
    }
    let policy = CONTENT_SECURITY_POLICY;
    assert!(!policy.contains("'unsafe-inline'") && !policy.contains("'unsafe-eval'"));
    assert!(policy.starts_with("default-src 'none';"));
    for wanted in [
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    ] {
        assert!(policy.contains(wanted), "{wanted}");
    }
    assert!(
        !policy.contains("http") && !policy.contains('*'),
        "{policy}"
    );
}

#[test]
fn pages_are_the_index_and_assets_themselves() {
    // WEB-1, WEB-4
    let index = get("/").expect("there");
    assert_eq!(
        header(&index, "content-type"),
        Some("text/html; charset=utf-8")
    );
    for page in PAGES {
        let path = page.replace("{id}", "01900000-0000-7000-8000-000000000000");
        assert_eq!(get(&path).expect(page).body, index.body, "{page}");
    }
    let script = get("/assets/app.js").expect("there");
    assert_eq!(
        header(&script, "content-type"),
        Some("text/javascript; charset=utf-8")
    );
    for (name, plain, _) in files() {
        if let Some(a) = get(&format!("/{name}")) {
            assert_eq!(a.body, plain, "{name}");
        } else {
            assert_eq!(name, "index.html", "pages alone are the index");
        }
    }
    for none in [
        "/index.html",
        "/assets/",
        "/assets",
        "/assets/nothing.js",
        "/assets/../index.html",
        "/assets/../../Cargo.toml",
        "/assets/./app.js",
        "/assets//app.js",
        "/assets/app.js/",
        "/assets/APP.JS",
        "/assets/app.js\0",
        "assets/app.js",
        "/build.rs",
        "/src/lib.rs",
        "",
    ] {
        assert_eq!(get(none), None, "{none}");
    }
}

#[test]
fn what_is_held_already_is_not_sent() {
    // WEB-3
    let ask = |encoding: Option<&'static str>, held: Option<&str>, query: &str| {
        let a = answer(&Asked {
            path: "/assets/app.js",
            query,
            accept_encoding: encoding,
            if_none_match: held,
        });
        a.expect("there")
    };
    let plain = ask(None, None, "");
    let tag = header(&plain, "etag").expect("a tag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() == 34);
    let held = ask(None, Some(&tag), "");
    assert_eq!((held.status, held.body.len()), (304, 0));
    assert_eq!(header(&held, "etag"), Some(tag.as_str()));
    assert_eq!(header(&held, "cache-control"), Some("no-cache"));
    assert_eq!(header(&held, "content-type"), None);
    // Another encoding is other bytes, and has another tag.
    for name in ["br", "gzip"] {
        let packed = ask(Some(name), Some(&tag), "");
        assert_eq!(packed.status, 200);
        assert_eq!(header(&packed, "content-encoding"), Some(name));
        assert!(packed.body.len() < plain.body.len());
        let own = header(&packed, "etag").expect("a tag");
        assert_eq!(own, format!("{}-{name}\"", tag.trim_end_matches('"')));
        assert_eq!(ask(Some(name), Some(own), "").status, 304);
    }
    // Who names the digest may keep it; who names another may not.
    let named = format!("v={}", tag.trim_matches('"'));
    let fixed = ask(None, None, &named);
    assert_eq!(
        header(&fixed, "cache-control"),
        Some("public, max-age=31536000, immutable")
    );
    let other = ask(None, None, &format!("v={}", "0".repeat(32)));
    assert_eq!(header(&other, "cache-control"), Some("no-cache"));
}

#[test]
fn compressed_bytes_are_the_files() {
    // WEB-3
    for (name, plain, _) in files() {
        let path = match name {
            "index.html" => "/".to_owned(),
            name => format!("/{name}"),
        };
        let a = answer(&Asked {
            path: &path,
            accept_encoding: Some("gzip"),
            ..Asked::default()
        });
        let a = a.expect(name);
        let mut got = Vec::new();
        if header(&a, "content-encoding") == Some("gzip") {
            let mut unpacked = flate2::read::GzDecoder::new(a.body);
            unpacked.read_to_end(&mut got).expect("gzip");
        } else {
            got.extend_from_slice(a.body);
        }
        assert!(got == plain, "{name}");
    }
}

/// The site's texts: name and content.
fn texts() -> BTreeMap<&'static str, &'static str> {
    let written = |n: &str| {
        [".html", ".css", ".js", ".svg"]
            .iter()
            .any(|e| n.ends_with(e))
    };
    files()
        .filter(|(name, ..)| written(name))
        .map(|(name, plain, _)| (name, std::str::from_utf8(plain).expect("UTF-8")))
        .collect()
}

/// Code without its comments: whole lines of `//` and `/* */` blocks.
fn code(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("/*") {
        out += &rest[..at];
        rest = rest[at..]
            .find("*/")
            .map_or("", |end| &rest[at + end + 2..]);
    }
    out += rest;
    let line = |l: &&str| !l.trim_start().starts_with("//");
    out.lines().filter(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn nothing_is_inline_and_no_text_becomes_code_or_markup() {
    // WEB-5
    let texts = texts();
    assert!(texts.len() > 10, "the app is embedded");
    for (name, text) in &texts {
        let text = code(text);
        // What wasm-bindgen writes is not ours; the page policy holds it too.
        let ours = !name.starts_with("assets/core/pkg/");
        for banned in [
            "eval(",
            "new Function",
            "document.write",
            "javascript:",
            "importScripts",
        ] {
            assert!(!text.contains(banned), "{name}: {banned}");
        }
        let markup = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "srcdoc",
            "DOMParser",
        ];
        for banned in markup.into_iter().filter(|_| ours) {
            assert!(!text.contains(banned), "{name}: {banned}");
        }
        if name.ends_with(".html") {
            assert!(!text.contains("<style"), "{name}: a style block");
            for tag in text.split("<script").skip(1) {
                let (head, body) = tag.split_once('>').expect("a tag");
                assert!(head.contains("src=\"/assets/"), "{name}: {head}");
                assert!(body.trim_start().starts_with("</script>"), "{name}: inline");
            }
            for attribute in text.split_whitespace().filter(|w| w.contains('=')) {
                let attribute = attribute.to_ascii_lowercase();
                let refused = attribute.starts_with("on") || attribute.starts_with("style=");
                assert!(!refused, "{name}: {attribute}");
            }
        }
    }
}

#[test]
fn the_core_is_opened_and_registered_in_one_place() {
    // WEB-9..11: what that place does is in `tests/vault.test.mjs` and
    // `tests/market.test.mjs`; here, that no page goes around it.
    for (name, text) in texts() {
        let text = code(text);
        let place = name == "assets/lib/vault.js";
        if !name.starts_with("assets/core/") {
            assert_eq!(text.contains("openCore("), place, "{name}");
            assert_eq!(text.contains(".registerKey("), place, "{name}");
            assert_eq!(text.contains(".pinMarketplace("), place, "{name}");
        }
        if place {
            assert!(text.contains("onSession(") && text.contains(".close()"));
            let asked = text.find("await trusted(").expect("asked");
            assert!(asked < text.find(".registerKey(").expect("registered"));
        }
        if name == "assets/pages/api.js" {
            assert!(text.contains("linked(ctx.query.get('query'))"));
            assert_eq!(text.matches("query.get('query')").count(), 1);
        }
    }
}

#[test]
fn nothing_is_loaded_from_another_host() {
    // WEB-5: what loads is a link, an import, a source, a fetch. Namespaces are names.
    for (name, text) in texts() {
        let text = code(text);
        let namespace = text.replace("http://www.w3.org/", "");
        for scheme in ["http://", "https://", "ws://", "wss://"] {
            for (at, _) in namespace.match_indices(scheme) {
                let before = &namespace[..at];
                let after = &namespace[at + scheme.len()..];
                let host: String = after
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || ".-".contains(*c))
                    .collect();
                // A placeholder for what somebody types, or no host at all.
                let example = host.ends_with(".example")
                    || host.ends_with("example.org")
                    || host.ends_with("example.com");
                assert!(
                    host.is_empty() || example || !host.contains('.'),
                    "{name}: {scheme}{host} after {:?}",
                    &before[before.len().saturating_sub(40)..]
                );
            }
        }
        assert!(!text.contains("@import"), "{name}");
        for import in text
            .split(" from '")
            .skip(1)
            .chain(text.split("import('").skip(1))
        {
            let target = import.split('\'').next().unwrap_or_default();
            let own = target.starts_with('.') || target.starts_with("/assets/");
            // Prose has " from '" too; a module's name has a slash.
            assert!(own || !target.contains('/'), "{name}: import of {target}");
        }
    }
}

/// The modules that a file imports when it is loaded, as paths.
fn imports(name: &str, text: &str) -> Vec<String> {
    let folder = Path::new(name).parent().unwrap_or(Path::new(""));
    let statements = code(text);
    let mut out = Vec::new();
    for line in statements
        .lines()
        .filter(|l| l.starts_with("import ") || l.starts_with("} from") || l.starts_with("export "))
    {
        let Some(target) = line
            .split(" from '")
            .nth(1)
            .and_then(|t| t.split('\'').next())
        else {
            continue;
        };
        let mut path = folder.to_path_buf();
        for part in target.split('/') {
            match part {
                "." => {}
                ".." => {
                    path.pop();
                }
                part => path.push(part),
            }
        }
        out.push(path.to_str().expect("UTF-8").to_owned());
    }
    out
}

#[test]
fn the_first_page_is_small() {
    // WEB-6: the index, what it links, the router, the first page, and what they
    // import; not what is imported later.
    let texts = texts();
    let packed: BTreeMap<&str, usize> = files().map(|(n, _, sent)| (n, sent.len())).collect();
    let index = texts["index.html"];
    let mut todo: Vec<String> = index
        .split("\"/assets/")
        .skip(1)
        .filter_map(|t| t.split('"').next())
        .map(|t| format!("assets/{t}"))
        .collect();
    todo.push("assets/pages/home.js".into());
    todo.push("index.html".into());
    let mut seen = BTreeSet::new();
    while let Some(name) = todo.pop() {
        if seen.insert(name.clone())
            && let Some(text) = texts.get(name.as_str()).filter(|_| name.ends_with(".js"))
        {
            todo.extend(imports(&name, text));
        }
    }
    assert!(seen.contains("assets/app.js") && seen.contains("assets/lib/dom.js"));
    let mut sum = 0;
    for name in &seen {
        sum += packed
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{name} is not there"));
        assert!(
            !name.starts_with("assets/core/"),
            "{name} on the first page"
        );
    }
    assert!(sum < 100_000, "{sum} bytes: {seen:?}");
}

#[test]
fn server_and_app_know_the_same_pages() {
    // WEB-4
    let app = texts()["assets/app.js"];
    let routes: BTreeSet<String> = app
        .split("{ path: '")
        .skip(1)
        .filter_map(|t| t.split('\'').next())
        .map(|p| p.replace(":id", "{id}"))
        .collect();
    let pages: BTreeSet<String> = PAGES.iter().map(|p| (*p).to_owned()).collect();
    assert_eq!(routes, pages);
    for module in app.split("import('").skip(1) {
        let target = module.split('\'').next().expect("a module");
        let name = format!("assets/{}", target.trim_start_matches("./"));
        assert!(texts().contains_key(name.as_str()), "{name} is not there");
    }
}
