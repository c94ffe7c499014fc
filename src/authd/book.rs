//! Which clients are known that nobody configured, and which of them gives way to a new one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use glasshouse_core::time::BootTime;

use crate::tickets::TICKET_LIFE;

/// The most clients of either kind: a lab has a handful, and some agents register anew at each start. Each kind has its
/// own places: a page elsewhere can make a browser ask for metadata documents, and must not thereby take the places of
/// those that register themselves.
pub(crate) const OF_A_KIND_MOST: usize = 40;

/// How long a metadata document counts before it is fetched again.
const DOCUMENT_LIFE: Duration = Duration::from_secs(600);

/// How long a client stays after a person was shown a page about it. By then the person has decided; and a decision
/// for it holds it again, for longer than the code and an access token live.
const HELD: Duration = TICKET_LIFE;

/// Where a client comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    /// It registered itself.
    Registered,
    /// Its document was fetched.
    Document {
        /// When.
        fetched: BootTime,
    },
}

/// All places of a kind are taken by clients that are in use.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

/// The clients that are known.
#[derive(Debug, Default)]
pub(crate) struct Book {
    known: BTreeMap<String, Known>,
    next: u64,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    order: u64,
    origin: Origin,
    held: Option<BootTime>,
}

impl Book {
    /// Whether a client's document was fetched lately.
    pub(crate) fn is_fresh(&self, id: &str, now: BootTime) -> bool {
        match self.known.get(id).map(|known| known.origin) {
            Some(Origin::Document { fetched }) => now.since(fetched) < DOCUMENT_LIFE,
            _ => false,
        }
    }

    /// A person is shown a page about this client, or decides: it does not give way for a while.
    pub(crate) fn hold(&mut self, id: &str, now: BootTime) {
        if let Some(known) = self.known.get_mut(id) {
            known.held = Some(now);
        }
    }

    /// Who must give way before this one is added: nobody, or the one that has been here longest among those whom no
    /// person is looking at, and who have no grant.
    ///
    /// # Errors
    /// [`NoRoom`] where there is none such.
    pub(crate) fn gives_way(
        &self,
        id: &str,
        origin: Origin,
        now: BootTime,
        with_grants: &BTreeSet<String>,
    ) -> Result<Option<String>, NoRoom> {
        let of_the_kind = |known: &Known| known.origin.is_document() == origin.is_document();
        let taken = self.known.values().filter(|known| of_the_kind(known));
        if self.known.contains_key(id) || taken.count() < OF_A_KIND_MOST {
            return Ok(None);
        }
        let idle = self.known.iter().filter(|(id, known)| {
            let is_held = known.held.is_some_and(|since| now.since(since) < HELD);
            of_the_kind(known) && !is_held && !with_grants.contains(*id)
        });
        let oldest = idle.min_by_key(|(_, known)| known.order);
        oldest.map(|(id, _)| Some(id.clone())).ok_or(NoRoom)
    }

    pub(crate) fn add(&mut self, id: String, origin: Origin) {
        self.next += 1;
        let held = self.known.get(&id).and_then(|known| known.held);
        let order = self.next;
        self.known.insert(
            id,
            Known {
                order,
                origin,
                held,
            },
        );
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.known.remove(id);
    }
}

impl Origin {
    const fn is_document(self) -> bool {
        matches!(self, Self::Document { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> BootTime {
        BootTime::from_nanos(seconds * 1_000_000_000)
    }

    fn full() -> Book {
        let mut book = Book::default();
        for n in 0..OF_A_KIND_MOST {
            book.add(format!("{n:02}"), Origin::Registered);
        }
        book
    }

    #[test]
    fn who_is_in_use_never_gives_way_and_who_was_does() {
        let mut book = full();
        let gives_way = |book: &Book, now, grants: &[&str]| {
            let grants = grants.iter().map(|id| (*id).to_owned()).collect();
            book.gives_way("new", Origin::Registered, now, &grants)
        };
        let some = |id: &str| Ok(Some(id.to_owned()));
        assert_eq!(gives_way(&book, at(0), &[]), some("00"));
        assert_eq!(gives_way(&book, at(0), &["00", "02"]), some("01"));
        book.hold("00", at(100));
        assert_eq!(gives_way(&book, at(699), &[]), some("01"), "looked at");
        assert_eq!(gives_way(&book, at(700), &[]), some("00"), "no more");
        for n in 0..OF_A_KIND_MOST {
            book.hold(&format!("{n:02}"), at(1000));
        }
        assert_eq!(gives_way(&book, at(1001), &[]), Err(NoRoom));
        assert_eq!(gives_way(&book, at(1600), &["00"]), some("01"));
    }

    #[test]
    fn documents_do_not_push_out_those_that_registered_themselves() {
        let mut book = full();
        let document = Origin::Document { fetched: at(1) };
        let nobody = BTreeSet::new();
        for n in 0..OF_A_KIND_MOST {
            let id = format!("https://{n:02}.example/");
            assert_eq!(book.gives_way(&id, document, at(1), &nobody), Ok(None));
            book.add(id, document);
        }
        let oldest = Ok(Some("https://00.example/".to_owned()));
        assert_eq!(book.gives_way("new", document, at(1), &nobody), oldest);
        let known = book.gives_way("https://07.example/", document, at(1), &nobody);
        assert_eq!(known, Ok(None), "it has its place");
        book.remove("https://00.example/");
        assert_eq!(book.gives_way("new", document, at(1), &nobody), Ok(None));
    }
}
