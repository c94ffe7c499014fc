use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the face cannot listen or cannot use its certificate.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Tokens would cross a network in the clear.
    #[error(
        "refusing to listen on `{listen}` without TLS: tokens would cross the network in the clear \
         (set `certificate` and `key` in [serve.tls], or listen on a loopback address such as 127.0.0.1:{})",
        listen.port()
    )]
    PlainOffLoopback {
        /// What was asked for.
        listen: SocketAddr,
    },
    /// The address cannot be had.
    #[error("failed to listen on `{listen}` (is the port taken? choose another with `listen`)")]
    Bind {
        /// What was asked for.
        listen: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The listener that was handed in does not work.
    #[error("failed to use the listener")]
    Listener {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A certificate or key file cannot be read.
    #[error("failed to read `{}`", path.display())]
    ReadFile {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A certificate or key file holds something else.
    #[error("`{}` holds no usable {expected}: {detail}", path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// Certificate and key do not make a server.
    #[error("failed to use certificate `{}` with key `{}`", certificate.display(), key.display())]
    Tls {
        /// The certificate chain.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
        /// What rustls said.
        #[source]
        source: rustls::Error,
    },
    /// The client CAs cannot be used.
    #[error("failed to use the client authorities in `{}`", path.display())]
    ClientAuthorities {
        /// Which file.
        path: PathBuf,
        /// What rustls said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
