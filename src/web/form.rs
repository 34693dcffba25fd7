//! Reading a form: `multipart/form-data` as browsers and the predecessor's clients send it, and
//! `application/x-www-form-urlencoded`. The size limit is `middleware::payload_limit`'s.
//!
//! Bounds: 16 fields; a field that is not asked for is read and forgotten.

use std::collections::HashMap;

use actix_multipart::{Field, Multipart};
use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest};
use bytes::Bytes;
use futures_util::StreamExt;

use crate::web::body::{is_coded, read};
use crate::web::body_room::BodyRoom;
use crate::web::error::ApiError;
use crate::web::middleware::body_budget::announced_bytes;

const MOST_FIELDS: usize = 16;

/// The fields of a form that came with a request, each once.
pub struct Form(HashMap<String, Bytes>);

impl Form {
    /// Reads it, keeping the fields that are `wanted`.
    ///
    /// # Errors
    /// Another content type, a body that is no such form or did not come whole.
    pub async fn read(
        request: &HttpRequest,
        mut payload: Payload,
        wanted: &[&str],
    ) -> Result<Self, ApiError> {
        if is_coded(request) {
            return Err(ApiError::NoForm);
        }
        match kind(request).as_str() {
            "multipart/form-data" => {
                let multipart = Multipart::from_request(request, &mut payload).await;
                let most = usize::try_from(announced_bytes(request)).unwrap_or(usize::MAX);
                Self::of_multipart(multipart.map_err(|_| no_form())?, most, wanted).await
            }
            "application/x-www-form-urlencoded" => {
                let body = read(request, payload).await?;
                Self::of_pairs(&body, wanted)
            }
            _ => Err(ApiError::NoForm),
        }
    }

    /// Of a body of at most so many bytes.
    async fn of_multipart(mut multipart: Multipart, most: usize, wanted: &[&str]) -> Result<Self, ApiError> {
        let (mut form, mut count) = (Self(HashMap::new()), 0);
        while let Some(field) = multipart.next().await {
            let field = field.map_err(|_| no_form())?;
            count_one(&mut count)?;
            let name = field.name().filter(|name| wanted.contains(name)).map(str::to_owned);
            match name {
                Some(name) => form.keep(name, content(field, most).await?)?,
                None => pass_over(field).await?,
            }
        }
        Ok(form)
    }

    /// One pair after the other: a body may hold millions.
    fn of_pairs(body: &[u8], wanted: &[&str]) -> Result<Self, ApiError> {
        let (mut form, mut count) = (Self(HashMap::new()), 0);
        for (name, value) in form_urlencoded::parse(body) {
            count_one(&mut count)?;
            if wanted.contains(&&*name) {
                form.keep(name.into_owned(), value.into_owned().into())?;
            }
        }
        Ok(form)
    }

    fn keep(&mut self, name: String, content: Bytes) -> Result<(), ApiError> {
        match self.0.insert(name, content) {
            None => Ok(()),
            Some(_) => Err(wrong("body", "must have each field once")),
        }
    }

    /// The field's bytes.
    ///
    /// # Errors
    /// When it is missing.
    pub fn bytes(&mut self, name: &'static str) -> Result<Bytes, ApiError> {
        self.0.remove(name).ok_or(ApiError::MissingField(name))
    }

    /// The field's text.
    ///
    /// # Errors
    /// When it is missing or not UTF-8.
    pub fn text(&mut self, name: &'static str) -> Result<String, ApiError> {
        self.text_if_given(name)?.ok_or(ApiError::MissingField(name))
    }

    /// The same of a field that may be missing.
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub fn text_if_given(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        let text = self.0.remove(name).map(|bytes| String::from_utf8(bytes.into()));
        text.transpose().map_err(|_| wrong(name, "must be UTF-8"))
    }
}

fn count_one(count: &mut usize) -> Result<(), ApiError> {
    *count += 1;
    if *count > MOST_FIELDS { Err(wrong("body", "must have at most 16 fields")) } else { Ok(()) }
}

/// All of a field, of a body of at most so many bytes.
async fn content(mut field: Field, most: usize) -> Result<Bytes, ApiError> {
    let mut room = BodyRoom::new(most);
    while let Some(chunk) = field.next().await {
        room.put(&chunk.map_err(|_| no_form())?)?;
    }
    Ok(Bytes::from_owner(room))
}

async fn pass_over(mut field: Field) -> Result<(), ApiError> {
    while let Some(chunk) = field.next().await {
        chunk.map_err(|_| no_form())?;
    }
    Ok(())
}

fn kind(request: &HttpRequest) -> String {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn no_form() -> ApiError {
    wrong("body", "is not a whole, valid form")
}

fn wrong(field: &'static str, message: &str) -> ApiError {
    ApiError::Invalid { field, message: message.to_owned() }
}
