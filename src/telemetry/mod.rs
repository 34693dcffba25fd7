//! What the program tells about itself.

pub mod causes;
pub mod exposition;
pub mod log_lines;
pub mod logs;
pub mod metrics;
pub mod sparing;
pub mod tally;
