//! Checkpoints as msgpack. Objects are extension types: `[module, class, what it was made from, method]`.

use std::borrow::Cow;

use rmp::Marker;

use super::{Checkpoint, MAX_DEPTH, MAX_MESSAGES, Node, Unreadable, rank};

/// The extension types of objects: made from one argument, positions, names, by a method, or by pydantic 1 or 2.
const OBJECTS: std::ops::RangeInclusive<i8> = 0..=5;
/// The extension type of a channel that is kept as differences, at a point where it was kept whole.
const SNAPSHOT: i8 = 7;

/// One step of reading; lists and maps tell only how many values follow.
enum Token<'a> {
    Text(&'a [u8]),
    List(u32),
    Map(u32),
    Extension(i8, &'a [u8]),
    Other,
}

#[derive(Clone, Copy)]
struct Cursor<'a> {
    left: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, left) = self.left.split_at_checked(count).ok_or(Unreadable::CutOff)?;
        self.left = left;
        Ok(taken)
    }

    /// A big-endian number of `width` bytes.
    fn number(&mut self, width: usize) -> Result<u32, Unreadable> {
        Ok(self.take(width)?.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn sized(&mut self, width: usize) -> Result<&'a [u8], Unreadable> {
        let size = self.number(width)?;
        self.take(size as usize)
    }

    fn extension(&mut self, size: u32) -> Result<Token<'a>, Unreadable> {
        let kind = self.take(1)?.first().map_or(0, |byte| i8::from_be_bytes([*byte]));
        Ok(Token::Extension(kind, self.take(size as usize)?))
    }

    fn token(&mut self) -> Result<Token<'a>, Unreadable> {
        let marker = self.take(1)?.first().map_or(Marker::Reserved, |byte| Marker::from_u8(*byte));
        let fixed = |cursor: &mut Self, size| cursor.take(size).map(|_| Token::Other);
        match marker {
            Marker::Null | Marker::True | Marker::False | Marker::FixPos(_) | Marker::FixNeg(_) => {
                Ok(Token::Other)
            }
            Marker::U8 | Marker::I8 => fixed(self, 1),
            Marker::U16 | Marker::I16 => fixed(self, 2),
            Marker::U32 | Marker::I32 | Marker::F32 => fixed(self, 4),
            Marker::U64 | Marker::I64 | Marker::F64 => fixed(self, 8),
            Marker::FixStr(size) => self.take(usize::from(size)).map(Token::Text),
            Marker::Str8 => self.sized(1).map(Token::Text),
            Marker::Str16 => self.sized(2).map(Token::Text),
            Marker::Str32 => self.sized(4).map(Token::Text),
            Marker::Bin8 => self.sized(1).map(|_| Token::Other),
            Marker::Bin16 => self.sized(2).map(|_| Token::Other),
            Marker::Bin32 => self.sized(4).map(|_| Token::Other),
            Marker::FixArray(count) => Ok(Token::List(u32::from(count))),
            Marker::Array16 => self.number(2).map(Token::List),
            Marker::Array32 => self.number(4).map(Token::List),
            Marker::FixMap(count) => Ok(Token::Map(u32::from(count))),
            Marker::Map16 => self.number(2).map(Token::Map),
            Marker::Map32 => self.number(4).map(Token::Map),
            Marker::FixExt1 => self.extension(1),
            Marker::FixExt2 => self.extension(2),
            Marker::FixExt4 => self.extension(4),
            Marker::FixExt8 => self.extension(8),
            Marker::FixExt16 => self.extension(16),
            Marker::Ext8 => self.number(1).and_then(|size| self.extension(size)),
            Marker::Ext16 => self.number(2).and_then(|size| self.extension(size)),
            Marker::Ext32 => self.number(4).and_then(|size| self.extension(size)),
            Marker::Reserved => Err(Unreadable::Damaged),
        }
    }

    /// Steps over one value, however deep it is, and returns its bytes.
    fn value(&mut self) -> Result<&'a [u8], Unreadable> {
        let whole = self.left;
        let mut pending = 1_u64;
        while pending > 0 {
            pending -= 1;
            match self.token()? {
                Token::List(count) => pending += u64::from(count),
                Token::Map(count) => pending += 2 * u64::from(count),
                Token::Text(_) | Token::Extension(..) | Token::Other => {}
            }
        }
        whole.get(..whole.len() - self.left.len()).ok_or(Unreadable::CutOff)
    }

    /// The name of a map's entry; empty when it is not a text.
    fn name(&mut self) -> Result<Cow<'a, str>, Unreadable> {
        let mut ahead = *self;
        if let Token::Text(text) = ahead.token()? {
            *self = ahead;
            return Ok(String::from_utf8_lossy(text));
        }
        self.value()?;
        Ok(Cow::Borrowed(""))
    }

    fn node(&mut self, depth: u32) -> Result<Node<'a>, Unreadable> {
        let deeper = depth.checked_sub(1).ok_or(Unreadable::TooDeep)?;
        Ok(match self.token()? {
            Token::Text(text) => Node::Text(String::from_utf8_lossy(text)),
            Token::Other => Node::Other,
            Token::List(count) => {
                let mut items = Vec::new();
                for _ in 0..count {
                    if items.len() >= MAX_MESSAGES {
                        return Err(Unreadable::TooMany);
                    }
                    items.push(self.node(deeper)?);
                }
                Node::List(items)
            }
            Token::Map(count) => {
                let mut entries = Vec::new();
                for _ in 0..count {
                    let name = self.name()?;
                    if Node::keeps(&name) && entries.len() < Node::KEPT.len() {
                        entries.push((name, self.node(deeper)?));
                    } else {
                        self.value()?;
                    }
                }
                Node::Map(entries)
            }
            Token::Extension(SNAPSHOT, inner) => Cursor { left: inner }.node(deeper)?,
            Token::Extension(kind, inner) if OBJECTS.contains(&kind) => object(inner, deeper)?,
            Token::Extension(..) => Node::Other,
        })
    }
}

fn object(bytes: &[u8], depth: u32) -> Result<Node<'_>, Unreadable> {
    let (class, mut made_from) = class(bytes)?;
    Ok(Node::Object(class, Box::new(made_from.node(depth)?)))
}

/// The class of an object, and where what it was made from begins.
fn class(bytes: &[u8]) -> Result<(Cow<'_, str>, Cursor<'_>), Unreadable> {
    let mut cursor = Cursor { left: bytes };
    match cursor.token()? {
        Token::List(3..) => {}
        Token::List(_) | Token::Text(_) | Token::Map(_) | Token::Extension(..) | Token::Other => {
            return Err(Unreadable::Damaged);
        }
    }
    let _module = cursor.name()?;
    Ok((cursor.name()?, cursor))
}

pub(super) fn checkpoint(bytes: &[u8]) -> Result<Checkpoint<'_>, Unreadable> {
    let mut cursor = Cursor { left: bytes };
    let Token::Map(count) = cursor.token()? else { return Err(Unreadable::Damaged) };
    let mut found = Checkpoint::default();
    for _ in 0..count {
        match cursor.name()?.as_ref() {
            "ts" => found.ts = Some(cursor.name()?),
            "channel_values" => {
                found.messages = channel(cursor.value()?)?.map(messages).transpose()?;
            }
            _ => drop(cursor.value()?),
        }
    }
    if cursor.left.is_empty() { Ok(found) } else { Err(Unreadable::Damaged) }
}

/// The channel that holds the conversation, if there is one.
fn channel(values: &[u8]) -> Result<Option<&[u8]>, Unreadable> {
    let mut cursor = Cursor { left: values };
    let Token::Map(count) = cursor.token()? else { return Ok(None) };
    let mut best: Option<(usize, &[u8])> = None;
    for _ in 0..count {
        let rank = rank(&cursor.name()?);
        let value = cursor.value()?;
        if let Some(rank) = rank
            && best.is_none_or(|(before, _)| rank < before)
        {
            best = Some((rank, value));
        }
    }
    Ok(best.map(|(_, value)| value))
}

pub(super) fn messages(bytes: &[u8]) -> Result<Vec<&[u8]>, Unreadable> {
    messages_within(bytes, MAX_DEPTH)
}

fn messages_within(bytes: &[u8], depth: u32) -> Result<Vec<&[u8]>, Unreadable> {
    let deeper = depth.checked_sub(1).ok_or(Unreadable::TooDeep)?;
    let mut cursor = Cursor { left: bytes };
    match cursor.token()? {
        Token::List(count) => {
            let mut items = Vec::new();
            for _ in 0..count {
                if items.len() >= MAX_MESSAGES {
                    return Err(Unreadable::TooMany);
                }
                items.push(cursor.value()?);
            }
            // A single message may be a pair of its role and its words.
            let is_pair = super::message::is_pair(&items, |item| node(item).ok());
            Ok(if is_pair { vec![bytes] } else { items })
        }
        Token::Map(_) => Ok(vec![bytes]),
        Token::Extension(SNAPSHOT, inner) => messages_within(inner, deeper),
        Token::Extension(kind, inner) if OBJECTS.contains(&kind) => {
            // A message on its own, or a list of another class (a deque, a tuple).
            let (_, mut made_from) = class(inner)?;
            let inner = made_from.value()?;
            let is_list = matches!(Cursor { left: inner }.token()?, Token::List(_));
            if is_list { messages_within(inner, deeper) } else { Ok(vec![bytes]) }
        }
        Token::Text(_) | Token::Extension(..) | Token::Other => Ok(Vec::new()),
    }
}

pub(super) fn node(bytes: &[u8]) -> Result<Node<'_>, Unreadable> {
    Cursor { left: bytes }.node(MAX_DEPTH)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_of_lists_without_end_is_stepped_over_and_never_built() {
        let mut deep = vec![0x91; 1_000_000];
        deep.push(0xC0);
        assert_eq!(Cursor { left: &deep }.value().unwrap().len(), deep.len());
        assert_eq!(node(&deep).unwrap_err(), Unreadable::TooDeep);
        let promised = [0xDD, 0xFF, 0xFF, 0xFF, 0xFF];
        assert_eq!(Cursor { left: &promised }.value().unwrap_err(), Unreadable::CutOff);
        assert_eq!(messages(&promised).unwrap_err(), Unreadable::CutOff);
    }

    #[test]
    fn a_snapshot_within_a_snapshot_without_end_does_not_overflow() {
        let mut bytes = vec![0xC0];
        for _ in 0..2_000 {
            let mut outer = vec![0xC9];
            outer.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
            outer.push(7);
            outer.extend(bytes);
            bytes = outer;
        }
        assert_eq!(node(&bytes).unwrap_err(), Unreadable::TooDeep);
        assert_eq!(messages(&bytes).unwrap_err(), Unreadable::TooDeep);
    }

    proptest! {
        #[test]
        fn any_bytes_at_all_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = checkpoint(&bytes);
            let _ = messages(&bytes);
            let _ = node(&bytes).map(|node| super::super::message::read(&node));
        }
    }
}
