//! `handd house`: the first process of a sandbox that a container engine has made.
//!
//! There is no launcher here, so the daemon opens its socket and its journal itself, by paths that whatever runs beside
//! it sees too. What runs beside it may spoil them, and with them its own session and nothing else. It may not speak to
//! the daemon: only who has come in from outside is heard, by `handd relay`.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, ErrorKind},
    os::unix::{
        fs::{OpenOptionsExt, PermissionsExt},
        net::UnixListener,
    },
    process::ExitCode,
};

use hand_protocol::{House, Serve};

use crate::{complain, serve};

pub(crate) fn main(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    match open(&arguments.next().unwrap_or_default()) {
        Ok((told, listener, journal)) => serve::in_house(told, listener, journal),
        Err(error) => {
            complain(&format!("house: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn open(told: &str) -> io::Result<(Serve, UnixListener, File)> {
    let House { socket, journal, serve } = serde_json::from_str(told).map_err(io::Error::other)?;
    let journal = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(journal)?;
    match fs::remove_file(&socket) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&socket)?;
    // Whoever comes from outside is another user, without a right to pass over modes. Who may speak is seen at the
    // door.
    fs::set_permissions(&socket, Permissions::from_mode(0o666))?;
    Ok((serve, listener, journal))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_journal_is_gone_on_with_and_a_socket_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let limits = hand_protocol::Limits { processes: 1, disk: 2, open_files: 3, call_seconds: 4, memory: 5 };
        let serve = Serve { incarnation: "one".into(), orphan_seconds: 9, limits, sockets: Vec::new() };
        let house = House { socket: at("socket"), journal: at("journal"), serve: serve.clone() };
        let told = serde_json::to_string(&house).unwrap();
        let (_, listener, mut journal) = open(&told).unwrap();
        journal.write_all(b"past\n").unwrap();
        drop(listener);

        let (again, _listener, mut journal) = open(&told).unwrap();
        journal.write_all(b"present\n").unwrap();
        assert_eq!(again, serve);
        assert_eq!(fs::read_to_string(at("journal")).unwrap(), "past\npresent\n");
        assert!(std::os::unix::net::UnixStream::connect(at("socket")).is_ok());
        assert!(open("nonsense").is_err());
    }
}
