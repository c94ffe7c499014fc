//! The value column of a series: one row a batch of its collector.
//!
//! Block: varint rows; varint runs of qualities, each one byte (the quality's code, 255 where the batch had no sample
//! of the series) and a varint length; then one byte for the form of the values, and the values of those rows that
//! have one:
//!
//! | form | values |
//! | --- | --- |
//! | 0 | there are none |
//! | 1 | whole numbers, packed as `i64` of the same bits |
//! | 2 | decimals: one byte exponent `e`, packed whole numbers of which each is the value times 10^e |
//! | 3 | floats, packed |
//! | 4 | states, packed as whole numbers |
//! | 5 | mixed: varint runs of one byte form (1, 3 or 4) and varint length, then the bits packed as whole numbers |

use glasshouse_core::sample::{Quality, Value};

use crate::bytes::{Cursor, put_size};
use crate::error::Malformed;
use crate::pack::{MOST_ROWS, pack, unpack};
use crate::record::state;

const NONE: u8 = 0;
const WHOLE: u8 = 1;
const DECIMAL: u8 = 2;
const FLOAT: u8 = 3;
const STATE: u8 = 4;
const MIXED: u8 = 5;

/// Stands for a quality where a batch had no sample of the series.
const NOT_IN_BATCH: u8 = 255;

/// More digits behind the point than any source in /proc, /sys or a BMC prints.
const MOST_DIGITS: u8 = 9;

/// The samples of one series in some batches of its collector. 10 bytes a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column {
    qualities: Vec<u8>,
    forms: Vec<u8>,
    bits: Vec<u64>,
}

/// One row: nothing, or a value (`None` where absent) with its quality.
pub(crate) type Row = Option<(Option<Value>, Quality)>;

impl Column {
    pub(crate) const fn len(&self) -> usize {
        self.qualities.len()
    }

    /// Whether no batch had a sample of the series.
    pub(crate) fn is_void(&self) -> bool {
        self.qualities
            .iter()
            .all(|quality| *quality == NOT_IN_BATCH)
    }

    /// Rows with a value.
    pub(crate) fn values(&self) -> usize {
        self.forms.iter().filter(|form| **form != NONE).count()
    }

    pub(crate) fn clear(&mut self) {
        self.qualities.clear();
        self.forms.clear();
        self.bits.clear();
    }

    /// Makes the column `rows` long with rows that hold nothing.
    pub(crate) fn pad(&mut self, rows: usize) {
        self.qualities.resize(rows, NOT_IN_BATCH);
        self.forms.resize(rows, NONE);
        self.bits.resize(rows, 0);
    }

    pub(crate) fn extend(&mut self, later: &Self) {
        self.qualities.extend_from_slice(&later.qualities);
        self.forms.extend_from_slice(&later.forms);
        self.bits.extend_from_slice(&later.bits);
    }

    pub(crate) fn push(&mut self, value: Option<Value>, quality: Quality) {
        let (form, bits) = match value {
            None => (NONE, 0),
            Some(Value::U64(whole)) => (WHOLE, whole),
            Some(Value::F64(float)) => (FLOAT, float.to_bits()),
            Some(Value::State(index)) => (STATE, u64::from(index)),
        };
        self.qualities.push(quality.code());
        self.forms.push(form);
        self.bits.push(bits);
    }

    pub(crate) fn rows(&self) -> impl DoubleEndedIterator<Item = Row> + ExactSizeIterator {
        let rows = self.qualities.iter().zip(&self.forms).zip(&self.bits);
        rows.map(|((quality, form), bits)| {
            let value = match *form {
                WHOLE => Some(Value::U64(*bits)),
                FLOAT => Some(Value::F64(f64::from_bits(*bits))),
                STATE => Some(Value::State(u16::try_from(*bits).unwrap_or(u16::MAX))),
                _ => None,
            };
            (*quality != NOT_IN_BATCH).then(|| (value, Quality::from_code(*quality)))
        })
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::new();
        put_size(&mut out, self.len());
        put_runs(&mut out, &self.qualities);
        let valued = || {
            self.forms
                .iter()
                .zip(&self.bits)
                .filter(|(form, _)| **form != NONE)
        };
        let forms: Vec<u8> = valued().map(|(form, _)| *form).collect();
        let bits: Vec<i64> = valued().map(|(_, bits)| bits.cast_signed()).collect();
        let only = |form| forms.iter().all(|have| *have == form);
        match forms.first() {
            None => out.push(NONE),
            Some(&form @ (WHOLE | STATE)) if only(form) => {
                out.push(form);
                pack(&bits, &mut out)?;
            }
            Some(&FLOAT) if only(FLOAT) => {
                let floats: Vec<f64> = bits
                    .iter()
                    .map(|bits| f64::from_bits(bits.cast_unsigned()))
                    .collect();
                put_floats(&mut out, &floats)?;
            }
            _ => {
                out.push(MIXED);
                put_runs(&mut out, &forms);
                pack(&bits, &mut out)?;
            }
        }
        Ok(out)
    }

    /// Appends the rows of a block.
    pub(crate) fn decode(&mut self, block: &[u8]) -> Result<(), Malformed> {
        let mut cursor = Cursor::new(block);
        let rows = cursor.size(MOST_ROWS)?;
        let qualities = take_runs(&mut cursor, rows)?;
        let has_value = |quality: u8| {
            quality != NOT_IN_BATCH && !matches!(Quality::from_code(quality), Quality::Absent(_))
        };
        let valued = qualities
            .iter()
            .filter(|quality| has_value(**quality))
            .count();
        let (forms, bits) = take_values(&mut cursor, valued)?;
        let mut values = forms.into_iter().zip(bits);
        for quality in qualities {
            let value = if has_value(quality) {
                values.next()
            } else {
                None
            };
            let (form, bits) = value.unwrap_or((NONE, 0));
            self.qualities.push(quality);
            self.forms.push(form);
            self.bits.push(bits);
        }
        Ok(())
    }
}

fn put_floats(out: &mut Vec<u8>, floats: &[f64]) -> Result<(), Malformed> {
    if let Some((exponent, scaled)) = scale(floats) {
        out.push(DECIMAL);
        out.push(exponent);
        return pack(&scaled, out);
    }
    out.push(FLOAT);
    pack(floats, out)
}

fn take_values(cursor: &mut Cursor<'_>, rows: usize) -> Result<(Vec<u8>, Vec<u64>), Malformed> {
    let form = cursor.u8()?;
    match form {
        NONE if rows == 0 => Ok((Vec::new(), Vec::new())),
        WHOLE | STATE => Ok((vec![form; rows], checked(form, unpack(cursor, rows)?)?)),
        DECIMAL => {
            let exponent = cursor.u8()?;
            let scaled: Vec<i64> = unpack(cursor, rows)?;
            let bits = scaled
                .into_iter()
                .map(|whole| unscale(whole, exponent).to_bits());
            Ok((vec![FLOAT; rows], bits.collect()))
        }
        FLOAT => {
            let floats: Vec<f64> = unpack(cursor, rows)?;
            Ok((
                vec![FLOAT; rows],
                floats.into_iter().map(f64::to_bits).collect(),
            ))
        }
        MIXED => {
            let forms = take_runs(cursor, rows)?;
            if !forms
                .iter()
                .all(|form| matches!(*form, WHOLE | FLOAT | STATE))
            {
                return Err(Malformed("a value is of an unknown form"));
            }
            Ok((forms, checked(MIXED, unpack(cursor, rows)?)?))
        }
        _ => Err(Malformed("values are of an unknown form")),
    }
}

fn checked(form: u8, values: Vec<i64>) -> Result<Vec<u64>, Malformed> {
    let bits = values.into_iter().map(i64::cast_unsigned);
    bits.map(|bits| {
        if form == STATE {
            state(bits).map(u64::from)
        } else {
            Ok(bits)
        }
    })
    .collect()
}

fn put_runs(out: &mut Vec<u8>, codes: &[u8]) {
    put_size(out, codes.chunk_by(|a, b| a == b).count());
    for run in codes.chunk_by(|a, b| a == b) {
        out.extend(run.first());
        put_size(out, run.len());
    }
}

fn take_runs(cursor: &mut Cursor<'_>, rows: usize) -> Result<Vec<u8>, Malformed> {
    let mut codes = Vec::with_capacity(rows);
    for _ in 0..cursor.count(rows)? {
        let code = cursor.u8()?;
        let length = cursor.size(rows - codes.len())?;
        codes.resize(codes.len() + length, code);
    }
    if codes.len() != rows {
        return Err(Malformed("runs do not fill their column"));
    }
    Ok(codes)
}

/// The floats times a power of ten, as whole numbers, where that loses nothing; and the exponent.
pub(crate) fn scale(floats: &[f64]) -> Option<(u8, Vec<i64>)> {
    let mut exponent = 0;
    for float in floats {
        while scaled(*float, exponent).is_none() {
            exponent += 1;
            if exponent > MOST_DIGITS {
                return None;
            }
        }
    }
    let scaled: Option<Vec<i64>> = floats
        .iter()
        .map(|float| scaled(*float, exponent))
        .collect();
    Some((exponent, scaled?))
}

pub(crate) fn unscale(whole: i64, exponent: u8) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "only what was exact is stored this way"
    )]
    let whole = whole as f64;
    whole / power(exponent)
}

/// One float times ten to the `exponent`, where dividing again gives the same float to the last bit.
pub(crate) fn scaled(float: f64, exponent: u8) -> Option<i64> {
    let whole = rounded(float, exponent)?;
    (unscale(whole, exponent).to_bits() == float.to_bits()).then_some(whole)
}

/// One float times ten to the `exponent`, rounded, where that is exact as a float.
pub(crate) fn rounded(float: f64, exponent: u8) -> Option<i64> {
    /// Up to here every whole number is a float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let whole = (float * power(exponent)).round();
    #[expect(clippy::cast_possible_truncation, reason = "the bound is checked")]
    (whole.abs() <= EXACT).then_some(whole as i64)
}

fn power(exponent: u8) -> f64 {
    10_f64.powi(i32::from(exponent))
}

#[cfg(test)]
mod tests {
    use glasshouse_core::failure::FailureReason;
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn rows() -> impl Strategy<Value = Vec<Row>> {
        let value = prop_oneof![
            any::<u64>().prop_map(Value::U64),
            (0_u32..9999).prop_map(|n| Value::F64(f64::from(n) / 100.0)),
            proptest::num::f64::NORMAL.prop_map(Value::F64),
            any::<u16>().prop_map(Value::State),
        ];
        let row = prop_oneof![
            1 => Just(None),
            1 => Just(Some((None, Quality::Absent(FailureReason::Timeout)))),
            4 => (value, prop_oneof![Just(Quality::Good), Just(Quality::Stale)]).prop_map(|(v, q)| Some((Some(v), q))),
        ];
        proptest::collection::vec(row, 0..200)
    }

    fn column(rows: &[Row]) -> Column {
        let mut column = Column::default();
        for row in rows {
            match row {
                None => column.pad(column.len() + 1),
                Some((value, quality)) => column.push(*value, *quality),
            }
        }
        column
    }

    fn survives(rows: &[Row]) -> Vec<u8> {
        let block = column(rows).encode().unwrap();
        let mut back = Column::default();
        back.decode(&block).unwrap();
        assert_eq!(back.rows().collect::<Vec<_>>(), rows);
        block
    }

    #[test]
    fn values_take_the_form_that_fits() {
        let good = |value| Some((Some(value), Quality::Good));
        let form = |rows: &[Row]| {
            let block = survives(rows);
            // rows, one run of two bytes after its count
            block[4]
        };
        assert_eq!(
            form(&[good(Value::U64(1)), good(Value::U64(u64::MAX))]),
            WHOLE
        );
        assert_eq!(
            form(&[good(Value::F64(0.01)), good(Value::F64(12345.67))]),
            DECIMAL
        );
        assert_eq!(form(&[good(Value::F64(0.1 + 0.2))]), FLOAT);
        assert_eq!(form(&[good(Value::F64(-0.0))]), FLOAT);
        assert_eq!(form(&[good(Value::State(3))]), STATE);
        assert_eq!(form(&[good(Value::State(3)), good(Value::U64(3))]), MIXED);
    }

    #[test]
    fn constants_cost_a_dozen_bytes() {
        assert!(survives(&[Some((Some(Value::F64(42.0)), Quality::Good)); 3600]).len() < 14);
        assert!(survives(&[None; 3600]).len() < 14);
    }

    proptest! {
        #[test]
        fn any_column_survives(rows in rows()) {
            survives(&rows);
        }

        #[test]
        fn a_damaged_block_is_refused_or_has_its_rows(rows in rows(), at in any::<proptest::sample::Index>(), flip in 1_u8..) {
            let mut block = column(&rows).encode().unwrap();
            let at = at.index(block.len());
            block[at] ^= flip;
            let mut back = Column::default();
            if back.decode(&block).is_ok() {
                prop_assert!(back.rows().count() <= MOST_ROWS);
            }
        }
    }
}
