//! Where a client may read: paths below `/redfish/v1` on the BMC that was configured, and nowhere else.
//!
//! A BMC names its resources itself (`@odata.id`), so a path is what a network sent: it may try to lead elsewhere.

use std::fmt;

use super::request::READABLE;

/// The service root (DSP0266, 6.3).
pub(crate) const ROOT: &str = "/redfish/v1";

/// The longest path that is followed: real ones stay below 200 bytes.
const MOST_BYTES: usize = 512;

/// The most words of a path: the deepest standard resource (a network port's metrics) has eleven.
const MOST_SEGMENTS: usize = 24;

/// The longest query of a link to a next page.
const MOST_QUERY_BYTES: usize = 256;

/// A resource below [`ROOT`], without fragment and without a slash at its end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ResourcePath(Box<str>);

/// A link to a further page of a collection: a resource, and the query that the BMC itself wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageLink {
    /// The collection.
    pub(crate) path: ResourcePath,
    /// What follows the `?`; never empty.
    pub(crate) query: Box<str>,
}

impl ResourcePath {
    /// The service root.
    pub(crate) fn root() -> Self {
        Self(ROOT.into())
    }

    /// A link as a BMC writes it, its fragment cut off. `None` where it leads anywhere but to a resource that may be
    /// read: another host, another path, upwards, or into accounts, certificates, registries and the like.
    pub(crate) fn parse(link: &str) -> Option<Self> {
        let path = link.split('#').next().unwrap_or_default();
        if path.contains('?') {
            return None;
        }
        let path = path.trim_end_matches('/');
        if path.len() > MOST_BYTES {
            return None;
        }
        let below = path.strip_prefix(ROOT)?;
        if below.is_empty() {
            return Some(Self::root());
        }
        let below = below.strip_prefix('/')?;
        let mut segments = below.split('/');
        let first = segments.next()?;
        let readable = READABLE.contains(&first);
        let plain = below.split('/').all(is_plain) && below.split('/').count() <= MOST_SEGMENTS;
        // an action's target is for POST alone
        let action = below.split('/').any(|segment| segment == "Actions");
        (readable && plain && !action).then(|| Self(path.into()))
    }

    /// As it is requested.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows `/redfish/v1/`; empty for the root. The stable name of the resource.
    pub(crate) fn below_root(&self) -> &str {
        self.0
            .strip_prefix(ROOT)
            .unwrap_or_default()
            .trim_start_matches('/')
    }

    /// The last word.
    pub(crate) fn last(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The words below the root.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> {
        self.below_root().split('/')
    }
}

impl fmt::Debug for ResourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl PageLink {
    /// A next page as a BMC links it (`Members@odata.nextLink`).
    pub(crate) fn parse(link: &str) -> Option<Self> {
        let (path, query) = link.split_once('?')?;
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "$=&().,_-~*;:%+/".contains(c);
        let query = query.split('#').next().unwrap_or_default();
        let good =
            !query.is_empty() && query.len() <= MOST_QUERY_BYTES && query.chars().all(is_allowed);
        good.then_some(())?;
        Some(Self {
            path: ResourcePath::parse(path)?,
            query: query.into(),
        })
    }
}

/// Whether a word of a path says only a name: not nothing, not up, no separator in disguise.
fn is_plain(segment: &str) -> bool {
    let lower = segment.to_ascii_lowercase();
    let disguised = ["%2e", "%2f", "%5c", "%25", "%00", "%23", "%3f"];
    !segment.is_empty()
        && segment != "."
        && segment != ".."
        && !segment.contains(|c: char| c.is_control() || c == '\\')
        && !disguised.iter().any(|code| lower.contains(code))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn links_stay_on_the_bmc() {
        for (link, path) in [
            ("/redfish/v1", "/redfish/v1"),
            ("/redfish/v1/", "/redfish/v1"),
            ("/redfish/v1/Chassis/1/", "/redfish/v1/Chassis/1"),
            (
                "/redfish/v1/Chassis/1/Power#/PowerControl/0",
                "/redfish/v1/Chassis/1/Power",
            ),
            (
                "/redfish/v1/Systems/S/Drives/Disk.Bay.0:Enclosure 1",
                "/redfish/v1/Systems/S/Drives/Disk.Bay.0:Enclosure 1",
            ),
        ] {
            assert_eq!(ResourcePath::parse(link).unwrap().as_str(), path, "{link}");
        }
        for link in [
            "",
            "/",
            "/redfish/v2/Chassis",
            "/redfish/v1x/Chassis",
            "https://elsewhere/redfish/v1/Chassis",
            "//elsewhere/redfish/v1/Chassis",
            "/redfish/v1/Chassis/../AccountService",
            "/redfish/v1/Chassis/%2e%2e/AccountService",
            "/redfish/v1/Chassis//1",
            "/redfish/v1/Chassis\\1",
            "/redfish/v1/Chassis/1?x=y",
            "/redfish/v1/Chassis/a\r\nHost: elsewhere",
            "/redfish/v1/AccountService/Accounts/1",
            "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
            "redfish/v1/Chassis",
        ] {
            assert_eq!(ResourcePath::parse(link), None, "{link}");
        }
    }

    #[test]
    fn a_next_page_keeps_its_query() {
        let link = "/redfish/v1/Managers/1/LogServices/Sel/Entries?$skip=50";
        let page = PageLink::parse(link).unwrap();
        assert_eq!(page.path.last(), "Entries");
        assert_eq!(&*page.query, "$skip=50");
        for link in [
            "/redfish/v1/Chassis",
            "/redfish/v1/Chassis?",
            "/redfish/v1/Chassis?a b",
            "/etc/passwd?$skip=1",
        ] {
            assert_eq!(PageLink::parse(link), None, "{link}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_parsed_lies_below_the_root(link in "(/redfish/v1)?[/.%a-zA-Z0-9 \\\\:#?-]{0,60}") {
            if let Some(path) = ResourcePath::parse(&link) {
                let base = reqwest::Url::parse("https://bmc").unwrap();
                let mut url = base.clone();
                url.set_path(path.as_str());
                prop_assert_eq!(url.host_str(), base.host_str());
                prop_assert!(url.path().starts_with(ROOT));
                prop_assert!(!url.path().contains(".."), "{}", url.path());
            }
        }
    }
}
