//! The listener on loopback to which the browser is sent back.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::BridgeError;

/// The path of the redirect.
const PATH: &str = "/callback";
/// The longest head of a request that is read: a code and a state take some hundred bytes.
const LONGEST_HEAD: usize = 8 * 1024;
/// How long one connection may take to say what it wants.
const READ_DEADLINE: Duration = Duration::from_secs(5);

/// An open listener.
#[derive(Debug)]
pub(crate) struct Callback {
    listener: TcpListener,
    port: u16,
}

impl Callback {
    /// Opens it; port 0 takes a free one.
    pub(crate) async fn open(port: u16) -> Result<Self, BridgeError> {
        let failed = |source| BridgeError::Listen { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        Ok(Self { listener, port })
    }

    /// The redirect URI.
    pub(crate) fn uri(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    /// The URL that the browser was sent to: one with this state. Others that knock are turned away.
    pub(crate) async fn wait_for(&self, state: &str) -> String {
        loop {
            let Ok((mut stream, _)) = self.listener.accept().await else {
                // out of descriptors, say: wait rather than spin
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let target = tokio::time::timeout(READ_DEADLINE, read_target(&mut stream)).await;
            let target = target
                .ok()
                .flatten()
                .filter(|target| is_ours(target, state));
            let (status, text) = match target {
                Some(_) => ("200 OK", "Signed in. You can close this page."),
                None => ("404 Not Found", "Nothing here."),
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
                text.len()
            );
            let sent =
                tokio::time::timeout(READ_DEADLINE, stream.write_all(answer.as_bytes())).await;
            if !matches!(sent, Ok(Ok(()))) {
                tracing::debug!("The browser did not wait for the page after the sign-in.");
            }
            if let Some(target) = target {
                return format!("http://127.0.0.1:{}{target}", self.port);
            }
        }
    }
}

/// The target of `GET /callback?… HTTP/1.1`.
async fn read_target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let length = stream.read(&mut chunk).await.ok()?;
        head.extend_from_slice(chunk.get(..length)?);
        if length == 0 || head.len() > LONGEST_HEAD {
            return None;
        }
    }
    let head = String::from_utf8(head).ok()?;
    let mut words = head.lines().next()?.split(' ');
    let get = words.next()? == "GET";
    let target = words.next()?;
    (get && target.bytes().all(|byte| byte.is_ascii_graphic())).then(|| target.to_owned())
}

/// Whether the target is the redirect of this sign-in, which alone knows its state.
fn is_ours(target: &str, state: &str) -> bool {
    let Some((path, query)) = target.split_once('?') else {
        return false;
    };
    path == PATH
        && query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .any(|(key, value)| key == "state" && value == state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_redirect_of_this_sign_in_is_ours() {
        assert!(is_ours("/callback?code=x&state=abc&iss=y", "abc"));
        for other in [
            "/callback",
            "/callback?code=x",
            "/callback?state=abcd",
            "/other?state=abc",
            "/favicon.ico",
        ] {
            assert!(!is_ours(other, "abc"), "{other}");
        }
    }
}
