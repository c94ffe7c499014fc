//! Floor 1: how series look to Prometheus.
//!
//! OpenMetrics text and the text format before it, with names as OpenTelemetry translates them for Prometheus.
//!
//! * `names`: a [`Family`] is what becomes of a metric's name, unit and kind; [`label_name`] and [`label_value`] are what
//!   becomes of its labels.
//! * `apart`: [`Meaning`] tells metrics apart, and [`Names`] keeps two from having one name once they are translated.
//! * `text`: a [`Writer`] writes families one after the other, to anything that takes bytes.
//! * [`remote_write`]: the same series, as they are sent to a Prometheus or another receiver of its protocol.
//! * `page`: a [`Page`] takes the newest readings of all series and settles what falls together once it is translated.

mod apart;
mod names;
mod page;
pub mod remote_write;
mod text;

pub use self::apart::{Meaning, Names};
pub use self::names::{Family, FamilyKind, family_name, label_name, label_value};
pub use self::page::{Page, Reading, Tally, openmetrics};
pub use self::text::{Format, SeriesText, Writer};
