//! The protobuf messages, as they lie in a payload. Field numbers are never reused.

/// What a payload is.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Envelope {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub(crate) kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Kind {
    #[prost(message, tag = "1")]
    Define(Define),
    #[prost(message, tag = "2")]
    Batch(Batch),
    #[prost(message, tag = "3")]
    Facts(Facts),
    #[prost(message, tag = "4")]
    Status(Status),
    #[prost(message, tag = "5")]
    Heartbeat(Heartbeat),
    #[prost(message, tag = "6")]
    Conditions(Conditions),
    #[prost(message, tag = "7")]
    Log(Log),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Define {
    #[prost(message, repeated, tag = "1")]
    pub(crate) series: Vec<Series>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Series {
    #[prost(uint32, tag = "1")]
    pub(crate) number: u32,
    #[prost(string, tag = "2")]
    pub(crate) metric: String,
    #[prost(string, tag = "3")]
    pub(crate) unit: String,
    /// An index into `MetricKind::ALL`.
    #[prost(uint32, tag = "4")]
    pub(crate) kind: u32,
    #[prost(string, repeated, tag = "5")]
    pub(crate) states: Vec<String>,
    #[prost(string, tag = "6")]
    pub(crate) help: String,
    /// Key, value, key, value.
    #[prost(string, repeated, tag = "7")]
    pub(crate) labels: Vec<String>,
    #[prost(string, tag = "8")]
    pub(crate) collector: String,
    #[prost(uint64, tag = "9")]
    pub(crate) interval_nanos: u64,
    /// An index into `Audience::ALL`.
    #[prost(uint32, tag = "10")]
    pub(crate) audience: u32,
}

/// The samples of one run of one collector, column by column.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Batch {
    #[prost(string, tag = "1")]
    pub(crate) collector: String,
    #[prost(sfixed64, tag = "2")]
    pub(crate) wall_nanos: i64,
    #[prost(fixed64, tag = "3")]
    pub(crate) boot_nanos: u64,
    #[prost(uint32, repeated, tag = "4")]
    pub(crate) series: Vec<u32>,
    /// One byte a sample: 0 none, 1 the next of `wholes`, 2 the next of `floats`, 3 the next of `wholes` as a state.
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) kinds: Vec<u8>,
    #[prost(uint64, repeated, tag = "6")]
    pub(crate) wholes: Vec<u64>,
    #[prost(double, repeated, tag = "7")]
    pub(crate) floats: Vec<f64>,
    /// One byte a sample, or empty where all are good.
    #[prost(bytes = "vec", tag = "8")]
    pub(crate) qualities: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Facts {
    #[prost(string, tag = "1")]
    pub(crate) collector: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) facts: Vec<Fact>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Fact {
    #[prost(string, tag = "1")]
    pub(crate) component: String,
    #[prost(string, tag = "2")]
    pub(crate) key: String,
    #[prost(string, tag = "3")]
    pub(crate) value: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Status {
    #[prost(message, repeated, tag = "1")]
    pub(crate) collectors: Vec<Collector>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Collector {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(uint64, tag = "2")]
    pub(crate) interval_nanos: u64,
    /// 0 good, 1 partial, 2 failed, 3 absent, 4 disabled.
    #[prost(uint32, tag = "3")]
    pub(crate) state: u32,
    /// The code of a `FailureReason`, where the state has one.
    #[prost(uint32, tag = "4")]
    pub(crate) reason: u32,
    #[prost(string, tag = "5")]
    pub(crate) detail: String,
    #[prost(sfixed64, tag = "6")]
    pub(crate) last_run_nanos: i64,
    #[prost(uint64, tag = "7")]
    pub(crate) duration_nanos: u64,
    #[prost(uint32, tag = "8")]
    pub(crate) series: u32,
    #[prost(uint64, tag = "9")]
    pub(crate) failures: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Heartbeat {
    #[prost(sfixed64, tag = "1")]
    pub(crate) wall_nanos: i64,
    #[prost(fixed64, tag = "2")]
    pub(crate) boot_nanos: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) batches_dropped: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) queued_batches: u64,
    #[prost(uint64, tag = "5")]
    pub(crate) queued_bytes: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Conditions {
    #[prost(string, tag = "1")]
    pub(crate) collector: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) conditions: Vec<Condition>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Condition {
    #[prost(string, tag = "1")]
    pub(crate) cause: String,
    /// An index into `Severity::ALL`.
    #[prost(uint32, tag = "2")]
    pub(crate) severity: u32,
    #[prost(string, tag = "3")]
    pub(crate) component: String,
    #[prost(string, tag = "4")]
    pub(crate) detail: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Log {
    #[prost(string, tag = "1")]
    pub(crate) collector: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) entries: Vec<LogEntry>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LogEntry {
    /// An index into `LogSource::ALL`.
    #[prost(uint32, tag = "1")]
    pub(crate) source: u32,
    #[prost(string, tag = "2")]
    pub(crate) origin: String,
    #[prost(string, tag = "3")]
    pub(crate) id: String,
    /// Missing where the writer does not know when it happened.
    #[prost(sfixed64, optional, tag = "4")]
    pub(crate) at_nanos: Option<i64>,
    /// An index into `Severity::ALL`.
    #[prost(uint32, tag = "5")]
    pub(crate) severity: u32,
    #[prost(string, tag = "6")]
    pub(crate) code: String,
    #[prost(string, tag = "7")]
    pub(crate) component: String,
    #[prost(string, tag = "8")]
    pub(crate) text: String,
    #[prost(bytes = "vec", tag = "9")]
    pub(crate) raw: Vec<u8>,
}
