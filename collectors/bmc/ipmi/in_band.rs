//! The BMC of this machine, through the kernel's driver at `/dev/ipmi0`.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use ipmi_rs::File;
use ipmi_rs::connection::{
    Address, Channel, IpmiConnection, LogicalUnit, Message, Request as Outgoing,
    RequestTargetAddress,
};

use super::request::{BMC_ADDRESS, Request};
use super::transport::{IpmiTransport, Reply, TransportError};

/// The device, opened when it is needed and closed at any error: the kernel forgets what was asked through it, and a
/// late reply reaches nobody. Message ids are checked besides.
pub(crate) struct InBand {
    path: PathBuf,
    file: Option<(File, Duration)>,
}

impl InBand {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    fn open(&mut self, deadline: Duration) -> Result<&mut File, TransportError> {
        // the time to wait is the file's own
        let file = match self.file.take() {
            Some((file, waits)) if waits == deadline => file,
            _ => File::new(&self.path, deadline).map_err(|error| opening(&error))?,
        };
        let (file, _) = self.file.insert((file, deadline));
        Ok(file)
    }
}

impl IpmiTransport for InBand {
    fn exchange(&mut self, request: &Request, deadline: Duration) -> Result<Reply, TransportError> {
        let mut outgoing = outgoing(request)?;
        let allowed = request.allowed();
        let file = self.open(deadline)?;
        allowed.is_sent();
        let reply = file.send_recv(&mut outgoing);
        let error = match reply {
            Ok(reply)
                if reply.netfn().request_value() == allowed.net_function
                    && reply.cmd() == allowed.command =>
            {
                return Ok(Reply {
                    completion: reply.cc(),
                    data: reply.data().to_vec(),
                });
            }
            Ok(reply) => TransportError::Confused {
                request: allowed.name,
                detail: format!("a reply to command {:02X}h", reply.cmd()),
            },
            Err(error) => asking(allowed.name, deadline, error),
        };
        self.file = None;
        Err(error)
    }

    fn place(&self) -> PathBuf {
        self.path.clone()
    }
}

impl std::fmt::Debug for InBand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InBand")
            .field("path", &self.path)
            .field("is_open", &self.file.is_some())
            .finish()
    }
}

fn outgoing(request: &Request) -> Result<Outgoing, TransportError> {
    let allowed = request.allowed();
    let target = request.target();
    let lun = LogicalUnit::from_low_bits(target.lun);
    let address = if target.address == BMC_ADDRESS {
        RequestTargetAddress::Bmc(lun)
    } else {
        let channel = Channel::new(target.channel).ok_or(TransportError::Unreachable)?;
        RequestTargetAddress::BmcOrIpmb(Address(target.address), channel, lun)
    };
    let message = Message::new_raw(allowed.net_function, allowed.command, request.data());
    Ok(Outgoing::new(message, address))
}

/// Device or driver that is gone.
const NO_DEVICE: [i32; 2] = [6, 19];

/// The device is held, as by a driver that is being reset.
const BUSY: i32 = 16;

fn opening(error: &std::io::Error) -> TransportError {
    match (error.kind(), error.raw_os_error()) {
        (ErrorKind::NotFound, _) => TransportError::Missing,
        (ErrorKind::PermissionDenied, _) => TransportError::Denied,
        (_, Some(number)) if NO_DEVICE.contains(&number) => TransportError::Missing,
        (_, Some(BUSY)) => TransportError::Busy,
        (kind, _) => TransportError::Io {
            request: "the device",
            source: kind.into(),
        },
    }
}

fn asking(request: &'static str, after: Duration, error: std::io::Error) -> TransportError {
    match (error.kind(), error.raw_os_error()) {
        (ErrorKind::WouldBlock | ErrorKind::TimedOut, _) => {
            TransportError::Timeout { request, after }
        }
        (_, Some(number)) if NO_DEVICE.contains(&number) => TransportError::Missing,
        (_, Some(BUSY)) => TransportError::Busy,
        (ErrorKind::Other, None) => TransportError::Confused {
            request,
            detail: error.to_string(),
        },
        _ => TransportError::Io {
            request,
            source: error,
        },
    }
}
