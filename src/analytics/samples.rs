//! Samples as a Parquet file: one row a sample, in plain columns that DuckDB, pandas, Spark and Polars read without help.
//!
//! | column | type | says |
//! | --- | --- | --- |
//! | `time` | timestamp in µs, UTC | when it was read; Spark reads nothing finer |
//! | `node` | text | id of the node; null where it is not known |
//! | `host` | text | the name that it gives itself, as it may be shown; null where it is not known |
//! | `metric` | text | OpenTelemetry name |
//! | `kind` | text | `gauge`, `counter` … |
//! | `unit` | text | UCUM |
//! | `labels` | text | a JSON object |
//! | `value` | double | the number; null where there is none, and for states |
//! | `value_int` | unsigned 64 bit | the number where it is whole and `value` is not exact, else null |
//! | `state` | text | the state's name, for metrics of states |
//! | `quality` | text | `good`, `stale`, `estimated` or `absent` |
//! | `reason` | text | why it is absent |
//!
//! Rows stand in the order in which they are pushed. Text columns are dictionaries, so that what repeats costs nothing.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use glasshouse_core::identity::NodeId;
use glasshouse_core::reader::SeriesInfo;
use glasshouse_core::sample::{Quality, Sample, Value};
use glasshouse_core::text::Untrusted;
use polars::io::parquet::write::{BatchedWriter, KeyValueMetadata, ParquetWriter};
use polars::prelude::{
    ChunkTake as _, Column, DataFrame, DataType, IdxCa, Int64Chunked, IntoColumn as _,
    NamedFrom as _, NewChunkedArray as _, PlSmallStr, PolarsError, Schema, Series, StringChunked,
    TimeUnit, TimeZone,
};

use crate::labels::as_json;

/// Rows that are gathered before they are written: some 45 MB with what encoding them takes, and few enough groups that
/// readers can skip what they do not want.
const ROWS_AT_ONCE: usize = 1 << 17;

/// Up to here every whole number is a double.
const EXACT: u64 = 1 << 53;

/// Whose samples they are, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The node.
    pub node: Option<NodeId>,
    /// The name that it gives itself.
    pub host: Option<Untrusted>,
}

/// Why a table was not written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The output did not take it.
    #[error("failed to write the table")]
    Write(#[source] io::Error),
    /// It cannot be encoded.
    #[error("failed to encode the table")]
    Encode(#[source] PolarsError),
}

/// Writes a Parquet file, in groups of rows. Memory is bounded by one group.
pub struct SampleTable<W: Write> {
    writer: BatchedWriter<Output<W>>,
    trouble: Trouble,
    node: Option<String>,
    host: Option<String>,
    rows: Rows,
    written: u64,
}

impl<W: Write> SampleTable<W> {
    /// Begins a file. `out` gets it from the first byte to the last and needs no buffer of its own.
    ///
    /// # Errors
    /// [`TableError`] where `out` takes nothing.
    pub fn create(out: W, origin: &Origin) -> Result<Self, TableError> {
        let node = origin.node.map(|node| node.to_string());
        let host = origin.host.as_ref().map(Untrusted::clean);
        let about = [("glasshouse.node", &node), ("glasshouse.host", &host)];
        let about = about.into_iter().filter_map(|(key, value)| {
            let value = value.as_ref()?;
            Some((key.to_owned(), value.clone()))
        });
        let trouble = Trouble::default();
        let output = Output {
            out,
            trouble: Arc::clone(&trouble),
        };
        let writer = ParquetWriter::new(output)
            // one core: this runs beside what the machine is for
            .set_parallel(false)
            .with_key_value_metadata(Some(KeyValueMetadata::from_static(about.collect())))
            .batched(&schema())
            .map_err(|error| failed(&trouble, error))?;
        Ok(Self {
            writer,
            trouble,
            node,
            host,
            rows: Rows::default(),
            written: 0,
        })
    }

    /// Appends samples of one series.
    ///
    /// # Errors
    /// [`TableError`] where a group is full and cannot be written.
    pub fn push(&mut self, series: &SeriesInfo, samples: &[Sample]) -> Result<(), TableError> {
        let mut rest = samples;
        while !rest.is_empty() {
            let room = ROWS_AT_ONCE.saturating_sub(self.rows.times.len());
            let (now, later) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            self.rows.push(series, now);
            rest = later;
            if self.rows.times.len() >= ROWS_AT_ONCE {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Writes what is left and the end of the file. Returns how many rows it has.
    ///
    /// # Errors
    /// [`TableError`] where that cannot be written.
    pub fn finish(mut self) -> Result<u64, TableError> {
        self.flush()?;
        let finished = self.writer.finish();
        finished.map_err(|error| failed(&self.trouble, error))?;
        Ok(self.written)
    }

    fn flush(&mut self) -> Result<(), TableError> {
        if self.rows.times.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        let height = rows.times.len();
        let columns = rows.into_columns(self.node.as_deref(), self.host.as_deref());
        let frame = columns.and_then(|columns| DataFrame::new(height, columns));
        let written = frame.and_then(|frame| self.writer.write_batch(&frame));
        written.map_err(|error| failed(&self.trouble, error))?;
        self.written += u64::try_from(height).unwrap_or(u64::MAX);
        Ok(())
    }
}

impl<W: Write> std::fmt::Debug for SampleTable<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SampleTable")
            .field("node", &self.node)
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

/// What the output said last. Polars does not pass on every error as it was.
type Trouble = Arc<Mutex<Option<io::Error>>>;

/// The output, with its trouble remembered.
struct Output<W> {
    out: W,
    trouble: Trouble,
}

impl<W> Output<W> {
    fn noted<T>(&self, done: io::Result<T>) -> io::Result<T> {
        done.map_err(|error| {
            let told = io::Error::from(error.kind());
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            told
        })
    }
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes);
        self.noted(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.noted(flushed)
    }
}

fn failed(trouble: &Trouble, error: PolarsError) -> TableError {
    let said = trouble
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    said.map_or(TableError::Encode(error), TableError::Write)
}

fn schema() -> Schema {
    let text = |name: &'static str| (PlSmallStr::from_static(name), DataType::String);
    let time = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
    [
        (PlSmallStr::from_static("time"), time),
        text("node"),
        text("host"),
        text("metric"),
        text("kind"),
        text("unit"),
        text("labels"),
        (PlSmallStr::from_static("value"), DataType::Float64),
        (PlSmallStr::from_static("value_int"), DataType::UInt64),
        text("state"),
        text("quality"),
        text("reason"),
    ]
    .into_iter()
    .collect()
}

/// Rows that are not written yet, column by column.
#[derive(Debug, Default)]
struct Rows {
    times: Vec<i64>,
    metrics: Texts,
    kinds: Texts,
    units: Texts,
    labels: Texts,
    values: Vec<Option<f64>>,
    exact: Vec<Option<u64>>,
    states: Texts,
    qualities: Texts,
    reasons: Texts,
}

impl Rows {
    fn push(&mut self, series: &SeriesInfo, samples: &[Sample]) {
        let count = samples.len();
        self.metrics.push(Some(&series.metric), count);
        self.kinds.push(Some(series.kind.word()), count);
        self.units.push(Some(&series.unit), count);
        self.labels.push(Some(&as_json(&series.labels)), count);
        for sample in samples {
            self.times.push(sample.at.nanos().div_euclid(1000));
            let (value, exact, state) = cells(series, sample.value);
            self.values.push(value);
            self.exact.push(exact);
            self.states.push(state.as_deref(), 1);
            self.qualities.push(Some(sample.quality.word()), 1);
            let reason = match sample.quality {
                Quality::Absent(reason) => Some(reason.word()),
                Quality::Good | Quality::Stale | Quality::Estimated => None,
            };
            self.reasons.push(reason, 1);
        }
    }

    /// In the order of [`schema`].
    fn into_columns(
        self,
        node: Option<&str>,
        host: Option<&str>,
    ) -> Result<Vec<Column>, PolarsError> {
        let mut of_node = Texts::default();
        of_node.push(node, self.times.len());
        let mut of_host = Texts::default();
        of_host.push(host, self.times.len());
        let times = Int64Chunked::from_vec(PlSmallStr::from_static("time"), self.times);
        let times = times.into_datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
        let numbers = |name: &'static str| PlSmallStr::from_static(name);
        Ok(vec![
            times.into_column(),
            of_node.into_column("node")?,
            of_host.into_column("host")?,
            self.metrics.into_column("metric")?,
            self.kinds.into_column("kind")?,
            self.units.into_column("unit")?,
            self.labels.into_column("labels")?,
            Series::new(numbers("value"), self.values).into_column(),
            Series::new(numbers("value_int"), self.exact).into_column(),
            self.states.into_column("state")?,
            self.qualities.into_column("quality")?,
            self.reasons.into_column("reason")?,
        ])
    }
}

/// The cells `value`, `value_int` and `state`.
fn cells(series: &SeriesInfo, value: Option<Value>) -> (Option<f64>, Option<u64>, Option<String>) {
    match value {
        None => (None, None, None),
        Some(Value::State(index)) => {
            let name = series.states.get(usize::from(index));
            // a state that the metric does not have is still not nothing
            let state = name.cloned().unwrap_or_else(|| index.to_string());
            (None, None, Some(state))
        }
        Some(value @ Value::U64(whole)) => {
            (Some(value.as_f64()), (whole > EXACT).then_some(whole), None)
        }
        Some(value @ Value::F64(_)) => (Some(value.as_f64()), None, None),
    }
}

/// A column of texts of which few are different: each is kept once.
#[derive(Debug, Default)]
struct Texts {
    known: HashMap<String, u32>,
    list: Vec<String>,
    /// A place in the list for each row.
    rows: Vec<Option<u32>>,
}

impl Texts {
    fn push(&mut self, text: Option<&str>, count: usize) {
        let place = text.map(|text| self.place(text));
        self.rows.resize(self.rows.len() + count, place);
    }

    fn place(&mut self, text: &str) -> u32 {
        if let Some(place) = self.known.get(text) {
            return *place;
        }
        // there are fewer texts than rows
        let place = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.known.insert(text.to_owned(), place);
        self.list.push(text.to_owned());
        place
    }

    fn into_column(self, name: &'static str) -> Result<Column, PolarsError> {
        let name = PlSmallStr::from_static(name);
        let places = IdxCa::from_iter_options(name.clone(), self.rows.into_iter());
        let texts = StringChunked::from_slice(name, &self.list);
        Ok(texts.take(&places)?.into_column())
    }
}

#[cfg(test)]
#[path = "samples_tests.rs"]
mod tests;
