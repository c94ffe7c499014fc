//! The facts of one run, kept flat, so that facts that do not change cost no allocation.

use glasshouse_core::fact::Fact;
use glasshouse_core::text::Untrusted;
use glasshouse_wire::MOST_FACTS;

/// The most bytes of all facts of one collector: what fits a frame with room to spare.
const MOST_FACT_BYTES: usize = 128 * 1024;

/// The facts of this run and of the one that was last sent.
#[derive(Debug, Default)]
pub(crate) struct FactSheet {
    /// Three texts a fact, each with its length (2 bytes) before it.
    now: Vec<u8>,
    sent: Vec<u8>,
    count: usize,
}

impl FactSheet {
    /// Begins another run.
    pub(crate) fn begin(&mut self) {
        self.now.clear();
        self.count = 0;
    }

    /// Takes a fact; `false` where there is no room for it.
    pub(crate) fn push(&mut self, component: &str, key: &str, value: &str) -> bool {
        let texts = [component, key, value].map(|text| {
            let end = text.floor_char_boundary(Untrusted::MOST_BYTES);
            text.get(..end).unwrap_or_default()
        });
        let bytes: usize = texts.iter().map(|text| text.len().saturating_add(2)).sum();
        if self.count >= MOST_FACTS || self.now.len().saturating_add(bytes) > MOST_FACT_BYTES {
            return false;
        }
        for text in texts {
            let length = u16::try_from(text.len()).unwrap_or(0);
            self.now.extend_from_slice(&length.to_le_bytes());
            self.now.extend_from_slice(text.as_bytes());
        }
        self.count = self.count.saturating_add(1);
        true
    }

    /// Whether there are none in this run.
    pub(crate) const fn is_empty(&self) -> bool {
        self.now.is_empty()
    }

    /// Whether this run says something else than what was sent.
    pub(crate) fn has_changed(&self) -> bool {
        self.now != self.sent
    }

    /// The facts were sent.
    pub(crate) fn sent(&mut self) {
        self.sent.clone_from(&self.now);
    }

    /// The facts of this run.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        let mut rest = self.now.as_slice();
        let mut facts = Vec::with_capacity(self.count);
        while let (Some(component), Some(key), Some(value)) = (
            take_text(&mut rest),
            take_text(&mut rest),
            take_text(&mut rest),
        ) {
            facts.push(Fact {
                component: Untrusted::new(component),
                key: key.to_owned(),
                value: Untrusted::new(value),
            });
        }
        facts
    }
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let (text, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    *rest = after;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_is_a_change() {
        let mut sheet = FactSheet::default();
        assert!(!sheet.has_changed(), "nothing was nothing before");
        for (value, changed) in [("6.1", true), ("6.1", false), ("6.2", true)] {
            sheet.begin();
            assert!(sheet.push("kernel", "os.version", value));
            assert_eq!(sheet.has_changed(), changed, "{value}");
            sheet.sent();
        }
        let facts = sheet.facts();
        assert_eq!(facts[0].component.raw(), "kernel");
        assert_eq!(
            (facts[0].key.as_str(), facts[0].value.raw()),
            ("os.version", "6.2")
        );
        sheet.begin();
        assert!(sheet.has_changed(), "what is gone has changed");
    }

    #[test]
    fn a_collector_cannot_fill_a_frame_with_facts() {
        let mut sheet = FactSheet::default();
        let long = "é".repeat(2000);
        let taken = (0..10_000)
            .take_while(|_| sheet.push(&long, "key", &long))
            .count();
        assert!((100..MOST_FACTS).contains(&taken));
        assert!(sheet.now.len() <= MOST_FACT_BYTES);
        assert_eq!(sheet.facts().len(), taken);
    }
}
