//! The only place that maps a failure to a status, a code and a body.

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Value, json};

use crate::app::AppError;
use crate::domain::chat::ChatError;
use crate::domain::speech::SpeechError;
use crate::telemetry::causes::told_once;
use crate::web::access::SIGN_IN_PAGE;
use crate::web::admin::sign_in::PAGE as ADMIN_SIGN_IN_PAGE;
use crate::web::error::logged::{Bound, ForTheLog};

pub mod logged;
mod outside;
mod ways_in;

/// Why a request is not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No such thing at this address.
    #[error("nothing is at this address")]
    NotFound,
    /// The address is right, the method is not; these are.
    #[error("this method is not allowed here")]
    MethodNotAllowed(&'static str),
    /// The body is larger than `MAX_REQUEST_SIZE`.
    #[error("the request body is too large")]
    TooLarge {
        /// The limit in bytes.
        max_bytes: u64,
    },
    /// A page of another site wants to change something.
    #[error("a page of another site")]
    ForeignOrigin,
    /// The token that is needed here was not sent, or a wrong one.
    #[error("the token is missing or wrong")]
    TokenNeeded,
    /// The client asked more often than `RATE_LIMIT_PER_MINUTE` allows.
    #[error("asked too often")]
    RateLimited {
        /// In how many seconds the next request is welcome.
        retry_after: u64,
    },
    /// Only those who are let in may ask this.
    #[error("not let in")]
    SignInFirst,
    /// The token to sign in with is a wrong one.
    #[error("a wrong token")]
    WrongToken,
    /// Only whoever runs the server may ask this.
    #[error("for the operator")]
    AdminOnly,
    /// The token to sign in to the admin page with is a wrong one.
    #[error("a wrong admin token")]
    WrongAdminToken,
    /// The body did not come whole.
    #[error("the request body did not arrive whole")]
    BrokenBody,
    /// The body came too slowly.
    #[error("the request body came too slowly")]
    SlowBody,
    /// The body is of a kind that is not understood here.
    #[error("the request body has to be JSON (Content-Type: application/json)")]
    UnsupportedMediaType,
    /// The body is no form.
    #[error("the request body has to be a form (Content-Type: multipart/form-data)")]
    NoForm,
    /// A field of a form is not there.
    #[error("{0}: is missing")]
    MissingField(&'static str),
    /// The recording is none of the formats that are understood.
    #[error("the audio has to be WAV, MP3, WebM, M4A, OGG or FLAC")]
    NoAudio,
    /// Something in the request is not valid.
    #[error("{field}: {message}")]
    Invalid {
        /// Which part of it.
        field: &'static str,
        /// What is wrong.
        message: String,
    },
    /// A use case failed.
    #[error(transparent)]
    App(#[from] AppError),
}

/// What is told of an error; `middleware::request_id` turns it into the body, because that needs the request's id.
#[derive(Debug, Clone)]
pub struct ErrorReport {
    /// `snake_case`, for programs.
    pub code: &'static str,
    /// For a person.
    pub message: String,
    /// Further members of the body.
    pub extra: Vec<(&'static str, Value)>,
    /// For the log only.
    pub log: ForTheLog,
}

impl ErrorReport {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), extra: Vec::new(), log: ForTheLog::Nothing }
    }

    fn with(mut self, name: &'static str, value: Value) -> Self {
        self.extra.push((name, value));
        self
    }

    fn because(mut self, cause: &dyn std::error::Error) -> Self {
        self.log = ForTheLog::Failure(told_once(cause));
        self
    }

    fn at(mut self, bound: Bound) -> Self {
        self.log = ForTheLog::Bound(bound);
        self
    }

    /// What an orchestrator is told that asks too early or too late.
    #[must_use]
    pub fn not_ready(reasons: &[&'static str]) -> Self {
        Self::new("service_unavailable", "Not ready").with("reasons", json!(reasons))
    }

    /// What is told when something answered an error of its own making.
    #[must_use]
    pub fn for_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => report(&ApiError::NotFound).1,
            StatusCode::PAYLOAD_TOO_LARGE => Self::new("request_too_large", "Request body too large"),
            StatusCode::REQUEST_TIMEOUT => {
                Self::new("request_timeout", "The request took too long to arrive")
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                Self::new("range_not_satisfiable", "The requested range lies outside of the content")
            }
            other if other.is_client_error() => Self::new("validation_error", "The request is not valid"),
            _ => Self::new("internal_error", "Something went wrong here; please try again"),
        }
    }

    /// The body, given the request's id.
    #[must_use]
    pub fn body(&self, request_id: &str) -> String {
        let mut body = format!(r#"{{"error":{},"message":{}"#, json!(self.code), json!(self.message));
        for (name, value) in &self.extra {
            body.push_str(&format!(r#",{}:{value}"#, json!(name)));
        }
        body.push_str(&format!(r#","request_id":{}}}"#, json!(request_id)));
        body
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        report(self).0
    }

    fn error_response(&self) -> HttpResponse {
        let (status, told) = report(self);
        let mut response = HttpResponse::build(status);
        if let Self::MethodNotAllowed(allowed) = self {
            response.insert_header((ALLOW, HeaderValue::from_static(allowed)));
        }
        if matches!(self, Self::SignInFirst | Self::AdminOnly | Self::TokenNeeded) {
            response.insert_header((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        if let Some(seconds) = self.retry_after(status) {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if matches!(self, Self::TooLarge { .. } | Self::SlowBody) {
            // The rest of the body is not read, so the connection cannot be used again.
            response.force_close();
        }
        let mut response = response.finish();
        response.extensions_mut().insert(told);
        response
    }
}

/// What an upstream asks for may be a mistake of its own.
const LONGEST_WAIT: f64 = 3600.0;

impl ApiError {
    /// In how many seconds it is worth trying again, where that is known.
    fn retry_after(&self, status: StatusCode) -> Option<u64> {
        if let Self::RateLimited { retry_after } | Self::App(AppError::DailyTurnsUsed { retry_after, .. }) =
            self
        {
            return Some(*retry_after);
        }
        if let Self::App(
            AppError::Model(ChatError::Unavailable { retry_after: Some(wait), .. })
            | AppError::Speech(SpeechError::Unavailable { retry_after: Some(wait), .. }),
        ) = self
        {
            return Some(wait.as_secs_f64().ceil().clamp(1.0, LONGEST_WAIT) as u64);
        }
        // Of a conflict about who somebody is, waiting makes nothing else.
        let soon = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&status);
        (soon || matches!(self, Self::App(AppError::TurnInProgress))).then_some(2)
    }
}

/// THE map: every failure, its status and what is told of it.
#[must_use]
pub fn report(error: &ApiError) -> (StatusCode, ErrorReport) {
    match error {
        ApiError::NotFound => {
            (StatusCode::NOT_FOUND, ErrorReport::new("not_found", "There is nothing at this address"))
        }
        ApiError::MethodNotAllowed(allowed) => (
            StatusCode::METHOD_NOT_ALLOWED,
            ErrorReport::new("method_not_allowed", format!("This address answers {allowed} only")),
        ),
        ApiError::TooLarge { max_bytes } => (StatusCode::PAYLOAD_TOO_LARGE, too_large(*max_bytes)),
        ApiError::ForeignOrigin => (
            StatusCode::FORBIDDEN,
            ErrorReport::new("foreign_origin", "Pages of other sites may not do this"),
        ),
        ApiError::TokenNeeded => (
            StatusCode::UNAUTHORIZED,
            ErrorReport::new("unauthorized", "Send the right token as Authorization: Bearer"),
        ),
        ApiError::RateLimited { retry_after } => {
            rate_limited(format!("Too many requests; please wait {retry_after} s"))
        }
        ApiError::SignInFirst => (
            StatusCode::UNAUTHORIZED,
            unauthorized("Sign in first, or send the access token (Authorization: Bearer)")
                .with("details", json!({"sign_in": SIGN_IN_PAGE})),
        ),
        ApiError::WrongToken => (StatusCode::UNAUTHORIZED, unauthorized("This is not the access token")),
        ApiError::AdminOnly => (
            StatusCode::UNAUTHORIZED,
            unauthorized(
                "Sign in first, or send the token of whoever runs this server (Authorization: Bearer)",
            )
            .with("details", json!({"sign_in": ADMIN_SIGN_IN_PAGE})),
        ),
        ApiError::WrongAdminToken => (StatusCode::UNAUTHORIZED, unauthorized("This is not the admin token")),
        ApiError::BrokenBody => (
            StatusCode::BAD_REQUEST,
            ErrorReport::new("validation_error", "The request body did not arrive whole"),
        ),
        ApiError::SlowBody => {
            (StatusCode::REQUEST_TIMEOUT, ErrorReport::for_status(StatusCode::REQUEST_TIMEOUT))
        }
        ApiError::UnsupportedMediaType | ApiError::NoForm | ApiError::NoAudio => (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorReport::new("unsupported_media_type", error.to_string()),
        ),
        ApiError::MissingField(field) => (StatusCode::UNPROCESSABLE_ENTITY, invalid(field, "is missing")),
        ApiError::Invalid { field, message } => (StatusCode::BAD_REQUEST, invalid(field, message)),
        ApiError::App(failed) => report_app(failed),
    }
}

const NO_MORE_TODAY: &str = "That was all for today; please come back tomorrow (UTC)";
const NO_ROOM: &str = "There is no room to keep this now; please try again later";

fn no_room(message: impl Into<String>) -> (StatusCode, ErrorReport) {
    let told = ErrorReport::new("insufficient_storage", message).at(Bound::Disk);
    (StatusCode::INSUFFICIENT_STORAGE, told)
}

fn report_app(error: &AppError) -> (StatusCode, ErrorReport) {
    match error {
        AppError::SessionNotFound => (
            StatusCode::NOT_FOUND,
            ErrorReport::new(
                "session_not_found",
                "This conversation does not exist or has expired; start a new one",
            ),
        ),
        AppError::AudioNotFound => (
            StatusCode::NOT_FOUND,
            ErrorReport::new("audio_not_found", "This audio does not exist or has expired"),
        ),
        AppError::MemoryNotFound => (
            StatusCode::NOT_FOUND,
            ErrorReport::new("memory_not_found", "This is not, or no longer, remembered"),
        ),
        AppError::WayIn(refused) => ways_in::report(refused),
        AppError::Unauthorized => (
            StatusCode::UNAUTHORIZED,
            unauthorized("Start a session first, or send the token of an existing person"),
        ),
        AppError::Invalid { field, message } => (StatusCode::BAD_REQUEST, invalid(field, message)),
        AppError::DiskFull => no_room(NO_ROOM),
        AppError::NoRoomForCare { help } => no_room(format!("{NO_ROOM}. {}", help.trim())),
        AppError::Busy => (
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorReport::new("server_busy", "Too busy now; please try again in a moment").at(Bound::Busy),
        ),
        AppError::TurnInProgress => (
            StatusCode::CONFLICT,
            ErrorReport::new(
                "turn_in_progress",
                "The companion is still answering in this conversation; please wait for that",
            ),
        ),
        AppError::TooManyTurns => {
            rate_limited("The companion is still answering you elsewhere; please wait for that")
        }
        AppError::DailyTurnsUsed { help: None, .. } => rate_limited(NO_MORE_TODAY),
        AppError::DailyTurnsUsed { help: Some(help), .. } => {
            rate_limited(format!("{NO_MORE_TODAY}. {}", help.trim()))
        }
        AppError::Unavailable(why) => (
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorReport::new("service_unavailable", "Not available now; please try again in a moment")
                .with("details", json!({"reason": why})),
        ),
        AppError::Model(failed) => outside::report_model(failed),
        AppError::Speech(failed) => outside::report_speech(failed),
        AppError::Internal(cause) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            ErrorReport::new("internal_error", "Something went wrong here; please try again")
                .because(cause.as_ref()),
        ),
    }
}

fn unauthorized(message: &str) -> ErrorReport {
    ErrorReport::new("unauthorized", message)
}

fn rate_limited(message: impl Into<String>) -> (StatusCode, ErrorReport) {
    (StatusCode::TOO_MANY_REQUESTS, ErrorReport::new("rate_limited", message))
}

fn invalid(field: &str, message: &str) -> ErrorReport {
    ErrorReport::new("validation_error", format!("{field}: {message}"))
        .with("details", json!({"field": field}))
}

#[expect(clippy::cast_precision_loss, reason = "the size is shown with one decimal")]
fn too_large(max_bytes: u64) -> ErrorReport {
    let mebibytes = max_bytes as f64 / (1024.0 * 1024.0);
    let message = format!("Request body too large. Maximum size is {mebibytes:.1}MB");
    ErrorReport::new("request_too_large", message).with("max_size_bytes", json!(max_bytes))
}
