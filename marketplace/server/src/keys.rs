//! Key files: 32 secret bytes in hex, readable by their owner alone.

use rand_core::CryptoRng;
use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::Path,
};
use veilbourse_documents::SigningKey;
use zeroize::Zeroizing;

/// Writes a secret file that did not exist, mode 0600.
pub fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut f = options.open(path)?;
    f.write_all(text.as_bytes())?;
    f.sync_all()
}

/// Reads a signing key, or makes one where there is none.
pub fn read_or_make_key(path: &Path, rng: &mut impl CryptoRng) -> io::Result<SigningKey> {
    if !path.exists() {
        let mut seed = Zeroizing::new([0u8; 32]);
        rng.fill_bytes(seed.as_mut());
        write_secret(path, &Zeroizing::new(hex::encode(seed.as_ref())))?;
    }
    let text = Zeroizing::new(std::fs::read_to_string(path)?);
    let mut seed = Zeroizing::new([0u8; 32]);
    hex::decode_to_slice(text.trim(), seed.as_mut()).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{}: expected 64 hex digits", path.display()),
        )
    })?;
    Ok(SigningKey::from_bytes(&seed))
}
