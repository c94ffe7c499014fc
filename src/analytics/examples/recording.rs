//! Turns a Parquet file of recorded samples into the stream that the store's `measure` example reads.
//!
//! `recording FILE.parquet > RECORDING`, where the file has the columns `series` (text: names as Prometheus writes them),
//! `timestamp_ms` (whole numbers) and `value` (floats), in any order of rows. The stream is little-endian: `u32` series,
//! each `u32` length and its name, in the order of their names; then to the end `u32` series, `i64` milliseconds, `f64`
//! value, sorted by time and within one time by series. Rows without a series or a time are refused; a row without a
//! value, or with one that is not finite, is left out and counted.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};

use polars::prelude::{DataType, ParquetReader, SerReader as _};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// One sample of the file.
struct Row {
    millis: i64,
    series: u32,
    value: f64,
}

fn main() -> Outcome<()> {
    let path = std::env::args_os()
        .nth(1)
        .ok_or("usage: recording FILE.parquet > RECORDING")?;
    let columns = ["series", "timestamp_ms", "value"].map(str::to_owned);
    let table = ParquetReader::new(File::open(path)?)
        .with_columns(Some(columns.to_vec()))
        .finish()?;
    let names = table.column("series")?.cast(&DataType::String)?;
    let times = table.column("timestamp_ms")?.cast(&DataType::Int64)?;
    let values = table.column("value")?.cast(&DataType::Float64)?;
    let (names, times, values) = (names.str()?, times.i64()?, values.f64()?);

    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    for name in names.iter() {
        numbers.insert(name.ok_or("a row has no series")?, 0);
    }
    for (number, slot) in (0..).zip(numbers.values_mut()) {
        *slot = number;
    }
    let mut rows = Vec::with_capacity(names.len());
    let mut left_out = 0_u64;
    for ((name, millis), value) in names.iter().zip(times.iter()).zip(values.iter()) {
        let series = *name
            .and_then(|name| numbers.get(name))
            .ok_or("a row has no series")?;
        let millis = millis.ok_or("a row has no time")?;
        match value.filter(|value| value.is_finite()) {
            Some(value) => rows.push(Row {
                millis,
                series,
                value,
            }),
            None => left_out += 1,
        }
    }
    // stable: what one series says twice at one time stays in order
    rows.sort_by_key(|row| (row.millis, row.series));
    write(&numbers, &rows)?;
    writeln!(
        io::stderr(),
        "{} series, {} samples, {left_out} without a finite value left out",
        numbers.len(),
        rows.len()
    )?;
    Ok(())
}

fn write(numbers: &BTreeMap<&str, u32>, rows: &[Row]) -> Outcome<()> {
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    out.write_all(&u32::try_from(numbers.len())?.to_le_bytes())?;
    for name in numbers.keys() {
        out.write_all(&u32::try_from(name.len())?.to_le_bytes())?;
        out.write_all(name.as_bytes())?;
    }
    for row in rows {
        out.write_all(&row.series.to_le_bytes())?;
        out.write_all(&row.millis.to_le_bytes())?;
        out.write_all(&row.value.to_le_bytes())?;
    }
    out.flush()?;
    Ok(())
}
