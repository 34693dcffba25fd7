//! What requests pass through, one file each. From the outside in: `every_request` (with `measure`, `last_answer`, `unread_body`,
//! `request_id`, `security_headers`, `cache_headers`, `token_cookies` and `rate_limit`), CORS; where something may change, `foreign_origin`,
//! `payload_limit` and `body_budget`; around the routes that need it, `access`.

pub mod access;
pub mod body_budget;
pub mod cache_headers;
pub mod changing;
pub mod every_request;
pub mod foreign_origin;
pub mod last_answer;
pub mod measure;
pub mod payload_limit;
pub mod rate_limit;
pub mod request_id;
pub mod security_headers;
pub mod token_cookies;
pub mod unread_body;
