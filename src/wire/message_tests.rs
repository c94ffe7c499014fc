use glasshouse_core::condition::Severity;
use glasshouse_core::log::{LogSource, MOST_RAW_BYTES};
use glasshouse_core::time::{BootTime, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn quality() -> impl Strategy<Value = Quality> {
    prop_oneof![
        Just(Quality::Good),
        Just(Quality::Stale),
        Just(Quality::Estimated)
    ]
}

fn row() -> impl Strategy<Value = SampleRow> {
    let value = prop_oneof![
        any::<u64>().prop_map(Value::U64),
        (-1e300..1e300f64).prop_map(Value::F64),
        any::<u16>().prop_map(Value::State),
    ];
    let absent = (0..FailureReason::ALL.len())
        .prop_map(|index| (None, Quality::Absent(FailureReason::ALL[index])));
    let present = (value, quality()).prop_map(|(value, quality)| (Some(value), quality));
    (1..=u32::MAX, prop_oneof![4 => present, 1 => absent])
        .prop_map(|(number, (value, quality))| (number, value, quality))
}

fn at() -> impl Strategy<Value = Moment> {
    (0..=i64::MAX, any::<u64>()).prop_map(|(wall, boot)| Moment {
        wall: Timestamp::from_nanos(wall),
        boot: BootTime::from_nanos(boot),
    })
}

fn definition() -> impl Strategy<Value = SeriesDefinition> {
    let labels = vec(("[a-z.]{1,20}", any::<String>()), 0..6);
    (
        1..=u32::MAX,
        "[a-z.]{1,40}",
        labels,
        0..3usize,
        1..3_600_000u64,
    )
        .prop_map(|(number, metric, labels, index, millis)| SeriesDefinition {
            number,
            info: SeriesInfo {
                metric,
                unit: "By".to_owned(),
                kind: MetricKind::ALL[index],
                states: vec!["on".to_owned(); index],
                help: "Help.".to_owned(),
                labels: Labels::new(labels),
                collector: "fake".to_owned(),
                interval: Duration::from_millis(millis),
                audience: Audience::ALL[index],
            },
        })
}

fn status() -> impl Strategy<Value = CollectorStatus> {
    let reason = (0..FailureReason::ALL.len()).prop_map(|index| FailureReason::ALL[index]);
    let state = (0..5, reason).prop_map(|(state, reason)| match state {
        0 => CollectorState::Good,
        1 => CollectorState::Partial(reason),
        2 => CollectorState::Failed(reason),
        3 => CollectorState::Absent,
        _ => CollectorState::Disabled,
    });
    (state, any::<String>(), at(), any::<u32>(), any::<u64>()).prop_map(
        |(state, detail, at, series, failures)| CollectorStatus {
            name: "fake".to_owned(),
            interval: Duration::from_secs(1),
            state,
            detail: Untrusted::new(&detail),
            last_run: at.wall,
            duration: Duration::from_nanos(failures),
            series,
            failures,
        },
    )
}

fn condition() -> impl Strategy<Value = Condition> {
    let all = (0..Severity::ALL.len()).prop_map(|index| Severity::ALL[index]);
    ("[a-z.]{1,40}", all, any::<String>(), any::<String>()).prop_map(
        |(cause, severity, component, detail)| Condition {
            cause,
            severity,
            component: Untrusted::new(&component),
            detail: Untrusted::new(&detail),
        },
    )
}

fn entry() -> impl Strategy<Value = LogEntry> {
    let source = (0..LogSource::ALL.len()).prop_map(|index| LogSource::ALL[index]);
    let time = proptest::option::of(0..=i64::MAX);
    let raw = vec(any::<u8>(), 0..=MOST_RAW_BYTES);
    (source, time, any::<[String; 3]>(), raw).prop_map(|(source, at, texts, raw)| LogEntry {
        source,
        origin: Untrusted::new(&texts[0]),
        id: Untrusted::new(&texts[1]),
        at: at.map(Timestamp::from_nanos),
        severity: Severity::Warning,
        code: Untrusted::new("xid.79"),
        component: Untrusted::new("gpu/0"),
        text: Untrusted::new(&texts[2]),
        raw,
    })
}

fn message() -> impl Strategy<Value = Message> {
    let fact =
        ("[a-z/0-9]{1,20}", "[a-z.]{1,20}", any::<String>()).prop_map(|(part, key, value)| Fact {
            component: Untrusted::new(&part),
            key,
            value: Untrusted::new(&value),
        });
    prop_oneof![
        vec(definition(), 0..8).prop_map(Message::Define),
        (at(), vec(row(), 0..64)).prop_map(|(at, samples)| Message::Batch(Batch {
            collector: "fake".to_owned(),
            at,
            samples,
        })),
        vec(fact, 0..8).prop_map(|facts| Message::Facts {
            collector: "fake".to_owned(),
            facts,
        }),
        vec(status(), 0..8).prop_map(Message::Status),
        (at(), any::<u64>()).prop_map(|(at, batches_dropped)| Message::Heartbeat(Heartbeat {
            at,
            batches_dropped,
            queued_batches: 1,
            queued_bytes: 2,
        })),
        vec(condition(), 0..8).prop_map(|conditions| Message::Conditions {
            collector: "fake".to_owned(),
            conditions,
        }),
        vec(entry(), 0..8).prop_map(|entries| Message::Log {
            collector: "fake".to_owned(),
            entries,
        }),
    ]
}

proptest! {
    #[test]
    fn a_message_survives_its_payload(message in message()) {
        let decoded = Message::decode(&message.encode()).unwrap();
        prop_assert_eq!(decoded, message);
    }

    #[test]
    fn no_payload_panics(payload in vec(any::<u8>(), 0..300)) {
        drop(Message::decode(&payload));
    }

    #[test]
    fn a_damaged_payload_is_an_error_or_another_message(
        message in message(),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut payload = message.encode();
        for (index, mask) in flips {
            let at = index.index(payload.len());
            payload[at] ^= mask;
        }
        if let Ok(Message::Batch(batch)) = Message::decode(&payload) {
            for (number, value, quality) in batch.samples {
                prop_assert!(number > 0);
                prop_assert_eq!(value.is_none(), matches!(quality, Quality::Absent(_)));
                prop_assert!(value.is_none_or(Value::is_finite));
            }
        }
    }
}

#[test]
fn what_a_newer_sender_adds_is_ignored_or_named() {
    let mut payload = Message::Heartbeat(Heartbeat::default()).encode();
    // field 15 of the envelope, a varint
    payload.extend_from_slice(&[0x78, 1]);
    assert!(matches!(
        Message::decode(&payload),
        Ok(Message::Heartbeat(_))
    ));
    // field 14 of the envelope, an empty message: a kind that is not known here
    assert!(matches!(
        Message::decode(&[0x72, 0]),
        Err(WireError::UnknownMessage)
    ));
}
