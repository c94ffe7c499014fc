//! Random bytes from the kernel, without a way to go on when there are none.

use std::fs::File;
use std::io::{self, Read as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// 32 bytes from the kernel.
pub(crate) fn bytes() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// 256 random bits as text that fits a URL, a cookie and a form.
pub(crate) fn text() -> io::Result<String> {
    bytes().map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
}
