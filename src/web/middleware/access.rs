//! The doors: what is under `/api/v1` needs `ACCESS_TOKEN` when that is set, what is under `/api/v1/admin` `ADMIN_TOKEN`. Without
//! `ADMIN_TOKEN` that and the admin page are not there.
//!
//! A cookie that lets nobody in is taken away and not counted as a failure: nobody guesses 256 random bits, and after a
//! change of `ACCESS_TOKEN` every honest browser brings one.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, ResponseError, web};

use crate::app::App;
use crate::app::sign_ins::Door;
use crate::web::access::{AccessControl, SignedIn, bearer};
use crate::web::admin::sign_in::OPEN;
use crate::web::error::ApiError;
use crate::web::middleware::measure::Route;
use crate::web::middleware::token_cookies::{ADMIN, CookieChange, SIGN_IN};

/// Lets in whoever sends `ACCESS_TOKEN` or `ADMIN_TOKEN` (`Authorization: Bearer`), or has signed in.
///
/// # Errors
/// What the inner service says.
pub async fn access(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match enter(request.request()).await {
        Ok(()) => next.call(request).await.map(ServiceResponse::map_into_boxed_body),
        Err(refusal) => Ok(request.into_response(refusal.error_response())),
    }
}

/// Lets in whoever sends `ADMIN_TOKEN` (`Authorization: Bearer`), or has signed in with it; to where one signs in and out,
/// everyone. Without that setting there is nothing here.
///
/// # Errors
/// What the inner service says.
pub async fn admin(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match enter_admin(request.request()).await {
        Ok(()) => next.call(request).await.map(ServiceResponse::map_into_boxed_body),
        Err(refusal) => Ok(request.into_response(refusal.error_response())),
    }
}

/// Leads to the admin page, which holds nothing of its own; without `ADMIN_TOKEN` there is none.
///
/// # Errors
/// What the inner service says.
pub async fn admin_page(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let control = request.app_data::<web::Data<AccessControl>>();
    if control.is_some_and(|control| control.admin_token().is_some()) {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    }
    Ok(request.into_response(ApiError::NotFound.error_response()))
}

async fn enter(request: &HttpRequest) -> Result<(), ApiError> {
    let Some(control) = request.app_data::<web::Data<AccessControl>>() else {
        return Err(ApiError::NotFound);
    };
    let Some(access) = control.access_token() else { return Ok(()) };
    if let Some(presented) = bearer(request) {
        return control.check(
            request,
            presented,
            [Some(access), control.admin_token()],
            ApiError::SignInFirst,
        );
    }
    let Some(cookie) = SIGN_IN.of(request) else { return Err(ApiError::SignInFirst) };
    let app = request.app_data::<web::Data<App>>().ok_or(ApiError::NotFound)?;
    if app.is_signed_in(Door::Companion, access, &cookie).await? {
        request.extensions_mut().insert(SignedIn);
        return Ok(());
    }
    request.extensions_mut().insert(CookieChange::Remove(&SIGN_IN));
    Err(ApiError::SignInFirst)
}

async fn enter_admin(request: &HttpRequest) -> Result<(), ApiError> {
    let Some(control) = request.app_data::<web::Data<AccessControl>>() else {
        return Err(ApiError::NotFound);
    };
    let Some(admin) = control.admin_token() else {
        // Who is not let in at all is not to learn what there is.
        return enter(request).await.and(Err(ApiError::NotFound));
    };
    if OPEN.contains(&&*Route::of(request)) {
        return Ok(());
    }
    if let Some(presented) = bearer(request) {
        return control.check(request, presented, [Some(admin), None], ApiError::AdminOnly);
    }
    let Some(cookie) = ADMIN.of(request) else { return Err(ApiError::AdminOnly) };
    let app = request.app_data::<web::Data<App>>().ok_or(ApiError::NotFound)?;
    if app.is_signed_in(Door::Admin, admin, &cookie).await? {
        return Ok(());
    }
    request.extensions_mut().insert(CookieChange::Remove(&ADMIN));
    Err(ApiError::AdminOnly)
}
