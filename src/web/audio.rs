//! Audio replies over HTTP, straight from disk through actix-files (ranges, conditions, `ETag`).

use actix_files::NamedFile;
use actix_web::http::header::{ContentDisposition, DispositionType};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::app::{App, AppError};
use crate::domain::session::PublicId;
use crate::web::error::ApiError;
use crate::web::openapi::{Binary, ErrorBody};

/// Gives an audio reply, whole or a part of it.
#[utoipa::path(
    method(get, head),
    path = "/api/v1/voice/audio/{audio_id}",
    params(("audio_id" = PublicId, Path, description = "The last part of an `audio_url`")),
    responses(
        (status = 200, description = "The audio", content(
            (Binary = "audio/mpeg"), (Binary = "audio/wav"), (Binary = "audio/ogg"),
            (Binary = "audio/webm"), (Binary = "audio/mp4"), (Binary = "audio/flac"),
        )),
        (status = 206, description = "The range asked for", content(
            (Binary = "audio/mpeg"), (Binary = "audio/wav"), (Binary = "audio/ogg"),
            (Binary = "audio/webm"), (Binary = "audio/mp4"), (Binary = "audio/flac"),
        )),
        (status = 304, description = "The client has it"),
        (status = 404, description = "There is no such audio, or no longer", body = ErrorBody),
        (status = 412, description = "The condition does not hold", body = ErrorBody),
        (status = 416, description = "The range lies outside of it", body = ErrorBody),
    ),
)]
pub async fn audio(
    app: web::Data<App>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = id.parse().map_err(|_| AppError::AudioNotFound)?;
    let (path, format) = app.audio(id).await?;
    let opened = web::block(move || NamedFile::open(path)).await;
    let file = opened.ok().and_then(Result::ok).ok_or(AppError::AudioNotFound)?;
    let kind = format.mime().parse().map_err(|_| AppError::AudioNotFound)?;
    // The file's name is the audio's id, a secret of the conversation: it is not repeated in a header.
    let shown = ContentDisposition { disposition: DispositionType::Inline, parameters: Vec::new() };
    Ok(file.set_content_type(kind).set_content_disposition(shown).into_response(&request))
}
