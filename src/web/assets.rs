//! The web client, embedded by `build.rs`: fingerprinted names, each file compressed once when the server was built.

use crate::web::coding::Coding;
use crate::web::earlier_assets::EarlierAssets;

/// One embedded file.
#[derive(Debug, Clone, Copy)]
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
#[derive(Debug, Clone, Copy)]
pub struct Variant {
    /// What is sent.
    pub bytes: &'static [u8],
    /// The strong entity tag of just these bytes.
    pub etag: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The files served under `/static/`, by name. Found in the application's data.
#[derive(Debug, Clone, Copy)]
pub struct Assets(pub &'static [Asset]);

/// The files of this release as they are kept for the releases after it: each encoding by the name it has there.
pub fn to_keep() -> impl Iterator<Item = (String, &'static [u8])> {
    ASSETS.iter().flat_map(|asset| {
        let encodings = [Coding::Identity, Coding::Brotli, Coding::Gzip].into_iter();
        encodings.filter_map(|coding| {
            let variant = asset.variant(coding)?;
            Some((EarlierAssets::file_name(asset.name, coding), variant.bytes))
        })
    })
}

impl Assets {
    /// The file of exactly this fingerprinted name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&'static Asset> {
        self.0.binary_search_by(|asset| asset.name.cmp(name)).ok().and_then(|at| self.0.get(at))
    }
}

impl Asset {
    /// The file in this coding, where there is one.
    #[must_use]
    pub const fn variant(&self, coding: Coding) -> Option<&Variant> {
        match coding {
            Coding::Brotli => self.br.as_ref(),
            Coding::Gzip => self.gzip.as_ref(),
            Coding::Identity => Some(&self.identity),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_in_order_and_small_variants_are_smaller() {
        assert!(ASSETS.is_sorted_by(|a, b| a.name < b.name));
        for asset in ASSETS.iter().chain([&INDEX_HTML, &DOCS_HTML]) {
            for small in asset.br.iter().chain(&asset.gzip) {
                assert!(small.bytes.len() < asset.identity.bytes.len(), "{}", asset.name);
                assert_ne!(small.etag, asset.identity.etag);
            }
        }
    }
}
