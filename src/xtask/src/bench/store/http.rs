//! A client of HTTP/1.1 on one connection that is kept, so that what is timed is the answer and not the greeting.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

/// How long an answer may take; the slowest question takes seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Bounds what an answer may take in memory.
const MOST_ANSWER: usize = 256 << 20;

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The answer, where it is one.
    ///
    /// # Errors
    /// What the server said instead.
    pub(crate) fn good(self) -> anyhow::Result<Self> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let said = String::from_utf8_lossy(&self.body);
        bail!("status {}: {}", self.status, said.trim());
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Client {
    connection: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(port: u16) -> anyhow::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let connection = TcpStream::connect_timeout(&address, PATIENCE)?;
        connection.set_nodelay(true)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            connection: BufReader::new(connection),
        })
    }

    pub(crate) fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        self.ask("GET", path, &[], &[])
    }

    pub(crate) fn post(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> anyhow::Result<Answer> {
        self.ask("POST", path, headers, body)
    }

    fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> anyhow::Result<Answer> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        let connection = self.connection.get_mut();
        connection.write_all(&[head.as_bytes(), body].concat())?;
        answer(&mut self.connection).with_context(|| format!("no answer to {method} {path}"))
    }
}

fn answer(input: &mut impl BufRead) -> anyhow::Result<Answer> {
    let status = line(input)?;
    let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
    let mut answer = Answer {
        status: status.context("no status")?,
        ..Answer::default()
    };
    loop {
        let line = line(input)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').context("a header without a colon")?;
        let header = (name.to_ascii_lowercase(), value.trim().to_owned());
        answer.headers.push(header);
    }
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = chunks(input)?;
    } else if let Some(length) = answer.header("content-length") {
        answer.body = exactly(input, length.parse()?)?;
    }
    Ok(answer)
}

fn chunks(input: &mut impl BufRead) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(input)?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).context("a chunk without a size")?;
        ensure!(body.len() + size <= MOST_ANSWER, "the answer is too long");
        body.extend(exactly(input, size)?);
        ensure!(
            line(input)?.is_empty(),
            "a chunk that is longer than it says"
        );
        if size == 0 {
            return Ok(body);
        }
    }
}

fn exactly(input: &mut impl Read, length: usize) -> anyhow::Result<Vec<u8>> {
    ensure!(length <= MOST_ANSWER, "the answer is too long");
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    Ok(body)
}

fn line(input: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    ensure!(input.read_line(&mut line)? > 0, "the connection is closed");
    Ok(line.trim_end().to_owned())
}

/// A port of loopback that was free a moment ago.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// The text as a value in a query string.
pub(crate) fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_bodies_are_read_and_nothing_behind_them() {
        let text = "HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n\
                    HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno\
                    HTTP/1.1 204 No Content\r\n\r\n";
        let mut input = text.as_bytes();
        let first = answer(&mut input).unwrap();
        assert_eq!((first.status, &*first.body), (200, &b"abc0123456789"[..]));
        assert_eq!(first.header("a"), Some("b"));
        let second = answer(&mut input).unwrap();
        assert_eq!(second.body, b"no");
        assert_eq!(second.good().unwrap_err().to_string(), "status 404: no");
        assert_eq!(answer(&mut input).unwrap().status, 204);
        assert!(answer(&mut input).is_err());
    }

    #[test]
    fn what_promises_too_much_is_refused() {
        for text in [
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffff\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
        ] {
            assert!(answer(&mut text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_question_survives_its_query_string() {
        assert_eq!(percent("{a=\"é b\"}"), "%7Ba%3D%22%C3%A9%20b%22%7D");
    }
}
