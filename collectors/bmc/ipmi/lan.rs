//! A BMC over the network: RMCP+ with cipher suite 3 (HMAC-SHA1, AES-128), by the crate `ipmi`.
//!
//! Why that crate, and which tests decided it, is in `docs/adr/0002-ipmi-transport.md`. A reply has to carry the keys of
//! the session and the sequence number of the request. That number has six bits, so a session is closed before one
//! would come twice: no reply can pass for another's, however late it comes.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use glasshouse_core::failure::CollectError;
use ipmi::{BlockingClient, Error, PrivilegeLevel};

use super::request::{BMC_ADDRESS, Request, SESSION};
use super::transport::{IpmiTransport, Reply, TransportError};

/// Requests of one session, levelling and closing it included: its sequence numbers are 0 to 63, each used once.
const MOST_REQUESTS: u8 = 60;

/// Times that a request is asked, each in a session of its own: datagrams get lost. A BMC that was silent is asked
/// once until it answers: what it has not read waits for it, and would fill its sessions when it comes back.
const TRIES: usize = 3;

/// A request is not asked again once this long has gone into it. A silent BMC costs the wait for an answer and the wait
/// for the session's end, 4 s: less than the shortest deadline of a run (5 s), behind which this process would count as
/// hanging and be ended although it is the BMC that hangs.
const PATIENCE: Duration = Duration::from_millis(2500);

/// The most bytes of a password by the specification.
const MOST_PASSWORD_BYTES: usize = 20;

/// Where the password comes from, each time that a session is opened.
pub(crate) type Password = Box<dyn Fn() -> Result<String, CollectError> + Send>;

/// A BMC over the network.
pub(crate) struct Lan {
    address: SocketAddr,
    username: String,
    password: Password,
    level: Level,
    pub(crate) session: Option<Session>,
    /// Whether the last request was not answered at all.
    was_silent: bool,
}

/// How much a session may; asking needs no more than `User` on a BMC that follows the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    User,
    Operator,
    Administrator,
}

/// An open session and how many requests it has carried.
pub(crate) struct Session {
    client: BlockingClient,
    requests: u8,
}

impl Level {
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "" | "user" => Self::User,
            "operator" => Self::Operator,
            "administrator" => Self::Administrator,
            _ => return None,
        })
    }

    const fn privilege(self) -> PrivilegeLevel {
        match self {
            Self::User => PrivilegeLevel::User,
            Self::Operator => PrivilegeLevel::Operator,
            Self::Administrator => PrivilegeLevel::Administrator,
        }
    }
}

impl Lan {
    pub(crate) fn new(
        address: SocketAddr,
        username: String,
        password: Password,
        level: Level,
    ) -> Self {
        Self {
            address,
            username,
            password,
            level,
            session: None,
            was_silent: false,
        }
    }

    fn session(&mut self, deadline: Duration) -> Result<&mut Session, TransportError> {
        if self
            .session
            .as_ref()
            .is_some_and(|session| session.requests >= MOST_REQUESTS)
        {
            self.finish();
        }
        let session = match self.session.take() {
            Some(session) => session,
            None => self.open(deadline)?,
        };
        Ok(self.session.insert(session))
    }

    fn open(&self, deadline: Duration) -> Result<Session, TransportError> {
        let login = |detail: String| TransportError::Login { detail };
        let password = (self.password)().map_err(|error| login(error.to_string()))?;
        if password.len() > MOST_PASSWORD_BYTES {
            let most = MOST_PASSWORD_BYTES;
            return Err(login(format!("the password is longer than {most} bytes")));
        }
        let client = BlockingClient::builder(self.address)
            .username(&self.username)
            .password(password)
            .privilege_level(self.level.privilege())
            .timeout(deadline)
            .retries(1)
            .build()
            .map_err(|error| opening(deadline, error))?;
        let mut session = Session {
            client,
            requests: 0,
        };
        self.raise(&mut session, deadline)?;
        Ok(session)
    }

    /// A session begins at the user level, whatever it may.
    fn raise(&self, session: &mut Session, deadline: Duration) -> Result<(), TransportError> {
        if self.level == Level::User {
            return Ok(());
        }
        let [set_level, _] = &SESSION;
        set_level.is_sent();
        let level = match self.level {
            Level::User => 2,
            Level::Operator => 3,
            Level::Administrator => 4,
        };
        let reply = session
            .client
            .send_raw(set_level.net_function, set_level.command, &[level])
            .map_err(|error| wrong(set_level.name, deadline, error));
        session.requests += 1;
        match reply {
            Ok(reply) if reply.completion_code == 0 => Ok(()),
            Ok(reply) => {
                close(&session.client);
                Err(TransportError::Login {
                    detail: format!(
                        "the account may not have that privilege ({:02X}h)",
                        reply.completion_code
                    ),
                })
            }
            Err(error) => {
                close(&session.client);
                Err(error)
            }
        }
    }

    fn try_once(&mut self, request: &Request, deadline: Duration) -> Result<Reply, TransportError> {
        let allowed = request.allowed();
        let session = self.session(deadline)?;
        session.requests += 1;
        allowed.is_sent();
        let reply = session
            .client
            .send_raw(allowed.net_function, allowed.command, &request.data());
        match reply {
            Ok(reply) => Ok(Reply {
                completion: reply.completion_code,
                data: reply.data,
            }),
            Err(error) => {
                self.finish();
                Err(wrong(allowed.name, deadline, error))
            }
        }
    }
}

impl IpmiTransport for Lan {
    fn exchange(&mut self, request: &Request, deadline: Duration) -> Result<Reply, TransportError> {
        let target = request.target();
        if target.address != BMC_ADDRESS || target.lun != 0 {
            return Err(TransportError::Unreachable);
        }
        let most = if self.was_silent { 1 } else { TRIES };
        let mut tries = 1;
        let begun = Instant::now();
        loop {
            match self.try_once(request, deadline) {
                Err(error) if error.is_silence() && tries < most && begun.elapsed() < PATIENCE => {
                    tries += 1;
                }
                outcome => {
                    self.was_silent = matches!(&outcome, Err(error) if error.is_silence());
                    return outcome;
                }
            }
        }
    }

    fn finish(&mut self) {
        if let Some(session) = self.session.take() {
            close(&session.client);
        }
    }

    fn place(&self) -> PathBuf {
        format!("ipmi://{}", self.address).into()
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        self.finish();
    }
}

impl fmt::Debug for Lan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lan")
            .field("address", &self.address)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

/// Waits no longer than one request. A BMC that does not answer forgets the session by itself after a minute.
fn close(client: &BlockingClient) {
    let [_, close] = &SESSION;
    close.is_sent();
    client.close_session().ok();
}

/// What the crate says where the account is unknown, or its first answer carries no proof: the answer is short.
const NO_PROOF: &str = "RAKP message 2 payload too short";

fn opening(after: Duration, error: Error) -> TransportError {
    match error {
        // a datagram that belongs to an earlier session
        Error::Protocol(what) if what != NO_PROOF => wrong("a session", after, error),
        Error::Timeout | Error::Io(_) => wrong("a session", after, error),
        other => TransportError::Login {
            detail: format!("{other}: look at name, password and privilege of the account"),
        },
    }
}

fn wrong(request: &'static str, after: Duration, error: Error) -> TransportError {
    match error {
        Error::Timeout => TransportError::Timeout { request, after },
        Error::Io(source) => TransportError::Io { request, source },
        other => TransportError::Confused {
            request,
            detail: other.to_string(),
        },
    }
}
