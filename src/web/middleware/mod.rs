//! What every request passes through, one file each. From the outside in: `measure`, `last_answer`, `unread_body`, `request_id`, `security_headers`,
//! `cache_headers`, `token_cookies`, `rate_limit`, `foreign_origin`, `payload_limit`, `body_budget`; around the routes that need it, `access`.

pub mod access;
pub mod body_budget;
pub mod cache_headers;
pub mod foreign_origin;
pub mod last_answer;
pub mod measure;
pub mod payload_limit;
pub mod rate_limit;
pub mod request_id;
pub mod security_headers;
pub mod token_cookies;
pub mod unread_body;
