//! The listening sockets. The supervisor binds them and hands them on, so a role that starts again keeps its port and
//! clients that come meanwhile wait instead of being refused.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;

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
    /// Of the face's metrics.
    pub(crate) metrics: TcpListener,
    /// Where that is.
    pub(crate) metrics_address: SocketAddr,
}

impl Ports {
    /// Binds the face to this address, the authorization server to the port after it, and the metrics to the one after that;
    /// port 0 takes free ones.
    pub(crate) fn bind(listen: SocketAddr) -> Result<Self, Failure> {
        let (serve, serve_address) = bind(listen)?;
        let at = |steps| {
            Ok(SocketAddr::new(
                listen.ip(),
                port_after(listen.port(), steps)?,
            ))
        };
        let (authd, authd_address) = bind(at(1)?)?;
        let (metrics, metrics_address) = bind(at(2)?)?;
        Ok(Self {
            serve,
            serve_address,
            authd,
            authd_address,
            metrics,
            metrics_address,
        })
    }
}

/// The port so many after this one; port 0 stays, because it takes any.
fn port_after(port: u16, steps: u16) -> Result<u16, Failure> {
    if port == 0 {
        return Ok(0);
    }
    port.checked_add(steps).ok_or_else(|| {
        let error = anyhow::anyhow!(
            "there are no two ports after {port} for the authorization server and the metrics"
        );
        Failure::usage(error).help("choose a lower port with `--listen`")
    })
}

fn bind(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let settings = ServeSettings {
        listen,
        tls: None,
        limits: ServeLimits::default(),
        counters: Arc::default(),
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
