//! `Origin`, and `Host` in the second line: only our own pages and those allowed are not foreign.

use actix_web::http::header::{HOST, ORIGIN};
use actix_web::test::TestRequest;
use actix_web::web;
use companion::web::middleware::foreign_origin::{AllowedOrigins, is_foreign};

use super::{header, lines, with};

const ALLOWED: &str = "https://app.example.org";

pub fn target(data: &[u8]) {
    let mut lines = lines(data);
    let (origin, host) = (header(&mut lines), header(&mut lines));
    let allowed = web::Data::new(AllowedOrigins(vec![ALLOWED.to_owned()]));
    let request = with(TestRequest::post().app_data(allowed), ORIGIN, origin.as_ref());
    let foreign = is_foreign(&with(request, HOST, host.as_ref()).to_srv_request());
    let Some(origin) = origin else {
        assert!(!foreign, "who is no browser tells nothing");
        return;
    };
    let same = |a: &[u8], b: &[u8]| a.eq_ignore_ascii_case(b);
    let sites = ["http://", "https://"]
        .map(|scheme| [scheme.as_bytes(), host.as_ref().map_or(&b""[..], |host| host.as_bytes())].concat());
    let ours = host.as_ref().is_some_and(|host| host.to_str().is_ok())
        && sites.iter().any(|site| same(site, origin.as_bytes()));
    if ours || same(origin.as_bytes(), ALLOWED.as_bytes()) {
        assert!(!foreign, "{origin:?} at {host:?}");
    }
    if !foreign && !same(origin.as_bytes(), ALLOWED.as_bytes()) {
        let host = host.unwrap();
        let (scheme, site) = origin.to_str().unwrap().split_once("://").unwrap();
        assert!(same(site.as_bytes(), host.as_bytes()), "{scheme}: {site} is not {host:?}");
    }
}
