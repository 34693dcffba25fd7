//! Sessions over HTTP: start, list, look at, rename, pin, delete.

use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::app::sessions::{SessionChange, ShownTurn, cursor_after, parse_cursor};
use crate::app::{App, audio};
use crate::domain::clock::Timestamp;
use crate::domain::person::Person;
use crate::domain::prose::prose;
use crate::domain::session::{Session, SessionId};
use crate::web::body::{JsonBody, OptionalJsonBody};
use crate::web::chat::UsedMemory;
use crate::web::error::ApiError;
use crate::web::middleware::token_cookies::{CookieChange, PERSON};
use crate::web::openapi::ErrorBody;
use crate::web::person::{CurrentPerson, PresentedToken};

const DEFAULT_LIMIT: u64 = 50;
/// Something to see and no control characters.
const TITLE: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*[^\\u0000- \\u007f-\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000][^\\u0000-\\u001f\\u007f-\\u009f]*$";

/// The body of `POST /session/start`.
#[derive(Deserialize, ToSchema)]
#[serde(default)]
pub struct StartBody {
    /// `false`: nothing is remembered from it, and it goes when it was idle for a day.
    remember: bool,
}

impl Default for StartBody {
    fn default() -> Self {
        Self { remember: true }
    }
}

/// A new session.
#[derive(Serialize, ToSchema)]
struct StartedBody {
    /// Whoever knows it can talk in it.
    session_id: SessionId,
    /// The companion's greeting.
    message: String,
}

/// The query of a paged list.
#[derive(Deserialize)]
pub struct PageQuery {
    cursor: Option<String>,
    limit: Option<String>,
}

/// The query of `DELETE /sessions/{id}`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeleteQuery {
    /// Whether what was learned in it stays; it is forgotten when this is left out.
    #[param(value_type = Option<bool>)]
    keep_memories: Option<String>,
}

/// The body of `PATCH /sessions/{id}`.
#[derive(Deserialize)]
pub struct ChangeBody {
    title: Option<String>,
    pinned: Option<bool>,
}

impl ToSchema for ChangeBody {}

/// One of the two at least: that cannot be derived.
impl PartialSchema for ChangeBody {
    fn schema() -> RefOr<Schema> {
        let title = |kind: SchemaType| {
            let title = ObjectBuilder::new().schema_type(kind).max_length(Some(200)).pattern(Some(TITLE));
            title.description(Some("What the person calls it"))
        };
        let pinned = |kind: SchemaType| {
            ObjectBuilder::new()
                .schema_type(kind)
                .description(Some("A pinned session stays as long as its person"))
        };
        let or_null = |kind: Type| SchemaType::from_iter([kind, Type::Null]);
        let renamed = ObjectBuilder::new().required("title").property("title", title(Type::String.into()));
        let pinned_or_not =
            ObjectBuilder::new().required("pinned").property("pinned", pinned(Type::Boolean.into()));
        AnyOfBuilder::new()
            .item(renamed.property("pinned", pinned(or_null(Type::Boolean))))
            .item(pinned_or_not.property("title", title(or_null(Type::String))))
            .into()
    }
}

/// A session as its person sees it.
#[derive(Serialize, ToSchema)]
struct SessionBody {
    id: SessionId,
    title: Option<String>,
    created_at: Timestamp,
    last_active_at: Timestamp,
    /// When it goes, by itself or with a person who does not come again; `null` when it stays.
    expires_at: Option<Timestamp>,
    pinned: bool,
    /// Whether memories are read and written in it.
    remembered: bool,
    checkpoints: u64,
}

/// A page of sessions.
#[derive(Serialize, ToSchema)]
struct ListBody {
    sessions: Vec<SessionBody>,
    next_cursor: Option<String>,
}

/// What somebody said.
#[derive(Serialize, ToSchema)]
pub struct MessageBody {
    /// `user` or `assistant`.
    role: &'static str,
    text: String,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio_url: Option<String>,
    /// What was remembered of the person for this answer, best first, as it is now; left out when that is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    memories: Vec<UsedMemory>,
}

/// A session with a page of what was said in it.
#[derive(Serialize, ToSchema)]
struct ConversationBody {
    #[serde(flatten)]
    session: SessionBody,
    messages: Vec<MessageBody>,
    next_cursor: Option<String>,
}

/// Starts a session. Whoever comes without a token becomes a new person and gets one, in a cookie.
#[utoipa::path(
    post,
    path = "/api/v1/session/start",
    request_body = StartBody,
    responses((status = 200, description = "The session", body = StartedBody)),
)]
pub async fn start(
    app: web::Data<App>,
    request: HttpRequest,
    presented: PresentedToken,
    body: OptionalJsonBody<StartBody>,
) -> Result<HttpResponse, ApiError> {
    let renewed = presented.token.clone().filter(|_| presented.in_cookie);
    let started = app.start_session(presented.token, body.0.remember).await?;
    if let Some(token) = started.new_token.or(renewed.filter(|_| started.first_for_a_while)) {
        request.extensions_mut().insert(CookieChange::Set(&PERSON, token));
    }
    Ok(HttpResponse::Ok().json(StartedBody { session_id: started.id, message: started.greeting }))
}

/// Lists the person's sessions, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/sessions",
    params(
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of an earlier answer",
         pattern = "^-?[0-9]{1,18}_[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"),
        ("limit" = Option<u32>, Query, description = "How many at most; 50 when left out", minimum = 1, maximum = 100),
    ),
    responses((status = 200, description = "The sessions", body = ListBody)),
    security(("person" = []), ("person_cookie" = [])),
)]
pub async fn list(
    app: web::Data<App>,
    person: CurrentPerson,
    query: web::Query<PageQuery>,
) -> Result<HttpResponse, ApiError> {
    let after = query.cursor.as_deref().map(|text| parse_cursor(text).ok_or_else(bad_cursor)).transpose()?;
    let limit = usize::try_from(limit(query.limit.as_deref())?).unwrap_or(usize::MAX);
    let (sessions, more) = app.sessions(person.0, after, limit).await?;
    let next_cursor = sessions.last().filter(|_| more).map(cursor_after);
    let sessions = sessions.into_iter().map(|session| session_body(&app, session, person.0)).collect();
    Ok(HttpResponse::Ok().json(ListBody { sessions, next_cursor }))
}

/// Shows a session: the newest page of turns first, each page in order; the cursor leads to earlier ones.
#[utoipa::path(
    get,
    path = "/api/v1/sessions/{id}",
    params(
        ("id" = SessionId, Path, description = "The session's id"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of an earlier answer", pattern = "^[0-9]{1,18}$"),
        ("limit" = Option<u32>, Query, description = "How many at most; 50 when left out", minimum = 1, maximum = 100),
    ),
    responses(
        (status = 200, description = "The session", body = ConversationBody),
        (status = 404, description = "No such session of this person", body = ErrorBody),
    ),
    security(("person" = []), ("person_cookie" = [])),
)]
pub async fn one(
    app: web::Data<App>,
    person: CurrentPerson,
    id: web::Path<String>,
    query: web::Query<PageQuery>,
) -> Result<HttpResponse, ApiError> {
    let before = query.cursor.as_deref().map(|text| text.parse().map_err(|_| bad_cursor())).transpose()?;
    let limit = limit(query.limit.as_deref())?;
    let (session, turns, earlier) = app.session(person.0, session_id(&id)?, before, limit).await?;
    Ok(HttpResponse::Ok().json(ConversationBody {
        session: session_body(&app, session, person.0),
        messages: turns.into_iter().flat_map(messages_of).collect(),
        next_cursor: (earlier > 0).then(|| earlier.to_string()),
    }))
}

/// Renames or pins a session.
#[utoipa::path(
    patch,
    path = "/api/v1/sessions/{id}",
    params(("id" = SessionId, Path, description = "The session's id")),
    request_body = ChangeBody,
    responses(
        (status = 200, description = "The session", body = SessionBody),
        (status = 404, description = "No such session of this person", body = ErrorBody),
    ),
    security(("person" = []), ("person_cookie" = [])),
)]
pub async fn change(
    app: web::Data<App>,
    person: CurrentPerson,
    id: web::Path<String>,
    body: JsonBody<ChangeBody>,
) -> Result<HttpResponse, ApiError> {
    let change = SessionChange { title: body.0.title, pinned: body.0.pinned };
    let session = app.change_session(person.0, session_id(&id)?, change).await?;
    Ok(HttpResponse::Ok().json(session_body(&app, session, person.0)))
}

/// Deletes a session. What a stop of the server interrupts goes on at its next start.
#[utoipa::path(
    delete,
    path = "/api/v1/sessions/{id}",
    params(("id" = SessionId, Path, description = "The session's id"), DeleteQuery),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "No such session of this person", body = ErrorBody),
    ),
    security(("person" = []), ("person_cookie" = [])),
)]
pub async fn delete(
    app: web::Data<App>,
    person: CurrentPerson,
    id: web::Path<String>,
    query: web::Query<DeleteQuery>,
) -> Result<HttpResponse, ApiError> {
    let keep_memories = match query.keep_memories.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            let message = "must be true or false".to_owned();
            return Err(ApiError::Invalid { field: "keep_memories", message });
        }
    };
    app.delete_session(person.0, session_id(&id)?, keep_memories).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// What is no id at all names no session of anyone.
fn session_id(text: &str) -> Result<SessionId, ApiError> {
    text.parse().map_err(|_| crate::app::AppError::SessionNotFound.into())
}

pub(crate) fn bad_cursor() -> ApiError {
    ApiError::Invalid { field: "cursor", message: "must be a next_cursor of an earlier answer".to_owned() }
}

pub(crate) fn limit(given: Option<&str>) -> Result<u64, ApiError> {
    let limit = given.map_or(Ok(DEFAULT_LIMIT), str::parse);
    let wrong =
        || ApiError::Invalid { field: "limit", message: "must be a whole number from 1 to 100".to_owned() };
    limit.ok().filter(|limit| (1..=100).contains(limit)).ok_or_else(wrong)
}

fn session_body(app: &App, session: Session, person: Person) -> SessionBody {
    SessionBody {
        expires_at: app.expires_at(&session, person),
        id: session.id,
        title: session.title,
        created_at: session.created_at,
        last_active_at: session.last_active_at,
        pinned: session.pinned,
        remembered: session.remembered,
        checkpoints: session.checkpoints,
    }
}

/// What was said and what was answered; of an imported turn one of them may be missing. What was answered before answers were made
/// plain, or elsewhere, becomes so here.
fn messages_of(shown: ShownTurn) -> impl Iterator<Item = MessageBody> {
    let (turn, memories) = (shown.checkpoint, UsedMemory::of(shown.memories));
    let audio_url = turn.audio.map(audio::url);
    let said = (turn.said, turn.said_at);
    [
        MessageBody { role: "user", text: said.0, created_at: said.1, audio_url: None, memories: Vec::new() },
        MessageBody {
            role: "assistant",
            text: prose(&turn.answered),
            created_at: turn.answered_at,
            audio_url,
            memories,
        },
    ]
    .into_iter()
    .filter(|message| !message.text.is_empty())
}
