//! Reads server-sent events (WHATWG HTML, 9.2) as they come, one line at a time. What libraries for this lack is a bound: a line and an event
//! may have only so many bytes, and no more is ever kept.

use std::collections::VecDeque;

/// One event of a model holds a word or, from some servers, the whole reply.
const MOST_BYTES: usize = 64 * 1024;
/// Some servers begin with it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A line or an event is longer than any that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLong;

const fn ends_line(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Puts the lines of `text/event-stream` together to events, of which only the data is kept.
#[derive(Default)]
pub struct EventReader {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// The last line ended in CR: an LF right behind it is a part of that end.
    ended_in_cr: bool,
    /// The first line has been read.
    has_begun: bool,
}

impl EventReader {
    /// Takes the next piece of the stream, cut anywhere, and adds the data of every event that it ends to `events`.
    ///
    /// # Errors
    /// [`TooLong`]; nothing more can be read then.
    pub fn feed(&mut self, piece: &[u8], events: &mut VecDeque<Vec<u8>>) -> Result<(), TooLong> {
        for part in piece.split_inclusive(|byte| ends_line(*byte)) {
            if std::mem::take(&mut self.ended_in_cr) && part == b"\n" {
                continue;
            }
            if self.line.len() + part.len() > MOST_BYTES {
                return Err(TooLong);
            }
            match part.split_last() {
                Some((end, content)) if ends_line(*end) => {
                    self.line.extend_from_slice(content);
                    self.ended_in_cr = *end == b'\r';
                    let line = std::mem::take(&mut self.line);
                    let is_first = !std::mem::replace(&mut self.has_begun, true);
                    let plain = line.strip_prefix(BYTE_ORDER_MARK).filter(|_| is_first);
                    self.take(plain.unwrap_or(&line), events)?;
                }
                _ => self.line.extend_from_slice(part),
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

    const STREAM: &str = "\u{feff}: hello\nevent: x\ndata: {\"a\":\"gr\u{fc}n\"}\nid: 1\n\r\ndata:b\r\ndata: c\r\n\r\n\n\nretry: 3\n\ndata\n\ndata: d\rdata: \u{feff}e\r\rdata: end";

    #[test]
    fn events_are_told_by_their_data() {
        assert_eq!(read(&[STREAM.as_bytes()]).unwrap(), ["{\"a\":\"gr\u{fc}n\"}", "b\nc", "d\n\u{feff}e"]);
        assert_eq!(read(&[b"data:\n\n"]).unwrap(), [""]);
        assert_eq!(read(&["\u{feff}data: first\n\n".as_bytes()]).unwrap(), ["first"]);
    }

    proptest! {
        #[test]
        fn however_it_is_cut_it_is_the_same(cuts in prop::collection::vec(0..STREAM.len(), 0..40)) {
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
