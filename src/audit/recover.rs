//! Finds the end of a log that may have been torn.

use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::AuditError;
use crate::record::{Line, Link, MOST_LINE_BYTES};
use crate::segments::{AUDIT, Lines, Next, Segment, list};

/// The most bytes of what is cut that are kept for people to look at.
const MOST_KEPT_BYTES: u64 = 64 * 1024;

/// Where a log goes on.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// The number that names the segment.
    pub(crate) segment: u64,
    /// Its bytes, and those of all segments.
    pub(crate) length: u64,
    pub(crate) total: u64,
    /// The number of the next line, and what it continues from.
    pub(crate) seq: u64,
    pub(crate) link: Link,
    /// Bytes of a torn tail that were cut.
    pub(crate) cut_bytes: u64,
}

/// Reads the newest segment to its end and cuts a torn tail. The caller holds the lock.
pub(crate) fn recover(folder: &Path) -> Result<Recovered, AuditError> {
    let segments = list(folder, AUDIT)?;
    let Some((newest, older)) = segments.split_last() else {
        return Ok(Recovered::default());
    };
    let mut recovered = Recovered {
        segment: newest.first,
        seq: newest.first,
        ..Recovered::default()
    };
    if let Some(before) = older.last() {
        recovered.link = last_link(before)?;
    } else if newest.first != 0 {
        return Err(damaged(
            newest,
            1,
            format!("records 0 to {} are missing", newest.first - 1),
        ));
    }
    for segment in older {
        let size =
            std::fs::metadata(&segment.path).map_err(AuditError::io("read", &segment.path))?;
        recovered.total = recovered.total.saturating_add(size.len());
    }
    read_to_end(folder, newest, &mut recovered)?;
    recovered.total = recovered.total.saturating_add(recovered.length);
    Ok(recovered)
}

fn read_to_end(
    folder: &Path,
    segment: &Segment,
    recovered: &mut Recovered,
) -> Result<(), AuditError> {
    let mut lines = Lines::open(&segment.path, 0)?;
    loop {
        recovered.length = lines.offset();
        let wrong = match lines.next()? {
            Next::End(0) => return Ok(()),
            Next::End(_) => return cut(folder, segment, recovered),
            Next::TooLong => "it is longer than any record".to_owned(),
            Next::Line(bytes) => match Line::decode(&bytes, recovered.seq, recovered.link) {
                Ok((_, link)) => {
                    recovered.link = link;
                    recovered.seq = recovered.seq.saturating_add(1);
                    continue;
                }
                Err(wrong) => wrong,
            },
        };
        // a power loss leaves zeros or old blocks at the end; a record behind them means that something else happened
        if a_record_follows(&mut lines)? {
            return Err(damaged(segment, recovered.seq - segment.first + 1, wrong));
        }
        return cut(folder, segment, recovered);
    }
}

/// Whether any line of the rest is a record, wherever it came from.
fn a_record_follows(lines: &mut Lines) -> Result<bool, AuditError> {
    loop {
        match lines.next()? {
            Next::End(_) => return Ok(false),
            // nothing that this log wrote; what stands behind it is not looked for, so it must be looked at
            Next::TooLong => return Ok(true),
            Next::Line(bytes) if serde_json::from_slice::<Line>(&bytes).is_ok() => return Ok(true),
            Next::Line(_) => {}
        }
    }
}

/// Cuts the segment to its good length and keeps what was cut.
fn cut(folder: &Path, segment: &Segment, recovered: &mut Recovered) -> Result<(), AuditError> {
    let failed = AuditError::io("cut the torn end of", &segment.path);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&segment.path)
        .map_err(&failed)?;
    let length = file.metadata().map_err(&failed)?.len();
    recovered.cut_bytes = length.saturating_sub(recovered.length);
    let mut kept = Vec::new();
    file.seek(SeekFrom::Start(recovered.length))
        .map_err(&failed)?;
    std::io::Read::by_ref(&mut file)
        .take(MOST_KEPT_BYTES)
        .read_to_end(&mut kept)
        .map_err(&failed)?;
    let path = folder.join(format!("cut-{:020}", recovered.seq));
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o640)
        .open(&path)
        .and_then(|mut file| file.write_all(&kept))
        .map_err(AuditError::io("write", &path))?;
    file.set_len(recovered.length).map_err(&failed)?;
    file.sync_all().map_err(&failed)?;
    tracing::warn!(
        path = %segment.path.display(),
        bytes = recovered.cut_bytes,
        "The audit log had a torn end, which was cut."
    );
    Ok(())
}

/// The link of the last line of a full segment.
fn last_link(segment: &Segment) -> Result<Link, AuditError> {
    let failed = AuditError::io("read", &segment.path);
    let most = u64::try_from(MOST_LINE_BYTES).unwrap_or(u64::MAX);
    let length = std::fs::metadata(&segment.path).map_err(&failed)?.len();
    let mut file = std::fs::File::open(&segment.path).map_err(&failed)?;
    file.seek(SeekFrom::Start(length.saturating_sub(most)))
        .map_err(&failed)?;
    let mut tail = Vec::new();
    file.take(most).read_to_end(&mut tail).map_err(&failed)?;
    let line = tail
        .strip_suffix(b"\n")
        .and_then(|tail| tail.rsplit(|byte| *byte == b'\n').next())
        .and_then(Link::at_the_end_of);
    line.ok_or_else(|| damaged(segment, 0, "its last record is torn".to_owned()))
}

fn damaged(segment: &Segment, line: u64, detail: String) -> AuditError {
    AuditError::Damaged {
        path: segment.path.display().to_string(),
        line,
        detail,
    }
}
