//! One record of the kernel's log: prefix, text, and the escapes in it.

/// A record as `Documentation/ABI/testing/dev-kmsg` describes it: `6,339,5140900,-;text`, then lines of properties.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KernelRecord {
    /// 0 (emergency) to 7 (debug).
    pub(super) priority: u8,
    /// 0 is the kernel; everything else was written there by a program.
    pub(super) facility: u32,
    /// Counts on from boot, so gaps tell of lost records.
    pub(super) sequence: u64,
    /// Since boot, without time in suspend.
    pub(super) microseconds: u64,
    /// The first line, decoded.
    pub(super) text: String,
}

/// The most bytes of a text that are looked at and told.
const MOST_TEXT_BYTES: usize = 1024;

/// `None` where it is no such record.
pub(super) fn parse(record: &[u8]) -> Option<KernelRecord> {
    let end = record.iter().position(|byte| *byte == b';')?;
    let (prefix, rest) = record.split_at(end);
    let prefix = std::str::from_utf8(prefix).ok()?;
    let mut fields = prefix.split(',');
    let syslog: u32 = fields.next()?.parse().ok()?;
    let sequence = fields.next()?.parse().ok()?;
    let microseconds = fields.next()?.parse().ok()?;
    let line = rest.get(1..)?.split(|byte| *byte == b'\n').next()?;
    let line = line.get(..MOST_TEXT_BYTES).unwrap_or(line);
    Some(KernelRecord {
        priority: u8::try_from(syslog & 7).ok()?,
        facility: syslog >> 3,
        sequence,
        microseconds,
        text: decoded(line),
    })
}

/// Without `\x1b` escapes, which stand for bytes that are not printable and for the backslash itself. What is no UTF-8
/// then becomes replacement characters.
fn decoded(line: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((first, after)) = rest.split_first() {
        if let [b'\\', b'x', high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            bytes.push(high << 4 | low);
            rest = after;
            continue;
        }
        bytes.push(*first);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_prefix_text_and_properties() {
        let record = parse(b"3,812,99411022,-,caller=T1;I/O error, dev sda\n SUBSYSTEM=block\n");
        assert_eq!(
            record,
            Some(KernelRecord {
                priority: 3,
                facility: 0,
                sequence: 812,
                microseconds: 99_411_022,
                text: "I/O error, dev sda".to_owned(),
            })
        );
        assert_eq!(parse(b"14,1,2,-;by hand\n").unwrap().facility, 1);
        assert_eq!(parse(b"6,1,2,-;").unwrap().text, "");
        for bad in [
            "",
            ";",
            "6;x",
            "6,1;x",
            "x,1,2,-;y",
            "6,-1,2,-;y",
            "6,1,2,-",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn escapes_are_decoded_and_what_looks_like_one_is_left() {
        for (line, text) in [
            (r"a\x5cb", r"a\b"),
            (r"red \x1b[31m", "red \u{1b}[31m"),
            (r"\xc3\xa4", "ä"),
            (r"\xff", "\u{fffd}"),
            (r"C:\x", r"C:\x"),
            (r"\xg0 \x0", r"\xg0 \x0"),
        ] {
            assert_eq!(decoded(line.as_bytes()), text, "{line}");
        }
    }
}
