//! Every request that can be sent to a BMC. There is no other: the client takes a [`Request`] and nothing else.

use super::path::ResourcePath;

/// One kind of request, for `docs/read-only.md` and for the tests that compare it with what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowedRequest {
    /// The HTTP method.
    pub method: &'static str,
    /// The path; `{}` stands for one word, `**` for any number of words that the BMC itself linked.
    pub path: &'static str,
    /// What for.
    pub purpose: &'static str,
}

/// First words below `/redfish/v1` that may be read. Accounts, certificates, keys, tasks and registries are not among
/// them.
pub(crate) const READABLE: &[&str] = &[
    "Chassis",
    "EventService",
    "Managers",
    "PowerEquipment",
    "SSE",
    "Storage",
    "Systems",
    "TelemetryService",
    "ThermalEquipment",
    "UpdateService",
];

/// Every request that can be sent. All but the last two only read; those make and end the collector's own session.
pub static ALLOWED: [AllowedRequest; 13] = [
    get("/redfish/v1", "what the BMC offers, and who made it"),
    get(
        "/redfish/v1/Chassis/**",
        "sensors, power, cooling, power supplies, fans, leaks",
    ),
    get(
        "/redfish/v1/EventService/**",
        "where events can be listened to, and their stream; no subscription is made",
    ),
    get(
        "/redfish/v1/Managers/**",
        "version and clock of the BMC, its logs",
    ),
    get(
        "/redfish/v1/PowerEquipment/**",
        "power distribution, where the BMC serves it",
    ),
    get("/redfish/v1/SSE/**", "the stream of server-sent events"),
    get(
        "/redfish/v1/Storage/**",
        "drives outside of a system, where the BMC serves them",
    ),
    get(
        "/redfish/v1/Systems/**",
        "processors, memory, drives, firmware versions, logs",
    ),
    get(
        "/redfish/v1/TelemetryService/**",
        "metric reports that the BMC makes by itself",
    ),
    get(
        "/redfish/v1/ThermalEquipment/**",
        "coolant distribution and leaks, where the BMC serves it",
    ),
    get("/redfish/v1/UpdateService/**", "firmware inventory"),
    AllowedRequest {
        method: "POST",
        path: "/redfish/v1/SessionService/Sessions",
        purpose: "log in: one session, used for all requests",
    },
    AllowedRequest {
        method: "DELETE",
        path: "/redfish/v1/SessionService/Sessions/{}",
        purpose: "log out: the session that the collector itself made",
    },
];

const fn get(path: &'static str, purpose: &'static str) -> AllowedRequest {
    AllowedRequest {
        method: "GET",
        path,
        purpose,
    }
}

impl AllowedRequest {
    /// Whether a request that was sent, its path without query, is of this kind.
    #[must_use]
    pub fn covers(&self, method: &str, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        if self.method != method {
            return false;
        }
        if let Some(start) = self.path.strip_suffix("/**") {
            return path
                .strip_prefix(start)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        }
        if let Some(start) = self.path.strip_suffix("{}") {
            return path
                .strip_prefix(start)
                .is_some_and(|rest| !rest.is_empty() && !rest.contains('/'));
        }
        path == self.path
    }
}

/// Where sessions are made and ended (DSP0266, 13.3.4).
pub(crate) const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";

/// The session that the collector made, by the place that the BMC gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnSession(Box<str>);

impl OwnSession {
    /// From the `Location` of the answer to the login: a path, or a whole URL of which the path counts. `None` where it
    /// is no member of [`SESSIONS`].
    pub(crate) fn from_location(location: &str) -> Option<Self> {
        let start = location.find(SESSIONS)?;
        let before = location.get(..start)?;
        // nothing, or scheme and host
        let origin = before.is_empty() || before.contains("://");
        let path = location.get(start..)?.trim_end_matches('/');
        let id = path.strip_prefix(SESSIONS)?.strip_prefix('/')?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        let named = !id.is_empty() && id.len() <= 128 && id.chars().all(plain) && id != "..";
        (origin && named && id != ".").then(|| Self(path.into()))
    }

    /// The path to delete.
    pub(crate) fn path(&self) -> &str {
        &self.0
    }
}

/// What is asked of a collection or resource beside its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent<'q> {
    /// As it is.
    Plain,
    /// With its members in place, one level (DSP0266, 7.3.1).
    Members,
    /// A page, by the query that the BMC linked.
    Page(&'q str),
}

/// A request. Reading is all that most of them can say.
#[derive(Debug)]
pub(crate) enum Request<'r> {
    /// GET of a resource.
    Read(&'r ResourcePath, Extent<'r>),
    /// GET of the event stream, open for as long as the BMC keeps it.
    Listen(&'r ResourcePath),
    /// POST of user name and password to [`SESSIONS`].
    LogIn,
    /// DELETE of the session that [`Request::LogIn`] made.
    LogOut(&'r OwnSession),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_session_of_ours_can_be_deleted() {
        for (location, path) in [
            (
                "/redfish/v1/SessionService/Sessions/12",
                "/redfish/v1/SessionService/Sessions/12",
            ),
            (
                "https://bmc/redfish/v1/SessionService/Sessions/a-1/",
                "/redfish/v1/SessionService/Sessions/a-1",
            ),
        ] {
            assert_eq!(OwnSession::from_location(location).unwrap().path(), path);
        }
        for location in [
            "",
            "/redfish/v1/SessionService/Sessions",
            "/redfish/v1/SessionService/Sessions/",
            "/redfish/v1/SessionService/Sessions/../../Systems/1",
            "/redfish/v1/SessionService/Sessions/..",
            "/redfish/v1/SessionService/Sessions/1/x",
            "/redfish/v1/AccountService/Accounts/1",
            "/x/redfish/v1/SessionService/Sessions/1",
            "/redfish/v1/SessionService/Sessions/1?a",
        ] {
            assert_eq!(OwnSession::from_location(location), None, "{location}");
        }
    }

    #[test]
    fn the_list_covers_what_may_be_read_and_nothing_else() {
        let allowed = |method: &str, path: &str| ALLOWED.iter().any(|one| one.covers(method, path));
        for first in READABLE {
            let path = format!("/redfish/v1/{first}");
            assert!(allowed("GET", &path), "{path}");
        }
        assert!(allowed("GET", "/redfish/v1/"));
        for (method, path) in [
            ("GET", "/redfish/v1/AccountService"),
            ("GET", "/redfish/v1/Chassisx"),
            ("POST", "/redfish/v1/EventService/Subscriptions"),
            ("PATCH", "/redfish/v1/Systems/1"),
            ("POST", "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"),
            ("DELETE", "/redfish/v1/SessionService/Sessions"),
        ] {
            assert!(!allowed(method, path), "{method} {path}");
        }
    }
}
