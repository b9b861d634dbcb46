//! VLT-7, over a host in memory.

use super::*;
use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
};

/// Files in memory, as a page's storage would hold them.
#[derive(Default)]
struct Memory {
    files: RefCell<BTreeMap<String, Vec<u8>>>,
    open: RefCell<HashMap<u32, String>>,
    next: Cell<u32>,
    nonces: Cell<u8>,
}

impl Host for Memory {
    fn open(&self, name: &str, create: bool) -> io::Result<u32> {
        let mut files = self.files.borrow_mut();
        if create {
            files.entry(name.into()).or_default();
        } else if !files.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let handle = self.next.get();
        self.next.set(handle + 1);
        self.open.borrow_mut().insert(handle, name.into());
        Ok(handle)
    }
    fn exists(&self, name: &str) -> bool {
        self.files.borrow().contains_key(name)
    }
    fn read(&self, file: u32, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let files = self.files.borrow();
        let bytes = &files[&self.open.borrow()[&file]];
        let rest = bytes.get(at as usize..).unwrap_or_default();
        let n = rest.len().min(into.len());
        into[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
    fn write(&self, file: u32, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut files = self.files.borrow_mut();
        let of = files
            .get_mut(&self.open.borrow()[&file])
            .expect("an open file");
        let end = at as usize + bytes.len();
        of.resize(of.len().max(end), 0);
        of[at as usize..end].copy_from_slice(bytes);
        Ok(())
    }
    fn length(&self, file: u32) -> io::Result<u64> {
        Ok(self.files.borrow()[&self.open.borrow()[&file]].len() as u64)
    }
    fn truncate(&self, file: u32, length: u64) -> io::Result<()> {
        let mut files = self.files.borrow_mut();
        let of = files
            .get_mut(&self.open.borrow()[&file])
            .expect("an open file");
        of.resize(length as usize, 0);
        Ok(())
    }
    fn sync(&self, _: u32) -> io::Result<()> {
        Ok(())
    }
    fn close(&self, file: u32) {
        self.open.borrow_mut().remove(&file);
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        let gone = self.files.borrow_mut().remove(name);
        gone.map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files.borrow_mut();
        let bytes = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.into(), bytes);
        Ok(())
    }
    fn list(&self, prefix: &str) -> Vec<String> {
        let files = self.files.borrow();
        let names = files.keys().filter(|n| n.starts_with(prefix));
        names.cloned().collect()
    }
    fn nonce(&self) -> [u8; NONCE] {
        self.nonces.set(self.nonces.get() + 1);
        [self.nonces.get(); NONCE]
    }
}

fn mounted_memory(key: u8) -> Rc<Memory> {
    let memory = Rc::new(Memory::default());
    mount(memory.clone(), Zeroizing::new([key; 32]));
    memory
}

#[test]
fn files_are_sealed_and_read_back() {
    let memory = mounted_memory(1);
    let path = Path::new("datasets/x/secret.key");
    let text: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    let mut file = create_new(path, true).expect("new");
    file.write_all(&text).expect("writes");
    file.sync_all().expect("syncs");
    drop(file);
    assert_eq!(length(path).expect("there"), text.len() as u64);
    assert_eq!(read(path).expect("reads"), text);
    // What the page's storage holds has nothing of it.
    let stored = memory.files.borrow()["datasets/x/secret.key"].clone();
    assert_eq!(stored.len(), text.len() + NONCE);
    assert!(!stored.windows(16).any(|w| w == &text[4096..4112]));
    // In the middle.
    let mut file = open(path).expect("opens");
    file.seek(SeekFrom::Start(70_001)).expect("seeks");
    let mut some = [0u8; 33];
    file.read_exact(&mut some).expect("reads");
    assert_eq!(some, text[70_001..70_034]);
    drop(file);
    assert!(memory.open.borrow().is_empty(), "handles are given back");
    // Another key reads nothing of it.
    mount(memory, Zeroizing::new([2; 32]));
    assert_ne!(read(path).expect("reads"), text);
    unmount();
    assert!(read(path).is_err() && !exists(path));
}

#[test]
fn two_files_share_no_keystream() {
    let memory = mounted_memory(3);
    for name in ["a", "b"] {
        let mut file = create_new(Path::new(name), false).expect("new");
        file.write_all(&[0; 64]).expect("writes");
    }
    let files = memory.files.borrow();
    assert_ne!(files["a"][NONCE..], files["b"][NONCE..]);
}

#[test]
fn appending_goes_on_where_it_was_cut_off() {
    mounted_memory(4);
    let path = Path::new("work/values");
    let mut file = append_from(path, 0).expect("new");
    file.write_all(b"one two three").expect("writes");
    drop(file);
    let mut file = append_from(path, 4).expect("opens");
    file.write_all(b"two four").expect("writes");
    drop(file);
    assert_eq!(read(path).expect("reads"), b"one two four");
}

#[test]
fn what_begins_again_has_a_keystream_of_its_own() {
    let memory = mounted_memory(6);
    let path = Path::new("work/values");
    let stored = || memory.files.borrow()["work/values"].clone();
    for _ in 0..2 {
        let mut file = append_from(path, 0).expect("opens");
        file.write_all(&[0; 32]).expect("writes");
    }
    let first = stored();
    append_from(path, 0)
        .expect("opens")
        .write_all(&[0; 32])
        .expect("writes");
    assert_ne!(first, stored());
}

#[test]
fn folders_are_beginnings_of_names() {
    mounted_memory(5);
    let put = |name: &str| {
        let mut file = create_new(Path::new(name), false).expect("new");
        file.write_all(name.as_bytes()).expect("writes");
    };
    create_folder(Path::new("d")).expect("nothing there");
    for name in ["d/a", "d/e/b", "da"] {
        put(name);
    }
    assert_eq!(
        create_folder(Path::new("d")).map_err(|e| e.kind()),
        Err(io::ErrorKind::AlreadyExists)
    );
    assert_eq!(folders_in(Path::new("d")).expect("lists"), ["e"]);
    rename(Path::new("d/a"), Path::new("d/e/b")).expect("renames");
    assert_eq!(read(Path::new("d/e/b")).expect("reads"), b"d/a");
    remove_folder(Path::new("d")).expect("removes");
    assert!(!exists(Path::new("d/e/b")) && exists(Path::new("da")));
    assert_eq!(
        remove(Path::new("d/a")).map_err(|e| e.kind()),
        Err(io::ErrorKind::NotFound)
    );
    assert_eq!(
        open(Path::new("d/a")).map(drop).map_err(|e| e.kind()),
        Err(io::ErrorKind::NotFound)
    );
    assert_eq!(
        create_new(Path::new("da"), false)
            .map(drop)
            .map_err(|e| e.kind()),
        Err(io::ErrorKind::AlreadyExists)
    );
}
