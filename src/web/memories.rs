//! Memories over HTTP: list, search, add, correct, forget.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{AnyOfBuilder, KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::app::memories::{MemoryChange, cursor_after, parse_cursor};
use crate::app::{App, AppError};
use crate::domain::clock::Timestamp;
use crate::domain::memory::{Found, MAX_SOURCE_CHARS, MAX_TEXT_CHARS, Memory, MemoryId};
use crate::domain::session::SessionId;
use crate::web::body::JsonBody;
use crate::web::error::ApiError;
use crate::web::openapi::ErrorBody;
use crate::web::person::CurrentPerson;
use crate::web::sessions::{bad_cursor, limit};

/// Something to see.
const VISIBLE: &str = "[^\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";

/// The body of `POST /memories`.
#[derive(Deserialize, ToSchema)]
pub struct AddBody {
    /// What is to be remembered; at most 2000 characters.
    #[schema(
        min_length = 1,
        max_length = 2000,
        pattern = "[^\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]"
    )]
    text: String,
    /// When it was said (RFC 3339); now, when left out.
    #[schema(format = DateTime)]
    said_at: Option<String>,
    /// Where it is from, at most 200 characters. Memories of one source are neighbours, which help each other to be found.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "[^\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]"
    )]
    source: Option<String>,
}

/// The body of `PATCH /memories/{id}`.
#[derive(Deserialize)]
pub struct CorrectBody {
    text: Option<String>,
    said_at: Option<String>,
    source: Option<String>,
}

/// A memory as its person sees it.
#[derive(Serialize, ToSchema)]
pub struct MemoryBody {
    /// Its id.
    id: MemoryId,
    /// What is remembered.
    text: String,
    /// When it was said.
    said_at: Timestamp,
    /// Where it is from.
    source: Option<String>,
    /// The conversation it was said in, while that is kept; none once it was corrected by hand.
    session_id: Option<SessionId>,
    /// When it was first remembered.
    created_at: Timestamp,
    /// Since when something else is true instead: it is kept, but no longer found.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    superseded_at: Option<Timestamp>,
    /// How well it answers, above 0 and at most 1; where something was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    score: Option<f32>,
}

/// A page of memories.
#[derive(Serialize, ToSchema)]
struct MemoriesBody {
    memories: Vec<MemoryBody>,
    next_cursor: Option<String>,
}

/// The query of `GET /memories`.
#[derive(Deserialize)]
pub struct ListQuery {
    q: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

impl ToSchema for CorrectBody {}

/// One of the three at least: that cannot be derived.
impl PartialSchema for CorrectBody {
    fn schema() -> RefOr<Schema> {
        let object = |needed: &str| {
            let property = |name: &str| {
                let kinds = if name == needed { vec![Type::String] } else { vec![Type::String, Type::Null] };
                let property = ObjectBuilder::new().schema_type(SchemaType::from_iter(kinds));
                match name {
                    "said_at" => property.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))),
                    "source" => {
                        property.min_length(Some(1)).max_length(Some(MAX_SOURCE_CHARS)).pattern(Some(VISIBLE))
                    }
                    _ => property.min_length(Some(1)).max_length(Some(MAX_TEXT_CHARS)).pattern(Some(VISIBLE)),
                }
            };
            ["text", "said_at", "source"]
                .into_iter()
                .fold(ObjectBuilder::new().required(needed), |object, name| {
                    object.property(name, property(name))
                })
        };
        AnyOfBuilder::new().item(object("text")).item(object("said_at")).item(object("source")).into()
    }
}

/// Lists what is remembered of the person, the newest first; with `q`, what answers it best, best first.
#[utoipa::path(
    get,
    path = "/api/v1/memories",
    operation_id = "list_memories",
    params(
        ("q" = Option<String>, Query, description = "What is looked for, at most 1000 characters", max_length = 1000),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of an earlier answer, without `q`",
         pattern = "^-?[0-9]{1,18}_[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"),
        ("limit" = Option<u32>, Query, description = "How many at most; 50 when left out", minimum = 1, maximum = 100),
    ),
    responses((status = 200, description = "The memories", body = MemoriesBody)),
    security(("person" = []), ("person_cookie" = [])),
)]
pub async fn list(
    app: web::Data<App>,
    person: CurrentPerson,
    query: web::Query<ListQuery>,
) -> Result<HttpResponse, ApiError> {
    let after = query.cursor.as_deref().map(|text| parse_cursor(text).ok_or_else(bad_cursor)).transpose()?;
    let limit = usize::try_from(limit(query.limit.as_deref())?).unwrap_or(usize::MAX);
    if let Some(asked) = query.q.as_deref().filter(|asked| !asked.trim().is_empty()) {
        let found = app.recall(person.0, asked, limit).await?;
        let memories = found.into_iter().map(MemoryBody::from).collect();
        return Ok(HttpResponse::Ok().json(MemoriesBody { memories, next_cursor: None }));
    }
    let (memories, more) = app.memories(person.0, after, limit).await?;
    let next_cursor = memories.last().filter(|_| more).map(cursor_after);
    let memories = memories.into_iter().map(MemoryBody::from).collect();
    Ok(HttpResponse::Ok().json(MemoriesBody { memories, next_cursor }))
}

/// Remembers something.
#[utoipa::path(
    post,
    path = "/api/v1/memories",
    request_body = AddBody,
    responses((status = 201, description = "The memory", body = MemoryBody)),
    security(("person" = []), ("person_cookie" = [])),
)]
pub async fn add(
    app: web::Data<App>,
    person: CurrentPerson,
    body: JsonBody<AddBody>,
) -> Result<HttpResponse, ApiError> {
    let AddBody { text, said_at, source } = body.0;
    let given = MemoryChange { text: Some(text), said_at: moment(said_at)?, source };
    let memory = app.remember(person.0, given).await?;
    Ok(HttpResponse::Created().json(MemoryBody::from(memory)))
}

/// Corrects a memory.
#[utoipa::path(
    patch,
    path = "/api/v1/memories/{id}",
    params(("id" = MemoryId, Path, description = "The memory's id")),
    request_body = CorrectBody,
    responses(
        (status = 200, description = "The memory", body = MemoryBody),
        (status = 404, description = "No such memory of this person", body = ErrorBody),
    ),
    security(("person" = []), ("person_cookie" = [])),
)]
pub async fn correct(
    app: web::Data<App>,
    person: CurrentPerson,
    id: web::Path<String>,
    body: JsonBody<CorrectBody>,
) -> Result<HttpResponse, ApiError> {
    let CorrectBody { text, said_at, source } = body.0;
    let change = MemoryChange { text, said_at: moment(said_at)?, source };
    let memory = app.into_inner().correct_memory(person.0, memory_id(&id)?, change).await?;
    Ok(HttpResponse::Ok().json(MemoryBody::from(memory)))
}

/// Forgets a memory.
#[utoipa::path(
    delete,
    path = "/api/v1/memories/{id}",
    params(("id" = MemoryId, Path, description = "The memory's id")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "No such memory of this person", body = ErrorBody),
    ),
    security(("person" = []), ("person_cookie" = [])),
)]
pub async fn forget(
    app: web::Data<App>,
    person: CurrentPerson,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    app.into_inner().forget_memory(person.0, memory_id(&id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Forgets everything that is remembered of the person.
#[utoipa::path(
    delete,
    path = "/api/v1/memories",
    responses((status = 204, description = "They are gone")),
    security(("person" = []), ("person_cookie" = [])),
)]
pub async fn forget_all(app: web::Data<App>, person: CurrentPerson) -> Result<HttpResponse, ApiError> {
    app.into_inner().forget_memories(person.0).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// What is no id at all names no memory of anyone.
fn memory_id(text: &str) -> Result<MemoryId, ApiError> {
    text.parse().map_err(|_| AppError::MemoryNotFound.into())
}

/// A moment that can be told again: one that is of the years 0 to 9999 also in UTC.
fn moment(text: Option<String>) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let read = Timestamp::parse(&text).filter(|at| Timestamp::parse(&at.to_string()) == Some(*at));
    let message = "must be a moment like 2026-11-24T13:54:09Z (RFC 3339)".to_owned();
    read.map(Some).ok_or(ApiError::Invalid { field: "said_at", message })
}

impl From<Memory> for MemoryBody {
    fn from(memory: Memory) -> Self {
        Self {
            id: memory.id,
            text: memory.text,
            said_at: memory.said_at,
            source: memory.source,
            session_id: memory.session,
            created_at: memory.created_at,
            superseded_at: memory.superseded_at,
            score: None,
        }
    }
}

impl From<Found> for MemoryBody {
    fn from(found: Found) -> Self {
        Self { score: Some(found.score), ..Self::from(found.memory) }
    }
}
