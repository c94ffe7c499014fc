//! The listening sockets. The supervisor binds them and hands them on, so a role that starts again keeps its port and
//! clients that come meanwhile wait instead of being refused.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener};

use glasshouse_serve::{ServeError, ServeLimits, ServeSettings};

use super::holder;
use crate::exit::Failure;

/// The listening sockets.
#[derive(Debug)]
pub(crate) struct Ports {
    /// Of the face.
    pub(crate) serve: TcpListener,
    /// Where that is.
    pub(crate) serve_address: SocketAddr,
    /// Of the authorization server.
    pub(crate) authd: TcpListener,
    /// Where that is.
    pub(crate) authd_address: SocketAddr,
}

impl Ports {
    /// Binds the face to this address and the authorization server to the port after it; port 0 takes free ones.
    pub(crate) fn bind(listen: SocketAddr) -> Result<Self, Failure> {
        let (serve, serve_address) = bind(listen)?;
        let next = match listen.port() {
            0 => 0,
            port => port.checked_add(1).ok_or_else(|| {
                Failure::usage(anyhow::anyhow!(
                    "there is no port after {port} for the authorization server"
                ))
                .help("choose a lower port with `--listen`")
            })?,
        };
        let (authd, authd_address) = bind(SocketAddr::new(listen.ip(), next))?;
        Ok(Self {
            serve,
            serve_address,
            authd,
            authd_address,
        })
    }
}

fn bind(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let settings = ServeSettings {
        listen,
        tls: None,
        limits: ServeLimits::default(),
    };
    let listener = glasshouse_serve::bind(&settings).map_err(|error| refused(listen, error))?;
    let address = listener.local_addr().map_err(Failure::environment)?;
    Ok((listener, address))
}

fn refused(listen: SocketAddr, error: ServeError) -> Failure {
    match &error {
        ServeError::PlainOffLoopback { .. } => Failure::usage(error).help(
            "`up` is for this machine alone; run `glasshouse serve --config FILE` with [serve.tls] to serve others",
        ),
        ServeError::Bind { source, .. } if source.kind() == ErrorKind::AddrInUse => {
            let holder = holder::of_port(listen.port());
            let by = holder.map_or_else(String::new, |holder| format!(" by {holder}"));
            Failure::environment(anyhow::anyhow!("`{listen}` is taken{by}")).help(format!(
                "stop it, or choose another port: --listen {}:0 takes free ones",
                shown(listen.ip())
            ))
        }
        _ => Failure::environment(error),
    }
}

fn shown(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}
