//! Answers requests for the page and the files of the web client.
//!
//! Here a representation is chosen (coding, 304, range); how long it may be kept is the `cache_headers` middleware's.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::{
    self, ContentRange, ContentRangeSpec, EntityTag, HeaderName, HeaderValue, IfMatch, IfNoneMatch, IfRange,
    Range,
};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Bytes};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, HttpResponseBuilder};

use crate::web::assets::{Asset, Assets, INDEX_HTML, SW_JS, Variant};
use crate::web::coding::negotiate;
use crate::web::earlier_assets::EarlierAssets;
use crate::web::error::ApiError;
use crate::web::openapi::{Binary, ErrorBody};

/// Serves the client's page.
#[utoipa::path(
    method(get, head),
    path = "/",
    responses((status = 200, description = "The page", body = String, content_type = "text/html")),
)]
pub async fn page(req: HttpRequest) -> HttpResponse {
    respond(&req, &INDEX_HTML)
}

/// Serves the service worker, which keeps the page for when the server cannot be reached.
#[utoipa::path(
    method(get, head),
    path = "/sw.js",
    responses((status = 200, description = "The script", body = String, content_type = "text/javascript")),
)]
pub async fn worker(req: HttpRequest) -> HttpResponse {
    respond(&req, &SW_JS)
}

/// Serves a fingerprinted file of this release, or of the two before it.
#[utoipa::path(
    method(get, head),
    path = "/static/{name}",
    params(("name" = String, Path, description = "A file's name with its fingerprint")),
    responses(
        (status = 200, description = "The file", body = Binary, content_type = "*/*"),
        (status = 206, description = "The range asked for", body = Binary, content_type = "*/*"),
        (status = 304, description = "The client has it"),
        (status = 404, description = "There is no such file", body = ErrorBody),
        (status = 406, description = "No coding is acceptable", body = ErrorBody),
        (status = 412, description = "The condition does not hold", body = ErrorBody),
        (status = 416, description = "The range lies outside of it", body = ErrorBody),
    ),
)]
pub async fn asset(req: HttpRequest) -> Result<HttpResponse, ApiError> {
    let name = req.match_info().query("name");
    if let Some(file) = of_this_release(&req, name) {
        return Ok(file);
    }
    let earlier = req.app_data::<web::Data<EarlierAssets>>().ok_or(ApiError::NotFound)?;
    earlier.respond(&req, name).await
}

/// The answer with a file of this release; `None` where it has none of this name.
pub(super) fn of_this_release(req: &HttpRequest, name: &str) -> Option<HttpResponse> {
    Some(respond(req, req.app_data::<Assets>()?.find(name)?))
}

/// Answers a GET or HEAD with the representation, and the part of it, that the client asked for.
pub fn respond(req: &HttpRequest, asset: &'static Asset) -> HttpResponse {
    let chosen = negotiate(req, |coding| asset.variant(coding).is_some());
    let Some((coding, variant)) = chosen.and_then(|coding| Some((coding, asset.variant(coding)?))) else {
        return builder(StatusCode::NOT_ACCEPTABLE).finish();
    };
    match condition(req, variant.etag) {
        Condition::Holds => {}
        Condition::Unchanged => return tagged(StatusCode::NOT_MODIFIED, variant).finish(),
        Condition::Fails => return builder(StatusCode::PRECONDITION_FAILED).finish(),
    }
    let part = Part::asked_for(req, variant);
    let mut response = tagged(part.status(), variant);
    response.insert_header((header::ACCEPT_RANGES, HeaderValue::from_static("bytes")));
    if let Some(content_range) = part.content_range(variant.bytes) {
        response.insert_header(content_range);
    }
    let body = match part {
        Part::Whole => variant.bytes,
        Part::Piece { bytes, .. } => bytes,
        Part::Nothing => return response.finish(),
    };
    if let Some(encoding) = coding.content_encoding() {
        response.insert_header((header::CONTENT_ENCODING, encoding));
    }
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(asset.mime)));
    response.body(Pieces::of(body))
}

/// The largest piece of a body that is written at once. actix-http copies what it writes: a file in one piece would take its
/// whole size for each connection, and the copy would no longer fit the processor's cache.
const PIECE: usize = 56 << 10;

/// A body that is handed on in pieces.
struct Pieces(&'static [u8]);

impl Pieces {
    fn of(bytes: &'static [u8]) -> BoxBody {
        if bytes.len() <= PIECE { BoxBody::new(Bytes::from_static(bytes)) } else { BoxBody::new(Self(bytes)) }
    }
}

impl MessageBody for Pieces {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let (piece, rest) = self.0.split_at(self.0.len().min(PIECE));
        self.0 = rest;
        Poll::Ready((!piece.is_empty()).then(|| Ok(Bytes::from_static(piece))))
    }
}

/// Every answer depends on what the client accepts, errors included.
fn builder(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header((header::VARY, HeaderValue::from_static("accept-encoding")));
    response
}

fn tagged(status: StatusCode, variant: &Variant) -> HttpResponseBuilder {
    let mut response = builder(status);
    response.insert_header((header::ETAG, HeaderValue::from_static(variant.etag)));
    response
}

/// What the request's conditions on the representation come to.
enum Condition {
    Holds,
    /// The client already has it.
    Unchanged,
    /// The client wants only another one.
    Fails,
}

fn condition(req: &HttpRequest, etag: &'static str) -> Condition {
    if req.headers().contains_key(header::IF_MATCH) {
        let tag = entity_tag(etag);
        let wanted = match req.get_header::<IfMatch>() {
            Some(IfMatch::Any) => true,
            Some(IfMatch::Items(wanted)) => wanted.iter().any(|other| other.strong_eq(&tag)),
            None => false,
        };
        if !wanted {
            return Condition::Fails;
        }
    }
    let Some(held) = only(req, &header::IF_NONE_MATCH) else { return Condition::Holds };
    let unchanged = held.is_some_and(|held| held.as_bytes() == etag.as_bytes())
        || match req.get_header::<IfNoneMatch>() {
            Some(IfNoneMatch::Any) => true,
            Some(IfNoneMatch::Items(held)) => held.iter().any(|other| other.weak_eq(&entity_tag(etag))),
            None => false,
        };
    if unchanged { Condition::Unchanged } else { Condition::Holds }
}

/// `None` when there is no such header, its value when it came once.
fn only<'a>(req: &'a HttpRequest, name: &HeaderName) -> Option<Option<&'a HeaderValue>> {
    let mut values = req.headers().get_all(name);
    let first = values.next()?;
    Some(values.next().is_none().then_some(first))
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
    fn asked_for(req: &HttpRequest, variant: &Variant) -> Self {
        let Some(asked) = only(req, &header::RANGE) else { return Self::Whole };
        // The typed header drops the ranges it cannot read, so that what is left may look like a single one.
        let is_one = asked.is_some_and(|asked| !asked.as_bytes().contains(&b','));
        if req.method() != Method::GET || !is_one || !if_range_holds(req, variant.etag) {
            return Self::Whole;
        }
        let Some(Range::Bytes(ranges)) = req.get_header() else { return Self::Whole };
        let [range] = ranges.as_slice() else { return Self::Whole };
        let bytes = variant.bytes;
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

/// Whether a range may be cut from what is served now. Nothing here has a date, so a date never matches.
fn if_range_holds(req: &HttpRequest, etag: &'static str) -> bool {
    match req.get_header::<IfRange>() {
        Some(IfRange::EntityTag(held)) => held.strong_eq(&entity_tag(etag)),
        Some(IfRange::Date(_)) => false,
        None => !req.headers().contains_key(header::IF_RANGE),
    }
}

fn entity_tag(etag: &str) -> EntityTag {
    EntityTag::new_strong(etag.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use actix_web::http::header::{HeaderName, IF_NONE_MATCH, IF_RANGE, RANGE};
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, web};

    use super::*;
    use crate::web::assets::ASSETS;

    static DIGITS: Asset = Asset {
        name: "digits-0.txt",
        mime: "text/plain",
        identity: Variant { bytes: b"0123456789", etag: "\"whole\"" },
        br: Some(Variant { bytes: b"br", etag: "\"brotli\"" }),
        gzip: Some(Variant { bytes: b"gzip", etag: "\"gzip\"" }),
    };
    static SMALL: Asset = Asset {
        name: "small-0.txt",
        mime: "text/plain",
        identity: Variant { bytes: b"0", etag: "\"small\"" },
        br: None,
        gzip: None,
    };

    fn get(headers: &[(HeaderName, &str)]) -> HttpResponse {
        ask(Method::GET, &DIGITS, headers)
    }

    fn ask(method: Method, asset: &'static Asset, headers: &[(HeaderName, &str)]) -> HttpResponse {
        let request = TestRequest::default().method(method);
        let request = headers.iter().fold(request, |request, header| request.append_header(header.clone()));
        let response = respond(&request.to_http_request(), asset);
        assert_eq!(header_of(&response, header::VARY), "accept-encoding", "every answer depends on it");
        response
    }

    fn header_of(response: &HttpResponse, name: HeaderName) -> &str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    async fn body_of(response: HttpResponse) -> Bytes {
        to_bytes(response.into_body()).await.unwrap()
    }

    #[actix_web::test]
    async fn the_client_gets_the_coding_it_likes_best() {
        for (accepted, coding, body) in [
            ("", "", "0123456789"),
            ("gzip, deflate, br, zstd", "br", "br"),
            ("gzip, deflate", "gzip", "gzip"),
            ("br;q=0.5, gzip", "gzip", "gzip"),
            ("br;q=0.2, gzip;q=0.3, identity;q=0.9", "", "0123456789"),
            ("br;q=0, gzip;q=0", "", "0123456789"),
            ("identity", "", "0123456789"),
            ("zstd", "", "0123456789"),
            ("*", "br", "br"),
            ("br;q=0, *", "gzip", "gzip"),
            ("*;q=0.5, identity;q=0", "br", "br"),
            ("gzip;q=0.1, *;q=0", "gzip", "gzip"),
            ("identity;q=1, *;q=0", "", "0123456789"),
        ] {
            let response = get(&[(header::ACCEPT_ENCODING, accepted)]);
            assert_eq!(response.status(), StatusCode::OK, "{accepted}");
            assert_eq!(header_of(&response, header::CONTENT_ENCODING), coding, "{accepted}");
            assert_eq!(header_of(&response, header::CONTENT_TYPE), "text/plain");
            assert_eq!(body_of(response).await, body, "{accepted}");
        }
    }

    #[actix_web::test]
    async fn who_says_nothing_of_codings_gets_none() {
        assert_eq!(body_of(get(&[])).await, "0123456789");
    }

    #[actix_web::test]
    async fn a_file_too_small_to_compress_comes_as_it_is() {
        let response = ask(Method::GET, &SMALL, &[(header::ACCEPT_ENCODING, "br, gzip")]);
        assert_eq!(header_of(&response, header::CONTENT_ENCODING), "");
        assert_eq!(body_of(response).await, "0");
    }

    #[actix_web::test]
    async fn who_refuses_every_coding_is_told_so() {
        for refused in ["*;q=0", "identity;q=0", "br;q=0, gzip;q=0, identity;q=0"] {
            let response = get(&[(header::ACCEPT_ENCODING, refused)]);
            assert_eq!(response.status(), StatusCode::NOT_ACCEPTABLE, "{refused}");
            assert_eq!(response.body().size(), BodySize::Sized(0));
        }
    }

    #[actix_web::test]
    async fn each_coding_has_a_strong_tag_of_its_own() {
        for (accepted, tag) in [("br", "\"brotli\""), ("gzip", "\"gzip\""), ("identity", "\"whole\"")] {
            assert_eq!(header_of(&get(&[(header::ACCEPT_ENCODING, accepted)]), header::ETAG), tag);
        }
    }

    #[actix_web::test]
    async fn what_the_client_holds_is_not_sent_again() {
        for held in ["\"whole\"", "W/\"whole\"", "\"other\", W/\"whole\"", "*"] {
            for method in [Method::GET, Method::HEAD] {
                let response = ask(method, &DIGITS, &[(IF_NONE_MATCH, held), (RANGE, "bytes=0-0")]);
                assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{held}");
                assert_eq!(header_of(&response, header::ETAG), "\"whole\"");
                assert_eq!(body_of(response).await, "");
            }
        }
    }

    #[actix_web::test]
    async fn the_tag_of_another_coding_is_not_held() {
        for held in ["\"other\"", "\"brotli\"", "nonsense", ""] {
            assert_eq!(get(&[(IF_NONE_MATCH, held)]).status(), StatusCode::OK, "{held}");
        }
    }

    #[actix_web::test]
    async fn who_wants_only_one_that_is_not_served_is_told_so() {
        for (wanted, status) in [
            ("\"whole\"", StatusCode::OK),
            ("\"other\", \"whole\"", StatusCode::OK),
            ("*", StatusCode::OK),
            ("\"other\"", StatusCode::PRECONDITION_FAILED),
            ("W/\"whole\"", StatusCode::PRECONDITION_FAILED),
        ] {
            assert_eq!(get(&[(header::IF_MATCH, wanted)]).status(), status, "{wanted}");
        }
    }

    #[actix_web::test]
    async fn a_range_or_a_condition_that_comes_twice_is_a_list() {
        let twice = get(&[(RANGE, "bytes=0-0"), (RANGE, "bytes=2-2")]);
        assert_eq!(twice.status(), StatusCode::OK);
        let twice = get(&[(IF_NONE_MATCH, "\"other\""), (IF_NONE_MATCH, "\"whole\"")]);
        assert_eq!(twice.status(), StatusCode::NOT_MODIFIED);
    }

    #[actix_web::test]
    async fn one_range_is_cut_out() {
        for (range, content_range, body) in [
            ("bytes=2-4", "bytes 2-4/10", "234"),
            ("bytes=7-", "bytes 7-9/10", "789"),
            ("bytes=-2", "bytes 8-9/10", "89"),
            ("bytes=0-0", "bytes 0-0/10", "0"),
            ("bytes=5-1000", "bytes 5-9/10", "56789"),
            ("bytes=-1000", "bytes 0-9/10", "0123456789"),
        ] {
            let response = get(&[(RANGE, range)]);
            assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT, "{range}");
            assert_eq!(header_of(&response, header::CONTENT_RANGE), content_range);
            assert_eq!(header_of(&response, header::ACCEPT_RANGES), "bytes");
            assert_eq!(header_of(&response, header::ETAG), "\"whole\"");
            assert_eq!(body_of(response).await, body, "{range}");
        }
    }

    #[actix_web::test]
    async fn a_range_is_cut_from_the_chosen_coding() {
        let response = get(&[(RANGE, "bytes=1-"), (header::ACCEPT_ENCODING, "gzip")]);
        assert_eq!(header_of(&response, header::CONTENT_RANGE), "bytes 1-3/4");
        assert_eq!(header_of(&response, header::CONTENT_ENCODING), "gzip");
        assert_eq!(body_of(response).await, "zip");
    }

    #[actix_web::test]
    async fn a_range_behind_the_end_cannot_be_served() {
        for range in ["bytes=10-", "bytes=10-20", "bytes=-0"] {
            let response = get(&[(RANGE, range)]);
            assert_eq!(response.status(), StatusCode::RANGE_NOT_SATISFIABLE, "{range}");
            assert_eq!(header_of(&response, header::CONTENT_RANGE), "bytes */10");
            assert_eq!(body_of(response).await, "");
        }
    }

    #[actix_web::test]
    async fn ranges_that_are_many_or_unreadable_get_the_whole() {
        for range in ["bytes=0-1,3-4", "bytes=0-1,x", "bytes=4-2", "bytes=x", "bytes=", "lines=1-2", "0-1"] {
            let response = get(&[(RANGE, range)]);
            assert_eq!(response.status(), StatusCode::OK, "{range}");
            assert_eq!(header_of(&response, header::CONTENT_RANGE), "");
            assert_eq!(body_of(response).await, "0123456789", "{range}");
        }
    }

    #[actix_web::test]
    async fn a_range_of_an_older_file_gets_the_whole_new_one() {
        for (held, status) in [
            ("\"whole\"", StatusCode::PARTIAL_CONTENT),
            ("W/\"whole\"", StatusCode::OK),
            ("\"brotli\"", StatusCode::OK),
            ("Sat, 29 Oct 1994 19:43:31 GMT", StatusCode::OK),
            ("nonsense", StatusCode::OK),
        ] {
            assert_eq!(get(&[(RANGE, "bytes=0-0"), (IF_RANGE, held)]).status(), status, "{held}");
        }
    }

    #[actix_web::test]
    async fn head_tells_the_length_of_the_whole() {
        let response = ask(Method::HEAD, &DIGITS, &[(RANGE, "bytes=0-0")]);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.body().size(), BodySize::Sized(10));
    }

    #[actix_web::test]
    async fn only_exact_fingerprinted_names_are_known() {
        let app = App::new().app_data(Assets(ASSETS)).route("/static/{name:.*}", web::get().to(asset));
        let app = init_service(app).await;
        for known in ASSETS {
            let request = TestRequest::with_uri(&format!("/static/{}", known.name)).to_request();
            let response = call_service(&app, request).await;
            assert_eq!(response.status(), StatusCode::OK, "{}", known.name);
            assert_eq!(to_bytes(response.into_body()).await.unwrap(), known.identity.bytes);
        }
        for unknown in ["style.css", "", "style-0000000000000000.css", "../Cargo.toml", "index.html"] {
            let request = TestRequest::with_uri(&format!("/static/{unknown}")).to_request();
            assert_eq!(call_service(&app, request).await.status(), StatusCode::NOT_FOUND, "{unknown}");
        }
    }

    #[actix_web::test]
    async fn the_page_names_fingerprinted_files_that_exist() {
        let app = init_service(App::new().route("/", web::get().to(page))).await;
        let response = call_service(&app, TestRequest::default().to_request()).await;
        assert_eq!(response.headers().get(header::CONTENT_TYPE).unwrap(), "text/html; charset=utf-8");
        let html = to_bytes(response.into_body()).await.unwrap();
        let html = std::str::from_utf8(&html).unwrap();
        let names: Vec<_> =
            html.split("/static/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(!names.is_empty());
        assert!(names.iter().all(|name| Assets(ASSETS).find(name).is_some()), "{names:?}");
    }

    #[actix_web::test]
    async fn a_large_body_comes_whole_in_pieces() {
        for length in [0, 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 5] {
            let bytes: Vec<_> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let body = Pieces::of(bytes.clone().leak());
            assert_eq!(body.size(), BodySize::Sized(length as u64));
            assert_eq!(to_bytes(body).await.unwrap(), bytes);
        }
    }
}
