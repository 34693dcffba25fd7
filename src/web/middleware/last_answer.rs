//! A server that stops ends each connection with the answer, so that the next request goes to where one is taken.

use actix_web::dev::ServiceResponse;
use actix_web::http::ConnectionType;
use actix_web::web;

use crate::app::App;

/// Closes the connection after the answer once the server stops.
pub fn close_when_stopping<B>(response: &mut ServiceResponse<B>) {
    if response.request().app_data::<web::Data<App>>().is_some_and(|app| app.is_stopping()) {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
}
