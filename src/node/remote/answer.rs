//! What an answer of the receiver means for what was sent.

use std::time::Duration;

use super::totals::{Dropped, Failed};

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The receiver has it.
    Taken,
    /// The receiver will never take it as it is; it may take a part of it.
    Refused { why: Dropped, text: String },
    /// It may take it later, where it says so after this time.
    Later {
        why: Failed,
        after: Option<Duration>,
        text: String,
    },
}

/// The longest that a receiver may ask us to wait: it may have been told so by mistake.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// Words by which receivers say why they refuse samples with 400: Prometheus, Mimir (`err-mimir-…`), Thanos, VictoriaMetrics.
const WORDS: &[(&str, Dropped)] = &[
    // "out of bounds" too, at the other end
    ("future", Dropped::Refused),
    ("out of order", Dropped::OutOfOrder),
    ("out-of-order", Dropped::OutOfOrder),
    ("out of bounds", Dropped::TooOld),
    ("too old", Dropped::TooOld),
    ("too-old", Dropped::TooOld),
    ("duplicate", Dropped::Duplicate),
];

impl Answer {
    /// From status, `Retry-After` (with the time of the answer, where it says which) and the beginning of the body.
    pub(super) fn of(status: u16, retry_after: Option<Duration>, text: &str) -> Self {
        let text = format!("the receiver answers {status} {}", shorten(text));
        let text = text.trim_end().to_owned();
        let refused = |why| Self::Refused {
            why,
            text: text.clone(),
        };
        let later = |why| Self::Later {
            why,
            after: retry_after.map(|after| after.min(LONGEST_WAIT)),
            text: text.clone(),
        };
        match status {
            200..=299 => Self::Taken,
            429 => later(Failed::Throttled),
            // a wrong secret or path is a mistake that somebody mends, and no fault of the samples
            401 | 403 => later(Failed::Denied),
            404 | 405 | 410 => later(Failed::NotFound),
            408 | 425 => later(Failed::Server),
            413 => refused(Dropped::TooLarge),
            400..=499 => refused(reason(&text)),
            300..=399 => later(Failed::Redirected),
            _ => later(Failed::Server),
        }
    }
}

/// Behind a brace stand the labels of a series, which say what they like.
fn reason(text: &str) -> Dropped {
    let own = text.split('{').next().unwrap_or_default();
    let text = own.to_ascii_lowercase();
    let known = WORDS.iter().find(|(word, _)| text.contains(word));
    known.map_or(Dropped::Refused, |(_, why)| *why)
}

/// The first line of a text, with no more than is worth a log line.
fn shorten(text: &str) -> String {
    glasshouse_core::text::clean(text.lines().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_mean_what_the_protocol_says() {
        let means = |status, text| match Answer::of(status, None, text) {
            Answer::Taken => "taken".to_owned(),
            Answer::Refused { why, .. } => format!("{why:?}"),
            Answer::Later { why, .. } => format!("{why:?}"),
        };
        for (status, text, meaning) in [
            (200, "", "taken"),
            (204, "", "taken"),
            (302, "", "Redirected"),
            (400, "out of order sample", "OutOfOrder"),
            (400, "out of bounds", "TooOld"),
            (400, "out of bounds: too far in the future", "Refused"),
            (400, "Duplicate sample for timestamp", "Duplicate"),
            (400, "what?\nout of order", "Refused"),
            (
                400,
                "label value too long: {mount=\"too old duplicate\"}",
                "Refused",
            ),
            (401, "", "Denied"),
            (403, "", "Denied"),
            (404, "", "NotFound"),
            (405, "", "NotFound"),
            (408, "", "Server"),
            (410, "", "NotFound"),
            (413, "", "TooLarge"),
            (422, "", "Refused"),
            (425, "", "Server"),
            (429, "", "Throttled"),
            (500, "", "Server"),
            (503, "", "Server"),
            (999, "", "Server"),
        ] {
            assert_eq!(means(status, text), meaning, "{status} {text}");
        }
    }

    #[test]
    fn nobody_makes_us_wait_for_ever() {
        let forever = Some(Duration::from_secs(1 << 40));
        let Answer::Later { after, text, .. } = Answer::of(503, forever, "busy\u{1b}[2J\nmore")
        else {
            panic!("it is to be sent again");
        };
        assert_eq!(after, Some(LONGEST_WAIT));
        assert_eq!(text, "the receiver answers 503 busy[2J");
    }
}
