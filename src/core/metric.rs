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

/// A reading for operators, a floating-point number: name, unit, help, what it is not, labels, source. The methods of
/// [`MetricDefinition`] change what differs.
#[must_use]
pub const fn gauge(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    is_not: &'static str,
    labels: &'static [LabelDefinition],
    source: &'static str,
) -> MetricDefinition {
    MetricDefinition {
        name,
        unit,
        kind: MetricKind::Gauge,
        value: ValueType::F64,
        help,
        is_not,
        labels,
        source,
        audience: Audience::Operator,
    }
}

/// A counter of whole things, for operators.
#[must_use]
pub const fn counter(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    is_not: &'static str,
    labels: &'static [LabelDefinition],
    source: &'static str,
) -> MetricDefinition {
    gauge(name, unit, help, is_not, labels, source)
        .whole()
        .counted()
}

/// A reading that is one of several words, for operators.
#[must_use]
pub const fn state(
    name: &'static str,
    states: &'static [&'static str],
    help: &'static str,
    is_not: &'static str,
    labels: &'static [LabelDefinition],
    source: &'static str,
) -> MetricDefinition {
    gauge(name, "{state}", help, is_not, labels, source).of_states(states)
}

impl MetricDefinition {
    /// The same, of whole numbers.
    #[must_use]
    pub const fn whole(self) -> Self {
        Self {
            value: ValueType::U64,
            ..self
        }
    }

    /// The same, as a counter.
    #[must_use]
    pub const fn counted(self) -> Self {
        Self {
            kind: MetricKind::Counter,
            ..self
        }
    }

    /// The same, as whole things that come and go, and that may be added up over series.
    #[must_use]
    pub const fn amount(self) -> Self {
        Self {
            kind: MetricKind::UpDownCounter,
            ..self.whole()
        }
    }

    /// The same, with one of these words as its value.
    #[must_use]
    pub const fn of_states(self, states: &'static [&'static str]) -> Self {
        Self {
            value: ValueType::State(states),
            ..self
        }
    }

    /// The same, for those who tune.
    #[must_use]
    pub const fn for_performance(self) -> Self {
        Self {
            audience: Audience::Performance,
            ..self
        }
    }

    /// The same, for those who look after Glasshouse.
    #[must_use]
    pub const fn for_glasshouse(self) -> Self {
        Self {
            audience: Audience::Glasshouse,
            ..self
        }
    }

    /// Whether both mean the same: all but where it is read, which each collector says for itself.
    #[must_use]
    pub fn means_the_same_as(&self, other: &Self) -> bool {
        let Self {
            name,
            unit,
            kind,
            value,
            help,
            is_not,
            labels,
            source: _,
            audience,
        } = self;
        (*name, *unit, *kind, *value, *help)
            == (other.name, other.unit, other.kind, other.value, other.help)
            && (*is_not, *labels, *audience) == (other.is_not, other.labels, other.audience)
    }
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
