//! A file to ask for, and an answer as it came.

use actix_web::HttpResponse;
use actix_web::body::MessageBody;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderName;
use actix_web::test::TestRequest;
use companion::web::assets::{Asset, Variant};
use companion::web::static_files::respond;

pub const LENGTH: usize = 1000;
static CONTENT: [u8; LENGTH] = {
    let mut content = [0; LENGTH];
    let mut at = 0;
    while at < LENGTH {
        content[at] = (at % 251) as u8;
        at += 1;
    }
    content
};

pub static FILE: Asset = Asset {
    name: "file-0123456789abcdef.js",
    mime: "text/javascript",
    identity: Variant { bytes: &CONTENT, etag: "\"whole\"" },
    br: Some(Variant { bytes: b"brotli", etag: "\"br\"" }),
    gzip: Some(Variant { bytes: b"gzip", etag: "\"gzip\"" }),
};

/// What a client gets.
pub struct Got {
    pub status: StatusCode,
    pub body: Vec<u8>,
    response: HttpResponse<()>,
}

pub fn ask(request: TestRequest) -> Got {
    let response = respond(&request.to_http_request(), &FILE);
    let (response, body) = response.into_parts();
    let body = body.try_into_bytes().unwrap_or_else(|_| panic!("a small file is in memory"));
    let got = Got { status: response.status(), body: body.to_vec(), response };
    assert_eq!(got.header("vary"), "accept-encoding", "every answer depends on it");
    got
}

impl Got {
    pub fn header(&self, name: &'static str) -> &str {
        let name = HeaderName::from_static(name);
        self.response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }
}
