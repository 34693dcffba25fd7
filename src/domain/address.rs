//! Where a service outside is: an `http` or `https` address below which its API lies.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// An address like `https://api.groq.com/openai/v1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    tls: bool,
    host: String,
    port: u16,
    /// Without a slash at its end.
    path: String,
}

/// The text is not such an address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an address like https://api.example.org/v1 (http or https, without a user, ? or #)")]
pub struct NotABaseUrl;

impl FromStr for BaseUrl {
    type Err = NotABaseUrl;

    fn from_str(text: &str) -> Result<Self, NotABaseUrl> {
        Self::parse(text, None)
    }
}

impl BaseUrl {
    /// As text, where a port that is not given is `usual`, or else that of HTTP.
    ///
    /// # Errors
    /// When it is no such address.
    pub fn parse(text: &str, usual: Option<u16>) -> Result<Self, NotABaseUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(NotABaseUrl)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(NotABaseUrl),
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#\\\"<>".contains(&byte);
        if !path.bytes().all(plain) {
            return Err(NotABaseUrl);
        }
        let (host, port) =
            host_and_port(authority, usual.unwrap_or(if tls { 443 } else { 80 })).ok_or(NotABaseUrl)?;
        Ok(Self { tls, host, port, path: path.trim_end_matches('/').to_owned() })
    }
}

/// Whether it is an IP address, without brackets, or may be the name of a machine: labels of letters, digits, `-` and `_`
/// between dots, up to 63 of them in each and 253 in all (RFC 1123), the last no number, which would be a wrong address.
#[must_use]
pub fn is_host(text: &str) -> bool {
    let may_be_in_it = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(may_be_in_it);
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_number =
        name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    text.parse::<IpAddr>().is_ok()
        || is_on_one_link(text)
        || (name.len() <= 253 && !is_number && name.split('.').all(is_label))
}

/// `fe80::1%eth0`: an IPv6 address on one link has its interface behind it.
fn is_on_one_link(text: &str) -> bool {
    let may_be_in_it = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.split_once('%').is_some_and(|(address, zone)| {
        address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && zone.bytes().all(may_be_in_it)
    })
}

fn host_and_port(authority: &str, usual: u16) -> Option<(String, u16)> {
    // The colons of an IPv6 address stand in brackets.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok().filter(|port| *port != 0)?),
        _ => (authority, usual),
    };
    if let Some(six) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return six.parse::<Ipv6Addr>().ok().map(|six| (six.to_string(), port));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (!host.is_empty() && host.bytes().all(plain)).then(|| (host.to_ascii_lowercase(), port))
}

impl BaseUrl {
    /// Whether it is spoken to with TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// The name or the address of the machine; an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What the `Host` header says.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == if self.tls { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }

    /// The path of `below` in this API: `/openai/v1/models`.
    #[must_use]
    pub fn path_of(&self, below: &str) -> String {
        format!("{}/{}", self.path, below.trim_start_matches('/'))
    }

    /// True when it is this machine.
    #[must_use]
    pub fn is_this_machine(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "http{}://{}{}", if self.tls { "s" } else { "" }, self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (text, host, port, models) in [
            ("https://api.groq.com/openai/v1", "api.groq.com", 443, "/openai/v1/models"),
            ("http://localhost:11434/v1/", "localhost", 11434, "/v1/models"),
            ("HTTP://Example.org", "example.org", 80, "/models"),
            ("http://[::1]:8080/v1", "::1", 8080, "/v1/models"),
            ("http://[::1]/v1", "::1", 80, "/v1/models"),
            ("http://my_service:4000", "my_service", 4000, "/models"),
        ] {
            let url: BaseUrl = text.parse().unwrap();
            assert_eq!((url.host(), url.port(), url.path_of("models").as_str()), (host, port, models));
        }
        let shown = |text: &str| text.parse::<BaseUrl>().unwrap().to_string();
        assert_eq!(shown("http://[::1]:8080/v1/"), "http://[::1]:8080/v1");
        assert_eq!(shown("https://x:443"), "https://x");
    }

    #[test]
    fn other_texts_are_none() {
        for text in [
            "",
            "api.groq.com",
            "ftp://x",
            "http://",
            "http:///v1",
            "http://x:0",
            "http://x:99999",
            "http://u:p@x/",
            "http://x/v1?key=1",
            "http://x/v1#a",
            "http://x/a b",
            "http://[::1",
            "http://x\r\nHost: y",
            "http://[x]",
        ] {
            assert_eq!(text.parse::<BaseUrl>(), Err(NotABaseUrl), "{text}");
        }
    }

    #[test]
    fn this_machine_is_told() {
        for (text, ours) in [
            ("http://localhost:1", true),
            ("http://127.0.0.2", true),
            ("http://[::1]", true),
            ("http://192.168.0.2", false),
            ("https://api.openai.com/v1", false),
        ] {
            assert_eq!(text.parse::<BaseUrl>().unwrap().is_this_machine(), ours);
        }
    }

    #[test]
    fn a_host_is_an_address_or_a_name() {
        for host in [
            "127.0.0.1",
            "::",
            "::1",
            "fe80::1%eth0",
            "fe80::1%br-lan_2.7",
            "localhost",
            "companion.lan.",
            "my_box-2",
            "3com.example",
        ] {
            assert!(is_host(host), "{host}");
        }
        let long = "a".repeat(64);
        for none in [
            "",
            ".",
            "a b",
            "nowhere..x",
            "999.1.1.1",
            "1234",
            "[::1]",
            "127.0.0.1%foo",
            "::1%",
            "::1%a b",
            "::1%a%b",
            "localhost%eth0",
            "http://x",
            "x:80",
            "h\u{f6}st",
            &long,
        ] {
            assert!(!is_host(none), "{none}");
        }
    }
}
