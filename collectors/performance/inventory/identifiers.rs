//! Texts without what tells one machine from another: UUIDs and MAC addresses.

const BLANKED: &str = "(blanked)";

/// Digits of the groups of a UUID.
const UUID: &[usize] = &[8, 4, 4, 4, 12];

/// Digits of the groups of a MAC address; `BOOTIF` writes the kind of hardware before it.
const MAC: &[usize] = &[2, 2, 2, 2, 2, 2];
const MAC_WITH_KIND: &[usize] = &[2, 2, 2, 2, 2, 2, 2];

/// An argument of the kernel's command line with identifiers blanked: whole ones by their shape, short ones (`UUID=1234-ABCD`
/// of a FAT file system) by their key.
pub(super) fn without_identifiers(argument: &str) -> String {
    if let Some((before, value)) = split_behind_uuid(argument)
        && !value.is_empty()
    {
        return format!("{before}{BLANKED}");
    }
    let mut text = String::with_capacity(argument.len());
    let mut rest = argument;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        text.push_str(if is_identifier(run) { BLANKED } else { run });
        let next = behind.find(is_part).unwrap_or(behind.len());
        let (between, further) = behind.split_at(next);
        text.push_str(between);
        rest = further;
    }
    text
}

/// `root=UUID=` and what is behind it; also `PARTUUID=`, `rd.luks.uuid=`.
fn split_behind_uuid(argument: &str) -> Option<(&str, &str)> {
    const KEY: &str = "uuid=";
    let lower = argument.to_ascii_lowercase();
    let end = lower.find(KEY)? + KEY.len();
    argument.split_at_checked(end)
}

/// Letters of identifiers; a word that has others is none.
fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == ':'
}

fn is_identifier(run: &str) -> bool {
    [('-', UUID), ('-', MAC), ('-', MAC_WITH_KIND), (':', MAC)]
        .iter()
        .any(|(between, groups)| has_shape(run, *between, groups))
        || run.len() == 32 && run.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether the last groups of a run have these many digits: `luks-` may stand before a UUID.
fn has_shape(run: &str, between: char, groups: &[usize]) -> bool {
    let mut parts = run.rsplit(between);
    groups.iter().rev().all(|digits| {
        parts.next().is_some_and(|part| {
            part.len() == *digits && part.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_blanked_and_nothing_else() {
        for (argument, told) in [
            (
                "root=UUID=0f3a4c1e-7b5d-4e8f-9a2b-1c3d5e7f9a0b",
                "root=UUID=(blanked)",
            ),
            ("root=PARTUUID=1234-ABCD", "root=PARTUUID=(blanked)"),
            (
                "resume=/dev/disk/by-uuid/0f3a4c1e-7b5d-4e8f-9a2b-1c3d5e7f9a0b",
                "resume=/dev/disk/by-uuid/(blanked)",
            ),
            (
                "rd.luks.name=luks-0f3a4c1e-7b5d-4e8f-9a2b-1c3d5e7f9a0b=root",
                "rd.luks.name=(blanked)=root",
            ),
            ("BOOTIF=01-52-54-00-12-34-56", "BOOTIF=(blanked)"),
            ("ifname=net0:52:54:00:12:34:56", "ifname=(blanked)"),
            ("x=0123456789abcdef0123456789abcdef", "x=(blanked)"),
            ("isolcpus=2-15,18-31", "isolcpus=2-15,18-31"),
            ("mitigations=auto", "mitigations=auto"),
            (
                "BOOT_IMAGE=/vmlinuz-6.8.0-41-generic",
                "BOOT_IMAGE=/vmlinuz-6.8.0-41-generic",
            ),
            ("hugepagesz=1G", "hugepagesz=1G"),
            ("ü=ü", "ü=ü"),
        ] {
            assert_eq!(without_identifiers(argument), told, "{argument}");
        }
    }
}
