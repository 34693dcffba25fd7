//! The cookies that hold a token: read here, and set where a handler, an extractor or a middleware asked for it.

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::ServiceResponse;
use actix_web::{Error, HttpMessage, HttpRequest};

use crate::domain::token::Token;
use crate::web::middleware::security_headers::OverTls;

/// A cookie that holds a token.
#[derive(Debug)]
pub struct TokenCookie {
    /// Its name over plain HTTP.
    pub(crate) plain_name: &'static str,
    /// Its name over TLS: the prefix `__Host-` makes browsers insist on `Secure`, `Path=/` and no `Domain`.
    tls_name: &'static str,
    /// The addresses it is sent to.
    path: &'static str,
    same_site: SameSite,
    life: Duration,
}

/// Who the person is.
pub static PERSON: TokenCookie = TokenCookie {
    plain_name: "companion_person",
    tls_name: "__Host-companion_person",
    path: "/",
    same_site: SameSite::Lax,
    life: Duration::days(400),
};

/// That this browser has signed in with `ACCESS_TOKEN`. The server ends it after the same time.
pub static SIGN_IN: TokenCookie = TokenCookie {
    plain_name: "companion_access",
    tls_name: "__Host-companion_access",
    path: "/",
    same_site: SameSite::Strict,
    life: Duration::days(crate::app::sign_ins::DAYS as i64),
};

/// That this browser has signed in with `ADMIN_TOKEN`. Nothing else is ever shown it; so its name over TLS has the prefix that
/// insists on `Secure` alone.
pub static ADMIN: TokenCookie = TokenCookie {
    plain_name: "companion_admin",
    tls_name: "__Secure-companion_admin",
    path: "/api/v1/admin",
    same_site: SameSite::Strict,
    life: Duration::days(crate::app::sign_ins::DAYS as i64),
};

/// What is to become of a cookie. Put into the request's extensions; a request changes one at most.
#[derive(Debug, Clone)]
pub enum CookieChange {
    /// Set it, or make it last anew.
    Set(&'static TokenCookie, Token),
    /// Take it away.
    Remove(&'static TokenCookie),
}

impl TokenCookie {
    /// The token that came in this cookie.
    #[must_use]
    pub fn of(&self, request: &HttpRequest) -> Option<Token> {
        let cookie = request.cookie(self.tls_name).or_else(|| request.cookie(self.plain_name))?;
        cookie.value().parse().ok()
    }

    fn build(&self, name: &'static str, value: String, life: Duration) -> Cookie<'static> {
        Cookie::build(name, value)
            .path(self.path)
            .http_only(true)
            .same_site(self.same_site)
            .secure(name == self.tls_name)
            .max_age(life)
            .finish()
    }
}

/// Sets or removes the cookie where that was asked for.
///
/// # Errors
/// Never: a token is plain text.
pub fn change<B>(response: &mut ServiceResponse<B>) -> Result<(), Error> {
    let change = response.request().extensions_mut().remove::<CookieChange>();
    let Some(change) = change else { return Ok(()) };
    let over_tls = response.request().extensions().contains::<OverTls>();
    for cookie in cookies(&change, over_tls) {
        response.response_mut().add_cookie(&cookie)?;
    }
    Ok(())
}

fn cookies(change: &CookieChange, over_tls: bool) -> Vec<Cookie<'static>> {
    match change {
        CookieChange::Set(kind, token) => {
            let name = if over_tls { kind.tls_name } else { kind.plain_name };
            vec![kind.build(name, token.reveal(), kind.life)]
        }
        CookieChange::Remove(kind) => {
            let mut gone = vec![kind.build(kind.plain_name, String::new(), Duration::ZERO)];
            if over_tls {
                gone.push(kind.build(kind.tls_name, String::new(), Duration::ZERO));
            }
            gone
        }
    }
}
