//! Who is asking: the person's token from `X-Companion-Person` or the cookie.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};

use crate::app::{App, AppError};
use crate::domain::person::{Person, PersonToken};
use crate::web::error::ApiError;
use crate::web::middleware::token_cookies::{CookieChange, PERSON};

/// The token that came with a request, if one did; nobody may hold it.
pub struct PresentedToken {
    /// The token.
    pub token: Option<PersonToken>,
    /// Whether it came in the cookie, which is then to be renewed.
    pub in_cookie: bool,
}

/// The person who holds the presented token.
pub struct CurrentPerson(pub Person);

impl FromRequest for PresentedToken {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Self::of(request)))
    }
}

impl PresentedToken {
    /// The one that came with a request.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Self {
        let presented = presented(request);
        let in_cookie = presented.as_ref().is_some_and(|(_, in_cookie)| *in_cookie);
        Self { token: presented.map(|(token, _)| token), in_cookie }
    }
}

impl FromRequest for CurrentPerson {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let (token, in_cookie) = presented(&request).ok_or(AppError::Unauthorized)?;
            let app = request.app_data::<web::Data<App>>().ok_or(ApiError::NotFound)?;
            let visit = app.person(token.clone()).await?;
            if in_cookie && visit.first_for_a_while {
                request.extensions_mut().insert(CookieChange::Set(&PERSON, token));
            }
            Ok(Self(visit.person))
        })
    }
}

/// The token and whether it came in the cookie. The header wins: whoever sets it means it.
fn presented(request: &HttpRequest) -> Option<(PersonToken, bool)> {
    if let Some(header) = request.headers().get("x-companion-person") {
        return header.to_str().ok()?.parse().ok().map(|token| (token, false));
    }
    PERSON.of(request).map(|token| (token, true))
}
