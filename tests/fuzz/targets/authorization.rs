//! `Authorization`: a token is what stands behind `Bearer`, and nothing else.

use actix_web::http::header::AUTHORIZATION;
use actix_web::test::TestRequest;
use companion::web::access::bearer;

use super::{header, lines, with};

pub fn target(data: &[u8]) {
    let value = header(&mut lines(data));
    let request = with(TestRequest::get(), AUTHORIZATION, value.as_ref()).to_http_request();
    let token = bearer(&request);
    let text = value.as_ref().and_then(|value| value.to_str().ok());
    let expected =
        text.filter(|text| text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer ")));
    assert_eq!(token, expected.and_then(|text| text.get(7..)).map(str::trim));
}
