//! A dead man's switch in the manner of healthchecks.io: it is told when a run starts and how it ended, and raises the
//! alarm when it hears nothing. The address holds a secret, so only its host is ever shown.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use ureq::http::Uri;

/// How long one ping may take in all; a job waits for it twice.
const LONGEST: Duration = Duration::from_secs(10);
const LONGEST_CONNECT: Duration = Duration::from_secs(5);

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The work begins.
    Started,
    /// It has ended with this exit code.
    Ended(u8),
}

/// Where to tell it.
#[derive(Clone, PartialEq, Eq)]
pub struct PingUrl {
    host: String,
    /// Up to the query, without a slash at the end.
    base: String,
    /// With its question mark, or empty.
    query: String,
}

impl fmt::Debug for PingUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PingUrl({}/…)", self.host)
    }
}

/// Why a text is not such an address. Does not repeat it: it may hold a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an address like https://hc-ping.com/your-uuid (http or https)")]
pub struct NotAPingUrl;

impl FromStr for PingUrl {
    type Err = NotAPingUrl;

    fn from_str(text: &str) -> Result<Self, NotAPingUrl> {
        let uri: Uri = text.parse().map_err(|_| NotAPingUrl)?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(NotAPingUrl)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(NotAPingUrl);
        }
        let text = text.split('#').next().unwrap_or_default();
        let (base, query) = match text.split_once('?') {
            Some((base, query)) => (base, format!("?{query}")),
            None => (text, String::new()),
        };
        Ok(Self { host: host.to_owned(), base: base.trim_end_matches('/').to_owned(), query })
    }
}

impl PingUrl {
    /// Tells it, waiting at most 10 s. A failure is one warning in the log and nothing else: whoever waits for the ping
    /// notices that it is missing.
    pub fn tell(&self, signal: Signal) {
        if let Err(why) = self.try_to_tell(signal) {
            tracing::warn!(
                event = "ping_failed",
                host = self.host,
                error = why,
                "The ping about this run did not arrive"
            );
        }
    }

    fn try_to_tell(&self, signal: Signal) -> Result<(), String> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(LONGEST))
            .timeout_connect(Some(LONGEST_CONNECT))
            .user_agent(concat!("companion-maint/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        agent.get(self.address(signal)).call().map(drop).map_err(|error| describe(&error))
    }

    fn address(&self, signal: Signal) -> String {
        let Self { base, query, .. } = self;
        match signal {
            Signal::Started => format!("{base}/start{query}"),
            Signal::Ended(0) => format!("{base}{query}"),
            Signal::Ended(code) => format!("{base}/{code}{query}"),
        }
    }
}

/// Only what cannot hold the address: some of the library's own texts do.
fn describe(error: &ureq::Error) -> String {
    if let ureq::Error::StatusCode(code) = error {
        return format!("it was answered {code}");
    }
    if let ureq::Error::Io(error) = error {
        return error.to_string();
    }
    if let ureq::Error::Rustls(error) = error {
        return format!("TLS: {error}");
    }
    let what = if matches!(error, ureq::Error::Timeout(_)) {
        "it took too long"
    } else if matches!(error, ureq::Error::HostNotFound) {
        "the host was not found"
    } else if matches!(error, ureq::Error::TooManyRedirects | ureq::Error::RedirectFailed) {
        "it was sent from one address to another"
    } else {
        "it failed"
    };
    what.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signal_goes_before_the_query() {
        let url: PingUrl = "https://hc.example:8443/ping/secret/?create=1".parse().unwrap();
        assert_eq!(url.address(Signal::Started), "https://hc.example:8443/ping/secret/start?create=1");
        assert_eq!(url.address(Signal::Ended(0)), "https://hc.example:8443/ping/secret?create=1");
        assert_eq!(url.address(Signal::Ended(75)), "https://hc.example:8443/ping/secret/75?create=1");
        assert!(!format!("{url:?}").contains("secret"));
    }

    #[test]
    fn other_addresses_are_refused_without_repeating_them() {
        for bad in
            ["", "secret", "ftp://x/secret", "http://", "https:///secret", "http://a b/secret", "//x/y"]
        {
            assert_eq!(bad.parse::<PingUrl>(), Err(NotAPingUrl), "{bad}");
        }
        assert!(!NotAPingUrl.to_string().contains("secret"));
    }
}
