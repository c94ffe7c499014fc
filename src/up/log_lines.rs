//! What a role logs, passed on with its name in front.

use std::io::Write as _;

use glasshouse_core::text::visible;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// The longest line that is passed on; the rest of a longer one is left out.
const LONGEST_LINE: usize = 4096;

/// Passes lines on until the role closes its end.
pub(crate) async fn forward(role: &'static str, stream: impl AsyncRead + Unpin) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while let Ok(read) = reader.fill_buf().await {
        if read.is_empty() {
            break;
        }
        let end = read.iter().position(|byte| *byte == b'\n');
        let part = read.get(..end.unwrap_or(read.len())).unwrap_or_default();
        let room = LONGEST_LINE.saturating_sub(line.len());
        line.extend(part.iter().take(room));
        let used = part.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            show(role, &line);
            line.clear();
        }
    }
    if !line.is_empty() {
        show(role, &line);
    }
}

/// Text of machines may stand in a log line: what steers a terminal is taken out.
fn show(role: &str, line: &[u8]) {
    let text = String::from_utf8_lossy(line);
    let shown: String = text.chars().filter_map(visible).collect();
    // nobody is left to tell where standard error is gone
    drop(writeln!(std::io::stderr().lock(), "[{role}] {shown}"));
}
