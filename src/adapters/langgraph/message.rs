//! What one message says, and who said it: message objects, maps, pairs of role and words, plain texts.

use super::Node;

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The person.
    Human,
    /// The companion.
    Assistant,
    /// Instructions to the model.
    System,
    /// What a tool or function returned.
    Tool,
    /// Marks another message as deleted.
    Remove,
    /// Anybody else.
    Other,
}

/// One message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id, if it was given one.
    pub id: Option<String>,
    /// Who said it.
    pub role: Role,
    /// The words; pictures, sound, files and thoughts left out.
    pub text: String,
    /// How many parts were left out.
    pub parts_left_out: u64,
}

/// Reads a message; `None` when it is not one.
pub(super) fn read(node: &Node<'_>) -> Option<Message> {
    match node {
        Node::Text(text) => Some(message(Role::Human, None, node_text(text))),
        Node::List(items) => pair(items),
        Node::Object(class, made_from) => match made_from.as_ref() {
            fields @ Node::Map(_) => from_fields(fields, Some(class)),
            Node::Text(_) | Node::List(_) | Node::Object(..) | Node::Other => None,
        },
        Node::Map(_) => from_map(node),
        Node::Other => None,
    }
}

/// True when a list of two is a single message: its role and its words.
pub(super) fn is_pair<'a>(items: &[&'a [u8]], node: impl Fn(&'a [u8]) -> Option<Node<'a>>) -> bool {
    let [role, words] = items else { return false };
    let is_text = |node: &Node<'_>| matches!(node, Node::Text(_));
    let role = node(role).filter(is_text).and_then(|node| node.text().and_then(known_role));
    role.is_some() && node(words).is_some_and(|node| is_text(&node))
}

fn node_text(text: &str) -> (String, u64) {
    (text.to_owned(), 0)
}

fn message(role: Role, id: Option<String>, (text, parts_left_out): (String, u64)) -> Message {
    Message { id, role, text, parts_left_out }
}

fn pair(items: &[Node<'_>]) -> Option<Message> {
    let [role, content] = items else { return None };
    Some(message(known_role(role.text()?)?, None, words(content)))
}

/// A map is an older constructor (`lc`), a message with its `data`, or the message's own fields.
fn from_map(map: &Node<'_>) -> Option<Message> {
    if map.get("lc").is_some()
        && let Some(fields) = map.get("kwargs")
    {
        let class = match map.get("id") {
            Some(Node::List(path)) => path.last().and_then(Node::text),
            _ => None,
        };
        return from_fields(fields, class);
    }
    match map.get("data") {
        Some(fields @ Node::Map(_)) => from_fields(fields, map.get("type").and_then(Node::text)),
        _ => from_fields(map, None),
    }
}

fn from_fields(fields: &Node<'_>, class: Option<&str>) -> Option<Message> {
    let content = fields.get("content")?;
    let field = |name| fields.get(name).and_then(Node::text);
    let id = field("id").filter(|id| !id.is_empty()).map(str::to_owned);
    let names = [field("role"), field("type"), class];
    let named = names.iter().flatten().find_map(|name| known_role(name));
    // A map that names nobody is not a message; an object of a class nobody knows is one of somebody else.
    let role = named.or_else(|| names.iter().any(Option::is_some).then_some(Role::Other))?;
    Some(message(role, id, words(content)))
}

fn known_role(name: &str) -> Option<Role> {
    let lower = name.to_ascii_lowercase();
    let short =
        lower.strip_suffix("messagechunk").or_else(|| lower.strip_suffix("message")).unwrap_or(&lower);
    match short {
        "human" | "user" => Some(Role::Human),
        "ai" | "assistant" => Some(Role::Assistant),
        "system" | "developer" => Some(Role::System),
        "tool" | "function" => Some(Role::Tool),
        "remove" => Some(Role::Remove),
        _ => None,
    }
}

/// The words of a message's content, which is a text or a list of parts, and how many parts hold none.
fn words(content: &Node<'_>) -> (String, u64) {
    match content {
        Node::List(parts) => {
            let (mut text, mut left_out) = (String::new(), 0);
            for part in parts {
                match words_of_part(part) {
                    Some(words) => text.push_str(words),
                    None => left_out += 1,
                }
            }
            (text, left_out)
        }
        Node::Text(text) => node_text(text),
        Node::Map(_) => words_of_part(content).map_or((String::new(), 1), node_text),
        Node::Object(..) | Node::Other => (String::new(), 0),
    }
}

fn words_of_part<'a>(part: &'a Node<'_>) -> Option<&'a str> {
    match part {
        Node::Text(text) => Some(text),
        Node::Object(_, made_from) => words_of_part(made_from),
        Node::Map(_) => match part.get("type").and_then(Node::text) {
            Some("text" | "input_text" | "output_text") | None => part.get("text")?.text(),
            Some(_) => None,
        },
        Node::List(_) | Node::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Form;
    use super::*;

    fn read(json: &str) -> Option<(Role, String)> {
        Form::Json.message(json.as_bytes()).unwrap().map(|message| (message.role, message.text))
    }

    #[test]
    fn every_way_to_write_a_message_is_read() {
        let human = |text: &str| Some((Role::Human, text.to_owned()));
        assert_eq!(read(r#""hello""#), human("hello"));
        assert_eq!(read(r#"["user", "hello"]"#), human("hello"));
        assert_eq!(read(r#"{"role": "user", "content": "hello"}"#), human("hello"));
        assert_eq!(
            read(r#"{"type": "human", "content": ["he", {"type": "text", "text": "llo"}]}"#),
            human("hello")
        );
        assert_eq!(read(r#"{"type": "human", "data": {"content": "hello"}}"#), human("hello"));
        let old = r#"{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"],
            "kwargs": {"content": "hello", "id": "x"}}"#;
        assert_eq!(read(old), human("hello"));
        assert_eq!(
            read(r#"{"role": "assistant", "type": "message", "content": "a"}"#),
            Some((Role::Assistant, "a".into()))
        );
    }

    #[test]
    fn what_is_not_a_message_is_none() {
        for other in
            ["7", "null", "[]", r#"["a", "b", "c"]"#, r#"{"content": "x"}"#, r#"["nobody", "x"]"#, "{}"]
        {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn pictures_sound_and_thoughts_are_left_out_and_counted() {
        let json = r#"{"type": "human", "content": [{"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "data:..."}}, {"type": "thinking", "text": "hm"}]}"#;
        let message = Form::Json.message(json.as_bytes()).unwrap().unwrap();
        assert_eq!((message.text.as_str(), message.parts_left_out), ("look", 2));
    }
}
