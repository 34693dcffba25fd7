//! Checkpoints as JSON, as they were written until 2024. Objects are maps with `lc`, the class as `id`, and `kwargs`.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Checkpoint, MAX_DEPTH, MAX_MESSAGES, Node, Unreadable, rank};

/// The parser's own words may repeat the contents, so they go no further.
fn refused(error: &serde_json::Error) -> Unreadable {
    if error.is_eof() { Unreadable::CutOff } else { Unreadable::Damaged }
}

fn parse<'a, V: Visitor<'a>>(bytes: &'a [u8], visitor: V) -> Result<V::Value, Unreadable> {
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let value = parser.deserialize_any(visitor).map_err(|error| refused(&error))?;
    parser.end().map_err(|error| refused(&error))?;
    Ok(value)
}

/// Python writes numbers that JSON does not know: `NaN`, `Infinity`. Nobody here looks at them, so they become zeros
/// of the same length.
pub(super) fn make_standard(bytes: &mut [u8]) {
    let (mut at, mut in_text) = (0, false);
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b'\\' if in_text => 2,
            b'"' => {
                in_text = !in_text;
                1
            }
            b'N' | b'I' if !in_text => {
                let names = [b"NaN".as_slice(), b"Infinity"];
                let size =
                    names.iter().find(|name| bytes[at..].starts_with(name)).map_or(0, |name| name.len());
                bytes[at..at + size].fill(b'0');
                if let Some(point) = bytes.get_mut(at + 1).filter(|_| size > 0) {
                    *point = b'.';
                }
                size.max(1)
            }
            _ => 1,
        };
    }
}

pub(super) fn checkpoint(bytes: &[u8]) -> Result<Checkpoint<'_>, Unreadable> {
    let (ts, values) = parse(bytes, Root)?;
    let ts = ts.and_then(|ts| serde_json::from_str::<Cow<'_, str>>(ts.get()).ok());
    let messages = match values.filter(|values| values.get().starts_with('{')) {
        Some(values) => {
            parse(values.get().as_bytes(), Channels)?.map(|channel| messages(channel.get().as_bytes()))
        }
        None => None,
    };
    Ok(Checkpoint { ts, messages: messages.transpose()? })
}

pub(super) fn messages(bytes: &[u8]) -> Result<Vec<&[u8]>, Unreadable> {
    match bytes.first() {
        Some(b'[') => {
            let items = parse(bytes, Items)?;
            if items.len() > MAX_MESSAGES {
                return Err(Unreadable::TooMany);
            }
            let is_pair = super::message::is_pair(&items, |item| node(item).ok());
            Ok(if is_pair { vec![bytes] } else { items })
        }
        Some(b'{') => Ok(vec![bytes]),
        _ => Ok(Vec::new()),
    }
}

pub(super) fn node(bytes: &[u8]) -> Result<Node<'_>, Unreadable> {
    parse(bytes, Tree { depth: MAX_DEPTH })
}

/// The two entries of a checkpoint that matter.
struct Root;

impl<'a> Visitor<'a> for Root {
    type Value = (Option<&'a RawValue>, Option<&'a RawValue>);

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a checkpoint")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = (None, None);
        while let Some(name) = map.next_key::<Cow<'a, str>>()? {
            match name.as_ref() {
                "ts" => found.0 = Some(map.next_value()?),
                "channel_values" => found.1 = Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

/// The channel that holds the conversation.
struct Channels;

impl<'a> Visitor<'a> for Channels {
    type Value = Option<&'a RawValue>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("channels")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut best: Option<(usize, &'a RawValue)> = None;
        while let Some(name) = map.next_key::<Cow<'a, str>>()? {
            match rank(&name) {
                Some(rank) if best.is_none_or(|(before, _)| rank < before) => {
                    best = Some((rank, map.next_value()?));
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(best.map(|(_, value)| value))
    }
}

/// The items of a list, one more than are allowed at most.
struct Items;

impl<'a> Visitor<'a> for Items {
    type Value = Vec<&'a [u8]>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element::<&'a RawValue>()? {
            if items.len() <= MAX_MESSAGES {
                items.push(item.get().as_bytes());
            }
        }
        Ok(items)
    }
}

struct Tree {
    depth: u32,
}

impl<'a> DeserializeSeed<'a> for Tree {
    type Value = Node<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Node<'a>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Tree {
    type Value = Node<'a>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a message")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<Node<'a>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node<'a>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Node<'a>, E> {
        Ok(Node::Other)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Node<'a>, E> {
        Ok(Node::Other)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Node<'a>, E> {
        Ok(Node::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Node<'a>, E> {
        Ok(Node::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Node<'a>, E> {
        Ok(Node::Other)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<Node<'a>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self.deeper()?)? {
            if items.len() >= MAX_MESSAGES {
                return Err(A::Error::custom("too many"));
            }
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Node<'a>, A::Error> {
        let mut entries = Vec::new();
        while let Some(name) = map.next_key::<Cow<'a, str>>()? {
            if Node::keeps(&name) && entries.len() < Node::KEPT.len() {
                entries.push((name, map.next_value_seed(self.deeper()?)?));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Node::Map(entries))
    }
}

impl Tree {
    fn deeper<E: Error>(&self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("too deep"))?;
        Ok(Self { depth })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_gives_its_time_and_its_messages() {
        let text = br#"{"v":1,"ts":"2024-05-04T06:32:42+00:00","channel_values":{"x":{"messages":[]},"messages":[{"a":1}, "b"]}}"#;
        let found = checkpoint(text).unwrap();
        assert_eq!(found.ts.unwrap(), "2024-05-04T06:32:42+00:00");
        assert_eq!(found.messages.unwrap(), [br#"{"a":1}"#.as_slice(), br#""b""#.as_slice()]);
    }

    #[test]
    fn numbers_that_only_python_knows_become_zeros() {
        let mut text = br#"{"a":NaN,"b":[-Infinity,Infinity],"c":"NaN \" Infinity","d":"\\"}"#.to_vec();
        make_standard(&mut text);
        let expected = br#"{"a":0.0,"b":[-0.000000,0.000000],"c":"NaN \" Infinity","d":"\\"}"#;
        assert_eq!(String::from_utf8(text), String::from_utf8(expected.to_vec()));
    }

    #[test]
    fn what_is_not_a_checkpoint_is_refused_without_repeating_it() {
        assert_eq!(checkpoint(b"\"secret\"").unwrap_err(), Unreadable::Damaged);
        assert_eq!(checkpoint(br#"{"channel_values":{"messages":["#).unwrap_err(), Unreadable::CutOff);
        assert_eq!(node("[".repeat(100).as_bytes()).unwrap_err(), Unreadable::Damaged);
    }

    #[test]
    fn more_messages_or_deeper_ones_than_anybody_has_are_refused() {
        let list = |items: usize| format!("[{}0]", "0,".repeat(items - 1));
        assert_eq!(messages(list(MAX_MESSAGES).as_bytes()).unwrap().len(), MAX_MESSAGES);
        assert_eq!(messages(list(MAX_MESSAGES + 1).as_bytes()).unwrap_err(), Unreadable::TooMany);
        let nested = |depth: u32| [b"[".repeat(depth as usize), b"]".repeat(depth as usize)].concat();
        assert!(node(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(node(&nested(MAX_DEPTH + 1)).unwrap_err(), Unreadable::Damaged);
    }
}
