//! How many files the process may have open: as many as its connections need, else there are fewer connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::startup::StartupError;

/// A connection, and the audio file that is sent over it.
const PER_CONNECTION: u64 = 2;
/// The database, the logs, what runs in the background, and the runtimes.
const FOR_THE_REST: u64 = 256;

/// Raises the soft limit to what so many connections need, beside those to services outside. Returns how many there is room
/// for below the hard one.
pub(super) fn for_connections(wanted: usize, outside: usize) -> Result<usize, StartupError> {
    let rest = FOR_THE_REST.saturating_add(outside as u64);
    let needed = (wanted as u64).saturating_mul(PER_CONNECTION).saturating_add(rest);
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_some_and(|current| current < needed.min(most)) {
        let raised = Rlimit { current: Some(needed.min(most)), maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).map_err(std::io::Error::from)?;
    }
    let room = room(wanted, most.saturating_sub(rest));
    if room == 0 {
        return Err(StartupError::OpenFiles { most, needed });
    }
    if room < wanted {
        tracing::warn!(
            event = "open_files_too_few",
            hard_limit = most,
            needed,
            connections = room,
            "The hard limit of open files (ulimit -Hn) does not allow MAX_CONNECTIONS: fewer are taken at once"
        );
    }
    Ok(room)
}

fn room(wanted: usize, files: u64) -> usize {
    let room = files / PER_CONNECTION;
    usize::try_from(room).unwrap_or(usize::MAX).min(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_connections_as_files_allow() {
        assert_eq!(room(8192, 16_384), 8192);
        assert_eq!(room(8192, u64::MAX), 8192);
        assert_eq!(room(8192, 3840), 1920);
        assert_eq!(room(8192, 1), 0);
    }
}
