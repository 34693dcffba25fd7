//! Fingerprinted files of the two releases before this one, straight from disk through actix-files: a page that was cached
//! before an upgrade still finds what it refers to.
//!
//! What may be asked for is listed when the server starts; a name in a request is only ever looked up in that list.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use actix_files::NamedFile;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::web::coding::{Coding, negotiate};
use crate::web::error::ApiError;

/// Where one file lies in each of its codings.
#[derive(Debug, Default)]
struct Places(HashMap<Coding, PathBuf>);

/// The files of earlier releases, by name. Found in the application's data.
#[derive(Debug, Default)]
pub struct EarlierAssets(HashMap<String, Places>);

impl EarlierAssets {
    /// The name under which an encoding of a file is kept. A `/` never stands in a part of an asset's name, nor does `+`.
    #[must_use]
    pub fn file_name(asset: &str, coding: Coding) -> String {
        format!("{}{}", asset.replace('/', "+"), coding.ending())
    }

    /// Lists the files of the releases, the latest first. What is no fingerprinted file is left out.
    pub fn new(releases: impl IntoIterator<Item = Vec<PathBuf>>) -> Self {
        let mut found = Self::default();
        for release in releases {
            let mut of_release = HashMap::<String, Places>::new();
            for path in release {
                let Some((name, coding)) = path.file_name().and_then(|name| read_name(name.to_str()?)) else {
                    continue;
                };
                of_release.entry(name).or_default().0.insert(coding, path);
            }
            for (name, places) in of_release {
                found.0.entry(name).or_insert(places);
            }
        }
        found
    }

    /// Answers a GET or HEAD.
    ///
    /// # Errors
    /// [`ApiError::NotFound`] when no earlier release has such a file, or it has gone from the disk.
    pub async fn respond(&self, req: &HttpRequest, name: &str) -> Result<HttpResponse, ApiError> {
        let places = self.0.get(name).ok_or(ApiError::NotFound)?;
        let kind = kind_of(name).ok_or(ApiError::NotFound)?;
        let chosen = negotiate(req, |coding| places.0.contains_key(&coding));
        let Some((coding, path)) = chosen.and_then(|coding| Some((coding, places.0.get(&coding)?))) else {
            return Ok(varied(HttpResponse::NotAcceptable().finish()));
        };
        let path = path.clone();
        let opened = web::block(move || open(&path)).await;
        let file = opened.ok().and_then(Result::ok).ok_or(ApiError::NotFound)?;
        let kind = kind.parse().map_err(|_| ApiError::NotFound)?;
        let file = file.set_content_type(kind).disable_content_disposition();
        let mut response = varied(file.into_response(req));
        if let Some(encoding) = coding.content_encoding() {
            response.headers_mut().insert(header::CONTENT_ENCODING, encoding);
        }
        Ok(response)
    }
}

fn varied(mut response: HttpResponse) -> HttpResponse {
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    response
}

/// Never what a link leads to.
fn open(path: &Path) -> io::Result<NamedFile> {
    let no_link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(no_link).open(path)?;
    NamedFile::from_file(file, path)
}

/// The asset's name and the coding that a file name tells.
fn read_name(file: &str) -> Option<(String, Coding)> {
    let packed = |coding: Coding| Some((file.strip_suffix(coding.ending())?, coding));
    let packed = packed(Coding::Brotli).or_else(|| packed(Coding::Gzip));
    let (name, coding) = packed.unwrap_or((file, Coding::Identity));
    let (stem, _) = name.rsplit_once('.')?;
    let (_, hash) = stem.rsplit_once('-')?;
    let is_hash = hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_hash && kind_of(name).is_some()).then(|| (name.replace('+', "/"), coding))
}

/// The content type of a fingerprinted file; what `build.rs` knows.
fn kind_of(name: &str) -> Option<&'static str> {
    Some(match name.rsplit('.').next()? {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "webmanifest" => "application/manifest+json",
        "json" => "application/json",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::assets::ASSETS;

    #[test]
    fn what_is_kept_is_found_again_under_its_name_and_kind() {
        for asset in ASSETS {
            for coding in [Coding::Brotli, Coding::Gzip, Coding::Identity] {
                let file = EarlierAssets::file_name(asset.name, coding);
                assert_eq!(read_name(&file), Some((asset.name.to_owned(), coding)));
            }
            assert_eq!(kind_of(asset.name), Some(asset.mime));
        }
        let nested = EarlierAssets::file_name("icons/mic-0123456789abcdef.svg", Coding::Gzip);
        assert_eq!(nested, "icons+mic-0123456789abcdef.svg.gz");
        assert_eq!(read_name(&nested), Some(("icons/mic-0123456789abcdef.svg".to_owned(), Coding::Gzip)));
    }

    #[test]
    fn what_is_no_fingerprinted_file_is_not_listed() {
        for name in
            ["a.js", "a-0123456789abcde.js", "a-0123456789abcdeg.js", "a-0123456789abcdef.exe", "-", ""]
        {
            assert_eq!(read_name(name), None, "{name}");
        }
    }

    #[test]
    fn of_two_files_of_one_name_the_later_releases_counts() {
        let name = "a-0123456789abcdef.js";
        let path = |release: &str, file: &str| PathBuf::from(format!("/{release}/{file}"));
        let gz = format!("{name}.gz");
        let found = EarlierAssets::new([vec![path("new", name)], vec![path("old", name), path("old", &gz)]]);
        let places = &found.0[name].0;
        assert_eq!((places.len(), &places[&Coding::Identity]), (1, &path("new", name)));
    }
}
