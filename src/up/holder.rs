//! Who listens on a port, as far as this user may know.

use std::fs;
use std::path::Path;

use glasshouse_core::text::clean;

/// The most processes that are looked at: the answer is a courtesy.
const MOST_PROCESSES: usize = 10_000;
/// The state of a listening socket in `/proc/net/tcp`.
const LISTENING: &str = "0A";

/// The process that listens on a port: ``process 4711 (`nginx`)``.
pub(crate) fn of_port(port: u16) -> Option<String> {
    let sockets = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| {
        let table = fs::read_to_string(table).unwrap_or_default();
        listening(&table, port)
    });
    let wanted: Vec<String> = sockets
        .into_iter()
        .flatten()
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let found = processes
        .map(|entry| entry.path())
        .filter(|path| is_process(path))
        .take(MOST_PROCESSES)
        .find(|path| holds(path, &wanted))?;
    let id = found.file_name()?.to_str()?.to_owned();
    let name = fs::read_to_string(found.join("comm")).unwrap_or_default();
    Some(format!("process {id} (`{}`)", clean(name.trim_end())))
}

/// Folders of processes bear their ids; `self` is none of them.
fn is_process(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The inodes of the sockets that listen on a port.
fn listening(table: &str, port: u16) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            let local = fields.next()?;
            let state = fields.nth(1)?;
            let inode = fields.nth(5)?;
            (local.ends_with(&suffix) && state == LISTENING).then(|| inode.to_owned())
        })
        .collect()
}

fn holds(process: &Path, sockets: &[String]) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    descriptors
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|target| {
            sockets
                .iter()
                .any(|socket| target.as_os_str() == socket.as_str())
        })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_listening_socket_is_found_in_the_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:223D 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100 0 0 10 0\n   1: 0100007F:223D 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0 100 0 0 10 0\n";
        assert_eq!(listening(table, 8765), ["4242"]);
        assert!(listening(table, 8766).is_empty());
    }

    #[test]
    fn this_process_is_named_for_its_own_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let holder = of_port(port).unwrap();
        assert!(holder.contains(&std::process::id().to_string()), "{holder}");
    }
}
