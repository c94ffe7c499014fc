//! Which metrics are sent.

/// Patterns of names that are sent, and of those that are not. `*` stands for any text. A name is the metric's own
/// (`system.cpu.time`) or the one that arrives (`system_cpu_time_seconds_total`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Only these; none means all.
    pub only: Vec<String>,
    /// Not these.
    pub without: Vec<String>,
}

impl Choice {
    /// Whether a metric is sent that has these names.
    #[must_use]
    pub fn takes(&self, names: [&str; 2]) -> bool {
        let any = |patterns: &[String]| {
            let mut pairs = patterns
                .iter()
                .flat_map(|pattern| names.map(|name| (pattern, name)));
            pairs.any(|(pattern, name)| matches(pattern, name))
        };
        (self.only.is_empty() || any(&self.only)) && !any(&self.without)
    }
}

/// Whether a name fits a pattern: its parts stand in the name one after the other.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    let Some(mut rest) = rest.strip_suffix(last) else {
        return false;
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, fits) in [
            ("a.b", "a.b", true),
            ("a.b", "a.bc", false),
            ("a.*", "a.b.c", true),
            ("a.*", "a", false),
            ("*", "", true),
            ("*.time", "system.cpu.time", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("aa*aa", "aaa", false),
            ("**a**", "bab", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_left_out_is_left_out_of_what_is_chosen() {
        let choice = Choice {
            only: vec!["system.*".to_owned(), "hw_power_watts".to_owned()],
            without: vec!["*_total".to_owned()],
        };
        assert!(choice.takes(["system.load", "system_load"]));
        assert!(choice.takes(["hw.power", "hw_power_watts"]));
        assert!(!choice.takes(["system.cpu.time", "system_cpu_time_seconds_total"]));
        assert!(!choice.takes(["hw.fan", "hw_fan"]));
        assert!(Choice::default().takes(["a", "a"]));
    }
}
