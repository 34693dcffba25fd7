//! What every request passes through, one file each. From the outside in: `measure`, `unread_body`, `request_id`, `security_headers`,
//! `cache_headers`, `person_cookie`, `payload_limit`.

pub mod body_budget;
pub mod cache_headers;
pub mod foreign_origin;
pub mod measure;
pub mod payload_limit;
pub mod person_cookie;
pub mod rate_limit;
pub mod request_id;
pub mod security_headers;
pub mod unread_body;
