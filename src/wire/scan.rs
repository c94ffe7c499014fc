//! Counts what a payload has before anything is allocated for it: an empty element costs two bytes on the wire, and a
//! hundred times as much where it is decoded.
//!
//! The columns of a batch are not counted: a number is decoded to eight bytes at most, and takes one here.

use glasshouse_core::labels::Labels;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::bounds::{at_most, out_of_bounds};
use crate::error::WireError;
use crate::message::{MOST_COLLECTORS, MOST_DEFINITIONS, MOST_FACTS, MOST_STATES};
use crate::notice::{MOST_CONDITIONS, MOST_LOG_ENTRIES};

/// The tag of definitions in the envelope: the one kind whose elements have lists themselves.
const DEFINE: u32 = 1;

/// The lists of messages: tag of the kind in the envelope, tag of the list in it, the most elements, and its name.
const LISTS: &[(u32, u32, usize, &str)] = &[
    (DEFINE, 1, MOST_DEFINITIONS, "define.series"),
    (3, 2, MOST_FACTS, "facts.facts"),
    (4, 1, MOST_COLLECTORS, "status.collectors"),
    (6, 2, MOST_CONDITIONS, "conditions.conditions"),
    (7, 2, MOST_LOG_ENTRIES, "log.entries"),
];

/// The lists of texts in a definition.
const TEXTS: &[(u32, usize, &str)] = &[
    (5, MOST_STATES, "series.states"),
    (7, Labels::MOST * 2, "series.labels"),
];

/// Whether all lists are as short as they have to be. A list that comes in pieces counts as one.
pub(crate) fn lists_are_short(payload: &[u8]) -> Result<(), WireError> {
    let mut counts = [0usize; LISTS.len()];
    each_delimited(payload, |kind, message| {
        each_delimited(message, |tag, element| {
            for (list, count) in LISTS.iter().zip(&mut counts) {
                let (of, at, most, name) = *list;
                if (of, at) == (kind, tag) {
                    *count = count.saturating_add(1);
                    at_most(*count, most, name)?;
                }
            }
            match kind {
                DEFINE => texts_are_few(element),
                _ => Ok(()),
            }
        })
    })
}

fn texts_are_few(series: &[u8]) -> Result<(), WireError> {
    let mut counts = [0usize; TEXTS.len()];
    each_delimited(series, |tag, _| {
        for ((at, most, name), count) in TEXTS.iter().zip(&mut counts) {
            if *at == tag {
                *count = count.saturating_add(1);
                at_most(*count, *most, name)?;
            }
        }
        Ok(())
    })
}

/// Visits the fields that have a length. The decoder's own functions read them: what it would take for a field is one.
fn each_delimited(
    mut bytes: &[u8],
    mut visit: impl FnMut(u32, &[u8]) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let malformed = |source| WireError::Protobuf { source };
    while !bytes.is_empty() {
        let (tag, wire) = decode_key(&mut bytes).map_err(malformed)?;
        if wire == WireType::LengthDelimited {
            let length = decode_varint(&mut bytes).map_err(malformed)?;
            let split = usize::try_from(length).ok();
            let split = split.and_then(|length| bytes.split_at_checked(length));
            let (inside, rest) = split.ok_or(out_of_bounds("payload"))?;
            visit(tag, inside)?;
            bytes = rest;
        } else {
            skip_field(wire, tag, &mut bytes, DecodeContext::default()).map_err(malformed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    /// A field with a length.
    fn field(tag: u8, inside: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag << 3 | 2];
        prost::encode_length_delimiter(inside.len(), &mut bytes).unwrap();
        bytes.extend_from_slice(inside);
        bytes
    }

    fn refused(payload: &[u8]) -> &'static str {
        match (lists_are_short(payload), Message::decode(payload)) {
            (Err(WireError::OutOfBounds { field }), Err(_)) => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn lists_that_are_too_long_are_refused_before_they_are_decoded() {
        for (kind, list, most, name) in LISTS {
            let (kind, list) = (u8::try_from(*kind).unwrap(), u8::try_from(*list).unwrap());
            let empty = field(list, &[]);
            assert!(lists_are_short(&field(kind, &empty.repeat(*most))).is_ok());
            assert_eq!(refused(&field(kind, &empty.repeat(most + 1))), *name);
            // the same in pieces
            assert_eq!(refused(&field(kind, &empty).repeat(most + 1)), *name);
        }
        for (tag, most, name) in TEXTS {
            let text = field(u8::try_from(*tag).unwrap(), &[]);
            let series = |count| field(1, &field(1, &text.repeat(count)));
            assert!(lists_are_short(&series(*most)).is_ok());
            assert_eq!(refused(&series(most + 1)), *name);
        }
    }

    #[test]
    fn what_reaches_beyond_its_message_is_refused() {
        let mut series = field(1, &field(7, &[]).repeat(1000));
        series.insert(0, 4);
        series.insert(0, 1 << 3 | 2);
        assert_eq!(refused(&series), "payload");
        assert!(lists_are_short(&[0xff; 20]).is_err());
    }
}
