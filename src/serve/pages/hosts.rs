//! Whom a request on loopback asks for.
//!
//! A web page can point a name of its own at 127.0.0.1 and then read what answers there as if it were its own (DNS
//! rebinding). It cannot choose another `Host` than that name, so only this machine's names are served.

use std::net::IpAddr;

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, Uri};

/// The names of this machine.
#[derive(Debug)]
pub(super) struct Hosts {
    /// In lower case, without ports.
    names: Vec<String>,
}

impl Hosts {
    pub(super) fn new(allowed: &[String]) -> Self {
        let names = allowed.iter().filter_map(|name| bare(name));
        Self {
            names: names.chain(["localhost".to_owned()]).collect(),
        }
    }

    /// Whether a request asks for this machine, or for nobody: a browser always says for whom.
    pub(super) fn serve(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let in_headers = headers.get_all(HOST).iter();
        let named = in_headers.map(|value| value.to_str().ok().and_then(bare));
        let in_uri = uri.authority().map(|authority| bare(authority.as_str()));
        named
            .chain(in_uri)
            .all(|name| name.is_some_and(|name| self.is_known(&name)))
    }

    fn is_known(&self, name: &str) -> bool {
        let is_loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
        name.parse().is_ok_and(is_loopback) || self.names.iter().any(|known| known == name)
    }
}

/// The host alone, in lower case.
fn bare(text: &str) -> Option<String> {
    let authority: Authority = text.trim().parse().ok()?;
    let host = authority.host();
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    (!host.is_empty() && !text.contains('@')).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_served() {
        let hosts = Hosts::new(&["Node1.example:9100".to_owned()]);
        let serves = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            hosts.serve(&Uri::from_static("/metrics"), &headers)
        };
        for good in [
            "127.0.0.1:8767",
            "127.0.0.1",
            "127.1.2.3:1",
            "[::1]:8767",
            "localhost:8767",
            "LOCALHOST",
            "node1.example:8767",
        ] {
            assert!(serves(good), "{good}");
        }
        for bad in [
            "evil.example:8767",
            "127.0.0.1.evil.example",
            "10.0.0.1:8767",
            "localhost@evil.example",
            "node1.example.evil",
            "",
        ] {
            assert!(!serves(bad), "{bad}");
        }
    }

    #[test]
    fn one_good_name_does_not_cover_another() {
        let hosts = Hosts::new(&[]);
        let mut headers = HeaderMap::new();
        headers.append(HOST, "localhost".parse().unwrap());
        assert!(hosts.serve(&Uri::from_static("/metrics"), &headers));
        headers.append(HOST, "evil.example".parse().unwrap());
        assert!(!hosts.serve(&Uri::from_static("/metrics"), &headers));
        let uri = Uri::from_static("http://evil.example/metrics");
        assert!(!hosts.serve(&uri, &HeaderMap::new()));
        assert!(hosts.serve(&Uri::from_static("/metrics"), &HeaderMap::new()));
    }
}
