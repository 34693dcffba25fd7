//! Which of a file's codings a client gets: brotli, gzip, or the file as it is.

use std::cell::RefCell;

use actix_web::http::header::{self, AcceptEncoding, Encoding, HeaderValue, Preference, QualityItem};
use actix_web::{HttpMessage, HttpRequest};

/// A form in which a file may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// Compressed with brotli.
    Brotli,
    /// Compressed with gzip.
    Gzip,
    /// As it is.
    Identity,
}

/// The best first.
const ALL: [Coding; 3] = [Coding::Brotli, Coding::Gzip, Coding::Identity];

impl Coding {
    /// What follows a file's name where it is kept in this coding.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
            Self::Identity => "",
        }
    }

    /// What `Content-Encoding` says; nothing when the file is sent as it is.
    #[must_use]
    pub fn content_encoding(self) -> Option<HeaderValue> {
        match self {
            Self::Brotli => Some(HeaderValue::from_static("br")),
            Self::Gzip => Some(HeaderValue::from_static("gzip")),
            Self::Identity => None,
        }
    }

    fn encoding(self) -> Encoding {
        match self {
            Self::Brotli => Encoding::brotli(),
            Self::Gzip => Encoding::gzip(),
            Self::Identity => Encoding::identity(),
        }
    }
}

/// The coding the client likes best of those there are, `None` if it refuses them all.
pub fn negotiate(req: &HttpRequest, there_is: impl Fn(Coding) -> bool) -> Option<Coding> {
    let mut asked = req.headers().get_all(header::ACCEPT_ENCODING);
    let Some(first) = asked.next() else { return there_is(Coding::Identity).then_some(Coding::Identity) };
    if asked.next().is_some() {
        return read(req, there_is);
    }
    let offered = ALL.map(&there_is);
    RECENT.with_borrow_mut(|recent| {
        if let Some(known) = recent.iter().find(|known| known.offered == offered && known.asked == *first) {
            return known.chosen;
        }
        let chosen = read(req, there_is);
        // A copy: the value itself would hold on to all that was read with it.
        if first.len() <= LONGEST
            && let Ok(asked) = HeaderValue::from_bytes(first.as_bytes())
        {
            recent.truncate(MOST - 1);
            recent.insert(0, Negotiated { asked, offered, chosen });
        }
        chosen
    })
}

/// A header as a browser sends it with every request, and what came of it.
struct Negotiated {
    asked: HeaderValue,
    offered: [bool; 3],
    chosen: Option<Coding>,
}

/// So many of them, and up to so many bytes each, one worker remembers.
const MOST: usize = 16;
const LONGEST: usize = 128;

thread_local! {
    static RECENT: RefCell<Vec<Negotiated>> = const { RefCell::new(Vec::new()) };
}

fn read(req: &HttpRequest, there_is: impl Fn(Coding) -> bool) -> Option<Coding> {
    let offers = || ALL.into_iter().filter(|coding| there_is(*coding));
    let offered: Vec<_> = offers().map(Coding::encoding).collect();
    let accepted = spell_out_wildcard(req.get_header().unwrap_or(AcceptEncoding(Vec::new())), &offered);
    let chosen = accepted.negotiate(offered.iter())?;
    offers().find(|coding| coding.encoding() == chosen)
}

/// `*` means every coding the client did not name. `negotiate` lets it stand for identity alone, even for an identity
/// that was refused by name, so it gets the list without a `*`.
fn spell_out_wildcard(accepted: AcceptEncoding, offered: &[Encoding]) -> AcceptEncoding {
    let Some(quality) = accepted.0.iter().find(|item| item.item.is_any()).map(|item| item.quality) else {
        return accepted;
    };
    let (_, mut named): (Vec<_>, Vec<_>) = accepted.0.into_iter().partition(|item| item.item.is_any());
    for encoding in offered {
        let encoding = Preference::Specific(encoding.clone());
        if named.iter().all(|item| item.item != encoding) {
            named.push(QualityItem::new(encoding, quality));
        }
    }
    AcceptEncoding(named)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn chosen(asked: &str) -> Option<Coding> {
        let request =
            TestRequest::default().insert_header((header::ACCEPT_ENCODING, asked)).to_http_request();
        negotiate(&request, |_| true)
    }

    #[test]
    fn so_many_are_remembered_and_none_that_is_long() {
        let remembered =
            || RECENT.with_borrow(|recent| recent.iter().map(|one| one.asked.len()).collect::<Vec<_>>());
        assert_eq!(chosen(&format!("gzip, {}", "x".repeat(LONGEST))), Some(Coding::Gzip));
        assert_eq!(remembered(), [0; 0]);
        for number in 0..5 * MOST {
            assert_eq!(chosen(&format!("gzip, x-{number}")), Some(Coding::Gzip));
        }
        assert_eq!(remembered().len(), MOST);
        for _ in 0..2 {
            assert_eq!(chosen("br"), Some(Coding::Brotli), "who comes next is remembered instead of another");
            assert_eq!((remembered().len(), remembered()[0]), (MOST, 2));
        }
    }
}
