//! The web client, embedded by `build.rs`: fingerprinted names, each file compressed once when the server was built.
//!
//! Here a representation is chosen (coding, 304, range); how long it may be kept is the `cache_headers` middleware's.

use actix_web::http::header::{
    self, AcceptEncoding, ContentRange, ContentRangeSpec, ETag, Encoding, EntityTag, IfNoneMatch, IfRange,
    Preference, QualityItem, Range,
};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{Bytes, Path};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, HttpResponseBuilder};

use crate::web::error::ApiError;

/// One embedded file.
#[derive(Debug)]
pub struct Asset {
    /// Its path below `/static/`, fingerprint included; a page's own name.
    pub name: &'static str,
    /// Its content type.
    pub mime: &'static str,
    /// The file itself.
    pub identity: Variant,
    /// The file in brotli, when that is smaller.
    pub br: Option<Variant>,
    /// The file in gzip, when that is smaller.
    pub gzip: Option<Variant>,
}

/// One representation of a file.
#[derive(Debug)]
pub struct Variant {
    /// What is sent.
    pub bytes: &'static [u8],
    /// The strong entity tag of just these bytes, without its quotes.
    pub etag: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Serves the client's page.
#[expect(clippy::unused_async, reason = "actix-web takes async handlers only")]
pub async fn page(req: HttpRequest) -> HttpResponse {
    respond(&req, &INDEX_HTML)
}

/// Serves a fingerprinted file.
#[expect(clippy::unused_async, reason = "actix-web takes async handlers only")]
pub async fn asset(req: HttpRequest, name: Path<String>) -> Result<HttpResponse, ApiError> {
    let asset = find(&name).ok_or(ApiError::NotFound)?;
    Ok(respond(&req, asset))
}

/// The file of exactly this fingerprinted name.
pub fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.binary_search_by(|asset| asset.name.cmp(name)).ok().and_then(|at| ASSETS.get(at))
}

/// Answers a GET or HEAD with the representation, and the part of it, that the client asked for.
pub fn respond(req: &HttpRequest, asset: &'static Asset) -> HttpResponse {
    let Some((encoding, variant)) = asset.choose(req) else {
        return builder(StatusCode::NOT_ACCEPTABLE).finish();
    };
    let etag = EntityTag::new_strong(variant.etag.to_owned());
    if is_unchanged(req, &etag) {
        return builder(StatusCode::NOT_MODIFIED).insert_header(ETag(etag)).finish();
    }
    let part = Part::asked_for(req, &etag, variant.bytes);
    let mut response = builder(part.status());
    response.insert_header((header::ACCEPT_RANGES, "bytes"));
    if let Some(content_range) = part.content_range(variant.bytes) {
        response.insert_header(content_range);
    }
    let body = match part {
        Part::Whole => variant.bytes,
        Part::Piece { bytes, .. } => bytes,
        Part::Nothing => return response.finish(),
    };
    if encoding != Encoding::identity() {
        response.insert_header((header::CONTENT_ENCODING, encoding.to_string()));
    }
    response.insert_header(ETag(etag)).content_type(asset.mime).body(Bytes::from_static(body))
}

/// Every answer depends on what the client accepts, errors included.
fn builder(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header((header::VARY, "accept-encoding"));
    response
}

impl Asset {
    /// The representation the client likes best, `None` if it refuses all.
    fn choose(&self, req: &HttpRequest) -> Option<(Encoding, &Variant)> {
        let offers = [
            (Encoding::brotli(), self.br.as_ref()),
            (Encoding::gzip(), self.gzip.as_ref()),
            (Encoding::identity(), Some(&self.identity)),
        ];
        let offers = || offers.iter().filter_map(|(encoding, variant)| Some((encoding, (*variant)?)));
        let accepted = req.get_header().unwrap_or(AcceptEncoding(Vec::new()));
        let accepted = spell_out_wildcard(accepted, offers().map(|(encoding, _)| encoding));
        let chosen = accepted.negotiate(offers().map(|(encoding, _)| encoding))?;
        offers().find(|(encoding, _)| **encoding == chosen).map(|(_, variant)| (chosen, variant))
    }
}

/// `*` means every coding the client did not name. `negotiate` lets it stand for identity alone, even for an identity
/// that was refused by name, so it gets the list without a `*`.
fn spell_out_wildcard<'a>(
    accepted: AcceptEncoding,
    offered: impl Iterator<Item = &'a Encoding>,
) -> AcceptEncoding {
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

/// Whether the client already holds this representation.
fn is_unchanged(req: &HttpRequest, etag: &EntityTag) -> bool {
    match req.get_header::<IfNoneMatch>() {
        Some(IfNoneMatch::Any) => true,
        Some(IfNoneMatch::Items(held)) => held.iter().any(|other| other.weak_eq(etag)),
        None => false,
    }
}

/// How much of a representation is sent.
enum Part {
    Whole,
    Piece {
        first: u64,
        last: u64,
        bytes: &'static [u8],
    },
    /// The range begins behind the end.
    Nothing,
}

impl Part {
    /// A list of ranges is answered whole, which is always allowed; so is one that cannot be read.
    fn asked_for(req: &HttpRequest, etag: &EntityTag, bytes: &'static [u8]) -> Self {
        if req.method() != Method::GET || is_list(req) || !if_range_holds(req, etag) {
            return Self::Whole;
        }
        let Some(Range::Bytes(ranges)) = req.get_header() else { return Self::Whole };
        let [range] = ranges.as_slice() else { return Self::Whole };
        let piece = range.to_satisfiable_range(bytes.len() as u64).and_then(|(first, last)| {
            let bytes = bytes.get(usize::try_from(first).ok()?..=usize::try_from(last).ok()?)?;
            Some(Self::Piece { first, last, bytes })
        });
        piece.unwrap_or(Self::Nothing)
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Whole => StatusCode::OK,
            Self::Piece { .. } => StatusCode::PARTIAL_CONTENT,
            Self::Nothing => StatusCode::RANGE_NOT_SATISFIABLE,
        }
    }

    fn content_range(&self, whole: &[u8]) -> Option<ContentRange> {
        let range = match *self {
            Self::Whole => return None,
            Self::Piece { first, last, .. } => Some((first, last)),
            Self::Nothing => None,
        };
        Some(ContentRange(ContentRangeSpec::Bytes { range, instance_length: Some(whole.len() as u64) }))
    }
}

/// The typed header drops the ranges it cannot read, so that what is left may look like a single one.
fn is_list(req: &HttpRequest) -> bool {
    req.headers().get(header::RANGE).is_some_and(|value| value.as_bytes().contains(&b','))
}

/// Whether a range may be cut from what is served now. Nothing here has a date, so a date never matches.
fn if_range_holds(req: &HttpRequest, etag: &EntityTag) -> bool {
    match req.get_header::<IfRange>() {
        Some(IfRange::EntityTag(held)) => held.strong_eq(etag),
        Some(IfRange::Date(_)) => false,
        None => !req.headers().contains_key(header::IF_RANGE),
    }
}
