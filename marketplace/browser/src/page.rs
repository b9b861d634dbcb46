//! What a page lends, and how it calls: the only file that knows a browser. The
//! worker (`web-static/assets/core/worker.js`) gives an object with these methods.

use crate::{Core, CoreError, Environment, Reply};
use getrandom02 as _;
use js_sys::{Promise, Reflect, Uint8Array};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::{
    cell::{Cell, RefCell},
    io::{self, Read, Seek, SeekFrom},
    rc::Rc,
};
use veilbourse_client::{
    disk::hosted::{self, Host},
    http::{
        Answer, Progress, Request,
        hosted::{Coming, HostedFailure, Web, lend},
    },
};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use zeroize::Zeroize;

#[wasm_bindgen]
extern "C" {
    /// What the worker gives.
    pub type Page;

    #[wasm_bindgen(method, catch)]
    fn open(this: &Page, name: &str, create: bool) -> Result<u32, JsValue>;
    #[wasm_bindgen(method)]
    fn exists(this: &Page, name: &str) -> bool;
    #[wasm_bindgen(method, catch)]
    fn read(this: &Page, file: u32, at: f64, into: &Uint8Array) -> Result<f64, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn write(this: &Page, file: u32, at: f64, bytes: &Uint8Array) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn length(this: &Page, file: u32) -> Result<f64, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn truncate(this: &Page, file: u32, length: f64) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn sync(this: &Page, file: u32) -> Result<(), JsValue>;
    #[wasm_bindgen(method)]
    fn close(this: &Page, file: u32);
    #[wasm_bindgen(method, catch)]
    fn remove(this: &Page, name: &str) -> Result<bool, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn rename(this: &Page, from: &str, to: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method)]
    fn list(this: &Page, prefix: &str) -> Vec<String>;
    #[wasm_bindgen(method)]
    fn room(this: &Page, files: f64) -> bool;

    #[wasm_bindgen(method, catch)]
    fn send(
        this: &Page,
        method: &str,
        url: &str,
        headers: Vec<String>,
        body: Option<Uint8Array>,
        limits: Vec<f64>,
        milliseconds: f64,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch, js_name = readInput)]
    fn read_input(this: &Page, at: f64, into: &Uint8Array) -> Result<f64, JsValue>;
    #[wasm_bindgen(method)]
    fn progress(this: &Page, stage: &str, done: f64, total: f64);
    #[wasm_bindgen(method)]
    fn now(this: &Page) -> f64;
    #[wasm_bindgen(method)]
    fn seconds(this: &Page) -> f64;
    #[wasm_bindgen(method)]
    fn panicked(this: &Page, message: &str);
}

thread_local! {
    static PAGE: RefCell<Option<Rc<Page>>> = const { RefCell::new(None) };
    static CORE: RefCell<Option<Core>> = const { RefCell::new(None) };
    static SHOWN: Cell<f64> = const { Cell::new(0.0) };
}

fn with<T>(f: impl FnOnce(&Page) -> T) -> io::Result<T> {
    PAGE.with(|p| match p.borrow().as_ref() {
        Some(page) => Ok(f(page)),
        None => Err(io::Error::other("the core is not started")),
    })
}

fn text(e: &JsValue) -> String {
    let message = Reflect::get(e, &"message".into()).ok();
    let said = message
        .and_then(|m| m.as_string())
        .or_else(|| e.as_string());
    said.unwrap_or_else(|| "unknown".into())
}

fn failed(e: JsValue) -> io::Error {
    io::Error::other(text(&e))
}

/// The page's files.
struct Files(RefCell<ChaCha20Rng>);

impl Host for Files {
    fn open(&self, name: &str, create: bool) -> io::Result<u32> {
        with(|p| p.open(name, create))?.map_err(failed)
    }
    fn exists(&self, name: &str) -> bool {
        with(|p| p.exists(name)).unwrap_or(false)
    }
    fn read(&self, file: u32, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let lent = Uint8Array::new_with_length(into.len() as u32);
        let n = with(|p| p.read(file, at as f64, &lent))?.map_err(failed)? as usize;
        let n = n.min(into.len());
        if let Some(into) = into.get_mut(..n) {
            lent.subarray(0, n as u32).copy_to(into);
        }
        Ok(n)
    }
    fn write(&self, file: u32, at: u64, bytes: &[u8]) -> io::Result<()> {
        let lent = Uint8Array::from(bytes);
        with(|p| p.write(file, at as f64, &lent))?.map_err(failed)
    }
    fn length(&self, file: u32) -> io::Result<u64> {
        Ok(with(|p| p.length(file))?.map_err(failed)? as u64)
    }
    fn truncate(&self, file: u32, length: u64) -> io::Result<()> {
        with(|p| p.truncate(file, length as f64))?.map_err(failed)
    }
    fn sync(&self, file: u32) -> io::Result<()> {
        with(|p| p.sync(file))?.map_err(failed)
    }
    fn close(&self, file: u32) {
        // Without a page there is no file either.
        let _ = with(|p| p.close(file));
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        match with(|p| p.remove(name))?.map_err(failed)? {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::NotFound, name.to_owned())),
        }
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        with(|p| p.rename(from, to))?.map_err(failed)
    }
    fn list(&self, prefix: &str) -> Vec<String> {
        with(|p| p.list(prefix)).unwrap_or_default()
    }
    fn nonce(&self) -> [u8; 24] {
        let mut nonce = [0u8; 24];
        rand_core::Rng::fill_bytes(&mut *self.0.borrow_mut(), &mut nonce);
        nonce
    }
}

/// The page's requests.
struct Requests;

fn number(of: &JsValue, name: &str) -> Option<f64> {
    Reflect::get(of, &name.into()).ok()?.as_f64()
}

impl Web for Requests {
    fn send(&self, request: Request) -> Coming {
        Box::pin(async move {
            let headers = request.headers.into_iter();
            let headers: Vec<String> = headers.flat_map(|(n, v)| [n.to_owned(), v]).collect();
            let body = request.body.as_deref().map(Uint8Array::from);
            let limits: Vec<f64> = request.limits.iter().map(|l| *l as f64).collect();
            let time = request.time.as_millis() as f64;
            let broken = |e: JsValue| {
                if number(&e, "tooLarge").is_some() {
                    return HostedFailure::TooLarge {
                        limit: number(&e, "limit").unwrap_or(0.0) as u64,
                        value: number(&e, "tooLarge").unwrap_or(0.0) as u64,
                    };
                }
                match number(&e, "timeout") {
                    Some(_) => HostedFailure::Timeout,
                    None => HostedFailure::Broken(text(&e)),
                }
            };
            let sent = with(|p| p.send(request.method, &request.url, headers, body, limits, time));
            let promise = sent
                .map_err(|e| HostedFailure::Broken(e.to_string()))?
                .map_err(&broken)?;
            let answer = JsFuture::from(promise).await.map_err(&broken)?;
            let field = |name: &str| Reflect::get(&answer, &name.into()).ok();
            let body = field("body").and_then(|b| b.dyn_into::<Uint8Array>().ok());
            Ok(Answer {
                status: number(&answer, "status").unwrap_or(0.0) as u16,
                upload_offset: field("offset").and_then(|o| o.as_string()),
                body: body.map(|b| b.to_vec()).unwrap_or_default(),
            })
        })
    }
}

/// The table that comes with a call.
struct Table {
    at: u64,
    length: u64,
}

impl Read for Table {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.at);
        let wanted = (into.len() as u64).min(left) as u32;
        if wanted == 0 {
            return Ok(0);
        }
        let lent = Uint8Array::new_with_length(wanted);
        let n = with(|p| p.read_input(self.at as f64, &lent))?.map_err(failed)? as u32;
        let n = n.min(wanted);
        if let Some(into) = into.get_mut(..n as usize) {
            lent.subarray(0, n).copy_to(into);
        }
        self.at += u64::from(n);
        Ok(n as usize)
    }
}

impl Seek for Table {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(n) => Some(n),
            SeekFrom::End(d) => self.length.checked_add_signed(d),
            SeekFrom::Current(d) => self.at.checked_add_signed(d),
        };
        let before = || io::Error::new(io::ErrorKind::InvalidInput, "before the first byte");
        self.at = place.ok_or_else(before)?;
        Ok(self.at)
    }
}

/// The page's progress.
struct Steps;

impl Progress for Steps {
    fn step(&self, stage: &str, done: u64, total: u64) {
        let _ = with(|p| {
            // A message for every block of a long dealing would drown the page.
            let now = p.seconds();
            if done == 0 || done >= total || now - SHOWN.get() > 0.05 {
                SHOWN.set(now);
                p.progress(stage, done as f64, total as f64);
            }
        });
    }
}

struct Clock;

impl Environment for Clock {
    fn now(&self) -> u64 {
        with(Page::now).unwrap_or(0.0) as u64
    }
    fn seconds(&self) -> f64 {
        with(Page::seconds).unwrap_or(0.0)
    }
    fn room(&self, files: u64) -> bool {
        with(|p| p.room(files as f64)).unwrap_or(false)
    }
}

fn fresh() -> Result<ChaCha20Rng, JsValue> {
    let mut seed = [0u8; 32];
    getrandom::fill(&mut seed).map_err(|e| JsValue::from_str(&e.to_string()))?;
    let rng = ChaCha20Rng::from_seed(seed);
    seed.zeroize();
    Ok(rng)
}

/// Starts the core for the server at `base`; drafts are below `datasets`.
#[wasm_bindgen]
pub fn start(page: Page, base: &str) -> Result<(), JsValue> {
    PAGE.with(|p| *p.borrow_mut() = Some(Rc::new(page)));
    std::panic::set_hook(Box::new(|info| {
        let _ = with(|p| p.panicked(&info.to_string()));
    }));
    lend(Rc::new(Requests));
    let core = Core::new(base, "datasets", fresh()?, Box::new(Clock));
    CORE.with(|c| *c.borrow_mut() = Some(core));
    Ok(())
}

/// What a call gives.
#[wasm_bindgen]
pub struct Given(Reply);

#[wasm_bindgen]
impl Given {
    /// The answer as JSON.
    pub fn json(&self) -> String {
        self.0.value.to_string()
    }
    /// The vault's new bytes.
    pub fn vault(&self) -> Option<Vec<u8>> {
        self.0.vault.clone()
    }
    /// How many files.
    pub fn files(&self) -> usize {
        self.0.files.len()
    }
    /// A file's name and media type.
    pub fn name(&self, file: usize) -> Vec<String> {
        let of = self.0.files.get(file);
        of.map_or(Vec::new(), |f| vec![f.name.clone(), f.media.to_owned()])
    }
    /// Its bytes.
    pub fn bytes(&self, file: usize) -> Vec<u8> {
        self.0
            .files
            .get(file)
            .map_or(Vec::new(), |f| f.bytes.clone())
    }
}

fn refused(e: &CoreError) -> JsValue {
    JsValue::from_str(&serde_json::to_string(e).unwrap_or_default())
}

/// One call at a time. `input` is the length of the table that the page reads for it;
/// an error is the JSON of a `CoreError`.
#[wasm_bindgen]
pub async fn call(
    method: String,
    arguments: String,
    input: Option<f64>,
    file: Option<Vec<u8>>,
) -> Result<Given, JsValue> {
    let taken = CORE.with(|c| c.borrow_mut().take());
    let busy = || {
        refused(&CoreError::new(
            "INTERNAL",
            "the core is not started, or busy",
        ))
    };
    let mut core = taken.ok_or_else(busy)?;
    let table = input.map(|length| {
        Box::new(Table {
            at: 0,
            length: length as u64,
        }) as Box<dyn crate::Input>
    });
    let done = core.call(&method, &arguments, table, file, &Steps).await;
    // Files are readable while the vault is open, and not after.
    match core.storage_key() {
        None => hosted::unmount(),
        Some(key) if method.starts_with("vault") => match fresh() {
            Ok(rng) => hosted::mount(Rc::new(Files(RefCell::new(rng))), key),
            Err(_) => hosted::unmount(),
        },
        Some(_) => {}
    }
    CORE.with(|c| *c.borrow_mut() = Some(core));
    done.map(Given).map_err(|e| refused(&e))
}

/// The version of the program.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
