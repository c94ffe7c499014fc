use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use crate::counters::ListenerCounters;
use crate::error::ServeError;
use crate::limits::ServeLimits;
use crate::tls::TlsFiles;

/// How the face listens.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Certificate and key; without them only loopback is served.
    pub tls: Option<TlsFiles>,
    /// What strangers may take.
    pub limits: ServeLimits,
    /// What is counted of it.
    pub counters: Arc<ListenerCounters>,
}

/// Opens the listener.
///
/// # Errors
/// [`ServeError::PlainOffLoopback`] before anything is bound where the address is not loopback and there is no TLS;
/// [`ServeError::Bind`] where the address cannot be had.
pub fn bind(settings: &ServeSettings) -> Result<TcpListener, ServeError> {
    refuse_plain_off_loopback(settings.listen, settings.tls.as_ref())?;
    let listener = TcpListener::bind(settings.listen).map_err(|source| ServeError::Bind {
        listen: settings.listen,
        source,
    })?;
    listener
        .set_nonblocking(true)
        .map_err(|source| ServeError::Listener { source })?;
    Ok(listener)
}

/// Held at [`bind`] and again at [`crate::run`], because a listener can come from elsewhere.
pub(crate) fn refuse_plain_off_loopback(
    listen: SocketAddr,
    tls: Option<&TlsFiles>,
) -> Result<(), ServeError> {
    if tls.is_none() && !listen.ip().to_canonical().is_loopback() {
        return Err(ServeError::PlainOffLoopback { listen });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(listen: &str) -> ServeSettings {
        ServeSettings {
            listen: listen.parse().unwrap(),
            tls: None,
            limits: ServeLimits::default(),
            counters: Arc::default(),
        }
    }

    #[test]
    fn plain_http_is_refused_off_loopback_and_the_way_out_is_named() {
        for listen in [
            "0.0.0.0:8765",
            "[::]:8765",
            "192.0.2.1:8765",
            "[2001:db8::1]:8765",
            "[::ffff:192.0.2.1]:8765",
        ] {
            let error = bind(&plain(listen)).unwrap_err();
            assert!(
                matches!(error, ServeError::PlainOffLoopback { .. }),
                "{listen}: {error}"
            );
            let text = error.to_string();
            assert!(text.contains(listen), "{text}");
            assert!(text.contains("[serve.tls]"), "{text}");
            assert!(text.contains("127.0.0.1:8765"), "{text}");
        }
    }

    #[test]
    fn loopback_needs_no_tls() {
        for listen in ["127.0.0.1:0", "127.1.2.3:0"] {
            assert!(bind(&plain(listen)).is_ok(), "{listen}");
        }
        assert!(refuse_plain_off_loopback("[::1]:1".parse().unwrap(), None).is_ok());
        assert!(refuse_plain_off_loopback("[::ffff:127.0.0.1]:1".parse().unwrap(), None).is_ok());
    }

    #[test]
    fn a_taken_port_is_an_error_that_names_it() {
        let first = bind(&plain("127.0.0.1:0")).unwrap();
        let taken = first.local_addr().unwrap().to_string();
        let error = bind(&plain(&taken)).unwrap_err();
        assert!(error.to_string().contains(&taken), "{error}");
    }
}
