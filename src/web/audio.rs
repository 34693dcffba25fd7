//! Audio replies over HTTP, straight from disk through actix-files (ranges, conditions, `ETag`).

use actix_files::NamedFile;
use actix_web::http::header::{ContentDisposition, DispositionType};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::app::{App, AppError};
use crate::web::error::ApiError;

/// `GET /voice/audio/{audio_id}`
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
