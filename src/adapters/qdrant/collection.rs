//! The collection: what it looks like, whose it is, and a new one.
//!
//! Two sparse vectors, of a memory's words and of those around it, whose rarity Qdrant counts; one dense vector where meanings are
//! known; an index of the person, by which every question is narrowed. Whose copy it is stands in the collection's metadata.

use std::collections::HashMap;

use qdrant_client::qdrant::payload_index_params::IndexParams;
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    CollectionInfo, CreateCollection, CreateFieldIndexCollectionBuilder, Distance, FieldType,
    KeywordIndexParamsBuilder, Modifier, SparseVectorConfig, SparseVectorParams, Value, VectorParams,
    VectorParamsMap, VectorsConfig,
};
use qdrant_client::{Qdrant as Client, QdrantError};

use super::Place;
use super::points::{ALONE, AROUND, DENSE, PERSON};
use crate::domain::memory::copy::{CopyError, Edition, Standing};
use crate::domain::session::PublicId;

/// The first release that counts the rarity of words among one person's points.
const OLDEST: (u32, u32) = (1, 19);
const OWNER: &str = "companion_owner";
const GENERATION: &str = "companion_copy";

/// What was seen.
pub(super) struct Seen {
    version: String,
    collection: Option<CollectionInfo>,
}

pub(super) async fn look(client: &Client, collection: &str) -> Result<Seen, QdrantError> {
    let version = client.health_check().await?.version;
    let there = client.collection_exists(collection).await?;
    let collection = if there { client.collection_info(collection).await?.result } else { None };
    Ok(Seen { version, collection })
}

pub(super) fn judge(
    place: &Place,
    seen: &Seen,
    owner: [u8; 16],
    known: Option<Edition>,
) -> Result<Standing, CopyError> {
    if version(&seen.version) < Some(OLDEST) {
        return Err(CopyError::TooOld { found: seen.version.chars().take(40).collect() });
    }
    let Some(collection) = &seen.collection else { return Ok(Standing::Nothing) };
    let config = collection.config.as_ref();
    let mark = |name| config.and_then(|config| mark(config.metadata.get(name)?));
    let (Some(whose), Some(generation)) = (mark(OWNER), mark(GENERATION)) else {
        return Err(CopyError::Anothers(place.collection.clone()));
    };
    if whose != owner {
        return Err(CopyError::Anothers(place.collection.clone()));
    }
    // Another one than the known is begun anew, whatever its shape.
    let known = known.filter(|known| known.generation == generation);
    match known.and_then(|known| difference(known.dimensions, collection)) {
        Some(differs) => Err(CopyError::Shape { collection: place.collection.clone(), differs }),
        None => Ok(Standing::Ours(generation)),
    }
}

/// `1.19.0` is 1 and 19.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim_start_matches('v').split(['.', '-']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn mark(value: &Value) -> Option<[u8; 16]> {
    let id: PublicId = value.as_str()?.parse().ok()?;
    Some(*id.as_bytes())
}

fn difference(wanted: Option<u32>, collection: &CollectionInfo) -> Option<String> {
    let params = collection.config.as_ref().and_then(|config| config.params.as_ref());
    let sparse = params.and_then(|params| params.sparse_vectors_config.as_ref());
    for name in [ALONE, AROUND] {
        let modifier = sparse.and_then(|sparse| sparse.map.get(name)).map(SparseVectorParams::modifier);
        if modifier != Some(Modifier::Idf) {
            return Some(format!("does not count the rarity of words ({name})"));
        }
    }
    let dense = match params.and_then(|params| params.vectors_config.as_ref()?.config.as_ref()) {
        Some(Config::ParamsMap(vectors)) => vectors.map.get(DENSE),
        Some(Config::Params(_)) | None => None,
    };
    let (holds, wanted) = (dense.map(|dense| dense.size), wanted.map(u64::from));
    if holds != wanted {
        let told = |size: Option<u64>| size.map_or("no".to_owned(), |size| format!("{size}"));
        return Some(format!(
            "holds vectors of meanings with {} dimensions, those made now have {}",
            told(holds),
            told(wanted)
        ));
    }
    if dense.is_some_and(|dense| dense.distance() != Distance::Cosine) {
        return Some("does not measure by the cosine".to_owned());
    }
    None
}

impl Seen {
    /// Whether the person is indexed: without that, each question would look at everybody's points.
    pub(super) fn has_index(&self) -> bool {
        self.collection.as_ref().is_some_and(|collection| collection.payload_schema.contains_key(PERSON))
    }
}

pub(super) async fn begin(
    client: &Client,
    place: &Place,
    owner: [u8; 16],
    new: Edition,
) -> Result<(), QdrantError> {
    let name = &place.collection;
    if client.collection_exists(name).await? {
        client.delete_collection(name).await?;
    }
    client.create_collection(wanted(place, owner, new)).await?;
    index_persons(client, name).await
}

pub(super) async fn index_persons(client: &Client, collection: &str) -> Result<(), QdrantError> {
    let person =
        IndexParams::KeywordIndexParams(KeywordIndexParamsBuilder::default().is_tenant(true).build());
    let index = CreateFieldIndexCollectionBuilder::new(collection, PERSON, FieldType::Keyword)
        .field_index_params(person)
        .wait(true);
    client.create_field_index(index).await?;
    Ok(())
}

fn wanted(place: &Place, owner: [u8; 16], new: Edition) -> CreateCollection {
    let sparse = SparseVectorParams { modifier: Some(Modifier::Idf.into()), ..SparseVectorParams::default() };
    let sparse = [ALONE, AROUND].map(|name| (name.to_owned(), sparse));
    let dense = new.dimensions.map(|size| {
        let size = size.into();
        let params = VectorParams { size, distance: Distance::Cosine.into(), ..VectorParams::default() };
        (DENSE.to_owned(), params)
    });
    let dense = VectorParamsMap { map: dense.into_iter().collect() };
    let text = |bytes| Value::from(PublicId::from_bytes(bytes).to_string());
    CreateCollection {
        collection_name: place.collection.clone(),
        vectors_config: Some(VectorsConfig { config: Some(Config::ParamsMap(dense)) }),
        sparse_vectors_config: Some(SparseVectorConfig { map: HashMap::from(sparse) }),
        metadata: HashMap::from([
            (OWNER.to_owned(), text(owner)),
            (GENERATION.to_owned(), text(new.generation)),
        ]),
        ..CreateCollection::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        for (text, read) in [
            ("1.19.0", Some((1, 19))),
            ("v1.20.1-dev", Some((1, 20))),
            ("1.9", Some((1, 9))),
            ("", None),
            ("latest", None),
        ] {
            assert_eq!(version(text), read, "{text}");
        }
        assert!(Some((1, 9)) < Some(OLDEST) && Some((2, 0)) > Some(OLDEST) && None < Some(OLDEST));
    }
}
