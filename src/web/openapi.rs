//! What the API says of itself: an `OpenAPI` 3.1 document made from the code, and the page that shows it.
//!
//! A handler names its address, what it takes and what it answers; what every address may answer is added here.

use std::sync::LazyLock;

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, PathItem, Ref, RefOr, Required, ResponseBuilder};
use utoipa::{Modify, OpenApi, ToSchema};

use crate::domain::clock::Timestamp;
use crate::domain::session::SessionId;
use crate::web::error::ApiError;
use crate::web::middleware::token_cookies::{ADMIN, PERSON, SIGN_IN};
use crate::web::{
    access, admin, assets, audio, chat, health, me, memories, metrics, sessions, static_files, voice,
    voice_socket, ways_in,
};

/// Whether the page is shown. Found in the application's data; without it there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShowDocs(pub bool);

/// What every error's body is.
#[derive(ToSchema)]
pub struct ErrorBody {
    /// `snake_case`, for programs.
    pub error: String,
    /// For a person.
    pub message: String,
    /// The same as `X-Request-ID`.
    pub request_id: String,
    /// More about it.
    #[schema(value_type = Option<Object>, nullable = false)]
    pub details: Option<serde_json::Value>,
    /// Of `request_too_large`: `MAX_REQUEST_SIZE`.
    #[schema(nullable = false)]
    pub max_size_bytes: Option<u64>,
    /// Of `/readyz`: why requests cannot be served.
    #[schema(nullable = false)]
    pub reasons: Option<Vec<String>>,
}

/// Bytes as they are.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct Binary(pub Vec<u8>);

/// Everything held about a person.
#[derive(ToSchema)]
pub struct ExportBody {
    /// When.
    pub exported_at: Timestamp,
    /// Who.
    pub person: ExportedPerson,
    /// What was said.
    pub sessions: Vec<ExportedSession>,
    /// What is remembered.
    pub memories: Vec<memories::MemoryBody>,
    /// What went because there was no room for more; the last 1000.
    pub memories_dropped: Vec<ExportedDropped>,
}

/// A person in an export.
#[derive(ToSchema)]
pub struct ExportedPerson {
    /// When they first came.
    pub created_at: Timestamp,
    /// When they last came, to the hour.
    pub last_seen_at: Timestamp,
    /// Browsers that became theirs by a link or a recovery code.
    pub devices: Vec<ExportedDevice>,
    /// Links that have not expired.
    pub links: Vec<ExportedLink>,
    /// The recovery code.
    #[schema(required = true)]
    pub recovery_code: Option<me::RecoveryBody>,
}

/// A further browser of a person, in an export.
#[derive(ToSchema)]
pub struct ExportedDevice {
    /// When it became theirs.
    pub added_at: Timestamp,
    /// When it was last seen, to the hour.
    pub last_seen_at: Timestamp,
}

/// A link to a person, in an export.
#[derive(ToSchema)]
pub struct ExportedLink {
    /// Until when it can be used.
    pub expires_at: Timestamp,
    /// When it was used.
    #[schema(required = true)]
    pub used_at: Option<Timestamp>,
}

/// A memory that went, in an export.
#[derive(ToSchema)]
pub struct ExportedDropped {
    /// Its id.
    pub id: SessionId,
    /// When it was said.
    pub said_at: Timestamp,
    /// When it was first remembered.
    pub created_at: Timestamp,
    /// When it went.
    pub dropped_at: Timestamp,
}

/// A session in an export.
#[derive(ToSchema)]
pub struct ExportedSession {
    /// Its id.
    pub id: SessionId,
    /// What it is called.
    #[schema(required = true)]
    pub title: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When the last turn was kept.
    pub last_active_at: Timestamp,
    /// When it goes, by itself or with a person who does not come again; `null` when it stays.
    #[schema(required = true)]
    pub expires_at: Option<Timestamp>,
    /// A pinned session stays as long as its person.
    pub pinned: bool,
    /// Whether things may be remembered from it.
    pub remembered: bool,
    /// What was said, in order.
    pub messages: Vec<sessions::MessageBody>,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "companion",
        description = "A companion to talk with. Every answer has an `X-Request-ID`; every error is JSON and never kept.",
    ),
    paths(
        sessions::start, sessions::list, sessions::one, sessions::change, sessions::delete,
        chat::chat, voice::process, voice::stream_tts, voice_socket::socket, audio::audio, me::me, me::erase, me::export,
        ways_in::rotate, ways_in::link, ways_in::recovery, ways_in::redeem_link, ways_in::redeem_code, ways_in::leave,
        ways_in::page,
        memories::list, memories::add, memories::correct, memories::forget, memories::forget_all,
        health::health, health::livez, health::readyz, metrics::text, metrics::json,
        access::sign_in, access::sign_out, access::page, admin::status, admin::memory_status,
        admin::sign_in::sign_in, admin::sign_in::sign_out, admin::sign_in::page, admin::sign_in::sign_in_page,
        static_files::page, static_files::worker, static_files::asset, document, docs,
    ),
    components(schemas(ErrorBody)),
    modifiers(&Security, &Pages, &CommonErrors, &Heads, &Index, &OptionalBody),
)]
struct Described;

/// Who may ask.
struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        let token =
            |place: fn(ApiKeyValue) -> ApiKey, name| SecurityScheme::ApiKey(place(ApiKeyValue::new(name)));
        components.add_security_scheme("person", token(ApiKey::Header, "X-Companion-Person"));
        components.add_security_scheme("person_cookie", token(ApiKey::Cookie, PERSON.plain_name));
        components.add_security_scheme("sign_in_cookie", token(ApiKey::Cookie, SIGN_IN.plain_name));
        components.add_security_scheme("admin_cookie", token(ApiKey::Cookie, ADMIN.plain_name));
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// A page is an embedded file: it comes in ranges, when it has changed, and in a coding that the browser takes.
struct Pages;

impl Modify for Pages {
    fn modify(&self, document: &mut Document) {
        for (_, operation) in document.paths.paths.values_mut().flat_map(operations) {
            let responses = &mut operation.responses.responses;
            let Some(RefOr::T(mut range)) = responses.get("200").cloned() else { continue };
            if !range.content.contains_key("text/html") {
                continue;
            }
            "The range asked for".clone_into(&mut range.description);
            let same = ResponseBuilder::new().description("The client has it").build();
            responses.insert("206".to_owned(), range.into());
            responses.insert("304".to_owned(), same.into());
            for (status, why) in [
                ("406", "No coding is acceptable"),
                ("412", "The condition does not hold"),
                ("416", "The range lies outside of it"),
            ] {
                responses.insert(status.to_owned(), error(why));
            }
        }
    }
}

/// What needs no `ACCESS_TOKEN`, though it is set.
const OPEN: [&str; 6] = [
    "/api/v1/health",
    "/api/v1/metrics",
    "/api/v1/sign-in",
    "/api/v1/sign-out",
    admin::sign_in::OPEN[0],
    admin::sign_in::OPEN[1],
];

/// What may come from any address, by what it takes.
struct CommonErrors;

impl Modify for CommonErrors {
    fn modify(&self, document: &mut Document) {
        for (path, item) in &mut document.paths.paths {
            let closed = path.starts_with("/api/") && !OPEN.contains(&path.as_str());
            for (changes, operation) in operations(item) {
                for (status, why) in common_errors((changes, closed), operation) {
                    let responses = &mut operation.responses.responses;
                    responses.entry(status.to_owned()).or_insert_with(|| error(why));
                }
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (bool, &mut Operation)> {
    [
        (false, item.get.as_mut()),
        (false, item.head.as_mut()),
        (true, item.post.as_mut()),
        (true, item.patch.as_mut()),
        (true, item.delete.as_mut()),
    ]
    .into_iter()
    .filter_map(|(changes, operation)| Some((changes, operation?)))
}

fn common_errors(
    (changes, closed): (bool, bool),
    operation: &Operation,
) -> Vec<(&'static str, &'static str)> {
    let mut errors = vec![
        ("413", "The request's body is larger than `MAX_REQUEST_SIZE`"),
        ("429", "Asked too often; `Retry-After` tells when to ask again"),
        ("500", "Something went wrong inside"),
        ("503", "Not now; `Retry-After` tells when to ask again"),
    ];
    let has_query = operation.parameters.iter().flatten().any(|parameter| match parameter {
        RefOr::T(parameter) => parameter.parameter_in == ParameterIn::Query,
        RefOr::Ref(_) => false,
    });
    if has_query || operation.request_body.is_some() {
        errors.push(("400", "Something in the request is not valid"));
    }
    if operation.request_body.is_some() {
        errors.push(("408", "The body came too slowly"));
        errors.push(("415", "The body is of a kind that is not understood here"));
    }
    if closed {
        errors.push(("401", "`ACCESS_TOKEN` is set and was not sent, or no person holds the token"));
    }
    if changes {
        errors.push(("403", "A page of another site may not do this"));
        errors.push(("507", "There is no room to keep it"));
    }
    errors
}

fn error(why: &str) -> RefOr<utoipa::openapi::Response> {
    let shape = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
    ResponseBuilder::new().description(why).content("application/json", shape).build().into()
}

/// `HEAD` answers as `GET` does, without a body.
struct Heads;

impl Modify for Heads {
    fn modify(&self, document: &mut Document) {
        for head in document.paths.paths.values_mut().filter_map(|item| item.head.as_mut()) {
            head.operation_id = head.operation_id.take().map(|id| format!("{id}_head"));
            for response in head.responses.responses.values_mut() {
                if let RefOr::T(response) = response {
                    response.content.clear();
                }
            }
        }
    }
}

/// A body that may be left out need not be `null`, and may not.
struct OptionalBody;

impl Modify for OptionalBody {
    fn modify(&self, document: &mut Document) {
        for path in ["/api/v1/session/start", "/api/v1/me/rotate"] {
            let item = document.paths.paths.get_mut(path);
            if let Some(RefOr::T(body)) = item.and_then(|item| item.post.as_mut()?.request_body.as_mut()) {
                body.required = Some(Required::False);
            }
        }
    }
}

/// The page has two addresses.
struct Index;

impl Modify for Index {
    fn modify(&self, document: &mut Document) {
        let Some(mut index) = document.paths.paths.get("/").cloned() else { return };
        for (_, operation) in operations(&mut index) {
            operation.operation_id = operation.operation_id.take().map(|id| format!("index_{id}"));
        }
        document.paths.paths.insert("/index.html".to_owned(), index);
    }
}

static DOCUMENT: LazyLock<Bytes> =
    LazyLock::new(|| Bytes::from(Described::openapi().to_json().unwrap_or_default()));

/// Describes every address.
#[utoipa::path(
    method(get, head),
    path = "/api/v1/openapi.json",
    tag = "about",
    responses((status = 200, description = "This document", body = Object)),
)]
pub async fn document() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(DOCUMENT.clone())
}

/// Shows this document as a page to read and try, when `ENABLE_API_DOCS` is true.
#[utoipa::path(
    method(get, head),
    path = "/api/v1/docs",
    tag = "about",
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 404, description = "It is switched off", body = ErrorBody),
    ),
)]
pub async fn docs(req: HttpRequest) -> Result<HttpResponse, ApiError> {
    let shown = req.app_data::<ShowDocs>().is_some_and(|show| show.0);
    if shown { Ok(static_files::respond(&req, &assets::DOCS_HTML)) } else { Err(ApiError::NotFound) }
}
