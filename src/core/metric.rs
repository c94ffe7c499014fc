//! Metric definitions: what a number means, as data.
//!
//! Names and units follow the OpenTelemetry semantic conventions (`system.*`, `hw.*`, UCUM units) where one exists;
//! where none does, they are named in that style. Prometheus names appear only where metrics are exposed.

/// What one metric means. Every collector declares its metrics as a static list of these.
#[derive(Debug, PartialEq, Eq)]
pub struct MetricDefinition {
    /// OpenTelemetry name, e.g. `system.cpu.time`.
    pub name: &'static str,
    /// UCUM unit, e.g. `s`, `By`, `Cel`, `{process}`, `1`.
    pub unit: &'static str,
    /// How values over time relate.
    pub kind: MetricKind,
    /// What a value is.
    pub value: ValueType,
    /// What the number says, one sentence.
    pub help: &'static str,
    /// What the number is *not*: the misreading that this help prevents.
    pub is_not: &'static str,
    /// Labels that its series carry, in the order in which the collector writes them.
    pub labels: &'static [LabelDefinition],
    /// Where it is read, e.g. `/proc/stat`.
    pub source: &'static str,
    /// Whom it serves.
    pub audience: Audience,
}

/// How the values of a metric over time relate (the instruments of OpenTelemetry).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Only grows, but for a reset to near zero; ask for its rate.
    Counter,
    /// A sum that grows and shrinks (bytes in use); adding it over series makes sense.
    UpDownCounter,
    /// A reading (temperature, frequency); adding it over series makes no sense.
    Gauge,
}

impl MetricKind {
    /// Every kind, in the order of their stored numbers.
    pub const ALL: &[Self] = &[Self::Counter, Self::UpDownCounter, Self::Gauge];

    /// The word for it in answers and files.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::UpDownCounter => "updowncounter",
            Self::Gauge => "gauge",
        }
    }
}

/// What a value of a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// A whole number that is never negative.
    U64,
    /// A finite floating-point number.
    F64,
    /// One of these states; a value is an index into the list.
    State(&'static [&'static str]),
}

/// One label of a metric.
#[derive(Debug, PartialEq, Eq)]
pub struct LabelDefinition {
    /// OpenTelemetry attribute name, e.g. `system.device`.
    pub key: &'static str,
    /// What its values are.
    pub help: &'static str,
}

/// Whom a metric serves; answers to agents prefer what serves operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Those who run the machine: health, power, capacity.
    Operator,
    /// Those who tune what runs on it: detail for an analysis.
    Performance,
    /// Those who look after Glasshouse itself.
    Glasshouse,
}

impl Audience {
    /// Every audience, in the order of their stored numbers.
    pub const ALL: &[Self] = &[Self::Operator, Self::Performance, Self::Glasshouse];

    /// The word for it in answers and files.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Performance => "performance",
            Self::Glasshouse => "glasshouse",
        }
    }
}
