//! A JSON file that is replaced as a whole has the CRC-32 of all before it as its last member, `crc32`, eight hexadecimal
//! digits: a flipped letter is damage and not another letter.

const BEGIN: &[u8] = b",\"crc32\":\"";
const END: &[u8] = b"\"}";

/// Adds the checksum to an object with members.
pub(crate) fn sign(mut object: Vec<u8>) -> Vec<u8> {
    object.pop();
    let crc = crc32fast::hash(&object);
    object.extend_from_slice(BEGIN);
    object.extend_from_slice(format!("{crc:08x}").as_bytes());
    object.extend_from_slice(END);
    object
}

/// Whether the object is as it was when it was signed.
pub(crate) fn is_whole(object: &[u8]) -> bool {
    let signed = || {
        let (start, crc) = object.strip_suffix(END)?.split_last_chunk::<8>()?;
        let start = start.strip_suffix(BEGIN)?;
        Some(format!("{:08x}", crc32fast::hash(start)).as_bytes() == crc)
    };
    signed().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_noticed() {
        let signed = sign(b"{\"version\":1}".to_vec());
        assert_eq!(signed, b"{\"version\":1,\"crc32\":\"8e75ca1f\"}");
        assert!(is_whole(&signed));
        for bit in 0..8 * signed.len() {
            let mut bad = signed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_whole(&bad), "{bit}");
        }
        for cut in 0..signed.len() {
            assert!(!is_whole(&signed[..cut]), "{cut}");
        }
    }
}
