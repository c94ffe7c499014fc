//! Records of the event log, and the replies around it.

#![no_main]

use glasshouse_bmc::ipmi::decode::{sel, states};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sel::entry(bytes).ok();
    sel::Info::decode(bytes).map(sel::Info::free_share).ok();
    if let Ok(record) = sel::decode(bytes)
        && let sel::Body::Event(event) = record.body
    {
        let code = states::code(event.kind, event.event_type, event.offset);
        assert!(!code.is_empty());
        let state = states::state(event.kind, event.event_type, event.offset);
        assert!(state.is_none_or(|state| !state.word.is_empty()));
    }
});
