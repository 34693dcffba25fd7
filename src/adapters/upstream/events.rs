//! Reads server-sent events as they come, one line at a time. What libraries for this lack is a bound: a line and an event
//! may have only so many bytes, and no more is ever kept.

use std::collections::VecDeque;

/// One event of a model holds a word or, from some servers, the whole reply.
const MOST_BYTES: usize = 64 * 1024;

/// A line or an event is longer than any that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLong;

/// Puts the lines of `text/event-stream` together to events, of which only the data is kept.
#[derive(Default)]
pub struct EventReader {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
}

impl EventReader {
    /// Takes the next piece of the stream, cut anywhere, and adds the data of every event that it ends to `events`.
    ///
    /// # Errors
    /// [`TooLong`]; nothing more can be read then.
    pub fn feed(&mut self, piece: &[u8], events: &mut VecDeque<Vec<u8>>) -> Result<(), TooLong> {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + part.len() > MOST_BYTES {
                return Err(TooLong);
            }
            self.line.extend_from_slice(part);
            if self.line.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.take(line.strip_suffix(b"\r\n").or(line.strip_suffix(b"\n")).unwrap_or(&line), events)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, line: &[u8], events: &mut VecDeque<Vec<u8>>) -> Result<(), TooLong> {
        if line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                events.push_back(std::mem::take(&mut self.data));
            }
            return Ok(());
        }
        let Some(data) = line.strip_prefix(b"data:") else { return Ok(()) };
        let data = data.strip_prefix(b" ").unwrap_or(data);
        if self.data.len() + data.len() + 1 > MOST_BYTES {
            return Err(TooLong);
        }
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(data);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<String>, TooLong> {
        let (mut reader, mut events) = (EventReader::default(), VecDeque::new());
        for piece in pieces {
            reader.feed(piece, &mut events)?;
        }
        Ok(events.into_iter().map(|event| String::from_utf8(event).unwrap()).collect())
    }

    const STREAM: &str = ": hello\nevent: x\ndata: {\"a\":\"gr\u{fc}n\"}\nid: 1\n\r\ndata:b\r\ndata: c\r\n\r\n\n\nretry: 3\n\ndata\n\ndata: end";

    #[test]
    fn events_are_told_by_their_data() {
        assert_eq!(read(&[STREAM.as_bytes()]).unwrap(), ["{\"a\":\"gr\u{fc}n\"}", "b\nc"]);
        assert_eq!(read(&[b"data:\n\n"]).unwrap(), [""]);
    }

    proptest! {
        #[test]
        fn however_it_is_cut_it_is_the_same(cuts in prop::collection::vec(0..STREAM.len(), 0..20)) {
            let (mut cuts, mut pieces, mut from) = (cuts, Vec::new(), 0);
            cuts.sort_unstable();
            for cut in cuts {
                pieces.push(&STREAM.as_bytes()[from..cut]);
                from = cut;
            }
            pieces.push(&STREAM.as_bytes()[from..]);
            prop_assert_eq!(read(&pieces), read(&[STREAM.as_bytes()]));
        }
    }

    #[test]
    fn a_line_or_an_event_without_end_is_not_kept() {
        let long = vec![b'x'; MOST_BYTES / 2];
        assert_eq!(read(&[b"data: ", &long, &long]), Err(TooLong));
        let half = [b"data: ".as_slice(), &long[..], b"\n"].concat();
        assert_eq!(read(&[&half, &half]), Err(TooLong));
        assert!(read(&[&half, b"\n", &half, b"\n"]).is_ok());
    }
}
