//! Who may knock: `Host`, `Origin`, and what the body is said to be.

use http::header::{ACCEPT, CONTENT_TYPE, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Uri};

use super::refusal::Refusal;
use crate::world::FaceSettings;

/// Hosts and origins that are served.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    hosts: Vec<Place>,
    origins: Vec<Origin>,
}

/// A host with the port that it must have, or any.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    host: String,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Doors {
    /// From the settings; an entry that makes no sense matches nothing.
    pub(crate) fn new(settings: &FaceSettings) -> Self {
        let own: Option<Uri> = settings.resource.parse().ok();
        let hosts = if settings.allowed_hosts.is_empty() {
            let authority = own.as_ref().and_then(Uri::authority);
            authority.map(place).into_iter().collect()
        } else {
            settings
                .allowed_hosts
                .iter()
                .filter_map(|host| parse_place(host))
                .collect()
        };
        let origins = settings
            .allowed_origins
            .iter()
            .filter_map(|origin| parse_origin(origin))
            .collect();
        Self { hosts, origins }
    }

    /// Whether this request may come in at all.
    ///
    /// # Errors
    /// [`Refusal`] 403 on another host or origin.
    pub(crate) fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut named: Vec<Place> = uri.authority().map(place).into_iter().collect();
        for value in headers.get_all(HOST) {
            let text = value.to_str().map_err(|_| Refusal::Host)?;
            named.push(parse_place(text).ok_or(Refusal::Host)?);
        }
        let first = named.first().ok_or(Refusal::Host)?;
        let one =
            named.iter().all(|other| other == first) && headers.get_all(HOST).iter().count() <= 1;
        let served = self.hosts.iter().any(|allowed| {
            allowed.host == first.host && (allowed.port.is_none() || allowed.port == first.port)
        });
        if !one || !served {
            return Err(Refusal::Host);
        }
        for value in headers.get_all(ORIGIN) {
            let origin = value.to_str().ok().and_then(parse_origin);
            if !origin.is_some_and(|origin| self.origins.contains(&origin)) {
                return Err(Refusal::Origin);
            }
        }
        Ok(())
    }
}

/// Whether the body is JSON and both forms of an answer are accepted, as Streamable HTTP asks.
///
/// # Errors
/// [`Refusal`] 415 or 406.
pub(crate) fn media_types(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let is_json = types
        .next()
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"));
    if !is_json || types.next().is_some() {
        return Err(Refusal::ContentType);
    }
    let accepted: Vec<String> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .filter_map(|entry| entry.split(';').next())
        .map(|essence| essence.trim().to_ascii_lowercase())
        .collect();
    let accepts = |essence: &str| accepted.iter().any(|have| have == essence);
    if accepts("application/json") && accepts("text/event-stream") {
        Ok(())
    } else {
        Err(Refusal::Accept)
    }
}

fn place(authority: &Authority) -> Place {
    Place {
        host: bare(authority.host()),
        port: authority.port_u16(),
    }
}

/// `name`, `name:port`, `::1`, `[::1]:8765`; never with a user.
fn parse_place(text: &str) -> Option<Place> {
    let text = text.trim();
    if text.is_empty() || text.contains('@') {
        return None;
    }
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return Some(Place {
            host: bare(text),
            port: None,
        });
    }
    text.parse::<Authority>()
        .ok()
        .map(|authority| place(&authority))
}

fn parse_origin(text: &str) -> Option<Origin> {
    let (scheme, rest) = text.trim().split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let place = parse_place(rest)?;
    let default = match scheme.as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    Some(Origin {
        scheme,
        host: place.host,
        port: place.port.or(default),
    })
}

fn bare(host: &str) -> String {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .to_ascii_lowercase()
}
