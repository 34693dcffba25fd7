//! Memories as Qdrant's points, questions as its queries, and back.

use qdrant_client::Payload;
use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::vector;
use qdrant_client::qdrant::{
    Condition, DeletePoints, DeletePointsBuilder, Filter, GetPoints, GetPointsBuilder, IdfParamsBuilder,
    NamedVectors, PayloadIncludeSelector, PointId, PointStruct, PointsOperationResponse, Query,
    QueryBatchPoints, QueryBatchPointsBuilder, QueryBatchResponse, QueryPoints, QueryPointsBuilder,
    RetrievedPoint, ScoredPoint, ScrollPoints, ScrollPointsBuilder, ScrollResponse, SearchParamsBuilder,
    UpdateStatus, UpsertPoints, UpsertPointsBuilder, Vector, VectorInput,
};

use crate::domain::clock::Timestamp;
use crate::domain::memory::MemoryId;
use crate::domain::memory::copy::{Asked, Copied, CopyError, Hit, Page, Point, Sparse};
use crate::domain::memory::mixing::{Listed, Lists, mix};
use crate::domain::session::PublicId;

pub(super) const ALONE: &str = "alone";
pub(super) const AROUND: &str = "around";
pub(super) const DENSE: &str = "dense";
pub(super) const PERSON: &str = "person";
const SAID_AT: &str = "said_at";
const PRINT: &str = "print";

/// Points in one request: together far below what gRPC takes.
pub(super) const AT_ONCE: usize = 100;
/// Of a list by words so many candidates for one that is wanted, and at least and at most so many.
const CANDIDATES: usize = 10;
const FEWEST: usize = 200;
/// Of the list by meaning always so many: how alike the usual memory is shows only among those that are not.
const MOST: usize = 1000;

pub(super) fn parts(points: Vec<Point>) -> impl Iterator<Item = Vec<Point>> {
    let mut rest = points.into_iter();
    std::iter::from_fn(move || {
        let part: Vec<Point> = rest.by_ref().take(AT_ONCE).collect();
        (!part.is_empty()).then_some(part)
    })
}

fn point_id(id: MemoryId) -> PointId {
    PointIdOptions::Uuid(id.to_string()).into()
}

/// Strictly this person's, whatever is asked.
fn of_person(person: PublicId) -> Filter {
    Filter::must([Condition::matches(PERSON, person.to_string())])
}

pub(super) fn put(collection: &str, points: Vec<Point>) -> UpsertPoints {
    let points: Vec<PointStruct> = points.into_iter().map(point_struct).collect();
    UpsertPointsBuilder::new(collection, points).wait(true).build()
}

fn point_struct(point: Point) -> PointStruct {
    let mut payload = Payload::new();
    payload.insert(PERSON, point.person.to_string());
    payload.insert(SAID_AT, point.said_at.as_millis());
    payload.insert(PRINT, point.print);
    let mut vectors = NamedVectors::default();
    for (name, sparse) in [(ALONE, point.alone), (AROUND, point.around)] {
        // A memory without any word that counts is there, and is found by none.
        if !sparse.terms.is_empty() {
            vectors.vectors.insert(name.to_owned(), sparse_vector(sparse));
        }
    }
    if let Some(dense) = point.dense {
        let dense = vector::Vector::Dense(dense.into());
        vectors.vectors.insert(DENSE.to_owned(), Vector { vector: Some(dense), ..Vector::default() });
    }
    PointStruct::new(point_id(point.id), vectors, payload)
}

fn sparse_vector(sparse: Sparse) -> Vector {
    let sparse = vector::Vector::Sparse((sparse.terms, sparse.weights).into());
    Vector { vector: Some(sparse), ..Vector::default() }
}

pub(super) fn take_out(collection: &str, ids: &[MemoryId]) -> DeletePoints {
    let ids: Vec<PointId> = ids.iter().copied().map(point_id).collect();
    DeletePointsBuilder::new(collection).points(ids).wait(true).build()
}

/// Only what was carried out is struck off, not what was merely taken note of.
pub(super) fn confirmed(response: &PointsOperationResponse) -> Result<(), CopyError> {
    match response.result.as_ref().map(|result| result.status()) {
        Some(UpdateStatus::Completed) => Ok(()),
        _ => Err(CopyError::Garbage("it did not confirm a change")),
    }
}

pub(super) fn questions(collection: &str, asked: &Asked) -> QueryBatchPoints {
    let words = Sparse::question(&asked.terms);
    let limit = (asked.limit * CANDIDATES).clamp(FEWEST, MOST);
    let by_words = |name: &str| {
        let input = VectorInput::new_sparse(words.terms.clone(), words.weights.clone());
        let idf = IdfParamsBuilder::new().corpus(of_person(asked.person));
        let params = SearchParamsBuilder::default().idf(idf);
        question(collection, name, input, asked).limit(limit as u64).params(params).build()
    };
    let lists = if asked.terms.is_empty() { &[][..] } else { &[ALONE, AROUND] };
    let mut questions: Vec<QueryPoints> = lists.iter().copied().map(by_words).collect();
    if let Some(dense) = &asked.dense {
        // One person's points are few enough to look at each.
        let params = SearchParamsBuilder::default().exact(true);
        let input = VectorInput::new_dense(dense.clone());
        let question = question(collection, DENSE, input, asked).limit(MOST as u64);
        questions.push(question.params(params).build());
    }
    QueryBatchPointsBuilder::new(collection, questions).build()
}

fn question(collection: &str, name: &str, input: VectorInput, asked: &Asked) -> QueryPointsBuilder {
    QueryPointsBuilder::new(collection)
        .query(Query::new_nearest(input))
        .using(name)
        .filter(of_person(asked.person))
        .with_payload(PayloadIncludeSelector { fields: vec![SAID_AT.to_owned()] })
}

pub(super) fn answers(response: QueryBatchResponse, asked: &Asked) -> Result<Vec<Hit>, CopyError> {
    let mut lists = response.result.into_iter().map(|list| listed(list.result));
    let mut next = |wanted: bool| match wanted.then(|| lists.next()) {
        Some(list) => {
            list.unwrap_or(Err(CopyError::Garbage("it answered fewer questions than it was asked")))
        }
        None => Ok(Vec::new()),
    };
    let by_words = !asked.terms.is_empty();
    let lists =
        Lists { alone: next(by_words)?, around: next(by_words)?, dense: next(asked.dense.is_some())? };
    Ok(mix(&lists, asked.limit, asked.now))
}

fn listed(points: Vec<ScoredPoint>) -> Result<Vec<Listed>, CopyError> {
    let one = |point: ScoredPoint| {
        let id = memory_id(point.id.as_ref())?;
        let said_at = point.payload.get(SAID_AT)?.as_integer()?;
        Some((id, Timestamp::from_millis(said_at), point.score))
    };
    points.into_iter().map(|point| one(point).ok_or(STRANGE)).collect()
}

const STRANGE: CopyError = CopyError::Garbage("it holds a point that is not ours");

fn memory_id(id: Option<&PointId>) -> Option<MemoryId> {
    match id?.point_id_options.as_ref()? {
        PointIdOptions::Uuid(id) => id.parse().ok(),
        PointIdOptions::Num(_) => None,
    }
}

pub(super) fn page(collection: &str, from: Option<MemoryId>, limit: u32) -> ScrollPoints {
    let page =
        ScrollPointsBuilder::new(collection).limit(limit).with_payload(print_alone()).with_vectors(false);
    match from {
        Some(from) => page.offset(point_id(from)).build(),
        None => page.build(),
    }
}

fn print_alone() -> PayloadIncludeSelector {
    PayloadIncludeSelector { fields: vec![PRINT.to_owned()] }
}

pub(super) fn paged(response: ScrollResponse) -> Result<Page, CopyError> {
    let next = response.next_page_offset.map(|next| memory_id(Some(&next)).ok_or(STRANGE)).transpose()?;
    Ok((copied(&response.result)?, next))
}

pub(super) fn named(collection: &str, ids: &[MemoryId]) -> GetPoints {
    let ids: Vec<PointId> = ids.iter().copied().map(point_id).collect();
    GetPointsBuilder::new(collection, ids).with_payload(print_alone()).with_vectors(false).build()
}

pub(super) fn copied(points: &[RetrievedPoint]) -> Result<Vec<Copied>, CopyError> {
    let one = |point: &RetrievedPoint| {
        let id = memory_id(point.id.as_ref())?;
        // One without a print is one of ours that somebody has changed: as good as wrong.
        let print = point.payload.get(PRINT).and_then(|print| print.as_integer()).unwrap_or_default();
        Some(Copied { id, print })
    };
    points.iter().map(|point| one(point).ok_or(STRANGE)).collect()
}

#[cfg(test)]
mod tests {
    use qdrant_client::qdrant::UpdateResult;

    use super::*;
    use crate::domain::memory::words::terms;

    #[test]
    fn a_request_carries_a_hundred_points_and_no_more() {
        let id = PublicId::from_bytes([1; 16]);
        let point = || Point::new((id, id, Timestamp::from_millis(5)), &terms("tea"), &[], None);
        for (points, requests) in [(100, vec![100]), (101, vec![100, 1]), (0, vec![])] {
            let carried = parts((0..points).map(|_| point()).collect());
            assert_eq!(carried.map(|part| part.len()).collect::<Vec<_>>(), requests);
        }
    }

    #[test]
    fn so_many_candidates_are_asked_for_by_words_and_by_meaning() {
        for (limit, by_words) in [(1, 200), (20, 200), (21, 210), (100, 1000), (101, 1000)] {
            let asked = Asked {
                person: PublicId::from_bytes([1; 16]),
                terms: terms("tea"),
                dense: Some(vec![1.0]),
                limit,
                now: Timestamp::from_millis(5),
            };
            let asked_for = questions("memories", &asked).query_points;
            let limits: Vec<_> = asked_for.iter().filter_map(|question| question.limit).collect();
            assert_eq!(limits, [by_words, by_words, 1000], "{limit} wanted");
        }
    }

    #[test]
    fn a_change_waits_until_it_is_carried_out_and_only_then_counts() {
        let id = PublicId::from_bytes([1; 16]);
        let point = Point::new((id, id, Timestamp::from_millis(5)), &terms("tea"), &[], None);
        assert_eq!(put("memories", vec![point]).wait, Some(true));
        assert_eq!(take_out("memories", &[id]).wait, Some(true));
        let answered = |status: Option<UpdateStatus>| {
            let result =
                status.map(|status| UpdateResult { status: status.into(), ..UpdateResult::default() });
            confirmed(&PointsOperationResponse { result, ..PointsOperationResponse::default() })
        };
        assert!(answered(Some(UpdateStatus::Completed)).is_ok());
        for other in [Some(UpdateStatus::Acknowledged), Some(UpdateStatus::ClockRejected), None] {
            assert!(answered(other).is_err(), "{other:?}");
        }
    }
}
